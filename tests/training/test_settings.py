"""Every knob of a training does something: turned, it changes what is learnt or written."""

from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import tensorflow as tf

from detector.architecture import ACTIVATIONS
from detector.encoder import open_encoder
from tests.training.captures import (
    FEATURES,
    START_MS,
    TINY,
    EnoughError,
    Recorder,
    make_table,
    tiny_training,
    write,
)
from training.data import read
from training.losses import LOSSES, check_loss
from training.settings import PRESETS, Settings
from training.train import train
from training.triplets import MINERS

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
    "leave_kinds": (
        ("blocked*",),
        lambda data: set(data.whole.recorded.labels) == {"normal", "capacity-limited"},
    ),
}
# What is trained on: a knob and another value; the first epoch must measure something else.
EPOCH = {
    "load_span": 1.0,
    "thin": 0.9,
    "shift": 0.9,
    "average": 0.9,
    "missing": 0.9,
    "mirror": 0.9,
    "drop": 0.6,
    "loss": "contrastive",
    "miner": "batch-hard",
    "margin": 0.1,
    "normal_share": 0.8,
    "recovery_share": 0.9,
    "learning_rate": 0.1,
    "batch": 16,
    "batches": 5,
}
# What is written: a knob, another value, and what must be true of the manifest then.
WRITTEN = {
    "inputs": ("both", lambda manifest: len(manifest.inputs.levels) == len(FEATURES)),
    "masks": (True, lambda manifest: len(manifest.inputs.masks) == len(FEATURES)),
    "busier_first": (True, lambda manifest: manifest.inputs.swap is not None),
    "half_lives_seconds": ((7.0,), lambda manifest: manifest.inputs.half_lives_seconds == (7.0,)),
    "units": ((3, 2), lambda manifest: manifest.architecture.units == (3, 2)),
    "statistics": (True, lambda manifest: manifest.architecture.statistics),
    "activation": ("unit", lambda manifest: manifest.architecture.activation == "unit"),
    "head": (False, lambda manifest: manifest.head == ()),
    "kinds": (True, lambda manifest: len(manifest.anchors) > len(manifest.labels)),
    "refit": (
        True,
        lambda manifest: {"r0", *manifest.training.validation_runs} <= learnt(manifest),
    ),
    "embedding": (3, lambda manifest: manifest.architecture.embedding == 3),
    "anchors": (
        {"normal/normal kind": f"r3/core@{START_MS + 3 * 3_600_000 + 7000}"},
        lambda manifest: (
            ("r3/core", START_MS + 3 * 3_600_000 + 7000)
            in {(anchor.link, anchor.start_ms) for anchor in manifest.anchors}
        ),
    ),
}
ALONE = {"epochs"}  # has a test of its own
# Where something is on record in another form than that in which it is chosen.
ELSEWHERE = {"steps", "step_ms", "features", "links", "leave_out", "labels", "leave_kinds",
             "half_lives_seconds", "units", "embedding", "activation", "statistics", "seed",
             "anchors"}  # fmt: skip


QUICK = replace(TINY, batches=3, head=False)  # where what was learnt doesn't matter


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


def recovering_table():
    """Make the capture, but with links that are well again in the end, for a while."""
    table = make_table()
    for _, rows in table.groupby("link"):
        table.loc[rows.index[-12:], "label"] = "normal"
    return table


def first_epoch(path, settings):
    """Give what the first epoch measures."""
    recorder = Recorder(last=1)
    with pytest.raises(EnoughError):
        train([path], settings, recorder)
    return recorder.first


@cache
def unturned():
    """Give what the first epoch measures with nothing turned."""
    with TemporaryDirectory() as folder:
        return first_epoch(write(recovering_table(), Path(folder)), QUICK)


