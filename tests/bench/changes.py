"""Traffic that is as recorded but for one thing, for benchmarks of what notices it."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from detector.window import DIRECTIONS, WindowSpec, is_count
from training.augment import LONGEST

Windows = NDArray[np.float32]  # (windows, steps, features)
Change = Callable[[Windows, WindowSpec], Windows]


def as_it_is(values: Windows, _spec: WindowSpec) -> Windows:
    """Change nothing."""
    return values


def busier(times: float) -> Change:
    """Make more of everything that is counted."""

    def change(values: Windows, spec: WindowSpec) -> Windows:
        counts = np.array([is_count(name) for name in spec.features])
        return np.where(counts, values * np.float32(times), values)

    return change


def quieter(values: Windows, spec: WindowSpec) -> Windows:
    """Leave one event in eight, by chance."""
    rng = np.random.default_rng(0)
    counts = np.array([is_count(name) for name in spec.features])
    kept = rng.binomial(np.nan_to_num(values).clip(0).astype(np.int64), 1 / 8)
    return np.where(counts & ~np.isnan(values), kept, values).astype(np.float32)


def averaged(values: Windows, _spec: WindowSpec) -> Windows:
    """Measure every five steps, and report the mean in each of them."""
    shape = (len(values), -1, LONGEST, values.shape[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of what was not observed at all
        means = np.nanmean(values.reshape(shape), axis=2, keepdims=True)
    return np.broadcast_to(means, (*means.shape[:2], LONGEST, means.shape[3])).reshape(
        values.shape
    )


def slower(values: Windows, spec: WindowSpec) -> Windows:
    """Let everything be answered after three times as long."""
    times = [3 if name.endswith("response_ms") else 1 for name in spec.features]
    return values * np.array(times, np.float32)


def without_means(values: Windows, spec: WindowSpec) -> Windows:
    """Report no means and maxima any more."""
    counts = np.array([is_count(name) for name in spec.features])
    return np.where(counts, values, np.float32(np.nan))


def turned(values: Windows, spec: WindowSpec) -> Windows:
    """Call the other end forward."""
    here, there = next(pair for pair in DIRECTIONS if spec.features[0].startswith(pair))
    order = []
    for name in spec.features:
        old, new = (here, there) if name.startswith(here) else (there, here)
        order.append(spec.features.index(new + name.removeprefix(old)))
    return values[..., order]


CHANGES: dict[str, Change] = {
    "as recorded": as_it_is,
    "load x3": busier(3),
    "load x8": busier(8),
    "one event in eight": quieter,
    "five steps averaged": averaged,
    "answers after 3 times as long": slower,
    "no means and maxima": without_means,
    "directions exchanged": turned,
}
