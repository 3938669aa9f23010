"""Fitting: an encoder and its second opinion, decided by what is learnt from and nothing else."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import tensorflow as tf

from detector.capture import CaptureError
from detector.encoder import Encoder, open_encoder
from detector.keras_engine import keras
from detector.onnx_engine import OnnxEngine
from detector.window import WindowSpec
from tests.training.captures import (
    TINY,
    EnoughError,
    Recorder,
    listed,
    make_link,
    make_table,
    tiny_training,
    write,
)
from training.data import read
from training.fitting import augmentation, fit
from training.labelled import LabelledWindows
from training.losses import LOSSES, Loss

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")

QUICK = replace(TINY, epochs=2, batches=2, superpose=False, head=False)


@pytest.fixture(autouse=True)
def eagerly():
    """Compile nothing: for a short epoch that takes longer than the epoch itself."""
    tiny_training()  # which other tests compare with a real one, byte by byte
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@cache
def data():
    """Read the tiny capture once."""
    with TemporaryDirectory() as folder:
        return read([write(make_table(), Path(folder))], TINY)


def learn(settings, **options):
    """Fit to the runs that are rehearsed with."""
    return fit(data().rehearsal.learning, settings, options.pop("progress", Recorder()), **options)


def assert_same_weights(one, other):
    """Compare two encoders, weight by weight."""
    assert one.weights.keys() == other.weights.keys()
    for name, value in one.weights.items():
        np.testing.assert_array_equal(other.weights[name], value)


def test_validation_measures_and_never_decides():
    """A score on runs that had a say in the encoder is no score."""
    alone = learn(QUICK)
    judged = learn(QUICK, validation=data().validation)

    assert_same_weights(alone, judged)
    assert "val_loss" not in alone.history
    assert len(judged.history["val_loss"]) == QUICK.epochs


def test_validation_is_by_the_same_windows_in_each_epoch():
    """Only then does a curve that falls mean that the encoder got better."""
    recorder = Recorder()

    still = replace(QUICK, batches=1, learning_rate=1e-9)
    learn(still, progress=recorder, validation=data().validation)

    first, second = (epoch["val_loss"] for epoch in recorder.epochs)
    assert first == pytest.approx(second, rel=1e-5)
    assert recorder.epochs[0]["loss"] != recorder.epochs[1]["loss"]  # where windows are others


@pytest.mark.parametrize(
    "changes", [{}, {"miner": "random", "loss": "lossless"}, {"loss": "logistic", "thin": 0.5}]
)
def test_the_same_windows_and_seed_give_the_same_encoder(changes):
    """Whatever was trained before in this process."""
    settings = replace(QUICK, epochs=1, **changes)

    first, again = learn(settings), learn(settings)
    other = learn(replace(settings, seed=3))

    assert_same_weights(first, again)
    assert any((first.weights[name] != other.weights[name]).any() for name in first.weights)


def test_each_epoch_is_told_with_what_it_measured():
    """A training takes minutes, and whoever waits wants to see that it gets anywhere."""
    without, with_validation = Recorder(), Recorder()

    learn(QUICK, progress=without)
    learn(replace(QUICK, epochs=1), progress=with_validation, validation=data().validation)

    assert without.told == [("from all runs", 1, 2), ("from all runs", 2, 2)]
    assert with_validation.told == [("without the validation runs", 1, 1)]
    assert set(without.first) == {"loss", "active"}
    assert set(with_validation.first) == {"loss", "active", "val_loss", "val_active"}


class Watching:
    """Notes how an encoder embeds one window each time, and what was measured."""

    def __init__(self, window):
        self.window = window
        self.points = []
        self.measured = []

    def record(self, embed, *, loss, validation_loss, active):
        """Embed it."""
        self.points.append(embed(self.window)[0])
        self.measured.append((loss, validation_loss, active))


def test_a_watch_sees_the_encoder_before_it_learns_and_after_each_epoch():
    """The film of a training begins with what chance gave."""
    watch, recorder = Watching(data().validation.cut(slice(1))), Recorder()

    settings = replace(QUICK, batches=1)
    fitted = learn(settings, progress=recorder, validation=data().validation, watch=watch)

    assert len(watch.points) == 1 + QUICK.epochs
    assert np.isnan(watch.measured[0]).all()
    assert watch.measured[1:] == [
        (epoch["loss"], epoch["val_loss"], epoch["active"]) for epoch in recorder.epochs
    ]
    assert all(
        (one != two).any() for one, two in zip(watch.points, watch.points[1:], strict=False)
    )
    np.testing.assert_allclose(fitted.encoder.embed(watch.window)[0], watch.points[-1], atol=1e-5)


def test_being_watched_changes_nothing():
    """A film must show the training that there would have been without it."""
    watch = Watching(data().validation.cut(slice(1)))

    assert_same_weights(learn(QUICK), learn(QUICK, watch=watch))


def test_the_weights_are_those_of_the_encoder():
    """They are what the bundle keeps, and the daemon's engine must embed as this one does."""
    fitted = learn(QUICK)
    windows = data().validation.cut(slice(0, 20))

    engine = OnnxEngine(fitted.architecture, fitted.weights, TINY.steps, 1)
    points = Encoder(fitted.encoder.inputs, engine, TINY.embedding).embed(windows)

    np.testing.assert_allclose(fitted.encoder.embed(windows), points, atol=1e-5)


