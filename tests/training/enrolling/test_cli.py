"""The commands: what they print, what they keep, and with which code they end."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from detector.bundles import BundleStore
from detector.encoder import open_encoder
from detector.enrolments import FolderEnrolments
from detector.sight import Sight
from tests.training.naming.stores import NOON_MS
from training.cli import main
from training.naming import acts
from training.when import as_text

from .made import a_store, rows_of

BEGAN, ENDED = as_text(NOON_MS + 100_000), as_text(NOON_MS + 140_000)
LIVES = {
    "trunk-9": [("normal", 100), ("chatter", 40), ("normal", 200)],
    "trunk-2": [("normal", 150), ("chatter", 30), ("normal", 200)],
    "trunk-3": [("normal", 400)],
}
EVER = ("--days", "9999")  # the store is older than a week


def call(*arguments, stdin=""):
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def failed(done, code):
    """Give what a command said on stderr as it failed."""
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Give a capture store in which two links had the same fault, called unknown."""
    return a_store(tmp_path_factory.mktemp("captures"), LIVES)


@pytest.fixture
def bundles(tmp_path, bundle_path):
    """Give a bundle store with the small bundle in use."""
    made = BundleStore(tmp_path / "bundles")
    made.create()
    bundle_id = made.add(bundle_path, "ann", "first", NOON_MS)
    made.switch(bundle_id, "ann", "promoted", "first", NOON_MS)
    return tmp_path / "bundles"


@pytest.fixture
def enroll(store, bundles):
    """Enrol what `trunk-9` had, unless told otherwise."""

    def give(*more, label="chatter", link="trunk-9", began=BEGAN, ended=ENDED):
        where = ("--store", store, "--bundles", bundles, *EVER)
        what = ("--label", label, "--link", link, "--from", began, "--to", ended)
        return call("enroll", *where, *what, *more)

    return give


def kept(bundles):
    """Give what is enrolled, by id."""
    return {one.id: one for one in FolderEnrolments(bundles).poll()}


def test_one_incident_is_previewed_published_and_named_on_another_link(enroll, bundles, bundle):
    """The whole promise, from the terminal to what a daemon makes of it."""
    done = enroll("--yes", "--who", "ann", "--why", "splice", "--kind", "bent", "--windows", "3")

    assert done.exit_code == 0, done.output
    assert "trunk-2" in done.stdout
    assert "unknowns that would have had a name: 2 of 2" in done.stdout
    assert "within the budget as far as can be told" in done.stdout
    (one,) = kept(bundles).values()
    assert (one.label, one.link, one.kind, one.shape[0]) == ("chatter", "trunk-9", "bent", 3)
    assert one.start_ms >= NOON_MS + 100_000
    assert "spare" in one.features  # for an encoder that reads it one day
    assert [(act.who, act.what, act.why) for act in one.history] == [("ann", "enrolled", "splice")]
    sight = Sight.of(bundle, open_encoder(bundle, "onnxruntime", threads=1), [one])
    seen = sight.see(rows_of("chatter", 4, load=80.0)[None])
    assert sight.labels[seen.nearest.label[0]] == "chatter"


def test_a_preview_publishes_nothing_and_a_program_can_read_it(enroll, bundles):
    """What a dashboard or a runbook would show."""
    done = enroll("--preview", "--json")

    found = json.loads(done.stdout)
    assert {one["link"] for one in found["firings"]} == {"trunk-2"}
    assert found["false_alarms"]["verdict"] == "unsure"
    assert found["false_alarms"]["counted"] == 0
    assert found["false_alarms"]["link_hours_normal"] > 0
    assert len(found["unknowns_named"]) == found["unknowns"] == 2
    assert {one["label"] for one in found["separation"]} >= {"normal"}
    assert kept(bundles) == {}


def test_a_preview_needs_no_place_to_keep_anchors(store, bundle_path):
    """A plain bundle, and nothing that runs."""
    what = ("--label", "chatter", "--link", "trunk-9", "--from", BEGAN, "--to", ENDED)
    where = ("--store", store, "--bundles", bundle_path, *EVER)

    assert call("enroll", *where, *what, "--preview").exit_code == 0
    assert "say where anchors are kept" in failed(call("enroll", *where, *what, "--yes"), 2)


def test_without_a_terminal_nobody_is_asked_and_nothing_published(enroll, bundles):
    """A script has to say yes itself."""
    assert "no terminal to ask at: give --yes, or --preview" in failed(enroll(), 2)
    assert kept(bundles) == {}


