"""The files of capture stores, every one of them read once into one table.

    STORE/<daemon>/<fault | around | normal>/<day>/<time>-<number>.parquet

A row may be there several times: once for each daemon that saw the link and once for each of its
folders. Only this file reads Parquet.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detector.capture import CaptureError

from .acts import KINDS

Table = Any  # pyarrow.Table, which has no types
TEXTS = ("label", "state", "reason", "bundle")  # of a verdict
TIMES = ("since_ms", "start_ms")
READERS = 4  # files read at a time
TRIES = 3  # to read all files of a store that changes
TYPES = {
    "link": pa.string(),
    "t_ms": pa.int64(),
    "source": pa.string(),
    **{f"verdict_{name}": pa.string() for name in TEXTS},
    **{f"verdict_{name}": pa.int64() for name in TIMES},
    "daemon": pa.string(),
    "kind": pa.string(),
}


def files_in(paths: Iterable[Path], since_ms: int | None = None) -> dict[Path, tuple[str, str]]:
    """List the files of some stores with their daemon and kind; what is being written isn't.

    Days that were over for a day at *since_ms* are left out.
    """
    first = date.min
    if since_ms is not None:
        first = datetime.fromtimestamp(since_ms / 1000, UTC).date() - timedelta(days=1)
    found: dict[Path, tuple[str, str]] = {}
    for path in paths:
        for file in path.rglob("*.parquet"):
            kind, day = file.parent.parent.name, file.parent.name
            if kind in KINDS and _day(day) >= first:
                found[file.resolve()] = (str(file.resolve().parents[2]), kind)
    return dict(sorted(found.items()))


def features_in(paths: Sequence[Path]) -> tuple[str, ...]:
    """List the features that any file of some stores has, in the order in which they come.

    Raises:
        CaptureError: if a file is damaged.
    """
    names = dict[str, None]()
    for file in files_in(paths):
        if (schema := _opened(file, lambda parquet: parquet.schema_arrow)) is not None:
            names |= dict.fromkeys(name for name in schema.names if _is_feature(name))
    return tuple(names)


def read_tables(
    paths: Sequence[Path], features: Sequence[str], only: Sequence[str], since_ms: int | None
) -> Table:
    """Read the rows of the links that match a pattern of *only*, with daemon and kind.

    Raises:
        CaptureError: if a file is damaged.
    """
    wanted, tables = [*TYPES, *features], dict[Path, Table | None]()
    with ThreadPoolExecutor(READERS, "read") as pool:
        for _ in range(TRIES):  # a daemon joins and deletes files while they are read
            files = files_in(paths, since_ms)
            fresh = [file for file in files if file not in tables]
            read = pool.map(_table, fresh, (files[file] for file in fresh), repeat(wanted))
            tables |= dict(zip(fresh, read, strict=True))
            if all(tables[file] is not None for file in fresh):
                break
    empty = pa.table({name: pa.array([], kind) for name, kind in TYPES.items()})
    there = [table for table in tables.values() if table is not None]
    table = pa.concat_tables([empty, *there], promote_options="default")
    links = pc.unique(table["link"]).to_pylist()
    matching = [link for link in links if any(fnmatchcase(link, one) for one in only)]
    if len(matching) < len(links):
        table = table.filter(pc.is_in(table["link"], pa.array(matching, pa.string())))
    return table


def _is_feature(name: str) -> bool:
    return name not in ("link", "t_ms", "source") and not name.startswith("verdict_")


def _day(name: str) -> date:
    try:
        return date.fromisoformat(name)
    except ValueError:
        return date.max  # whatever it is, it is read


def _opened(file: Path, take: Any) -> Any:
    """Give what *take* takes of a file; None where it is no more."""
    try:
        with pq.ParquetFile(file) as parquet:
            return take(parquet)
    except FileNotFoundError:
        return None  # the store keeps to its quota while it is read
    except (OSError, ValueError, TypeError, LookupError, NotImplementedError) as error:
        raise CaptureError(f"{file}: not readable as a capture: {error}") from error


def _table(file: Path, whose: tuple[str, str], wanted: Sequence[str]) -> Table | None:
    """Read a file's wanted columns, and whose they are; None where it is no more."""
    table = _opened(file, lambda parquet: _read(parquet, wanted))
    if table is None:
        return None
    for name, mark in zip(("daemon", "kind"), whose, strict=True):
        table = table.append_column(name, pa.repeat(pa.scalar(mark), len(table)))
    return table


def _read(parquet: Any, wanted: Sequence[str]) -> Table:
    """Read the wanted columns that there are, as the types that they must have."""
    there = set(parquet.schema_arrow.names)
    if not {"link", "t_ms"} <= there:
        raise ValueError("it has no column link, or none t_ms")
    table = parquet.read([name for name in wanted if name in there])
    types = [(name, TYPES.get(name, pa.float32())) for name in table.column_names]
    return table.cast(pa.schema(types))
