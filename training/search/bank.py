"""A bank: windows that were cut, augmented and made into inputs once, for many candidates.

Candidates that differ in network, loss, miner, margin, drop or step size share a bank, and so do
all folds: each leaves out the windows of some runs. What is learnt from is drawn as a training
draws it. What is judged by, and what anchors are chosen from, are windows of one label
throughout as they were recorded, as many of each label; their weights make up for that.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import detector.capture
import detector.inputs
import detector.window
from detector.capture import files_of
from detector.inputs import Inputs
from training import augment, batches, data, fitting, labelled, recipe
from training.batches import RECOVERY_SECONDS, Batches
from training.data import Data
from training.fitting import augmentation, inputs_of
from training.labelled import LabelledWindows
from training.settings import Settings

from .banked import Banked, Sides, as_is, parted
from .cache import Arrays, Cache, code_hash, key_of
from .folds import Fold

CODE = (
    *(detector.capture, detector.inputs, detector.window),
    *(augment, batches, data, fitting, labelled, recipe),
)
AT_ONCE = 100  # windows that are drawn, augmented and made into inputs together
NORMAL_SHARE = 0.5  # of a bank; batches drawn from it have the candidate's own
RECOVERY_SHARE = 0.3  # of that; likewise
PURE_SHARE = 3  # a bank has a third as many windows to judge by as to learn from
WITHOUT = {  # settings that change nothing in a bank
    *("kinds", "drop", "units", "statistics", "embedding", "activation", "head", "loss"),
    *(
        "miner",
        "margin",
        "normal_share",
        "recovery_share",
        "learning_rate",
        "batch",
        "batches",
        "epochs",
        "refit",
    ),
    *("epochs", "refit", "anchors", "seed", "validation_share"),
}


class Banks:
    """Makes banks, each once, and remembers the last."""

    def __init__(self, cache: Cache, captures: Sequence[str], data: Data, windows: int) -> None:
        self._cache, self._captures, self._data = cache, list(captures), data
        self._windows = windows  # to learn from, in each bank
        self._last: tuple[str, Arrays] | None = None

    def key(self, settings: Settings, seed: int) -> str:
        """Give what a candidate's bank is kept under."""
        wanted = {k: v for k, v in asdict(settings).items() if k not in WITHOUT}
        facts = {"captures": self._captures, "windows": self._windows, "seed": seed}
        return key_of(what="bank", code=code_hash(CODE), settings=wanted, **facts)

    def sides(self, settings: Settings, seed: int, fold: Fold) -> Sides:
        """Give a candidate's bank as a fold parts it."""
        key = self.key(settings, seed)
        if self._last is None or self._last[0] != key:
            make = _maker(self._data, settings, self._windows, seed)
            self._last = (key, self._cache.get(key, make))
        arrays = self._last[1]
        return parted(_banked(arrays, "learning"), _banked(arrays, "pure"), fold)


def hashes_of(paths: Sequence[Path]) -> list[str]:
    """Give the SHA-256 of each capture file, in an order that their names don't matter to.

    Raises:
        OSError: if one can't be read.
    """
    files = [file for path in paths for file in files_of(path)]
    return sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)


def _maker(data: Data, settings: Settings, windows: int, seed: int) -> Any:
    def make() -> Arrays:
        inputs = inputs_of(data.whole.learning, replace(settings, seed=seed))
        return {
            **_learning(data.whole.learning, inputs, settings, windows, seed),
            **_pure(data.whole.recorded, inputs, windows // PURE_SHARE),
        }

    return make


def _learning(
    windows: LabelledWindows, inputs: Inputs, settings: Settings, count: int, seed: int
) -> Arrays:
    """Draw what is learnt from, evenly over labels and runs, and augment it."""
    drawn = Batches(
        cast("LabelledWindows", _Numbers(windows)),
        cast("Inputs", as_is),
        size=AT_ONCE,
        batches=-(-count // AT_ONCE),
        seed=seed,
        normal_share=NORMAL_SHARE,
        recovery_share=RECOVERY_SHARE,
    )
    change, made, places = augmentation(windows.spec, settings), [], []
    for number in range(len(drawn)):
        which = drawn[number][0].astype(np.intp)
        rng = np.random.default_rng((seed, 1, number))
        made.append(inputs(change(windows.cut(which), rng)).astype(np.float16))
        places.append(which)
    return _arrays("learning", np.concatenate(made), windows, np.concatenate(places), None)


def _pure(windows: LabelledWindows, inputs: Inputs, count: int) -> Arrays:
    """Take what is judged by: of each label as many, spread over its runs and over each run."""
    runs = windows.runs.astype(str)
    labels = windows.labels.astype(str)
    names = np.unique(labels)
    places, weights = [], []
    for label in names:
        of_label = labels == label
        found = np.unique(runs[of_label])
        each = max(1, count // len(names) // len(found))
        for run in found:
            there = np.flatnonzero(of_label & (runs == run))
            taken = there[np.linspace(0, len(there) - 1, min(each, len(there))).astype(int)]
            places.append(taken)
            weights.append(np.full(len(taken), len(there) / len(taken), np.float32))
    which = np.concatenate(places)
    made = [
        inputs(windows.cut(which[first : first + AT_ONCE])).astype(np.float16)
        for first in range(0, len(which), AT_ONCE)
    ]
    return _arrays("pure", np.concatenate(made), windows, which, np.concatenate(weights))


class _Numbers:
    """Windows of which nothing is cut: batches of them are batches of their numbers."""

    def __init__(self, windows: LabelledWindows) -> None:
        self.labels, self.kinds, self.runs = windows.labels, windows.kinds, windows.runs

        self.after_fault = windows.after_fault

    def __len__(self) -> int:
        return len(self.labels)

    def cut(self, which: NDArray[np.intp]) -> NDArray[np.intp]:
        return which


def _arrays(
    side: str,
    inputs: NDArray[np.float16],
    windows: LabelledWindows,
    which: NDArray[np.intp],
    weights: NDArray[np.float32] | None,
) -> Arrays:
    kinds = np.array([kind or "" for kind in windows.kinds[which]], str)
    return {
        f"{side}.inputs": inputs,
        f"{side}.labels": windows.labels[which].astype(str),
        f"{side}.kinds": kinds,
        f"{side}.runs": windows.runs[which].astype(str),
        f"{side}.recovering": windows.after_fault(RECOVERY_SECONDS)[which],
        f"{side}.weights": np.ones(len(which), np.float32) if weights is None else weights,
    }


def _banked(arrays: Arrays, side: str) -> Banked:
    parts = ("inputs", "labels", "kinds", "runs", "recovering", "weights")
    return Banked(*(arrays[f"{side}.{part}"] for part in parts))
