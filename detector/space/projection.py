"""Projection: three dimensions of an embedding that may have more.

They are the same for as long as the bundle is in use. An embedding of up to three is shown as it
is; of a larger one the three directions are shown in which the windows known from training lie
apart the most (principal components; Pearson 1901), so that a point moves only because its
link's traffic does.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 3


@dataclass(frozen=True, slots=True)
class Projection:
    """Takes embeddings to points that can be drawn.

    >>> Projection.of(np.eye(2, dtype=np.float32))(np.array([[0.5, 1.0]], np.float32)).tolist()
    [[0.5, 1.0, 0.0]]
    """

    middle: NDArray[np.float32]  # (embedding,), where the view's origin lies
    axes: NDArray[np.float32]  # (embedding, 3)
    kept: float  # share of the variance of the points it was made of that it shows

    @classmethod
    def of(cls, points: NDArray[np.float32]) -> Self:
        """Make the view in which *points* lie apart the most: (points, embedding)."""
        size = points.shape[1]
        if size <= DIMENSIONS:
            return cls(np.zeros(size, np.float32), np.eye(size, DIMENSIONS, dtype=np.float32), 1.0)
        middle = points.mean(axis=0)
        _, spreads, directions = np.linalg.svd(points - middle, full_matrices=False)
        axes = np.zeros((size, DIMENSIONS), np.float32)
        found = directions[:DIMENSIONS].T
        # A direction and its opposite are as good: the larger part of each points upwards.
        largest = np.abs(found).argmax(axis=0)
        signs = np.sign(found[largest, range(found.shape[1])])
        axes[:, : found.shape[1]] = found * signs
        variances = np.square(spreads)
        whole = float(variances.sum())
        kept = float(variances[:DIMENSIONS].sum()) / whole if whole > 0 else 1.0
        return cls(middle.astype(np.float32), axes, kept)

    def __call__(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the points of embeddings: (batch, 3)."""
        points: NDArray[np.float32] = np.matmul(embeddings - self.middle, self.axes)
        return points
