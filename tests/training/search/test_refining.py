"""Refining learns from nothing that it judges by."""

from dataclasses import replace

from tests.training.captures import TINY, make_table, write
from training.data import read
from training.search.folds import Fold
from training.search.refining import parted

SETTINGS = replace(TINY, leave_out=())
FOLD = Fold("some", frozenset({"r0", "r1", "r5"}))


def test_runs_left_out_are_judged_by_and_nothing_else_is(tmp_path):
    """Scores on runs that training saw prove nothing."""
    data = read([write(make_table(), tmp_path)], SETTINGS)

    learning, recorded, judged = parted(data, FOLD, SETTINGS)

    assert set(judged.runs) == FOLD.runs
    for side in (learning, recorded):
        assert set(side.runs) == {"r2", "r3", "r4", "r6", "r7"}


def test_it_learns_from_all_that_a_training_would_learn_from(tmp_path):
    """With superposed traffic, and windows that contain the change."""
    data = read([write(make_table(), tmp_path)], SETTINGS)

    learning, recorded, _ = parted(data, FOLD, SETTINGS)

    for side, whole in ((learning, data.whole.learning), (recorded, data.whole.recorded)):
        assert len(side) == sum(run not in FOLD.runs for run in whole.runs)
    assert len(recorded) < len(learning)


def test_what_was_never_learnt_is_not_judged(tmp_path):
    """What there is no name for can't be said rightly or wrongly."""
    faults = ["lossy", *(["blocked", "capacity-limited"] * 4)[:7]]
    data = read([write(make_table(faults=faults), tmp_path)], SETTINGS)

    _, _, judged = parted(data, FOLD, SETTINGS)

    assert "lossy" in set(data.whole.recorded.labels)
    assert "lossy" not in set(judged.labels)
