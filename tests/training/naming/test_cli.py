"""`anchorwatch label`, as it is typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from detector.events import identify
from training.naming.acts import FOLDER, make, read, write
from training.naming.stored import stored_links

from .stores import NOON_MS, STEP_MS, capture, life
from .typed import run

BLOCKED = identify("trunk-1", "blocked", NOON_MS + 300 * STEP_MS)
DAY = ("--from", "2023-11-14", "--to", "2023-11-15")
FAULT = [("normal", 300), ("blocked", 100), ("normal", 300)]


@pytest.fixture
def store(tmp_path) -> Path:
    """Give a store with a fault of one link and an unknown of another."""
    capture(life(FAULT), tmp_path)
    capture(life([("normal", 300), ("unknown", 100)], link="core/2"), tmp_path)
    return tmp_path


def labels(store: Path) -> set[str | None]:
    """Give the labels that a training would find on trunk-1."""
    found = stored_links([store], ("packets",), STEP_MS, ("trunk-1",))
    return {label for one in found for label in one.labels}


def test_episodes_are_listed_for_people(store):
    """Naming begins with seeing what there is."""
    result = run("list", "--store", store)

    assert result.exit_code == 0
    head, unknown, blocked = result.stdout.splitlines()
    assert head.split() == ["ID", "LINK", "STATE", "SINCE", "LASTED", "ROWS", "NAMED", "REASON"]
    assert unknown.split()[1:8] == [
        "core/2",
        "unknown",
        "2023-11-14T22:18:20Z",
        *["1", "m", "40", "s"],
    ]
    assert " + " in unknown
    assert blocked.split()[:3] == [BLOCKED, "trunk-1", "blocked"]
    assert " + " not in blocked


@pytest.mark.parametrize(
    ("options", "links"),
    [
        ([], {"trunk-1", "core/2"}),
        (["--state", "unk*"], {"core/2"}),
        (["--link", "trunk-*"], {"trunk-1"}),
        (["--since", "2023-11-14T22:30"], {"core/2"}),  # nobody has seen its end
        (["--since", "2023-11-14T22:19"], {"trunk-1", "core/2"}),
        (["--unnamed"], {"core/2"}),
    ],
)
def test_a_list_is_of_what_was_asked_for(store, options, links):
    """A store holds a month of a thousand links."""
    assert run("confirm", "--store", store, "--event", BLOCKED).exit_code == 0

    result = run("list", "--store", store, "--json", *options)

    assert {one["link"] for one in json.loads(result.stdout)} == links


def test_an_episode_is_confirmed_by_the_first_letters_of_its_id(store):
    """Nobody types sixteen of them."""
    result = run(
        "confirm", "--store", store, "--event", BLOCKED[:4], "--why", "cable", "--who", "anna"
    )

    assert result.exit_code == 0
    assert result.stdout.startswith("confirmed: 115 rows of 1 episode on 1 link (trunk-1): 9")
    assert "are blocked" in result.stdout
    assert labels(store) == {"blocked", "normal", None}
    (act,) = read([store])
    assert (act.who, act.why, act.what, act.episode) == ("anna", "cable", "confirm", BLOCKED)
    assert "confirmed by anna" in run("list", "--store", store).stdout


def test_several_episodes_are_renamed_at_once(store):
    """One cause, one name."""
    words = ("--event", BLOCKED, "--event", identify("core/2", "unknown", NOON_MS + 300 * STEP_MS))

    result = run("rename", "fibre-bend", "--store", store, *words)

    assert result.exit_code == 0
    assert "of 2 episodes on 2 links (core/2, trunk-1)" in result.stdout
    assert "nobody has seen the end of" in result.stderr
    assert labels(store) == {"fibre-bend", "normal", None}
    assert run("list", "--store", store, "--unnamed").stdout == ""


def test_a_new_name_is_for_what_is_surely_of_the_episode(store):
    """Its first rows are normal traffic, and would be learnt as the fault."""
    run("rename", "fibre-bend", "--store", store, "--event", BLOCKED)

    (act,) = read([store])

    assert act.from_ms == NOON_MS + 299 * STEP_MS
    assert act.to_ms < NOON_MS + 400 * STEP_MS


def test_a_rename_says_how_many_rows_it_left_out(store):
    """Whoever counts on the whole episode should know what is not learnt from."""
    result = run("rename", "fibre-bend", "--store", store, "--event", BLOCKED)

    named, left = 94, 115 - 94
    assert result.stdout == (
        f"renamed: {named} rows of 1 episode on 1 link (trunk-1): "
        f"{named} are fibre-bend; {left} more are not to be learnt from\n"
    )


def test_a_name_is_refused_in_another_case_but_where_it_mends_all_of_them(store):
    """Two spellings are two labels, and half of the windows each."""
    unknown = identify("core/2", "unknown", NOON_MS + 300 * STEP_MS)
    run("rename", "Fibre", "--store", store, "--event", BLOCKED)

    other = run("rename", "fibre", "--store", store, "--event", unknown)
    mended = run("rename", "fibre", "--store", store, "--event", BLOCKED)

    assert other.exit_code == 1
    assert "'fibre' differs from 'Fibre', which is in use, in case only" in other.stderr
    assert mended.exit_code == 0
    assert labels(store) == {"fibre", "normal", None}


def test_a_name_that_is_in_use_can_be_used_whatever_else_is(store):
    """Who finds both spellings in a store has to be able to mend one row after the other."""
    where = {"who": "anna", "what": "rename", "link": "trunk-1"}
    for second, label in ((0, "Fibre"), (300, "fibre")):
        from_ms = NOON_MS + second * STEP_MS
        times = {"at_ms": second, "from_ms": from_ms, "to_ms": from_ms + 10 * STEP_MS}
        write(make(**where, **times, label=label), store)

    assert run("rename", "fibre", "--store", store, "--event", BLOCKED).exit_code == 0


def test_what_is_said_to_be_done_is_what_was_done_now(store):
    """Whoever names one episode must not be told of yesterday's."""
    run("confirm", "--store", store, "--event", BLOCKED)

    result = run("reject", "--store", store, "--link", "core/2", *DAY)

    assert "of 1 episode on 1 link (core/2)" in result.stdout


