"""Evaluation: how good a bundle is on runs that its training did not see.

The plain methods are trained in the same call on the runs that the encoder learnt from, and
stand in the same table: an encoder that does not beat them has no argument.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.bundle import Bundle
from detector.capture import CaptureError, LinkCapture, read_links
from detector.encoder import Encoder, open_encoder
from training.data import without_kinds
from training.labelled import LabelledWindows
from training.rivals import RIVALS, taught
from training.stated import by_the_rule

from .cell import Cell
from .pooling import Facts, study
from .recalled import recalled
from .strangers import Strangers
from .study import ENCODER, HEAD, UNSEEN, Study
from .watching import Watching

Progress = Callable[[str], None]


def _quiet(_what: str) -> None:
    """Show no progress."""


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What a bundle is judged by."""

    only: tuple[str, ...] = ()  # patterns of links; none = those that it was trained on
    agree: int = 3
    of: int = 5
    rivals: tuple[str, ...] = tuple(RIVALS)


def evaluate(
    bundle: Bundle,
    paths: Sequence[Path],
    judging: Judging = Judging(),
    progress: Progress = _quiet,
) -> Study:
    """Judge a bundle, and the plain methods, on the runs among *paths* that it has not seen.

    The plain methods learn from all links that the encoder learnt from.

    Raises:
        CaptureError: if nothing is left to judge on.
    """
    training, spec = bundle.manifest.training, bundle.manifest.window
    links = _unseen(bundle, paths, judging)
    # What the bundle has no name for can't be said rightly or wrongly.
    named = [link.only(bundle.labels) for link in links]
    if not len(LabelledWindows(named, spec, tail=spec.steps)):
        raise CaptureError("no run that training did not see has a window of one label")
    watching = Watching(named, spec, judging.agree, judging.of, links)
    cell = Cell(UNSEEN, "of these captures", training.seed, 0.0)
    encoder = open_encoder(bundle)
    progress(ENCODER)
    _judge_encoder(cell, bundle, encoder, watching)
    learnt = _learnt(bundle, paths)
    _judge_rivals(cell, bundle, learnt, watching, judging, progress)
    progress("what it has no name for")
    if learnt:
        known = LabelledWindows(learnt, spec, tail=spec.steps)
        anchors = bundle.anchor_embeddings, bundle.labels
        cell.rejections = Strangers.of(links, known, encoder, anchors, training.seed).rejected()
    facts = Facts(
        captures=training.captures,
        settings=dict(training.settings),
        steps=spec.steps,
        step_ms=spec.step_ms,
        bundle=bundle.id,
    )
    return study([cell], facts)


def _unseen(bundle: Bundle, paths: Sequence[Path], judging: Judging) -> list[LinkCapture]:
    """Read the links of runs that training did not see, with all their labels."""
    training = bundle.manifest.training
    seen = {*training.runs, *training.validation_runs}
    links = read_links(paths, bundle.manifest.window, judging.only or training.links)
    unseen = [link for link in links if link.run not in seen]
    if not unseen:
        raise CaptureError("the bundle's training has seen every run of these captures")
    return unseen


def _learnt(bundle: Bundle, paths: Sequence[Path]) -> list[LinkCapture]:
    """Read the links that the encoder learnt from; none where the captures don't have them."""
    training = bundle.manifest.training
    try:
        links = read_links(paths, bundle.manifest.window, training.links)
    except CaptureError:
        return []
    left_out = recalled(bundle.manifest).leave_kinds
    return [
        without_kinds(link.only(bundle.labels), left_out)
        for link in links
        if link.run in training.runs
    ]


def _judge_encoder(cell: Cell, bundle: Bundle, encoder: Encoder, watching: Watching) -> None:
    anchors = AnchorSet(bundle.anchor_embeddings, bundle.labels)

    def nearest(points: NDArray[np.float32]) -> list[str]:
        return [anchors.labels[place] for place in anchors.classify(points).label]

    points = watching.described(encoder.embed)
    states = by_the_rule(anchors, bundle.manifest.window.span_ms)
    cell.findings[ENCODER] = watching.judged(nearest, points, states)
    if bundle.head:
        cell.findings[HEAD] = watching.judged(bundle.head.name, points)


def _judge_rivals(
    cell: Cell,
    bundle: Bundle,
    learnt: Sequence[LinkCapture],
    watching: Watching,
    judging: Judging,
    progress: Progress,
) -> None:
    spec, training = bundle.manifest.window, bundle.manifest.training
    tail_ms = float(training.settings.get("tail_seconds", 0)) * 1000
    tail = min(spec.steps, max(1, round(tail_ms / spec.step_ms)))
    if not learnt:
        why = "the captures don't hold the runs that the encoder learnt from"
        cell.unavailable.update(dict.fromkeys(judging.rivals, why))
        return
    pure, partial = (LabelledWindows(learnt, spec, tail=rows) for rows in (spec.steps, tail))
    for name in judging.rivals:
        progress(name)
        try:
            rival = taught(name, pure, partial, training.seed)
        except (ValueError, ImportError) as error:  # what it can't do with, or without
            cell.unavailable[name] = str(error)
        else:
            cell.findings[name] = watching.judged(rival.predict)
