"""Training: captures in, a bundle out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector import __version__
from detector.anchors import AnchorSet
from detector.bundle import FORMAT, Bundle, Manifest, Training
from detector.oncall.strangeness import Calibration, Known

from .calibration import calibrated, transferred
from .canaries import choose, expected_recall
from .data import Data, Side, read
from .descent import Descent, surer
from .drift import reference, usual_score
from .fitting import Fitted, Progress, fit
from .labelled import LabelledWindows
from .reference import choose_anchors, describe, find_anchors
from .settings import Settings, plain
from .trace import Tracer

GOLDEN = 8
TRACED = 900  # windows that a trace follows
ELSEWHERE = {  # in a manifest: what has a place of its own there
    *("steps", "step_ms", "features", "links", "anchors", "units", "embedding", "activation"),
    *("statistics", "seed", "half_lives_seconds"),
}


def train(
    paths: Sequence[Path], settings: Settings, progress: Progress, trace: Path | None = None
) -> Bundle:
    """Train an encoder on captures.

    Raises:
        CaptureError: if the captures can't be learnt from.
    """
    return learn(read(paths, settings), settings, progress, trace)


def learn(
    data: Data,
    settings: Settings,
    progress: Progress,
    trace: Path | None = None,
    descent: Descent | None = None,
) -> Bundle:
    """Train an encoder on what was read, from scratch or from the weights of another.

    It learns twice: first without the validation runs, which tell how good the recipe is on
    runs it has not seen; then, if *refit*, from all runs, since with a few dozen runs each one
    counts. How the training whose encoder is kept went is written to *trace*.

    Raises:
        CaptureError: if the captures can't be learnt from.
    """
    side = data.whole if settings.refit else data.rehearsal
    start = descent.start if descent else None
    taught = descent.shortened(settings) if descent else settings
    given = find_anchors(side.recorded, settings.anchors, kinds=settings.kinds)
    tracer = _tracer(side.recorded, settings) if trace else None
    early = None if settings.refit else tracer
    fitted = fit(data.rehearsal.learning, taught, progress, data.validation, early, start)
    anchors = _rehearsed(fitted, data, settings)
    scores = _scores(fitted, anchors, data, settings)
    calibration = surer(start, _calibration(fitted, anchors, data, settings))
    usual = usual_score(data, fitted.encoder, settings.seed) if calibration else None
    if settings.refit:
        fitted = fit(side.learning, taught, progress, watch=tracer, start=start)
    if trace and tracer:
        tracer.trace().save(trace)
    chosen = choose_anchors(side.recorded, fitted.encoder, given, kinds=settings.kinds)
    known = None
    if calibration:
        known = transferred(calibration, side.learning, fitted.encoder, settings.seed)
    made = _bundle(fitted, side, chosen, data, scores, known, usual, settings)
    return descent.noted(made) if descent else made


def _tracer(windows: LabelledWindows, settings: Settings) -> Tracer:
    places = windows.evenly(TRACED, settings.seed)
    return Tracer(windows.cut(places), windows.labels[places])


def _bundle(
    fitted: Fitted,
    side: Side,
    chosen: Sequence[int],
    data: Data,
    scores: dict[str, float],
    known: Known | None,
    usual: float | None,
    settings: Settings,
) -> Bundle:
    """Put an encoder and its anchors into a bundle."""
    recorded, encoder = side.recorded, fitted.encoder
    golden = recorded.cut(np.linspace(0, len(recorded) - 1, GOLDEN).astype(int))
    anchors = tuple(describe(recorded, place, kinds=settings.kinds) for place in chosen)
    windows = recorded.cut(np.array(chosen))
    points = encoder.embed(windows)
    compared = AnchorSet(points, [anchor.label for anchor in anchors])
    canaries = choose(recorded, encoder, compared, settings.seed)
    drift = reference(recorded, encoder.inputs, usual)
    return Bundle(
        manifest=Manifest(
            format=FORMAT,
            version=__version__,
            window=data.spec,
            inputs=encoder.inputs.spec,
            architecture=fitted.architecture,
            labels=tuple(sorted({anchor.label for anchor in anchors})),
            anchors=anchors,
            head=fitted.head.labels if fitted.head else (),
            canaries=canaries.canaries if canaries else (),
            known=known.calibration if known else None,
            drift=drift.sample if drift else None,
            training=Training(
                captures=data.captures,
                runs=_runs(recorded),
                validation_runs=_runs(data.validation),
                links=settings.links,
                seed=settings.seed,
                settings=_settings(settings),
                scores=scores,
            ),
        ),
        weights=fitted.weights,
        head=fitted.head,
        canaries=canaries,
        known=known,
        drift=drift,
        anchor_windows=windows,
        anchor_embeddings=points,
        golden_windows=golden,
        golden_embeddings=encoder.embed(golden),
    )


def _rehearsed(fitted: Fitted, data: Data, settings: Settings) -> AnchorSet:
    """Choose the anchors of the encoder that has not learnt from the validation runs."""
    recorded, encoder = data.rehearsal.recorded, fitted.encoder
    chosen = choose_anchors(recorded, encoder, {}, kinds=settings.kinds)
    labels = [str(recorded.labels[place]) for place in chosen]
    return AnchorSet(encoder.embed(recorded.cut(np.array(chosen))), labels)


def _calibration(
    fitted: Fitted, anchors: AnchorSet, data: Data, settings: Settings
) -> Calibration | None:
    """Find from when on a window is unknown, by the validation runs."""
    learnt, others = data.rehearsal.learning, data.validation.links
    return calibrated(learnt, others, fitted.encoder, anchors, settings.seed)


def _scores(
    fitted: Fitted, anchors: AnchorSet, data: Data, settings: Settings
) -> dict[str, float]:
    """Tell how good the recipe is, by the validation runs."""
    points = fitted.encoder.embed(data.validation.cut(slice(None)))
    said = np.array(anchors.labels)[anchors.classify(points).label]
    truth = data.validation.labels.astype(str)
    scores = {
        "validation_loss": round(fitted.history["val_loss"][-1], 5),
        "validation_accuracy": round(_balanced(truth, said), 4),
    }
    if fitted.head:
        scores["head_accuracy"] = round(_balanced(truth, np.array(fitted.head.name(points))), 4)
    recall = _canary_recall(fitted, data, anchors, settings)
    if recall is not None:
        scores["canary_recall"] = round(recall, 4)
    return scores


def _canary_recall(
    fitted: Fitted, data: Data, anchors: AnchorSet, settings: Settings
) -> float | None:
    """Tell which share of faults planted in the validation runs is named right; None: no fault."""
    recorded = choose(data.rehearsal.recorded, fitted.encoder, anchors, settings.seed)
    if recorded is None:
        return None
    links = data.validation.links
    pure = LabelledWindows(links, data.spec, tail=data.spec.steps)
    found = expected_recall(recorded, pure, fitted.encoder, anchors, settings.seed)
    return float(np.mean([*found.values()])) if found else None


def _balanced(truth: Any, said: Any) -> float:
    """Give the mean over labels of the share of their windows that were named right."""
    return float(np.mean([(said == truth)[truth == label].mean() for label in set(truth)]))


def _settings(settings: Settings) -> dict[str, Any]:
    """Give the settings as the manifest keeps them; what it has elsewhere is left out."""
    return {name: value for name, value in plain(settings).items() if name not in ELSEWHERE}


def _runs(windows: LabelledWindows) -> tuple[str, ...]:
    return tuple(sorted({link.run for link in windows.links}))
