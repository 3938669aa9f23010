"""Separation: how far what is to be enrolled stays clear of what has a name already.

Of all windows that have been called a label so far, the share that would still be called it.
Windows of one link are alike, so the interval is one over links (of capture files: over runs):
they are drawn anew two thousand times. Where none of n lost a window, nobody knows more than
that a share of 1 - 0.025 ** (1 / n) of them may; the lower limit is never above that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.sight import Seen, Sight
from detector.state import UNKNOWN
from training.judging.intervals import bootstrap
from training.judging.scores import Floats, Tally

from .incident import Incident
from .watching import Watched

UNLIKELY = 0.025  # on either side of an interval of 95 %


@dataclass(frozen=True, slots=True)
class Separation:
    """How much of a label's windows would stay its own."""

    label: str
    windows: int  # called it so far
    lost: int  # that would be called otherwise
    groups: int  # links, or runs, that they are of
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share that stays."""
        return 1 - self.lost / self.windows


def separations(
    watched: Sequence[Watched], before: Sight, after: Sight, incident: Incident, label: str
) -> tuple[Separation, ...]:
    """Give the separation from each label that anything was called so far, the worst first.

    The windows of the incident itself don't count: they are to be called otherwise.
    """
    counts: dict[str, dict[str, list[int]]] = {}
    span_ms = before.bundle.manifest.window.span_ms
    for one in watched:
        was, now = said(before, one.before[0]), said(after, one.after[0])
        is_own = incident.holds(one.piece.link, one.ends_ms, span_ms)
        taken, other = now == label, (was != label) & ~is_own
        for name in set(was[other].tolist()):
            mine = other & (was == name)
            kept = counts.setdefault(name, {}).setdefault(one.piece.group, [0, 0])
            kept[0] += int((mine & ~taken).sum())
            kept[1] += int((mine & taken).sum())
    found = [_separation(name, groups) for name, groups in counts.items()]
    return tuple(sorted(found, key=lambda one: (one.value, one.label)))


def said(sight: Sight, seen: Seen) -> NDArray[np.object_]:
    """Give what each window is called."""
    names = np.array([*sight.labels, UNKNOWN], object)
    place = seen.nearest.label
    if seen.strangeness is not None:
        place = np.where(seen.strangeness > 1, len(sight.labels), place)
    called: NDArray[np.object_] = names[place]
    return called


def _separation(label: str, groups: dict[str, list[int]]) -> Separation:
    names = tuple(sorted(groups))
    counts = np.zeros((len(names), 2, 2), np.int64)
    counts[:, 0] = [groups[name] for name in names]
    found = bootstrap([Tally(names, ("kept", "lost"), counts)], _kept)
    most = UNLIKELY ** (1 / len(names))
    low = most if np.isnan(found.low) else min(found.low, most)
    high = 1.0 if np.isnan(found.high) else found.high
    total = counts[:, 0].sum(axis=0)
    return Separation(label, int(total.sum()), int(total[1]), len(names), float(low), float(high))


def _kept(counts: NDArray[Any]) -> Floats:
    kept, lost = counts[..., 0, 0], counts[..., 0, 1]
    share: Floats = np.where(kept + lost > 0, kept / np.maximum(kept + lost, 1), np.nan)
    return share
