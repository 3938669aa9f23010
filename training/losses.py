"""Losses: how far apart the encoder is to put windows of different labels.

Each is a function of one batch that was embedded once, and gives the loss and the share of what
it looked at that still costs something; a training whose share is near 0 has nothing left to
learn from. Those on triplets look at the ones that the miner picks, the others at all pairs.
`LOSSES` lists them with the outputs that they are defined for; a new one is a function and a
line there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from detector.keras_engine import keras

from .triplets import Miner, squared_distances

ops = keras.ops

Tensor = Any  # of whatever backend Keras runs on

EPSILON = 1e-6  # keeps logarithms from 0; float32 holds it beside 1
SCALE = 2.0  # multi-similarity's alpha: how much the hardest positive counts among the others
STEEP = 20.0  # its beta, for negatives; the paper has 50, which did no better here
SLACK = 0.1  # its epsilon: how much harder than the easiest of the others a pair must be


@dataclass(frozen=True)
class Embedded:
    """A batch after the encoder, and what a loss may be told."""

    points: Tensor  # (batch, embedding)
    classes: Tensor  # (batch,), whole numbers
    margin: float
    mine: Miner
    head: Tensor | None = None  # (embedding + 1,), weights and offset of a loss that learns

    @property
    def same(self) -> Tensor:
        """Which pairs are of one class, a window with itself included: (batch, batch)."""
        return self.classes[:, None] == self.classes[None, :]

    @property
    def positive(self) -> Tensor:
        """Which pairs are two windows of one class: (batch, batch)."""
        return ops.logical_and(self.same, ops.logical_not(_itself(self.points)))


Measured = tuple[Tensor, Tensor]  # the loss, the share that costs something; one number each


def triplet(batch: Embedded) -> Measured:
    """Zero once the negative is *margin* farther away than the positive.

    The mean is over the triplets that cost something, as Hermans et al. 2017 do it: easy ones
    must not hush up the rest.

    Source: Schroff, Kalenichenko and Philbin 2015, FaceNet, equation 1. Distances are squared,
    so with sigmoid embeddings of d dimensions they lie between 0 and d.
    """
    distances = squared_distances(batch.points)
    mined = ops.cast(batch.mine(distances, batch.classes, batch.margin), "float32")
    gaps = distances[:, :, None] - distances[:, None, :] + batch.margin
    costs = ops.relu(gaps) * mined
    count = ops.sum(ops.cast(costs > 0, "float32"))
    return ops.sum(costs) / ops.maximum(count, 1.0), _share(count, ops.sum(mined))


def lossless(batch: Embedded) -> Measured:
    """Never zero: pulls positives together and pushes negatives to the far corner.

    -ln(1 - d_ap/N + eps) - ln(d_an/N + eps) with squared distances in N dimensions, in float32
    whatever the rest is computed in. Outputs have to lie in [0, 1].

    Source: Arsenault 2018, Lossless triplet loss, with beta = N and without the linear part.
    """
    points = ops.cast(batch.points, "float32")
    _refuse_beyond_the_cube(points)
    size = points.shape[-1]
    distances = squared_distances(points) / size
    mined = ops.cast(batch.mine(distances * size, batch.classes, batch.margin), "float32")
    near = -ops.log1p(ops.clip(EPSILON - distances, EPSILON - 1, EPSILON))[:, :, None]
    far = -ops.log(ops.maximum(distances, 0.0) + EPSILON)[:, None, :]
    count = ops.sum(mined)
    gaps = (distances[:, :, None] - distances[:, None, :]) * size + batch.margin
    close = ops.cast(gaps > 0, "float32") * mined  # what a triplet loss would still cost
    return _share(ops.sum((near + far) * mined), count), _share(ops.sum(close), count)


def contrastive(batch: Embedded) -> Measured:
    """Half the squared distance of positives; of negatives half of what lacks to the margin.

    Source: Hadsell, Chopra and LeCun 2006, Dimensionality reduction by learning an invariant
    mapping, equation 4. Both sorts of pairs weigh the same, however many there are of each.
    """
    squared = squared_distances(batch.points)
    positive = ops.cast(batch.positive, "float32")
    negative = 1.0 - ops.cast(batch.same, "float32")
    lacking = ops.relu(batch.margin - ops.sqrt(squared + EPSILON**2))
    pulled, pushed = squared * positive / 2, ops.square(lacking) * negative / 2
    costly = ops.cast(lacking > 0, "float32") * negative
    loss = _share(ops.sum(pulled), ops.sum(positive)) + _share(ops.sum(pushed), ops.sum(negative))
    return loss, _share(ops.sum(costly), ops.sum(negative))


def logistic(batch: Embedded) -> Measured:
    """Cross-entropy of "these two are of one class" by a learnt weighing of |a - b|.

    Source: Taigman et al. 2014, DeepFace, section 4.2 (Siamese network). Both sorts of pairs
    weigh the same, however many there are of each.
    """
    if batch.head is None:
        raise ValueError("the logistic loss needs its weights: one for each output, and an offset")
    differences = ops.abs(batch.points[:, None, :] - batch.points[None, :, :])
    scores = ops.sum(differences * batch.head[:-1], axis=-1) + batch.head[-1]
    positive = ops.cast(batch.positive, "float32")
    negative = 1.0 - ops.cast(batch.same, "float32")
    # A score above 0 says that they differ; softplus is -ln of the sigmoid, and never overflows.
    pulled = _share(ops.sum(ops.softplus(scores) * positive), ops.sum(positive))
    pushed = _share(ops.sum(ops.softplus(-scores) * negative), ops.sum(negative))
    wrong = ops.where(scores > 0, positive, negative)
    return pulled + pushed, _share(ops.sum(wrong), ops.sum(positive) + ops.sum(negative))


def supervised_contrastive(batch: Embedded) -> Measured:
    """Cross-entropy of picking a positive among all others, by likeness over *margin*.

    The margin is the paper's temperature. Outputs have to be of length 1.

    Source: Khosla et al. 2020, Supervised contrastive learning, equation 2 (L_out).
    """
    likeness = ops.matmul(batch.points, ops.transpose(batch.points)) / batch.margin
    likeness = ops.where(_itself(batch.points), -1e9, likeness)
    chances = likeness - ops.logsumexp(likeness, axis=1, keepdims=True)
    positive = ops.cast(batch.positive, "float32")
    partners = ops.sum(positive, axis=1)
    costs = -ops.sum(ops.where(batch.positive, chances, 0.0), axis=1) / ops.maximum(partners, 1.0)
    nearest = ops.argmax(likeness, axis=1)
    wrong = ops.cast(ops.take(batch.classes, nearest) != batch.classes, "float32")
    paired = ops.cast(partners > 0, "float32")
    return _share(ops.sum(costs), ops.sum(paired)), _share(
        ops.sum(wrong * paired), ops.sum(paired)
    )


def multi_similarity(batch: Embedded) -> Measured:
    """Weigh each pair by how hard it is for itself and among the others of its window.

    The margin is the paper's lambda, the likeness that parts positives from negatives. Outputs
    have to be of length 1.

    Source: Wang et al. 2019, Multi-similarity loss, equations 6, 7 (which pairs) and 8.
    """
    likeness = ops.matmul(batch.points, ops.transpose(batch.points))
    positive, negative = batch.positive, ops.logical_not(batch.same)
    hardest_negative = ops.max(ops.where(negative, likeness, -2.0), axis=1, keepdims=True)
    hardest_positive = ops.min(ops.where(positive, likeness, 2.0), axis=1, keepdims=True)
    pulled = ops.logical_and(positive, likeness - SLACK < hardest_negative)
    pushed = ops.logical_and(negative, likeness + SLACK > hardest_positive)
    less, more = batch.margin - likeness, likeness - batch.margin
    pull = ops.log1p(ops.sum(ops.where(pulled, ops.exp(SCALE * less), 0.0), axis=1)) / SCALE
    push = ops.log1p(ops.sum(ops.where(pushed, ops.exp(STEEP * more), 0.0), axis=1)) / STEEP
    looked_at = ops.cast(ops.logical_or(positive, negative), "float32")
    active = ops.cast(ops.logical_or(pulled, pushed), "float32")
    return ops.mean(pull + push), _share(ops.sum(active), ops.sum(looked_at))


@dataclass(frozen=True)
class Loss:
    """A loss, and what it asks of the encoder."""

    of: Callable[[Embedded], Measured]
    outputs: tuple[str, ...] = ("sigmoid", "unit")  # activations that it is defined for
    learns: bool = False  # whether it has weights of its own, which training finds as well


LOSSES: dict[str, Loss] = {
    "triplet": Loss(triplet),
    "lossless": Loss(lossless, outputs=("sigmoid",)),
    "contrastive": Loss(contrastive),
    "logistic": Loss(logistic, learns=True),
    "supervised-contrastive": Loss(supervised_contrastive, outputs=("unit",)),
    "multi-similarity": Loss(multi_similarity, outputs=("unit",)),
}


def check_loss(name: str, activation: str) -> None:
    """Refuse a loss that is not defined for what the encoder gives.

    Raises:
        ValueError: if it isn't, or there is no such loss.
    """
    if name not in LOSSES:
        raise ValueError(f"there is no loss {name!r}, only {', '.join(LOSSES)}")
    if activation not in LOSSES[name].outputs:
        fit = " or ".join(LOSSES[name].outputs)
        raise ValueError(f"the loss {name!r} needs {fit} outputs, not {activation!r}")


def _itself(points: Tensor) -> Tensor:
    """Mark each window's pair with itself: (batch, batch)."""
    return ops.cast(ops.eye(ops.shape(points)[0]), "bool")


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return part / ops.maximum(whole, 1.0)


def _refuse_beyond_the_cube(points: Tensor) -> None:
    """Raise where numbers are at hand; inside a compiled step they are not, `check_loss` is."""
    try:
        least, most = float(ops.min(points)), float(ops.max(points))
    except (TypeError, ValueError):
        return
    if not 0 <= least <= most <= 1:
        raise ValueError(f"outputs from {least:g} to {most:g} are not within [0, 1]")
