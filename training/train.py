"""Training: captures in, a bundle out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector import __version__
from detector.anchors import AnchorSet
from detector.architecture import Architecture
from detector.bundle import FORMAT, Bundle, Manifest, Training
from detector.capture import CaptureError
from detector.encoder import Encoder
from detector.inputs import Inputs
from detector.keras_engine import KerasEngine, get_weights, keras
from detector.window import WindowSpec

from .data import Data, Side, read
from .labelled import LabelledWindows
from .model import siamese
from .recipe import input_spec, scaled
from .reference import choose_anchors, describe, find_anchors
from .settings import Settings
from .triplets import Triplets

SCALING_WINDOWS = 4000
GOLDEN = 8
WARM_UP = 4  # epochs, before which none is kept as the best

# What is learnt from, epoch, epochs, what was measured.
Progress = Callable[[str, int, int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Fitted:
    """An encoder that has learnt, and how that went."""

    encoder: Encoder
    architecture: Architecture
    weights: dict[str, NDArray[np.float32]]
    losses: Sequence[float]  # on the validation runs, one for each epoch; empty without them

    @property
    def epochs(self) -> int:
        """How many epochs gave the weights that were kept; the first few don't count."""
        later = self.losses[WARM_UP:]
        return WARM_UP + 1 + int(np.argmin(later)) if later else len(self.losses)


def train(paths: Sequence[Path], settings: Settings, progress: Progress) -> Bundle:
    """Train an encoder on captures.

    It learns twice: first without the validation runs, which tell after how many epochs to stop
    and how good the result is on runs it has not seen; then, if *refit*, as long on all runs,
    since with a few dozen runs each one counts.

    Raises:
        CaptureError: if the captures can't be learnt from.
    """
    data = read(paths, settings)
    side = data.whole if settings.refit else data.rehearsal
    given = find_anchors(side.recorded, settings.anchors)  # an error now, not after the training
    fitted = fit(data.rehearsal, data.spec, settings, progress, data.validation)
    scores = _scores(fitted, data)
    if settings.refit:
        again = replace(settings, epochs=fitted.epochs)
        fitted = fit(side, data.spec, again, progress)
    return _bundle(
        fitted, side, choose_anchors(side.recorded, fitted.encoder, given), data, scores, settings
    )


def fit(
    side: Side,
    spec: WindowSpec,
    settings: Settings,
    progress: Progress,
    validation: LabelledWindows | None = None,
) -> Fitted:
    """Train on one side's runs; until *validation* gets no better, where it is given."""
    keras.utils.set_random_seed(settings.seed)
    inputs = _inputs(side.learning, settings)
    architecture = Architecture(
        inputs.count, settings.units, settings.embedding, settings.statistics
    )
    model, trained = siamese(
        architecture,
        spec.steps,
        loss=settings.loss,
        margin=settings.margin,
        learning_rate=settings.learning_rate,
    )
    triplets = Triplets(
        side.learning,
        inputs,
        batch=settings.batch,
        batches=settings.batches,
        seed=settings.seed,
        load_span=settings.load_span,
        drop=settings.drop,
    )
    what = "without the validation runs" if validation else "from all runs"
    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: progress(what, epoch + 1, settings.epochs, dict(logs))
    )
    stop = keras.callbacks.EarlyStopping(
        patience=settings.patience, restore_best_weights=True, start_from_epoch=WARM_UP
    )
    history = trained.fit(
        triplets,
        validation_data=_held_back(validation, inputs, settings) if validation else None,
        epochs=settings.epochs,
        callbacks=[stop, report] if validation else [report],
        shuffle=False,  # the triplets are random already, and the same for the same seed
        verbose=0,
    ).history
    weights = get_weights(model)
    engine = KerasEngine(architecture, weights, spec.steps)
    encoder = Encoder(inputs, engine, architecture.embedding)
    return Fitted(encoder, architecture, weights, history.get("val_loss", ()))


def _held_back(windows: LabelledWindows, inputs: Inputs, settings: Settings) -> Triplets:
    """Make the triplets to validate on, the same in every epoch."""
    return Triplets(windows, inputs, batch=512, batches=2, seed=settings.seed + 1, fresh=False)


def _bundle(
    fitted: Fitted,
    side: Side,
    chosen: Sequence[int],
    data: Data,
    scores: dict[str, float],
    settings: Settings,
) -> Bundle:
    """Put an encoder and its anchors into a bundle."""
    recorded, encoder = side.recorded, fitted.encoder
    golden = recorded.cut(np.linspace(0, len(recorded) - 1, GOLDEN).astype(int))
    anchors = tuple(describe(recorded, place) for place in chosen)
    windows = recorded.cut(np.array(chosen))
    return Bundle(
        manifest=Manifest(
            format=FORMAT,
            version=__version__,
            window=data.spec,
            inputs=encoder.inputs.spec,
            architecture=fitted.architecture,
            labels=tuple(sorted({anchor.label for anchor in anchors})),
            anchors=anchors,
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
        anchor_windows=windows,
        anchor_embeddings=encoder.embed(windows),
        golden_windows=golden,
        golden_embeddings=encoder.embed(golden),
    )


def _scores(fitted: Fitted, data: Data) -> dict[str, float]:
    """Tell how the training went, by the validation runs, which decided when to stop."""
    recorded, encoder = data.rehearsal.recorded, fitted.encoder
    chosen = choose_anchors(recorded, encoder, {})
    labels = [str(recorded.labels[place]) for place in chosen]
    anchors = AnchorSet(encoder.embed(recorded.cut(np.array(chosen))), labels)
    found = anchors.classify(encoder.embed(data.validation.cut(slice(None)))).label
    truth = [anchors.labels.index(label) for label in data.validation.labels]
    return {
        "epochs": float(fitted.epochs),
        "validation_loss": round(fitted.losses[fitted.epochs - 1], 5),
        "validation_accuracy": round(float(np.mean(found == truth)), 4),
    }


def _settings(settings: Settings) -> dict[str, Any]:
    """Give the settings as the manifest keeps them; what it has elsewhere is left out."""
    known = {
        "steps",
        "step_ms",
        "features",
        "links",
        "anchors",
        "units",
        "embedding",
        "seed",
        "half_lives_seconds",
    }
    return {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in asdict(settings).items()
        if name not in known
    }


def _runs(windows: LabelledWindows) -> tuple[str, ...]:
    return tuple(sorted({link.run for link in windows.links}))


def _inputs(windows: LabelledWindows, settings: Settings) -> Inputs:
    rng = np.random.default_rng(settings.seed)
    count = min(SCALING_WINDOWS, len(windows))
    sample = windows.cut(rng.choice(len(windows), count, replace=False))
    spec = input_spec(windows.spec.features, settings.half_lives_seconds)
    if not spec.names:
        raise CaptureError(f"no input can be made of {', '.join(windows.spec.features)}")
    return Inputs(scaled(spec, windows.spec, sample), windows.spec)
