"""Small captures whose truth is known, and one small training that many tests look at."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detector.bundle import Bundle
from detector.capture import LinkCapture
from training.settings import Settings

START_MS = 1_700_000_000_000
FEATURES = ("fwd_packets", "rev_packets", "fwd_invite", "rev_2xx", "rev_response_ms")
# Share of requests.
ANSWERED = {"normal": 1.0, "lossy": 0.8, "capacity-limited": 0.5, "blocked": 0.0}
LEFT_OUT = ("r6", "r7")  # one run of each fault
TINY = Settings(  # all that decides how well it learns, so that no default does
    steps=10,
    leave_out=LEFT_OUT,
    validation_share=0.34,
    inputs="ratios",
    load_span=8.0,
    drop=0.1,
    half_lives_seconds=(1.5,),
    units=(4,),
    embedding=2,
    activation="sigmoid",
    loss="triplet",
    miner="batch-all",
    margin=0.4,
    normal_share=0.0,
    recovery_share=0.0,
    learning_rate=0.01,
    batch=24,
    batches=8,
    epochs=2,
    refit=False,
)


def make_link(
    labels: Sequence[str | None],
    values: NDArray[np.float32] | None = None,
    *,
    name: str = "run/place",
    start_ms: int = START_MS,
    kinds: Sequence[str | None] | None = None,
) -> LinkCapture:
    """Make one link of a row a second; its only feature counts the rows unless *values* say so."""
    if values is None:
        values = np.arange(len(labels), dtype=np.float32)[:, None]
    return LinkCapture(
        name,
        start_ms,
        1000,
        values,
        np.array([*labels, None], object)[:-1],
        np.array([*(kinds or labels), None], object)[:-1],
    )


def make_table(runs: int = 8, rows: int = 60, faults: Sequence[str] = ()) -> pd.DataFrame:
    """Make a capture of *runs* seen at two places: normal, a row without a label, then a fault.

    Odd runs end blocked and even ones capacity-limited, unless *faults* names one for each.
    """
    places = [(run, place) for run in range(runs) for place in ("access", "core")]
    tables = []
    for number, (run, place) in enumerate(places):
        rng = np.random.default_rng(number)
        fault = faults[run] if faults else ("capacity-limited", "blocked")[run % 2]
        change = rows // 2
        labels = ["normal"] * change + [None] + [fault] * (rows - change - 1)
        answered = np.array([ANSWERED[label or fault] for label in labels])
        requests = rng.poisson(20, rows)
        answers = np.round(requests * answered)
        tables.append(
            pd.DataFrame(
                {
                    "link": f"r{run}/{place}",
                    "t_ms": START_MS + run * 3_600_000 + np.arange(rows) * 1000,
                    "fwd_packets": 2.0 * requests,
                    "rev_packets": 2.0 * answers,
                    "fwd_invite": 1.0 * requests,
                    "rev_2xx": answers,
                    "rev_response_ms": np.where(answers > 0, 20 / np.maximum(answered, 0.1), 0),
                    "label": labels,
                    "kind": [label and f"{label} kind" for label in labels],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def write(table: pd.DataFrame, folder: Path, name: str = "capture.parquet") -> Path:
    """Write a capture file and give its path."""
    table.to_parquet(folder / name)
    return folder / name


class Recorder:
    """Takes a training's progress, and can end the training after an epoch."""

    def __init__(self, last: int | None = None) -> None:
        self.epochs: list[dict[str, float]] = []
        self.told: list[tuple[str, int, int]] = []  # what is learnt from, epoch, epochs
        self._last = last

    def __call__(self, what: str, epoch: int, epochs: int, measured: dict[str, float]) -> None:
        """Note what was measured."""
        self.epochs.append(measured)
        self.told.append((what, epoch, epochs))
        if len(self.epochs) == self._last:
            raise EnoughError

    @property
    def first(self) -> dict[str, float]:
        """What the first epoch gave."""
        return self.epochs[0]


class EnoughError(Exception):
    """The test has seen enough of a training."""


@cache
def tiny_training() -> tuple[Bundle, Recorder]:
    """Train once for all tests of this process: the capture of `make_table` with `TINY`."""
    from training.train import train

    recorder = Recorder()
    with TemporaryDirectory() as folder:
        bundle = train([write(make_table(), Path(folder))], TINY, recorder)
    return bundle, recorder


@contextmanager
def listed(table: dict[str, Any], name: str, entry: Any) -> Iterator[None]:
    """List a further entry in `LOSSES` or the like, as somebody would who extends them."""
    table[name] = entry
    try:
        yield
    finally:
        del table[name]
