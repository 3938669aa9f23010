"""The bundle store: old or new and never half, whoever dies when, and nothing wrong in use."""

import itertools
import json
import os
import shutil
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.bundle import MANIFEST, BundleError, load, save
from detector.bundles import BundleStore, is_store, resolve
from detector.encoder import open_encoder
from tests.fakes import draft_bundle
from tests.mutations import contents, mutations

BY = {"who": "me", "why": "a test", "now_ms": 1}
GOLDEN = Path(__file__).parent / "golden" / "bundle-v1"
FILES = ("open", "os.rename", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.chmod")


@pytest.fixture
def store(tmp_path):
    """Give a store of three bundles, none of them in use."""
    made = BundleStore(tmp_path / "bundles")
    made.create()
    for seed in range(3):
        made.add(draft_bundle(seed=seed), **BY)
    return made


def promote(store, *ids):
    """Let versions be current, one after the other."""
    for bundle_id in ids:
        store.switch(bundle_id, action="promoted", **BY)


def forked(work):
    """Begin *work* in a process of its own."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    finally:
        os._exit(1)  # whatever it was, the tests end in the parent alone


def killed_at(place, work):
    """Tell whether *work* was killed before it opened, moved or removed its *place*-th file."""

    def die():
        count = itertools.count()

        def hook(event, _arguments):
            if event in FILES and next(count) == place:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()

    status = os.waitstatus_to_exitcode(os.waitpid(forked(die), 0)[1])
    assert status in (0, -signal.SIGKILL)
    return bool(status)


def test_a_bundle_keeps_its_id_and_its_bytes(store, tmp_path):
    """Verdicts name the bundle that made them: its name must not change on the way."""
    made = save(draft_bundle(seed=7, head=True), tmp_path / "made")
    (tmp_path / "made" / "notes.txt").write_text("not the bundle's")
    before = contents(tmp_path / "made")

    added = store.add(tmp_path / "made", **BY)

    assert added == made == load(store.folder(added)).id == store.load(added).id
    assert contents(store.folder(added)) == {
        name: data for name, data in before.items() if name != "notes.txt"
    }


def test_arrays_are_kept_however_they_lie_in_memory(store):
    """A transposed array is written by numbers, not as its memory happens to be."""
    draft = draft_bundle(seed=6)
    turned = replace(
        draft,
        anchor_windows=np.asfortranarray(draft.anchor_windows),
        weights={name: np.asfortranarray(array) for name, array in draft.weights.items()},
    )

    added = store.load(store.add(turned, **BY))

    np.testing.assert_array_equal(added.anchor_windows, draft.anchor_windows)
    for name, array in draft.weights.items():
        np.testing.assert_array_equal(added.weights[name], array)
    assert added.id == store.add(draft, **BY)


def test_a_bundle_of_an_older_version_keeps_its_id_too(store):
    """Written anew, its manifest would have fields that it did not have."""
    assert store.add(GOLDEN, **BY) == load(GOLDEN).id


def test_versions_are_listed_in_the_order_in_which_they_came(store):
    """The newest is the last, and not the one whose hash happens to be largest."""
    first, second, third = store.ids
    store.remove(first, **BY)

    again = store.add(draft_bundle(seed=0), **BY)

    assert store.ids == (second, third, first)
    assert again == first


def test_what_is_there_may_be_added_again(store):
    """A script that was cut short is simply run again."""
    before, ids = store.history(), store.ids

    assert store.add(draft_bundle(seed=1), **BY) == ids[1]

    assert store.history() == before
    assert store.ids == ids


def test_a_damaged_version_is_mended_by_adding_it_again(store):
    """The same bundle, whole, is the way to help a store on a bad disk."""
    damaged = store.ids[1]
    (store.folder(damaged) / "weights.safetensors").unlink()
    with pytest.raises(BundleError):
        store.load(damaged)

    store.add(draft_bundle(seed=1), **BY)

    assert store.load(damaged).id == damaged


def test_what_is_no_bundle_does_not_get_in(store, tmp_path):
    """Nothing half-made may wait there to be promoted."""
    save(draft_bundle(seed=9), tmp_path / "broken")
    (tmp_path / "broken" / "anchors.safetensors").unlink()
    before = contents(store.path / "versions"), store.history()

    with pytest.raises(BundleError, match=r"anchors\.safetensors"):
        store.add(tmp_path / "broken", **BY)

    assert (contents(store.path / "versions"), store.history()) == before


def test_going_back_goes_further_each_time(store):
    """The second rollback is not a promotion of what was just taken back."""
    first, second, third = store.ids
    promote(store, first, second, third)

    assert store.previous() == second
    store.switch(second, action="rolled-back", **BY)
    assert store.previous() == first
    store.switch(first, action="rolled-back", **BY)
    assert store.previous() is None


def test_what_was_removed_is_passed_over_on_the_way_back(store):
    """Going back must lead to something that is there."""
    first, second, third = store.ids
    promote(store, first, second, third)

    store.remove(second, **BY)

    assert store.previous() == first


def test_a_store_that_was_never_switched_leads_back_nowhere(store):
    """Nothing to go back to is said, and is no error."""
    assert store.current is None
    assert store.previous() is None


def test_a_plain_bundle_resolves_to_itself_and_a_store_to_what_is_current(store, tmp_path):
    """Settings and tools name either."""
    save(draft_bundle(), tmp_path / "plain")
    promote(store, store.ids[1])

    assert resolve(tmp_path / "plain") == tmp_path / "plain"
    assert resolve(store.path) == store.folder(store.ids[1])
    assert not is_store(tmp_path / "plain")
    assert is_store(store.path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda _store: None, "no version is current"),
        (lambda store: (store.path / "current").symlink_to("versions/gone"), "gone is not there"),
        (lambda store: (store.path / "current").mkdir(), "current: Invalid argument"),
    ],
)
def test_a_store_without_a_current_version_says_what_is_missing(store, damage, says):
    """The operator reads it in the log of a daemon that does not start."""
    damage(store)

    with pytest.raises(BundleError, match=says):
        resolve(store.path)


def test_a_bundle_is_not_taken_for_a_store(tmp_path):
    """Settings that name a bundle still do what they did, and tools say how to go on."""
    save(draft_bundle(), tmp_path / "plain")

    with pytest.raises(BundleError, match=r"is a bundle and no bundle store; .* --add"):
        BundleStore.open(tmp_path / "plain")
    with pytest.raises(BundleError, match="another folder"):
        BundleStore(tmp_path / "plain").create()


def test_a_version_in_use_is_not_removed(store):
    """Daemons that start tomorrow need it."""
    first, second, third = store.ids
    promote(store, first)
    store.set_shadow(second, **BY)

    for used in (first, second):
        with pytest.raises(BundleError, match="stays"):
            store.remove(used, **BY)
    store.remove(third, **BY)

    assert store.ids == (first, second)


def test_what_was_reported_goes_with_the_version(store):
    """Added again under its name, it has yet to prove itself."""
    store.write_report(store.ids[0], "host-1", b"{}")

    store.remove(store.ids[0], **BY)

    assert store.reports(draft_id := store.add(draft_bundle(seed=0), **BY)) == []
    assert draft_id in store.ids


def test_a_version_that_becomes_current_leaves_the_shadow(store):
    """Nobody is a candidate beside himself."""
    first, second, third = store.ids
    promote(store, first)
    store.set_shadow(second, **BY)

    promote(store, third)
    assert store.shadow == second
    promote(store, second)

    assert store.shadow is None
    assert [one.action for one in store.history().entries][-2:] == ["promoted", "unshadowed"]
    with pytest.raises(BundleError, match="is the current one"):
        store.set_shadow(second, **BY)


def test_a_switch_says_if_another_is_current_than_was_thought(store):
    """What was judged for ten minutes was judged beside a bundle that is not in use any more."""
    first, second, third = store.ids
    promote(store, first, second)

    with pytest.raises(BundleError, match=f"bundle {second} is current by now"):
        store.switch(third, action="promoted", only_from=first, **BY)
    assert store.current == second
    store.switch(third, action="promoted", only_from=second, **BY)

    assert store.current == third


def test_only_the_first_version_needs_none_before_it(store):
    """Two tools may begin a store at once; one of them then has to prove its bundle."""
    first, second, _ = store.ids
    store.switch(first, action="promoted", only_from=None, **BY)

    with pytest.raises(BundleError, match="is current by now"):
        store.switch(second, action="promoted", only_from=None, **BY)

    assert store.current == first


@pytest.mark.parametrize("bundle_id", ["../../etc", "", "ABCDEF012345", "0123456789abc", "."])
def test_nothing_but_an_id_names_a_version(store, bundle_id):
    """A name from a report or a command must not lead out of the store."""
    for use in (
        store.folder,
        store.reports,
        lambda one: store.switch(one, action="promoted", **BY),
        lambda one: store.set_shadow(one, **BY) if one else store.folder(one),
        lambda one: store.remove(one, **BY),
        lambda one: store.write_report(one, "host", b""),
    ):
        with pytest.raises(BundleError, match="is no bundle's id"):
            use(bundle_id)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".hidden", "a\nb", "x" * 201])
def test_a_daemon_can_not_report_outside_its_place(store, name):
    """A host's name becomes a file's."""
    with pytest.raises(BundleError, match="can't name a report"):
        store.write_report(store.ids[0], name, b"")


def test_reports_are_kept_one_for_each_daemon(store):
    """The newest counts, for it holds all before it."""
    for daemon, data in (("b", b"1"), ("a.example.org", b"2"), ("b", b"3")):
        store.write_report(store.ids[0], daemon, data)

    assert store.reports(store.ids[0]) == [b"2", b"3"]
    assert store.reports(store.ids[1]) == []


def test_an_id_is_found_by_how_it_begins(store):
    """Nobody types twelve digits."""
    first, second, _ = store.ids

    assert store.find(first[:6]) == first
    assert store.find(second) == second
    with pytest.raises(BundleError, match=r"3 versions begin so"):
        store.find("")
    with pytest.raises(BundleError, match=r"'zz': no version begins so: .*" + first):
        store.find("zz")


def test_a_disk_that_can_not_be_written_is_a_bundle_error(store):
    """Tools say it in one line."""
    (store.path / ".lock").unlink()
    (store.path / ".lock").mkdir()

    with pytest.raises(BundleError, match="Is a directory"):
        promote(store, store.ids[0])


def test_a_tool_killed_anywhere_leaves_the_old_version_or_the_new_one(store):
    """By kill -9, or the power: daemons go on, and so does the next tool."""
    first, second, third = store.ids
    promote(store, first, second)
    seen = []
    for place in itertools.count():
        store.set_shadow(third, **BY)
        was_killed = killed_at(place, lambda: promote(store, third))

        seen.append(store.current)
        assert store.current in (second, third)
        assert load(resolve(store.path)).id == store.current
        assert store.previous() == (first if store.current == second else second)
        assert store.history().unreadable == 0
        assert not [one for one in store.path.iterdir() if one.name == "versions.part"]
        if store.current == third:
            store.switch(second, action="rolled-back", **BY)
        if store.shadow == second:
            store.set_shadow(None, **BY)
        assert store.previous() == first
        if not was_killed:
            break

    assert place > 5  # files were touched, each of them once the last
    assert seen[0] == second
    assert {*seen} == {second, third}


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_tool_killed_while_it_adds_leaves_no_half_of_a_version(store, tmp_path, is_folder):
    """What is listed can be used, and what was left over goes with the next one."""
    made = save(draft_bundle(seed=5), tmp_path / "made")
    bundle = tmp_path / "made" if is_folder else draft_bundle(seed=5)
    seen = set()
    for place in itertools.count():
        was_killed = killed_at(place, lambda: store.add(bundle, **BY))

        is_there = made in store.ids
        seen.add(is_there)
        assert len(store.ids) == 3 + is_there
        assert all(store.load(one).id == one for one in store.ids)
        assert store.add(bundle, **BY) == made
        assert {one.name for one in (store.path / "versions").iterdir()} == {*store.ids}
        assert store.ids[-1] == made
        store.remove(made, **BY)
        if not was_killed:
            break

    assert seen == {True, False}


def test_a_tool_killed_while_it_removes_leaves_all_or_nothing(store):
    """No half of a version may be left to be promoted."""
    gone = store.ids[0]
    seen = set()
    for place in itertools.count():
        was_killed = killed_at(place, lambda: store.remove(gone, **BY))

        seen.add(gone in store.ids)
        assert all(store.load(one).id == one for one in store.ids)
        store.add(draft_bundle(seed=0), **BY)
        if not was_killed:
            break

    assert seen == {True, False}


def test_many_tools_at_once_lose_none_of_each_others_work(store):
    """Timers and people switch at the same time; each note says what really was before it."""
    ids = store.ids
    promote(store, ids[0])
    over, wrong = threading.Event(), []

    def look():
        while not over.is_set():
            folder = resolve(store.path)
            if not (folder / MANIFEST).is_file() or folder.name not in ids:
                wrong.append(folder)

    def work(number):
        mine = BundleStore(store.path)
        for turn in range(25):
            mine.switch(ids[(number + turn) % 3], f"tool-{number}", "promoted", "", turn)
            mine.add(draft_bundle(seed=turn % 5), f"tool-{number}", "", turn)

    looking = threading.Thread(target=look)
    looking.start()
    children = [forked(lambda number=number: work(number)) for number in range(4)]
    ended = [os.waitpid(child, 0)[1] for child in children]
    over.set()
    looking.join()

    history = store.history()
    switches = [one for one in history.entries if one.action == "promoted"]
    assert ended == [0] * 4
    assert not wrong
    assert history.unreadable == 0
    assert len(switches) == 101
    assert [one.was for one in switches[1:]] == [one.bundle for one in switches[:-1]]
    assert store.current == switches[-1].bundle
    for number in range(4):
        mine = [one.at_ms for one in switches if one.who == f"tool-{number}"]
        assert mine == [*range(25)]
    added = [one.bundle for one in history.entries if one.action == "added"]
    assert sorted(added) == sorted(store.ids)  # each of the five once


def test_whatever_is_wrong_with_a_bundle_is_said_and_nothing_else_happens(store, tmp_path):
    """Two hundred damaged copies: each is refused, or is another bundle by its name."""
    made = save(draft_bundle(seed=5, head=True), tmp_path / "made")
    store.add(tmp_path / "made", **BY)
    refused = 0
    for folder in mutations(tmp_path / "made", np.random.default_rng(0), count=200):
        try:
            bundle = load(folder)
        except BundleError:
            refused += 1
        else:
            assert bundle.id != made, folder.name
            try:
                open_encoder(bundle)
            except BundleError:
                refused += 1

        shutil.rmtree(store.folder(made), ignore_errors=True)
        if folder.exists():
            shutil.copytree(folder, store.folder(made), symlinks=True)
        with pytest.raises(BundleError):
            store.load(made)

    assert refused > 150  # most damage is noticed, whatever the folder is called


def test_damaged_copies_are_many_sorts_of_damage(tmp_path):
    """Or those above would show little."""
    made = save(draft_bundle(seed=5), tmp_path / "made")
    whole = contents(tmp_path / "made")
    names, reasons = set(), set()

    for folder in mutations(tmp_path / "made", np.random.default_rng(1), count=130):
        assert contents(folder) != whole
        names.add(folder.name[4:])
        try:
            load(folder)
        except BundleError as error:
            reasons.add(str(error).rpartition(": ")[2])

    assert made == load(tmp_path / "made").id
    assert len(names) == 11
    assert len(reasons) > 20


def test_the_history_is_lines_of_json(store):
    """Whoever has no tool at hand reads it with what is there."""
    promote(store, store.ids[0])

    lines = [json.loads(line) for line in (store.path / "history.jsonl").read_text().splitlines()]

    assert [one["action"] for one in lines] == ["added"] * 3 + ["promoted"]
    assert {"at_ms", "who", "bundle", "was", "why"} <= {*lines[-1]}
