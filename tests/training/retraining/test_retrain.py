"""Retraining: a candidate from base captures and a store, as honest as any training."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from detector.bundle import save
from detector.capture import CaptureError
from detector.encoder import open_encoder
from tests.training.captures import LEFT_OUT, TINY, make_table, tiny_training, write
from tests.training.retraining.pieces import (
    hours_of,
    piece,
    retrained,
    running,
    week,
    weekly,
)
from training.judging.recalled import recalled
from training.retraining.gathered import Limits, labels_of
from training.retraining.held import is_held_back
from training.retraining.retrain import STORE, Wanted, recipe, retrain
from training.settings import plain
from training.traffic import name_of

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")


@pytest.fixture
def eagerly():
    """Compile nothing: for a short epoch that takes longer than the epoch itself."""
    tiny_training(), running(), weekly()
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def training():
    """Give what the candidate says of its training."""
    return weekly().bundle.manifest.training


def test_the_recipe_is_the_running_bundles_and_what_it_left_out_stays_out():
    """A run that promotion judges by must not slip into the training of the candidate."""
    settings = recipe(running().manifest, None)

    assert settings == replace(recalled(running().manifest), leave_out=LEFT_OUT)
    assert plain(settings) == plain(replace(TINY, features=settings.features))
    assert recipe(running().manifest, 7).seed == 7
    assert set(LEFT_OUT).isdisjoint({*training().runs, *training().validation_runs})
    assert recipe(weekly().bundle.manifest, None).leave_out == LEFT_OUT  # and the next time


def test_a_new_fault_of_the_store_becomes_a_label_with_an_anchor():
    """That is what operators name captures for."""
    manifest = weekly().bundle.manifest

    assert manifest.labels == ("blocked", "capacity-limited", "lossy", "normal")
    anchor = next(anchor for anchor in manifest.anchors if anchor.label == "lossy")
    ((source, row),) = [
        (link, row)
        for link in week()
        # By the name that the link has on the network, without that of its part in the store.
        if name_of(link) == anchor.link
        and 0 <= (row := (anchor.start_ms - link.start_ms) // 1000) < len(link.values)
    ]
    place = manifest.anchors.index(anchor)
    np.testing.assert_array_equal(
        weekly().bundle.anchor_windows[place], source.values[row : row + TINY.steps]
    )


def test_all_anchors_are_embedded_anew_from_their_raw_windows():
    """A point of the encoder before would lie anywhere in the space of this one."""
    bundle = weekly().bundle

    points = open_encoder(bundle, "onnxruntime").embed(bundle.anchor_windows)

    np.testing.assert_allclose(points, bundle.anchor_embeddings, atol=1e-4)
    before = running().anchor_embeddings
    assert np.abs(points[:2] - before[:2]).max() > 0.01


def test_held_back_hours_are_never_learnt_from_nor_validated_on():
    """The same runs in every retraining, so that candidates can be judged by them."""
    held = {link.run for link in weekly().gathered.held}
    seen = {*training().runs, *training().validation_runs}

    assert held == {link.run for link in week()[:40] if is_held_back(link.run, 0.2)}
    assert len(held) > 2
    assert held.isdisjoint(seen)
    assert weekly().gathered.passed["rare"].startswith("0 hours (1 more held back)")
    assert "no name" in weekly().gathered.passed["unknown"]


def test_validation_runs_are_of_both_and_none_is_learnt():
    """The score is of the recipe on base and site alike, on runs that it has not seen."""
    kept, learnt = set(training().validation_runs), set(training().runs)

    assert kept.isdisjoint(learnt)
    assert any(run.startswith("2023-") for run in kept)
    assert any(run.startswith("r") for run in kept)
    assert kept & hours_of(week(), "lossy")
    assert len(learnt & hours_of(week(), "lossy")) >= 2


def test_the_manifest_tells_where_it_comes_from():
    """Whoever finds a bundle in the store a year later can tell."""
    assert (training().parent, training().start) == (running().id, "scratch")
    assert set(training().captures) == {"capture.parquet", STORE}
    settings = training().settings
    assert settings["epochs"] == TINY.epochs
    assert settings["leave_out"] == ",".join(LEFT_OUT)


def test_both_are_judged_on_what_neither_has_seen():
    """Scores on validation runs are of other runs each time: they can't be compared."""
    both = weekly().beside

    assert both.runs == len(LEFT_OUT) + len({link.run for link in weekly().gathered.held})
    assert both.running.by_label["lossy"] == 0.0 < both.candidate.by_label["lossy"]
    assert set(both.candidate.by_label) == {"blocked", "capacity-limited", "lossy", "normal"}
    assert weekly().gone == 0


def test_no_more_of_the_store_than_of_the_base():
    """Twenty hours of normal traffic against six runs that the lab recorded."""
    learnt = weekly().gathered.links

    assert len(hours_of(learnt, "normal")) == 6
    assert len(hours_of(learnt, "lossy")) > 6


