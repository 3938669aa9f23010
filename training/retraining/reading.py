"""Reading stores for a retraining, no more of them than fits into memory: the newest days."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from detector.capture import CaptureError, LinkCapture
from detector.window import WindowSpec
from training.naming.acts import NamingError
from training.naming.stored import stored_links
from training.naming.tables import files_in

COPIES = 4  # of a row's features that there are at once, on the way from files to pieces
BESIDE_BYTES = 200  # of a row, for what was judged of it

DAY_MS = 86_400_000
Tell = Callable[[str], None]


def read_stores(
    paths: Sequence[Path],
    spec: WindowSpec,
    *,
    only: Sequence[str],
    since_ms: int | None,
    most_bytes: float,
    tell: Tell,
) -> list[LinkCapture]:
    """Give what stores hold since a time, as pieces of links with their labels.

    Raises:
        CaptureError: if a file or an act of naming can't be read.
    """
    begin_ms, rows = beginning(paths, spec, since_ms, most_bytes)
    if begin_ms is not None and begin_ms != since_ms:
        day = datetime.fromtimestamp(begin_ms / 1000, UTC)
        tell(f"only what was captured since {day:%Y-%m-%d} fits into {most_bytes / 1e9:g} GB")
    tell(f"reading {rows:,} rows of the store")
    try:
        return stored_links(paths, spec.features, spec.step_ms, only, begin_ms)
    except NamingError as error:
        raise CaptureError(str(error)) from error


def beginning(
    paths: Sequence[Path], spec: WindowSpec, since_ms: int | None, most_bytes: float
) -> tuple[int | None, int]:
    """Say from when on stores are read, None for all of them, and about how many rows that is."""
    import pyarrow.parquet as pq

    days: Counter[str] = Counter()
    for file in files_in(paths, since_ms):
        try:
            days[file.parent.name] += pq.read_metadata(file).num_rows
        except FileNotFoundError:
            continue  # the store keeps to its quota while it is read
        except (OSError, ValueError) as error:
            raise CaptureError(f"{file}: not readable as a capture: {error}") from error
    room = most_bytes / (COPIES * 4 * len(spec.features) + BESIDE_BYTES)
    total = 0
    for day in sorted(days, reverse=True):
        if total and total + days[day] > room:
            # Of the last day that fits nothing is learnt: it is read for what went on at midnight.
            last_ms = _midnight_ms(min(one for one in days if one > day))
            return min(last_ms + DAY_MS, _midnight_ms(max(days))), total
        total += days[day]
    return since_ms, total


def _midnight_ms(day: str) -> int:
    return round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)
