"""Recall: what became of canaries, and how well each fault was found of late."""

import statistics
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

# renamed: another fault was seen when the time was over; void: the link wasn't normal
# throughout, or windows of it failed to come, so nobody can tell.
Outcome = Literal["found", "renamed", "missed", "void"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
REMEMBERED = 20  # outcomes of a label that its recall is of
FEWEST = 5  # outcomes from which on there is a recall


class Result(NamedTuple):
    """What became of a canary."""

    label: str
    link: str  # that it was planted in
    planted_ms: int  # Unix time at which its fault began, milliseconds
    outcome: Outcome
    delay_seconds: float | None = None  # from then until it was found, in the link's time


@dataclass(frozen=True, slots=True)
class Score:
    """How well one fault was found of late."""

    recall: float | None  # share found of the last ones, the void ones left out; None: too few
    delay_seconds: float | None  # median of those found; None: none was
    outcomes: Mapping[Outcome, int]  # how many there were of each since the start
    found: int = 0  # of the last ones, those that the recall is of
    judged: int = 0


@dataclass(slots=True)
class _Account:
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    # Delays, seconds; None for those that were not found.
    last: deque[float | None] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


class Recall:
    """Keeps account of canaries, by label.

    >>> recall = Recall(("blocked",))
    >>> for outcome, delay in [("found", 6.0)] * 4 + [("void", None), ("missed", None)]:
    ...     recall.add(Result("blocked", "trunk-1", 0, outcome, delay))
    >>> recall.scores()["blocked"].recall
    0.8
    """

    def __init__(self, labels: Iterable[str]) -> None:
        self._accounts = {label: _Account() for label in labels}

    def add(self, result: Result) -> None:
        """Count what became of one."""
        account = self._accounts[result.label]
        account.outcomes[result.outcome] += 1
        if result.outcome != "void":
            account.last.append(result.delay_seconds)

    def scores(self) -> dict[str, Score]:
        """Give each label's score."""
        return {label: _score(account) for label, account in self._accounts.items()}


def _score(account: _Account) -> Score:
    delays = [delay for delay in account.last if delay is not None]
    return Score(
        recall=len(delays) / len(account.last) if len(account.last) >= FEWEST else None,
        delay_seconds=statistics.median(delays) if delays else None,
        outcomes={outcome: account.outcomes[outcome] for outcome in OUTCOMES},
        found=len(delays),
        judged=len(account.last),
    )
