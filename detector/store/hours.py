"""Hours: the many small files of an hour become one, once the hour is over.

The new file is on the disk before the old ones go. A crash between leaves rows twice, which no
reader minds and the next putting together mends: of rows that are the same one stays.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .shelf import File
from .table import packed, tidied

FAILURES = (OSError, pa.ArrowException)  # what a file that can't be read may raise
MOST_ROWS = 250_000  # in memory at once, and so in one file: 80 MB at 52 features


def over(files: Sequence[File], hour: str) -> dict[tuple[str, str], list[File]]:
    """Find the hours before *hour* that have several files of a kind."""
    found: dict[tuple[str, str], list[File]] = {}
    for file in files:
        if file.hour < hour:
            found.setdefault((file.hour, file.kind), []).append(file)
    return {key: some for key, some in found.items() if len(some) > 1}


def groups(paths: Sequence[Path]) -> Iterator[list[int]]:
    """Say which files can become one: alike in their columns, and not too many rows together.

    Raises:
        one of FAILURES: if one can't be read.
    """
    open_groups: dict[tuple[str, ...], tuple[int, list[int]]] = {}
    for place, path in enumerate(paths):
        meta = pq.read_metadata(path)
        columns = tuple(meta.schema.names)
        rows, group = open_groups.get(columns, (0, []))
        if group and rows + meta.num_rows > MOST_ROWS:
            yield group
            rows, group = 0, []
        open_groups[columns] = rows + meta.num_rows, [*group, place]
    yield from (group for _, group in open_groups.values())


def joined(paths: Sequence[Path]) -> bytes:
    """Make one file of several; errors as in `groups`."""
    tables = [_read(path) for path in paths]
    return packed(tidied(pa.concat_tables(tables)))


def _read(path: Path) -> Any:
    with pq.ParquetFile(path) as file:
        return file.read(use_threads=False)
