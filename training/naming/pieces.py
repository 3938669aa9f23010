"""Pieces: a link's rows on an even grid, cut where rows are missing, each named for its hour.

`2026-11-24T10/trunk-7@31:07` is what was captured of `trunk-7` from 10:31:07 on. The hour in
which a piece begins is its run: what happened on the network within an hour stays on one side of
any split. A piece is cut at the full hour too, but never within an episode, so that no incident
lies on both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.capture import CaptureError, LinkCapture
from detector.events import EPOCH
from detector.state import NORMAL
from detector.window import WindowSpec, is_count

from .episodes import GAP_MS
from .law import Named
from .proof import Captured, Flags
from .rows import Times, merge_values, starts_of

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one link without a gap, with their labels and with what was judged then."""

    link: str  # as daemons know it; the capture has a name of its own
    capture: LinkCapture
    states: NDArray[np.object_]  # (rows,) the link's recorded state; None: none was recorded
    said: NDArray[np.object_]  # (rows,) the recorded label of the window that ends there

    def ends(self, spec: WindowSpec) -> NDArray[np.intp]:
        """Find the rows on which a window ends that can be judged: (windows,)."""
        return np.flatnonzero(self.capture.usable(spec)) + spec.steps - 1

    def windows(self, ends: NDArray[np.intp], spec: WindowSpec) -> NDArray[np.float32]:
        """Cut the windows that end on these rows: (windows, steps, features)."""
        return self.capture.windows(spec.steps)[ends - spec.steps + 1]

    def starts_ms(self, ends: NDArray[np.intp], spec: WindowSpec) -> Times:
        """Say when the windows start that end on these rows: (windows,)."""
        return self.capture.start_ms + (ends - spec.steps + 1) * self.capture.step_ms


def name_of(link: str, start_ms: int) -> str:
    """Name a piece; a link's own slashes don't part a run from its places.

    >>> name_of("site-7/trunk 2", 1_700_000_000_000)
    '2023-11-14T22/site-7%2Ftrunk 2@13:20'
    """
    hour, rest = divmod(start_ms, HOUR_MS)
    seconds = rest // 1000
    day = np.datetime64(EPOCH.replace(tzinfo=None), "h") + hour
    plain = link.replace("%", "%25").replace("/", "%2F")
    return f"{day}/{plain}@{seconds // 60:02}:{seconds % 60:02}"


def link_of(name: str) -> str:
    """Give the link that a piece of this name is of.

    >>> link_of("2023-11-14T22/site-7%2Ftrunk 2@13:20")
    'site-7/trunk 2'
    """
    link = name.rpartition("/")[2].rpartition("@")[0]
    return link.replace("%2F", "/").replace("%25", "%")


def cut(
    rows: Captured,
    names: NDArray[np.object_],
    named: Named,
    values: NDArray[np.float32],
    features: Sequence[str],
    step_ms: int,
) -> list[Piece]:
    """Cut rows, which have *values* (rows, features), into pieces on a grid of *step_ms*.

    Raises:
        CaptureError: if a daemon's rows are coarser than the step.
    """
    if not len(rows.link):
        return []
    _check_steps(rows, names, step_ms)
    first = np.flatnonzero(_beginnings(rows, named))
    is_fine = rows.step_ms < 0.75 * step_ms
    where, begins = _grid(rows, first, is_fine, step_ms)
    steps = np.flatnonzero(starts_of(where))
    last = np.append(steps[1:], len(where)) - 1
    where = where[steps]
    grid = np.full((begins[-1], values.shape[1]), np.nan, np.float32)
    grid[where] = _merged(values, steps, is_fine, features)
    labels, states, said = np.full((3, begins[-1]), None, object)
    labels[where] = _agreed(named.labels, steps)
    texts = np.array([*names, None], object)
    states[where], said[where] = texts[rows.state[last]], texts[rows.said[last]]
    made = []
    for row, begin, end in zip(first.tolist(), begins, begins[1:], strict=False):
        link, start_ms, mine = names[rows.link[row]], int(rows.t_ms[row]), slice(begin, end)
        capture = LinkCapture(
            name_of(link, start_ms), start_ms, step_ms, grid[mine], labels[mine], labels[mine]
        )
        made.append(Piece(link, capture, states[mine], said[mine]))
    return made


def _check_steps(rows: Captured, names: NDArray[np.object_], step_ms: int) -> None:
    coarse = rows.step_ms > 1.5 * step_ms
    if coarse.any():
        place = int(coarse.argmax())
        raise CaptureError(
            f"link {names[rows.link[place]]!r}: its daemon captured a row every "
            f"{rows.step_ms[place]} ms, {step_ms} are needed"
        )


def _grid(
    rows: Captured, first: NDArray[np.intp], is_fine: Flags, step_ms: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give each row its step, all pieces' one after the other, and the steps that pieces begin at.

    Pieces begin with the rows *first*; behind the last piece there is one more beginning.
    """
    sizes = np.diff(np.append(first, len(rows.link)))
    offsets = rows.t_ms - np.repeat(rows.t_ms[first], sizes)
    places = np.where(is_fine, offsets // step_ms, np.rint(offsets / step_ms)).astype(np.int64)
    lengths = places[np.append(first[1:], len(places)) - 1] + 1
    begins = np.concatenate([[0], np.cumsum(lengths)])
    return places + np.repeat(begins[:-1], sizes), begins


def _beginnings(rows: Captured, named: Named) -> Flags:
    """Tell with which rows a piece begins."""
    begins = starts_of(rows.link)
    begins[1:] |= np.diff(rows.t_ms) - rows.step_ms[:-1] > GAP_MS
    is_well = (named.labels == None) | (named.labels == NORMAL)  # noqa: E711 - each of them
    calm = named.is_apart & is_well
    begins[1:] |= (np.diff(rows.t_ms // HOUR_MS) != 0) & calm[1:] & calm[:-1]
    return begins


def _merged(
    values: NDArray[np.float32], steps: NDArray[np.intp], is_fine: Flags, features: Sequence[str]
) -> NDArray[np.float32]:
    """Make one row of those of each step: of finer rows what they come to, else the last."""
    if len(steps) == len(values):
        return values
    merged = merge_values(values, steps)
    fine = np.flatnonzero(is_fine[steps])
    if not len(fine):
        return merged
    known = ~np.isnan(values)
    counts = np.add.reduceat(known, steps, axis=0, dtype=np.int64)[fine]
    sums = np.add.reduceat(np.where(known, values, 0), steps, axis=0, dtype=np.float64)[fine]
    most = np.fmax.reduceat(values, steps, axis=0)[fine]
    adds = np.array([is_count(name) for name in features])
    highest = np.array(["_max" in name for name in features])
    means = sums / np.maximum(counts, 1)
    whole = np.where(adds, sums, np.where(highest, most, means))
    merged[fine] = np.where(counts > 0, whole, np.nan)
    return merged


def _agreed(labels: NDArray[np.object_], steps: NDArray[np.intp]) -> NDArray[np.object_]:
    """Give the label that all rows of a step share, or nothing where they differ."""
    agreed = labels[steps].copy()
    owner = np.repeat(np.arange(len(steps)), np.diff(np.append(steps, len(labels))))
    agreed[owner[labels != agreed[owner]]] = None
    return agreed
