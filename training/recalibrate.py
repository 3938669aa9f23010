"""Recalibrating: a finished bundle's thresholds for the unknown, found anew on other traffic.

Nothing is trained: what windows are compared with stays, and from how far on they are unknown is
found on links that the encoder has not learnt from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt

import msgspec
import numpy as np

from detector.anchors import AnchorSet
from detector.architecture import Architecture
from detector.bundle import Bundle
from detector.capture import CaptureError, LinkCapture
from detector.encoder import open_encoder
from detector.oncall.rates import most_events
from detector.oncall.strangeness import HOURS_A_WEEK, Known
from detector.state import NORMAL

from .calibration import calibrate, scored

# The variance of a tail of this shape or more is infinite, so a dozen alarms say nothing of how
# often there are any far beyond them. Near them, where hours were many, it does no harm.
HEAVY = 0.5
FAR = 10.0  # times as strange as the alarms that were counted


def recalibrated(
    bundle: Bundle, links: Sequence[LinkCapture], *, assume_normal: bool = False
) -> Bundle:
    """Give a bundle calibrated anew on links of which it has not learnt.

    With *assume_normal* rows without a label count as normal.

    Raises:
        CaptureError: if nothing is left to calibrate on, or the bundle can't tell unknown windows.
    """
    if bundle.known is None:
        raise CaptureError("the bundle has no known windows to compare with: train it anew")
    training = bundle.manifest.training
    fresh = [link for link in links if link.run not in {*training.runs, *training.validation_runs}]
    if not fresh:
        raise CaptureError("the bundle has learnt from every run of these captures")
    if assume_normal:
        fresh = [_all_normal(link) for link in fresh]
    anchors = AnchorSet(bundle.anchor_embeddings, bundle.labels)
    encoder, spec, known = open_encoder(bundle), bundle.manifest.window, bundle.known
    tracks = scored(fresh, spec, encoder, anchors, known.scores)
    found = calibrate(tracks, anchors.labels, spec.span_ms, known.calibration.scale)
    # Faults that these captures don't have keep the thresholds that training found.
    found = msgspec.structs.replace(found, faults=known.calibration.faults | found.faults)
    return replace(
        bundle,
        manifest=msgspec.structs.replace(bundle.manifest, known=found),
        known=Known(known.points, found),
    )


def doubt(before: Bundle, bundle: Bundle, budget_a_week: float) -> str:
    """Say why a new calibration is worth nothing, and what it needs; mostly nothing.

    A threshold that is merely much higher than before is none: traffic may be as odd as that.
    """
    if bundle.known is None or before.known is None:
        return ""
    found, old = bundle.known.calibration, before.known.calibration.tail
    tail, reach = found.tail, _reach(bundle.manifest.architecture) / found.scale
    threshold = tail.threshold_for(budget_a_week)
    if threshold > reach:
        why = f"no window can be farther than {reach:.2f}, so none would ever be unknown"
    elif tail.shape >= HEAVY and threshold > FAR * tail.threshold:
        why = f"that is {threshold / tail.threshold:.0f} times as far as what was seen"
    else:
        return ""
    than = f" (the bundle's own has {old.hours:.1f})" if old.hours > tail.hours else ""
    return (
        f"{tail.events} false alarms in {tail.hours:.1f} link-hours, with a tail of shape "
        f"{tail.shape:.2f}, put the threshold of the unknown at {threshold:.2f}, which was "
        f"{old.threshold_for(budget_a_week):.2f}; {why}: give more link-hours{than} on which "
        "nothing was wrong"
    )


def as_text(before: Bundle, bundle: Bundle, budget_a_week: float) -> Iterator[str]:
    """Say what a calibration found, beside what there was before, for people."""
    if bundle.known is None or before.known is None:
        return
    found, old = bundle.known.calibration, before.known.calibration
    tail, most = found.tail, most_events(found.tail.events)
    yield f"calibrated on {found.runs} links, {tail.hours:.1f} link-hours of normal traffic"
    yield (
        f"false alarms counted: {tail.events} above {tail.threshold:.2f}; "
        f"at most {most:.0f} were meant (95 %)"
    )
    for label in bundle.manifest.labels:
        new, was = (one.threshold(label, budget_a_week) for one in (found, old))
        yield f"  {label:<20} unknown above {new:.2f} (was {was:.2f})"
    claim = HOURS_A_WEEK / tail.hours * most_events(0)
    if claim > budget_a_week:
        yield (
            f"a budget of {budget_a_week:g} a link-week is extrapolated: without any false alarm "
            f"these hours prove no fewer than {claim:.1f} a week"
        )


def _reach(architecture: Architecture) -> float:
    """Give the farthest that two embeddings can be from each other."""
    if architecture.activation == "unit":
        return 2.0  # across the sphere
    return sqrt(architecture.embedding)  # from corner to corner of the cube


def _all_normal(link: LinkCapture) -> LinkCapture:
    labels = np.array([NORMAL if label is None else label for label in link.labels], object)
    return replace(link, labels=labels)
