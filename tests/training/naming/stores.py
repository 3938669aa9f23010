"""Small capture stores, as daemons write them, whose truth is known."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NOON_MS = 1_700_000_000_000  # 22:13:20 of 2023-11-14, a Tuesday
STEP_MS = 1000
SPAN = 15  # steps of a window
COLUMNS = {
    "link": pa.string(),
    "t_ms": pa.int64(),
    "source": pa.string(),
    "verdict_label": pa.string(),
    "verdict_state": pa.string(),
    "verdict_since_ms": pa.int64(),
    "verdict_start_ms": pa.int64(),
    "verdict_reason": pa.string(),
    "verdict_bundle": pa.string(),
}
NUMBERS = count(1)  # of files: no two are called the same

Row = Mapping[str, Any]
Stretch = tuple[str | None, int]  # a state, and how many steps a link is in it


def life(
    stretches: Sequence[Stretch],
    *,
    link: str = "trunk-1",
    start_ms: int = NOON_MS,
    hop: int = 1,
    step_ms: int = STEP_MS,
    source: str = "probe-1",
) -> list[dict[str, Any]]:
    """Give the rows of a link that goes through some states, each known as soon as it begins.

    A state of None is one that isn't settled. Every *hop* steps a window ends.
    """
    rows: list[dict[str, Any]] = []
    for state, steps in stretches:
        since_ms = start_ms + len(rows) * step_ms
        for _ in range(steps):
            number = len(rows)
            row = {"link": link, "t_ms": start_ms + number * step_ms, "source": source}
            row["packets"] = np.float32(number)
            if number >= SPAN - 1 and (number - SPAN + 1) % hop == 0:
                row |= {
                    "verdict_label": state or "normal",
                    "verdict_state": state,
                    "verdict_since_ms": since_ms if state else 0,
                    "verdict_start_ms": row["t_ms"] - (SPAN - 1) * step_ms,
                    "verdict_reason": "" if state in (None, "normal") else f"like {state}",
                    "verdict_bundle": "b1",
                }
            rows.append(row)
    return rows


def save(
    rows: Iterable[Row], store: Path, *, daemon: str = "host-a", kind: str = "normal"
) -> Path:
    """Write rows as one file of a daemon's, and give its path."""
    rows = list(rows)
    folder = store / daemon / kind / "2023-11-14"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"2213-{next(NUMBERS):06}.parquet"
    more = {name for row in rows for name in row} - set(COLUMNS)
    features = {name: pa.float32() for name in sorted(more)}
    pq.write_table(pa.Table.from_pylist(rows, pa.schema({**COLUMNS, **features}.items())), file)
    return file


def capture(rows: Sequence[Row], store: Path, *, daemon: str = "host-a") -> None:
    """Write all rows as a daemon would that samples every normal minute."""
    faulty = [_is_faulty(row) for row in rows]
    save(
        [row for row, bad in zip(rows, faulty, strict=True) if bad],
        store,
        daemon=daemon,
        kind="fault",
    )
    save(
        [row for row, bad in zip(rows, faulty, strict=True) if not bad],
        store,
        daemon=daemon,
        kind="normal",
    )


def _is_faulty(row: Row) -> bool:
    said = (row.get("verdict_label", "normal"), row.get("verdict_state", "normal"))
    return said != ("normal", "normal")