def test_a_range_of_time_is_rejected(store):
    """Maintenance is a false alarm of all links at once."""
    times = ("--from", "2023-11-14T22:18", "--to", "2023-11-14T22:25")

    result = run("reject", "--store", store, "--link", "trunk-*", *times)

    assert result.exit_code == 0
    assert "420 are normal" in result.stdout
    assert labels(store) == {"normal", None}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["confirm", "--event", "0123"], "episode '0123' was not captured"),
        (["confirm", "--event", "0"], "at least 4 letters"),
        (
            ["reject", "--link", "nobody", "--from", "2023-11-14", "--to", "2023-11-15"],
            "nothing was",
        ),
        (
            ["reject", "--link", "*", "--from", "2020-11-14", "--to", "2020-11-15"],
            "nothing was named",
        ),
        (
            ["confirm", "--link", "trunk-1", "--from", "2023-11-14", "--to", "2023-11-14T22:15"],
            "no epi",
        ),
        (
            ["reject", "--link", "*", "--from", "2023-11-15", "--to", "2023-11-14"],
            "must be before",
        ),
        (["rename", "silent", "--event", BLOCKED], "means something else to the daemon"),
        (["rename", "", "--event", BLOCKED], "a rename needs a name"),
        (["rename", "Normal", "--event", BLOCKED], "'Normal' differs from 'normal'"),
        (["rename", "BLOCKED", "--event", BLOCKED], "'BLOCKED' differs from 'blocked'"),
        (["rename", "Silent", "--event", BLOCKED], "'Silent' differs from 'silent'"),
        (["rename", "x", "--group", "unknown-1"], "no group is called 'unknown-1'"),
    ],
)
def test_naming_nothing_is_an_error_that_says_why(store, words, why):
    """A typing error must not look like work that was done."""
    command, *rest = words
    result = run(command, "--store", store, *rest)

    assert result.exit_code == 1
    assert why in result.stderr
    assert not (store / FOLDER).exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--link", "trunk-1"],
        ["--link", "trunk-1", "--from", "-2h"],
        ["--event", BLOCKED, "--link", "trunk-1", "--from", "-2h", "--to", "now"],
        ["--link", "trunk-1", "--from", "yesterday", "--to", "now"],
    ],
)
def test_it_has_to_be_said_what_is_meant(store, words):
    """Half a range is none."""
    assert run("confirm", "--store", store, *words).exit_code == 2


