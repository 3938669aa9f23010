"""What is counted of each link, side by side in arrays: a sum over all is a few reductions."""

from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

FIRST = 64  # places at the start
SET_BACK_MS = 60_000  # a link's time that is earlier by more was set back
SHARES = 2  # that are counted of a window


class Links:
    """Faded counts of links' windows."""

    def __init__(self, fade_seconds: float) -> None:
        self._fade_seconds = fade_seconds
        self._places: dict[str, int] = {}
        self._free: list[int] = []
        self._last_ms = np.zeros(FIRST, np.int64)  # end of the newest window looked at
        self._at = np.zeros(FIRST)  # when it was, seconds of the caller's clock
        self._weights = np.zeros(FIRST)  # windows looked at, faded
        self._sums = np.zeros((FIRST, SHARES), np.float64)  # of their shares, faded

    def __len__(self) -> int:
        return len(self._places)

    def due(self, names: Sequence[str], ends_ms: Sequence[int], span_ms: int) -> NDArray[np.intp]:
        """Give the places of windows of which nothing was seen yet; "" is no link.

        The first window of each link counts, later ones of the same batch don't.
        """
        known = np.array([self._places.get(name, -1) for name in names], np.intp)
        ends = np.array(ends_ms, np.int64)
        since = ends - self._last_ms[known]
        is_due = (since >= span_ms) | (since < -SET_BACK_MS) | (known < 0)
        seen: set[str] = {""}
        return np.array(
            [
                place
                for place in np.flatnonzero(is_due).tolist()
                if names[place] not in seen and not seen.add(names[place])  # type: ignore[func-returns-value]
            ],
            np.intp,
        )

    def add(
        self, chosen: Sequence[tuple[str, int]], shares: NDArray[np.float32], now: float
    ) -> None:
        """Count a window of each link named, with the end of its window: (windows, SHARES)."""
        places = np.array([self._place(name) for name, _ in chosen], np.intp)
        fade = np.exp(-np.maximum(0.0, now - self._at[places]) / self._fade_seconds)
        self._weights[places] = self._weights[places] * fade + 1
        self._sums[places] = self._sums[places] * fade[:, None] + shares
        self._at[places] = now
        self._last_ms[places] = [end_ms for _, end_ms in chosen]

    def counts(self, now: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give each link's weight and sums as they are by now: (links,), (links, SHARES)."""
        places = self._all()
        fade = np.exp(-np.maximum(0.0, now - self._at[places]) / self._fade_seconds)
        return self._weights[places] * fade, self._sums[places] * fade[:, None]

    def names(self, which: Sequence[int]) -> list[str]:
        """Name links by where they are in `counts`."""
        names = list(self._places) if len(which) else []
        return [names[place] for place in which]

    def keep(self, links: Container[str]) -> None:
        """Forget all other links."""
        for name in [name for name in self._places if name not in links]:
            place = self._places.pop(name)
            self._free.append(place)
            self._weights[place] = self._at[place] = self._last_ms[place] = 0
            self._sums[place] = 0

    def _all(self) -> NDArray[np.intp]:
        return np.fromiter(self._places.values(), np.intp, len(self._places))

    def _place(self, name: str) -> int:
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = self._free.pop() if self._free else len(self._places)
            if place >= len(self._weights):
                self._grow()
        return place

    def _grow(self) -> None:
        """Make room for twice as many."""
        for name in ("_last_ms", "_at", "_weights", "_sums"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
