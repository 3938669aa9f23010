"""The encoder that figures are quoted for: LSTM(64) over 60 steps of 16 inputs into 3."""

from pathlib import Path

import numpy as np

from detector.architecture import Architecture
from detector.bundle import FORMAT, Anchor, Bundle, Manifest, Training, save
from detector.encoder import Encoder
from detector.inputs import Inputs, InputSpec, Level
from detector.onnx_engine import OnnxEngine
from detector.window import WindowSpec

SPEC = WindowSpec(tuple(f"feature_{number}" for number in range(16)), 60, 1000)
INPUTS = InputSpec((2.0,), (), tuple(Level(name, name) for name in SPEC.features))
ARCHITECTURE = Architecture(16, (64,), 3)
LABELS = ("normal", "blocked", "capacity-limited")


def weights() -> dict[str, np.ndarray]:
    """Random weights of the size that training gives."""
    rng = np.random.default_rng(0)
    shapes = ARCHITECTURE.shapes.items()
    return {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes}


def bundle(path: Path) -> Path:
    """Write the reference as a bundle."""
    rng = np.random.default_rng(1)
    engine = OnnxEngine(ARCHITECTURE, weights(), SPEC.steps)
    encoder = Encoder(Inputs(INPUTS, SPEC), engine, ARCHITECTURE.embedding)
    windows = rng.uniform(0, 100, (3, *SPEC.shape)).astype(np.float32)
    points = encoder.embed(windows)
    anchors = tuple(Anchor(f"{label}/bench", label, label, "bench", 0) for label in LABELS)
    manifest = Manifest(
        format=FORMAT,
        version="bench",
        window=SPEC,
        inputs=INPUTS,
        architecture=ARCHITECTURE,
        labels=tuple(sorted(LABELS)),
        anchors=anchors,
        training=Training({}, (), (), ("*",), 0, {}, {}),
    )
    made = Bundle(
        manifest=manifest,
        weights=weights(),
        anchor_windows=windows,
        anchor_embeddings=points,
        golden_windows=windows,
        golden_embeddings=points,
    )
    save(made, path, replace=True)
    return path
