"""Recalibrating: a finished bundle's thresholds for the unknown, found anew on other traffic.

Nothing is trained: what windows are compared with stays, and from how far on they are unknown is
found on links that the encoder has not learnt from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from detector.anchors import AnchorSet
from detector.bundle import Bundle
from detector.capture import CaptureError, LinkCapture
from detector.encoder import open_encoder
from detector.oncall.rates import most_events
from detector.oncall.strangeness import HOURS_A_WEEK, Known
from detector.state import NORMAL

from .calibration import calibrate, scored


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


def as_text(bundle: Bundle, budget_a_week: float) -> Iterator[str]:
    """Say what a calibration found, for people."""
    if bundle.known is None:
        return
    found = bundle.known.calibration
    tail, most = found.tail, most_events(found.tail.events)
    yield f"calibrated on {found.runs} links, {tail.hours:.1f} link-hours of normal traffic"
    yield (
        f"false alarms counted: {tail.events} above {tail.threshold:.2f}; "
        f"at most {most:.0f} were meant (95 %)"
    )
    for label in bundle.manifest.labels:
        yield f"  {label:<20} unknown above {found.threshold(label, budget_a_week):.2f}"
    claim = HOURS_A_WEEK / tail.hours * most_events(0)
    if claim > budget_a_week:
        yield (
            f"a budget of {budget_a_week:g} a link-week is extrapolated: without any false alarm "
            f"these hours prove no fewer than {claim:.1f} a week"
        )


def _all_normal(link: LinkCapture) -> LinkCapture:
    labels = np.array([NORMAL if label is None else label for label in link.labels], object)
    return replace(link, labels=labels)
