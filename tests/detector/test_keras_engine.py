"""The Keras engine: weights go in and out by the names that every engine knows."""

import numpy as np
import pytest

from detector.architecture import ACTIVATIONS, Architecture
from tests.fakes import make_weights, plain_embed

STEPS = 4


@pytest.fixture(scope="module")
def engine():
    """Import Keras only when one of these tests is run."""
    pytest.importorskip("keras", reason="the keras engine needs the train extra")
    from detector import keras_engine

    return keras_engine


@pytest.mark.parametrize(
    ("units", "statistics"), [((8,), False), ((6, 5), True), ((), False), ((), True)]
)
def test_weights_come_out_as_they_went_in_and_fit_the_architecture(engine, units, statistics):
    """Training takes its weights out of the model that it built here, for the bundle."""
    architecture = Architecture(inputs=3, units=units, embedding=2, statistics=statistics)
    weights = make_weights(architecture)
    model = engine.build(architecture, STEPS)

    fresh = engine.get_weights(model)
    engine.set_weights(model, weights)
    found = engine.get_weights(model)

    architecture.check(fresh)
    architecture.check(found)
    assert found.keys() == weights.keys()
    for name, weight in weights.items():
        np.testing.assert_array_equal(found[name], weight)


@pytest.mark.parametrize("units", [(), (5,)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_builds_what_the_textbook_describes(engine, units, activation):
    """Training learns with this very model, so what it learns must be what the daemon runs."""
    architecture = Architecture(3, units, 2, statistics=True, activation=activation)
    weights = make_weights(architecture)
    model = engine.build(architecture, STEPS)
    engine.set_weights(model, weights)
    inputs = np.random.default_rng(0).normal(0, 2, (9, STEPS, 3)).astype(np.float32)

    answer = np.asarray(model(inputs))

    np.testing.assert_allclose(answer, plain_embed(architecture, weights, inputs), atol=1e-5)
    if activation == "unit":
        np.testing.assert_allclose(np.linalg.norm(answer, axis=1), 1, atol=1e-5)


def test_an_embedding_of_nothing_is_no_division_by_nothing(engine):
    """A NaN in the first batch would be in every weight after it."""
    architecture = Architecture(inputs=3, units=(), embedding=2, activation="unit")
    model = engine.build(architecture, STEPS)
    engine.set_weights(model, {n: np.zeros(s, "f4") for n, s in architecture.shapes.items()})

    answer = np.asarray(model(np.ones((2, STEPS, 3), np.float32)))

    np.testing.assert_array_equal(answer, np.zeros((2, 2)))


def test_padding_to_a_fixed_size_does_not_show(engine):
    """A batch is padded so that nothing waits for a compilation; the padding must not leak."""
    architecture = Architecture(inputs=3, units=(8,), embedding=2)
    keras = engine.KerasEngine(architecture, make_weights(architecture), STEPS)
    inputs = np.random.default_rng(0).normal(0, 2, (16, STEPS, 3)).astype(np.float32)

    full, part = keras.embed(inputs), keras.embed(inputs[:5])

    assert part.shape == (5, 2)
    np.testing.assert_allclose(part, full[:5], atol=1e-6)


def test_it_takes_its_largest_batch_whole(engine):
    """The encoder cuts by the tile that the engine names, and no larger batch is compiled."""
    architecture = Architecture(inputs=3, units=(2,), embedding=2)
    keras = engine.KerasEngine(architecture, make_weights(architecture), STEPS)
    inputs = np.zeros((keras.tile, STEPS, 3), np.float32)

    answer = keras.embed(inputs)

    assert keras.tile == max(engine.BATCHES)
    assert answer.shape == (keras.tile, 2)
