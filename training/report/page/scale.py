"""Where a number stands on an axis."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers from *low* to *high*, drawn from *start* to *end* of the picture.

    >>> Scale(0.5, 1, 0, 100).at(0.75), Scale(0.5, 1, 0, 100).at(7)
    (50.0, 100.0)
    """

    low: float
    high: float
    start: float
    end: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"a scale from {self.low} to {self.high}")

    def at(self, value: float) -> float:
        """Give the place of a number; one that is beyond an end stands at the end."""
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """List round numbers to write at the axis.

        >>> Scale(0.5, 1, 0, 1).ticks(), Scale(0, 47, 0, 1).ticks()
        ([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], [0.0, 10.0, 20.0, 30.0, 40.0])
        """
        step = round_step((self.high - self.low) / most)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(number * step, 9) for number in range(first, last + 1)]


def round_step(least: float) -> float:
    """Give the next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(least))
    return next(
        step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= least * (1 - 1e-9)
    )


def around(values: Iterable[float | None], always: Iterable[float] = ()) -> tuple[float, float]:
    """Give round ends between which all of these lie, *always* too.

    >>> around([0.62, 0.97], always=[1]), around([-0.031, 0.35], always=[0]), around([0.3])
    ((0.6, 1.0), (-0.05, 0.35), (0.3, 0.4))
    """
    known = [value for value in (*values, *always) if value is not None and isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if low == high:
        high = low + max(0.1, abs(low) / 10)
    step = round_step((high - low) / 8)
    ends = floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step
    return round(ends[0], 9), round(ends[1], 9)
