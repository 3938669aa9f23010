"""`anchorwatch retrain` from end to end: a store, a bundle store, and a candidate beside it."""

import json
import shutil

import pytest
from click.testing import CliRunner

from detector.bundle import load, save
from detector.bundles import BundleStore
from tests.training.captures import make_table, tiny_training, write
from tests.training.retraining.pieces import capture, running, week
from tests.training.retraining.test_asking import daemon
from training.retraining.alone import alone
from training.retraining.cli import retrain

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Give a folder with a bundle store, a capture store and base captures."""
    folder = tmp_path_factory.mktemp("site")
    store = BundleStore(folder / "bundles")
    store.create()
    first = store.add(tiny_training()[0], "test", "the first", 1)
    store.switch(first, "test", "promoted", "the first", 2)
    capture(week(), folder / "store")
    write(make_table(), folder, "base.parquet")
    return folder


def run(site, *more, bundles="bundles"):
    """Run the command."""
    arguments = ["--bundles", site / bundles, "--store", site / "store", *more]
    return CliRunner().invoke(retrain, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def done(site):
    """Retrain once, for all tests that look at what came of it."""
    more = ("--captures", site / "base.parquet", "--hold-back", "0.2", "--who", "me", "--json")
    result = run(site, *more)
    assert result.exit_code == 0, result.output
    return result


def test_the_candidate_is_put_beside_the_running_bundle_which_stays(site, done):
    """A retraining in the night must not be what judges in the morning."""
    store, said = BundleStore.open(site / "bundles"), json.loads(done.stdout)

    assert said["bundle"] in store.ids
    assert store.current == running().id != said["bundle"]
    assert store.shadow is None
    added = store.history().entries[-1]
    assert (added.action, added.bundle, added.who) == ("added", said["bundle"], "me")
    assert added.why.startswith("retrained from")
    training = load(store.folder(said["bundle"])).manifest.training
    assert (training.parent, training.start) == (running().id, "scratch")


def test_what_was_learnt_and_what_was_not_is_said(site, done):
    """An operator who named something sees whether it came to anything."""
    said = json.loads(done.stdout)

    learnt = {one["label"]: one for one in said["learnt"]}
    assert set(learnt) == {"blocked", "capacity-limited", "lossy", "normal", "rare"}
    assert learnt["lossy"]["base_hours"] == 0 < learnt["lossy"]["store_hours"]
    assert learnt["blocked"]["store_hours"] == 0 < learnt["blocked"]["base_hours"]
    assert learnt["normal"]["store_runs"] == 6
    assert learnt["normal"]["held_hours"] > 0
    assert {"rare", "no label"} <= set(said["passed"])
    assert said["running"] == running().id
    assert said["running_scores"] == running().manifest.training.scores
    assert said["beside"]["candidate"]["by_label"]["lossy"] > 0
    assert said["next"] == f"anchorwatch shadow {site}/bundles {said['bundle']}"


def test_progress_is_not_among_the_results(done):
    """What a program reads must be nothing but JSON."""
    assert "reading" in done.stderr
    assert "epoch" in done.stderr
    json.loads(done.stdout)


def test_to_a_folder_instead_of_the_store(site, done, tmp_path):
    """To look at it first, or where there is no bundle store; the same bundle comes of it."""
    plain = tmp_path / "running"
    save(tiny_training()[0], plain)
    more = ("--captures", site / "base.parquet", "--hold-back", "0.2", "--out", tmp_path / "new")

    result = run(site, *more, bundles=plain)

    assert result.exit_code == 0, result.output
    assert load(tmp_path / "new").id == json.loads(done.stdout)["bundle"]
    assert "passed over: rare: " in result.stdout
    assert "mean over labels" in result.stdout
    assert f"next: anchorwatch bundles BUNDLES --add {tmp_path}/new" in result.stdout


def test_a_timer_has_its_candidate_tried_and_makes_no_other_meanwhile(site, tmp_path):
    """A candidate needs days in the shadow; while drift lasts no night may restart it."""
    shutil.copytree(site / "bundles", tmp_path / "bundles", symlinks=True)
    store = BundleStore.open(tmp_path / "bundles")
    before = set(store.ids)
    more = ("--captures", site / "base.parquet", "--shadow", "--who", "timer", "--seed", "5")

    first = run(site, *more, bundles=store.path)
    (made,) = set(store.ids) - before
    second = run(site, *more, bundles=store.path)

    assert first.exit_code == second.exit_code == 0, first.output + second.output
    assert store.shadow == made
    assert store.current == running().id
    last = store.history().entries[-1]
    assert (last.action, last.bundle, last.who) == ("shadowed", made, "timer")
    assert f"next: anchorwatch promote {store.path} {made}" in first.stdout
    assert second.stdout.startswith(f"bundle {made} is in the shadow: ")
    assert set(store.ids) == before | {made}


def test_a_folder_is_no_place_to_try_it_from(site, tmp_path):
    """Daemons try what is in their store."""
    result = run(site, "--shadow", "--out", tmp_path / "new")

    assert result.exit_code == 2
    assert "not with --out" in result.stderr


def test_nothing_is_done_where_no_daemon_asks_for_it(site):
    """A timer runs every night; one line in the log, and it is green."""
    before = BundleStore.open(site / "bundles").ids

    with daemon({"drift": {"wanted": False}}) as where:
        result = run(site, "--if-drift", where, "--if-drift", where)

    assert result.exit_code == 0
    assert result.stdout == "no drift: none of 2 daemons asks for a retraining\n"
    assert BundleStore.open(site / "bundles").ids == before


def test_it_is_done_where_one_asks(site):
    """Whether it then can is another matter; here it finds nothing to learn from."""
    with daemon({"drift": {"wanted": True}}) as where:
        result = run(site, "--if-drift", where, "--links", "none")

    assert result.exit_code == 1
    assert f"drift: {where}" in result.stderr
    assert "nothing to learn from" in result.stderr


def test_with_no_daemon_that_answers_it_fails(site):
    """And does not retrain to be on the safe side."""
    result = run(site, "--if-drift", "127.0.0.1:1")

    assert result.exit_code == 1
    assert "no daemon says" in result.stderr


@pytest.mark.parametrize("which", ["bundles", "store"])
def test_two_at_once_are_one_too_many(site, which):
    """The one that came later goes."""
    with alone([site / which]):
        result = run(site)

    assert result.exit_code == 1
    assert f"another retraining is at work on {site}/{which}" in result.stderr


def test_what_can_not_be_used_is_said_before_the_work(site, tmp_path):
    """With the exit codes that all commands have."""
    (tmp_path / "there").mkdir()
    (tmp_path / "empty").mkdir()

    there = run(site, "--out", tmp_path / "there")
    empty = run(site, bundles=tmp_path / "empty")
    nowhere = CliRunner().invoke(retrain, ["--store", str(site / "store")])
    unread = run(site, "--captures", site / "bundles", "--links", "none")

    assert there.exit_code == 2
    assert "choose another place" in there.stderr
    assert empty.exit_code == 78
    assert nowhere.exit_code == 2
    assert "--bundles" in nowhere.stderr
    assert unread.exit_code == 1
    assert "no .parquet or .csv file" in unread.stderr


def test_all_that_can_be_chosen_is_in_the_help():
    """With its default, where it has one."""
    text = CliRunner().invoke(retrain, ["--help"], show_default=True).output

    for option in ("--from-scratch", "--if-drift", "--hold-back", "--hours", "--for-each"):
        assert option in text
    assert "[default: 0.15;" in text
