"""Captures in, a bundle out: the same for the same seed, and honest about what it has seen."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from detector.bundle import FILES, BundleError, load, save
from detector.capture import CaptureError
from detector.encoder import open_encoder
from detector.inputs import Inputs
from detector.parts import PARTS, file_of
from tests.training.captures import (
    FEATURES,
    START_MS,
    TINY,
    Recorder,
    make_table,
    tiny_training,
    write,
)
from training.data import read
from training.trace import Trace
from training.train import train

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")


@pytest.fixture
def eagerly():
    """Compile nothing: for a short epoch that takes longer than the epoch itself."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def runs_of(windows):
    """Give the runs that windows are from, as a manifest lists them."""
    return tuple(sorted({link.run for link in windows.links}))


def tiny_data(folder):
    """Read what the tiny training has read."""
    return read([write(make_table(), folder)], TINY)


def test_the_manifest_says_what_was_learnt_from(tmp_path):
    """Evaluation believes it, and the next training repeats it."""
    bundle, _ = tiny_training()
    data = tiny_data(tmp_path)

    training = bundle.manifest.training

    assert training.runs == runs_of(data.rehearsal.recorded)
    assert training.validation_runs == runs_of(data.validation)
    assert training.links == TINY.links
    assert training.seed == TINY.seed
    assert training.captures == data.captures
    assert bundle.manifest.window == data.spec


def test_an_anchor_is_the_window_that_the_manifest_names():
    """An operator who looks it up in the capture must find what the daemon compares with."""
    bundle, _ = tiny_training()
    table = make_table()

    manifest = bundle.manifest

    assert manifest.labels == ("blocked", "capacity-limited", "normal")
    assert [anchor.label for anchor in manifest.anchors] == list(manifest.labels)
    for anchor, window in zip(manifest.anchors, bundle.anchor_windows, strict=True):
        rows = table[(table["link"] == anchor.link) & (table["t_ms"] >= anchor.start_ms)]
        np.testing.assert_array_equal(rows[list(FEATURES)].to_numpy()[: TINY.steps], window)
        assert set(rows["label"][: TINY.steps]) == {anchor.label}
        assert anchor.kind == f"{anchor.label} kind"
        assert anchor.link.partition("/")[0] in manifest.training.runs


def test_embeddings_are_those_of_their_windows(tmp_path):
    """An anchor beside its place would name every fault wrongly, and no score would tell why."""
    bundle, _ = tiny_training()
    encoder = open_encoder(bundle, "onnxruntime")

    points = encoder.embed(bundle.anchor_windows)

    np.testing.assert_allclose(points, bundle.anchor_embeddings, atol=1e-4)
    assert np.linalg.norm(points[0] - points[2]) > 0.01
    recorded = tiny_data(tmp_path).rehearsal.recorded.cut(slice(None))
    known = {window.tobytes() for window in recorded}
    assert all(window.tobytes() in known for window in bundle.golden_windows)


def test_inputs_are_scaled_by_all_that_is_learnt_from(tmp_path):
    """Scaled by a few windows only, most of the others would look like faults."""
    bundle, _ = tiny_training()
    learning = tiny_data(tmp_path).rehearsal.learning

    inputs = Inputs(bundle.manifest.inputs, bundle.manifest.window)(learning.cut(slice(None)))

    flat = inputs.reshape(-1, inputs.shape[2])
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=0.02)  # but for what is clipped
    np.testing.assert_allclose(flat.std(axis=0), 1, atol=0.02)


def test_an_unknown_anchor_is_refused_before_the_training(tmp_path):
    """Minutes of work that end in a slip of the pen are minutes lost."""
    path, recorder = write(make_table(), tmp_path), Recorder()

    with pytest.raises(CaptureError, match="no window of 'normal' is at 'r9/core@"):
        train([path], replace(TINY, anchors={"normal": f"r9/core@{START_MS}"}), recorder)

    assert recorder.epochs == []


def test_golden_windows_pass_the_self_test_of_the_daemons_engine():
    """A bundle that no daemon loads is found out here and not on the night of the roll-out."""
    bundle, _ = tiny_training()

    encoder = open_encoder(bundle, "onnxruntime")
    with pytest.raises(BundleError, match="self-test"):
        open_encoder(replace(bundle, golden_embeddings=bundle.golden_embeddings + 0.01))

    assert encoder.size == TINY.embedding
    assert len({window.tobytes() for window in bundle.golden_windows}) > 1
    assert np.ptp(bundle.golden_embeddings, axis=0).max() > 0.01  # they tell weights apart


def test_a_bundle_holds_json_and_plain_tensors_and_nothing_else(tmp_path):
    """A pickle or a Keras archive can carry code, and bundles come from other machines."""
    bundle, _ = tiny_training()
    save(bundle, tmp_path / "bundle")

    files = {file.name: file.read_bytes() for file in (tmp_path / "bundle").iterdir()}

    assert json.loads(files.pop("manifest.json"))["format"] == bundle.manifest.format
    assert sorted(files) == sorted([*FILES, *map(file_of, PARTS)])
    for data in files.values():
        tensors = safetensors.numpy.load(data)
        header = 8 + int.from_bytes(data[:8], "little")
        assert len(data) == header + sum(tensor.nbytes for tensor in tensors.values())


