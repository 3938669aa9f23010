"""What the encoder is shown of a window: ratios and levels that mean the same on every link.

A bundle carries an `InputSpec`; training and the daemon compute it with this one piece of code.
Three forms cover what is needed, the first two over counters smoothed by a causal kernel in the
window:

* `Ratio`: a weighted sum of counters over another, plus a floor that keeps an idle link quiet:
  "answers less requests over both", "retransmissions over packets". It has no unit, so a link
  with a thousand calls a second and one with a call a minute look alike.
* `Level`: the logarithm of the mean of what was observed: response times, unknown counters.
* `Mask`: whether a feature was observed in a step, for exporters that leave some out.

Where which end is called forward is chance, `Swap` puts each window's busier direction first.

To add a form, give it a class here, a line in `Inputs.__call__`, and a recipe in training.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from .window import WindowSpec

CLIP = 6.0  # spreads; one wild counter must not carry a window to the far end of the space


class Ratio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sum(over) / (sum(under) + floor)`, each a weighted sum of smoothed counters.

    A sum under that is below 0 counts as 0, so that a foreign -1 never divides by nothing.
    """

    name: str
    over: dict[str, float]
    under: dict[str, float]
    floor: float = 1.0  # events; below it the ratio fades to 0 for want of evidence

    def __post_init__(self) -> None:
        if not self.floor > 0:
            raise ValueError(f"the floor of {self.name!r} is not above 0")


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`log(1 + mean)` of what was observed of one feature; 0 where nothing was."""

    name: str
    feature: str


class Mask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """1 in the steps in which a feature was observed, else 0."""

    name: str
    feature: str


class Swap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Windows in which *there* sums up to more than *here* have their directions exchanged."""

    here: str
    there: str
    pairs: dict[str, str]  # feature of one direction to the other's, each pair once

    def __post_init__(self) -> None:
        names = [*self.pairs, *self.pairs.values()]
        if len(set(names)) != len(names):
            raise ValueError("a feature is exchanged twice")


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which inputs, how smoothed, and the centre and spread that training found."""

    half_lives_seconds: tuple[float, ...]  # each ratio is given once for each of them
    ratios: tuple[Ratio, ...]
    levels: tuple[Level, ...]
    centre: tuple[float, ...] = ()  # one for each input; empty = 0
    spread: tuple[float, ...] = ()  # one for each input; empty = 1
    masks: tuple[Mask, ...] = ()
    swap: Swap | None = None

    def __post_init__(self) -> None:
        if not self.half_lives_seconds or min(self.half_lives_seconds) < 0:
            raise ValueError("there is no half-life, or one is below 0")
        for values in (self.centre, self.spread):
            if len(values) not in (0, len(self.names)):
                raise ValueError(f"{len(values)} numbers for {len(self.names)} inputs")
        if not all(np.isfinite(self.centre)) or not all(0 < s < np.inf for s in self.spread):
            raise ValueError("a centre is not finite, or a spread is not above 0")

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs in the order of the last axis."""
        ratios = [f"{ratio.name} {h:g}s" for h in self.half_lives_seconds for ratio in self.ratios]
        levels = [level.name for level in self.levels]
        return (*ratios, *levels, *(mask.name for mask in self.masks))


