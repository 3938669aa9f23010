"""An interval holds what it should hold, as often as it says."""

import json

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.metrics import f1_score

from training.judging.intervals import auroc_interval, bootstrap, difference, student_t
from training.judging.scores import auroc, balanced_accuracy, macro_f1, tally

LABELS = np.array(["a", "b"])
EACH = 60  # windows of a run


def judged(rng, runs, *right):
    """Give tallies of *runs* in which each method is right in that share, more or less by run.

    A run is of one label and is easy or hard for all methods alike, as real ones are.
    """
    truth = np.repeat(LABELS[np.arange(runs) % 2], EACH)
    ease = np.repeat(rng.normal(0, 0.1, runs), EACH)
    luck = rng.random(len(truth))
    names = np.repeat([f"run {n}" for n in range(runs)], EACH)
    found = []
    for share in right:
        is_right = luck < np.clip(share + ease, 0, 1)
        said = np.where(is_right, truth, np.where(truth == "a", "b", "a"))
        found.append(tally(truth, said, names))
    return found


@pytest.mark.parametrize("runs", [6, 12, 40])
def test_an_interval_holds_the_truth_about_as_often_as_it_says(runs):
    """One that is too narrow makes a winner of chance; so few runs are what captures have."""
    rng = np.random.default_rng(runs)
    (whole,) = judged(rng, 20_000, 0.8)
    truth = float(balanced_accuracy(whole.pooled))

    intervals = [
        bootstrap(judged(rng, runs, 0.8), balanced_accuracy, resamples=400) for _ in range(300)
    ]

    held = np.mean([one.low <= truth <= one.high for one in intervals])
    assert 0.91 < held < 0.985


def test_an_interval_of_windows_would_be_far_too_narrow():
    """It is why runs are drawn: a run's windows are right or wrong together."""
    rng = np.random.default_rng(0)
    truth = float(macro_f1(judged(rng, 20_000, 0.8)[0].pooled))
    held = []
    for _ in range(60):
        (one,) = judged(rng, 12, 0.8)
        pooled = one.pooled
        pairs = np.repeat([(t, s) for t in (0, 1) for s in (0, 1)], pooled.ravel(), axis=0)
        single = tally(LABELS[pairs[:, 0]], LABELS[pairs[:, 1]], np.arange(len(pairs)))
        found = bootstrap([single], resamples=200)
        held.append(found.low <= truth <= found.high)

    assert np.mean(held) < 0.75


def test_resamples_are_those_of_a_plain_loop():
    """The matrix product pools the very windows that a loop over drawn runs would pool."""
    (one,) = judged(np.random.default_rng(0), 7, 0.7)
    rows = [
        (label, said, run)
        for r, run in enumerate(one.runs)
        for t, label in enumerate(one.labels)
        for s, said in enumerate(one.labels)
        for _ in range(one.counts[r, t, s])
    ]
    draws = np.random.default_rng(5).multinomial(7, [1 / 7] * 7, size=50)
    plain = []
    for draw in draws:
        some = [row for row in rows for _ in range(draw[one.runs.index(row[2])])]
        truth, said, _ = zip(*some, strict=True)
        plain.append(f1_score(truth, said, labels=sorted(set(truth)), average="macro"))

    found = bootstrap([one], seed=5, resamples=50)

    assert found.mean == pytest.approx(np.mean(plain))
    assert found.value == pytest.approx(float(macro_f1(one.pooled)))
    assert min(plain) <= found.low < found.high <= max(plain)


def test_seeds_are_averaged_on_the_same_draws():
    """The interval is that of the runs; how far seeds differ stands beside it."""
    rng = np.random.default_rng(1)
    seeds = judged(rng, 12, 0.6, 0.7, 0.8)

    found = bootstrap(seeds)

    own = [float(macro_f1(one.pooled)) for one in seeds]
    assert found.seeds == pytest.approx(own)
    assert found.value == pytest.approx(np.mean(own))
    assert found.spread == pytest.approx(np.std(own, ddof=1))
    assert found.low < found.value < found.high
    assert bootstrap(seeds[:1]).spread == 0


def test_the_same_seed_gives_the_same_interval():
    """A report can be had again."""
    seeds = judged(np.random.default_rng(1), 12, 0.6)

    assert bootstrap(seeds, seed=1) == bootstrap(seeds, seed=1) != bootstrap(seeds, seed=2)


def test_a_difference_is_of_the_same_runs():
    """A method that is a little better on every run is better, however much runs differ."""
    better, worse = judged(np.random.default_rng(2), 12, 0.8, 0.7)

    found = difference([better], [worse])

    alone = [bootstrap([one]) for one in (better, worse)]
    assert alone[0].low < alone[1].high  # the intervals overlap, and yet
    assert found.is_above_zero
    assert found.value == pytest.approx(alone[0].value - alone[1].value)
    assert not difference([worse], [better]).is_above_zero


