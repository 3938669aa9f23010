"""What states the daemon's own rule gives a link, window by window."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.config import State
from detector.oncall.strangeness import Strangeness
from detector.sight import Sight
from detector.state import Steady, sayings

States = Callable[[NDArray[Any], NDArray[np.int64]], list[str | None]]


def by_the_rule(
    anchors: AnchorSet,
    span_ms: int,
    rule: State | None = None,
    strangeness: Strangeness | None = None,
) -> States:
    """Make the function from one link's embeddings, and their windows' ends, to its states."""

    def states(points: NDArray[Any], ends_ms: NDArray[np.int64]) -> list[str | None]:
        if not len(points):
            return []
        steady, nearest = Steady(anchors.labels, rule), anchors.classify(points)
        strange = strangeness(points, nearest.label) if strangeness else None
        said = sayings(nearest, ends_ms, span_ms, strange)
        return [steady.push("", one).label for one in said]

    return states


def by_sight(sight: Sight, rule: State | None = None) -> States:
    """Make the same for all that a daemon goes by: enrolled anchors, and the unknown."""
    span_ms = sight.bundle.manifest.window.span_ms

    def states(points: NDArray[Any], ends_ms: NDArray[np.int64]) -> list[str | None]:
        if not len(points):
            return []
        steady, seen = sight.steady(rule), sight.look(points)
        said = sayings(seen.nearest, ends_ms, span_ms, seen.strangeness)
        return [steady.push("", one).label for one in said]

    return states
