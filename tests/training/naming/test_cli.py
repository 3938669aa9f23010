"""`anchorwatch label`, as it is typed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from detector.events import identify
from training.naming.acts import FOLDER, read
from training.naming.cli import label
from training.naming.stored import stored_links

from .knowing import WEEK_MS, incident, knowing_bundle
from .stores import NOON_MS, STEP_MS, capture, life

BLOCKED = identify("trunk-1", "blocked", NOON_MS + 300 * STEP_MS)
FAULT = [("normal", 300), ("blocked", 100), ("normal", 300)]


def run(*words: Any) -> Result:
    """Type a command."""
    return CliRunner().invoke(label, [str(word) for word in words])


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
        (["rename", "", "--event", BLOCKED], "a new name"),
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


def test_unknowns_are_grouped_and_a_group_is_named_as_one(tmp_path):
    """Five pages become one question, and one answer."""
    knowing_bundle(tmp_path / "bundle")
    store = tmp_path / "store"
    for week in range(4):
        incident(store, "half", link=f"trunk {week % 3}", start_ms=NOON_MS + week * WEEK_MS)
    incident(store, "slow", start_ms=NOON_MS + 3 * WEEK_MS // 2)
    places = ("--store", store, "--bundles", tmp_path / "bundle")

    text = run("unknown", *places)
    data = json.loads(run("unknown", *places, "--json").stdout)

    assert text.exit_code == 0
    first, enroll, second, _ = text.stdout.splitlines()
    assert first.startswith(
        "unknown-1: four times on three links (trunk 0, trunk 1, trunk 2), Tuesdays 22:15; last"
    )
    assert enroll.startswith("  anchorwatch enroll --label NAME --link 'trunk ")
    assert second.startswith("unknown-2: once on one link (trunk-1); last")
    assert [len(one["episodes"]) for one in data] == [4, 1]
    span_ms = data[0]["typical"]["to_ms"] - data[0]["typical"]["from_ms"]
    assert span_ms == 4 * STEP_MS

    named = run("rename", "retry-storm", "--store", store, "--group", "unknown-1")

    assert named.exit_code == 0
    assert "of 4 episodes on 3 links" in named.stdout
    assert "unknown-1" not in run("unknown", *places).stdout
    after = run("unknown", *places, "--all").stdout
    assert "unknown-1: four times" in after
    assert "4 named retry-storm" in after


def test_how_far_apart_a_group_may_be_can_be_said(tmp_path):
    """Embeddings of a bundle that knows little are near to each other."""
    knowing_bundle(tmp_path / "bundle")
    incident(tmp_path / "store", "half")
    incident(tmp_path / "store", "slow", link="trunk-2")
    places = ("--store", tmp_path / "store", "--bundles", tmp_path / "bundle", "--json")

    assert len(json.loads(run("unknown", *places).stdout)) == 2
    assert len(json.loads(run("unknown", *places, "--reach", 1000).stdout)) == 1


def test_a_bundle_that_knows_no_distance_is_unusable_for_groups(tmp_path):
    """Exit 78, as everywhere: another bundle mends it, another try doesn't."""
    from tests.fakes import make_bundle

    make_bundle(tmp_path / "bundle")
    (tmp_path / "store").mkdir()

    result = run("unknown", "--store", tmp_path / "store", "--bundles", tmp_path / "bundle")

    assert result.exit_code == 78


def test_help_answers_at_once():
    """Nobody waits for pandas to read how to call a thing."""
    heavy = "{'pandas', 'pyarrow', 'tensorflow', 'sklearn', 'kafka', 'onnxruntime'}"
    code = f"import sys, training.naming.cli; print({heavy} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
