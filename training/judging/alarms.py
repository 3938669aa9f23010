"""Alarms: when strangeness becomes an event, and at which threshold there are few enough.

An operator is not called by a window but by an event, so a threshold is chosen by the number of
events on links that are well, and stated as events a link-day beside the hours it was measured on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LADDER = 400  # thresholds tried at most
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Rule:
    """An event begins with *windows* strange ones in a row and ends after *hold* that are not.

    >>> rule = Rule(windows=2, hold=3)
    >>> rule.onsets(np.array([9, 0, 9, 9, 0, 9, 9, 0, 0, 0, 9, 9.0]), threshold=5).tolist()
    [3, 11]
    """

    windows: int = 3
    hold: int = 30

    def __post_init__(self) -> None:
        if min(self.windows, self.hold) < 1:
            raise ValueError(f"{self.windows} windows and a hold of {self.hold}: 1 is the least")

    def triggers(self, strangeness: Floats, threshold: float) -> NDArray[np.intp]:
        """List the windows that are the last of so many strange ones in a row: places."""
        above = np.flatnonzero(strangeness > threshold)
        return above[self.windows - 1 :][self._in_a_row(above)]

    def onsets(self, strangeness: Floats, threshold: float) -> NDArray[np.intp]:
        """List the windows at which an event begins: places; NaN (not judged) is not strange."""
        above = np.flatnonzero(strangeness > threshold)
        stretch = np.cumsum(np.diff(above, prepend=above[:1]) > self.hold)
        triggers = self._in_a_row(above)
        _, first = np.unique(stretch[self.windows - 1 :][triggers], return_index=True)
        return above[self.windows - 1 :][triggers][first]

    def sustained(self, strangeness: Floats) -> Floats:
        """Give the threshold below which each window is a trigger; NaN where none is."""
        if len(strangeness) < self.windows:
            return np.full(len(strangeness), np.nan)
        views = np.lib.stride_tricks.sliding_window_view(strangeness, self.windows)
        return np.concatenate([np.full(self.windows - 1, np.nan), views.min(axis=1)])

    def _in_a_row(self, above: NDArray[np.intp]) -> NDArray[np.bool_]:
        count = self.windows - 1
        in_a_row: NDArray[np.bool_] = above[count:] - above[: max(0, len(above) - count)] == count
        return in_a_row


@dataclass(frozen=True)
class Track:
    """One link's strangeness over time, and where nothing but *normal* was true of it."""

    run: str
    strangeness: Floats  # (windows,), one every step; NaN = not judged
    normal: NDArray[np.bool_]  # (windows,), all rows of the window are normal
    step_seconds: float

    @cached_property
    def well(self) -> Floats:
        """The strangeness of the normal windows alone; NaN elsewhere."""
        return np.where(self.normal, self.strangeness, np.nan)

    @property
    def well_seconds(self) -> float:
        """How long the link was seen to be well."""
        return int((~np.isnan(self.well)).sum()) * self.step_seconds


def false_events(tracks: Sequence[Track], threshold: float, rule: Rule) -> int:
    """Count the events on the normal windows of all tracks."""
    return sum(len(rule.onsets(track.well, threshold)) for track in tracks)


def well_days(tracks: Sequence[Track]) -> float:
    """Add up how long the links were seen to be well, days."""
    return sum(track.well_seconds for track in tracks) / DAY_SECONDS


def find_threshold(tracks: Sequence[Track], budget_a_day: float, rule: Rule) -> float:
    """Find the lowest threshold with at most so many events a link-day on normal windows.

    Sought from the top down, and no lower than the first that has too many: far below it, where
    all windows are strange, a link has one event that never ends. It is that of a window seen,
    so a new window has to be stranger than it. Infinite if no window was ever normal.
    """
    allowed = budget_a_day * well_days(tracks)
    found = float("inf")
    for threshold in _ladder(tracks, rule):
        if false_events(tracks, threshold, rule) > allowed:
            break
        found = threshold
    return found


def _ladder(tracks: Sequence[Track], rule: Rule) -> list[float]:
    """Thresholds from the highest that makes a difference downwards, denser at the top."""
    sustained = np.concatenate([rule.sustained(track.well) for track in tracks] or [np.empty(0)])
    values = np.unique(sustained[~np.isnan(sustained)])[::-1]
    if not len(values):
        return []
    ranks = np.unique(np.geomspace(1, len(values), LADDER).astype(int)) - 1
    return [float(value) for value in values[ranks]]


def crossed_events(tracks: Sequence[Track], budget_a_day: float, rule: Rule) -> tuple[int, float]:
    """Count the events on each half of the runs with the threshold of the other, and the days.

    What a threshold promises on the windows that it was chosen on, it need not keep on others.
    """
    runs = sorted({track.run for track in tracks})
    halves = [[track for track in tracks if track.run in runs[part::2]] for part in (0, 1)]
    events, days = 0, 0.0
    for chosen_on, counted_on in (halves, halves[::-1]):
        threshold = find_threshold(chosen_on, budget_a_day, rule)
        if threshold < float("inf"):
            events += false_events(counted_on, threshold, rule)
            days += well_days(counted_on)
    return events, days
