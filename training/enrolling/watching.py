"""Watching: what one piece of traffic looks like with and without a new anchor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.config import State
from detector.sight import Seen, Sight
from detector.state import sayings

from .traffic import Piece

SETTLED_MS = 5000  # a row whose label is not as old as this tells of no false alarm

States = list[str | None]  # of a link, after each window


@dataclass(frozen=True, slots=True)
class Firing:
    """A link's state would have become the label, where it was something else."""

    link: str
    at_ms: int
    until_ms: int  # when it would have ended, or the captured rows do
    instead_of: str | None  # the state without the anchor; None: not known yet
    truth: str | None  # as it was named or captured; None: nobody knows


@dataclass(frozen=True)
class Watched:
    """One piece of traffic, as it was judged with and without the anchor."""

    piece: Piece
    ends_ms: NDArray[np.int64]  # of its windows
    truth: NDArray[np.object_]  # of their last seconds; None where it changed or nobody knows
    before: tuple[Seen, States]
    after: tuple[Seen, States]


def watch(
    piece: Piece, before: Sight, after: Sequence[Sight], rule: State | None
) -> list[Watched]:
    """Judge a piece of traffic without and with the anchor; nothing if it has no whole window.

    *after* is what is seen with the anchor, from its widest reach to its narrowest.
    """
    spec = before.bundle.manifest.window
    rows = np.flatnonzero(piece.rows.usable(spec))
    if not len(rows):
        return []
    points = before.encoder.embed(piece.rows.windows(spec.steps)[rows])
    ends_ms = piece.rows.start_ms + spec.span_ms + rows * piece.rows.step_ms
    truth, seen = _truth(piece, rows + spec.steps - 1), before.look(points)
    was = seen, _states(before, seen, ends_ms, rule)
    watched, now = [], was
    is_as_before = False
    for sight in after:
        if not is_as_before:
            seen = sight.look(points)
            # A label that is new and that no window is called can't be any state, and what is
            # called nothing at one reach is called nothing at a narrower one.
            is_as_before = not _says_new(seen, before, sight)
            now = seen, was[1] if is_as_before else _states(sight, seen, ends_ms, rule)
        watched.append(Watched(piece, ends_ms, truth, was, now))
    return watched


def firings(watched: Watched, label: str) -> Iterator[Firing]:
    """Give when the link's state would have become the label, and was not."""
    (_, was), (_, now) = watched.before, watched.after
    truth, ends_ms = watched.truth, watched.ends_ms.tolist()
    begun: int | None = None
    for place, state in enumerate(now):
        if state == label and begun is None and was[place] != label:
            begun = place
        elif state != label and begun is not None:
            yield _firing(watched, begun, ends_ms[place], truth)
            begun = None
    if begun is not None:
        yield _firing(watched, begun, ends_ms[-1], truth)


def _firing(watched: Watched, place: int, until_ms: int, truth: NDArray[np.object_]) -> Firing:
    at_ms = int(watched.ends_ms[place])
    known = None if truth[place] is None else str(truth[place])
    return Firing(watched.piece.link, at_ms, until_ms, watched.before[1][place], known)


def _says_new(seen: Seen, before: Sight, after: Sight) -> bool:
    new = [place for place, label in enumerate(after.labels) if label not in before.labels]
    return not new or bool(np.isin(seen.nearest.label, new).any())


def _states(sight: Sight, seen: Seen, ends_ms: NDArray[np.int64], rule: State | None) -> States:
    """Give a link's state after each window, by the daemon's rule."""
    steady, span_ms = sight.steady(rule), sight.bundle.manifest.window.span_ms
    words = sayings(seen.nearest, ends_ms, span_ms, seen.strangeness)
    return [steady.push("", one).label for one in words]


def _truth(piece: Piece, last: NDArray[np.intp]) -> NDArray[np.object_]:
    """Give what is true of the rows *last* and of the seconds before; None where it changed."""
    rows = piece.rows
    earlier = np.maximum(last - SETTLED_MS // rows.step_ms, 0)
    labels = rows.labels[last].copy()
    labels[_beginnings(rows.labels)[last] > earlier] = None
    return labels


def _beginnings(labels: NDArray[Any]) -> NDArray[np.intp]:
    """Say for each row at which one its label began."""
    changed = np.append(True, labels[1:] != labels[:-1])
    began: NDArray[np.intp] = np.maximum.accumulate(np.where(changed, np.arange(len(labels)), 0))
    return began
