"""What an encoder is made of, in words that every engine can build it from.

The description and the weights' names and shapes are the whole of an encoder: no code and no
pickles travel in a bundle. Gates lie in Keras's order (input, forget, cell, output), one matrix
for all four; an engine that wants another order rearranges them.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

STATISTICS = ("mean", "max", "min")  # in the order in which they follow the state
ACTIVATIONS = ("sigmoid", "unit")  # each number from 0 to 1; all together of length 1
TINY = 1e-12  # added to a squared length, so that no embedding is divided by 0
Weights = Mapping[str, NDArray[np.float32]]


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """LSTM layers, then a dense layer on the last step's state.

    With *statistics* the dense layer also sees the mean, the largest and the smallest of each
    input over the window: what a window holds on the whole need not be remembered step by step.
    Without any LSTM layer the last step's inputs stand for the state: an encoder without memory,
    which says what the recurrence is worth.

    >>> Architecture(inputs=2, units=(4,), embedding=3).shapes["lstm_0.kernel"]
    (2, 16)
    """

    inputs: int
    units: tuple[int, ...]  # one for each LSTM layer
    embedding: int
    statistics: bool = False
    activation: str = "sigmoid"  # one of ACTIVATIONS

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {self.activation!r} is not one this version knows")
        sizes = (self.inputs, *self.units, self.embedding)
        if not all(0 < size <= 4096 for size in sizes):
            raise ValueError(f"sizes {sizes} are not all from 1 to 4096")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every weight."""
        shapes: dict[str, tuple[int, ...]] = {}
        width = self.inputs
        for layer, units in enumerate(self.units):
            shapes[f"lstm_{layer}.kernel"] = (width, 4 * units)
            shapes[f"lstm_{layer}.recurrent"] = (units, 4 * units)
            shapes[f"lstm_{layer}.bias"] = (4 * units,)
            width = units
        width += len(STATISTICS) * self.inputs if self.statistics else 0
        shapes["dense.kernel"] = (width, self.embedding)
        shapes["dense.bias"] = (self.embedding,)
        return shapes

    def check(self, weights: Weights) -> None:
        """Refuse weights that are not this architecture's.

        Raises:
            ValueError: if a name or shape is off, or a number isn't finite.
        """
        found = {name: value.shape for name, value in weights.items()}
        if found != self.shapes:
            odd = sorted(dict(found.items() ^ self.shapes.items()))
            raise ValueError(f"the weights {', '.join(odd)} don't fit the architecture")
        for name, value in weights.items():
            if value.dtype != np.float32 or not np.isfinite(value).all():
                raise ValueError(f"the weight {name!r} is not finite float32")
