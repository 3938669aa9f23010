"""The architecture: which encoders can be described, and which weights fit one."""

import numpy as np
import pytest

from detector.architecture import ACTIVATIONS, Architecture
from tests.fakes import make_weights

TWO_LAYERS = Architecture(inputs=3, units=(4, 5), embedding=2)


def test_each_layer_reads_what_the_one_before_it_gives():
    """Every engine builds the network from these names and shapes alone."""
    assert TWO_LAYERS.shapes == {
        "lstm_0.kernel": (3, 16),
        "lstm_0.recurrent": (4, 16),
        "lstm_0.bias": (16,),
        "lstm_1.kernel": (4, 20),
        "lstm_1.recurrent": (5, 20),
        "lstm_1.bias": (20,),
        "dense.kernel": (5, 2),
        "dense.bias": (2,),
    }


def test_with_statistics_the_dense_layer_reads_three_more_of_each_input():
    """Mean, largest and smallest stand behind the last state, in every engine."""
    architecture = Architecture(inputs=3, units=(4,), embedding=2, statistics=True)

    assert architecture.shapes["dense.kernel"] == (4 + 3 * 3, 2)


def test_without_a_layer_the_dense_layer_reads_the_last_inputs():
    """An encoder without memory says what the recurrence is worth."""
    bare = Architecture(inputs=3, units=(), embedding=2)
    with_statistics = Architecture(inputs=3, units=(), embedding=2, statistics=True)

    assert bare.shapes == {"dense.kernel": (3, 2), "dense.bias": (2,)}
    assert with_statistics.shapes["dense.kernel"] == (3 + 3 * 3, 2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_the_outputs_are_changes_no_weight(activation):
    """A sigmoid and a unit length have nothing to learn."""
    architecture = Architecture(inputs=3, units=(4, 5), embedding=2, activation=activation)

    assert architecture.shapes == TWO_LAYERS.shapes
    architecture.check(make_weights(architecture))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"activation": "relu"}, "not one this version knows"),
        ({"units": (0,)}, "not all from 1 to 4096"),
        ({"units": (4, 5000)}, "not all from 1 to 4096"),
        ({"inputs": 0}, "not all from 1 to 4096"),
        ({"embedding": -1}, "not all from 1 to 4096"),
    ],
)
def test_what_no_engine_can_build_is_refused(changes, why):
    """A bundle of a later version, or a damaged one, must not run as something else."""
    with pytest.raises(ValueError, match=why):
        Architecture(**{"inputs": 3, "units": (4,), "embedding": 2} | changes)


def test_its_own_weights_fit():
    """The checks below mean something only if the right weights pass."""
    TWO_LAYERS.check(make_weights(TWO_LAYERS))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda w: w.pop("dense.bias"), "dense.bias"),
        (lambda w: w.update(more=np.zeros(1, np.float32)), "more"),
        (lambda w: w.update({"dense.kernel": w["dense.kernel"].T}), "dense.kernel"),
        (lambda w: w.update({"dense.bias": np.zeros(2)}), "not finite float32"),
        (lambda w: w["lstm_1.recurrent"].__setitem__((0, 0), np.nan), "lstm_1.recurrent"),
        (lambda w: w["lstm_0.bias"].__setitem__(3, np.inf), "lstm_0.bias"),
    ],
)
def test_weights_that_are_not_this_architectures_are_refused_by_name(change, why):
    """Whoever converts weights has to be told which one is off."""
    weights = make_weights(TWO_LAYERS)
    change(weights)

    with pytest.raises(ValueError, match=why):
        TWO_LAYERS.check(weights)
