"""Rates and the tally: what so few events can mean."""

import pytest
from scipy.stats import poisson

from detector.oncall.rates import least_events, most_events
from detector.oncall.tally import WEEK_SECONDS, Tally


@pytest.mark.parametrize("count", [0, 1, 5, 60])
def test_limits_are_those_of_a_poisson_count(count):
    """Whoever promises a rate has to know how little one quiet day proves."""
    assert poisson.cdf(count, most_events(count)) == pytest.approx(0.05, abs=1e-6)
    if count:
        assert poisson.sf(count - 1, least_events(count)) == pytest.approx(0.05, abs=1e-6)
    else:
        assert least_events(count) == 0


def test_the_rate_is_of_the_links_and_the_time_that_were_watched():
    """Two links for half a week are a link-week."""
    tally = Tally(1.0)
    tally.watch(2, WEEK_SECONDS / 2)
    tally.unknown = 3

    status = tally.status

    assert (status.budget_link_week, status.rate_link_week) == (1.0, 3.0)
    assert status.low == pytest.approx(0.82, abs=0.01)
    assert status.high == pytest.approx(7.75, abs=0.01)
    assert (status.onsets, status.link_seconds) == (3, WEEK_SECONDS)


def test_before_anything_was_watched_no_rate_is_claimed():
    """A new daemon must not raise the alert that its budget is exceeded."""
    status = Tally(1.0).status

    assert (status.rate_link_week, status.low, status.high) == (None, None, None)


def test_where_nothing_is_called_unknown_there_is_no_budget():
    """A bundle that cannot tell it, or a setting that forbids it."""
    tally = Tally()
    tally.watch(5, 100)

    assert tally.status.budget_link_week is None
    assert tally.status.rate_link_week is None
