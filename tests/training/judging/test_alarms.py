"""Events are counted as an operator would count them, and a budget is kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from detector.oncall.rates import most_events
from training.judging.alarms import (
    DAY_SECONDS,
    Rule,
    Track,
    crossed_events,
    false_events,
    find_threshold,
    well_days,
)

LEVELS = st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan]), max_size=60)


def plain_onsets(strangeness, threshold, windows, hold):
    """Walk through the windows one by one."""
    found, in_a_row, quiet, on = [], 0, hold, False
    for place, strange in enumerate(strangeness):
        above = strange > threshold
        in_a_row = in_a_row + 1 if above else 0
        quiet = 0 if above else quiet + 1
        if quiet >= hold:
            on = False
        if in_a_row >= windows and not on:
            found.append(place)
            on = True
    return found


@given(LEVELS, st.integers(1, 4), st.integers(1, 5), st.sampled_from([0.5, 1.0, 1.5]))
def test_onsets_are_those_of_a_plain_walk(strangeness, windows, hold, threshold):
    """The fast way counts what a state machine in the daemon would count."""
    rule, strangeness = Rule(windows, hold), np.array(strangeness, float)

    found = rule.onsets(strangeness, threshold)

    assert found.tolist() == plain_onsets(strangeness, threshold, windows, hold)


@given(LEVELS, st.integers(1, 4), st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]))
def test_a_window_is_a_trigger_below_its_sustained_strangeness(strangeness, windows, threshold):
    """So the thresholds at which anything changes are known without trying."""
    rule, strangeness = Rule(windows, 5), np.array(strangeness, float)

    triggers = rule.triggers(strangeness, threshold)

    assert triggers.tolist() == np.flatnonzero(rule.sustained(strangeness) > threshold).tolist()


@pytest.mark.parametrize("wrong", [(0, 5), (3, 0)])
def test_a_rule_needs_a_window_and_a_hold(wrong):
    """Neither can be none."""
    with pytest.raises(ValueError, match="1 is the least"):
        Rule(*wrong)


def track(strangeness, run="r", normal=None):
    """Give a track of a window a minute."""
    strangeness = np.array(strangeness, float)
    normal = np.ones(len(strangeness), bool) if normal is None else np.array(normal)
    return Track(run, strangeness, normal, 60.0)


def noise(seed, runs=6, hours=24):
    """Give tracks of noise, each a link-day of a window a minute."""
    rng = np.random.default_rng(seed)
    return [track(rng.exponential(size=hours * 60), f"run {n}") for n in range(runs)]


def test_only_normal_windows_are_watched_for_false_events():
    """In a fault an event is right, and where nothing was judged nobody watched."""
    one = track([9, 9, 9, 0, 9, 9, np.nan], normal=[True] * 3 + [False] * 3 + [True])

    assert false_events([one], 5, Rule(2, 1)) == 1
    assert one.well_seconds == 3 * 60
    assert well_days([one, one]) == pytest.approx(360 / DAY_SECONDS)


@pytest.mark.parametrize("budget", [0.2, 1.0, 5.0, 20.0])
def test_the_budget_is_kept_and_nearly_used(budget):
    """A threshold far above what the budget allows would hide faults for nothing."""
    tracks, rule = noise(0), Rule(2, 10)

    threshold = find_threshold(tracks, budget, rule)

    events = false_events(tracks, threshold, rule)
    allowed = budget * well_days(tracks)
    assert 0.7 * allowed - 1 <= events <= allowed


def test_a_larger_budget_has_a_lower_threshold():
    """An operator who takes more false alarms finds more."""
    found = [find_threshold(noise(1), budget, Rule(2, 10)) for budget in (0.1, 1, 5, 25)]

    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


def test_an_event_that_never_ends_is_no_way_to_keep_a_budget():
    """Below all strangeness there is but one event a link, and all of the time is alarm."""
    tracks = noise(2)
    budget = 2.0
    assert false_events(tracks, -1, Rule()) <= budget * well_days(tracks)

    threshold = find_threshold(tracks, budget, Rule())

    assert threshold > 1


def test_with_little_normal_time_no_false_event_is_allowed():
    """Then all that is known is that the strangest normal stretch is not to be flagged."""
    one = track([1, 5, 4, 2, 9, 1])

    assert find_threshold([one], 1.0, Rule(2, 1)) == 4
    assert find_threshold([], 1.0, Rule()) == float("inf")
    assert find_threshold([track([1.0])], 1.0, Rule(2, 1)) == float("inf")


def test_what_a_threshold_promised_is_counted_on_other_runs():
    """One wild run makes the promise of the others worthless, and that must show."""
    calm = [track(np.zeros(1440), f"run {n}") for n in range(3)]
    storms = np.zeros(1440)
    storms[::20] = storms[1::20] = 7
    tracks = [*calm, track(storms, "run 3")]

    events, days = crossed_events(tracks, 1.0, Rule(2, 5))

    assert false_events(tracks, find_threshold(tracks, 1.0, Rule(2, 5)), Rule(2, 5)) <= 4
    assert (events, days) == (72, pytest.approx(4.0))


def test_links_of_one_run_are_on_the_same_side():
    """Two places see the same storm, which would be known to both halves."""
    storm = np.zeros(1440)
    storm[::20] = storm[1::20] = 7
    tracks = [track(storm, "a"), track(storm, "a"), track(np.zeros(1440), "b")]

    assert crossed_events(tracks, 1.0, Rule(2, 5))[0] == 2 * 72


@pytest.mark.parametrize("count", [0, 1, 4, 30, 200])
def test_the_upper_limit_is_that_of_poisson(count):
    """So few events would be seen in one of twenty cases at that rate."""
    assert poisson.cdf(count, most_events(count)) == pytest.approx(0.05, abs=1e-6)
