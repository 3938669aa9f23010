"""Evaluation: how good a bundle is on runs that its training did not see.

The plain methods are trained in the same call on the runs that the encoder learnt from, and
stand in the same table: an encoder that does not beat them has no argument.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.bundle import Bundle
from detector.capture import CaptureError, LinkCapture, read_links
from detector.encoder import open_encoder
from detector.replay import Replay
from detector.state import Steady
from detector.truth import Change, Found, compare
from detector.verdict import NORMAL
from detector.window import WindowSpec

from .labelled import LabelledWindows
from .rivals import RIVALS, RivalUnavailable

Predict = Callable[[NDArray[np.float32]], Sequence[str]]  # windows to labels
Progress = Callable[[str], None]
ENCODER = "encoder"


def _quiet(_what: str) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True)
class Score:
    """How one method did."""

    macro_f1: float  # over windows of one label throughout
    confusion: dict[str, dict[str, int]]  # true label to what was said, windows
    kind_recall: dict[str, float]  # share of each kind's windows that got the kind's label
    changes: Found  # on whole runs, with the steady state


@dataclass(frozen=True, slots=True)
class Report:
    """How all methods did on the same runs."""

    bundle: str
    runs: tuple[str, ...]  # judged on
    windows: int  # of one label throughout, one a second
    scores: dict[str, Score]
    unavailable: dict[str, str]  # methods that can't read these captures, and why


def evaluate(
    bundle: Bundle,
    paths: Sequence[Path],
    *,
    only: Sequence[str] = (),
    agree: int = 3,
    of: int = 5,
    rivals: Sequence[str] = tuple(RIVALS),
    progress: Progress = _quiet,
) -> Report:
    """Judge a bundle, and the plain methods, on the runs among *paths* that it has not seen.

    *only* are patterns of links to judge on; none = those that the bundle was trained on.
    The plain methods learn from all links that the encoder learnt from.

    Raises:
        CaptureError: if nothing is left to judge on.
    """
    training, spec = bundle.manifest.training, bundle.manifest.window
    seen = {*training.runs, *training.validation_runs}
    judged = read_links(paths, spec, only or training.links)
    # What the bundle has no name for can't be said rightly or wrongly.
    unseen = [link.only(bundle.labels) for link in judged if link.run not in seen]
    if not unseen:
        raise CaptureError("the bundle's training has seen every run of these captures")
    windows = LabelledWindows(unseen, spec, tail=spec.steps)
    if not len(windows):
        raise CaptureError("no run that training did not see has a window of one label")
    encoder = open_encoder(bundle)
    anchors = AnchorSet(bundle.anchor_embeddings, bundle.labels)
    progress(ENCODER)

    def nearest(values: NDArray[np.float32]) -> list[str]:
        places = anchors.classify(encoder.embed(values)).label
        return [anchors.labels[place] for place in places]

    scores = {ENCODER: score(nearest, windows, spec, agree, of)}
    unavailable: dict[str, str] = {}
    learnt = _learnt(bundle, paths)
    for name in rivals:
        progress(name)
        try:
            predict = _train_rival(name, learnt, bundle)
        except (ValueError, ImportError) as error:  # what it can't do with, or without
            unavailable[name] = str(error)
        else:
            scores[name] = score(predict, windows, spec, agree, of)
    runs = tuple(sorted({link.run for link in unseen}))
    return Report(bundle.id, runs, len(windows), scores, unavailable)


def _learnt(bundle: Bundle, paths: Sequence[Path]) -> list[LinkCapture]:
    """Read the links that the encoder learnt from; none where the captures don't have them."""
    training = bundle.manifest.training
    try:
        links = read_links(paths, bundle.manifest.window, training.links)
    except CaptureError:
        return []
    return [link.only(bundle.labels) for link in links if link.run in training.runs]


def score(
    predict: Predict, windows: LabelledWindows, spec: WindowSpec, agree: int, of: int
) -> Score:
    """Score one method on labelled windows, and on their links as whole runs."""
    truth = windows.labels.astype(str)
    said = np.array(predict(windows.cut(slice(None))), str)
    labels = sorted({*truth, *said})
    confusion = {
        true: {label: int(((truth == true) & (said == label)).sum()) for label in labels}
        for true in sorted(set(truth))
    }
    kinds = np.where(windows.kinds.astype(bool), windows.kinds, truth).astype(str)
    recall = {kind: float((said == truth)[kinds == kind].mean()) for kind in sorted(set(kinds))}
    changes = [
        change
        for link in windows.links
        for change in report_changes(predict, link, spec, agree, of)
    ]
    found = compare(windows.links, changes, spec.span_ms)
    return Score(macro_f1(truth, said), confusion, recall, found)


def report_changes(
    predict: Predict, link: LinkCapture, spec: WindowSpec, agree: int, of: int
) -> list[Change]:
    """List the changes of state that a method would report of a link, a window every step."""
    windows = list(Replay([link], spec, hop_ms=spec.step_ms))
    if not windows:
        return []
    steady, state, changes = Steady(agree, of), NORMAL, []
    labels = predict(np.stack([window.values for window in windows]))
    for window, label in zip(windows, labels, strict=True):
        now = steady.push(link.link, window.end_ms, str(label)).label or state
        if now != state:
            changes.append(Change(link.link, window.end_ms, now))
            state = now
    return changes


def macro_f1(truth: NDArray[Any], said: NDArray[Any]) -> float:
    """Give the mean F1 of the labels that are true of some window.

    >>> macro_f1(np.array(["a", "a", "b", "b"]), np.array(["a", "a", "b", "a"]))
    0.7333333333333334
    """
    scores = []
    for label in sorted(set(truth)):
        hits = float(((truth == label) & (said == label)).sum())
        scores.append(2 * hits / float((truth == label).sum() + (said == label).sum()))
    return float(np.mean(scores))


def _train_rival(name: str, links: Sequence[LinkCapture], bundle: Bundle) -> Predict:
    """Train a plain method on the windows of the runs that the encoder learnt from."""
    if not links:
        raise RivalUnavailable("the captures don't hold the runs that the encoder learnt from")
    spec = bundle.manifest.window
    rival = RIVALS[name](spec.features, bundle.manifest.training.seed)
    windows = LabelledWindows(links, spec, tail=spec.steps)
    rival.fit(windows.cut(slice(None)), list(windows.labels), list(windows.runs))
    return rival.predict


def as_json(report: Report) -> dict[str, Any]:
    """Give the report as plain data."""
    return {
        "bundle": report.bundle,
        "runs": list(report.runs),
        "windows": report.windows,
        "unavailable": report.unavailable,
        "scores": {name: _plain(score) for name, score in report.scores.items()},
    }


def _plain(score: Score) -> dict[str, Any]:
    changes = score.changes
    return {
        "macro_f1": round(score.macro_f1, 4),
        "confusion": score.confusion,
        "kind_recall": {kind: round(share, 4) for kind, share in score.kind_recall.items()},
        "onsets": changes.onsets,
        "found": changes.found,
        "false_changes": len(changes.false),
        "watched_hours": round(changes.watched_seconds / 3600, 3),
        "delay_seconds": delays(changes.delays_seconds),
    }


def delays(by_label: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Median and worst delay of the changes to each label that were found, seconds."""
    return {
        label: {"median": round(median(found), 1), "worst": round(max(found), 1)}
        for label, found in sorted(by_label.items())
    }