def quick(links, folder, **wanted):
    """Retrain with no more work than it takes to see what is learnt from."""
    bundle = running()
    settings = bundle.manifest.training.settings | {"epochs": 1, "batches": 1, "head": False}
    changed = msgspec.structs.replace(bundle.manifest.training, settings=settings)
    manifest = msgspec.structs.replace(bundle.manifest, training=changed)
    limits = wanted.pop("limits", Limits(hold_back=0.0))
    paths = wanted.pop("paths", None)
    chosen = Wanted(limits=limits, **wanted)
    if paths is not None:
        return retrain(replace(bundle, manifest=manifest), paths, links, chosen, lambda *_: None)
    return retrained(folder, links, limits=limits, **wanted)


@pytest.mark.usefixtures("eagerly")
def test_the_same_store_and_seed_give_the_same_bundle(tmp_path):
    """Or nobody can say what is live, nor make it again."""
    ids, some = [], Limits(hold_back=0.0, hours=0.1)
    for name, order in (("one", 1), ("two", -1)):
        made = quick(week()[::order], tmp_path, paths=[], limits=some)
        ids.append(save(made.bundle, tmp_path / name))
    other = quick(week(), tmp_path, paths=[], limits=some, seed=5)

    assert ids[0] == ids[1] != save(other.bundle, tmp_path / "other")


@pytest.mark.usefixtures("eagerly")
def test_a_store_may_be_all_there_is(tmp_path):
    """A site that has no base captures learns from its own traffic, and is told what is lost."""
    made = quick(week(), tmp_path, paths=[])

    assert made.bundle.manifest.labels == ("lossy", "normal")
    assert made.gone == len(running().manifest.training.runs)
    assert list(made.base) == []


def test_with_nothing_named_and_no_base_there_is_nothing_to_learn(tmp_path):
    """Said before the work, in words."""
    with pytest.raises(CaptureError, match="nothing to learn from"):
        quick([piece(1, None)], tmp_path, paths=[])


@pytest.mark.usefixtures("eagerly")
def test_from_weights_inputs_and_architecture_are_the_parents(tmp_path):
    """Scaled anew, the weights would be those of other inputs; and it starts where that was."""
    made = retrained(tmp_path, week(), epochs=1, learning_rate=1e-9)

    ours, parents = made.bundle.manifest, running().manifest
    assert ours.inputs == parents.inputs
    assert ours.architecture == parents.architecture
    for name, value in running().weights.items():
        np.testing.assert_allclose(made.bundle.weights[name], value, atol=1e-6)
    assert (ours.training.parent, ours.training.start) == (
        parents.training and running().id,
        "parent",
    )
    assert set(parents.training.runs) <= set(ours.training.runs)
    assert ours.training.settings["epochs"] == TINY.epochs  # of the recipe, for the next time


@pytest.mark.usefixtures("eagerly")
def test_from_weights_nothing_is_validated_on_that_the_parent_learnt(tmp_path):
    """Its weights know those runs by heart."""
    made = retrained(tmp_path, week(), epochs=1, learning_rate=1e-3)

    kept = set(made.bundle.manifest.training.validation_runs)
    assert kept.isdisjoint(running().manifest.training.runs)
    assert kept & hours_of(week(), "lossy")


@pytest.mark.usefixtures("eagerly")
def test_from_weights_with_nothing_new_to_validate_on_is_refused(tmp_path):
    """Said before the work, and what to do."""
    bundle = running()
    before = bundle.manifest.training
    everything = msgspec.structs.replace(before, runs=before.runs + before.validation_runs)
    refitted = replace(
        bundle, manifest=msgspec.structs.replace(bundle.manifest, training=everything)
    )
    wanted = Wanted(epochs=1, learning_rate=1e-3)

    with pytest.raises(CaptureError, match="use --from-scratch"):
        retrain(refitted, [write(make_table(), tmp_path)], [], wanted, lambda *_: None)


@pytest.mark.usefixtures("eagerly")
def test_a_label_that_the_recipe_left_out_is_learnt_once_somebody_gives_it(tmp_path):
    """It was to stay unknown; now it has a name, in the base captures too."""
    bundle = running()
    before = bundle.manifest.training
    settings = before.settings | {"labels": "blocked,normal", "epochs": 1, "batches": 1}
    changed = msgspec.structs.replace(before, settings=settings)
    narrow = replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, training=changed))
    limits = Wanted(limits=Limits(hold_back=0.0))
    paths = [write(make_table(), tmp_path)]

    none = retrain(narrow, paths, [piece(1, "normal")], limits, lambda *_: None)
    named = retrain(
        narrow,
        paths,
        [piece(hour, "capacity-limited") for hour in range(3)],
        limits,
        lambda *_: None,
    )

    assert none.bundle.manifest.labels == ("blocked", "normal")
    assert named.bundle.manifest.labels == ("blocked", "capacity-limited", "normal")
    assert named.bundle.manifest.training.settings["labels"] == "blocked,capacity-limited,normal"
    assert any("capacity-limited" in labels_of(link) for link in named.base)