def test_the_step_size_falls_along_half_a_cosine_to_a_fiftieth(monkeypatch):
    """The last epochs settle, and no validation has to say when it is enough."""
    rates = []

    class Noting(keras.optimizers.Adam):
        def apply(self, *arguments, **options):
            rates.append(float(self.learning_rate))
            return super().apply(*arguments, **options)

    monkeypatch.setattr(keras.optimizers, "Adam", Noting)
    learn(replace(QUICK, epochs=4, batches=5, learning_rate=0.01))

    cosine = [0.01 * (0.02 + 0.98 * (1 + np.cos(np.pi * step / 20)) / 2) for step in range(20)]
    np.testing.assert_allclose(rates, cosine, rtol=1e-3)


def test_the_head_names_the_labels_that_were_learnt():
    """Two stages: the encoder by its metric loss, then a layer on what it gives."""
    bundle, _ = tiny_training()
    learning = data().rehearsal.learning
    encoder = open_encoder(bundle, "onnxruntime", 1)

    points = encoder.embed(learning.cut(slice(None)))
    named = np.array(bundle.head.name(points))

    assert bundle.head.labels == ("blocked", "capacity-limited", "normal")
    right = [(named == one)[learning.labels == one].mean() for one in bundle.head.labels]
    assert np.mean(right) > 0.5


def test_the_head_leaves_the_encoder_as_it_is_and_knows_labels_where_that_tells_kinds_apart():
    """No second opinion may move the anchors, and what a verdict says is a label."""
    with TemporaryDirectory() as folder:
        table = make_table()
        table.loc[table["link"].isin(["r0/core", "r1/core"]), "kind"] = "another"
        side = read([write(table, Path(folder))], replace(TINY, superpose=False)).whole
    settings = replace(QUICK, kinds=True, epochs=1)

    with_head, without = (
        fit(side.learning, replace(settings, head=head), Recorder()) for head in (True, False)
    )

    assert with_head.head.labels == ("blocked", "capacity-limited", "normal")
    assert without.head is None
    assert_same_weights(with_head, without)


def test_everything_that_augments_is_passed_on():
    """A share that gets lost on its way changes nothing, and nobody sees it."""
    knobs = {"load_span": 3.0, "thin": 0.1, "shift": 0.2, "average": 0.3, "missing": 0.4,
             "mirror": 0.5}  # fmt: skip
    spec = WindowSpec(("calls",), 4, 1000)

    augment = augmentation(spec, replace(TINY, **knobs))

    assert {name: getattr(augment, name) for name in knobs} == knobs
    assert augment.features == ("calls",)


