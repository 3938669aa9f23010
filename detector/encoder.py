"""The encoder: windows to embeddings, by whichever engine the machine is best at.

`ENGINES` lists them. A new one is a class with `name`, `tile`, `warm_up` and `embed` in a file
of its own, and a line there; a test holds every engine to the same embeddings.
"""

import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture, Weights
from .bundle import Bundle, BundleError
from .inputs import Inputs

# Engines sum in different orders, so the last digits differ; a wrong weight differs by far more.
TOLERANCE = 1e-4


class Engine(Protocol):
    """Runs the network."""

    name: str
    tile: int  # the most windows that it takes at once
    workers: int  # how many tiles it may be given at a time, from threads

    def warm_up(self, steps: int, inputs: int) -> None:
        """Do now what the first batch would otherwise wait for."""

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed at most `tile` windows: (batch, steps, inputs) to (batch, embedding)."""


def _onnx(architecture: Architecture, weights: Weights, steps: int, threads: int) -> Engine:
    from .onnx_engine import OnnxEngine  # 0.4 s and 43 MB

    return OnnxEngine(architecture, weights, steps, threads)


def _keras(architecture: Architecture, weights: Weights, steps: int, _threads: int) -> Engine:
    from .keras_engine import KerasEngine  # TensorFlow takes seconds and 670 MB

    return KerasEngine(architecture, weights, steps)


ENGINES: dict[str, Callable[[Architecture, Weights, int, int], Engine]] = {
    "onnxruntime": _onnx,
    "keras": _keras,
}


def choose_engine() -> str:
    """Say which engine suits this machine: Keras where it finds a GPU, else ONNX Runtime."""
    has_driver = Path("/proc/driver/nvidia/version").exists() or Path("/dev/kfd").exists()
    if has_driver and importlib.util.find_spec("keras"):
        from .keras_engine import has_gpu

        if has_gpu():
            return "keras"
    return "onnxruntime"


class Encoder:
    """Embeds any number of windows, in tiles, as many at a time as the engine takes.

    The engine and NumPy let go of Python's lock, so inputs and network of one tile run beside
    those of another: on two cores 1.7 times as fast as one tile after the other with the engine's
    own threads (`tests/bench/encoder.py`).
    """

    def __init__(self, inputs: Inputs, engine: Engine, size: int) -> None:
        self.inputs = inputs
        self.engine = engine
        self.size = size  # numbers in an embedding
        self._pool = ThreadPoolExecutor(engine.workers, "embed") if engine.workers > 1 else None

    def embed(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed raw windows: (batch, steps, features) to (batch, embedding)."""
        return self._in_tiles(values, self.inputs)

    def embed_inputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed inputs that are made already: (batch, steps, inputs) to (batch, embedding)."""
        return self._in_tiles(inputs, lambda tile: tile)

    def _in_tiles(
        self,
        values: NDArray[np.float32],
        prepare: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        out = np.empty((len(values), self.size), np.float32)

        def embed(start: int) -> None:
            tile = slice(start, start + self.engine.tile)
            out[tile] = self.engine.embed(prepare(values[tile]))

        starts = range(0, len(values), self.engine.tile)
        together = map if self._pool is None or len(starts) < 2 else self._pool.map
        for _ in together(embed, starts):  # raises here what was raised there
            pass
        return out


def open_encoder(bundle: Bundle, engine: str = "auto", threads: int = 0) -> Encoder:
    """Make a bundle's encoder, warm it up, and hold it to the bundle's golden windows.

    Raises:
        BundleError: if the engine's embeddings of the golden windows aren't those on record.
    """
    manifest = bundle.manifest
    inputs = Inputs(manifest.inputs, manifest.window)
    make = ENGINES[choose_engine() if engine == "auto" else engine]
    made = make(manifest.architecture, bundle.weights, manifest.window.steps, threads)
    made.warm_up(manifest.window.steps, inputs.count)
    encoder = Encoder(inputs, made, manifest.architecture.embedding)
    error = np.abs(encoder.embed(bundle.golden_windows) - bundle.golden_embeddings).max()
    if not error <= TOLERANCE:
        raise BundleError(
            f"self-test: {made.name} is off by {error:.2g} on the golden windows, "
            f"at most {TOLERANCE:g} is right"
        )
    return encoder