def test_over_the_budget_it_is_refused_unless_that_is_said_too(bundles, tmp_path):
    """Somebody said that the other link was well: there it would be a false alarm."""
    store = a_store(tmp_path / "captures", LIVES)
    reject = acts.make(
        at_ms=NOON_MS,
        who="bob",
        what="reject",
        link="trunk-2",
        from_ms=NOON_MS + 130_000,
        to_ms=NOON_MS + 200_000,
    )
    acts.write(reject, store)
    where = ("--store", store, "--bundles", bundles, *EVER)
    what = ("--label", "chatter", "--link", "trunk-9", "--from", BEGAN, "--to", ENDED)

    refused, before = call("enroll", *where, *what, "--yes"), kept(bundles)
    taken = call("enroll", *where, *what, "--yes", "--over-budget")

    assert "OVER THE BUDGET" in refused.stdout
    assert "--over-budget" in failed(refused, 1)
    assert before == {}
    assert taken.exit_code == 0, taken.output
    assert len(kept(bundles)) == 1


def test_unknowns_that_somebody_named_are_not_offered_again(bundles, tmp_path):
    """What is listed is what there is still to be explained."""
    store = a_store(tmp_path / "captures", LIVES)
    name = acts.make(
        at_ms=NOON_MS,
        who="bob",
        what="rename",
        label="chatter",
        link="trunk-2",
        from_ms=NOON_MS + 130_000,
        to_ms=NOON_MS + 200_000,
    )
    acts.write(name, store)
    where = ("--store", store, "--bundles", bundles, *EVER, "--preview", "--json")
    what = ("--label", "chatter", "--link", "trunk-9", "--from", BEGAN, "--to", ENDED)

    found = json.loads(call("enroll", *where, *what).stdout)

    assert found["unknowns"] == 1
    assert [one["truth"] for one in found["firings"]] == ["chatter"]


def test_a_links_name_is_no_pattern(bundles, tmp_path):
    """Names with brackets are common on routers."""
    store = a_store(tmp_path / "captures", {"et[9]": LIVES["trunk-9"], "et9": LIVES["trunk-3"]})
    where = ("--store", store, "--bundles", bundles, *EVER, "--yes")
    what = ("--label", "chatter", "--link", "et[9]", "--from", BEGAN, "--to", ENDED)

    assert call("enroll", *where, *what).exit_code == 0
    assert [one.link for one in kept(bundles).values()] == ["et[9]"]


def test_what_is_enrolled_already_is_not_enrolled_twice(enroll, bundles):
    """Two engineers look at the same incident; removed once, it may come back."""
    assert enroll("--yes").exit_code == 0
    (one,) = kept(bundles)

    assert f"enrolled already: {one}" in failed(enroll("--yes"), 1)
    where = ("--bundles", bundles, "--why", "no")
    call("anchors", "disable", one, *where)
    assert "anchors enable" in failed(enroll("--yes"), 1)
    call("anchors", "remove", one, *where)
    assert enroll("--yes").exit_code == 0
    history = [act.what for act in kept(bundles)[one].history]
    assert history == ["enrolled", "disabled", "removed", "enrolled"]


def test_what_is_enrolled_and_not_in_use_says_how_it_comes_back(enroll, bundles):
    """Whoever enrols it again wants it used."""
    enroll("--yes")
    (id_,) = kept(bundles)
    where = ("--bundles", bundles)

    done = call("anchors", "expire", id_, "--at", "2020-01-01", *where)
    call("anchors", "disable", id_, "--why", "no", *where)
    said = failed(enroll("--yes"), 1)

    assert "expires at 2020-01-01 00:00:00 UTC, which is past: expired at once" in done.stdout
    assert f"disabled: `anchorwatch anchors enable {id_} --why ...`" in said
    assert f"expired: `anchorwatch anchors expire {id_} --at never` brings it back" in said
    done = call("anchors", "expire", id_, "--at", "9000-01-01", *where)
    assert "past" not in done.stdout


def test_what_would_be_expired_at_once_is_not_enrolled(enroll, bundles):
    """It is a slip: a time of today that is over."""
    assert "--expires is past" in failed(enroll("--yes", "--expires", "-1m"), 2)
    assert kept(bundles) == {}


def test_a_broker_that_does_not_answer_is_named_in_plain_words():
    """Before the wait, so that nobody thinks it hangs, and after it."""
    done = call("anchors", "list", "--kafka", "127.0.0.1:1")

    assert failed(done, 1).splitlines() == [
        "asking 127.0.0.1:1 ...",
        "anchorwatch: no broker answers at 127.0.0.1:1: connection refused",
    ]