def test_a_method_is_no_better_than_itself():
    """And nothing can be above it by chance."""
    (one,) = judged(np.random.default_rng(2), 12, 0.8)

    found = difference([one], [one])

    assert (found.low, found.value, found.high) == (0, 0, 0)
    assert not found.is_above_zero


def test_methods_of_like_worth_are_seldom_told_apart():
    """Of a hundred pairs of methods that are as good, few may have a winner."""
    rng = np.random.default_rng(3)
    winners = 0
    for _ in range(100):
        (one,), (other,) = judged(rng, 12, 0.8), judged(rng, 12, 0.8)
        found = difference([one], [other], resamples=300)
        winners += found.is_above_zero or found.high < 0

    assert winners <= 12


def test_seeds_are_compared_one_by_one_or_else_by_their_means():
    """An encoder has seeds, a rule has none."""
    three = judged(np.random.default_rng(4), 12, 0.7, 0.75, 0.8)

    assert len(difference(three, three[::-1]).seeds) == 3
    assert difference(three, three[:1]).seeds == pytest.approx(
        [np.mean(bootstrap(three).seeds) - bootstrap(three[:1]).value]
    )


def test_other_windows_are_no_comparison():
    """A method that was spared the hard runs would win."""
    rng = np.random.default_rng(5)

    with pytest.raises(ValueError, match="not judged on the same windows"):
        difference(judged(rng, 12, 0.8), judged(rng, 11, 0.8))
    with pytest.raises(ValueError, match="nothing to score"):
        bootstrap([])


def test_a_label_that_nobody_else_says_is_no_hindrance():
    """Methods may know different labels; what is true is what must be the same."""
    truth, runs = ["a", "b"] * 6, [f"run {n // 2}" for n in range(12)]

    found = difference([tally(truth, truth, runs)], [tally(truth, ["c"] * 12, runs)])

    assert (found.low, found.high) == (1, 1)


def test_of_one_run_there_is_no_interval():
    """Its windows say nothing of other runs, and JSON knows no NaN."""
    found = bootstrap(judged(np.random.default_rng(0), 1, 0.5))

    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["low"] is None
    assert not found.is_above_zero


@pytest.mark.parametrize("freedom", [4, 5, 8, 11, 40, 128])
def test_students_t_is_scipys(freedom):
    """The series is good to a percent from five runs on."""
    assert student_t(freedom) == pytest.approx(student.ppf(0.975, freedom), rel=0.01)


def strange(rng, runs, shift):
    """Give strangeness that differs by run, and the runs."""
    values = rng.normal(shift + np.repeat(rng.normal(0, 0.5, runs), 30))
    return values, np.repeat([f"{shift} {n}" for n in range(runs)], 30)


def test_the_interval_of_an_area_holds_the_truth():
    """Unknown faults are in few runs, and that is what the interval must tell."""
    rng = np.random.default_rng(0)
    truth = auroc(strange(rng, 5_000, 0)[0], strange(rng, 5_000, 1)[0])

    intervals = [
        auroc_interval(*strange(rng, 20, 0), *strange(rng, 8, 1), resamples=200)
        for _ in range(100)
    ]

    assert 0.89 < np.mean([one.low <= truth <= one.high for one in intervals]) < 0.99


def test_the_area_of_all_runs_is_exact():
    """Only the resamples are counted in classes."""
    rng = np.random.default_rng(1)
    known, unknown = strange(rng, 10, 0), strange(rng, 10, 1)

    found = auroc_interval(*known, *unknown)

    assert found.value == auroc(known[0], unknown[0])
    assert found.low < found.value < found.high
    assert found.mean == pytest.approx(found.value, abs=0.02)


def test_an_unknown_fault_of_one_run_has_no_interval():
    """What others of its sort would be like, nobody saw."""
    rng = np.random.default_rng(1)

    found = auroc_interval(*strange(rng, 10, 0), *strange(rng, 1, 1))

    assert np.isnan(found.low)
    assert np.isnan(found.high)
    assert found.value > 0.5


def test_runs_without_either_side_are_left_out_of_the_draws():
    """A draw without any unknown window has no area."""
    rng = np.random.default_rng(1)

    found = auroc_interval(*strange(rng, 30, 0), *strange(rng, 2, 3))

    assert np.isfinite([found.low, found.high, found.mean]).all()


def test_the_interval_of_a_mean_is_students():
    """With one label and runs of one length the score is the mean of the runs' shares."""
    right = np.array([31, 36, 39, 42, 44, 46, 48, 50, 52, 55, 58, 63])
    said = [name for n in right for name in ["a"] * n + ["b"] * (100 - n)]
    runs = np.repeat([f"run {n}" for n in range(12)], 100)

    found = bootstrap([tally(["a"] * 1200, said, runs)], balanced_accuracy, resamples=100_000)

    half = student.ppf(0.975, 11) * right.std(ddof=1) / 100 / np.sqrt(12)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.025)
