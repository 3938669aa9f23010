"""Pending: rows that are to be kept and are in no file yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from detector.window import WindowSpec

from .row import KINDS, Kind, Row, row_bytes


@dataclass
class Pending:
    """Rows of windows of one shape, by what they are kept as."""

    spec: WindowSpec
    rows: dict[Kind, list[Row]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    size: int = 0  # of memory, bytes

    def add(self, fresh: Mapping[Kind, Sequence[Row]], size: int) -> None:
        """Take rows, whose size in memory is *size*."""
        for kind, rows in fresh.items():
            self.rows[kind] += rows
        self.size += size

    @property
    def windows(self) -> int:
        """How many windows' verdicts are in it."""
        return windows_of(self.rows)


def windows_of(rows: Mapping[Kind, Sequence[Row]]) -> int:
    """Count the verdicts that rows carry: one a window."""
    return sum(row.label is not None for some in rows.values() for row in some)


def size_of(rows: Mapping[Kind, Sequence[Row]], spec: WindowSpec) -> int:
    """Give about how much memory rows take, bytes."""
    count = sum(len(some) for some in rows.values())
    # Only a fault has a reason, and each a text of its own.
    reasons = sum(50 + len(row.reason) for row in rows["fault"] if row.reason)
    return count * row_bytes(spec) + reasons
