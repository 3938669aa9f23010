"""A search as its user sees it: what it finds, how it goes on, and what it refuses."""

import json
import os
import shutil
import signal
import time

import pytest
import tensorflow as tf

from tests.training.captures import make_table, write
from tests.training.search.runs import found, run, start

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")
ONE = ("--candidates", "1", "--refine", "0")
LONG = 200  # seconds that a process may take for what takes it a few


@pytest.fixture(autouse=True)
def eagerly():
    """Compile nothing: for a few batches that takes longer than the batches themselves."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """Give a small capture."""
    return write(make_table(), tmp_path_factory.mktemp("captures"))


@pytest.fixture
def work(tmp_path):
    """Give a folder to search in, that isn't there yet."""
    return tmp_path / "deeper" / "work"


@pytest.fixture(scope="module")
def _searched(capture, tmp_path_factory):
    """Give a folder in which the default was ranked."""
    tf.config.run_functions_eagerly(True)
    path = tmp_path_factory.mktemp("searched") / "work"
    found(capture, path, *ONE)
    return path


@pytest.fixture
def begun(_searched, work):
    """Give a folder of its own in which the default was ranked."""
    shutil.copytree(_searched, work)
    return work


def by_number(report):
    """Give what a report says of each candidate."""
    return {one["candidate"]: one for one in report["candidates"]}


def tried(report):
    """Give the settings of each candidate, in the order in which they were drawn."""
    rows = by_number(report)
    return [rows[number]["settings"] for number in sorted(rows)]


def test_candidates_are_ranked_and_the_best_refined(capture, work):
    """From captures to a command in one go."""
    report = found(capture, work, "--candidates", "3", "--refine", "1", "--mix", "r[01]")

    rows = by_number(report)
    assert sorted(rows) == [0, 1, 2]
    assert rows[0]["settings"] == {}  # the default
    assert report["folds"] == ["runs 1/2", "runs 2/2", "mix r[01]"]
    assert report["finished"] is True
    for row in rows.values():
        assert set(row["brief_scores"]) == set(report["folds"])
        assert 0 <= row["brief_score"] <= 1
        assert row["brief_score"] == pytest.approx(sum(row["brief_scores"].values()) / 3, abs=1e-3)
    refined = [row for row in rows.values() if row["state"] == "refined"]
    assert {0} <= {row["candidate"] for row in refined} < {0, 1, 2}
    for row in refined:
        assert set(row["scores"]) == set(report["folds"])
        assert row["parameters"] > 0
        assert row["windows_per_second"] > 0
        assert row["train_seconds"] > 0
    assert report["command"].startswith(f"anchorwatch train {capture} --out bundle --steps 10")


def test_a_table_is_printed_for_people_and_progress_elsewhere(capture, work):
    """What is piped on is the result and nothing else."""
    result = run(capture, work, "--candidates", "2", "--refine", "0")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split()[:2] == ["before", "candidate"]
    assert "candidate 1, 2 of 2: " in result.stderr
    assert "seed 0" in result.stderr
    assert "candidate 1, 2 of 2" not in result.stdout


def test_the_same_seed_tries_the_same_candidates_however_often_it_is_stopped(capture, tmp_path):
    """Or nobody could repeat what was found."""
    at_once = found(capture, tmp_path / "a", "--candidates", "3", "--refine", "0")
    for count in ("1", "3"):
        in_parts = found(capture, tmp_path / "b", "--candidates", count, "--refine", "0")
    other = found(capture, tmp_path / "c", "--candidates", "2", "--refine", "0", "--seed", "1")

    assert tried(in_parts) == tried(at_once)
    assert len({json.dumps(one) for one in tried(at_once)}) == 3
    assert tried(other)[0] == tried(at_once)[0] == {}
    assert tried(other)[1] != tried(at_once)[1]


