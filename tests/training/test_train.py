"""Captures in, a bundle out: the same for the same seed, and honest about what it has seen."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from detector.bundle import BundleError, load, save
from detector.capture import CaptureError
from detector.encoder import open_encoder
from tests.training.captures import (
    FEATURES,
    LEFT_OUT,
    START_MS,
    TINY,
    Recorder,
    make_table,
    tiny_training,
    write,
)
from training.train import find_anchors, read, train


def runs_of(windows):
    """Give the runs that windows are from."""
    return {link.run for link in windows.links}


def data_of(table, folder, **changes):
    """Read a capture with the tiny settings but for *changes*."""
    return read([write(table, folder)], replace(TINY, **changes))


def test_runs_that_are_left_out_are_nowhere(tmp_path):
    """What the bundle is judged by later must not have been seen in any way."""
    data = data_of(make_table(), tmp_path)

    for windows in (data.learning, data.recorded, data.validation):
        assert len(windows) > 0
        assert not runs_of(windows) & {*LEFT_OUT}


def test_validation_runs_are_not_learnt_from(tmp_path):
    """They say when to stop, and would say so too late."""
    data = data_of(make_table(), tmp_path)

    assert runs_of(data.validation)
    assert not runs_of(data.validation) & runs_of(data.learning)
    assert runs_of(data.validation) | runs_of(data.learning) == {f"r{n}" for n in range(6)}


def test_the_manifest_says_what_was_learnt_from(tmp_path):
    """Evaluation believes it, and the next training repeats it."""
    bundle, _ = tiny_training()
    data = data_of(make_table(), tmp_path)

    training = bundle.manifest.training

    assert set(training.runs) == runs_of(data.learning)
    assert set(training.validation_runs) == runs_of(data.validation)
    assert training.links == TINY.links
    assert training.seed == TINY.seed
    assert training.captures == data.captures
    assert list(training.captures) == ["capture.parquet"]


def test_superposed_traffic_is_learnt_from_but_never_an_anchor(tmp_path):
    """An anchor is shown to operators as something that happened."""
    data = data_of(make_table(), tmp_path)

    made = {link.link for link in data.learning.links if "+" in link.link}

    assert len(made) == len(data.recorded.links)
    assert {link.run for link in data.learning.links} == runs_of(data.recorded)
    assert not any("+" in link.link for link in data.recorded.links)
    assert not any("+" in link.link for link in data.validation.links)


def test_anchors_are_windows_of_one_label_throughout(tmp_path):
    """Learning windows may contain the change; a reference must not."""
    data = data_of(make_table(), tmp_path, tail_seconds=1.0)

    assert len(data.learning) > len(data.recorded)
    for number, window in enumerate(data.recorded.cut(slice(None))):
        place = data.recorded.place(number)
        labels = place.link.labels[place.row : place.row + TINY.steps]
        assert set(labels) == {data.recorded.labels[number]}
        np.testing.assert_array_equal(window, place.link.values[place.row :][: TINY.steps])


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
        assert anchor.name == f"{anchor.label}/{anchor.link}"
        assert anchor.link.partition("/")[0] in manifest.training.runs


def test_a_medoid_is_nearest_to_all_windows_of_its_label(tmp_path):
    """Neither an odd window nor an average that never happened may stand for a label."""
    bundle, _ = tiny_training()
    data = data_of(make_table(), tmp_path)
    encoder = open_encoder(bundle, "onnxruntime")

    points = encoder.embed(data.recorded.cut(slice(None))).astype(float)

    for number, label in enumerate(bundle.labels):
        mine = points[data.recorded.labels == label]
        sums = np.linalg.norm(mine[:, None] - mine[None], axis=-1).sum(axis=1)
        own = np.linalg.norm(mine - bundle.anchor_embeddings[number], axis=-1).sum()
        assert own == pytest.approx(sums.min(), rel=1e-3)


def test_given_anchors_are_found_by_link_and_start(tmp_path):
    """An operator knows the incident that everybody remembers, and wants that one."""
    data = data_of(make_table(), tmp_path)
    run = data.recorded.links[0].run
    start_ms = START_MS + int(run[1:]) * 3_600_000 + 5000

    found = find_anchors(data.recorded, {"normal": f"{run}/core@{start_ms}"})

    place = data.recorded.place(found["normal"])
    assert list(found) == ["normal"]
    assert (place.link.link, place.start_ms) == (f"{run}/core", start_ms)
    assert data.recorded.labels[found["normal"]] == "normal"


@pytest.mark.parametrize(
    ("label", "where", "why"),
    [
        ("unheard", f"r2/core@{START_MS}", "'unheard', a label without a window"),
        ("normal", f"r2/core@{START_MS}", "no window of 'normal' is at 'r2/core@1700000000000'"),
        ("normal", f"r9/core@{START_MS}", "no window of 'normal' is at 'r9/core@"),
        ("normal", "r2/core", "no window of 'normal' is at 'r2/core'; give LINK@START_MS"),
        ("blocked", f"r2/core@{START_MS + 7_200_000}", "no window of 'blocked' is at"),
    ],
)
def test_an_unknown_anchor_is_refused_before_the_training(tmp_path, label, where, why):
    """Minutes of work that end in a slip of the pen are minutes lost."""
    path = write(make_table(), tmp_path)
    recorder = Recorder()

    with pytest.raises(CaptureError, match=why):
        train([path], replace(TINY, anchors={label: where}), recorder)

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

    assert json.loads(files.pop("manifest.json"))["format"] == 1
    assert sorted(files) == ["anchors.safetensors", "golden.safetensors", "weights.safetensors"]
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


def test_the_scores_are_those_of_the_validation_runs(tmp_path):
    """The manifest's numbers are compared with those of the bundle that runs."""
    bundle, recorder = tiny_training()
    validation = data_of(make_table(), tmp_path).validation
    encoder = open_encoder(bundle, "onnxruntime")

    points = encoder.embed(validation.cut(slice(None)))
    scores = bundle.manifest.training.scores

    distances = np.linalg.norm(points[:, None] - bundle.anchor_embeddings, axis=-1)
    said = np.array(bundle.labels)[distances.argmin(axis=1)]
    assert scores["validation_accuracy"] == pytest.approx(
        (said == validation.labels).mean(), abs=1e-3
    )
    assert scores["validation_loss"] == pytest.approx(recorder.epochs[-1]["val_loss"], abs=1e-5)
    assert scores["epochs"] == len(recorder.epochs) == TINY.epochs


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        (["normal"] * 8, "need two labels, they have normal"),
        (["normal", "normal", "blocked"] + ["normal"] * 5, "need two labels, they have normal"),
    ],
)
def test_one_label_is_not_enough_on_either_side(tmp_path, faults, why):
    """The message says which side lacks what, and nothing was trained in vain."""
    path, recorder = write(make_table(faults=faults), tmp_path), Recorder()

    with pytest.raises(CaptureError, match=rf"the runs to (learn from|validate on) {why}"):
        train([path], TINY, recorder)

    assert recorder.epochs == []


