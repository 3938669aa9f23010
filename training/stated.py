"""What states the daemon's own rule gives a link, window by window."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.config import State
from detector.oncall.strangeness import Strangeness
from detector.state import Steady, sayings


def by_the_rule(
    anchors: AnchorSet,
    span_ms: int,
    rule: State | None = None,
    strangeness: Strangeness | None = None,
) -> Callable[[NDArray[Any], NDArray[np.int64]], list[str | None]]:
    """Make the function from one link's embeddings, and their windows' ends, to its states."""

    def states(points: NDArray[Any], ends_ms: NDArray[np.int64]) -> list[str | None]:
        if not len(points):
            return []
        steady, nearest = Steady(anchors.labels, rule), anchors.classify(points)
        strange = strangeness(points, nearest.label) if strangeness else None
        said = sayings(nearest, ends_ms, span_ms, strange)
        return [steady.push("", one).label for one in said]

    return states
