"""The recording that ships is whole, and its labels are what `truth` makes of its timelines."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import training
from training.lab import timeline as timelines
from training.lab.coverage import gaps
from training.lab.plan import Kind, read
from training.lab.recording import FEATURES
from training.lab.truth import NORMAL, TRANSITION, truth
from training.lab.watch import STEP_MS

LAB_1 = Path(training.__file__).parent / "recordings" / "lab-1"


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Give all rows."""
    return pd.read_parquet(LAB_1 / "rows.parquet")


def test_its_files_are_those_that_were_recorded() -> None:
    """Nobody has edited the truth since."""
    manifest = json.loads((LAB_1 / "manifest.json").read_text())

    assert set(manifest["files"]) == {"rows.parquet", "timelines.json", "plan.toml"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((LAB_1 / name).read_bytes()).hexdigest() == digest


def test_its_labels_are_the_truth_of_its_timelines(rows: pd.DataFrame) -> None:
    """One rule, in one place, for what is recorded today and what ships."""
    by_link = dict(list(rows.groupby("link")))

    for timeline in timelines.read(LAB_1 / "timelines.json"):
        for place in ("access", "core"):
            mine = by_link.pop(f"{timeline.run}/{place}")
            labels, kinds = truth(timeline, mine["t_ms"].to_numpy(np.int64), STEP_MS)
            assert mine["label"].fillna("").tolist() == [label or "" for label in labels]
            assert mine["kind"].tolist() == kinds.tolist()
    assert not by_link


def test_it_covers_what_the_plan_promises(rows: pd.DataFrame) -> None:
    """Every fault under six loads, and a day of normal traffic."""
    plan = read(LAB_1 / "plan.toml")
    access = rows[rows["link"].str.endswith("/access")]
    is_calm = access["kind"].isin((NORMAL, TRANSITION))  # operators' restarts are normal
    is_faulty = access["link"].isin(access["link"][~is_calm])

    assert set(rows["link"].str.rpartition("/")[0]) == {run.name for run in plan.runs}
    assert not gaps(plan, list(Kind))
    assert (access["label"] == NORMAL).sum() >= 24 * 3600
    assert is_faulty.sum() >= 6 * 3600
    assert list(rows.columns) == ["link", "t_ms", *FEATURES, "label", "kind"]


def test_it_is_small_enough_to_ship() -> None:
    """A clone has it, whether it is wanted or not."""
    files = list(LAB_1.parent.parent.rglob("*.parquet"))

    assert sum(path.stat().st_size for path in files) < 10e6
