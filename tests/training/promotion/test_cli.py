"""The commands: what an operator types and reads, the exit codes, and the whole way."""

import json
import subprocess
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner

from detector.bundle import BundleError, load, save
from detector.bundles import BundleStore
from detector.capture import SHIPPED
from detector.encoder import open_encoder
from detector.enrolment import Act, enrol
from detector.enrolments import FolderEnrolments
from detector.shadow.report import CanaryPair, Onsets
from tests.fakes import draft_bundle, make_rows, make_spec
from tests.mutations import mutations
from tests.trained import trained_bundle, trained_path
from tests.training.promotion.made import (
    confused,
    disturbed,
    make_captures,
    make_store,
    relearnt,
    report,
)
from training.promotion.cli import COMMANDS

HEAVY = {"kafka", "keras", "onnxruntime", "pandas", "pyarrow", "sklearn", "tensorflow"}
HELP = f"""
import sys
from training.promotion.cli import COMMANDS
for command in COMMANDS:
    command(["--help"], standalone_mode=False)
print(sorted({HEAVY!r} & {{*sys.modules}}), file=sys.stderr)
"""


def call(*arguments):
    """Run a command in this process."""
    group = click.Group(commands={command.name: command for command in COMMANDS})
    done = CliRunner().invoke(group, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    """Give captures of six runs."""
    return make_captures(tmp_path_factory.mktemp("captures") / "lab")


@pytest.fixture
def stored(tmp_path):
    """Give a store with an equal and a worse candidate beside the current version, and all ids."""
    bundles = draft_bundle(), relearnt(draft_bundle(), parent="a" * 12), confused(draft_bundle())
    return make_store(tmp_path / "store", *bundles)


def test_a_plain_bundle_becomes_a_store_whose_first_version_is_current(tmp_path):
    """One command leads from a bundle to all that a store can do."""
    first = save(draft_bundle(), tmp_path / "first")
    second = save(relearnt(draft_bundle()), tmp_path / "second")

    one = call("bundles", tmp_path / "store", "--add", tmp_path / "first", "--why", "begin")
    two = call("bundles", tmp_path / "store", "--add", tmp_path / "second")

    store = BundleStore.open(tmp_path / "store")
    assert (one.exit_code, two.exit_code) == (0, 0)
    assert f"{first} is current, for it is the first" in one.stdout
    assert "current" not in two.stdout
    assert (store.current, store.ids) == (first, (first, second))
    assert store.history().entries[1].why == "begin"


def test_what_is_no_bundle_makes_no_store(tmp_path):
    """A slip of the pen would leave an empty store, which passes for one."""
    (tmp_path / "docs").mkdir()

    done = call("bundles", tmp_path / "store", "--add", tmp_path / "docs")

    assert done.exit_code == 78
    assert not (tmp_path / "store").exists()


def test_a_store_can_be_begun_from_what_is_current_in_another(stored, tmp_path):
    """The bundle of one site is taken to the next."""
    store, (live, *_) = stored

    call("bundles", tmp_path / "other", "--add", store.path)

    assert BundleStore(tmp_path / "other").current == live


def test_adding_to_a_store_without_a_current_version_makes_none_current(tmp_path):
    """Only where there is nothing else can nothing be better."""
    store = BundleStore(tmp_path / "store")
    store.create()
    store.add(draft_bundle(), "me", "", 1)
    save(relearnt(draft_bundle()), tmp_path / "second")

    call("bundles", store.path, "--add", tmp_path / "second")

    assert store.current is None


def test_versions_are_listed_with_scores_and_where_they_come_from(stored):
    """Whoever is to choose one sees what it is."""
    store, (live, equal, worse) = stored
    store.set_shadow(equal, "me", "", 1)
    (store.folder(worse) / "weights.safetensors").unlink()

    text = call("bundles", store.path).stdout

    assert f"{live}  current, added 1970-01-01 00:00:00 UTC by me" in text
    assert f"{equal}  shadow, added" in text
    assert "    labels   blocked, capacity-limited, normal" in text
    assert "    scores   macro_f1 0.5" in text
    assert "    lineage  from scratch; learnt from lab.parquet" in text
    assert "    lineage  from scratch, after aaaaaaaaaaaa; learnt from lab.parquet" in text
    assert f"{worse}  -, added" in text
    assert "    can't be used: bundle " in text
    assert "MB" in text


def test_versions_are_listed_for_programs_too(stored):
    """A page of an operator's own shows the same."""
    store, (live, equal, worse) = stored
    call("promote", store.path, equal, "--force", "--why", "now")

    found = json.loads(call("bundles", store.path, "--json").stdout)

    assert (found["current"], found["previous"], found["shadow"]) == (equal, live, None)
    assert [one["id"] for one in found["versions"]] == [live, equal, worse]
    assert [one["previous"] for one in found["versions"]] == [True, False, False]
    assert found["versions"][1]["parent"] == "a" * 12
    assert found["versions"][1]["start"] == "scratch"
    assert found["versions"][0]["scores"] == {"macro_f1": 0.5}
    assert found["versions"][0]["bytes"] > 1000


def test_the_history_says_who_did_what_and_why(stored):
    """And a torn line is said, not passed over."""
    store, (live, _, worse) = stored
    call("promote", store.path, worse, "--force", "--why", "we\nmust", "--who", "ann")
    with (store.path / "history.jsonl").open("a") as file:
        file.write('{"at_ms":')

    text = call("bundles", store.path, "--history").stdout
    plain = json.loads(call("bundles", store.path, "--history", "--json").stdout)

    assert f"  forced {worse}, was {live}, ann: we\\x0amust" in text
    assert "    held back, runs: no captures were given" in text
    assert "1 line(s) of the history can't be read" in text
    assert "1 line(s) of the history can't be read" in call("bundles", store.path).stdout
    assert [len(plain[0]), plain[1]] == [5, 1]


def test_a_version_is_removed_by_how_its_id_begins_unless_it_is_used(stored):
    """What daemons use stays, and the reason is one line."""
    store, (live, equal, _) = stored

    refused, done = (call("bundles", store.path, "--remove", one[:8]) for one in (live, equal))

    assert refused.exit_code == 1
    assert refused.stderr == f"anchorwatch: bundle {live} is the current one, which stays\n"
    assert done.exit_code == 0
    assert equal not in store.ids


def test_a_candidate_goes_into_the_shadow_and_out_of_it(stored):
    """By two commands, each of which says what is now."""
    store, (live, equal, _) = stored

    begun = call("shadow", store.path, equal[:8])
    during = store.shadow
    ended = call("shadow", store.path, "--stop", "--why", "enough")

    assert begun.stdout == f"{store.path}: {equal} is in the shadow of {live}\n"
    assert during == equal
    assert ended.exit_code == 0
    assert store.shadow is None
    assert store.history().entries[-1].why == "enough"


def test_what_daemons_report_is_shown_as_tables(stored):
    """Before anybody promotes, somebody looks."""
    store, (_, equal, _) = stored
    store.set_shadow(equal, "me", "", 1)
    report(
        store,
        equal,
        states={"normal": {"normal": 1890, "unknown": 10}, "blocked": {"blocked": 100}},
        windows=2000,
        skipped=500,
        delays_ms=(-1500,),
        onsets={"blocked": Onsets(4, 5, 3)},
        canaries={"blocked": CanaryPair(9, 10, 8, 10), "lossy": CanaryPair(0, 0, 1, 2)},
    )
    report(store, equal, "host-2", live="f" * 12)

    shown = call("shadow", store.path)
    plain = json.loads(call("shadow", store.path, "--json").stdout)

    assert shown.exit_code == 0
    assert "168.00 link-hours, 2000 windows" in shown.stdout
    assert "20.0% for want of time" in shown.stdout
    assert "99.5% of them have the same state" in shown.stdout
    assert "median -1.5 s to the same faults" in shown.stdout
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["normal", "0", "1890", "10"] in lines
    assert ["blocked", "4", "5", "3", "4.0", "5.0"] in lines
    assert ["blocked", "90.0%", "of", "10", "80.0%", "of", "10"] in lines
    assert ["lossy", "-", "of", "0", "50.0%", "of", "2"] in lines
    assert "1 of it beside another bundle" in shown.stderr
    assert plain["windows"] == 2000


def test_without_a_report_or_a_candidate_there_is_nothing_to_show(stored):
    """One line says which of the two it is."""
    store, (live, equal, _) = stored

    none = call("shadow", store.path)
    store.set_shadow(equal, "me", "", 1)
    silent = call("shadow", store.path)

    assert (none.exit_code, silent.exit_code) == (1, 1)
    assert "no version is in the shadow" in none.stderr
    assert f"no daemon reports yet of {equal} beside {live}" in silent.stderr


def test_a_good_candidate_is_promoted_and_a_bad_one_refused(stored, captures):
    """The whole gate, with the numbers on stdout and the outcome in the exit code."""
    store, (live, equal, worse) = stored
    for one in (equal, worse):
        report(store, one)

    bad = call("promote", store.path, worse, "--captures", captures)
    kept = store.current
    good = call("promote", store.path, equal, "--captures", captures, "--json")

    assert bad.exit_code == 1
    assert kept == live
    assert f"anchorwatch: bundle {worse} is refused" in bad.stderr
    assert f"{live} stays current" in bad.stderr
    assert "FAILED  held back  macro-F1" in bad.stdout
    assert "ok      live       agreement" in bad.stdout
    assert good.exit_code == 0
    assert store.current == equal
    assert json.loads(good.stdout)["candidate"] == equal
    assert f"bundle {equal} is promoted; it was {live}" in good.stderr


def test_tolerances_are_chosen_on_the_command_line(stored, captures):
    """Who knows that it is worth it says by how much."""
    store, (_, equal, _) = stored
    report(store, equal, states={"normal": {"normal": 900, "unknown": 100}})

    refused = call("promote", store.path, equal, "--captures", captures)
    done = call("promote", store.path, equal, "--captures", captures, "--agreement", "0.9")

    assert (refused.exit_code, done.exit_code) == (1, 0)


def test_the_rule_and_the_budget_are_those_of_the_daemon(stored, captures, tmp_path):
    """The settings file says them once, for the daemon and for the gate."""
    store, (_, equal, _) = stored
    report(store, equal, unknown=Onsets(0, 40, 0))
    settings = tmp_path / "anchorwatch.toml"
    settings.write_text(
        'bundle = "b"\nsource = "captures"\n[unknown]\nfalse_alarms_a_link_week = 50\n'
    )

    refused = call("promote", store.path, equal, "--captures", captures)
    done = call("promote", store.path, equal, "--captures", captures, "--config", settings)

    assert refused.exit_code == 1
    assert "FAILED  live       unknowns" in refused.stdout
    assert done.exit_code == 0, done.output


def test_both_are_judged_with_what_is_enrolled(stored, captures):
    """Daemons go by it with either: a candidate must not look better for want of it."""
    store, (_, equal, worse) = stored
    report(store, equal)
    before = call("promote", store.path, worse, "--captures", captures)
    spec = load(store.folder(equal)).manifest.window
    act = Act(at_ms=1, who="tests", what="enrolled")
    values = make_rows("normal", spec.steps)[None]
    where = {"link": "trunk-9", "start_ms": 1, "spec": spec, "values": values, "act": act}
    FolderEnrolments(store.path).write(enrol(label="blocked", **where))

    after = call("promote", store.path, equal, "--captures", captures)

    assert "the current one has 1.000" in before.stdout
    assert "ok  held back  macro-F1 " in after.stdout
    assert "the current one has 1.000" not in after.stdout


def test_force_wants_a_reason(stored):
    """The history is read by somebody else."""
    store, (live, equal, _) = stored

    without = call("promote", store.path, equal, "--force")
    done = call("promote", store.path, equal, "--force", "--why", "night", "--without-shadow")

    assert without.exit_code == 2
    assert "--force needs --why" in without.stderr
    assert done.exit_code == 0
    assert f"bundle {equal} is forced, 2 check(s) failed; it was {live}" in done.stdout
    assert "it was not to be tried in the shadow" in done.stdout


def test_a_rollback_is_one_command(stored):
    """At night nobody looks up an id."""
    store, (live, equal, worse) = stored
    for one in (equal, worse):
        call("promote", store.path, one, "--force", "--why", "x")

    done = [call("rollback", store.path) for _ in range(3)]
    named = call("rollback", store.path, worse[:9], "--why", "it was better")

    assert [one.exit_code for one in done] == [0, 0, 1]
    assert done[0].stdout == f"{store.path}: {equal} is current; it was {worse}\n"
    assert "no version that is there was current before" in done[2].stderr
    assert named.stdout == f"{store.path}: {worse} is current; it was {live}\n"
    assert store.history().entries[-1].why == "it was better"


def test_going_to_other_windows_is_said(tmp_path):
    """Daemons have to be restarted then, or nothing happens."""
    store, (_, longer) = make_store(
        tmp_path / "s", draft_bundle(), draft_bundle(spec=make_spec(steps=5))
    )
    tried = call("shadow", store.path, longer)
    call("promote", store.path, longer, "--force", "--why", "x")

    back = call("rollback", store.path)

    assert tried.exit_code == 1
    assert "windows of 5 steps" in tried.stderr
    assert back.exit_code == 0
    assert "restart the daemons" in back.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("bundles", "nothing"), 78, "is no bundle store"),
        (("shadow", "plain"), 78, "plain is a bundle and no bundle store"),
        (("promote", "nothing", "a"), 78, "is no bundle store"),
        (("rollback", "nothing"), 78, "is no bundle store"),
        (("bundles", "plain", "--add", "plain"), 78, "a bundle store is another folder"),
        (("bundles", "new", "--add", "empty"), 78, "manifest.json: No such file"),
        (("bundles", "store", "--history", "--remove", "a"), 2, "give one of"),
        (("shadow", "store", "a", "--stop"), 2, "give one of"),
        (("promote", "store", "zz"), 1, "no version begins so"),
        (("promote", "store", ""), 1, "3 versions begin so"),
        (("promote", "store"), 2, "Missing argument"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_an_exit_code(
    stored, tmp_path, monkeypatch, arguments, code, says
):
    """Scripts look at the code, people at the line."""
    monkeypatch.chdir(tmp_path)
    save(draft_bundle(), tmp_path / "plain")
    (tmp_path / "empty").mkdir()
    store, _ = stored
    before = store.current, store.shadow, store.history()

    done = call(*arguments)

    assert done.exit_code == code
    assert says in done.stderr
    assert (store.current, store.shadow, store.history()) == before


def test_help_loads_nothing_heavy():
    """It answers at once, also where the training libraries are not installed."""
    done = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stderr.splitlines()[-1] == "[]"
    assert "--f1-doubt" in done.stdout
    assert "--stop" in done.stdout


def test_a_deliberately_worse_encoder_is_refused_and_an_equal_one_is_not(tmp_path):
    """A real encoder on real traffic: noise on its weights, everything embedded anew."""
    live = trained_bundle()
    store, (_, equal, worse) = make_store(
        tmp_path / "store", live, relearnt(live), disturbed(live, noise=0.5)
    )
    for one in (equal, worse):
        report(store, one)

    bad = call("promote", store.path, worse, "--captures", SHIPPED)
    good = call("promote", store.path, equal, "--captures", SHIPPED)

    assert open_encoder(store.load(worse))  # nothing is wrong with it but how it judges
    assert bad.exit_code == 1
    assert "FAILED  held back  macro-F1" in bad.stdout
    assert "FAILED  held back  changes found" in bad.stdout
    assert "FAILED  candidate" not in bad.stdout
    assert "FAILED  live" not in bad.stdout
    assert (good.exit_code, store.current) == (0, equal), good.output


def test_whatever_is_wrong_with_a_real_bundle_is_said():
    """It has canaries, known points and what else a training makes: more that can be damaged."""
    whole = load(trained_path())
    refused = 0

    for folder in mutations(trained_path(), np.random.default_rng(0), count=200):
        try:
            bundle = load(folder)
            assert bundle.id != whole.id, folder.name
            open_encoder(bundle)
        except BundleError:
            refused += 1

    assert refused > 150