@pytest.mark.parametrize(
    "command",
    [
        ("history", "fff"),
        ("enable", "fff", "--why", "x"),
        ("expire", "fff", "--at", "never"),
        ("remove", "fff", "--why", "x"),
    ],
    ids=lambda command: command[0],
)
def test_an_id_that_nobody_has_is_a_failure_and_no_wrong_usage(bundles, command):
    """A script tells by the exit code whether it or the site has changed."""
    assert "'fff': 0 enrolled anchors" in failed(
        call("anchors", *command, "--bundles", bundles), 1
    )


def test_a_capture_without_a_whole_window_says_so(tmp_path, bundles):
    """Also where nobody said from when to when."""
    import pandas as pd

    from tests.fakes import FEATURES

    table = pd.DataFrame(rows_of("chatter", 3), columns=list(FEATURES))
    table = table.assign(link="a", t_ms=NOON_MS + np.arange(3) * 1000)
    table.to_parquet(tmp_path / "short.parquet")
    what = ("--label", "chatter", "--link", "a", "--captures", tmp_path / "short.parquet")

    assert "no whole window of 4 s" in failed(
        call("enroll", *what, "--bundles", bundles, "--yes"), 1
    )


def test_a_capture_file_will_do_and_then_all_of_a_link(tmp_path, bundles):
    """An incident that somebody recorded elsewhere."""
    import pandas as pd

    from tests.fakes import FEATURES

    values = np.concatenate([rows_of("normal", 30), rows_of("chatter", 30)])
    table = pd.DataFrame(values, columns=list(FEATURES))
    table = table.assign(link="lab/a", t_ms=NOON_MS + np.arange(60) * 1000)
    table.to_parquet(tmp_path / "lab.parquet")
    what = ("--label", "chatter", "--link", "lab/a", "--captures", tmp_path / "lab.parquet")

    done = call("enroll", *what, "--bundles", bundles, "--yes", "--windows", "1")

    assert done.exit_code == 0, done.output
    (one,) = kept(bundles).values()
    assert one.shape == (1, 4, 4)
    assert one.start_ms >= NOON_MS + 27_000
    assert "nobody can tell, no traffic was captured as normal" in done.stdout


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"link": "trunk-8"}, 1, "of the link 'trunk-8'; there is trunk-2, trunk-3, trunk-9"),
        ({"link": "trunk-*"}, 1, "not of a pattern; there is trunk-2, trunk-3, trunk-9"),
        ({"label": "normal"}, 1, "anchorwatch label reject"),
        ({"label": "unknown"}, 1, "means something else"),
        ({"label": "a\nb"}, 1, "can't be printed"),
        ({"began": ENDED, "ended": BEGAN}, 2, "--from is not before --to"),
        ({"began": "soon"}, 2, "'soon' is no time"),
        ({"began": "2001-01-01", "ended": "2001-01-02"}, 1, f"of it between {as_text(NOON_MS)}"),
        ({"began": "-2h", "ended": "-1h"}, 1, f"of it between {as_text(NOON_MS)}"),
    ],
)
def test_what_cannot_be_enrolled_says_what_and_why(enroll, bundles, changes, code, words):
    """In one line, and nothing is published."""
    assert words in failed(enroll("--yes", **changes), code)
    assert kept(bundles) == {}


def test_a_bundle_that_cannot_be_used_has_an_exit_code_of_its_own(enroll, bundles):
    """As the daemon's."""
    (bundles / "current").unlink()

    assert "no version is current" in failed(enroll("--yes"), 78)


def test_an_anchor_is_listed_changed_and_its_history_shown(enroll, bundles):
    """All that an engineer does to it afterwards."""
    enroll("--yes", "--who", "ann")
    (id_,) = kept(bundles)
    where = ("--bundles", bundles)

    table = call("anchors", "list", *where).stdout
    assert id_ in table
    assert "active" in table
    assert table.count("trained") == 6  # the bundle's own
    steps = [
        (("disable", id_[:5], "--why", "too many"), "disabled"),
        (("enable", id_, "--why", "mended"), "active"),
        (("expire", id_, "--at", "-1d"), "expired"),
        (("expire", id_, "--at", "never"), "active"),
        (("remove", id_, "--why", "over"), "removed"),
    ]
    for arguments, status in steps:
        done = call("anchors", *arguments, *where, "--who", "bob")
        assert done.exit_code == 0, done.output
        rows = json.loads(call("anchors", "list", "--all", "--json", *where).stdout)
        assert [row["status"] for row in rows if row["id"] == id_] == [status]
    assert id_ not in call("anchors", "list", *where).stdout
    lines = call("anchors", "history", id_, *where).stdout.splitlines()[1:]
    assert [line.split()[1] for line in lines] == [
        *("enrolled", "disabled", "enabled", "expires", "expires", "removed")
    ]
    assert lines[1].endswith("bob  too many")
    history = json.loads(call("anchors", "history", id_, "--json", *where).stdout)
    assert history[-1]["why"] == "over"


