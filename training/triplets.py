"""Triplets: two windows of one label from different runs, and one of another label."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.capture import is_count
from detector.inputs import Inputs
from detector.keras_engine import keras

from .augment import load_scaled
from .labelled import LabelledWindows


class Triplets(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of triplets, drawn as the training asks for them; the same for the same seed.

    Labels are drawn evenly, then runs evenly within the label, so that neither a common label
    nor a long run rules. Anchor and positive come from different runs wherever the label has
    two: what makes a run itself must not be what makes its label.
    """

    def __init__(
        self,
        windows: LabelledWindows,
        inputs: Inputs,
        *,
        batch: int,
        batches: int,
        seed: int,
        fresh: bool = True,
        load_span: float = 1.0,
        drop: float = 0.0,
        **keras_options: Any,
    ) -> None:
        super().__init__(**keras_options)
        self._windows, self._inputs = windows, inputs
        self._batch, self._batches, self._seed = batch, batches, seed
        self._fresh = fresh  # other triplets in each epoch; validation keeps to the same
        self._epoch = 0
        self._load_span = load_span  # counters of half of the windows times or by up to this
        self._drop = drop  # share of a window's inputs that are hidden
        self._counts = np.array([is_count(name) for name in windows.spec.features])
        names, label = np.unique(windows.labels.astype(str), return_inverse=True)
        if len(names) < 2:
            raise ValueError(f"triplets need two labels, these windows have {names.tolist()}")
        _, run = np.unique(windows.runs.astype(str), return_inverse=True)
        self._groups = _Groups(label, run)

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, index: int) -> tuple[tuple[NDArray[np.float32], ...], Any]:
        """Give batch *index*: anchors, positives and negatives, each (batch, steps, inputs)."""
        rng = np.random.default_rng((self._seed, self._epoch, index))
        drawn = np.concatenate(self._groups.draw(rng, self._batch))
        windows = self._windows.cut(drawn)
        if self._load_span > 1:
            windows = load_scaled(windows, self._counts, self._load_span, rng)
        inputs = self._inputs(windows)
        if self._drop:
            # 0 is an input's mean: the encoder must not lean on a single one.
            inputs *= rng.random((len(inputs), 1, inputs.shape[2]), np.float32) >= self._drop
        # Keras wants a truth; a triplet carries its own.
        return tuple(np.split(inputs, 3)), np.zeros((self._batch, 1), np.float32)

    def on_epoch_end(self) -> None:
        """Move on to other triplets."""
        self._epoch += self._fresh


class _Groups:
    """Window numbers sorted into groups of one label and one run, to draw from evenly."""

    def __init__(self, label: NDArray[np.intp], run: NDArray[np.intp]) -> None:
        pairs, group = np.unique(np.stack([label, run]), axis=1, return_inverse=True)
        self._members = np.argsort(group, kind="stable")
        self._sizes = np.bincount(group)
        self._first = np.cumsum(self._sizes) - self._sizes
        self._labels = int(label.max()) + 1
        counts = np.bincount(pairs[0])  # groups of each label; groups are sorted by label
        self._count, self._from = counts, np.cumsum(counts) - counts

    def draw(
        self, rng: np.random.Generator, batch: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Draw *batch* triplets of window numbers."""
        label = rng.integers(self._labels, size=batch)
        other = (label + rng.integers(1, self._labels, size=batch)) % self._labels
        place = rng.integers(self._count[label])
        # A step of 1 to count - 1 round the circle of the label's groups: never the same one.
        step = rng.integers(1, np.maximum(self._count[label], 2))
        anchor = self._from[label] + place
        positive = self._from[label] + (place + step) % self._count[label]
        negative = self._from[other] + rng.integers(self._count[other])
        return self._pick(rng, anchor), self._pick(rng, positive), self._pick(rng, negative)

    def _pick(self, rng: np.random.Generator, group: NDArray[np.intp]) -> NDArray[np.intp]:
        picked: NDArray[np.intp] = self._members[
            self._first[group] + rng.integers(self._sizes[group])
        ]
        return picked
