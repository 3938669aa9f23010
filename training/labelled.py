"""Labelled windows: which windows of a capture have a label, and where they lie.

Windows are never stored: a capture's rows lie in one table, a window is named by the row it
starts at, and those that are asked for are gathered from the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detector.capture import LinkCapture
from detector.state import NORMAL
from detector.window import WindowSpec


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

    def after_fault(self, seconds: float) -> NDArray[np.bool_]:
        """Which windows end while a link is `normal` again, *seconds* after a fault at most.

        What was held back is sent then, and all at once: nothing else that is normal looks so
        much like a fault. A row without a label neither is a fault nor ends the time after one.
        """
        after = np.concatenate([_after_fault(link, seconds) for link in self.links])
        last: NDArray[np.bool_] = after[self.starts + self.spec.steps - 1]
        return last

    def cut(self, which: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """Gather windows: (windows, steps, features)."""
        windows: NDArray[np.float32] = self.rows[
            self.starts[which][:, None] + np.arange(self.spec.steps)
        ]
        return windows

    def evenly(self, count: int, seed: int) -> NDArray[np.intp]:
        """Draw at most *count* windows, evenly over labels and, within each, over runs: places.

        Where a run or a label has too few, the others give more. In ascending order.
        """
        order = np.random.default_rng(seed).permutation(len(self))
        _, label = np.unique(self.labels.astype(str), return_inverse=True)
        _, run = np.unique(self.runs.astype(str), return_inverse=True)
        for group in (label * (run.max() + 1) + run, label):
            # First the first of each run, then the second of each; then the same over labels.
            order = order[np.argsort(_places_within(group[order]), kind="stable")]
        return np.sort(order[:count])

    def place(self, which: int) -> Place:
        """Say where one window came from."""
        owner = int(self.owners[which])
        return Place(self.links[owner], int(self.starts[which] - self._offsets[owner]))


def _places_within(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """Count, for each entry, how many of the same group stand before it.

    >>> _places_within(np.array([7, 7, 5, 7, 5])).tolist()
    [0, 1, 0, 2, 1]
    """
    together = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[together], return_index=True, return_counts=True)
    places = np.empty(len(groups), np.intp)
    places[together] = np.arange(len(groups)) - np.repeat(starts, sizes)
    return places


def _after_fault(link: LinkCapture, seconds: float) -> NDArray[np.bool_]:
    """Which rows are normal, and at most *seconds* after one that was not: (rows,)."""
    place = np.arange(len(link.labels))
    is_normal = link.labels == NORMAL
    is_fault = ~is_normal & np.array([label is not None for label in link.labels], bool)
    never = -len(place) - seconds * 1000 / link.step_ms - 1  # so long ago that it is over
    last = np.maximum.accumulate(np.where(is_fault, place, never))
    after: NDArray[np.bool_] = is_normal & ((place - last) * link.step_ms <= seconds * 1000)
    return after


def _labelled(
    link: LinkCapture, spec: WindowSpec, tail: int, hop: int
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Find starts and labels of one link's usable windows."""
    count = len(link.values) - spec.steps + 1
    if count <= 0:
        return np.empty(0, np.int64), np.empty(0, object)
    last = np.lib.stride_tricks.sliding_window_view(link.labels, spec.steps)[:, -tail:]
    agreed = np.array([row[-1] is not None and (row == row[-1]).all() for row in last])
    usable = agreed & link.usable(spec)
    starts = np.flatnonzero(usable[::hop]) * hop
    return starts, last[starts, -1]
