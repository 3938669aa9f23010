"""A recording: rows with their truth, and how they came about."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from detector.capture import read_table
from training.lab import timeline as timelines
from training.lab.plan import Direction, Fault, Kind, Load, Phase, Plan, Rate, Run, Traffic
from training.lab.recording import FEATURES, Recording, RecordingError, RunNote, RunRows
from training.lab.timeline import Entry, Timeline

BLOCK = Fault(Kind.BLOCK, Direction.FORWARD)
START_MS = 1_700_000_000_000
NOTE = RunNote(repeats=1, restarts=0, packets=99, kernel_dropped=0, late=0)


def make_run(name: str, seconds: float = 5) -> Run:
    """Make a run that is normal first and blocked then."""
    load = (Load(Traffic.CALL, Rate(5)),)
    return Run(name, load, (Phase(seconds), Phase(3, (BLOCK,))), family="A")


PLAN = Plan("p", (make_run("one"), make_run("two", 9)), seed=3)


def add(recording: Recording, name: str) -> None:
    """Record a run: 8 seconds, of which the last three are blocked."""
    rows = RunRows([f"{name}/access", f"{name}/core"])
    for second in range(-2, 10):  # some before the first phase, some after the last
        values = np.full((2, len(FEATURES)), second, np.float32)
        values[0] += 100  # at the access port
        rows.take(START_MS + 1000 * second, values)
    entries = (
        Entry(0, START_MS, START_MS, START_MS + 5000),
        Entry(1, START_MS + 5000, START_MS + 5100, START_MS + 8000, (BLOCK,)),
    )
    recording.add(rows, Timeline(name, entries, "A"), NOTE)


def test_a_recording_is_a_capture_with_the_truth(tmp_path: Path) -> None:
    """What the lab writes, training and evaluation read."""
    recording = Recording(tmp_path / "r", PLAN)
    for run in PLAN.runs:
        add(recording, run.name)

    recording.finish()

    table = read_table([tmp_path / "r"])
    assert sorted(table["link"].unique()) == ["one/access", "one/core", "two/access", "two/core"]
    one = table[table["link"] == "one/core"]
    assert one["t_ms"].tolist() == [START_MS + 1000 * second for second in range(8)]
    assert one["label"].fillna("").tolist() == ["normal"] * 5 + [""] + ["blocked"] * 2
    assert one["kind"].tolist() == ["normal"] * 5 + ["transition"] + ["block_fwd"] * 2
    assert one["fwd_packets"].tolist() == list(range(8))
    access = table[table["link"] == "one/access"]
    assert access["fwd_packets"].tolist() == list(range(100, 108))


def test_its_manifest_says_how_it_came_about(tmp_path: Path) -> None:
    """Somebody who gets only the folder can tell what it is, and whether it is whole."""
    recording = Recording(tmp_path / "r", PLAN)
    add(recording, "one")

    recording.finish()

    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert (manifest["plan"], manifest["seed"]) == ("p", 3)
    assert manifest["runs"]["one"]["repeats"] == 1
    assert manifest["left_out"] == ["two"]
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "r" / name).read_bytes()).hexdigest() == digest
    assert [t.run for t in timelines.read(tmp_path / "r" / "timelines.json")] == ["one"]


def test_an_interrupted_recording_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """An hour of traffic isn't made again because the last minute failed."""
    add(Recording(tmp_path / "r", PLAN), "two")

    again = Recording(tmp_path / "r", PLAN)

    assert [run.name for run in again.missing()] == ["one"]
    assert not again.is_whole


def test_the_longest_runs_go_first(tmp_path: Path) -> None:
    """Else the last slot is busy long after the others are done."""
    assert [run.name for run in Recording(tmp_path, PLAN).missing()] == ["two", "one"]


def test_nothing_is_left_to_do_for_a_whole_recording(tmp_path: Path) -> None:
    """The same command once more changes nothing."""
    recording = Recording(tmp_path / "r", PLAN)
    for run in PLAN.runs:
        add(recording, run.name)
    recording.finish()
    before = (tmp_path / "r" / "rows.parquet").read_bytes()

    again = Recording(tmp_path / "r", PLAN)
    again.finish()

    assert again.missing() == []
    assert (tmp_path / "r" / "rows.parquet").read_bytes() == before


def test_a_recording_of_another_plan_is_not_gone_on_with(tmp_path: Path) -> None:
    """Runs of two plans in one folder would have one truth for two things."""
    Recording(tmp_path / "r", PLAN)

    with pytest.raises(RecordingError, match="another plan"):
        Recording(tmp_path / "r", Plan("p", PLAN.runs, seed=4))


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    """A mistyped folder must not be filled."""
    (tmp_path / "thesis.tex").touch()

    with pytest.raises(RecordingError, match="not empty"):
        Recording(tmp_path, PLAN)


def test_without_any_run_there_is_no_recording(tmp_path: Path) -> None:
    """An empty capture would fail much later, in training."""
    with pytest.raises(RecordingError, match="no run"):
        Recording(tmp_path, PLAN).finish()


def test_a_recording_that_was_killed_while_it_was_put_together_heals(tmp_path: Path) -> None:
    """Else every row would be there twice."""
    recording = Recording(tmp_path / "r", PLAN)
    for run in PLAN.runs:
        add(recording, run.name)
    runs = {path.name: path.read_bytes() for path in (tmp_path / "r" / "runs").iterdir()}
    recording.finish()
    (tmp_path / "r" / "runs").mkdir()
    for name, data in runs.items():
        (tmp_path / "r" / "runs" / name).write_bytes(data)

    Recording(tmp_path / "r", PLAN)

    assert len(read_table([tmp_path / "r"])) == 2 * 2 * 8
    assert not (tmp_path / "r" / "runs").exists()


def test_a_run_without_a_whole_row_is_refused() -> None:
    """An empty table would be found much later."""
    rows = RunRows(["one/access", "one/core"])
    rows.take(START_MS - 5000, np.zeros((2, len(FEATURES)), np.float32))

    with pytest.raises(RecordingError, match="too short"):
        rows.table(Timeline("one", (Entry(0, START_MS, START_MS, START_MS + 400),)))


def test_an_unfinished_recording_is_a_capture_already(tmp_path: Path) -> None:
    """One may look at the first runs while the others are made."""
    add(Recording(tmp_path / "r", PLAN), "one")

    table = read_table([tmp_path / "r"])

    assert isinstance(table, pd.DataFrame)
    assert set(table["link"]) == {"one/access", "one/core"}
