"""The Siamese model: one encoder, three windows, one loss."""

from typing import Any

from detector.architecture import Architecture
from detector.keras_engine import build, keras

from .losses import of_concatenated


def siamese(
    architecture: Architecture, steps: int, *, loss: str, margin: float, learning_rate: float
) -> tuple[Any, Any]:
    """Make the encoder and the model that trains it.

    The model takes anchors, positives and negatives, each (batch, steps, inputs), runs all
    three through the one encoder, and gives their embeddings side by side:
    (batch, 3 * embedding).
    """
    encoder = build(architecture, steps)
    shape = (steps, architecture.inputs)
    windows = [keras.Input(shape, name=name) for name in ("anchor", "positive", "negative")]
    embeddings = keras.layers.Concatenate()([encoder(window) for window in windows])
    model = keras.Model(windows, embeddings, name="siamese")
    # Gradients of a recurrent net can burst once; a clipped one can't undo an epoch.
    optimizer = keras.optimizers.Adam(learning_rate, clipnorm=1.0)
    model.compile(optimizer, of_concatenated(loss, architecture.embedding, margin))
    return encoder, model