def test_of_several_ids_all_are_looked_at_before_any_is_changed(enroll, bundles):
    """A misspelt one must not leave half of them disabled."""
    enroll("--yes")
    (id_,) = kept(bundles)

    done = call("anchors", "disable", id_, "fff", "--why", "x", "--bundles", bundles)

    assert "'fff': 0 enrolled anchors" in failed(done, 1)
    assert kept(bundles)[id_].status == "active"


def test_anchors_go_to_another_site_and_say_where_they_come_from(enroll, bundles, tmp_path):
    """Signed, and taken whole."""
    enroll("--yes")
    (id_,) = kept(bundles)
    key, pack, other = tmp_path / "key", tmp_path / "pack.json", BundleStore(tmp_path / "other")
    key.write_text("a secret of both sites\n")
    other.create()
    signed = ("--key-file", key)
    assert call("anchors", "export", pack, id_, "--bundles", bundles, *signed).exit_code == 0
    there = ("--bundles", other.path, "--who", "eve")

    dry = call("anchors", "import", pack, *there, *signed, "--dry-run")
    assert f"new          {id_}" in dry.stdout
    assert kept(other.path) == {}
    done = call("anchors", "import", pack, *there, *signed)
    assert done.exit_code == 0, done.output
    (one,) = kept(other.path).values()
    assert one.windows == kept(bundles)[id_].windows
    assert one.history[-1].who == "eve"
    assert one.history[-1].why.startswith("from pack.json of ")
    assert "known        " in call("anchors", "import", pack, *there).stdout

    call("anchors", "disable", id_, "--why", "x", *there)
    done = call("anchors", "import", pack, *there)
    assert "'disabled' here, 'active' there" in done.stdout
    assert "--replace" in failed(done, 1)
    assert call("anchors", "import", pack, *there, "--replace").exit_code == 0
    assert kept(other.path)[id_].status == "active"


def test_an_altered_pack_is_refused_whole(enroll, bundles, tmp_path):
    """By its hash, or by its signature."""
    enroll("--yes")
    pack, key = tmp_path / "pack.json", tmp_path / "key"
    key.write_text("a secret of both sites")
    call("anchors", "export", pack, "--all", "--bundles", bundles)
    other = BundleStore(tmp_path / "other")
    other.create()

    unsigned = call("anchors", "import", pack, "--bundles", other.path, "--key-file", key)
    pack.write_bytes(pack.read_bytes().replace(b"trunk-9", b"trunk-8"))
    altered = call("anchors", "import", pack, "--bundles", other.path)

    assert "is not signed" in failed(unsigned, 1)
    assert "SHA-256" in failed(altered, 1)
    assert kept(other.path) == {}


def test_where_nothing_is_enrolled_all_of_it_is_an_empty_pack(bundles, tmp_path):
    """A nightly backup that fails on every new site makes no backup at all."""
    pack, where = tmp_path / "anchors.json", ("--bundles", bundles)

    made = call("anchors", "export", pack, "--all", *where)
    taken = call("anchors", "import", pack, *where)

    assert (made.exit_code, taken.exit_code) == (0, 0), made.output + taken.output
    assert f"{pack}: 0 anchors: nothing is enrolled" in made.stderr
    assert f"{pack}: 0 imported" in taken.stderr
    assert kept(bundles) == {}


def test_ids_that_name_nothing_make_no_pack(enroll, bundles, tmp_path):
    """A mistyped id must not make a file that looks like a success."""
    enroll("--yes")
    (id_,) = kept(bundles)
    pack, where = tmp_path / "pack.json", ("--bundles", bundles)

    mistyped = call("anchors", "export", pack, "fff", *where)
    call("anchors", "remove", id_, "--why", "over", *where)
    removed = call("anchors", "export", pack, id_, *where)

    assert "'fff': 0 enrolled anchors" in failed(mistyped, 1)
    assert "no anchor to export" in failed(removed, 1)
    assert not pack.exists()


def test_help_names_every_default_and_every_command():
    """An operator at three in the morning has nothing else."""
    text = call("enroll", "--help").stdout
    for option in ("--label", "--from", "--captures", "--windows", "--over-budget", "--kafka"):
        assert option in text
    commands = call("anchors", "--help").stdout
    for name in ("list", "history", "disable", "enable", "remove", "expire", "export", "import"):
        assert name in commands
        assert call("anchors", name, "--help").exit_code == 0
