"""The Siamese model: one encoder for all three windows, on any of Keras's backends."""

import ast
from pathlib import Path

import numpy as np
import pytest

import detector.keras_engine
import training.losses
import training.model
from detector.architecture import Architecture
from training.model import siamese

BACKENDS = {"tensorflow", "tf_keras", "jax", "torch"}


def make(size=3):
    """Make an encoder of 5 steps of 2 inputs, and the model that trains it."""
    architecture = Architecture(inputs=2, units=(4,), embedding=size)
    return siamese(architecture, 5, loss="triplet", margin=0.5, learning_rate=0.01)


def windows(count):
    """Give three batches of random windows."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal((count, 5, 2)).astype(np.float32) for _ in range(3)]


def test_all_three_windows_go_through_the_one_encoder():
    """Encoders that drift apart would put equal windows at different points."""
    encoder, model = make()
    parts = windows(6)

    together = np.asarray(model(parts))

    alone = np.concatenate([np.asarray(encoder(part)) for part in parts], axis=1)
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert len(model.trainable_weights) == len(encoder.trainable_weights)


def test_training_the_model_moves_the_encoder_towards_the_loss():
    """The encoder is what a bundle keeps; the model around it is thrown away."""
    encoder, model = make()
    parts, truth = windows(16), np.zeros((16, 1), np.float32)
    before = encoder.get_weights()

    losses = [float(model.train_on_batch(parts, truth)) for _ in range(25)]

    assert any((old != new).any() for old, new in zip(before, encoder.get_weights(), strict=True))
    assert losses[-1] < losses[0]


def test_gradients_are_clipped():
    """Those of a recurrent net can burst once, and one step must not undo an epoch."""
    _, model = make()

    assert model.optimizer.clipnorm is not None
    assert model.optimizer.clipnorm <= 1


@pytest.mark.parametrize("module", [training.losses, training.model, detector.keras_engine])
def test_nothing_of_one_backend_is_imported(module):
    """Keras runs on TensorFlow, JAX and PyTorch, and whoever has another GPU needs the others."""
    tree = ast.parse(Path(module.__file__).read_text())

    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
                for alias in node.names}  # fmt: skip
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert any("keras" in name for name in imported)
    assert not BACKENDS & {part for name in imported for part in name.split(".")}
