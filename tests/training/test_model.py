"""The Siamese model: each window embedded once, one loss, on any of Keras's backends."""

import ast
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import detector.keras_engine
import training.batches
import training.fitting
import training.losses
import training.model
import training.triplets
from detector.architecture import Architecture
from detector.keras_engine import keras
from tests.training.captures import listed
from training.losses import LOSSES, Loss
from training.model import Siamese, siamese
from training.triplets import MINERS

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")

BACKENDS = {"tensorflow", "tf_keras", "jax", "torch"}
MODULES = [
    training.batches,
    training.fitting,
    training.losses,
    training.model,
    training.triplets,
    detector.keras_engine,
]


@pytest.fixture(autouse=True)
def eagerly():
    """Compile nothing: for a few steps that takes longer than the steps themselves."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def make(loss="triplet", *, miner="batch-all", seed=0, learning_rate=0.01):
    """Make an encoder of 5 steps of 2 inputs, and the model that trains it."""
    keras.utils.set_random_seed(1)
    activation = LOSSES[loss].outputs[0]
    architecture = Architecture(inputs=2, units=(4,), embedding=3, activation=activation)
    return siamese(
        architecture,
        5,
        loss=loss,
        miner=miner,
        margin=0.5,
        learning_rate=learning_rate,
        seed=seed,
    )


def batch(count=12):
    """Give random windows of three classes, each class round a level of its own."""
    rng = np.random.default_rng(0)
    classes = np.arange(count, dtype=np.int32) % 3
    windows = rng.standard_normal((count, 5, 2)) + classes[:, None, None] - 1
    return windows.astype(np.float32), classes


def measure(model, windows, classes):
    """Give the loss of a batch as it is now; Keras gives a mean since it was first asked."""
    return float(model.compute_loss(y=classes, y_pred=model(windows)))


class Counting(keras.layers.Layer):
    """Embeds a window as its last inputs through one weight, and counts the windows."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def build(self, shape):
        """Add the weight."""
        self.kernel = self.add_weight((shape[-1], 3), name="kernel")

    def call(self, windows):
        """Embed: (batch, 3)."""
        self.seen.append(int(windows.shape[0]))
        return keras.ops.sigmoid(keras.ops.matmul(windows[:, -1], self.kernel))


@pytest.mark.parametrize("name", [name for name in LOSSES if "sigmoid" in LOSSES[name].outputs])
def test_each_window_is_embedded_once(name):
    """It stands in hundreds of triplets, and the encoder is what a training's time goes into."""
    encoder = Counting()
    encoder.output_shape = (None, 3)
    model = Siamese(encoder, loss=name, miner="batch-all", margin=0.5, seed=0)
    model.compile("sgd", run_eagerly=True)
    windows, classes = batch(12)
    model(windows[:1])  # Keras looks at one to make the weights
    encoder.seen.clear()

    model.train_on_batch(windows, classes)

    assert encoder.seen == [12]


def test_the_model_embeds_as_its_encoder_does():
    """The encoder is what a bundle keeps; the model around it is thrown away."""
    encoder, model = make()
    windows, _ = batch()

    np.testing.assert_array_equal(model(windows), encoder(windows))


@pytest.mark.parametrize("name", LOSSES)
def test_training_moves_the_encoder_towards_the_loss(name):
    """What a loss measures must be what the encoder gets better at."""
    encoder, model = make(name)
    windows, classes = batch(24)
    before = encoder.get_weights()

    first = measure(model, windows, classes)

    for _ in range(20):
        model.train_on_batch(windows, classes)

    assert all((old != new).any() for old, new in zip(before, encoder.get_weights(), strict=True))
    assert measure(model, windows, classes) < first


@pytest.mark.parametrize("name", LOSSES)
def test_only_a_loss_that_learns_has_weights_of_its_own(name):
    """They are found along with the encoder's, and are no part of it."""
    encoder, model = make(name)
    windows, classes = batch()
    model(windows)
    own = [w for w in model.trainable_weights if not any(w is e for e in encoder.weights)]
    before = [weight.numpy() for weight in own]

    model.train_on_batch(windows, classes)

    assert [weight.shape for weight in own] == ([(4,)] if name == "logistic" else [])
    assert all((old != new.numpy()).all() for old, new in zip(before, own, strict=True))


