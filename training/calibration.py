"""Calibration: from when on a window is unknown, found on runs that the encoder has not learnt.

Scores of neighbouring windows are alike, so for false alarms no windows are counted: what is
counted is what an operator would be called for, changes of a link's state to `unknown`, under
the very rule that the daemon works by. Of a fault's windows each run has as much of a say.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet, Nearest
from detector.capture import CaptureError, LinkCapture
from detector.config import State as Rule
from detector.encoder import Encoder
from detector.oncall.strangeness import (
    Calibration,
    Known,
    Tail,
    to_neighbours,
)
from detector.state import NORMAL, UNKNOWN, Steady, sayings
from detector.window import WindowSpec

from .labelled import LabelledWindows

NEIGHBOURS = 5  # whose distances are averaged
POINTS = 500  # embeddings of known windows to compare with, half of them evenly over labels
SCALED_BY = 2000  # known normal windows whose scores give the scale ...
USUAL = 0.9  # ... at this quantile
REJECTED = 0.01  # share of a known fault's windows that may be called unknown
LEAST_RUNS = 5  # with a fault, or its threshold is that of normal
LADDER = 1.06  # from one threshold tried to the next
RUNGS = 120  # thresholds tried at most
TAIL_EVENTS = 12  # false alarms that the tail is taken from, where there are as many
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """One link's windows in time, named and scored."""

    run: str
    ends_ms: NDArray[np.int64]  # (windows,)
    nearest: Nearest
    scores: NDArray[np.float32]  # (windows,), in scales
    truth: NDArray[np.str_]  # (windows,), the label of a window of one label throughout, else ""

    @property
    def hours(self) -> float:
        """How long the link was seen to be normal throughout."""
        if len(self.ends_ms) < 2:
            return 0.0
        hop_ms = float(np.median(np.diff(self.ends_ms)))
        return float((self.truth == NORMAL).sum()) * hop_ms / 3_600_000


def calibrated(
    learnt: LabelledWindows,
    others: Sequence[LinkCapture],
    encoder: Encoder,
    anchors: AnchorSet,
    seed: int,
) -> Calibration | None:
    """Calibrate an encoder on links that it has not learnt from; None where that can't be done."""
    if NORMAL not in anchors.labels or not (learnt.labels == NORMAL).any():
        return None
    points = known_points(learnt, encoder, seed)
    scale = usual_scale(points, learnt, encoder, seed)
    tracks = scored(
        others,
        learnt.spec,
        encoder,
        anchors,
        lambda embeddings: to_neighbours(embeddings, points, NEIGHBOURS) / np.float32(scale),
    )
    try:
        return calibrate(tracks, anchors.labels, learnt.spec.span_ms, scale)
    except CaptureError:
        return None


def transferred(
    calibration: Calibration, learnt: LabelledWindows, encoder: Encoder, seed: int
) -> Known:
    """Give what an encoder knows that learnt by the same recipe, from more runs."""
    points = known_points(learnt, encoder, seed)
    scale = usual_scale(points, learnt, encoder, seed)
    return Known(points, msgspec.structs.replace(calibration, scale=scale))


