"""Triplets: two windows of one label from different runs, and one of another label.

Windows are never stored: a capture's rows lie in one table, a window is named by the row it
starts at, and a batch is gathered from the table when it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.capture import LinkCapture, is_count
from detector.inputs import Inputs
from detector.keras_engine import keras
from detector.window import WindowSpec

from .augment import load_scaled


@dataclass(frozen=True, slots=True)
class Place:
    """Where a window is: which link, and at which of its rows it starts."""

    link: LinkCapture
    row: int

    @property
    def start_ms(self) -> int:
        """Unix time of the window's start, milliseconds."""
        return self.link.start_ms + self.row * self.link.step_ms


class LabelledWindows:
    """All windows of some links that have a label, as row numbers into one table.

    A window's label is that of its last *tail* rows, which must agree; with a tail as long as
    the window it is pure, with a shorter one it may contain the change.
    """

    def __init__(
        self, links: Sequence[LinkCapture], spec: WindowSpec, *, tail: int, hop: int = 1
    ) -> None:
        self.spec = spec
        self.links = list(links)
        self.rows = np.concatenate([link.values for link in links])  # (rows, features)
        found = [_labelled(link, spec, tail, hop) for link in links]
        offsets = np.cumsum([0, *(len(link.values) for link in links)])
        self.starts = np.concatenate(
            [rows + offset for (rows, _), offset in zip(found, offsets, strict=False)]
        )
        self.labels = np.concatenate([labels for _, labels in found])
        self.owners = np.repeat(np.arange(len(links)), [len(rows) for rows, _ in found])
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def runs(self) -> NDArray[np.object_]:
        """Which run each window is from: (windows,)."""
        names = np.array([link.run for link in self.links], object)
        runs: NDArray[np.object_] = names[self.owners]
        return runs

    @cached_property
    def kinds(self) -> NDArray[np.object_]:
        """The mechanism behind each window's label, by its last row: (windows,)."""
        kinds = np.concatenate([link.kinds for link in self.links])
        last: NDArray[np.object_] = kinds[self.starts + self.spec.steps - 1]
        return last

    def cut(self, which: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """Gather windows: (windows, steps, features)."""
        windows: NDArray[np.float32] = self.rows[
            self.starts[which][:, None] + np.arange(self.spec.steps)
        ]
        return windows

    def place(self, which: int) -> Place:
        """Say where one window came from."""
        owner = int(self.owners[which])
        return Place(self.links[owner], int(self.starts[which] - self._offsets[owner]))


def _labelled(
    link: LinkCapture, spec: WindowSpec, tail: int, hop: int
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Find starts and labels of one link's usable windows."""
    count = len(link.values) - spec.steps + 1
    if count <= 0:
        return np.empty(0, np.int64), np.empty(0, object)
    last = np.lib.stride_tricks.sliding_window_view(link.labels, spec.steps)[:, -tail:]
    agreed = np.array([row[-1] is not None and (row == row[-1]).all() for row in last])
    gaps = np.isnan(link.values)[:, spec.required].astype(np.float32)
    missing = np.lib.stride_tricks.sliding_window_view(gaps, spec.steps, axis=0).mean(axis=-1)
    usable = agreed & (1 - missing >= spec.min_observed).all(axis=1)
    starts = np.flatnonzero(usable[::hop]) * hop
    return starts, last[starts, -1]


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