def test_before_it_learns_the_loss_takes_distance_for_difference():
    """With weights the other way round the encoder would first learn to merge the classes."""
    _, model = make("logistic")
    points = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.4, 0.1], [1, 1, 1]], np.float32)

    near, far, farthest = (
        float(model.compute_loss(y=np.array([0, 1]), y_pred=points[[0, other]]))
        for other in (1, 2, 3)
    )

    assert near > far > farthest


def test_the_share_that_still_costs_is_measured_in_training_and_in_validation():
    """A training whose share is near 0 is over, whatever the loss says."""
    _, model = make()
    windows, classes = batch()

    history = model.fit(
        windows, classes, batch_size=12, epochs=2, validation_data=(windows, classes), verbose=0
    ).history

    assert {"loss", "active", "val_loss", "val_active"} <= set(history)
    assert all(0 < share <= 1 for share in history["active"] + history["val_active"])


def test_the_share_is_that_of_an_epoch_and_not_of_all():
    """A mean since the beginning would hide that the last epoch had nothing to learn from."""
    shares = iter([1.0, 1.0, 0.0, 0.0])
    windows, classes = batch()
    entry = Loss(lambda batch: (keras.ops.sum(batch.points), tf.constant(next(shares))))

    with listed(LOSSES, "constant", entry):
        _, model = make("constant")
        history = model.fit(windows, classes, batch_size=6, epochs=2, verbose=0).history

    assert history["active"] == [1.0, 0.0]


def test_classes_come_as_a_column_or_as_a_row():
    """Keras makes a column of them on some of its ways."""
    _, model = make()
    windows, classes = batch()

    row, column = measure(model, windows, classes), measure(model, windows, classes[:, None])

    assert row == column > 0


def test_margin_and_miner_reach_the_loss():
    """A setting that gets lost on its way changes nothing, and nobody sees it."""
    windows, classes = batch()
    seen = []

    def note(b):
        seen.append((b.margin, b.mine))
        return keras.ops.sum(b.points), keras.ops.sum(b.points) * 0

    with listed(LOSSES, "noting", Loss(note)):
        make("noting", miner="batch-hard")[1].test_on_batch(windows, classes)

    assert (0.5, MINERS["batch-hard"](0)) in seen


def test_the_random_miner_is_made_for_the_seed():
    """Same captures, same seed: same bundle, whatever is left to chance."""
    windows, classes = batch()

    def measured(seed):
        _, model = make(miner="random", seed=seed)
        return [measure(model, windows, classes) for _ in range(3)]

    first, again, other = measured(1), measured(1), measured(2)

    assert first == again != other


@pytest.mark.parametrize(
    ("loss", "activation"), [("lossless", "unit"), ("multi-similarity", "sigmoid")]
)
def test_a_loss_that_is_not_defined_for_the_outputs_is_refused(loss, activation):
    """Before anything is built, and so before anything is learnt."""
    architecture = Architecture(inputs=2, units=(4,), embedding=3, activation=activation)

    with pytest.raises(ValueError, match=f"the loss '{loss}' needs"):
        siamese(architecture, 5, loss=loss, miner="batch-all", margin=0.5, learning_rate=0.01)


def test_gradients_are_clipped():
    """Those of a recurrent net can burst once, and one step must not undo an epoch."""
    _, model = make()

    assert model.optimizer.clipnorm is not None
    assert model.optimizer.clipnorm <= 1


@pytest.mark.parametrize("module", MODULES)
def test_nothing_of_one_backend_is_imported(module):
    """Keras runs on TensorFlow, JAX and PyTorch, and whoever has another GPU needs the others."""
    tree = ast.parse(Path(module.__file__).read_text())

    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
                for alias in node.names}  # fmt: skip
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert any("keras" in name for name in imported)
    assert not BACKENDS & {part for name in imported for part in name.split(".")}