@pytest.mark.parametrize(
    ("loss", "activation", "fit_for"),
    [("lossless", "unit", "sigmoid"), ("multi-similarity", "sigmoid", "unit")],
)
def test_settings_that_do_not_go_together_are_refused_before_anything_is_learnt(
    loss, activation, fit_for
):
    """One line that says what to choose, and no traceback after an hour."""
    recorder = Recorder()

    with pytest.raises(
        CaptureError, match=f"'{loss}' needs {fit_for} outputs, not '{activation}'"
    ):
        learn(replace(QUICK, loss=loss, activation=activation), progress=recorder)

    assert recorder.epochs == []


def test_features_of_which_nothing_can_be_made_are_refused():
    """Nothing that travels between links is in them."""
    links = [make_link([label] * 20, name=label) for label in ("normal", "blocked")]
    spec = WindowSpec(("interarrival_ms",), 4, 1000)
    windows = LabelledWindows(links, spec, tail=4)

    with pytest.raises(CaptureError, match="no input can be made of interarrival_ms"):
        fit(windows, replace(QUICK, inputs="ratios"), Recorder())


@pytest.mark.parametrize("what", ["learning", "validation"])
def test_validation_windows_are_as_they_were_recorded_and_others_are_augmented(what):
    """What was made up must not be what the recipe is judged by."""
    with_it = replace(QUICK, load_span=8.0, missing=0.9, thin=0.9, drop=0.5)
    without = replace(QUICK, load_span=1.0, missing=0.0, thin=0.0, drop=0.0)
    sums = []

    def note(batch):
        sums.append(float(tf.reduce_sum(batch.points)))
        return tf.reduce_sum(batch.points) * 0, tf.constant(0.0)  # so that nothing is learnt

    with listed(LOSSES, "noting", Loss(note)):
        for settings in (with_it, without):
            validation = data().validation if what == "validation" else None
            recorder = Recorder(last=1)
            with pytest.raises(EnoughError):
                learn(replace(settings, loss="noting"), progress=recorder, validation=validation)

    half = len(sums) // 2
    last = -10 if what == "validation" else -QUICK.batches
    assert (sums[:half][last:] == sums[half:][last:]) == (what == "validation")


STILL = replace(QUICK, epochs=1, batches=1, learning_rate=1e-9)  # as good as no step


def test_going_on_begins_with_the_weights_inputs_and_architecture_that_there_are():
    """Scaled anew or drawn anew, what was learnt before would be lost."""
    bundle, _ = tiny_training()
    other = replace(STILL, units=(7,), embedding=3, half_lives_seconds=(9.0,), seed=5)

    fitted = learn(other, start=bundle)

    assert fitted.encoder.inputs.spec == bundle.manifest.inputs
    assert fitted.architecture == bundle.manifest.architecture
    for name, value in bundle.weights.items():
        np.testing.assert_allclose(fitted.weights[name], value, atol=1e-6)
    windows = data().validation.cut(slice(None))
    points = open_encoder(bundle, "onnxruntime").embed(windows)
    np.testing.assert_allclose(fitted.encoder.embed(windows), points, atol=1e-4)


def test_going_on_learns_and_the_same_seed_gives_the_same():
    """Further steps from where it was, and no others the second time."""
    bundle, _ = tiny_training()

    first, again = learn(QUICK, start=bundle), learn(QUICK, start=bundle)

    assert_same_weights(first, again)
    assert any(
        np.abs(first.weights[name] - bundle.weights[name]).max() > 1e-3 for name in first.weights
    )


def test_going_on_trains_the_second_opinion_anew():
    """There may be labels that the one before did not know."""
    bundle, _ = tiny_training()

    fitted = learn(replace(STILL, head=True), start=bundle)

    assert fitted.head.labels == bundle.head.labels
    assert (fitted.head.kernel != bundle.head.kernel).any()
