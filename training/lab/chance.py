"""Drawing so that a short list already covers the range: evenly, not independently."""

import math
from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Range = tuple[float, float]

GOLDEN = (math.sqrt(5) - 1) / 2


class Evenly:
    """Numbers from 0 to 1, a sequence of its own for each thing that is asked about.

    Each sequence begins anywhere and goes on in golden steps, so that any few numbers in a row
    lie well apart: six levels of one fault are six different sorts of level.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._last: dict[Hashable, float] = {}

    def number(self, *thing: Hashable) -> float:
        """Give the next number for *thing*."""
        last = self._last.get(thing)
        self._last[thing] = self._rng.random() if last is None else (last + GOLDEN) % 1
        return self._last[thing]


def choose(table: Sequence[tuple[float, T]], number: float) -> tuple[T, float]:
    """Choose by shares that add up to 1, and say how far into its share *number* lies.

    >>> choose([(0.75, "often"), (0.25, "seldom")], 0.875)
    ('seldom', 0.5)
    """
    for share, value in table[:-1]:
        if number < share:
            return value, number / share
        number -= share
    share, value = table[-1]
    return value, min(number / share, 1.0)


def within(bounds: Range, number: float) -> float:
    """Give the value at *number* of the way from one bound to the other."""
    return bounds[0] + (bounds[1] - bounds[0]) * number


def within_log(bounds: Range, number: float) -> float:
    """Give it on a logarithmic scale, in three digits, which is enough for a rate or a level.

    >>> within_log((1, 100), 0.5)
    10.0
    """
    return float(f"{bounds[0] * (bounds[1] / bounds[0]) ** number:.3g}")
