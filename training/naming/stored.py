"""Capture stores, read by what people said of them: links to learn from, episodes to name."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.capture import LinkCapture
from detector.events import identify

from .acts import Naming, read
from .episodes import Stretches, find, groups_of, steps_of
from .law import Named, core, name
from .pieces import Piece, cut
from .proof import Captured, merge, prove
from .rows import NONE, Rows, merge_values, read_rows, starts_of
from .tables import features_in

DAY_MS = 86_400_000
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Episode:
    """A link in one state, as far as it was captured."""

    id: str  # as in its events
    link: str
    state: str
    since_ms: int  # when it began
    until_ms: int  # end of its last captured row
    is_open: bool  # nobody saw it end
    rows: int  # captured, once each
    bundle: str  # that judged it last
    reason: str
    source: str
    first_ms: int  # start of the first window that spoke for it
    sure_ms: tuple[int, int]  # from when until when its rows are surely in that state
    naming: Naming | None  # the newest act that counts for it
    is_named: bool  # acts cover all that is sure of it


@dataclass(frozen=True, slots=True)
class Store:
    """The rows of some stores with all that is known of them."""

    rows: Rows
    order: NDArray[np.intp]  # of rows, by link and time
    captured: Captured
    found: Stretches
    acts: Sequence[Naming]
    named: Named


def open_stores(
    paths: Sequence[Path],
    features: Sequence[str] = (),
    only: Sequence[str] = ("*",),
    since_ms: int | None = None,
    pass_over: Tell | None = None,
) -> Store:
    """Read stores, and weigh what daemons and people say of their rows.

    *pass_over* is told of acts that can't be read; without it, one is an error.

    Raises:
        CaptureError: if a file of rows is damaged.
        NamingError: if one of an act is.
    """
    rows = read_rows(paths, features, only, since_ms)
    steps = steps_of(rows)
    captured, order = merge(rows, prove(rows, steps, groups_of(rows)), steps)
    found = find(rows, steps)
    acts = read(paths, pass_over)
    return Store(rows, order, captured, found, acts, name(captured, rows.names, found, acts))


def stored_features(paths: Sequence[Path]) -> tuple[str, ...]:
    """List the features that any file of some stores has."""
    return features_in(paths)


def stored_links(
    paths: Sequence[Path],
    features: Sequence[str],
    step_ms: int,
    only: Sequence[str] = ("*",),
    since_ms: int | None = None,
) -> list[LinkCapture]:
    """Give what stores hold as links to learn from, each a piece without a gap.

    A row's label is what people said it is, `normal` where it is proven to be (`proof`), else
    None. Absent features are NaN.

    Raises:
        CaptureError: if a file of rows is damaged, or a link's rows are coarser than the step.
        NamingError: if an act can't be read: what it unsays would be learnt.
    """
    pieces = stored_pieces(open_stores(paths, features, only, since_ms), step_ms, since_ms)
    return [piece.capture for piece in pieces]


def stored_pieces(store: Store, step_ms: int, since_ms: int | None = None) -> list[Piece]:
    """Cut what stores hold into pieces, by link and time; none from before *since_ms*."""
    rows = store.rows
    first = np.flatnonzero(starts_of(rows.link[store.order], rows.t_ms[store.order]))
    is_sorted = bool((np.diff(store.order) == 1).all())
    values = rows.values if is_sorted else rows.values[store.order]
    if len(first) < len(values):
        values = merge_values(values, first)
    captured, named = store.captured, store.named
    if since_ms is not None and len(values):
        recent = captured.t_ms >= since_ms
        values, captured, named = values[recent], captured.take(recent), named.take(recent)
    return cut(captured, rows.names, named, values, rows.features, step_ms)


def episodes(
    paths: Sequence[Path], only: Sequence[str] = ("*",), pass_over: Tell | None = None
) -> list[Episode]:
    """List the episodes that stores hold, oldest first."""
    return episodes_of(open_stores(paths, (), only, None, pass_over))


def id_of(store: Store, place: int) -> str:
    """Give the id of the episode at a place."""
    names, found = store.rows.names, store.found
    since_ms = int(found.since_ms[place])
    return identify(names[found.link[place]], names[found.state[place]], since_ms)


def episodes_of(store: Store, which: Iterable[int] | None = None) -> list[Episode]:
    """List the episodes that opened stores hold, oldest first; or *which* of them."""
    names, found, rows = np.append(store.rows.names, ""), store.found, store.rows
    inside = store.named.episode
    counts = np.bincount(inside[inside != NONE], minlength=len(found))
    steps = dict(zip(store.captured.link.tolist(), store.captured.step_ms.tolist(), strict=True))
    made = []
    for place in range(len(found)) if which is None else which:
        link, state = names[found.link[place]], names[found.state[place]]
        since_ms, last, by = int(found.since_ms[place]), found.last[place], store.named.by[place]
        one = Episode(
            id=id_of(store, place),
            link=link,
            state=state,
            since_ms=since_ms,
            until_ms=int(found.until_ms[place]),
            is_open=bool(found.is_open[place]),
            rows=int(counts[place]),
            bundle=names[rows.bundle[last]],
            reason=names[found.reason[place]],
            source=names[rows.source[last]],
            first_ms=int(found.first_ms[place]),
            sure_ms=core(found, place, steps[int(found.link[place])]),
            naming=store.acts[by] if by != NONE else None,
            is_named=bool(store.named.is_named[place]),
        )
        made.append(one)
    return sorted(made, key=lambda episode: (episode.since_ms, episode.link))
