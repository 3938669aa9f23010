"""Fitting: an encoder learns from one side's windows, then its head from the finished embedding.

Stage one trains the encoder by a metric loss; stage two freezes it and trains a layer on its
embeddings by cross-entropy: the second opinion of a bundle.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.architecture import Architecture
from detector.bundle import Bundle
from detector.capture import CaptureError
from detector.encoder import Encoder
from detector.head import Head
from detector.inputs import Inputs
from detector.keras_engine import KerasEngine, get_weights, keras, set_weights
from detector.onnx_engine import OnnxEngine
from detector.window import WindowSpec

from .augment import Augment
from .batches import Batches
from .labelled import LabelledWindows
from .model import siamese
from .recipe import input_spec, scaled
from .settings import Settings

SCALING_WINDOWS = 4000
HEAD_BATCHES = 100  # of the same sort that the encoder learns from
HEAD_EPOCHS = 20

# What is learnt from, epoch, epochs, what was measured.
Progress = Callable[[str, int, int, dict[str, float]], None]
Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # windows to embeddings


class Watch(Protocol):
    """Sees an encoder before it learns and after each epoch."""

    def record(self, embed: Embed, *, loss: float, validation_loss: float, active: float) -> None:
        """Note how the encoder embeds now; what was not measured is NaN."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """An encoder that has learnt, and how that went."""

    encoder: Encoder
    architecture: Architecture
    weights: dict[str, NDArray[np.float32]]
    history: Mapping[str, list[float]]  # what was measured, one number for each epoch
    head: Head | None


def fit(
    windows: LabelledWindows,
    settings: Settings,
    progress: Progress,
    validation: LabelledWindows | None = None,
    watch: Watch | None = None,
    start: Bundle | None = None,
) -> Fitted:
    """Train on labelled windows; *validation* only measures, it never decides.

    With *start* it goes on from that bundle's encoder: inputs, scaling, architecture, weights.

    Raises:
        CaptureError: if nothing can be made of the features, or the settings don't go together.
    """
    keras.utils.set_random_seed(settings.seed)
    inputs, architecture = _beginning(windows, settings, start)
    try:
        model, trained = siamese(
            architecture,
            windows.spec.steps,
            loss=settings.loss,
            miner=settings.miner,
            margin=settings.margin,
            learning_rate=_falling(settings),
            seed=settings.seed,
        )
    except ValueError as error:
        raise CaptureError(str(error)) from error
    if start:
        set_weights(model, start.weights)
    batches = _batches(windows, inputs, settings)
    what = "from all runs" if validation is None else "without the validation runs"

    def finished(epoch: int, measured: dict[str, float]) -> None:
        progress(what, epoch + 1, settings.epochs, dict(measured))
        if watch:
            _show(watch, model, inputs, architecture, measured)

    if watch:
        _show(watch, model, inputs, architecture, {})
    history = trained.fit(
        batches,
        validation_data=_held_back(validation, inputs, settings) if validation else None,
        epochs=settings.epochs,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=finished)],
        shuffle=False,  # the batches are random already, and the same for the same seed
        verbose=0,
    ).history
    weights = get_weights(model)
    engine = KerasEngine(architecture, weights, windows.spec.steps)
    encoder = Encoder(inputs, engine, architecture.embedding)
    head = _head(windows, encoder, settings) if settings.head else None
    return Fitted(encoder, architecture, weights, history, head)


def _beginning(
    windows: LabelledWindows, settings: Settings, start: Bundle | None
) -> tuple[Inputs, Architecture]:
    """Give what an encoder is shown and made of: as the settings say, or as another has it."""
    if start:
        # Scaled anew, the weights would be those of other inputs.
        return Inputs(start.manifest.inputs, windows.spec), start.manifest.architecture
    inputs = inputs_of(windows, settings)
    return inputs, Architecture(
        inputs.count,
        settings.units,
        settings.embedding,
        settings.statistics,
        settings.activation,
    )


def _falling(settings: Settings) -> Any:
    """Let the step size fall to nothing along half a cosine: the last epochs settle.

    Source: Loshchilov and Hutter 2017, SGDR, equation 5, without restarts.
    """
    steps = settings.epochs * settings.batches
    return keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps, alpha=0.02)


def _batches(windows: LabelledWindows, inputs: Inputs, settings: Settings) -> Batches:
    return Batches(
        windows,
        inputs,
        size=settings.batch,
        batches=settings.batches,
        seed=settings.seed,
        normal_share=settings.normal_share,
        recovery_share=settings.recovery_share,
        kinds=settings.kinds,
        augment=augmentation(windows.spec, settings),
        drop=settings.drop,
    )


def augmentation(spec: WindowSpec, settings: Settings) -> Augment:
    """Give what is done to windows before they are learnt from."""
    return Augment(
        features=spec.features,
        load_span=settings.load_span,
        thin=settings.thin,
        shift=settings.shift,
        average=settings.average,
        missing=settings.missing,
        mirror=settings.mirror,
    )


def _held_back(windows: LabelledWindows, inputs: Inputs, settings: Settings) -> Batches:
    """Make the batches to validate on, the same in every epoch and as they were recorded."""
    seed = settings.seed + 1
    return Batches(windows, inputs, size=settings.batch, batches=10, seed=seed, fresh=False)


def _show(
    watch: Watch,
    model: Any,
    inputs: Inputs,
    architecture: Architecture,
    measured: Mapping[str, float],
) -> None:
    engine = OnnxEngine(architecture, get_weights(model), inputs.window.steps)
    watch.record(
        Encoder(inputs, engine, architecture.embedding).embed,
        loss=measured.get("loss", np.nan),
        validation_loss=measured.get("val_loss", np.nan),
        active=measured.get("active", np.nan),
    )


def _head(windows: LabelledWindows, encoder: Encoder, settings: Settings) -> Head:
    """Train the second opinion on embeddings of the windows that the encoder learnt from."""
    labels = tuple(sorted({str(label) for label in windows.labels}))
    batches = Batches(
        windows,
        encoder.inputs,
        size=settings.batch,
        batches=HEAD_BATCHES,
        seed=settings.seed + 2,
        normal_share=settings.normal_share,
        recovery_share=settings.recovery_share,
        augment=augmentation(windows.spec, settings),
    )
    drawn = [batches[place] for place in range(HEAD_BATCHES)]
    points = encoder.embed_inputs(np.concatenate([inputs for inputs, _ in drawn]))
    truth = np.concatenate([classes for _, classes in drawn])
    layer = keras.layers.Dense(len(labels), name="head")
    model = keras.Sequential([keras.Input((points.shape[1],)), layer])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    model.fit(points, truth, batch_size=256, epochs=HEAD_EPOCHS, shuffle=True, verbose=0)
    kernel, bias = (np.asarray(value, np.float32) for value in layer.get_weights())
    return Head(labels, kernel, bias)


def inputs_of(windows: LabelledWindows, settings: Settings) -> Inputs:
    """Choose and scale the inputs of an encoder that learns from *windows*.

    Raises:
        CaptureError: if nothing can be made of their features.
    """
    rng = np.random.default_rng(settings.seed)
    count = min(SCALING_WINDOWS, len(windows))
    sample = windows.cut(rng.choice(len(windows), count, replace=False))
    spec = input_spec(
        windows.spec.features,
        settings.half_lives_seconds,
        form=settings.inputs,
        masks=settings.masks,
        busier_first=settings.busier_first,
    )
    if not spec.names:
        raise CaptureError(f"no input can be made of {', '.join(windows.spec.features)}")
    return Inputs(scaled(spec, windows.spec, sample), windows.spec)
