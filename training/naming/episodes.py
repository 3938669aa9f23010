"""Episodes: from when until when links were in a fault, as far as stores tell.

A row with a verdict says since when its link's state has been what it is, so a beginning is known
however little was captured. An end is known only where a daemon that recorded the episode says
of a later row that the link has been normal since. An episode without one is open: as far as
anybody can tell it goes on.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from detector.state import NORMAL

from .rows import NONE, Codes, Rows, Times, starts_of

NEVER_MS = 2**62  # the end of what is open
GAP_MS = 5_000  # between two rows, at most, of which none between them was missed
STEP_MS = 1000  # taken where a daemon's rows don't tell
ENOUGH = 10  # gaps to tell by


@dataclass(frozen=True, slots=True)
class Stretches:
    """Episodes as arrays, in order of link and beginning."""

    link: Codes  # (episodes,), as the rest; places in the rows' names
    state: Codes
    since_ms: Times  # since when it was said that the link is in that state
    first_ms: Times  # start of the first window that spoke for it: nothing before is in doubt
    until_ms: Times  # end of the last row that was captured of it
    next_ms: Times  # since when it was said to be in another; NEVER_MS where nothing was
    end_ms: Times  # when all was well again; NEVER_MS where that isn't known
    rows: NDArray[np.int64]  # with a verdict of it
    last: NDArray[np.intp]  # place of the last of them
    reason: Codes  # of the first window that said so: with it the state changed, if it's there

    def __len__(self) -> int:
        return len(self.link)

    @property
    def is_open(self) -> NDArray[np.bool_]:
        """Whose end nobody saw: (episodes,)."""
        is_open: NDArray[np.bool_] = self.end_ms == NEVER_MS
        return is_open


def groups_of(rows: Rows) -> list[slice]:
    """Part rows by daemon and link."""
    first = np.flatnonzero(starts_of(rows.daemon, rows.link))
    return [slice(*ends) for ends in zip(first, [*first, len(rows)][1:], strict=True)]


def steps_of(rows: Rows) -> Times:
    """Give the usual time between two rows of a link, as each row's daemon has it: (rows,).

    What wasn't captured between two rows says nothing, where there are rows nearer together.
    """
    gaps = np.diff(rows.t_ms)
    is_gap = ~starts_of(rows.daemon, rows.link)[1:]
    steps = np.full(len(rows), STEP_MS, np.int64)
    for daemon in np.unique(rows.daemon):
        mine = rows.daemon == daemon
        every = gaps[mine[1:] & is_gap]
        near = every[every <= GAP_MS]
        telling = near if len(near) else every
        if len(telling) >= ENOUGH:
            steps[mine] = int(np.median(telling))
    return steps


def find(rows: Rows, steps: Times) -> Stretches:
    """Find the episodes in some rows, whose usual steps are *steps*: (rows,)."""
    normal = rows.code(NORMAL)
    places = np.flatnonzero(
        (rows.start_ms != NONE) & (rows.state != NONE) & (rows.state != normal)
    )
    link, state, since = rows.link[places], rows.state[places], rows.since_ms[places]
    order = np.lexsort((rows.t_ms[places], state, since, link))
    places = places[order]
    link, state, since = link[order], state[order], since[order]
    ends = rows.t_ms[places] + steps[places]
    first = np.flatnonzero(starts_of(link, state, since))
    if not len(first):
        return Stretches(*np.empty((len(fields(Stretches)), 0), np.int64))
    sizes = np.diff(np.append(first, len(places)))
    spans = np.maximum.reduceat(ends - rows.start_ms[places], first)
    starts = np.minimum.reduceat(rows.start_ms[places], first)
    until = np.maximum.reduceat(ends, first)
    # A later window may speak for the next state already, and none after the first has counters.
    given = (rows.label[places] == state) & ~np.isin(rows.reason[places], (NONE, rows.code("")))
    reason = np.minimum.reduceat(np.where(given, np.arange(len(places)), len(places)), first)
    owner = np.repeat(np.arange(len(first)), sizes)
    judged = (rows.start_ms != NONE) & (rows.state != NONE)
    over, end = _next(rows, judged & (rows.state == normal), owner, places, ends)
    return Stretches(
        link=link[first],
        state=state[first],
        since_ms=since[first],
        first_ms=np.minimum(since[first] - spans, starts),
        until_ms=until,
        next_ms=_next(rows, judged, owner, places, ends)[0],
        end_ms=np.where(over == NEVER_MS, NEVER_MS, end),
        rows=sizes,
        last=places[first + sizes - 1],
        reason=np.append(rows.reason[places], NONE)[reason],
    )


def _next(
    rows: Rows,
    which: NDArray[np.bool_],
    owner: NDArray[np.intp],
    places: NDArray[np.intp],
    ends_ms: Times,
) -> tuple[Times, Times]:
    """Find when, after each episode began, the first state of *which* rows did: at first, at last.

    Only what the daemons say that recorded the episode counts: its rows are at *places*, and end
    at *ends_ms*. At last is the latest of them; a daemon that handed the link over says no more
    than that it went on while there are rows.
    """
    first = np.full(int(owner[-1]) + 1, NEVER_MS, np.int64)
    last = np.zeros(len(first), np.int64)
    groups = groups_of(rows)
    where = np.searchsorted([group.start for group in groups], places, side="right") - 1
    for number in np.unique(where):
        group, mine = groups[number], where == number
        begins_ms = np.unique(rows.since_ms[group][which[group]])
        after = np.searchsorted(begins_ms, rows.since_ms[places[mine]], side="right")
        found = np.append(begins_ms, NEVER_MS)[after]
        np.minimum.at(first, owner[mine], found)
        np.maximum.at(last, owner[mine], np.where(found == NEVER_MS, ends_ms[mine], found))
    return first, last