def test_a_saved_bundle_is_what_was_trained(tmp_path):
    """What is judged in memory and what is rolled out must be one thing."""
    bundle, _ = tiny_training()

    bundle_id = save(bundle, tmp_path / "bundle")
    loaded = load(tmp_path / "bundle")

    assert loaded.id == bundle_id
    assert loaded.manifest.training == bundle.manifest.training
    for name, value in bundle.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], value)


def balanced(truth, said):
    """Give the mean over labels of the share that was named right."""
    pairs = list(zip(truth, said, strict=True))
    shares = []
    for label in sorted(set(truth)):
        mine = [one == other for one, other in pairs if one == label]
        shares.append(sum(mine) / len(mine))
    return sum(shares) / len(shares)


def test_the_scores_are_those_of_the_validation_runs(tmp_path):
    """The manifest's numbers are compared with those of the bundle that runs."""
    bundle, recorder = tiny_training()
    validation = tiny_data(tmp_path).validation
    encoder = open_encoder(bundle, "onnxruntime")

    points = encoder.embed(validation.cut(slice(None)))
    scores = bundle.manifest.training.scores

    distances = np.linalg.norm(points[:, None] - bundle.anchor_embeddings, axis=-1)
    said = np.array(bundle.labels)[distances.argmin(axis=1)]
    # Of all labels alike: three quarters of a capture may be normal.
    assert scores["validation_accuracy"] == pytest.approx(
        balanced(validation.labels, said), abs=1e-3
    )
    assert scores["head_accuracy"] == pytest.approx(
        balanced(validation.labels, bundle.head.name(points)), abs=1e-3
    )
    assert scores["validation_loss"] == pytest.approx(recorder.epochs[-1]["val_loss"], abs=1e-5)
    assert len(recorder.epochs) == TINY.epochs


def kinds_table():
    """Make a capture in which each fault comes by two mechanisms."""
    table = make_table(14, faults=["blocked", "capacity-limited"] * 7)
    run = table["link"].str.extract(r"r(\d+)/")[0].astype(int)
    is_odd = (table["label"] != "normal") & table["label"].notna() & (run // 2 % 2 == 1)
    table.loc[is_odd, "kind"] = "another"
    return table


@pytest.mark.usefixtures("eagerly")
def test_where_kinds_are_told_apart_each_has_an_anchor_and_verdicts_keep_the_labels(tmp_path):
    """An operator acts on the label; the kind is in the reason that a verdict gives."""
    quick = replace(TINY, kinds=True, epochs=1, batches=1, head=False)

    bundle = train([write(kinds_table(), tmp_path)], quick, Recorder())

    anchors = [(anchor.label, anchor.kind) for anchor in bundle.manifest.anchors]
    assert anchors == [
        ("blocked", "another"),
        ("blocked", "blocked kind"),
        ("capacity-limited", "another"),
        ("capacity-limited", "capacity-limited kind"),
        ("normal", "normal kind"),
    ]
    assert bundle.manifest.labels == ("blocked", "capacity-limited", "normal")
    scores = {"validation_loss", "validation_accuracy", "canary_recall"}
    assert set(bundle.manifest.training.scores) == scores


@pytest.mark.usefixtures("eagerly")
def test_the_same_captures_and_seed_give_the_same_bundle(tmp_path):
    """Or nobody can say what is live, nor make it again."""
    path = write(make_table(), tmp_path)
    by_chance = {"miner": "random", "thin": 0.5, "shift": 0.5, "missing": 0.5}
    quick = replace(TINY, epochs=1, batches=1, head=False, **by_chance)

    first, again = (
        save(train([path], quick, Recorder()), tmp_path / name) for name in ("first", "again")
    )

    assert first == again


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("refit", [False, True])
def test_the_trace_is_that_of_the_training_whose_encoder_is_kept(tmp_path, refit):
    """A film of the rehearsal would not show how this bundle came to be."""
    recorder, file = Recorder(), tmp_path / "trace.npz"
    quick = replace(TINY, batches=1, head=False, refit=refit)

    bundle = train([write(make_table(), tmp_path)], quick, recorder, file)

    trace = Trace.load(file)
    assert trace.epochs == 1 + TINY.epochs
    assert set(trace.labels) == set(bundle.labels)
    assert trace.loss[1:].tolist() == [epoch["loss"] for epoch in recorder.epochs[-TINY.epochs :]]
    assert np.isnan(trace.validation_loss).all() == refit
    assert [what for what, *_ in recorder.told] == [
        *["without the validation runs"] * TINY.epochs,
        *["from all runs"] * (TINY.epochs if refit else 0),
    ]


def test_features_that_say_only_the_load_make_no_encoder(tmp_path):
    """Nothing that travels between links is in them."""
    table = make_table().rename(columns={"fwd_packets": "fwd_interarrival_ms"})
    settings = replace(TINY, features=("fwd_interarrival_ms",))

    with pytest.raises(CaptureError, match="no input can be made of fwd_interarrival_ms"):
        train([write(table, tmp_path)], settings, Recorder())