def known_points(windows: LabelledWindows, encoder: Encoder, seed: int) -> NDArray[np.float32]:
    """Embed some of the windows that were learnt from: half evenly over labels, half normal."""
    rng = np.random.default_rng(seed)
    normal = np.flatnonzero(windows.labels == NORMAL)
    count = min(POINTS // 2, len(normal))
    places = [windows.evenly(POINTS - count, seed), rng.choice(normal, count, replace=False)]
    return encoder.embed(windows.cut(np.concatenate(places)))


def usual_scale(
    points: NDArray[np.float32], windows: LabelledWindows, encoder: Encoder, seed: int
) -> float:
    """Give the distance to *points* that nine in ten of the learnt normal windows stay below.

    A training that sees more runs makes another space; in units of this they are alike enough
    that what was calibrated on one can be used on the other.
    """
    normal = np.flatnonzero(windows.labels == NORMAL)
    rng = np.random.default_rng(seed + 1)
    places = rng.choice(normal, min(SCALED_BY, len(normal)), replace=False)
    distances = to_neighbours(encoder.embed(windows.cut(places)), points, NEIGHBOURS)
    return max(float(np.quantile(distances, USUAL)), 1e-6)


def scored(
    links: Sequence[LinkCapture],
    spec: WindowSpec,
    encoder: Encoder,
    anchors: AnchorSet,
    score: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> list[Scored]:
    """Name and score every usable window of some links; *score* takes embeddings."""
    found = []
    for link in links:
        rows = np.flatnonzero(link.usable(spec))
        if not len(rows):
            continue
        points = encoder.embed(link.windows(spec.steps)[rows])
        labels = np.lib.stride_tricks.sliding_window_view(link.labels, spec.steps)[rows]
        alike = (labels == labels[:, :1]).all(axis=1) & np.array(
            [one is not None for one in labels[:, 0]]
        )
        ends_ms = link.start_ms + spec.span_ms + rows * link.step_ms
        truth = np.where(alike, labels[:, 0], "").astype(str)
        found.append(Scored(link.link, ends_ms, anchors.classify(points), score(points), truth))
    return found


def calibrate(
    tracks: Sequence[Scored],
    labels: tuple[str, ...],
    span_ms: int,
    scale: float,
    rule: Rule | None = None,
) -> Calibration:
    """Find the thresholds.

    Raises:
        CaptureError: if no window was normal throughout.
    """
    hours = sum(track.hours for track in tracks)
    if not hours:
        raise CaptureError("nothing to calibrate on: no window is normal throughout")
    faults = _fault_thresholds(tracks, labels)
    tail = _tail(tracks, labels, span_ms, faults, rule or Rule(), hours)
    runs = len({track.run for track in tracks})
    return Calibration(scale, tail, faults, NEIGHBOURS, runs)


def false_alarms(
    tracks: Sequence[Scored], labels: tuple[str, ...], span_ms: int, thresholds: Floats, rule: Rule
) -> int:
    """Count the changes to `unknown` while links were normal throughout."""
    count = 0
    for track in tracks:
        steady, state = Steady(labels, rule), ""
        strangeness = (track.scores / thresholds[track.nearest.label]).astype(np.float32)
        said = sayings(track.nearest, track.ends_ms, span_ms, strangeness)
        for one, truth in zip(said, track.truth.tolist(), strict=True):
            before, state = state, steady.push(track.run, one).label or ""
            count += state == UNKNOWN != before and truth == NORMAL
    return count


def _fault_thresholds(tracks: Sequence[Scored], labels: tuple[str, ...]) -> dict[str, float]:
    """Give each fault's threshold: a quantile over its windows, each run with as much of a say."""
    found = {}
    for place, label in enumerate(labels):
        if label == NORMAL:
            continue
        rights = [t.scores[(t.truth == label) & (t.nearest.label == place)] for t in tracks]
        rights = [scores for scores in rights if len(scores)]
        if len(rights) < LEAST_RUNS:
            continue
        scores = np.concatenate(rights)
        weights = np.concatenate([np.full(len(one), 1 / len(one)) for one in rights])
        order = np.argsort(scores)
        share = np.cumsum(weights[order]) / (len(rights) + 1)  # one more: the run yet to come
        place_of = min(int(np.searchsorted(share, 1 - REJECTED)), len(order) - 1)
        found[label] = float(scores[order][place_of])
    return found


def _tail(
    tracks: Sequence[Scored],
    labels: tuple[str, ...],
    span_ms: int,
    faults: dict[str, float],
    rule: Rule,
    hours: float,
) -> Tail:
    """Count the false alarms up the ladder of thresholds, and measure how fast they get fewer."""
    scores = np.concatenate([t.scores[t.truth == NORMAL] for t in tracks])
    threshold, counts = float(np.quantile(scores, 0.5)), []
    for _ in range(RUNGS):
        thresholds = np.array([max(threshold, faults.get(label, 0.0)) for label in labels])
        counts.append((threshold, false_alarms(tracks, labels, span_ms, thresholds, rule)))
        if not counts[-1][1] and threshold > scores.max():
            break
        threshold *= LADDER
    enough = [rung for rung in counts if rung[1] >= TAIL_EVENTS] or [
        max(counts, key=lambda r: r[1])
    ]
    first, events = enough[-1]
    above = [rung for rung in counts if rung[0] >= first]
    # An event that is there up to the rung before the one where it is gone peaks between them.
    peaks = sum(
        (before[1] - after[1]) * np.log(after[0] / first)
        for before, after in itertools.pairwise(above)
        if before[1] > after[1]
    )
    return Tail(first, max(1, events), hours, max(float(peaks) / max(1, events), 0.05))
