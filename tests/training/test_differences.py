"""Differences: what two bundles would have judged differently, by the daemon's own rule."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pytest

from detector.bundle import load, save
from detector.capture import CaptureError
from detector.config import State
from tests.training.captures import START_MS, TINY, make_link, make_table, tiny_training, write
from tests.training.retraining.pieces import capture, piece, running, weekly
from training.diff import as_text, diff
from training.differences import Comparing, Difference, compare
from training.faults import Fault


def saved(bundle):
    """Give a bundle as it is loaded, with its id."""
    with TemporaryDirectory() as folder:
        save(bundle, Path(folder) / "bundle")
        return load(Path(folder) / "bundle")


@cache
def swapped():
    """Give a bundle that calls blocked limited, and limited blocked."""
    bundle = tiny_training()[0]
    names = {"blocked": "capacity-limited", "capacity-limited": "blocked", "normal": "normal"}
    anchors = tuple(
        msgspec.structs.replace(anchor, label=names[anchor.label])
        for anchor in bundle.manifest.anchors
    )
    manifest = msgspec.structs.replace(bundle.manifest, anchors=anchors)
    return saved(replace(bundle, manifest=manifest))


@cache
def asleep():
    """Give a bundle to which all is normal."""
    bundle = tiny_training()[0]
    points = bundle.anchor_embeddings + np.float32(50)
    normal = bundle.labels.index("normal")
    points[normal] -= 50
    return saved(replace(bundle, anchor_embeddings=points))


QUIET = Comparing(budget_a_week=1e-6)  # nothing is unknown


def test_a_bundle_does_not_differ_from_itself(tmp_path):
    """Or no difference that is listed means anything."""
    path = write(make_table(), tmp_path)

    found = compare(running(), running(), [path])

    assert found.differences == ()
    assert found.totals == {}
    assert found.same == found.faults[0] == found.faults[1] > 10
    assert found.old == found.new == running().id
    assert found.windows[0] == found.windows[1] == 16 * (60 - TINY.steps + 1)
    assert found.links == 16
    assert found.median_delay_ms == 0


def test_another_name_is_a_renaming_and_the_truth_says_which_is_right(tmp_path):
    """Fault by fault: which link, from when to when, and what each said."""
    path = write(make_table(), tmp_path)

    found = compare(running(), swapped(), [path], QUIET)

    assert set(found.totals) == {"renamed"}
    assert found.totals["renamed"] == found.faults[0] == found.faults[1]
    assert found.worse > 12
    assert found.same == 0
    one = next(one for one in found.differences if one.link == "r1/core")
    assert (one.old.state, one.new.state) == ("blocked", "capacity-limited")
    assert one.truth == "blocked"
    begun = one.old.since_ms - START_MS - 3_600_000
    assert 30_000 < begun < 45_000
    assert one.old.until_ms == START_MS + 3_600_000 + 60_000
    back = compare(swapped(), running(), [path], QUIET)
    assert (back.better, back.worse) == (found.worse, found.better)


def test_what_one_bundle_alone_says_is_gone_or_new(tmp_path):
    """A candidate that is silent must not look like one that agrees."""
    path = write(make_table(), tmp_path)

    gone = compare(running(), asleep(), [path], QUIET)
    new = compare(asleep(), running(), [path], QUIET)

    assert set(gone.totals) == {"gone"}
    assert set(new.totals) == {"new"}
    assert gone.faults == (gone.totals["gone"], 0)
    assert new.faults == (0, gone.totals["gone"])
    assert all(one.new is None and one.delay_ms is None for one in gone.differences)
    assert gone.worse == new.better > 12


def test_windows_are_each_bundles_own(tmp_path):
    """A candidate with shorter windows is compared as it would run."""
    path = write(make_table(), tmp_path)
    bundle = tiny_training()[0]
    window = msgspec.structs.replace(bundle.manifest.window, steps=6)
    shorter = saved(
        replace(
            bundle,
            manifest=msgspec.structs.replace(bundle.manifest, window=window, canaries=()),
            anchor_windows=bundle.anchor_windows[:, -6:],
            golden_windows=bundle.golden_windows[:, -6:],
            golden_embeddings=_embedded(bundle, window),
            canaries=None,
        )
    )

    found = compare(running(), shorter, [path], replace(QUIET, least_delay_ms=1))

    assert found.windows == (16 * 51, 16 * 55)
    assert found.faults[1] > 0


def _embedded(bundle, window):
    from detector.encoder import Encoder
    from detector.inputs import Inputs
    from detector.onnx_engine import OnnxEngine

    engine = OnnxEngine(bundle.manifest.architecture, bundle.weights, window.steps)
    inputs = Inputs(bundle.manifest.inputs, window)
    return Encoder(inputs, engine, TINY.embedding).embed(bundle.golden_windows[:, -6:])


def test_the_rule_is_that_of_the_daemon_that_was_asked_for(tmp_path):
    """More evidence, later events: of both bundles alike."""
    path = write(make_table(), tmp_path)

    quick = compare(running(), asleep(), [path], QUIET)
    slow = compare(running(), asleep(), [path], replace(QUIET, rule=State(evidence=20.0)))

    waits = [
        np.mean([one.old.at_ms - one.old.since_ms for one in found.differences])
        for found in (quick, slow)
    ]
    assert waits[0] < waits[1]


def test_how_strange_is_unknown_is_what_was_asked_for(tmp_path):
    """The unknown is a state like any other, and may be what differs."""
    path = write(make_table(faults=["lossy"] * 8), tmp_path)
    bundle = tiny_training()[0]
    manifest = msgspec.structs.replace(bundle.manifest, known=None, drift=None)
    knows_nothing = saved(replace(bundle, known=None, drift=None, manifest=manifest))

    found = compare(knows_nothing, running(), [path], Comparing(budget_a_week=1e9))

    assert "unknown" in {one.new.state for one in found.differences if one.new}
    assert compare(knows_nothing, running(), [path], QUIET).differences == ()


def test_stores_are_judged_too_under_the_names_of_their_links(tmp_path):
    """What operators named last week is what a candidate is to be tried on."""
    links = [
        piece(1, "normal", "blocked", link="site/7"),
        piece(9, "normal", "blocked", link="b"),
    ]
    capture(links, tmp_path)

    found = compare(running(), asleep(), [tmp_path], QUIET)

    assert sorted(one.link for one in found.differences) == ["b", "site/7"]
    assert {one.truth for one in found.differences} == {"blocked"}
    assert found.links == 2
    only = compare(running(), asleep(), [tmp_path], replace(QUIET, only=("site/*",)))
    assert [one.link for one in only.differences] == ["site/7"]


def test_who_has_learnt_from_a_run_is_said(tmp_path):
    """A bundle that knows a run by heart is no witness there."""
    path = write(make_table(runs=4), tmp_path)
    training = msgspec.structs.replace(asleep().manifest.training, runs=("r0", "r1"))
    manifest = msgspec.structs.replace(asleep().manifest, training=training)
    other = replace(asleep(), manifest=manifest)
    training = msgspec.structs.replace(running().manifest.training, runs=("r1", "r2"))
    manifest = msgspec.structs.replace(running().manifest, training=training)

    found = compare(replace(running(), manifest=manifest), other, [path], QUIET)

    learnt = {one.link.partition("/")[0]: one.learnt for one in found.differences}
    assert learnt == {"r0": ("new",), "r1": ("old", "new"), "r2": ("old",), "r3": ()}


def test_a_candidate_that_learnt_a_new_fault_names_it(tmp_path):
    """What an operator wants to see before trusting it."""
    capture([piece(50, "normal", "lossy", "normal", link="new")], tmp_path)

    found = compare(running(), weekly().bundle, [tmp_path], QUIET)

    assert [one.new and one.new.state for one in found.differences] == ["lossy"]
    assert found.better == 1


def fault(state, at=5):
    """Make a fault of some seconds."""
    return Fault(state, 1000, at * 1000, 20_000)


@pytest.mark.parametrize(
    ("what", "old", "new", "truth", "is_better"),
    [
        ("gone", "blocked", None, "normal", True),
        ("gone", "blocked", None, "blocked", False),
        ("new", None, "blocked", "blocked", True),
        ("new", None, "blocked", "normal", False),
        ("renamed", "blocked", "unknown", "blocked", False),
        ("renamed", "blocked", "lossy", "lossy", True),
        ("renamed", "blocked", "unknown", "lossy", None),
        ("split", "blocked", "blocked", "blocked", None),
        ("later", "blocked", "blocked", "blocked", False),
        ("later", "blocked", "blocked", "normal", None),
        ("gone", "blocked", None, "", None),
    ],
)
def test_better_and_worse_are_by_the_truth_alone(what, old, new, truth, is_better):
    """Where nobody said what it was, nobody knows which bundle is right."""
    one = Difference(
        link="x",
        what=what,
        old=old and fault(old),
        new=new and fault(new, at=9),
        delay_ms=4000 if old and new else None,
        truth=truth,
    )

    assert one.is_better is is_better


def test_it_is_told_for_people(tmp_path):
    """A line for each difference, and what it comes to."""
    path = write(make_table(runs=2), tmp_path)

    text = as_text(compare(running(), swapped(), [path], QUIET))

    lines = text.splitlines()
    assert lines[0].startswith(f"OLD {running().id}, NEW {swapped().id}: 4 links, 204 windows; ")
    (row,) = [line for line in lines if line.startswith("r1/core")]
    assert "2023-11-14 23:13:5" in row
    assert "blocked 2" in row
    assert "capacity-limited 2" in row
    assert "under another name" in text
    assert "0 are better and 4 worse" in text
    assert all(len(line) == len(line.rstrip()) for line in lines)
    same = as_text(compare(running(), running(), [path], QUIET))
    assert "No fault is judged differently." in same


def test_it_is_told_for_programs(tmp_path):
    """As JSON, from the folders of two bundles."""
    path = write(make_table(runs=2), tmp_path)
    save(tiny_training()[0], tmp_path / "old")
    save(replace(swapped(), id=""), tmp_path / "new")
    told = []

    text = diff(tmp_path / "old", tmp_path / "new", [path], QUIET, told.append, as_data=True)

    found = json.loads(text)
    assert found["old"] == running().id
    assert found["totals"] == {"renamed": 4}
    assert found["differences"][0]["old"]["state"] in ("blocked", "capacity-limited")
    assert len(told) == 2
    people = diff(tmp_path / "old", tmp_path / "new", [path], QUIET, told.append, as_data=False)
    assert people.startswith("OLD ")


def test_links_that_are_not_there_are_an_error(tmp_path):
    """No difference between nothing and nothing would look like agreement."""
    path = write(make_table(runs=2), tmp_path)

    with pytest.raises(CaptureError, match="no link matches"):
        compare(running(), running(), [path], Comparing(only=("gone",)))
    assert make_link(["normal"]).link == "run/place"
