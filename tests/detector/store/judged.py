"""Traffic as a daemon judged it, and what a store has of it."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector.config import Store
from detector.store import CaptureStore
from detector.store.row import Row
from detector.verdict import Verdict
from detector.window import Window, WindowSpec
from tests.fakes import NOON_MS, make_spec

if TYPE_CHECKING:
    from pandas import DataFrame

SPEC = make_spec()  # four steps of a second, four features
LAST = SPEC.steps - 1


def values_at(link: str, start_ms: int, spec: WindowSpec = SPEC) -> np.ndarray:
    """Give a window's rows, which say whose they are and of when: (steps, features)."""
    seconds = (start_ms - NOON_MS) / 1000 + np.arange(spec.steps) * spec.step_ms / 1000
    rows = np.repeat(seconds[:, None], len(spec.features), axis=1)
    rows[:, 0] = sum(map(ord, link))
    return rows.astype(np.float32)


def judged(
    second: float,
    label: str = "normal",
    state: str | None = "normal",
    since: float = -10_000,
    *,
    link: str = "trunk-1",
    spec: WindowSpec = SPEC,
) -> tuple[Window, Verdict, int]:
    """Make a window whose last row begins a time after noon, and what was said of it."""
    end_ms = NOON_MS + round(second * 1000) + spec.step_ms
    start_ms = end_ms - spec.span_ms
    window = Window(link, "probe-1", start_ms, end_ms, values_at(link, start_ms, spec))
    reason = "" if label == "normal" else "half of the requests are answered"
    verdict = Verdict(
        *(link, "probe-1", start_ms, end_ms, label, state, 0.25, 0.5, f"{label}-50"),
        distances={label: 0.25},
        bundle="bundle-1",
        reason=reason,
        strangeness=0.75,
    )
    return window, verdict, NOON_MS + round(since * 1000)


def seconds_of(rows: Iterable[Row]) -> list[float]:
    """Say when rows begin, in seconds after noon."""
    return [(row.t_ms - NOON_MS) / 1000 for row in rows]


def feed(store: CaptureStore, some: Sequence[tuple[Window, Verdict, int]]) -> None:
    """Hand a batch over as the loop does."""
    windows, verdicts, sinces = zip(*some, strict=True)
    store.take(windows, verdicts, sinces)


def quick(**changes: object) -> Store:
    """Make settings of a store that writes soon, and keeps all that is normal."""
    return Store(**{"flush_seconds": 0.05, "normal_share": 1.0, "around_seconds": 2.0} | changes)


def figures(store: CaptureStore) -> Mapping[str, float]:
    """Give a store's figures, those with labels as `name.label`."""
    return {
        ".".join([figure.name.removeprefix("store_"), *labels]): value
        for figure in store.figures()
        for labels, value in figure.values.items()
    }


def dealt(store: CaptureStore) -> float:
    """Count the windows of which it is known what became of them."""
    return sum(value for name, value in figures(store).items() if name.startswith("windows."))


def poll(is_so: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def files_in(folder: Path, kind: str = "*") -> list[Path]:
    """List the files of a kind that any reader would read."""
    return sorted(folder.glob(f"**/{kind}/*/*.parquet"))


def tables_in(folder: Path, kind: str = "*") -> Iterator["DataFrame"]:
    """Read each file of a kind."""
    import pandas as pd  # not for the process that captures

    for file in files_in(folder, kind):
        yield pd.read_parquet(file)


def stored(folder: Path, kind: str = "*", link: str = "trunk-1") -> list[float]:
    """Say which rows of a link are there, in seconds after noon."""
    times: list[int] = []
    for table in tables_in(folder, kind):
        times += table.loc[table["link"] == link, "t_ms"].tolist()
    return sorted((t_ms - NOON_MS) / 1000 for t_ms in times)
