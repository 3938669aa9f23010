"""Traffic: what was captured, from capture stores and from capture files, as one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path

import numpy as np

from detector.capture import LinkCapture, features_of, links_of, read_table
from detector.state import UNKNOWN
from detector.window import WindowSpec
from training.naming.rows import read_rows
from training.naming.stored import episodes_of, open_stores, stored_features, stored_pieces

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one link without a gap."""

    link: str
    group: str  # what is drawn anew as a whole where an interval is asked for: a link, or a run
    rows: LinkCapture


@dataclass(frozen=True, slots=True)
class Unnamed:
    """An unknown fault that nobody has named yet."""

    id: str
    link: str
    since_ms: int
    until_ms: int


def wide(spec: WindowSpec, features: Sequence[str]) -> WindowSpec:
    """Give a spec of everything that was captured: a later encoder may read more than today's."""
    names = tuple(dict.fromkeys((*spec.features, *features)))
    required = {name for name in spec.features if name not in spec.optional}
    optional = tuple(name for name in names if name not in required)
    return WindowSpec(names, spec.steps, spec.step_ms, optional, spec.min_observed)


def narrow(pieces: Sequence[Piece], found: WindowSpec, wanted: WindowSpec) -> list[Piece]:
    """Give pieces with nothing but the features of *wanted*, all of which *found* has."""
    places = [found.features.index(name) for name in wanted.features]
    if places == [*range(len(found.features))]:
        return [*pieces]
    return [
        replace(piece, rows=replace(piece.rows, values=piece.rows.values[:, places]))
        for piece in pieces
    ]


def captured(paths: Sequence[Path], spec: WindowSpec) -> tuple[WindowSpec, list[Piece]]:
    """Read capture files: their links, and the spec with all their features.

    Raises:
        CaptureError: if they can't be read, or lack what *spec* needs.
    """
    table = read_table(paths)
    found = wide(spec, features_of(table))
    absent = [name for name in found.optional if name not in table.columns]
    table = table.assign(**dict.fromkeys(absent, float("nan")))
    links = links_of(table, found.features, found.step_ms)
    return found, [Piece(link.link, link.run, link) for link in links]


def stored(
    paths: Sequence[Path], spec: WindowSpec, since_ms: int, tell: Tell
) -> tuple[list[Piece], list[Unnamed]]:
    """Read what stores have since a time: its pieces, and the unknowns that nobody has named.

    Raises:
        CaptureError: if a file is damaged.
    """
    store = open_stores(paths, spec.features, ("*",), since_ms, tell)
    pieces = [
        Piece(one.link, one.link, one.capture)
        for one in stored_pieces(store, spec.step_ms, since_ms)
    ]
    unnamed = [
        Unnamed(one.id, one.link, one.since_ms, one.until_ms)
        for one in episodes_of(store)
        if one.state == UNKNOWN and not one.is_named and one.until_ms >= since_ms
    ]
    return pieces, unnamed


def of_link(
    paths: Sequence[Path], spec: WindowSpec, link: str, times: tuple[int, int], tell: Tell
) -> tuple[WindowSpec, list[Piece]]:
    """Read what stores have of one link since an incident began, with all captured features.

    Where they have nothing of it from the first to the last of *times*, all that they have: who
    pointed at the wrong time is to hear which would have been right.

    Raises:
        CaptureError: if a file is damaged.
    """
    found = wide(spec, stored_features(paths))
    for since_ms in (times[0], None):
        store = open_stores(paths, found.features, (escape(link),), since_ms, tell)
        pieces = stored_pieces(store, spec.step_ms, since_ms)
        if any(one.capture.start_ms < times[1] for one in pieces):
            break
    return found, [Piece(one.link, one.link, one.capture) for one in pieces]


def links_in(paths: Sequence[Path]) -> list[str]:
    """List the links of which stores have anything.

    Raises:
        CaptureError: if a file is damaged.
    """
    rows = read_rows(paths)
    return sorted(rows.names[np.unique(rows.link)].tolist())
