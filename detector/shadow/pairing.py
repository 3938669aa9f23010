"""Pairing: which faults the live bundle and the candidate both found."""

from collections import Counter
from typing import Literal, NamedTuple

from detector.state import NORMAL, RESERVED, UNKNOWN, Turn

from .report import MOST_DELAYS, Onsets, thinned

Side = Literal["live", "shadow"]

SAME_MS = 30_000  # between the beginnings of what counts as one fault
SOON_SECONDS = 60.0  # by when nearly every fault was found by the other side too, if it ever is
OPEN_SECONDS = 600.0  # that one side's finding waits for the other's
MOST_OPEN = 10_000  # findings that wait, at most
# Those that no window leads to say nothing of a bundle.
NO_FAULTS = (None, NORMAL, *(state for state in RESERVED if state != UNKNOWN))


class _Finding(NamedTuple):
    side: Side
    since_ms: int
    at_ms: int
    heard: float  # when it came, seconds of the caller's clock


class Pairing:
    """Counts what each side found, and what both did, by fault.

    >>> def turn(at_ms):
    ...     return Turn("trunk-1", "", "normal", "blocked", at_ms, at_ms - 5000, 0, 0.0, False)
    >>> pairing = Pairing()
    >>> pairing.add("shadow", turn(60_000), now=0.0)
    >>> pairing.add("live", turn(62_000), now=2.0)
    >>> pairing.onsets["blocked"], pairing.delays_ms
    (Onsets(live=1, shadow=1, both=1), (-2000,))
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, Side | Literal["both"]]] = Counter()
        self._delays_ms: list[int] = []
        self._open: dict[tuple[str, str], list[_Finding]] = {}  # by link and fault
        self._waiting = 0

    @property
    def onsets(self) -> dict[str, Onsets]:
        """What was found, by fault, unknown among them."""
        counts, faults = self._counts, sorted({fault for fault, _ in self._counts})
        return {
            fault: Onsets(counts[fault, "live"], counts[fault, "shadow"], counts[fault, "both"])
            for fault in faults
        }

    @property
    def delays_ms(self) -> tuple[int, ...]:
        """How much later the shadow was, of what both found, in ascending order."""
        return thinned(self._delays_ms)

    def add(self, side: Side, turn: Turn, now: float) -> None:
        """Take a change of state that one side found; *now* as for `expire`."""
        if turn.state in NO_FAULTS:
            return
        self._counts[turn.state, side] += 1
        mine = _Finding(side, turn.since_ms, turn.at_ms, now)
        waiting = self._open.setdefault((turn.link, turn.state), [])
        others = [
            one
            for one in waiting
            if one.side != side and abs(one.since_ms - mine.since_ms) <= SAME_MS
        ]
        if not others:
            waiting.append(mine)
            self._waiting += 1
            return
        other = min(others, key=lambda one: abs(one.since_ms - mine.since_ms))
        self._close((turn.link, turn.state), other)
        self._counts[turn.state, "both"] += 1
        late_ms = mine.at_ms - other.at_ms
        self._delays_ms.append(late_ms if side == "shadow" else -late_ms)
        if len(self._delays_ms) >= 2 * MOST_DELAYS:
            self._delays_ms = list(thinned(self._delays_ms))

    def expire(self, now: float) -> None:
        """Give up what has waited too long, and the oldest of what is too much.

        *now* is seconds of a clock that never goes back: those of links may be wrong.
        """
        everything = [(key, one) for key, some in self._open.items() for one in some]
        everything.sort(key=lambda item: item[1].heard, reverse=True)
        for place, (key, one) in enumerate(everything):
            if place >= MOST_OPEN or now - one.heard > OPEN_SECONDS:
                self._close(key, one)

    def void(self, now: float) -> None:
        """Take back what still waits for its other half: from now on nobody looks out for it.

        What has waited for longer than a fault takes to be found stays as it is: found by one.
        """
        for (_, fault), some in self._open.items():
            for one in some:
                if now - one.heard <= SOON_SECONDS:
                    self._counts[fault, one.side] -= 1
        self._open.clear()
        self._waiting = 0

    def __len__(self) -> int:
        """How many findings wait."""
        return self._waiting

    def _close(self, key: tuple[str, str], one: _Finding) -> None:
        self._open[key].remove(one)
        self._waiting -= 1
        if not self._open[key]:
            del self._open[key]
