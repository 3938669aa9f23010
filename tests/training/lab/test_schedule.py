"""What is offered keeps its mean, its bounds and its changes, whatever its form."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.lab.plan import Change, Form, Rate
from training.lab.schedule import FORMS, Schedule

LONG = 40_000  # seconds: enough periods, bursts and walks for a mean
SEEDS = st.integers(0, 2**32 - 1)
RATES = st.builds(
    Rate,
    per_second=st.floats(0, 500),
    form=st.sampled_from(Form),
    period=st.floats(0.5, 600),
    depth=st.floats(0, 1),
    changes=st.lists(
        st.builds(
            Change,
            start=st.floats(0, 300),
            seconds=st.floats(0.1, 300),
            factor=st.floats(0, 20),
        ),
        max_size=3,
    ).map(tuple),
)


def rates(form, seconds=LONG, seed=0, **chosen):
    """Give the rate at each second of a run; its mean is 10 a second."""
    schedule = Schedule(Rate(per_second=10, form=form, **chosen), seconds, seed)
    return np.array([schedule.at(second) for second in range(seconds)])


def test_every_form_has_a_schedule():
    """A form that a plan may name and the lab doesn't know would fail in the middle of a run."""
    assert set(FORMS) == set(Form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_the_mean_is_the_one_asked_for(form, seed):
    """Limits are set as a share of the mean: another mean is another limit."""
    offered = rates(form, seed=seed)

    assert offered.mean() == pytest.approx(10, rel=0.06)


@given(RATES, st.floats(1, 700), SEEDS, st.floats(-10, 2000))
def test_a_rate_is_finite_and_never_negative(rate, seconds, seed, elapsed):
    """Nobody can offer less than nothing, nor before or after the run."""
    at = Schedule(rate, seconds, seed).at(elapsed)

    assert 0 <= at < math.inf


@given(RATES, SEEDS)
def test_the_same_seed_gives_the_same_rates(rate, seed):
    """Same plan, same traffic."""
    one, other = (Schedule(rate, 100, seed) for _ in range(2))

    assert [one.at(second) for second in range(100)] == [other.at(s) for s in range(100)]


@pytest.mark.parametrize("form", [form for form in FORMS if form is not Form.CONSTANT])
def test_another_seed_gives_other_rates(form):
    """Links side by side aren't to move in step."""
    assert (rates(form, 500, seed=1) != rates(form, 500, seed=2)).any()


def test_constant_is_constant():
    """The plainest load for the plainest question."""
    assert set(rates(Form.CONSTANT, 100)) == {10.0}


@given(st.floats(10, 600), st.floats(0, 1), SEEDS)
def test_diurnal_goes_as_far_as_its_depth_and_comes_back(period, depth, seed):
    """A night of depth 0.9 is a tenth of the mean, once a period."""
    rate = Rate(per_second=10, form=Form.DIURNAL, period=period, depth=depth)
    schedule = Schedule(rate, 2 * period, seed)

    over_a_period = [schedule.at(period * step / 200) for step in range(200)]

    assert min(over_a_period) == pytest.approx(10 * (1 - depth), abs=0.01)
    assert max(over_a_period) == pytest.approx(10 * (1 + depth), abs=0.01)
    assert schedule.at(period + 3) == pytest.approx(schedule.at(3), abs=1e-6)


def test_a_walk_is_slow_and_bounded_and_goes_somewhere():
    """It is to look like a day of a link, not like noise."""
    offered = rates(Form.WALK)

    assert 4 <= offered.min() < 5
    assert 18 < offered.max() <= 20
    assert np.abs(np.diff(np.log(offered))).mean() < 0.08  # a few per cent from second to second
    apart = np.corrcoef(offered[:-600], offered[600:])[0, 1]
    assert abs(apart) < 0.1  # after ten minutes it has forgotten


def test_bursts_are_short_and_of_two_to_four_times_the_rate_between():
    """Longer ones would be a surge, smaller ones nothing."""
    offered = rates(Form.BURSTY)

    between = offered.min()
    lengths = [
        (rate, len(list(seconds)))
        for rate, seconds in itertools.groupby(offered)
        if rate != between
    ]

    assert len(lengths) > 500
    assert all(2 <= rate / between <= 4 for rate, _ in lengths)
    assert all(2 <= seconds <= 11 for _, seconds in lengths)
    assert 7 < between < 10


@given(st.floats(4, 600), SEEDS)
def test_on_off_is_off_for_half_of_each_period_at_a_tenth_of_the_mean(period, seed):
    """The other half makes up for it."""
    rate = Rate(per_second=10, form=Form.ON_OFF, period=period)
    schedule = Schedule(rate, period, seed)

    over_a_period = [schedule.at(period * step / 200) for step in range(200)]

    assert set(over_a_period) == {1.0, 19.0}
    assert over_a_period.count(1.0) == pytest.approx(100, abs=2)


@given(RATES, SEEDS, st.floats(0, 700))
def test_changes_act_in_their_stretch_and_nowhere_else(rate, seed, elapsed):
    """A surge that begins early or ends late would be in a row that says otherwise."""
    plain = Rate(per_second=rate.per_second, form=rate.form, period=rate.period, depth=rate.depth)

    changed = Schedule(rate, 700, seed).at(elapsed)

    expected = Schedule(plain, 700, seed).at(elapsed)
    for change in rate.changes:
        if change.start <= elapsed < change.start + change.seconds:
            expected *= change.factor
    assert changed == pytest.approx(expected)


def test_a_change_holds_from_its_first_moment_to_its_last():
    """The end belongs to what comes after."""
    rate = Rate(per_second=10, changes=(Change(start=60, seconds=30, factor=0.25),))
    schedule = Schedule(rate, 120, 0)

    assert [schedule.at(t) for t in (59.999, 60, 89.999, 90)] == [10, 2.5, 2.5, 10]