def test_a_capture_without_labels_is_refused(tmp_path):
    """Traffic that nobody has looked at can't be learnt from."""
    with pytest.raises(CaptureError, match="need two labels, they have none"):
        data_of(make_table().drop(columns=["label", "kind"]), tmp_path)


def test_a_label_that_is_only_validated_on_is_refused(tmp_path):
    """It would have no anchor, and every window of it would count as wrong."""
    table = make_table()
    for run in range(6):  # one of them is kept to validate on, however runs are dealt
        mine = table["link"].str.startswith(f"r{run}/") & (table["label"] != "normal")
        table.loc[mine & table["label"].notna(), "label"] = f"fault {run}"

    with pytest.raises(CaptureError, match=r"no window of 'fault \d' throughout"):
        data_of(table, tmp_path)


def test_a_label_that_never_fills_a_window_is_refused(tmp_path):
    """There is nothing to compare with, and the daemon would never say it."""
    table = make_table()
    for _, rows in table.groupby("link"):
        table.loc[rows.index[-5:], "label"] = "flapping"

    with pytest.raises(CaptureError, match="no window of 'flapping' throughout"):
        data_of(table, tmp_path)


def test_a_feature_that_is_often_missing_becomes_optional(tmp_path):
    """Response times exist only where something was answered; their want is no broken exporter."""
    table = make_table()
    table.loc[table.index % 10 == 0, "rev_response_ms"] = np.nan
    table.loc[table.index % 50 == 0, "fwd_invite"] = np.nan

    data = data_of(table, tmp_path)

    assert data.spec.optional == ("rev_response_ms",)
    assert data_of(make_table(), tmp_path).spec.optional == ()


def test_features_that_say_only_the_load_make_no_encoder(tmp_path):
    """Nothing that travels between links is in them."""
    table = make_table().rename(columns={"fwd_packets": "fwd_interarrival_ms"})
    settings = replace(TINY, features=("fwd_interarrival_ms",))

    with pytest.raises(CaptureError, match="no input can be made of fwd_interarrival_ms"):
        train([write(table, tmp_path)], settings, Recorder())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"features": ("fwd_packets", "gone")}, "lacks the feature 'gone'"),
        ({"links": ("r9/*",)}, "no link matches, or all runs are left out"),
        ({"leave_out": ("*",)}, "no link matches, or all runs are left out"),
        ({"leave_out": ("r[1-7]",)}, "one run can't be parted"),
        ({"step_ms": 100}, "a row every 1000 ms, the model needs 100"),
        ({"validation_share": 0.7}, "validation share of 0.7"),
    ],
)
def test_what_a_capture_cannot_give_is_said(tmp_path, changes, why):
    """A message that an operator can act on, and no traceback."""
    with pytest.raises(CaptureError, match=why):
        data_of(make_table(), tmp_path, **changes)


def test_the_order_in_which_captures_are_given_makes_no_difference(tmp_path):
    """A shell lists files as it likes, and the bundle must be the same."""
    table = make_table()
    halves = [write(table[table["link"] < "r4"], tmp_path, "z.parquet"),
              write(table[table["link"] >= "r4"], tmp_path, "a.parquet")]  # fmt: skip

    one, other, folder = (read(paths, TINY) for paths in (halves, halves[::-1], [tmp_path]))

    for data in (other, folder):
        assert json.dumps(data.captures) == json.dumps(one.captures)
        assert list(data.learning.labels) == list(one.learning.labels)
        np.testing.assert_array_equal(data.learning.rows, one.learning.rows)