def test_a_killed_search_goes_on_without_doing_anything_twice(capture, work):
    """A night's work must survive a power cut."""
    arguments = ("--candidates", "3", "--refine", "1")
    with start(capture, work, *arguments) as process:
        journal = work / "journal.jsonl"
        wait(lambda: journal.exists() and scored(journal) >= 3, process)
        process.send_signal(signal.SIGKILL)
        process.wait(LONG)
    before = journal.read_bytes()
    done = scored(journal)

    report = found(capture, work, *arguments)

    assert journal.read_bytes().startswith(before)
    assert sorted(by_number(report)) == [0, 1, 2]
    assert len({json.dumps(one) for one in tried(report)}) == 3
    folds = [one["brief_scores"] for one in report["candidates"]]
    assert scored(journal) == sum(map(len, folds))  # no fold of any candidate was judged twice
    assert done >= 3


def test_a_line_that_was_not_written_to_its_end_is_no_hindrance(capture, begun):
    """The journal of a machine that lost power may end in the middle of a line."""
    with (begun / "journal.jsonl").open("ab") as file:
        file.write(b'{"op_code":5,"wor')

    assert sorted(by_number(found(capture, begun, "--candidates", "2", "--refine", "0"))) == [0, 1]


def test_a_damaged_journal_is_refused(capture, begun):
    """Nothing can be told from it, and nothing must be written to it."""
    (begun / "journal.jsonl").write_bytes(b"something else\n")

    result = run(capture, begun)

    assert result.exit_code == 1
    assert "damaged" in result.stderr
    assert (begun / "journal.jsonl").read_bytes() == b"something else\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_search_that_is_told_to_stop_says_what_it_has_and_how_to_go_on(number, capture, work):
    """Stopping is not failing."""
    with start(capture, work, "--candidates", "500", "--refine", "0", "--json") as process:
        journal = work / "journal.jsonl"
        wait(lambda: journal.exists() and scored(journal) >= 3, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=LONG)

    assert process.returncode == 0, err
    report = json.loads(out)
    assert report["finished"] is False
    assert 1 <= len(report["candidates"]) < 500
    assert err.splitlines()[-1] == "stopped; the same command goes on"


def test_a_search_that_is_done_does_nothing_more(capture, work):
    """The same command prints the same table again."""
    first = found(capture, work, "--candidates", "2", "--refine", "2")
    journal = (work / "journal.jsonl").read_bytes()
    again = run(capture, work, "--candidates", "2", "--refine", "2", "--json")

    assert json.loads(again.stdout) == first
    assert (work / "journal.jsonl").read_bytes() == journal
    assert "2 of 2 candidates are there already" in again.stderr
    assert "4 of 4 trainings are there already" in again.stderr


def test_more_candidates_can_be_asked_for_later(capture, begun):
    """Whoever has time left wants to use what is there."""
    first = found(capture, begun, *ONE)
    more = found(capture, begun, "--candidates", "2", "--refine", "0")

    assert by_number(more)[0]["brief_scores"] == by_number(first)[0]["brief_scores"]
    assert len(by_number(more)) == 2


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (("--fix", "margin=0.2"), "another space"),
        (("--seed", "5"), "--seed"),
        (("--mix", "r[01]"), "--mix"),
        (("--batches", "3"), "--batches"),
        (("--frozen-front",), "--frozen-front"),
    ],
)
def test_a_search_of_another_sort_is_not_gone_on_with(more, what, capture, begun):
    """Scores that can't be compared must not stand in one table."""
    result = run(capture, begun, "--candidates", "1", "--refine", "0", *more)

    assert result.exit_code == 1
    assert what in result.stderr
    assert "--work" in result.stderr


def test_captures_are_known_by_what_is_in_them(capture, begun, tmp_path):
    """Moving or touching a capture changes nothing, changing a byte does."""
    moved = tmp_path / "moved.parquet"
    moved.write_bytes(capture.read_bytes())
    os.utime(moved, (1, 1))
    table = make_table()
    table.loc[3, "fwd_packets"] += 1

    same = run(moved, begun, "--candidates", "1", "--refine", "0")
    other = run(write(table, tmp_path), begun, "--candidates", "1", "--refine", "0")

    assert same.exit_code == 0
    assert other.exit_code == 1
    assert "other captures" in other.stderr