@pytest.mark.parametrize("words", [["--state", "nosuch"], ["--link", "nosuch"]])
def test_a_list_of_nothing_says_whether_there_is_anything(store, tmp_path_factory, words):
    """A typing error must not look like a store without episodes."""
    empty = tmp_path_factory.mktemp("empty")

    assert run("list", "--store", store, *words).stderr == "no episode that was captured matches\n"
    assert run("list", "--store", empty, *words).stderr == "no episode was captured\n"


def test_a_history_of_nothing_says_whether_there_is_any(store):
    """Nobody names a thing twice for being told that it has no name."""
    before = run("history", "--store", store, "--link", "nosuch")
    run("confirm", "--store", store, "--event", BLOCKED)

    after = run("history", "--store", store, "--link", "nosuch")

    assert before.stderr == "nobody has named anything\n"
    assert after.stderr == "no naming matches\n"


def test_acts_are_history(store):
    """A label that nobody answers for is not trusted."""
    run("confirm", "--store", store, "--event", BLOCKED, "--who", "anna", "--why", "cable")
    run("reject", "--store", store, "--event", BLOCKED, "--who", "bob", "--why", "it was a test")

    lines = run("history", "--store", store).stdout.splitlines()
    data = json.loads(run("history", "--store", store, "--json", "--link", "trunk-1").stdout)

    assert [line.split()[1:3] for line in lines[1:]] == [["anna", "confirm"], ["bob", "reject"]]
    assert [act["why"] for act in data] == ["cable", "it was a test"]
    assert labels(store) == {"normal", None}


def test_a_damaged_act_is_a_warning_for_who_reads_and_an_error_for_who_writes(store):
    """Nothing that was said is passed over in silence."""
    run("confirm", "--store", store, "--event", BLOCKED)
    (store / FOLDER / "1-odd.json").write_text("{")

    for command in ("list", "history"):
        result = run(command, "--store", store)
        assert result.exit_code == 0
        assert "1-odd.json" in result.stderr
        assert "trunk-1" in result.stdout
    result = run("reject", "--store", store, "--event", BLOCKED)
    assert result.exit_code == 1
    assert "1-odd.json" in result.stderr


def test_labels_lie_beside_the_windows_they_are_of(tmp_path):
    """Of a folder of stores each can be taken away, with what was said of it."""
    capture(life(FAULT), tmp_path / "north", daemon="a")
    capture(life(FAULT, link="trunk-2"), tmp_path / "south", daemon="b")

    result = run("confirm", "--store", tmp_path, "--event", BLOCKED)

    assert result.exit_code == 0
    assert len(read([tmp_path / "north"])) == 1
    assert read([tmp_path / "south"]) == []
    assert len(read([tmp_path])) == 1


def test_a_store_that_cannot_be_written_to_is_an_error(store):
    """The label was not given, and whoever gave it has to know."""
    (store / FOLDER).write_text("in the way")

    result = run("confirm", "--store", store, "--event", BLOCKED)

    assert result.exit_code == 1
    assert FOLDER in result.stderr


def test_help_answers_at_once():
    """Nobody waits for pandas to read how to call a thing."""
    heavy = "{'pandas', 'pyarrow', 'tensorflow', 'sklearn', 'kafka', 'onnxruntime'}"
    code = f"import sys, training.naming.cli; print({heavy} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
