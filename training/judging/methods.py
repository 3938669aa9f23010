"""Methods: what is judged, an encoder with anchors or anything that does the same.

A method names windows, says how strange each is, and takes on a new label from a few windows
without any training. Whoever wants to compare something else with the encoder gives it these
three and hands it to the same judges (`episodes`, `rejection`, `evaluate`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.bundle import Bundle
from detector.encoder import open_encoder
from detector.inputs import Inputs

Windows = NDArray[np.float32]  # (windows, steps, features), raw counters, NaN = not observed
Points = NDArray[np.float32]  # (windows, numbers), what of them is compared
Floats = NDArray[np.float64]
TILE = 1_024  # windows worked on at once, to bound memory


class Method(Protocol):
    """Names windows and can be shown a new label."""

    def name(self, windows: Windows) -> list[str]:
        """Give each window one of the labels that the method knows."""

    def strangeness(self, windows: Windows) -> Floats:
        """Say how unlike anything known each window is: (windows,), higher is stranger."""

    def with_references(self, label: str, windows: Windows) -> "Method":
        """Give a method that also knows *label*, from these few windows; this one stays."""


class Embeds(Protocol):
    """What an encoder is needed for here."""

    def embed(self, values: Windows) -> Points:
        """Embed raw windows: (batch, steps, features) to (batch, embedding)."""


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Embeddings of many known windows, to be near to."""

    points: Points
    neighbours: int = 5  # whose distances are averaged

    def __post_init__(self) -> None:
        if not 1 <= self.neighbours <= len(self.points):
            raise ValueError(f"{self.neighbours} neighbours of {len(self.points)} known windows")

    def distances(self, points: Points) -> Floats:
        """Mean distance from each of *points* to its nearest neighbours here: (windows,)."""
        found = np.empty(len(points))
        squares = np.square(self.points).sum(axis=1)
        for start in range(0, len(points), TILE):
            tile = points[start : start + TILE]
            # Roots are taken of the nearest only, and what all have in common is added then.
            squared = squares - 2 * tile @ self.points.T
            if self.neighbours < len(self.points):
                squared = np.partition(squared, self.neighbours - 1, axis=1)
            nearest = squared[:, : self.neighbours] + np.square(tile).sum(axis=1, keepdims=True)
            found[start : start + TILE] = np.sqrt(np.maximum(nearest, 0)).mean(axis=1)
        return found


@dataclass(frozen=True, kw_only=True)
class EncoderMethod:
    """The nearest anchor names a window; a new reference window is a further anchor.

    Strangeness is the distance to the nearest anchor; with a *bank* of known windows, that to
    its nearest neighbours there, or to a reference that was added since if that is nearer.
    """

    encoder: Embeds
    points: Points  # (anchors, embedding)
    labels: tuple[str, ...]  # of each anchor
    bank: Bank | None = None
    added: int = 0  # anchors, the last ones, that the bank knows nothing of

    @classmethod
    def of(
        cls, bundle: Bundle, known: Windows | None = None, neighbours: int = 5
    ) -> "EncoderMethod":
        """Make a bundle's method; with *known* windows, such as those learnt from, as its bank."""
        encoder = open_encoder(bundle)
        bank = None if known is None else Bank(points=encoder.embed(known), neighbours=neighbours)
        return cls(
            encoder=encoder, points=bundle.anchor_embeddings, labels=bundle.labels, bank=bank
        )

    def name(self, windows: Windows) -> list[str]:
        """Give each window the label of its nearest anchor."""
        if not len(windows):
            return []
        anchors = AnchorSet(self.points, self.labels)
        return [anchors.labels[n] for n in anchors.classify(self.encoder.embed(windows)).label]

    def strangeness(self, windows: Windows) -> Floats:
        """Give each window's distance to what is known."""
        points = self.encoder.embed(windows)
        if self.bank is None:
            return _nearest(points, self.points)
        added = self.points[len(self.points) - self.added :]
        return np.minimum(self.bank.distances(points), _nearest(points, added))

    def with_references(self, label: str, windows: Windows) -> "EncoderMethod":
        """Make each window a further anchor."""
        return replace(
            self,
            points=np.concatenate([self.points, self.encoder.embed(windows)]),
            labels=(*self.labels, *[label] * len(windows)),
            added=self.added + len(windows),
        )


def statistics(inputs: NDArray[np.float32]) -> Points:
    """Mean, deviation, least, most and last of each input: (windows, steps, inputs) to 5 each."""
    steps = [inputs.mean(axis=1), inputs.std(axis=1), inputs.min(axis=1), inputs.max(axis=1)]
    return np.hstack([*steps, inputs[:, -1]])


