"""Strangeness: how unlike anything known a window is, and from when on it is called `unknown`.

The score is the mean distance to the five nearest of some hundred embeddings of known windows,
over what is usual for known windows themselves; of all that was tried on random loss, which no
training knew, this told it best (docs/experiments.md). The distance to the nearest anchor does
not: a window may be far from the one reference and in the midst of what is known.

Thresholds are conformal: quantiles of the scores of windows that the encoder had not learnt
from (Vovk, Gammerman and Shafer 2005). That of `normal` is set by a budget of false alarms a
link and week; where fewer hours were seen than such a rate needs, it follows the tail of those
alarms that there were (peaks over a threshold, Davison and Smith 1990), on a logarithmic scale.
"""

from dataclasses import dataclass
from math import exp, log

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.product import product

from .rates import most_events

HOURS_A_WEEK = 168
TILE = 1024  # windows compared at once, to bound memory


class Tail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often a link that is well is taken for unknown, by threshold.

    At `threshold` and above, the rate is `events / hours * (threshold / above) ** (1 / shape)`.
    A budget is kept by the upper limit of that rate: so few events may have been luck.
    """

    threshold: float  # at which the events were counted
    events: int  # false ones, each a change of state to `unknown`
    hours: float  # link-hours that were normal throughout
    shape: float  # mean of log(peak / threshold) over those events: heavier tails have more

    def __post_init__(self) -> None:
        numbers = (self.threshold, self.hours, self.shape)
        if not all(np.isfinite(number) and number > 0 for number in numbers) or self.events < 1:
            raise ValueError("the tail of the strangeness is not one of events in hours")

    def rate_a_week(self, above: float) -> float:
        """Give the false alarms of a link in a week at a threshold.

        >>> tail = Tail(threshold=2.0, events=10, hours=168.0, shape=0.5)
        >>> tail.rate_a_week(2.0), round(tail.rate_a_week(4.0), 3)
        (10.0, 2.5)
        """
        return (
            self.events
            / self.hours
            * HOURS_A_WEEK
            * exp(-log(above / self.threshold) / self.shape)
        )

    def threshold_for(self, budget_a_week: float) -> float:
        """Find the threshold of a budget, no lower than the one that events were counted at.

        >>> tail = Tail(threshold=2.0, events=10, hours=168.0, shape=0.5)
        >>> round(tail.threshold_for(1.0), 3), tail.threshold_for(1000.0)
        (8.237, 2.0)
        """
        rate = most_events(self.events) / self.hours * HOURS_A_WEEK
        return self.threshold * max(1.0, exp(self.shape * log(rate / budget_a_week)))


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when on a window is unknown, and what that was found on."""

    scale: float  # usual distance of known windows, by which distances are divided
    tail: Tail  # of the false alarms
    faults: dict[str, float]  # threshold of windows nearest to each fault
    neighbours: int = 5
    runs: int = 0  # calibrated on
    captures: dict[str, str] = {}  # file name to SHA-256, where it was done after training

    def __post_init__(self) -> None:
        if not all(np.isfinite(v) and v > 0 for v in (self.scale, *self.faults.values())):
            raise ValueError("a scale or threshold of the strangeness is not above 0")

    def threshold(self, label: str, budget_a_week: float) -> float:
        """Give the threshold of windows that are nearest to a label.

        What is nearest to a fault on a link that is well is a false alarm as any other, so no
        fault's is below that of normal; one that had too little data has that of normal.
        """
        return max(self.tail.threshold_for(budget_a_week), self.faults.get(label, 0.0))


@dataclass(frozen=True)
class Known:
    """What is known: embeddings of some windows, and from how far on another is unknown."""

    points: NDArray[np.float32]  # (points, embedding)
    calibration: Calibration

    def check(self, size: int) -> None:
        """Refuse points that embeddings of *size* numbers can't be compared with.

        Raises:
            ValueError: if the shape is off, or a number isn't finite.
        """
        if self.points.ndim != 2 or self.points.shape[1] != size:
            raise ValueError(f"the known points have the shape {self.points.shape}")
        if not 1 <= self.calibration.neighbours <= len(self.points):
            raise ValueError(f"{len(self.points)} known points are too few")
        if self.points.dtype != np.float32 or not np.isfinite(self.points).all():
            raise ValueError("the known points are not finite float32")

    def scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Say how far each embedding is from what is known, in scales: (batch,)."""
        return self.distances(embeddings) / np.float32(self.calibration.scale)

    def distances(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Say how far each embedding is from what is known, as embeddings are: (batch,)."""
        return to_neighbours(embeddings, self.points, self.calibration.neighbours)


def to_neighbours(
    embeddings: NDArray[np.float32], points: NDArray[np.float32], neighbours: int
) -> NDArray[np.float32]:
    """Give each embedding's mean distance to its nearest neighbours among *points*: (batch,)."""
    found = np.empty(len(embeddings), np.float32)
    squares = np.square(points).sum(axis=1)
    for start in range(0, len(embeddings), TILE):
        tile = embeddings[start : start + TILE]
        # What all have in common is added after the nearest are found, and the root taken.
        squared = squares - 2 * product(tile, points.T)
        if neighbours < len(points):
            squared = np.partition(squared, neighbours - 1, axis=1)
        nearest = squared[:, :neighbours] + np.square(tile).sum(axis=1, keepdims=True)
        found[start : start + TILE] = np.sqrt(np.maximum(nearest, 0)).mean(axis=1)
    return found


class Strangeness:
    """Gives the strangeness of windows in thresholds: above 1 they are unknown."""

    def __init__(self, known: Known, labels: tuple[str, ...], budget_a_week: float) -> None:
        self.known = known
        self.budget_a_week = budget_a_week
        thresholds = [known.calibration.threshold(label, budget_a_week) for label in labels]
        self.thresholds = np.array(thresholds, np.float32)

    def __call__(
        self, embeddings: NDArray[np.float32], place: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Score embeddings whose nearest label is at *place* among the labels: (batch,)."""
        return self.of(self.known.distances(embeddings), place)

    def of(self, distances: NDArray[np.float32], place: NDArray[np.intp]) -> NDArray[np.float32]:
        """Score windows by how far they are from what is known to them: (batch,)."""
        thresholds = self.thresholds[place] * np.float32(self.known.calibration.scale)
        strangeness: NDArray[np.float32] = distances / thresholds
        return strangeness
