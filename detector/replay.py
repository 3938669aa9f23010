"""Replay: captures cut into windows and put in the order in which they would have come."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .window import Window, WindowSpec

if TYPE_CHECKING:
    from .capture import LinkCapture  # pandas

SOURCE = "replay"  # the exporter that replayed windows name


class Replay:
    """Every usable window of some links at a given hop, ordered by when it is complete.

    With *side_by_side* every run starts at the same moment, whenever it was recorded;
    the windows keep their own times.
    """

    def __init__(
        self,
        links: "Sequence[LinkCapture]",
        spec: WindowSpec,
        *,
        hop_ms: int,
        side_by_side: bool = False,
    ) -> None:
        self.spec = spec
        self._links = list(links)
        hop = max(1, round(hop_ms / spec.step_ms))
        begun_ms: dict[str, int] = {}
        for link in links:
            begun_ms[link.run] = min(link.start_ms, begun_ms.get(link.run, link.start_ms))
        owners, rows, due = [], [], []
        for owner, link in enumerate(links):
            starts = np.flatnonzero(link.usable(spec))[::hop]
            origin = begun_ms[link.run] if side_by_side else 0
            owners.append(np.full(len(starts), owner))
            rows.append(starts)
            due.append(link.start_ms - origin + (starts + spec.steps) * spec.step_ms)
        order = np.argsort(np.concatenate(due), kind="stable")
        self._owner = np.concatenate(owners)[order]
        self._row = np.concatenate(rows)[order]
        self.due_ms: NDArray[np.int64] = np.concatenate(due)[order]  # (windows,), ascending

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, place: int) -> Window:
        link, row = self._links[self._owner[place]], int(self._row[place])
        start_ms = link.start_ms + row * link.step_ms
        values = link.values[row : row + self.spec.steps]
        return Window(link.link, SOURCE, start_ms, start_ms + self.spec.span_ms, values)

    def __iter__(self) -> Iterator[Window]:
        return (self[place] for place in range(len(self)))
