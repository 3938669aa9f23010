"""Triplets: which windows of a batch are held against which.

The batch is embedded once, and every pair of windows of one class with every window of another
is a triplet in it. A miner says which of them count, as a mask (batch, batch, batch): anchor,
positive, negative. `MINERS` lists them; a new one is a function and a line there.
"""

from collections.abc import Callable
from typing import Any

from detector.keras_engine import keras

ops = keras.ops

Tensor = Any  # of whatever backend Keras runs on
Miner = Callable[[Tensor, Tensor, float], Tensor]  # squared distances, classes, margin to mask

FAR = 1e9  # beyond any squared distance


def squared_distances(points: Tensor) -> Tensor:
    """Squared Euclidean distances of all pairs: (batch, embedding) to (batch, batch).

    By differences and not by products: near zero those are off by more than there is.
    """
    return ops.sum(ops.square(points[:, None, :] - points[None, :, :]), axis=-1)


def batch_all(_distances: Tensor, classes: Tensor, _margin: float) -> Tensor:
    """Every triplet there is.

    Source: Hermans, Beyer and Leibe 2017, In defense of the triplet loss, equation 6.
    """
    positive, negative = _pairs(classes)
    return ops.logical_and(positive[:, :, None], negative[:, None, :])


def batch_hard(distances: Tensor, classes: Tensor, _margin: float) -> Tensor:
    """For each window its farthest positive and its nearest negative.

    Source: Hermans, Beyer and Leibe 2017, In defense of the triplet loss, equation 5.
    """
    positive, negative = _pairs(classes)
    farthest = _first(ops.where(positive, distances, -FAR), positive)
    nearest = _first(ops.where(negative, -distances, -FAR), negative)
    return ops.logical_and(farthest[:, :, None], nearest[:, None, :])


def semi_hard(distances: Tensor, classes: Tensor, margin: float) -> Tensor:
    """Triplets whose negative is farther than the positive, but by less than the margin.

    Source: Schroff, Kalenichenko and Philbin 2015, FaceNet, section 3.2, equation 4.
    """
    gaps = distances[:, None, :] - distances[:, :, None]
    is_semi_hard = ops.logical_and(gaps > 0, gaps < margin)
    return ops.logical_and(batch_all(distances, classes, margin), is_semi_hard)


def random(seed: int) -> Miner:
    """Make the miner that draws one positive and one negative for each window."""
    drawn = keras.random.SeedGenerator(seed)

    def one_of_each(distances: Tensor, classes: Tensor, _margin: float) -> Tensor:
        positive, negative = _pairs(classes)
        shape = ops.shape(distances)
        picked = [
            _first(ops.where(pairs, keras.random.uniform(shape, seed=drawn), -1.0), pairs)
            for pairs in (positive, negative)
        ]
        return ops.logical_and(picked[0][:, :, None], picked[1][:, None, :])

    return one_of_each


MINERS: dict[str, Callable[[int], Miner]] = {  # made for a seed
    "batch-all": lambda _seed: batch_all,
    "batch-hard": lambda _seed: batch_hard,
    "semi-hard": lambda _seed: semi_hard,
    "random": random,
}


def _pairs(classes: Tensor) -> tuple[Tensor, Tensor]:
    """Mark the pairs of one class, a window with itself left out, and those of two."""
    same = classes[:, None] == classes[None, :]
    itself = ops.cast(ops.eye(ops.shape(classes)[0]), "bool")
    return ops.logical_and(same, ops.logical_not(itself)), ops.logical_not(same)


def _first(scores: Tensor, allowed: Tensor) -> Tensor:
    """Mark the pair of each row with the highest score, if any is allowed: (batch, batch)."""
    best = ops.one_hot(ops.argmax(scores, axis=1), ops.shape(scores)[1], dtype="bool")
    return ops.logical_and(best, allowed)