class Inputs:
    """Turns windows into what the encoder reads.

    >>> window = WindowSpec(features=("requests", "answers"), steps=2, step_ms=1000)
    >>> missed = Ratio("missed", over={"requests": 1, "answers": -1}, under={"requests": 1})
    >>> inputs = Inputs(InputSpec((0,), ratios=(missed,), levels=()), window)
    >>> inputs(np.array([[[9, 9], [9, 0]]], np.float32))[0, :, 0].tolist()
    [0.0, 0.8999999761581421]
    """

    def __init__(self, spec: InputSpec, window: WindowSpec) -> None:
        self.spec = spec
        self.window = window
        self._over = self._weights([ratio.over for ratio in spec.ratios])
        self._under = self._weights([ratio.under for ratio in spec.ratios])
        self._kernels = [self._kernel(seconds) for seconds in spec.half_lives_seconds]
        self._ratios = len(spec.ratios)
        self._floor = np.array([ratio.floor for ratio in spec.ratios], np.float32)
        self._levels = np.array([self._place(item.feature) for item in spec.levels], np.intp)
        self._masks = np.array([self._place(item.feature) for item in spec.masks], np.intp)
        self._swap = spec.swap and self._exchange(spec.swap)
        self._centre = np.array(spec.centre or [0.0] * self.count, np.float32)
        self._scale = np.array([1 / s for s in spec.spread] or [1.0] * self.count, np.float32)

    @property
    def count(self) -> int:
        """How many inputs the encoder reads in each step."""
        return len(self.spec.names)

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the inputs of a batch: (batch, steps, features) to (batch, steps, inputs).

        NaN (not observed) counts as nothing in a ratio and is left out of a level.
        """
        if self._swap:
            values = self._swap(values)
        missing = np.isnan(values)
        known = np.where(missing, np.float32(0), values)
        out = np.empty((*values.shape[:2], self.count), np.float32)
        for place, kernel in enumerate(self._kernels):
            ratios = out[..., place * self._ratios : (place + 1) * self._ratios]
            smooth = np.matmul(kernel, known)
            np.matmul(smooth, self._over, out=ratios)
            under = np.matmul(smooth, self._under)
            ratios /= np.maximum(under, 0, out=under) + self._floor
        first = len(self._kernels) * self._ratios
        if len(self._levels):
            out[..., first : first + len(self._levels)] = self._means(known, missing)
        if len(self._masks):
            out[..., first + len(self._levels) :] = ~missing[..., self._masks]
        out -= self._centre
        out *= self._scale
        return np.clip(out, -CLIP, CLIP, out=out)

    def _means(
        self, known: NDArray[np.float32], missing: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Give the logarithms of the means of what was observed: (batch, steps, levels)."""
        kernel = self._kernels[0]
        seen = np.matmul(kernel, 1 - missing[..., self._levels].astype(np.float32))
        mean = np.matmul(kernel, known[..., self._levels]) / np.maximum(seen, np.float32(1e-6))
        # A counter can't be negative, but a foreign feature may be: keep its sign.
        # log(1 + x) and not log1p(x), which is ten times slower on float32 and no better here.
        means: NDArray[np.float32] = np.sign(mean) * np.log(1 + np.abs(mean))
        return means

    def _exchange(self, swap: Swap) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        """Make the function that puts each window's busier direction first."""
        order = np.arange(len(self.window.features))
        for one, two in swap.pairs.items():
            order[[self._place(one), self._place(two)]] = self._place(two), self._place(one)
        here, there = self._place(swap.here), self._place(swap.there)

        def exchanged(values: NDArray[np.float32]) -> NDArray[np.float32]:
            sums = np.nansum(values[..., [here, there]], axis=1)  # (batch, 2)
            is_there = sums[:, 1] > sums[:, 0]
            return np.where(is_there[:, None, None], values[..., order], values)

        return exchanged

    def _kernel(self, half_life_seconds: float) -> NDArray[np.float32]:
        """Make the matrix whose row t sums the steps up to t: (steps, steps).

        Each step is worth half after every half-life.
        """
        age = np.subtract.outer(np.arange(self.window.steps), np.arange(self.window.steps))
        half_life = half_life_seconds * 1000 / self.window.step_ms
        worth = 0.5 ** (np.maximum(age, 0) / half_life) if half_life else (age == 0)
        return np.where(age >= 0, worth, 0).astype(np.float32)

    def _place(self, feature: str) -> int:
        try:
            return self.window.features.index(feature)
        except ValueError:
            raise ValueError(f"an input needs {feature!r}, which is not in the window") from None

    def _weights(self, sums: list[dict[str, float]]) -> NDArray[np.float32]:
        """One column for each weighted sum: (features, sums)."""
        table = np.zeros((len(self.window.features), len(sums)), np.float32)
        for column, weights in enumerate(sums):
            for feature, weight in weights.items():
                table[self._place(feature), column] = weight
        return table
