"""The limit of a share: it decides who is called drifting, so it must be what it says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.drift.wilson import lower

SHARES = st.floats(0, 1)
COUNTS = st.floats(1, 1e6)


@given(SHARES, COUNTS)
def test_the_limit_is_below_the_share_and_no_less_than_nothing(share, count):
    """A limit above what was counted would cry wolf."""
    assert 0 <= lower(share, count) <= share + 1e-12


@given(SHARES, COUNTS, st.floats(1, 100))
def test_the_more_is_counted_the_nearer_it_is(share, count, times):
    """So a link drifts sooner or later, if it does."""
    assert lower(share, count * times) >= lower(share, count) - 1e-12


def test_it_is_above_the_truth_in_one_case_of_twenty():
    """As its docstring says, near enough, for counts as they are after an hour."""
    rng = np.random.default_rng(0)
    for truth in (0.05, 0.1, 0.3):
        counted = rng.binomial(240, truth, 20_000) / 240

        assert 0.02 < (lower(counted, 240) > truth).mean() < 0.08


def test_of_nothing_counted_nothing_is_known():
    """At the start no link drifts."""
    assert lower(np.array([0.0, 1.0]), np.array([0.0, 0.0])).tolist() == [0.0, 0.0]
