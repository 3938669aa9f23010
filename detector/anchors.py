"""Anchors: what a window is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .product import product


@dataclass(frozen=True, slots=True)
class Nearest:
    """For each window of a batch, how far each label is and which anchor is the nearest."""

    distances: NDArray[np.float32]  # (batch, labels), to the nearest anchor of each label
    label: NDArray[np.intp]  # (batch,), which label is the nearest
    anchor: NDArray[np.intp]  # (batch,), which anchor is the nearest
    margin: NDArray[np.float32]  # (batch,), the runner-up label's distance less the nearest's
    shares: NDArray[np.float32]  # (batch, labels), distances over the sum of the two smallest

    def part(self, which: slice) -> "Nearest":
        """Give the same of some of the windows."""
        return Nearest(
            self.distances[which],
            self.label[which],
            self.anchor[which],
            self.margin[which],
            self.shares[which],
        )


class AnchorSet:
    """Reference points and their labels.

    The last ones, each with a reach, were shown to a running daemon. What training knew is more
    than its anchors: an enrolled one claims a window only if that is no farther from it than its
    reach times the distance to the known windows around (`Known.distances`), or a single example
    would take all that lies beyond some other label's one reference.

    >>> anchors = AnchorSet(np.eye(2, dtype=np.float32), ("normal", "blocked"))
    >>> nearest = anchors.classify(np.array([[0.9, 0.0]], np.float32))
    >>> anchors.labels[nearest.label[0]]
    'normal'
    """

    def __init__(
        self, points: NDArray[np.float32], labels: Sequence[str], reaches: Sequence[float] = ()
    ) -> None:
        if len(points) != len(labels) or not len(labels):
            raise ValueError(f"{len(points)} anchors but {len(labels)} labels")
        if len(reaches) >= len(points):
            raise ValueError(f"{len(reaches)} of {len(points)} anchors can't be enrolled")
        self.trained = len(points) - len(reaches)  # the first of the anchors given
        self.labels = tuple(sorted(set(labels)))
        self.points = points  # (anchors, embedding), in the order given
        # Anchors of one label lie side by side: the nearest of each label is one reduction.
        self._order = np.array(sorted(range(len(labels)), key=lambda place: labels[place]))
        self._points = np.ascontiguousarray(points[self._order], np.float32)
        in_order = [labels[place] for place in self._order]
        self._first = np.array([in_order.index(label) for label in self.labels])
        self._squares = np.square(self._points).sum(axis=1)
        self._enrolled = np.flatnonzero(self._order >= self.trained)
        in_reach = self._order[self._enrolled] - self.trained
        self._reaches = np.asarray(reaches, np.float32)[in_reach]

    def classify(
        self, embeddings: NDArray[np.float32], known: NDArray[np.float32] | None = None
    ) -> Nearest:
        """Compare a batch with all anchors at once: (batch, embedding).

        *known* is how far each window is from what training knew: (batch,). An enrolled anchor
        that may not claim a window counts as at least as far as the runner-up of the others.
        """
        distances = self._distances(embeddings)
        if known is not None and len(self._enrolled):
            self._bar(distances, known)
        by_label = np.minimum.reduceat(distances, self._first, axis=1)
        best, second = _two_smallest(by_label)
        both = np.maximum(best + second, np.finfo(np.float32).tiny)
        return Nearest(
            distances=by_label,
            label=by_label.argmin(axis=1),
            anchor=self._order[distances.argmin(axis=1)],
            margin=second - best,
            shares=by_label / both[:, None],
        )

    def _bar(self, distances: NDArray[np.float32], known: NDArray[np.float32]) -> None:
        """Put enrolled anchors that may not claim a window behind the others."""
        mine = distances[:, self._enrolled]
        distances[:, self._enrolled] = np.inf
        _, second = _two_smallest(np.minimum.reduceat(distances, self._first, axis=1))
        # A hair more, for where there is one other label the runner-up is the best too.
        behind = np.maximum(mine, np.nextafter(second, np.float32(np.inf))[:, None])
        distances[:, self._enrolled] = np.where(
            mine <= self._reaches * known[:, None], mine, behind
        )

    def _distances(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Euclidean distance from each embedding to each anchor: (batch, anchors)."""
        squared = product(embeddings, self._points.T)
        squared *= -2
        squared += np.square(embeddings).sum(axis=1, keepdims=True)
        squared += self._squares
        # Rounding leaves values such as -1e-8 where 0 is meant, and their root is NaN.
        np.maximum(squared, 0, out=squared)
        distances: NDArray[np.float32] = np.sqrt(squared, out=squared)
        return distances


def _two_smallest(
    by_label: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the distances to the best label and to the runner-up; one label is both: (batch,)."""
    if by_label.shape[1] < 2:
        return by_label[:, 0], by_label[:, 0]
    two = np.partition(by_label, 1, axis=1)
    return two[:, 0], np.where(np.isfinite(two[:, 1]), two[:, 1], two[:, 0])
