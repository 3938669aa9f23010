"""Rejections: what of late could not be used, as the status and the log say it."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from .batch import DeadLetter

RECENT_MINUTES = 10  # for which it is known what could not be used
SAY_SECONDS = 30.0  # from one line about that in the log to the next


class Rejections:
    """What of late could not be used: how much for which reason, and what the log is to say.

    Counted by the minute, so that a flood costs no more than a few.
    """

    def __init__(self) -> None:
        self._minutes: dict[int, Counter[str]] = {}  # of the clock: how many for each reason
        self._unsaid = Counter[str]()
        self._examples: dict[str, DeadLetter] = {}  # of what is unsaid: the first for each reason
        self._said = float("-inf")  # clock, seconds

    def take(self, letters: Iterable[DeadLetter], now: float) -> None:
        """Count what could not be used."""
        for letter in letters:
            reason = letter.rejected.reason
            self._minutes.setdefault(int(now // 60), Counter())[reason] += 1
            self._unsaid[reason] += 1
            self._examples.setdefault(reason, letter)

    def counts(self, now: float) -> dict[str, int]:
        """Give how many there were in the last ten minutes for each reason, the most first."""
        gone = int(now // 60) - RECENT_MINUTES
        self._minutes = {at: counts for at, counts in self._minutes.items() if at > gone}
        return dict(sum(self._minutes.values(), Counter[str]()).most_common())

    def news(self, now: float) -> dict[str, Any]:
        """Give the facts of a line in the log; mostly none."""
        if not self._unsaid or now - self._said < SAY_SECONDS:
            return {}
        ((reason, most),) = self._unsaid.most_common(1)
        example = self._examples[reason]
        place = {"topic": example.message.topic, "partition": example.message.partition}
        facts = {"rejected": self._unsaid.total(), "mostly": reason, "of_these": most}
        self._said = now
        self._unsaid.clear()
        self._examples.clear()
        return facts | example.whose | place | {"offset": example.message.offset}
