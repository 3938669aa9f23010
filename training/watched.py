"""Watched links: what a bundle says of captured links step by step, beside what is true.

This is what a picture of runs, embeddings and confusion is drawn from; nothing here draws.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.bundle import Bundle
from detector.capture import CaptureError, LinkCapture, read_links
from detector.config import State, Unknown
from detector.encoder import Encoder
from detector.replay import Replay
from detector.state import NORMAL
from detector.truth import Change, compare, stretches
from detector.window import WindowSpec

from .labelled import LabelledWindows
from .stated import by_the_rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One link as a bundle sees it, a window every step, and the truth."""

    name: str
    step_minutes: float
    labels: tuple[str, ...]  # that have an anchor
    minutes: NDArray[np.float64]  # (windows,), each window's end, from the link's first step
    distances: NDArray[np.float32]  # (windows, labels), to the nearest anchor of each label
    state: list[str | None]  # (windows,), the steady state after each window; None = not yet
    truth: list[str | None]  # (rows,)
    found_minutes: list[float]  # true changes that were reported
    missed_minutes: list[float]  # true changes that were not
    false_minutes: list[float]  # reported changes that did not happen

    @property
    def length_minutes(self) -> float:
        """How long the link was watched."""
        return len(self.truth) * self.step_minutes


def watch(
    bundle: Bundle, encoder: Encoder, link: LinkCapture, rule: State | None = None
) -> Watched:
    """Judge every window of a link in order, as the daemon does."""
    spec = bundle.manifest.window
    anchors = AnchorSet(bundle.anchor_embeddings, bundle.labels)
    windows = list(Replay([link], spec, hop_ms=spec.step_ms))
    ends_ms = [window.end_ms for window in windows]
    values = np.array([window.values for window in windows], np.float32)
    points = encoder.embed(values.reshape(-1, *spec.shape))
    nearest = anchors.classify(points)
    strangeness = bundle.strangeness(Unknown().false_alarms_a_link_week)
    states = by_the_rule(anchors, spec.span_ms, rule, strangeness)
    state = states(points, np.array(ends_ms))
    known = link.only(bundle.labels)  # what has no anchor can't be said rightly or wrongly
    found = compare([known], _changes(link.link, ends_ms, state), spec.span_ms)

    def minutes(times_ms: Sequence[int]) -> list[float]:
        return [(at_ms - link.start_ms) / 60_000 for at_ms in times_ms]

    missed = {change.at_ms for change in found.missed}
    return Watched(
        name=link.link,
        step_minutes=spec.step_ms / 60_000,
        labels=anchors.labels,
        minutes=np.array(minutes(ends_ms), np.float64),
        distances=nearest.distances,
        state=state,
        truth=[None if label is None else str(label) for label in link.labels],
        found_minutes=minutes([at for at in _onsets(known, spec) if at not in missed]),
        missed_minutes=minutes(sorted(missed)),
        false_minutes=minutes([change.at_ms for change in found.false]),
    )


def _changes(link: str, ends_ms: Sequence[int], states: Sequence[str | None]) -> list[Change]:
    """List the changes of state, from the normal that is taken for granted at first."""
    settled = [state or NORMAL for state in states]
    pairs = itertools.pairwise([NORMAL, *settled])
    return [
        Change(link, end, now)
        for end, (before, now) in zip(ends_ms, pairs, strict=True)
        if now != before
    ]


def _onsets(link: LinkCapture, spec: WindowSpec) -> list[int]:
    """List the true changes that could be reported, as `compare` counts them: milliseconds."""
    pairs = itertools.pairwise(stretches(link))
    first_end_ms = link.start_ms + spec.span_ms
    return [now.start_ms for _, now in pairs if now.start_ms >= first_end_ms]


def unseen(bundle: Bundle, paths: Sequence[Path], only: Sequence[str]) -> list[LinkCapture]:
    """Read the links of runs that the bundle's training did not see; none named = as in training.

    Raises:
        CaptureError: if there is none.
    """
    training = bundle.manifest.training
    seen = {*training.runs, *training.validation_runs}
    links = read_links(paths, bundle.manifest.window, only or training.links)
    fresh = [link for link in links if link.run not in seen]
    if not fresh:
        raise CaptureError("the bundle's training has seen every run of these captures")
    return fresh


@dataclass(frozen=True, slots=True)
class Embedded:
    """Windows as they lie in the embedding; the label "" stands for none."""

    points: NDArray[np.float32]  # (points, size)
    labels: list[str]  # (points,)


def embed(
    encoder: Encoder, links: Sequence[LinkCapture], spec: WindowSpec, count: int, seed: int
) -> Embedded:
    """Embed at most *count* windows of one label throughout, evenly over labels and runs.

    Where no window has a label, windows without one are taken.

    Raises:
        CaptureError: if no window can be judged.
    """
    windows = LabelledWindows(links, spec, tail=spec.steps)
    if not len(windows):
        blank = [_all_of_one_label(link) for link in links]
        windows = LabelledWindows(blank, spec, tail=spec.steps)
    if not len(windows):
        raise CaptureError("no window can be judged: too little was observed, or for too short")
    places = windows.evenly(count, seed)
    labels = [str(label) for label in windows.labels[places]]
    return Embedded(encoder.embed(windows.cut(places)), labels)


def _all_of_one_label(link: LinkCapture) -> LinkCapture:
    blank = np.full(len(link.labels), "", object)
    return LinkCapture(link.link, link.start_ms, link.step_ms, link.values, blank, link.kinds)


def confusion(
    bundle: Bundle, encoder: Encoder, links: Sequence[LinkCapture]
) -> dict[str, dict[str, int]]:
    """Count windows of one label throughout: true label to what the nearest anchor says.

    Labels that the bundle has no anchor for are left out.

    Raises:
        CaptureError: if nothing is left to judge on.
    """
    spec = bundle.manifest.window
    known = [link.only(bundle.labels) for link in links]
    windows = LabelledWindows(known, spec, tail=spec.steps)
    if not len(windows):
        raise CaptureError("no run that training did not see has a window of one label")
    anchors = AnchorSet(bundle.anchor_embeddings, bundle.labels)
    truth = windows.labels.astype(str)
    said = anchors.classify(encoder.embed(windows.cut(slice(None)))).label
    return {
        true: {
            label: int(((truth == true) & (said == place)).sum())
            for place, label in enumerate(anchors.labels)
        }
        for true in sorted(set(truth))
    }
