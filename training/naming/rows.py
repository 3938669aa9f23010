"""The rows of capture stores, as arrays.

What a daemon stored twice is one row here, with the worse of what was said of it; what two
daemons stored are two, since each has its own verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.state import NORMAL

from .tables import TEXTS, TIMES, Table, read_tables

NONE = -1  # stands for null among codes and times
Codes = NDArray[np.int32]
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of some links, in order of daemon, link and time; texts are places in `names`, sorted.

    The verdict stands on the last row of its window; `start_ms` is NONE where there is none.
    """

    names: NDArray[np.object_]  # (names,) str
    features: tuple[str, ...]
    daemon: Codes  # (rows,), as the rest
    link: Codes
    t_ms: Times
    source: Codes
    sampled: NDArray[np.bool_]  # stored as one of the sample of normal ones
    faulty: NDArray[np.bool_]  # stored with a fault
    label: Codes  # of the window, as judged
    state: Codes  # of the link; NONE: not settled
    reason: Codes
    bundle: Codes
    since_ms: Times  # when the state began
    start_ms: Times  # of the window
    values: NDArray[np.float32]  # (rows, features)

    def __len__(self) -> int:
        return len(self.t_ms)

    def code(self, name: str) -> int:
        """Give the place of a name; NONE where nothing is called so."""
        found = np.flatnonzero(self.names == name)
        return int(found[0]) if len(found) else NONE

    def take(self, which: NDArray[Any]) -> "Rows":
        """Give some of the rows, in the order asked for."""
        taken = {
            one.name: getattr(self, one.name)[which]
            for one in fields(self)
            if one.name not in ("names", "features")
        }
        return Rows(names=self.names, features=self.features, **taken)


def read_rows(
    paths: Sequence[Path],
    features: Sequence[str] = (),
    only: Sequence[str] = ("*",),
    since_ms: int | None = None,
) -> Rows:
    """Read the rows of the links that match a pattern of *only*; absent features are NaN.

    Of files from well before *since_ms* there are none; some rows may be older.

    Raises:
        CaptureError: if a file is damaged.
    """
    return _merged(_as_rows(read_tables(paths, features, only, since_ms), tuple(features)))


def _as_rows(table: Table, features: tuple[str, ...]) -> Rows:
    """Make arrays of a table, sorted."""
    texts = {name: f"verdict_{name}" for name in TEXTS}
    texts |= {name: name for name in ("daemon", "link", "source", "kind")}
    coded = {
        name: table[column].combine_chunks().dictionary_encode() for name, column in texts.items()
    }
    names = sorted({name for column in coded.values() for name in column.dictionary.to_pylist()})
    places = {name: place for place, name in enumerate(names)}

    def codes(name: str) -> Codes:
        mine = [places[one] for one in coded[name].dictionary.to_pylist()]
        indices = coded[name].indices.fill_null(NONE).to_numpy(zero_copy_only=False)
        coded_as: Codes = np.array([*mine, NONE], np.int32)[indices]
        return coded_as

    def times(name: str) -> Times:
        found: Times = table[name].fill_null(NONE).to_numpy().astype(np.int64)
        return found

    found: dict[str, NDArray[Any]] = {name: codes(name) for name in texts}
    kind = found.pop("kind")
    found |= {"sampled": kind == places.get("normal"), "faulty": kind == places.get("fault")}
    found |= {"t_ms": times("t_ms")}
    found |= {name: times(f"verdict_{name}") for name in TIMES}
    # Of what one daemon said of a row twice, a fault counts.
    normal = places.get(NORMAL, NONE)
    is_fault = (found["label"] != normal) | ~np.isin(found["state"], (normal, NONE))
    said = (found["start_ms"], is_fault & (found["start_ms"] != NONE))
    order = np.lexsort((*said, found["t_ms"], found["link"], found["daemon"]))
    values = np.full((len(table), len(features)), np.nan, np.float32)
    for place, name in enumerate(features):
        if name in table.column_names:
            values[:, place] = table[name].to_numpy()[order]
    found = {name: column[order] for name, column in found.items()}
    return Rows(names=np.array(names, object), features=features, values=values, **found)


def _merged(rows: Rows) -> Rows:
    """Make one row of those that a daemon stored several times."""
    if not len(rows):
        return rows
    same = starts_of(rows.daemon, rows.link, rows.t_ms)
    if same.all():
        return rows
    first = np.flatnonzero(same)
    merged = rows.take(np.append(first[1:], len(rows)) - 1)
    for flags, out in ((rows.sampled, merged.sampled), (rows.faulty, merged.faulty)):
        out[:] = np.logical_or.reduceat(flags, first)
    merged.values[:] = merge_values(rows.values, first)
    return merged


def starts_of(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell where any of some columns has another value than in the row before: (rows,)."""
    changed = np.ones(len(columns[0]), bool)
    changed[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return changed


def merge_values(values: NDArray[np.float32], first: NDArray[np.intp]) -> NDArray[np.float32]:
    """Make one row of each group of rows: of each feature the last that was observed.

    Groups begin at the places *first*.
    """
    sizes = np.diff(np.append(first, len(values)))
    merged = values[first]
    for further in range(1, int(sizes.max())):
        groups = np.flatnonzero(sizes > further)
        more = values[first[groups] + further]
        merged[groups] = np.where(np.isnan(more), merged[groups], more)
    return merged