@dataclass(frozen=True)
class Summary:
    """Describes raw windows by the statistics of their inputs."""

    inputs: Inputs

    def __call__(self, windows: Windows) -> Points:
        """Describe windows: (windows, steps, features) to (windows, 5 for each input)."""
        starts = range(0, len(windows), TILE)
        tiles = [statistics(self.inputs(windows[start : start + TILE])) for start in starts]
        return np.concatenate(tiles) if tiles else np.empty((0, 5 * self.inputs.count), np.float32)


@dataclass(frozen=True, kw_only=True)
class LinearDiscriminant:
    """The nearest class mean of window statistics, whitened by the scatter within classes.

    Fisher 1936 with equal priors; the covariance is shrunk as Ledoit and Wolf 2004 say. This is
    what an encoder has to beat where a label is learnt from a few windows: a new label's mean is
    that of its references. Strangeness is the Mahalanobis distance to the nearest mean.
    """

    summary: Summary
    centre: Floats = field(repr=False)  # (numbers,)
    whitener: Floats = field(repr=False)  # (numbers, numbers)
    means: Floats = field(repr=False)  # (classes, numbers), whitened
    labels: tuple[str, ...]  # of each class

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        windows: Windows,
        labels: Sequence[str],
        kinds: Sequence[str] | None = None,
    ) -> "LinearDiscriminant":
        """Learn from labelled windows; with *kinds*, each kind of a label has a mean of its own.

        Windows should be dealt evenly over labels and runs: the scatter is that of them all.
        """
        from sklearn.covariance import LedoitWolf

        summary = Summary(inputs)
        points = summary(windows).astype(np.float64)
        given = labels if kinds is None else kinds
        pairs = [(str(label), str(kind)) for label, kind in zip(labels, given, strict=True)]
        classes = {pair: place for place, pair in enumerate(sorted(set(pairs)))}
        places = np.array([classes[pair] for pair in pairs])
        centre, deviation = points.mean(axis=0), points.std(axis=0)
        deviation[deviation < 1e-6] = np.inf  # constant here, so left out
        scaled = (points - centre) / deviation
        means = np.stack([scaled[places == place].mean(axis=0) for place in range(len(classes))])
        scatter = LedoitWolf(assume_centered=True).fit(scaled - means[places]).covariance_
        values, axes = np.linalg.eigh(scatter)
        # What hardly varied within the classes must not weigh without bound.
        whitener = axes / np.sqrt(np.maximum(values, 1e-4 * values.mean() or 1.0))
        return cls(
            summary=summary,
            centre=centre,
            whitener=whitener / deviation[:, None],
            means=means @ whitener,
            labels=tuple(label for label, _ in classes),
        )

    def name(self, windows: Windows) -> list[str]:
        """Give each window the label of the nearest mean."""
        return [self.labels[n] for n in self._from_means(windows).argmin(axis=1)]

    def strangeness(self, windows: Windows) -> Floats:
        """Give each window's distance to the nearest mean, in deviations."""
        nearest: Floats = self._from_means(windows).min(axis=1)
        return nearest

    def with_references(self, label: str, windows: Windows) -> "LinearDiscriminant":
        """Add the mean of the windows."""
        mean = self._whitened(windows).mean(axis=0, keepdims=True)
        means = np.concatenate([self.means, mean])
        return replace(self, means=means, labels=(*self.labels, label))

    def _whitened(self, windows: Windows) -> Floats:
        # As float64: what whitening makes large of small differences is subtracted again.
        whitened: Floats = (self.summary(windows) - self.centre) @ self.whitener
        return whitened

    def _from_means(self, windows: Windows) -> Floats:
        return _distances(self._whitened(windows), self.means)


def _nearest(points: Points, known: Points) -> Floats:
    """Distance from each point to the nearest of those known; infinite where there is none."""
    if not len(known):
        return np.full(len(points), np.inf)
    nearest: Floats = _distances(points, known).min(axis=1)
    return nearest


def _distances(points: NDArray[Any], known: NDArray[Any]) -> Floats:
    """Euclidean distance from each point to each of those known: (points, known)."""
    squared = -2.0 * points.astype(np.float64) @ known.T
    squared += np.square(points).sum(axis=1, keepdims=True)
    squared += np.square(known).sum(axis=1)
    # Rounding leaves values such as -1e-8 where 0 is meant, and their root is NaN.
    distances: Floats = np.sqrt(np.maximum(squared, 0, out=squared))
    return distances
