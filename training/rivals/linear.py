"""Linear models of plain numbers of a window: its logarithms', or its ratios'.

The ratios are those that `recipe` chooses by the features' names, so what they tell the encoder
they tell these too. Their half-lives are in steps, whatever a step is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from detector.inputs import Inputs
from detector.window import LARGEST, WindowSpec
from training.judging.methods import LinearDiscriminant, statistics
from training.recipe import input_spec, scaled

from .rival import OTHER_WINDOWS, Floats, Names, Places, Rival, Trained, Windows, logs, weigh

HALF_LIVES_STEPS = (2.0, 10.0)


def logistic_regression(_features: Sequence[str], seed: int, *, partial: bool = False) -> Rival:
    """Weigh plain numbers of each feature's logarithm over the window (see `_of_logarithms`)."""

    def learn(windows: Windows, truth: Places) -> Names:
        return weigh(_of_logarithms, _head(), windows, truth)

    return Trained(learn, OTHER_WINDOWS, seed, partial)


def ratio_regression(features: Sequence[str], seed: int, *, partial: bool = False) -> Rival:
    """Weigh the statistics of ratios of outcome to attempt."""

    def learn(windows: Windows, truth: Places) -> Names:
        inputs = _ratios(features, windows)
        return weigh(lambda tile: statistics(inputs(_readable(tile))), _head(), windows, truth)

    return Trained(learn, OTHER_WINDOWS, seed, partial)


def linear_discriminant(features: Sequence[str], seed: int) -> Rival:
    """Name the nearest class mean of the statistics of ratios (see `LinearDiscriminant`)."""

    def learn(windows: Windows, truth: Places) -> Names:
        readable = _readable(windows)
        names = [f"{place:09}" for place in truth]
        fitted = LinearDiscriminant.fit(_ratios(features, windows), readable, names)
        return lambda tile: np.array([int(name) for name in fitted.name(_readable(tile))])

    return Trained(learn, OTHER_WINDOWS, seed)


def _head() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(solver="newton-cholesky", class_weight="balanced")


def _ratios(features: Sequence[str], windows: Windows) -> Inputs:
    """Make the inputs of windows like these; a step counts as a second."""
    spec = WindowSpec(tuple(features), windows.shape[1], 1000)
    plain = input_spec(features, HALF_LIVES_STEPS)
    return Inputs(scaled(plain, spec, _readable(windows)), spec)


def _readable(windows: Windows) -> Windows:
    """Give windows as a capture may hold them: what is infinite was not observed."""
    finite = np.where(np.isfinite(windows), windows, np.float32(np.nan))
    readable: Windows = np.clip(finite, -LARGEST, LARGEST)
    return readable


def _of_logarithms(windows: Windows) -> Floats:
    """Mean, deviation, least, most, last, last third less first; share observed: 7 a feature."""
    rows = logs(windows)
    third = -(-rows.shape[1] // 3)
    trend = rows[:, -third:].mean(axis=1) - rows[:, :third].mean(axis=1)
    span = [rows.mean(axis=1), rows.std(axis=1), rows.min(axis=1), rows.max(axis=1)]
    numbers = [np.ma.filled(number, 0) for number in (*span, rows[:, -1], trend)]
    return np.hstack([*numbers, np.isfinite(windows).mean(axis=1)])
