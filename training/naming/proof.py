"""What the store itself proves of its rows: which were normal, by each daemon's own record.

A row is normal on its own only if the store proves it: it was drawn as a sample of normal
traffic, every window over it was judged normal, and the link's state had been normal for a
minute before it and stayed so, without a change, for a minute after it. That it stayed is known
from a row with the same beginning of the state, two minutes later at least, since a change shows
only when there is evidence enough. So whatever was not captured, was deleted or is still to come
can only take a proof away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from detector.state import NORMAL

from .rows import NONE, Codes, Rows, Times, starts_of

APART_MS = 60_000  # from an episode, at least, that a row is which is normal on its own
# After which a change of state is known, at most: of 2,853 on recorded faults each was in 31 s.
LATE_MS = 60_000
Flags = NDArray[np.bool_]


def prove(rows: Rows, steps: Times, groups: Sequence[slice]) -> Flags:
    """Tell which rows are normal by their own daemon's record, if nobody doubts it: (rows,)."""
    normal = rows.code(NORMAL)
    judged = rows.start_ms != NONE
    well = judged & (rows.label == normal) & (rows.state == normal)
    over = np.zeros(len(rows) + 1, np.int64)  # windows, as they begin and end
    for group in groups:
        ends = np.flatnonzero(well[group]) + group.start
        begins = group.start + np.searchsorted(rows.t_ms[group], rows.start_ms[ends])
        np.add.at(over, begins, 1)
        np.add.at(over, ends + 1, -1)
    is_proven: Flags = rows.sampled & (np.cumsum(over)[:-1] > 0)
    return is_proven & _is_steady(rows, steps, judged, normal)


def _is_steady(rows: Rows, steps: Times, judged: Flags, normal: int) -> Flags:
    """Tell at which rows a link was normal for long enough, before and after."""
    places = np.flatnonzero(judged)
    if not len(places):
        return np.zeros(len(rows), bool)
    owners = (rows.daemon[places], rows.link[places])
    begins = starts_of(*owners, rows.state[places], rows.since_ms[places])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(places)) - 1
    ends_ms = (rows.t_ms[places] + steps[places])[last]  # until when the state is known to last
    # The verdict that counts for a row is the first that was given at it or after it.
    after = np.searchsorted(places, np.arange(len(rows)))
    at = places[np.minimum(after, len(places) - 1)]
    known = (after < len(places)) & (rows.daemon[at] == rows.daemon) & (rows.link[at] == rows.link)
    until_ms = ends_ms[(np.cumsum(begins) - 1)[np.minimum(after, len(places) - 1)]]
    steady: Flags = (
        known
        & (rows.state[at] == normal)
        & (rows.since_ms[at] > 0)
        & (rows.t_ms - rows.since_ms[at] >= APART_MS)
        & (until_ms - rows.t_ms - steps >= APART_MS + LATE_MS)
    )
    return steady


@dataclass(frozen=True, slots=True)
class Captured:
    """What is known of each captured row, whoever captured it, in order of link and time."""

    link: Codes  # (rows,), as the rest; places in the names of the rows that this is made of
    t_ms: Times
    step_ms: Times
    is_proven: Flags  # by a daemon, and doubted by none
    said: Codes  # what the window that ends at it was judged to be; NONE: none ended
    state: Codes  # the state that was recorded at it; NONE: none was

    def take(self, which: Flags) -> "Captured":
        """Give some of the rows."""
        return Captured(*(getattr(self, one.name)[which] for one in fields(self)))


def merge(rows: Rows, is_proven: Flags, steps: Times) -> tuple[Captured, NDArray[np.intp]]:
    """Make one row of each that several daemons captured; a fault that one saw counts.

    Gives them, and the places of the rows they are made of: those of a row follow each other,
    and it begins at each place where `link` or `t_ms` changes.
    """
    normal = rows.code(NORMAL)
    judged = rows.start_ms != NONE
    weight = judged.astype(np.int8) + (judged & (rows.label != normal))
    weight += 2 * (judged & ~np.isin(rows.state, (normal, NONE)))
    order = np.lexsort((weight, rows.t_ms, rows.link))
    link, t_ms = rows.link[order], rows.t_ms[order]
    first = np.flatnonzero(starts_of(link, t_ms))
    last = order[np.append(first, len(order))[1:] - 1]
    proven, faulty = (
        np.logical_or.reduceat(flags[order], first) if len(first) else flags
        for flags in (is_proven, rows.faulty)
    )
    doubted = _doubted(rows, judged & ((rows.label != normal) | (rows.state != normal)), last)
    merged = Captured(
        link=rows.link[last],
        t_ms=rows.t_ms[last],
        step_ms=steps[last],
        is_proven=proven & ~faulty & ~doubted,
        said=np.where(judged[last], rows.label[last], NONE),
        state=np.where(judged[last], rows.state[last], NONE),
    )
    return merged, order


def _doubted(rows: Rows, against: Flags, merged: NDArray[np.intp]) -> Flags:
    """Tell which of the merged rows lie in a window that speaks *against* its being normal."""
    link, t_ms = rows.link[merged], rows.t_ms[merged]
    over = np.zeros(len(merged) + 1, np.int64)
    windows = np.flatnonzero(against)
    windows = windows[np.argsort(rows.link[windows], kind="stable")]
    first = np.flatnonzero(starts_of(rows.link[windows]))
    for some in np.split(windows, first[1:]) if len(first) else ():
        mine = slice(*np.searchsorted(link, (rows.link[some[0]], rows.link[some[0]] + 1)))
        begins = np.searchsorted(t_ms[mine], rows.start_ms[some])
        ends = np.searchsorted(t_ms[mine], rows.t_ms[some], side="right")
        np.add.at(over, mine.start + begins, 1)
        np.add.at(over, mine.start + ends, -1)
    doubted: Flags = np.cumsum(over)[:-1] > 0
    return doubted
