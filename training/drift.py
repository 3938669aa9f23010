"""Drift: what a bundle takes along to tell whether traffic still is as in its training.

Everything here is of normal windows that were recorded, a window's length apart, so that none
counts twice. `detector/drift` holds live windows against it.
"""

import numpy as np
from numpy.typing import NDArray

from detector.drift.reference import OUTSIDE, Reference, Sample
from detector.encoder import Encoder
from detector.inputs import Inputs
from detector.oncall.strangeness import to_neighbours
from detector.state import NORMAL

from .calibration import NEIGHBOURS, known_points, usual_scale
from .data import Data
from .labelled import LabelledWindows

MOST = 50_000  # windows that the ranges are of, evenly from all that there are
TILE = 1024  # windows whose inputs are made at once, to bound memory


def reference(
    windows: LabelledWindows, inputs: Inputs, score: float | None, most: int = MOST
) -> Reference | None:
    """Take the reference from recorded windows, *most* at most; None where none is normal.

    *score* is that of `usual_score`, None where nothing is known.
    """
    places = apart(windows)
    if not len(places):
        return None
    links = len(set(windows.owners[places].tolist()))
    some = places[:: -(-len(places) // most)]
    means = np.concatenate(
        [
            inputs(windows.cut(some[start : start + TILE])).mean(axis=1)
            for start in range(0, len(some), TILE)
        ]
    )
    low, high = np.quantile(means, (OUTSIDE / 2, 1 - OUTSIDE / 2), axis=0).astype(np.float32)
    return Reference(Sample(len(places), links, score), low, high)


def usual_score(data: Data, encoder: Encoder, seed: int) -> float | None:
    """Give the score that 39 in 40 normal windows of the validation runs stay below.

    Above it are as many as by inputs are above their range. At 19 in 20 one link in seven that
    nobody had learnt from seemed to drift if it went on for a day (docs/experiments.md).
    *encoder* has not learnt from those: scores of what it has are lower than any others will be.
    In scales, so that it holds for an encoder that learnt by the same recipe from more runs.
    """
    # Of one label throughout: the others are named by their last rows.
    others = LabelledWindows(data.validation.links, data.spec, tail=data.spec.steps)
    places = apart(others)
    if not len(places):
        return None
    learnt = data.rehearsal.learning
    points = known_points(learnt, encoder, seed)
    scale = usual_scale(points, learnt, encoder, seed)
    distances = to_neighbours(encoder.embed(others.cut(places)), points, NEIGHBOURS)
    return max(float(np.quantile(distances, 1 - OUTSIDE / 2)) / scale, 1e-6)


def apart(windows: LabelledWindows) -> NDArray[np.intp]:
    """Give the normal windows, of each link only such as have no row in common."""
    taken = []
    owner, free = -1, 0  # the link in hand, and its first row that is in no window yet
    normal = np.flatnonzero(windows.labels == NORMAL)
    places = zip(normal.tolist(), windows.owners[normal], windows.starts[normal], strict=True)
    for place, whose, start in places:
        if whose != owner or start >= free:
            owner, free = whose, start + windows.spec.steps
            taken.append(place)
    return np.array(taken, np.intp)
