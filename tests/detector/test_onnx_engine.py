"""The ONNX Runtime engine gives what the textbook gives."""

import os
import subprocess
import sys

import numpy as np
import pytest

from detector.architecture import ACTIVATIONS, Architecture
from detector.onnx_engine import OnnxEngine
from tests.fakes import make_weights, plain_embed


@pytest.mark.parametrize("units", [(), (1,), (8,), (8, 5), (4, 6, 3)])
@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_embeds_as_the_textbook_does(units, steps, statistics, activation):
    """The weights were found by Keras; a gate in the wrong place would still give numbers."""
    architecture = Architecture(3, units, 2, statistics, activation)
    weights = make_weights(architecture, seed=len(units))
    inputs = np.random.default_rng(0).normal(0, 2, (9, steps, 3)).astype(np.float32)

    answer = OnnxEngine(architecture, weights, steps, 1).embed(inputs)

    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, plain_embed(architecture, weights, inputs), atol=1e-5)


def test_an_embedding_of_nothing_is_no_division_by_nothing():
    """A point in the very middle has no direction, and must not become a NaN."""
    architecture = Architecture(inputs=3, units=(), embedding=2, activation="unit")
    weights = {name: np.zeros(shape, np.float32) for name, shape in architecture.shapes.items()}

    answer = OnnxEngine(architecture, weights, 4, 1).embed(np.ones((2, 4, 3), np.float32))

    np.testing.assert_array_equal(answer, np.zeros((2, 2)))


@pytest.mark.parametrize("batch", [1, 2, 31, 63, 64])
def test_every_size_of_batch_is_embedded(batch):
    """A quiet night sends one window at a time."""
    architecture = Architecture(inputs=3, units=(8,), embedding=2)
    weights = make_weights(architecture)
    engine = OnnxEngine(architecture, weights, 4, 1)
    inputs = np.random.default_rng(batch).normal(0, 2, (batch, 4, 3)).astype(np.float32)

    engine.warm_up(4, 3)
    answer = engine.embed(inputs)

    np.testing.assert_allclose(answer, plain_embed(architecture, weights, inputs), atol=1e-5)


def test_it_takes_as_many_tiles_at_a_time_as_it_is_told():
    """Whoever shares a machine with the daemon decides how much of it that takes."""
    architecture = Architecture(inputs=3, units=(8,), embedding=2)
    weights = make_weights(architecture)

    workers = [OnnxEngine(architecture, weights, 4, wanted).workers for wanted in (1, 4, 0)]

    assert workers == [1, 4, len(os.sched_getaffinity(0))]


def test_nothing_is_kept_or_sent_of_the_machine(tmp_path):
    """A detector on the network that it watches has nothing to tell anybody beyond it."""
    code = """
import os
from detector.onnx_engine import OnnxEngine, onnxruntime
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
onnxruntime.SessionOptions()
"""
    environ = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}

    subprocess.run([sys.executable, "-c", code], env=environ | {"HOME": str(tmp_path)}, check=True)

    assert list(tmp_path.rglob("*")) == []
