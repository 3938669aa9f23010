"""Scoring a daemon on what was really done."""

from pathlib import Path

import numpy as np
import pytest

from detector.truth import Change
from training.lab.live import as_text, judge
from training.lab.plan import Direction, Fault, Kind, Load, Phase, Plan, Rate, Run, Traffic
from training.lab.recording import FEATURES, Recording, RunNote, RunRows
from training.lab.timeline import Entry, Timeline

START_MS = 1_700_000_000_000
SPAN_MS = 15_000
BLOCK, LOSS = Fault(Kind.BLOCK), Fault(Kind.LOSS, Direction.BOTH, 0.2)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record 200 s: blocked from 60 to 100 s, lossy from 140 to 170 s."""
    phases = (Phase(60), Phase(40, (BLOCK,)), Phase(40), Phase(30, (LOSS,)), Phase(30))
    run = Run("r", (Load(Traffic.CALL, Rate(5)),), phases)
    folder = tmp_path_factory.mktemp("live") / "r"
    recording = Recording(folder, Plan("p", (run,)))
    entries, begun_ms = [], START_MS
    for place, phase in enumerate(phases):
        end_ms = begun_ms + round(1000 * phase.seconds)
        entries.append(Entry(place, begun_ms, begun_ms, end_ms, phase.faults))
        begun_ms = end_ms
    kept = RunRows(["r/access", "r/core"])
    for second in range(200):
        kept.take(START_MS + 1000 * second, np.zeros((2, len(FEATURES)), np.float32))
    recording.add(kept, Timeline("r", tuple(entries)), RunNote(0, 0, 0, 0, 0))
    recording.finish()
    return folder / "rows.parquet"


def change(second: float, label: str, link: str = "r/access") -> Change:
    """Report a change."""
    return Change(link, START_MS + round(1000 * second), label)


def test_what_was_found_late_and_what_was_missed(rows: Path) -> None:
    """The delay runs from the command, not from the first bad row."""
    score = judge(rows, [change(67, "blocked"), change(112, "normal")], SPAN_MS)

    assert score.onsets == 4  # the fault and its end, at two places
    assert score.found == 2
    assert score.delays_seconds == {"blocked": [7.0], "normal": [12.0]}
    assert [text.split()[0] for text in score.missed] == ["r/core", "r/core"]
    assert score.false_changes == 0


def test_a_change_that_did_not_happen_is_false(rows: Path) -> None:
    """An operator was woken for nothing."""
    score = judge(rows, [change(40, "blocked"), change(41, "normal")], SPAN_MS)

    assert score.false_changes == 1
    assert score.false == [f"r/access {START_MS + 40_000} blocked"]


def test_what_is_said_of_a_fault_without_a_name_is_not_scored(rows: Path) -> None:
    """Nobody has taught the daemon that random loss has a name; any answer is a guess."""
    score = judge(rows, [change(155, "capacity-limited")], SPAN_MS)

    assert (score.false_changes, score.not_scored) == (0, 1)


def test_other_links_and_other_times_are_not_scored(rows: Path) -> None:
    """The daemon may watch more than the lab, and remember an earlier run."""
    others = [change(70, "blocked", "trunk-7"), change(-500, "blocked"), change(900, "blocked")]

    score = judge(rows, others, SPAN_MS)

    assert (score.false_changes, score.not_scored, score.found) == (0, 3, 0)


def test_a_score_reads_well(rows: Path) -> None:
    """What the operator sees at the end of an acceptance."""
    text = as_text(judge(rows, [change(67, "blocked"), change(30, "blocked")], SPAN_MS))

    assert "1 of 4 changes found" in text
    assert "1 false change" in text
    assert "blocked: 1 found after 7.0 s" in text
    assert text.count("missed: ") == 3
