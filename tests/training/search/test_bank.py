"""Banks hold what a training would draw, and no fold sees the runs that it leaves out."""

import os
from dataclasses import replace

import numpy as np
import pytest

from tests.training.captures import TINY, make_table, write
from training.data import read
from training.search.bank import WITHOUT, Banks, hashes_of
from training.search.banked import Banked, parted
from training.search.cache import Cache
from training.search.folds import Fold, make_folds
from training.settings import Settings

SETTINGS = replace(TINY, leave_out=(), inputs="ratios")
FOLD = Fold("some", frozenset({"r0", "r1", "r5"}))


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """Give a small capture."""
    return write(make_table(), tmp_path_factory.mktemp("captures"))


@pytest.fixture(scope="module")
def data(capture):
    """Give what is read of it."""
    return read([capture], SETTINGS)


@pytest.fixture
def banks(capture, data, tmp_path):
    """Give banks with an empty cache."""
    return Banks(Cache(tmp_path), hashes_of([capture]), data, 300)


def test_no_run_that_is_left_out_is_learnt_from(banks):
    """Scores on runs that training saw prove nothing."""
    sides = banks.sides(SETTINGS, 0, FOLD)

    assert set(sides.judged.runs) == FOLD.runs
    for side in (sides.learning, sides.reference):
        assert set(side.runs) == {"r2", "r3", "r4", "r6", "r7"}


def test_labels_and_runs_are_drawn_evenly(banks):
    """As a training draws them: a common label or long run must not rule."""
    learning = banks.sides(SETTINGS, 0, Fold("none", frozenset())).learning

    shares = {label: (learning.labels == label).mean() for label in set(learning.labels)}
    assert shares == pytest.approx({"normal": 0.5, "blocked": 0.25, "capacity-limited": 0.25})
    of_label = learning.runs[learning.labels == "blocked"]
    counts = [(of_label == run).sum() for run in ("r1", "r3", "r5", "r7")]
    assert max(counts) - min(counts) <= 0.3 * max(counts)


def test_what_is_judged_stands_for_all_that_was_recorded(banks, data):
    """Few windows of each label are kept; rare labels must not seem to be common ones."""
    sides = banks.sides(SETTINGS, 0, FOLD)

    recorded = data.whole.recorded
    for label in set(sides.judged.labels):
        there = (recorded.labels == label) & np.isin(recorded.runs.astype(str), [*FOLD.runs])
        assert sides.judged.weights[sides.judged.labels == label].sum() == pytest.approx(
            there.sum(), rel=1e-5
        )


def test_inputs_are_scaled_by_what_is_learnt_from(banks):
    """Else the runs left out would have a say in how they are seen."""
    reference = banks.sides(SETTINGS, 0, FOLD).reference

    share = reference.weights / reference.weights.sum()
    mean = (reference.inputs.mean(axis=1) * share[:, None]).sum(axis=0)
    assert np.abs(mean).max() < 0.05
    squares = (np.square(reference.inputs).mean(axis=1) * share[:, None]).sum(axis=0)
    varied = np.ptp(reference.inputs, axis=(0, 1)) > 0
    assert varied.any()
    np.testing.assert_allclose(squares[varied], 1, atol=0.05)


def test_runs_left_out_change_nothing_of_what_the_others_look_like():
    """A wild run that is left out must not squeeze the others together."""
    rng = np.random.default_rng(0)

    def side(wild):
        inputs = rng_inputs.copy()
        inputs[:5] *= wild
        texts = np.array(["a", "b"] * 10)
        runs = np.array(["out"] * 5 + ["in"] * 15)
        return Banked(inputs, texts, texts, runs, runs == "", np.ones(20, np.float32))

    rng_inputs = rng.normal(size=(20, 4, 3))
    fold = Fold("out", frozenset({"out"}))
    tame, wild = (parted(side(by), side(by), fold) for by in (1, 50))

    np.testing.assert_array_equal(tame.learning.inputs, wild.learning.inputs)
    assert not np.array_equal(tame.judged.inputs, wild.judged.inputs)


def test_a_bank_is_found_by_what_is_in_the_captures(capture, data, tmp_path):
    """Copying or touching a capture costs nothing, changing a byte of it a new bank."""
    cache = Cache(tmp_path / "cache")
    first = Banks(cache, hashes_of([capture]), data, 300).key(SETTINGS, 0)

    copy = tmp_path / "other-name.parquet"
    copy.write_bytes(capture.read_bytes())
    os.utime(copy, (1, 1))
    same = Banks(cache, hashes_of([copy]), data, 300).key(SETTINGS, 0)
    table = make_table()
    table.loc[3, "fwd_packets"] += 1
    changed = Banks(cache, hashes_of([write(table, tmp_path)]), data, 300).key(SETTINGS, 0)

    assert same == first
    assert changed != first


@pytest.mark.parametrize("knob", ["embedding", "margin", "drop", "learning_rate", "normal_share"])
def test_candidates_that_differ_behind_the_inputs_share_a_bank(knob, banks):
    """Making one takes as long as learning from it."""
    assert banks.key(replace(SETTINGS, **{knob: 0.123}), 0) == banks.key(SETTINGS, 0)


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("inputs", "counts"),
        ("half_lives_seconds", (9.0,)),
        ("load_span", 3.0),
        ("thin", 0.5),
        ("missing", 0.5),
        ("masks", True),
    ],
)
def test_candidates_with_other_inputs_have_other_banks(knob, value, banks):
    """What was made for others would be the wrong thing to learn from."""
    other = replace(SETTINGS, **{knob: value})

    assert banks.key(other, 0) != banks.key(SETTINGS, 0)
    ours, theirs = (banks.sides(s, 0, FOLD).learning.inputs for s in (SETTINGS, other))
    assert ours.shape != theirs.shape or not np.array_equal(ours, theirs)


def test_only_settings_that_there_are_are_left_out_of_the_key():
    """A setting that is renamed would otherwise be in the key unnoticed, or not."""
    assert set(Settings.__dataclass_fields__) >= WITHOUT


def test_a_mix_is_a_fold_and_runs_are_each_left_out_once(data):
    """New traffic is another question than new runs."""
    folds = make_folds(data, 2, ["r[01], r5"], 0)

    assert [fold.name for fold in folds] == ["runs 1/2", "runs 2/2", "mix r[01], r5"]
    assert folds[2].runs == {"r0", "r1", "r5"}
    assert not folds[0].runs & folds[1].runs
    assert folds[0].runs | folds[1].runs == {f"r{number}" for number in range(8)}