@pytest.mark.parametrize("knob", EPOCH)
def test_a_knob_of_learning_changes_what_the_first_epoch_measures(knob, tmp_path):
    """The loss after one epoch holds all that was drawn, computed and corrected in it."""
    path = write(recovering_table(), tmp_path)

    after = first_epoch(path, replace(QUICK, **{knob: EPOCH[knob]}))

    assert set(after) == set(unturned()) == {"loss", "active", "val_loss", "val_active"}
    assert after["loss"] != pytest.approx(unturned()["loss"], rel=1e-5)


def test_with_nothing_turned_the_first_epoch_measures_the_same(tmp_path):
    """Or the test above would pass for chance alone."""
    path = write(recovering_table(), tmp_path)

    assert first_epoch(path, QUICK) == unturned()


@pytest.mark.parametrize("epochs", [1, 3])
def test_it_learns_for_as_many_epochs_as_it_was_told(epochs, tmp_path):
    """Nothing ends a training early, so that two of them can be compared."""
    path, recorder = write(make_table(), tmp_path), Recorder()

    train([path], replace(QUICK, head=False, batches=1, refit=True, epochs=epochs), recorder)

    assert [(epoch, whole) for _, epoch, whole in recorder.told] == [
        (number + 1, epochs) for number in range(epochs)
    ] * 2


@cache
def turned():
    """Train once with all that shows in the manifest turned."""
    changes, recorder = {knob: value for knob, (value, _) in WRITTEN.items()}, Recorder()
    table = make_table()
    table.loc[table["link"].isin(["r0/core", "r2/core", "r4/core"]), "kind"] = "another"
    with TemporaryDirectory() as folder:
        path = write(table, Path(folder))
        return train([path], replace(QUICK, epochs=1, **changes), recorder), recorder


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
        "leave_kinds": tuple(filter(None, str(training.settings["leave_kinds"]).split(","))),
        "half_lives_seconds": manifest.inputs.half_lives_seconds,
        "units": manifest.architecture.units,
        "embedding": manifest.architecture.embedding,
        "activation": manifest.architecture.activation,
        "statistics": manifest.architecture.statistics,
        "seed": training.seed,
        "anchors": {} if manifest.anchors else None,  # medoids, and where they are
    }

    assert known.get(knob, training.settings.get(knob)) == getattr(TINY, knob)
    assert (knob in known) == (knob in ELSEWHERE)


def choices(knob):
    """Give what can be chosen for a knob."""
    (field,) = (field for field in fields(Settings) if field.name == knob)
    return set(field.metadata["choices"])


def test_what_can_be_chosen_is_what_there_is():
    """The lists are written out, so that `--help` answers without TensorFlow."""
    assert choices("loss") == set(LOSSES)
    assert choices("miner") == set(MINERS)
    assert choices("activation") == set(ACTIVATIONS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_turns_knobs_that_there_are_within_their_bounds(name):
    """A preset that can't be typed as options could not be varied either."""
    known = {field.name: field for field in fields(Settings)}
    preset = PRESETS[name]

    settings = Settings(**preset)

    check_loss(settings.loss, settings.activation)
    for knob, value in preset.items():
        facts = known[knob].metadata
        assert not facts["choices"] or value in facts["choices"]
        assert facts["least"] is None or value >= facts["least"]
        assert facts["most"] is None or value <= facts["most"]


def test_the_default_settings_go_together():
    """Whoever gives no option at all must get an encoder."""
    assert PRESETS["default"] == {}
    check_loss(Settings().loss, Settings().activation)


def test_the_origin_is_a_cube_with_a_corner_for_each_label():
    """The telecom team's encoder: three sigmoids, the triplet loss, and nothing made up."""
    origin = Settings(**PRESETS["origin"])

    assert (origin.embedding, origin.activation) == (3, "sigmoid")
    assert (origin.loss, origin.miner) == ("triplet", "random")
    assert origin.inputs == "counts"
    assert not origin.superpose
    assert not origin.head
    assert origin.load_span == 1
    made_up = ("thin", "shift", "average", "missing", "mirror", "drop")
    assert {getattr(origin, knob) for knob in made_up} == {0}
    assert (origin.normal_share, origin.recovery_share) == (0, 0)
