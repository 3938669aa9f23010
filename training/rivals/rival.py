"""What all rivals share: the contract, fewer windows to train on, logarithms, tiles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Windows = NDArray[np.float32]  # (windows, steps, features), raw counters, NaN = not observed
Places = NDArray[np.intp]  # (windows,), places among the sorted labels
Names = Callable[[Windows], Places]
Floats = NDArray[np.floating[Any]]

TILE = 1_024  # windows worked on at once, to bound memory
OTHER_WINDOWS = 10_000  # the most that a rival learns from; of more, `thin` draws as many


class Rival(Protocol):
    """A plain method that is trained and scored beside the encoder.

    *partial* says which windows it is to learn from: those labelled by their last rows, which
    may contain the change, or only those of one label throughout.
    """

    partial: bool

    def fit(self, windows: Windows, labels: Sequence[str], runs: Sequence[str]) -> None:
        """Learn from labelled windows; *runs* says which run each was cut from.

        Raises ValueError if there are fewer than two labels, or if the lengths differ.
        """

    def predict(self, windows: Windows) -> list[str]:
        """Give each window one of the labels that `fit` saw."""


class RivalUnavailable(ValueError):  # noqa: N818, it is no error of the caller's
    """The capture lacks features that this rival needs: the message names them."""


@dataclass
class Trained:
    """What all rivals share: names of labels, fewer windows to train on, tiles."""

    learn: Callable[[Windows, Places], Names]
    most: int  # windows to train on
    seed: int
    partial: bool = False

    def fit(self, windows: Windows, labels: Sequence[str], runs: Sequence[str]) -> None:
        """Learn from as many of the windows as are wanted."""
        if not len(windows) == len(labels) == len(runs):
            raise ValueError(f"{len(windows)} windows, {len(labels)} labels, {len(runs)} runs")
        self._labels, truth = np.unique(labels, return_inverse=True)
        if len(self._labels) < 2:
            raise ValueError(f"two labels or more are needed, got {self._labels.tolist()}")
        rows = thin(labels, runs, self.most, self.seed)
        self._name = self.learn(windows[rows], truth[rows])

    def predict(self, windows: Windows) -> list[str]:
        """Name windows, a tile at a time."""
        return self._labels[in_tiles(self._name, windows)].tolist() if len(windows) else []


def thin(labels: Sequence[str], runs: Sequence[str], most: int, seed: int) -> Places:
    """Draw rows of at most *most* windows, evenly over labels and, within each, over runs."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    drawn = pd.DataFrame({"label": labels, "run": runs}).sample(frac=1, random_state=rng)
    for keys in (["label", "run"], ["label"]):
        drawn = drawn.iloc[np.argsort(drawn.groupby(keys).cumcount(), kind="stable")]
    return np.sort(drawn.index.to_numpy()[:most])


def weigh(describe: Callable[..., Any], head: Any, windows: Windows, truth: Places) -> Names:
    """Fit the linear model *head* to what *describe* makes of windows: (windows, numbers)."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), head).fit(in_tiles(describe, windows), truth)
    return lambda tile: model.predict(describe(tile))


def in_tiles(work: Callable[[Windows], Any], windows: Windows) -> Any:
    """Do *work* on one tile after the other, and join what comes of them."""
    tiles = np.split(windows, range(TILE, len(windows), TILE))
    return np.concatenate([work(tile) for tile in tiles])


def logs(windows: Windows) -> Any:
    """Give log(1 + count), mirrored below zero; masked where nothing finite was observed."""
    mask: Callable[..., Any] = np.ma.masked_invalid  # which NumPy has no types for
    return mask(np.copysign(np.log1p(np.abs(windows)), windows))


def scaling(windows: Windows) -> Callable[[Windows], Floats]:
    """Scale logarithms by each feature's mean and deviation here; not observed is the mean."""
    rows = logs(windows).astype(np.float64).reshape(-1, windows.shape[2])
    mean, deviation = rows.mean(axis=0).filled(0), rows.std(axis=0).filled(0)
    deviation[deviation < 1e-6] = np.inf  # constant here (but for rounding), so left out
    return lambda tile: np.ma.filled((logs(tile) - mean) / deviation, 0)
