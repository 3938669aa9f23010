"""Scores are those that everybody else computes, on plain arrays."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score, roc_curve

from training.judging.scores import (
    auroc,
    balanced_accuracy,
    false_positive_rate,
    macro_f1,
    rounded,
    tally,
)

WINDOWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("abcd"), st.sampled_from("rst")), min_size=1
)
STRANGE = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=40)


@given(WINDOWS)
def test_a_tally_counts_what_was_said_of_each_run(windows):
    """Whatever is scored or drawn again later is made of these counts."""
    found = tally(*zip(*windows, strict=True))

    counts = {
        (true, said, run): found.counts[r, t, s]
        for r, run in enumerate(found.runs)
        for t, true in enumerate(found.labels)
        for s, said in enumerate(found.labels)
    }
    assert {key: count for key, count in counts.items() if count} == Counter(windows)
    assert found.pooled.sum() == len(windows)
    assert found.true == Counter((run, true) for true, _, run in windows)


@given(WINDOWS)
def test_scores_are_scikit_learns(windows):
    """Labels that are never true don't count, neither there nor here."""
    truth, said, runs = zip(*windows, strict=True)

    pooled = tally(truth, said, runs).pooled

    usual = f1_score(truth, said, labels=sorted(set(truth)), average="macro", zero_division=0)
    assert macro_f1(pooled) == pytest.approx(usual)
    recalls = [np.mean([s == t for t, s, _ in windows if t == one]) for one in set(truth)]
    assert balanced_accuracy(pooled) == pytest.approx(np.mean(recalls))


@pytest.mark.parametrize("measure", [macro_f1, balanced_accuracy])
def test_many_tables_are_scored_at_once(measure):
    """Thousands of resamples are one call, and one of nothing is not a number."""
    tables = np.random.default_rng(0).integers(0, 5, (3, 4, 2, 2))
    tables[1, 1] = 0

    found = measure(tables)

    assert found.shape == (3, 4)
    assert np.isnan(found[1, 1])
    assert found[2, 3] == measure(tables[2, 3])


def test_every_window_needs_all_three():
    """A list that slipped would be counted wrongly without a word."""
    with pytest.raises(ValueError, match="3 labels true or said of 2 windows"):
        tally(["a", "b"], ["a"], ["r", "r"])


@given(STRANGE, STRANGE)
def test_auroc_is_scikit_learns(known, unknown):
    """Ties count half, in whatever order they come."""
    found = auroc(known, unknown)

    truth = [0] * len(known) + [1] * len(unknown)
    assert found == pytest.approx(roc_auc_score(truth, known + unknown))
    assert auroc(unknown, known) == pytest.approx(1 - found)


@given(STRANGE, STRANGE, st.sampled_from([0.05, 0.5, 0.75, 0.95, 1.0]))
def test_the_false_positive_rate_is_that_of_the_roc_curve(known, unknown, recall):
    """It is the lowest at which so many of the unknown windows are flagged."""
    found = false_positive_rate(known, unknown, recall=recall)

    truth = [0] * len(known) + [1] * len(unknown)
    false, true, _ = roc_curve(truth, known + unknown, drop_intermediate=False)
    assert found == pytest.approx(false[true >= recall - 1e-9].min())


@pytest.mark.parametrize("score", [auroc, false_positive_rate])
@pytest.mark.parametrize("known", [[], [1.0, np.nan]])
def test_nothing_is_compared_with_nothing(score, known):
    """An average of no windows, or of one that was not judged, is no score."""
    with pytest.raises(ValueError, match="no known window"):
        score(known, [1.0])
    with pytest.raises(ValueError, match="no unknown window"):
        score([1.0], known)


def test_infinitely_strange_is_strange():
    """A method may say that it knows nothing like this at all."""
    assert auroc([1.0, np.inf], [np.inf, 2.0]) == pytest.approx(0.625)


def test_a_report_has_no_digits_that_mean_nothing():
    """And nothing that JSON doesn't know."""
    assert [rounded(value) for value in (0.123456, np.inf, np.nan)] == [0.1235, None, None]
