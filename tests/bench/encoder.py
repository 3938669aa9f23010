"""Windows a second of the encoder alone, beside the machine's ceiling and its peers.

    python -m tests.bench.encoder [--bundle BUNDLE]

Without a bundle: LSTM(64) over 60 steps of 16 inputs into 3, random weights.
"""

from pathlib import Path
from typing import Any

import click
import numpy as np

from detector.anchors import AnchorSet
from detector.architecture import Architecture
from detector.bundle import load
from detector.encoder import Encoder
from detector.inputs import Inputs
from detector.keras_engine import KerasEngine, build, set_weights
from detector.onnx_engine import OnnxEngine

from . import reference
from .machine import describe, matrix_flops, rate, window_flops

BATCHES = (1, 32, 64, 256, 2048)


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), help="Shape and weights to take")
def main(bundle: Path | None) -> None:
    """Print the table."""
    spec, inputs, architecture, weights = _from(bundle) if bundle else _reference()
    steps = spec.steps
    ceiling = matrix_flops() / window_flops(architecture, steps)
    print(describe())
    print(f"LSTM {architecture.units}, {steps} steps x {architecture.inputs} inputs")
    print(f"ceiling (float32 matrix product): {ceiling:,.0f} windows/s\n")
    onnx = OnnxEngine(architecture, weights, steps)
    whole = Encoder(inputs, onnx, architecture.embedding)
    peers: dict[str, Any] = {
        "encoder whole (inputs + ONNX Runtime, tiles)": None,
        "ONNX Runtime alone, tiles of 64": onnx,
        "tf.function": _tf_function(architecture, weights, steps),
        "Keras engine (predict_on_batch)": KerasEngine(architecture, weights, steps).embed,
    }
    print(f"{'windows/s (share of the ceiling)':46}" + "".join(f"{b:>16}" for b in BATCHES))
    for name, peer in peers.items():
        row = ""
        for batch in BATCHES:
            raw = np.random.default_rng(1).random((batch, *spec.shape), np.float32)
            x = inputs(raw)
            if peer is None:
                speed = rate(lambda raw=raw: whole.embed(raw), batch)
            elif peer is onnx:
                tiles = [x[i : i + 64] for i in range(0, batch, 64)]
                speed = rate(lambda tiles=tiles: [onnx.embed(tile) for tile in tiles], batch)
            else:
                speed = rate(lambda peer=peer, x=x: peer(x), batch)
            row += f"{speed:>10,.0f} {speed / ceiling:>4.0%} "
        print(f"{name:46}{row}")
    _anchors(architecture.embedding)


def _anchors(size: int) -> None:
    rng = np.random.default_rng(2)
    labels = [f"fault-{number % 24}" for number in range(1491)]
    anchors = AnchorSet(rng.random((1491, size), np.float32), labels)
    batch = rng.random((64, size), np.float32)
    milliseconds = 1000 / rate(lambda: anchors.classify(batch), 1)
    print(f"\n64 windows against 1,491 anchors: {milliseconds:.3f} ms (target: below 1 ms)")


def _tf_function(architecture: Architecture, weights: Any, steps: int) -> Any:
    import tensorflow as tf

    model = build(architecture, steps)
    set_weights(model, weights)
    call = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    return lambda x: call(tf.constant(x)).numpy()


def _reference() -> Any:
    inputs = Inputs(reference.INPUTS, reference.SPEC)
    return reference.SPEC, inputs, reference.ARCHITECTURE, reference.weights()


def _from(path: Path) -> Any:
    bundle = load(path)
    manifest = bundle.manifest
    inputs = Inputs(manifest.inputs, manifest.window)
    return manifest.window, inputs, manifest.architecture, bundle.weights


if __name__ == "__main__":
    main()
