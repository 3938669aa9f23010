"""Losses: how far apart the encoder is to put windows of different labels.

Each is a function of three batches of embeddings, gives one number for each triplet, and names
its source. `LOSSES` lists them; a new one is a function and a line there.
"""

from collections.abc import Callable
from typing import Any

from detector.keras_engine import keras

ops = keras.ops

Tensor = Any  # of whatever backend Keras runs on


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distance of each pair: (batch, size), (batch, size) to (batch,)."""
    return ops.sum(ops.square(a - b), axis=-1)


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float) -> Tensor:
    """Zero once the negative is *margin* farther away than the positive.

    Source: Schroff, Kalenichenko and Philbin 2015, FaceNet, equation 1. Distances are squared,
    so with sigmoid embeddings of d dimensions they lie between 0 and d.
    """
    gap = squared_distance(anchor, positive) - squared_distance(anchor, negative)
    return ops.relu(gap + margin)


LOSSES: dict[str, Callable[..., Tensor]] = {"triplet": triplet}


def of_concatenated(name: str, size: int, margin: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Make a Keras loss of the three embeddings side by side: (batch, 3 * *size*)."""
    loss = LOSSES[name]

    def concatenated(_truth: Tensor, embeddings: Tensor) -> Tensor:
        anchor = embeddings[:, :size]
        positive = embeddings[:, size : 2 * size]
        negative = embeddings[:, 2 * size :]
        return loss(anchor, positive, negative, margin=margin)

    return concatenated
