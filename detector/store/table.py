"""The table: rows as Parquet, which is a capture with the verdicts beside it.

pyarrow imports pandas whenever it is handed a Python list or an array of NumPy, and a daemon has
no use for that: so columns are made of plain buffers here. Import this file where a file is
written, not before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from detector.window import WindowSpec

from .row import Row

TEXTS = ("label", "state", "reason", "bundle", "anchor")  # of a verdict
NUMBERS = ("strangeness", "margin", "distance")
TIMES = ("since_ms", "start_ms")


def table_of(rows: Sequence[Row], spec: WindowSpec) -> Any:
    """Make a table of rows, each link's in their order of time."""
    names = spec.features
    times = np.fromiter((row.t_ms for row in rows), np.int64, len(rows))
    flat = np.frombuffer(b"".join([row.values for row in rows]), np.float32)
    by_feature = np.ascontiguousarray(flat.reshape(len(rows), len(names)).T)
    columns = {"link": _text([row.link for row in rows]), "t_ms": _numbers(times, pa.int64())}
    for name, column in zip(names, by_feature, strict=True):
        columns[name] = _numbers(column, pa.float32())
    columns["source"] = _text([row.source for row in rows])
    columns |= {f"verdict_{name}": column for name, column in _verdicts(rows, times, spec).items()}
    return tidied(pa.Table.from_arrays(list(columns.values()), names=list(columns)))


def _verdicts(
    rows: Sequence[Row], times: NDArray[np.int64], spec: WindowSpec
) -> Mapping[str, Any]:
    is_there = np.fromiter((row.label is not None for row in rows), bool, len(rows))
    starts = times + spec.step_ms - spec.span_ms
    sinces = np.fromiter((row.since_ms or 0 for row in rows), np.int64, len(rows))
    columns = {name: _text([getattr(row, name) for row in rows]) for name in TEXTS}
    columns["since_ms"] = _numbers(sinces, pa.int64(), is_there)
    columns["start_ms"] = _numbers(starts, pa.int64(), is_there)
    for name in NUMBERS:
        values = np.fromiter((getattr(row, name) or 0 for row in rows), np.float32, len(rows))
        columns[name] = _numbers(values, pa.float32(), is_there)
    return columns


def tidied(table: Any) -> Any:
    """Sort rows by link and time; of two that are the same, keep the one with a verdict."""
    order = [("link", "ascending"), ("t_ms", "ascending"), ("verdict_start_ms", "ascending")]
    table = pc.take(table, pc.sort_indices(table, sort_keys=order)).combine_chunks()
    if len(table) < 2:
        return table
    link, t_ms = (table.column(name).chunk(0) for name in ("link", "t_ms"))
    before, after = slice(0, len(table) - 1), slice(1, None)
    is_new = pc.or_(
        pc.not_equal(link[before], link[after]), pc.not_equal(t_ms[before], t_ms[after])
    )
    if pc.all(is_new).as_py():
        return table
    first = pa.Array.from_buffers(pa.bool_(), 1, [None, pa.py_buffer(b"\x01")])
    return pc.filter(table, pa.concat_arrays([first, is_new]))


def packed(table: Any) -> bytes:
    """Write a table as the bytes of a Parquet file.

    Of numbers the bytes that weigh the same lie together: a third smaller than a dictionary of
    them, and twice as fast.
    """
    texts = [name for name in table.column_names if pa.types.is_string(table.field(name).type)]
    floats = [name for name in table.column_names if name not in texts and name != "t_ms"]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=3,
        use_dictionary=texts,
        use_byte_stream_split=floats,
        write_statistics=["link", "t_ms"],
    )
    return bytes(sink.getvalue())


def _numbers(values: NDArray[Any], kind: Any, is_there: NDArray[np.bool_] | None = None) -> Any:
    valid = None if is_there is None else pa.py_buffer(np.packbits(is_there, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(values)])


def _text(values: Sequence[str | None]) -> Any:
    raw = [b"" if text is None else text.encode(errors="replace") for text in values]
    ends = np.zeros(len(raw) + 1, np.int32)
    np.cumsum([len(one) for one in raw], out=ends[1:])
    is_there = np.fromiter((text is not None for text in values), bool, len(values))
    valid = pa.py_buffer(np.packbits(is_there, bitorder="little"))
    parts = [valid, pa.py_buffer(ends), pa.py_buffer(b"".join(raw))]
    return pa.Array.from_buffers(pa.string(), len(raw), parts)