def test_two_searches_do_not_work_in_one_folder(capture, work):
    """They would mix up each other's candidates."""
    with start(capture, work, "--candidates", "500", "--refine", "0") as process:
        wait(lambda: (work / "journal.jsonl").exists(), process)
        result = run(capture, work)
        process.kill()
        process.communicate()

    assert result.exit_code == 1
    assert "another search is at work" in result.stderr


def test_candidates_that_share_inputs_share_a_bank(capture, work):
    """It is what takes long and is always the same."""
    pins = {"superpose": "yes"}
    found(capture, work, "--candidates", "3", "--refine", "0", pins=pins)

    assert len([*(work / "cache").iterdir()]) == 1


def test_a_space_that_has_no_more_ends_the_search(capture, work):
    """Trying the same twice would tell nothing."""
    pins = dict.fromkeys(("drop", "normal_share"), "0")
    pins |= {"loss": "triplet", "activation": "sigmoid", "miner": "batch-all", "margin": "0.5"}
    pins |= {"embedding": "2", "learning_rate": "0.01", "statistics": "no"}
    pins |= {"recovery_share": "0"}

    result = run(capture, work, "--candidates", "9", "--refine", "0", "--json", pins=pins)

    assert result.exit_code == 0
    assert sorted(one["settings"].get("kinds", False) for one in tried_of(result)) == [False, True]
    assert "no more than 2 candidates are possible" in result.stderr


def tried_of(result):
    """Give the candidates that a command printed."""
    return json.loads(result.stdout)["candidates"]


def test_hopeless_candidates_are_given_up_and_listed(capture, work):
    """Half of the time goes into those otherwise; dropped silently they would be drawn again."""
    report = found(capture, work, "--candidates", "10", "--refine", "0")

    states = [row["state"] for row in report["candidates"]]
    assert set(states) == {"ranked", "pruned"}
    for row in report["candidates"]:
        assert (row["rank_before"] is None) == (row["state"] == "pruned")
        assert (len(row["brief_scores"]) < 2) == (row["state"] == "pruned")
    assert by_number(report)[0]["state"] == "ranked"
    assert states == sorted(states, reverse=True)  # ranked before pruned


def test_ranking_ends_when_time_is_up(capture, work):
    """Nobody knows beforehand how long a candidate takes."""
    result = run(
        capture, work, *("--candidates", "50", "--refine", "0", "--minutes", "1e-6", "--json")
    )

    assert result.exit_code == 0
    assert len(tried_of(result)) == 1
    assert "time is up: 1 of 50" in result.stderr


def test_a_frozen_front_is_trained_once(capture, work):
    """Candidates that differ only behind the LSTM needn't train it anew."""
    pins = {"statistics": "no"}
    arguments = ("--candidates", "3", "--refine", "0", "--frozen-front")

    report = found(capture, work, *arguments, pins=pins)

    assert len(report["candidates"]) == 3
    assert len([*(work / "cache").iterdir()]) == 1 + 2  # a bank, and a front for each fold


@pytest.mark.parametrize(
    ("more", "code", "what"),
    [
        (("--fix", "margn=1"), 2, "margn"),
        (("--fix", "loss=multi-similarity", "--fix", "activation=sigmoid"), 2, "unit"),
        (("--folds", "1"), 2, "--folds"),
        (("--mix", "nothing*"), 1, "no run is left out"),
        (("--mix", "*"), 1, "two labels"),
        (("--fix", "links=nothing"), 2, "--fix: links 'nothing' matches no link"),
    ],
)
def test_what_can_not_be_searched_is_refused_at_once(more, code, what, capture, work):
    """With what is wrong, in one line."""
    result = run(capture, work, *more)

    assert result.exit_code == code
    assert what in result.stderr
    assert "Traceback" not in result.stderr


def scored(journal):
    """Count how often a candidate was judged on a fold."""
    return journal.read_bytes().count(b'"user_attr":{"scores"')


def wait(is_so, process):
    """Wait until something is so, while a process is at work."""
    end = time.monotonic() + LONG
    while not is_so():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)
