"""Fitting: windows as they come for the live bundle, turned into those that a candidate reads."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.window import Window, WindowSpec


class Fitting:
    """Picks a candidate's features out of live windows, by name.

    What the live windows don't have is not observed. A window that has too little of a feature
    which the candidate can't do without is unusable to it.

    >>> live = WindowSpec(("sent", "lost"), steps=1, step_ms=1000)
    >>> other = WindowSpec(("lost", "late"), steps=1, step_ms=1000, optional=("late",))
    >>> window = Window("trunk-1", "probe", 0, 1000, np.array([[9, 1]], np.float32))
    >>> Fitting(live, other)([window])[0].values.tolist()
    [[1.0, nan]]
    """

    def __init__(self, live: WindowSpec, candidate: WindowSpec) -> None:
        """Find the features.

        Raises:
            ValueError: if the candidate reads windows of another length or step.
        """
        if (live.steps, live.step_ms) != (candidate.steps, candidate.step_ms):
            raise ValueError(
                f"the candidate reads windows of {candidate.steps} steps of {candidate.step_ms} "
                f"ms, those that come have {live.steps} of {live.step_ms}"
            )
        places = {name: place for place, name in enumerate(live.features)}
        found = [places.get(name, -1) for name in candidate.features]
        self._candidate = candidate
        self._places = np.array(found, np.intp)
        self._is_missing = self._places < 0
        # What is usable to one is to the other, and nothing is to be done.
        self._is_same = live == candidate

    def __call__(self, windows: Sequence[Window]) -> list[Window | None]:
        """Give the candidate's windows, None for those that are unusable to it."""
        if self._is_same or not windows:
            return list(windows)
        values = self._values(np.stack([window.values for window in windows]))
        observed = (~np.isnan(values)).mean(axis=1)
        short = self._candidate.is_short(observed)
        is_unusable = [any(row) for row in short.tolist()]
        return [
            None if unusable else Window(one.link, one.source, one.start_ms, one.end_ms, rows)
            for one, rows, unusable in zip(windows, values, is_unusable, strict=True)
        ]

    def _values(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Order features as the candidate does: (windows, steps, features)."""
        picked = values[:, :, self._places]
        picked[:, :, self._is_missing] = np.nan
        return picked
