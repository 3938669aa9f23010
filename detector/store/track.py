"""A track: what is remembered of one link, so that each of its rows is kept once, and rightly."""

from dataclasses import dataclass, field

from detector.window import Window

from .row import Row
from .spans import Spans

RESTART_MS = 60_000  # a step back by more is a clock set back, and not a late window


@dataclass(slots=True)
class Track:
    """One link's rows that wait, and how far it got."""

    link: str
    source: str
    state: str | None
    since_ms: int
    until_ms: int  # end of the newest row that was dealt with
    heard: float = 0.0  # when, by a clock that never goes back, seconds
    waiting: list[Row] = field(default_factory=list)  # oldest first; their fate is open
    changes: list[tuple[int, int]] = field(default_factory=list)  # from and until, around each
    faults: Spans | None = None  # rows that are stored as a fault
    is_behind: bool = False  # the newest window was long before the one before it
    minute: int = -1  # for which it is known ...
    is_chosen: bool = False  # ... whether it is in the sample

    def leave(self, before_ms: int) -> list[Row]:
        """Take away the rows that wait and are older."""
        count = 0
        for row in self.waiting:
            if row.t_ms >= before_ms:
                break
            count += 1
        left = self.waiting[:count]
        del self.waiting[:count]
        return left

    def turn(self, begin_ms: int, end_ms: int) -> None:
        """Note that all rows from one time until another are around a change of state."""
        for change in self.changes:
            if change[0] <= end_ms and begin_ms <= change[1]:
                begin_ms, end_ms = min(begin_ms, change[0]), max(end_ms, change[1])
                self.changes.remove(change)
                break
        self.changes = [*self.changes[-3:], (begin_ms, end_ms)]

    def is_around(self, t_ms: int) -> bool:
        """Tell whether a row is near a change of state."""
        return any(begin_ms <= t_ms < end_ms for begin_ms, end_ms in self.changes)

    def settle(self, before_ms: int) -> None:
        """Forget changes that are around nothing that waits or is to come."""
        before_ms = min(before_ms, self.until_ms)
        self.changes = [change for change in self.changes if change[1] > before_ms]

    def withdraw(self, begin_ms: int, end_ms: int) -> list[Row]:
        """Take away the rows that wait and lie in a stretch of time."""
        if not self.waiting or self.waiting[-1].t_ms < begin_ms:
            return []
        inside = [row for row in self.waiting if begin_ms <= row.t_ms < end_ms]
        self.waiting = [row for row in self.waiting if not begin_ms <= row.t_ms < end_ms]
        return inside

    def is_set_back(self, window: Window) -> bool:
        """Tell whether the link's clock was set back: two windows in a row say so.

        One alone is a late one. What was dealt with in the time that no longer counts is
        forgotten then, or nothing would be kept of the same time again.
        """
        if self.until_ms - window.end_ms <= RESTART_MS:
            self.is_behind = False
            return False
        self.is_behind = not self.is_behind
        return not self.is_behind

    def restart(self, at_ms: int) -> None:
        """Go on from another time; nothing may be waiting."""
        self.until_ms, self.changes, self.faults = at_ms, [], None
