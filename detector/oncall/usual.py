"""What is usual on each link: the mean row of its windows of late, while it was well.

It is what a fault's reasons are told against, so nothing is learnt from a link while any
evidence speaks for a fault. An incident can't become what is usual by lasting. Square roots are
averaged: what is left of a recovery storm in a window then weighs little.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WEIGHT = 0.2  # of one window in what is usual
EVERY_MS = 5000  # of a link's time, from one window that is learnt from to the next


class Usual:
    """Mean rows of links, one row of a table for each."""

    def __init__(self, features: tuple[str, ...]) -> None:
        self._features = features
        # (room, features), roots
        self._rows = np.full((16, len(features)), np.nan, np.float32)
        self._places: dict[str, int] = {}
        self._free: list[int] = list(range(len(self._rows)))
        self._learnt_ms: dict[str, int] = {}  # end of the last window that was learnt from

    def use(self, features: tuple[str, ...]) -> None:
        """Go on with windows of other features.

        What is known of those that stay is kept, unless there is a new one: a gap in what is
        known of a link would say that it never had that.
        """
        if features == self._features:
            return
        before = {name: place for place, name in enumerate(self._features)}
        if set(features) <= set(before):
            rows = self._rows[:, [before[name] for name in features]]
        else:
            rows = np.full((len(self._rows), len(features)), np.nan, np.float32)
            self._learnt_ms.clear()
        self._features, self._rows = features, rows

    def is_due(self, link: str, end_ms: int) -> bool:
        """Whether it is time to learn from a window of a link again."""
        return abs(end_ms - self._learnt_ms.get(link, -EVERY_MS)) >= EVERY_MS

    def learn(
        self, links: Sequence[str], ends_ms: Sequence[int], windows: NDArray[np.float32]
    ) -> None:
        """Learn from windows of links that are well: (windows, steps, features)."""
        if not len(links):
            return
        seen = ~np.isnan(windows)
        sums = np.where(seen, windows, 0).sum(axis=1, dtype=np.float64)
        means = np.where(seen.any(axis=1), sums / np.maximum(1, seen.sum(axis=1)), np.nan)
        means = np.sign(means) * np.sqrt(np.abs(means))
        places = [self._place(link) for link in links]
        old = self._rows[places]
        mixed = np.where(np.isnan(old), means, old + WEIGHT * (means - old))
        self._rows[places] = np.where(np.isnan(means), old, mixed)
        self._learnt_ms.update(zip(links, ends_ms, strict=True))

    def of(self, links: Sequence[str]) -> NDArray[np.float32]:
        """Give what is usual on some links; NaN where nothing is known: (links, features)."""
        found = np.full((len(links), self._rows.shape[1]), np.nan, np.float32)
        for row, link in enumerate(links):
            if link in self._places:
                roots = self._rows[self._places[link]]
                found[row] = np.sign(roots) * np.square(roots)
        return found

    def forget(self, link: str) -> None:
        """Make room of a link that is no more."""
        self._learnt_ms.pop(link, None)
        place = self._places.pop(link, None)
        if place is not None:
            self._rows[place] = np.nan
            self._free.append(place)

    def _place(self, link: str) -> int:
        if link not in self._places:
            if not self._free:
                size = len(self._rows)
                more = np.full_like(self._rows, np.nan)
                self._rows = np.concatenate([self._rows, more])
                self._free = list(range(size, 2 * size))
            self._places[link] = self._free.pop()
        return self._places[link]
