"""Refining: the best few candidates are trained as `anchorwatch train` does, at full length."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from threading import Event

import numpy as np

from detector.anchors import AnchorSet
from detector.encoder import Encoder
from detector.onnx_engine import OnnxEngine
from training.data import Data
from training.fitting import Fitted, fit
from training.labelled import LabelledWindows
from training.progress import EpochBar
from training.reference import choose_anchors
from training.settings import Settings

from .brief import macro_f1
from .folds import Fold
from .journal import Candidate, Journal

SPEED_WINDOWS = 4000  # that speed is measured on


class StoppedError(Exception):
    """A training was told to stop; what it had learnt is lost."""


@dataclass(frozen=True, kw_only=True)
class Refining:
    """How candidates are trained at full length."""

    journal: Journal
    data: Data
    folds: Sequence[Fold]
    seeds: Sequence[int]
    stopping: Event
    tell: Callable[[str], None]
    bar: EpochBar

    def run(self, chosen: Sequence[Candidate]) -> None:
        """Train candidates one after the other on all folds, but nothing that is noted already."""
        noted = self.journal.refined()
        wanted = [
            (one, fold, seed) for one in chosen for fold in self.folds for seed in self.seeds
        ]
        todo = [part for part in wanted if name_of(*part) not in noted]
        if len(todo) < len(wanted):
            self.tell(f"{len(wanted) - len(todo)} of {len(wanted)} trainings are there already")
        for number, (one, fold, seed) in enumerate(todo, 1 + len(wanted) - len(todo)):
            if self.stopping.is_set():
                return
            what = f"training {number} of {len(wanted)}: candidate {one.number}, {fold.name}"
            try:
                result = self._train(one.settings, fold, seed, what)
            except StoppedError:
                return
            self.journal.note_refined(name_of(one, fold, seed), result)

    def _train(self, settings: Settings, fold: Fold, seed: int, what: str) -> dict[str, float]:
        # The second opinion doesn't count here, and its training takes time.
        settings = replace(settings, seed=seed, head=False)
        learning, recorded, left_out = parted(self.data, fold, settings)

        def progress(_what: str, epoch: int, epochs: int, measured: dict[str, float]) -> None:
            self.bar(what, epoch, epochs, measured)
            if self.stopping.is_set():
                raise StoppedError

        began = time.monotonic()
        fitted = fit(learning, settings, progress)
        seconds = time.monotonic() - began
        return {
            "score": score(fitted, recorded, left_out, settings),
            "seconds": round(seconds, 1),
            "parameters": sum(map(prod, fitted.architecture.shapes.values())),
            "windows_per_second": _speed(fitted, left_out),
        }


def name_of(candidate: Candidate, fold: Fold, seed: int) -> str:
    """Give the name that a training is noted under."""
    return f"{candidate.number}, {fold.name}, seed {seed}"


def parted(
    data: Data, fold: Fold, settings: Settings
) -> tuple[LabelledWindows, LabelledWindows, LabelledWindows]:
    """Give what is learnt from, what anchors are chosen from, and what is judged by."""
    spec = data.spec
    tail = min(settings.steps, max(1, round(settings.tail_seconds * 1000 / settings.step_ms)))
    learnt = [link for link in data.whole.learning.links if link.run not in fold.runs]
    recorded = [link for link in data.whole.recorded.links if link.run not in fold.runs]
    learning = LabelledWindows(learnt, spec, tail=tail)
    known = set(learning.labels)
    left_out = [link.only(known) for link in data.whole.recorded.links if link.run in fold.runs]
    judged = LabelledWindows(left_out, spec, tail=spec.steps)
    return learning, LabelledWindows(recorded, spec, tail=spec.steps), judged


def score(
    fitted: Fitted, recorded: LabelledWindows, left_out: LabelledWindows, settings: Settings
) -> float:
    """Give the macro-F1 of naming each window left out by the nearest anchor."""
    encoder = fitted.encoder
    chosen = choose_anchors(recorded, encoder, {}, kinds=settings.kinds)
    labels = [str(recorded.labels[place]) for place in chosen]
    anchors = AnchorSet(encoder.embed(recorded.cut(np.array(chosen))), labels)
    said = anchors.classify(encoder.embed(left_out.cut(slice(None)))).label
    return macro_f1(left_out.labels.astype(str), np.array(anchors.labels)[said])


def _speed(fitted: Fitted, windows: LabelledWindows) -> float:
    """Measure once how many windows a second the daemon's engine embeds."""
    steps = windows.spec.steps
    engine = OnnxEngine(fitted.architecture, fitted.weights, steps)
    encoder = Encoder(fitted.encoder.inputs, engine, fitted.architecture.embedding)
    values = windows.cut(np.arange(SPEED_WINDOWS) % len(windows))
    encoder.embed(values[: engine.tile])
    began = time.monotonic()
    encoder.embed(values)
    return round(len(values) / (time.monotonic() - began))
