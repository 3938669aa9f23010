"""The Keras engine: builds the encoder in Keras, for training and for embedding on a GPU.

On a GPU Keras runs the LSTM as one fused kernel. Batches are padded to a few fixed sizes, each
compiled once at warm-up, so that no batch ever waits for a compilation. This file alone knows
Keras in the daemon; it uses nothing of one backend but the choice of where to run.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .architecture import STATISTICS, TINY, Architecture, Weights
from .quiet import hushed

with hushed():
    import keras as keras  # the other files that need it take it from here, quiet

    keras.ops.zeros(1)  # looks for a GPU now, and its notes stay where the others are

BATCHES = (1, 16, 256, 2048)  # each compiled once; a batch is padded to the next larger


def build(architecture: Architecture, steps: int) -> Any:
    """Make the untrained Keras model: (batch, steps, inputs) to (batch, embedding)."""
    inputs = keras.Input((steps, architecture.inputs), name="inputs")
    state = inputs
    for layer, units in enumerate(architecture.units):
        more = layer + 1 < len(architecture.units)
        state = keras.layers.LSTM(units, return_sequences=more, name=f"lstm_{layer}")(state)
    if not architecture.units:
        state = state[:, -1]
    if architecture.statistics:
        statistics = [getattr(keras.ops, name)(inputs, axis=1) for name in STATISTICS]
        state = keras.ops.concatenate([state, *statistics], axis=-1)
    dense = keras.layers.Dense(architecture.embedding, name="dense")
    return keras.Model(inputs, _ACTIVATIONS[architecture.activation](dense(state)), name="encoder")


def _unit(points: Any) -> Any:
    """Bring each point to length 1: (batch, embedding)."""
    squared = keras.ops.sum(keras.ops.square(points), axis=-1, keepdims=True)
    return points / keras.ops.sqrt(squared + TINY)


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"sigmoid": keras.ops.sigmoid, "unit": _unit}


def get_weights(model: Any) -> dict[str, NDArray[np.float32]]:
    """Take the weights out of a model that `build` made, by the names of the architecture."""
    named = {}
    for layer, parts in _layers(model):
        for part, value in zip(parts, layer.get_weights(), strict=True):
            named[f"{layer.name}.{part}"] = np.asarray(value, np.float32)
    return named


def set_weights(model: Any, weights: Weights) -> None:
    """Put weights into a model that `build` made."""
    for layer, parts in _layers(model):
        layer.set_weights([weights[f"{layer.name}.{part}"] for part in parts])


def _layers(model: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Give each layer that has weights, and what they are called in their order."""
    for layer in model.layers:
        if layer.name.startswith("lstm_"):
            yield layer, ("kernel", "recurrent", "bias")
        elif layer.name == "dense":
            yield layer, ("kernel", "bias")


def has_gpu() -> bool:
    """Whether Keras's backend sees a GPU."""
    return bool(keras.distribution.list_devices("gpu"))


class KerasEngine:
    """Embeds with Keras on whatever device its backend has."""

    name = "keras"
    tile = BATCHES[-1]  # a large batch keeps a GPU busy
    workers = 1

    def __init__(self, architecture: Architecture, weights: Weights, steps: int) -> None:
        self._model = build(architecture, steps)
        set_weights(self._model, weights)
        self._model.compile(jit_compile=False)  # XLA would replace the fused LSTM

    def warm_up(self, steps: int, inputs: int) -> None:
        """Compile every batch size once."""
        for size in BATCHES:
            self.embed(np.zeros((size, steps, inputs), np.float32))

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed up to `tile` windows: (batch, steps, inputs) to (batch, embedding)."""
        count = len(inputs)
        size = next(size for size in BATCHES if size >= count)
        if size > count:
            padding = ((0, size - count), (0, 0), (0, 0))
            inputs = np.pad(inputs, padding)
        out = self._model.predict_on_batch(inputs)
        return np.asarray(out, np.float32)[:count]
