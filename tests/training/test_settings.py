"""Every knob of a training does something: turned, it changes what is learnt or written."""

from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import tensorflow as tf

from detector.encoder import open_encoder
from tests.training.captures import (
    START_MS,
    TINY,
    EnoughError,
    Recorder,
    listed,
    make_table,
    tiny_training,
    write,
)
from training.data import read
from training.losses import LOSSES, triplet
from training.settings import Settings
from training.train import WARM_UP, fit, train

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")


@pytest.fixture(autouse=True)
def eagerly():
    """Compile nothing: for a short epoch that takes longer than the epoch itself."""
    tiny_training()  # which other tests compare with a real one, byte by byte
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def names(windows):
    """Give the links that windows are from."""
    return {link.link for link in windows.links}


def runs(windows):
    """Give the runs that windows are from."""
    return {link.run for link in windows.links}


# What is read: a knob, another value, and what must be true of the data then and not before.
READING = {
    "steps": (12, lambda data: data.spec.steps == 12),
    "step_ms": (
        2000,
        lambda data: data.spec.step_ms == data.rehearsal.recorded.links[0].step_ms == 2000,
    ),
    "features": (
        ("fwd_invite", "rev_2xx"),
        lambda data: data.rehearsal.recorded.rows.shape[1] == 2,
    ),
    "links": (
        ("*/core",),
        lambda data: all(n.endswith("/core") for n in names(data.rehearsal.recorded)),
    ),
    "leave_out": (
        ("r0",),
        lambda data: "r7/core" in names(data.rehearsal.recorded) | names(data.validation),
    ),
    "labels": (
        ("normal", "blocked"),
        lambda data: set(data.whole.recorded.labels) == {"normal", "blocked"},
    ),
    "validation_share": (0.5, lambda data: len(runs(data.validation)) == 3),
    "tail_seconds": (10.0, lambda data: "blocked" not in partial(data.rehearsal.learning)),
    "superpose": (
        False,
        lambda data: not any("+" in name for name in names(data.rehearsal.learning)),
    ),
    "seed": (3, lambda data: "r0" in runs(data.validation)),
}
# What is trained on: a knob and another value; the first epoch must measure something else.
EPOCH = {
    "load_span": 1.0,
    "drop": 0.6,
    "loss": "doubled",
    "margin": 0.1,
    "learning_rate": 0.1,
    "batch": 16,
    "batches": 5,
}
# What is written: a knob, another value, and what must be true of the manifest then.
WRITTEN = {
    "half_lives_seconds": ((7.0,), lambda manifest: manifest.inputs.half_lives_seconds == (7.0,)),
    "units": ((3, 2), lambda manifest: manifest.architecture.units == (3, 2)),
    "statistics": (True, lambda manifest: manifest.architecture.statistics),
    "refit": (
        True,
        lambda manifest: {"r0", *manifest.training.validation_runs} <= learnt(manifest),
    ),
    "embedding": (3, lambda manifest: manifest.architecture.embedding == 3),
    "epochs": (1, lambda manifest: manifest.training.scores["epochs"] == 1),
    "anchors": (
        {"normal": f"r3/core@{START_MS + 3 * 3_600_000 + 7000}"},
        lambda manifest: (
            ("r3/core", START_MS + 3 * 3_600_000 + 7000)
            in {(anchor.link, anchor.start_ms) for anchor in manifest.anchors}
        ),
    ),
}
ALONE = {"patience"}  # has a test of its own
QUICK = replace(TINY, steps=4, batches=1)  # where it takes many epochs


def learnt(manifest):
    """Give the runs that an encoder has learnt from."""
    return {*manifest.training.runs}


def partial(windows):
    """Give the labels of windows that contain a change."""
    tails = zip(windows.labels, windows.starts, strict=True)
    labels = np.concatenate([link.labels for link in windows.links])
    return {label for label, start in tails if labels[start] != label}


def test_every_knob_is_turned_by_a_test():
    """A knob that does nothing is worse than none."""
    turned = [*READING, *EPOCH, *WRITTEN, *ALONE]

    assert sorted(turned) == sorted(field.name for field in fields(Settings))


@pytest.mark.parametrize("knob", READING)
def test_a_knob_of_reading_changes_what_is_read(knob, tmp_path):
    """Which windows there are is settled before anything is learnt."""
    value, is_turned = READING[knob]
    path = write(make_table(), tmp_path)

    before, after = (read([path], s) for s in (TINY, replace(TINY, **{knob: value})))

    assert is_turned(after)
    assert not is_turned(before)


