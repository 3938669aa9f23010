"""Batches: some windows of every class, each from another run, drawn as training asks for them."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.inputs import Inputs
from detector.keras_engine import keras
from detector.state import NORMAL

from .augment import Augment, hidden
from .labelled import LabelledWindows

RECOVERY_SECONDS = 35.0  # no recovery storm in the captures that ship lasted longer

Batch = tuple[NDArray[np.float32], NDArray[np.int32]]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of labelled windows; the same for the same seed.

    A batch has a fixed number of windows of each class, however rare it is, and they come from
    as many runs as there are: neither a common class nor a long run rules, and a window's
    positives are of other runs. What makes a run itself must not be what makes its label.
    """

    def __init__(
        self,
        windows: LabelledWindows,
        inputs: Inputs,
        *,
        size: int,
        batches: int,
        seed: int,
        normal_share: float = 0.0,
        recovery_share: float = 0.0,
        kinds: bool = False,
        fresh: bool = True,
        augment: Augment | None = None,
        drop: float = 0.0,
        **keras_options: Any,
    ) -> None:
        super().__init__(**keras_options)
        self._windows, self._inputs = windows, inputs
        self._batches, self._seed = batches, seed
        self._fresh = fresh  # other windows in each epoch; validation keeps to the same
        self._epoch = 0
        self._augment = augment
        self._drop = drop  # share of a window's inputs that are hidden
        self.names, classes = np.unique(classes_of(windows, kinds=kinds), return_inverse=True)
        if len(set(windows.labels)) < 2:
            found = sorted(set(windows.labels.astype(str).tolist()))
            raise ValueError(f"triplets need two labels, these windows have {found}")
        _, run = np.unique(windows.runs.astype(str), return_inverse=True)
        counts = _shares(self.names.tolist(), size, normal_share)
        pools, self._classes, self._counts = _pools(windows, classes, counts, recovery_share)
        self._groups = _Groups(pools, run)

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, index: int) -> Batch:
        """Give batch *index*: inputs (batch, steps, inputs) and classes (batch,)."""
        rng = np.random.default_rng((self._seed, self._epoch, index))
        windows = self._windows.cut(self._groups.draw(rng, self._counts))
        if self._augment:
            windows = self._augment(windows, rng)
        inputs = self._inputs(windows)
        if self._drop:
            inputs = hidden(inputs, self._drop, rng)
        return inputs, self._classes

    def on_epoch_end(self) -> None:
        """Move on to other windows."""
        self._epoch += self._fresh


def classes_of(
    windows: LabelledWindows, *, kinds: bool, which: NDArray[np.intp] | slice = slice(None)
) -> NDArray[np.str_]:
    """Give what is told apart: each window's label, with its kind where *kinds*: (windows,).

    >>> label_of("blocked/peer_dead"), label_of("blocked")
    ('blocked', 'blocked')
    """
    labels = windows.labels[which].astype(str)
    if not kinds:
        return labels
    pairs = zip(labels, windows.kinds[which], strict=True)
    return np.array([f"{one}/{kind}" if kind and kind != one else one for one, kind in pairs])


def label_of(name: str) -> str:
    """Give the label of a class."""
    return name.partition("/")[0]


def _shares(names: list[str], size: int, normal_share: float) -> NDArray[np.intp]:
    """Deal a batch of about *size* windows to classes, evenly over labels: (classes,).

    `normal` gets *normal_share* of it, or as much as each other label where that is 0. A class
    has two windows at least, or none would have a positive.
    """
    kinds = Counter(map(label_of, names))
    share: Mapping[str, float] = dict.fromkeys(kinds, 1 / len(kinds))
    if normal_share and NORMAL in kinds:
        rest = (1 - normal_share) / (len(kinds) - 1)
        share = {label: normal_share if label == NORMAL else rest for label in kinds}
    dealt = [round(size * share[label_of(name)] / kinds[label_of(name)]) for name in names]
    return np.array([max(2, count) for count in dealt])


def _pools(
    windows: LabelledWindows,
    classes: NDArray[np.intp],
    counts: NDArray[np.intp],
    recovery_share: float,
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.intp]]:
    """Part each class with normal windows after a fault into those and the rest.

    Gives the pool of each window (windows,), the class of each window of a batch (batch,), and
    how many are drawn of each pool (pools,).
    """
    recovering = windows.after_fault(RECOVERY_SECONDS) if recovery_share else np.zeros(1, bool)
    pool, of_class, drawn = classes * 2 + recovering, [], []
    for place, count in enumerate(counts):
        both = [mark for mark in (0, 1) if (pool == 2 * place + mark).any()]
        late = round(count * recovery_share) if len(both) == 2 else count * (both == [1])
        drawn += [part for mark, part in ((0, count - late), (1, late)) if mark in both]
        of_class += [place] * count
    _, pools = np.unique(pool, return_inverse=True)
    return pools, np.array(of_class, np.int32), np.array(drawn)


class _Groups:
    """Window numbers sorted into groups of one pool and one run, to draw from evenly."""

    def __init__(self, pools: NDArray[np.intp], run: NDArray[np.intp]) -> None:
        pairs, group = np.unique(np.stack([pools, run]), axis=1, return_inverse=True)
        self._members = np.argsort(group, kind="stable")
        self._sizes = np.bincount(group)
        self._first = np.cumsum(self._sizes) - self._sizes
        count = np.bincount(pairs[0])  # groups of each pool; groups are sorted by pool
        self._of_pool = np.split(np.arange(len(self._sizes)), np.cumsum(count)[:-1])

    def draw(self, rng: np.random.Generator, counts: NDArray[np.intp]) -> NDArray[np.intp]:
        """Draw so many windows of each pool, each pool from as many groups as it has."""
        pairs = zip(self._of_pool, counts, strict=True)
        group = np.concatenate([_dealt(groups, count, rng) for groups, count in pairs])
        drawn: NDArray[np.intp] = self._members[
            self._first[group] + rng.integers(self._sizes[group])
        ]
        return drawn


def _dealt(groups: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw *count* groups, none twice before each was drawn once."""
    rounds = [rng.permutation(groups) for _ in range(-(-count // len(groups)))]
    dealt: NDArray[np.intp] = np.concatenate([groups[:0], *rounds])[:count]
    return dealt