@pytest.mark.parametrize("knob", EPOCH)
def test_a_knob_of_learning_changes_what_the_first_epoch_measures(knob, tmp_path):
    """The loss after one epoch holds all that was drawn, computed and corrected in it."""
    _, before = tiny_training()
    after = Recorder(last=1)
    settings = replace(TINY, **{knob: EPOCH[knob]})

    with listed(LOSSES, "doubled", doubled), pytest.raises(EnoughError):
        train([write(make_table(), tmp_path)], settings, after)

    assert set(after.first) == set(before.first) == {"loss", "val_loss"}
    assert after.first["loss"] != pytest.approx(before.first["loss"], rel=1e-5)


def test_training_stops_once_validation_gets_no_better(tmp_path):
    """More epochs cost time and learn the training runs by heart."""
    path, recorder = write(make_table(), tmp_path), Recorder()
    still = replace(QUICK, learning_rate=1e-12, patience=2, epochs=30, refit=True)

    bundle = train([path], still, recorder)

    validated = [epoch for epoch in recorder.epochs if "val_loss" in epoch]
    assert len(validated) == WARM_UP + 1 + 2  # the first that counts, and two no better
    assert bundle.manifest.training.scores["epochs"] == WARM_UP + 1
    assert len(recorder.epochs) - len(validated) == WARM_UP + 1  # and as long once more


def test_the_epoch_that_validated_best_is_kept(tmp_path):
    """What was learnt after it was learnt by heart."""
    wild = replace(QUICK, learning_rate=0.5, patience=9, epochs=8)
    data = read([write(make_table(), tmp_path)], wild)

    whole = fit(data.rehearsal, data.spec, wild, Recorder(), data.validation)
    short = replace(wild, epochs=whole.epochs)
    part = fit(data.rehearsal, data.spec, short, Recorder(), data.validation)

    assert WARM_UP < whole.epochs < len(whole.losses)
    assert whole.losses[whole.epochs - 1] == min(whole.losses[WARM_UP:])
    for name, value in part.weights.items():
        np.testing.assert_array_equal(whole.weights[name], value)


def doubled(anchor, positive, negative, *, margin):
    """Give twice the triplet loss."""
    return 2 * triplet(anchor, positive, negative, margin=margin)


@cache
def turned():
    """Train once with all that shows in the manifest turned."""
    changes, recorder = {knob: value for knob, (value, _) in WRITTEN.items()}, Recorder()
    with TemporaryDirectory() as folder:
        path = write(make_table(), Path(folder))
        return train([path], replace(TINY, **changes), recorder), recorder


@pytest.mark.parametrize("knob", WRITTEN)
def test_a_knob_of_the_encoder_shows_in_the_manifest(knob):
    """Whoever has the bundle can see what it was made with."""
    _, is_turned = WRITTEN[knob]

    assert is_turned(turned()[0].manifest)
    assert not is_turned(tiny_training()[0].manifest)


def test_another_architecture_passes_the_self_test_too():
    """Two layers and another size are as good as the usual ones, in the daemon's engine too."""
    bundle, _ = turned()

    assert open_encoder(bundle, "onnxruntime").size == 3
    assert set(bundle.weights) > set(tiny_training()[0].weights)


def test_a_bundle_is_scored_by_the_encoder_that_had_not_seen_the_validation_runs():
    """After learning again from all runs there is nothing left to judge by."""
    bundle, recorder = turned()

    scores = bundle.manifest.training.scores

    rehearsed, refitted = recorder.epochs
    assert scores["validation_loss"] == pytest.approx(rehearsed["val_loss"], abs=1e-5)
    assert "val_loss" not in refitted
    assert refitted["loss"] != rehearsed["loss"]  # of the same seed, so it is other runs that tell


@pytest.mark.parametrize("knob", [field.name for field in fields(Settings)])
def test_every_knob_is_on_record(knob):
    """A bundle tells all that is needed to make it again."""
    bundle, _ = tiny_training()
    manifest, training = bundle.manifest, bundle.manifest.training

    known = {
        "steps": manifest.window.steps,
        "step_ms": manifest.window.step_ms,
        "features": () if manifest.window.features else None,  # all that the capture has
        "links": training.links,
        "leave_out": tuple(str(training.settings["leave_out"]).split(",")),
        "labels": tuple(filter(None, str(training.settings["labels"]).split(","))),
        "half_lives_seconds": manifest.inputs.half_lives_seconds,
        "units": manifest.architecture.units,
        "embedding": manifest.architecture.embedding,
        "seed": training.seed,
        "anchors": {} if manifest.anchors else None,  # medoids, and where they are
    }

    assert known.get(knob, training.settings.get(knob)) == getattr(TINY, knob)
