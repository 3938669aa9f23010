"""A recorded difference: what holds of it on any link, and which one suits a link."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.oncall.difference import (
    SLOWER,
    Canary,
    Recorded,
    alike,
    difference,
    is_busy,
    usual_row,
)
from detector.window import LARGEST
from tests.fakes import NOON_MS, make_rows, make_spec

SPEC = make_spec()  # requests, answers, retransmissions, response_ms; four steps
COUNTERS = slice(0, 3)
NAN = np.nan


def make(before, after, label="blocked"):
    """Make a difference of two lists."""
    return difference(label, np.array(before, np.float32), np.array(after, np.float32), SPEC)


counters = st.integers(0, 10_000).map(float)
times = st.floats(0.5, 500, width=32)


@given(
    st.tuples(*[counters.filter(bool)] * 3, times),
    st.lists(st.tuples(*[counters] * 3, times | st.just(NAN)), min_size=4, max_size=4),
    st.integers(1, 50),
)
def test_a_fault_on_its_own_link_is_what_was_recorded_and_grows_with_the_load(before, after, load):
    """What is planted elsewhere has to be what happened, at any load."""
    one = make(before, after)
    usual = np.array(before, np.float32).astype(float)

    own = one.rows(usual, 4)
    busier = one.rows(np.where(one.counts, usual * load, usual), 4)

    np.testing.assert_array_equal(own, np.array(after, np.float32))
    np.testing.assert_allclose(busier[:, COUNTERS], own[:, COUNTERS] * load, atol=1)
    np.testing.assert_array_equal(busier[:, 3], own[:, 3])


anything = st.just(NAN) | st.floats(0, LARGEST)


@given(
    st.lists(anything, min_size=4, max_size=4),
    st.lists(st.lists(anything, min_size=4, max_size=4), min_size=1, max_size=4),
    st.lists(anything | st.floats(-1e9, 0), min_size=4, max_size=4),
    st.integers(1, 12),
)
def test_whatever_flows_the_rows_are_numbers_that_an_exporter_could_have_sent(
    before, after, usual, count
):
    """One infinite number and the canary would test something else than the encoder."""
    one = make(before, after)

    rows = one.rows(np.array(usual), count)

    assert rows.shape == (count, 4)
    assert rows.dtype == np.float32
    seen = rows[:, COUNTERS][~np.isnan(rows[:, COUNTERS])]
    assert (seen >= 0).all()
    assert (seen == np.rint(seen)).all()
    assert not np.isinf(rows).any()
    # NaN where the recording has it, and where the link doesn't report the feature; nowhere else.
    recorded = np.isnan(np.array([after[min(row, len(after) - 1)] for row in range(count)]))
    inside = min(count, len(after))
    absent = np.isnan(np.array(usual))
    np.testing.assert_array_equal(np.isnan(rows)[:inside], (recorded | absent)[:inside])


@given(st.lists(counters, min_size=4, max_size=4), st.floats(0.001, 3))
def test_on_a_quiet_link_the_events_add_up_though_each_row_has_whole_ones(requests, scale):
    """A third of a packet a row is a packet in three rows, and not none."""
    one = make([100, 100, 0, 20], [[count, 0, 0, 20] for count in requests])

    rows = one.rows(np.array([100.0, 100.0, 0.0, 20.0]) * [scale, scale, 1, 1], 4)

    np.testing.assert_allclose(
        rows[:, 0].cumsum(), np.cumsum(requests) * scale, atol=0.51, rtol=1e-6
    )


def test_what_begins_with_the_fault_begins_on_the_other_link_at_its_load():
    """Retransmissions and ICMP errors are what faults show by, and no link has them before."""
    one = make([100, 100, 0, 20], [[100, 0, 100, NAN]] * 4)

    rows = one.rows(np.array([30.0, 30.0, 0.0, 20.0]), 4)

    assert rows[:, 2].tolist() == [30] * 4
    assert rows[:, 1].tolist() == [0] * 4
    assert np.isnan(rows[:, 3]).all()


@pytest.mark.parametrize(("usual", "factor"), [(40.0, 2), (5.0, 0.25), (1e6, SLOWER), (NAN, NAN)])
def test_times_are_stretched_as_the_links_differ_within_bounds(usual, factor):
    """An answer takes longer on a longer path, before the fault and in it."""
    one = make([100, 100, 0, 20], [[100, 50, 0, 60]] * 4)

    rows = one.rows(np.array([100.0, 100.0, 0.0, usual]), 4)

    np.testing.assert_allclose(rows[:, 3], [60 * factor] * 4)


def test_one_busy_counter_does_not_decide_the_load():
    """A link that sends larger packets has no more calls."""
    one = make([100, 100, 10, 20], [[100, 0, 10, 20]] * 4)

    assert one.scale(np.array([200.0, 200.0, 9000.0, 20.0])) == pytest.approx(2)


def test_a_fault_that_lasts_longer_than_the_recording_goes_on_as_it_was_in_its_second_half():
    """The first rows hold the change itself, which does not come again."""
    one = make([9, 9, 0, 1], [[row, 0, 0, 1] for row in (1, 2, 3, 4)])

    assert one.rows(np.array([9.0, 9.0, 0.0, 1.0]), 9)[:, 0].tolist() == [
        1,
        2,
        3,
        4,
        3,
        4,
        3,
        4,
        3,
    ]


def test_links_are_alike_whatever_their_load_and_not_where_their_traffic_is_another():
    """A SIP link's fault in a web server's traffic would test neither."""
    one = make([100, 100, 0, 20], [[0, 0, 0, NAN]] * 4)

    same = one.unlike(np.array([1000.0, 1000.0, 0.0, 50.0]))
    other = one.unlike(np.array([1000.0, 10.0, 500.0, 50.0]))
    nothing = one.unlike(np.array([0.0, 0.0, 70.0, 50.0]))

    assert same == pytest.approx(0, abs=1e-6)
    assert 1 < other < nothing == np.inf


def test_of_many_the_most_alike_are_given_best_first_and_none_that_is_not_alike_at_all():
    """Variety is good, a fault of another sort of traffic is not."""
    mixes = [[100, answers, 0, 20] for answers in (1, 100, 70, 85, 40)]
    many = [make(mix, [[0, 0, 0, NAN]] * 4) for mix in mixes]

    found = alike(many, np.array([50.0, 50.0, 0.0, 20.0]))
    none = alike(many, np.array([0.0, 0.0, 5.0, 20.0]))

    assert [one.before[1] for one in found] == [100, 85, 70]
    assert none == []


def test_the_usual_row_is_the_mean_of_what_was_observed():
    """A row that failed to come must not halve the load."""
    rows = np.array([[4, NAN, 0, 1], [NAN, NAN, 0, 3], [8, NAN, 3, NAN]], np.float32)

    np.testing.assert_array_equal(usual_row(rows), [6, NAN, 1, 2])


@pytest.mark.parametrize(("flowing", "expected"), [(0, False), (1, False), (2, True), (4, True)])
def test_a_link_is_busy_when_something_flows_in_half_of_the_rows(flowing, expected):
    """Where nothing flows nothing can be seen to stop."""
    rows = np.zeros((4, 4), np.float32)
    rows[:, 3] = 20  # a time is no traffic
    rows[4 - flowing :, 1] = 1

    assert is_busy(rows, SPEC) is expected


def test_what_a_bundle_holds_becomes_differences_in_its_order():
    """A canary is logged by the run that its fault is from."""
    canaries = tuple(
        Canary(label, "a kind", "lab-1/access", NOON_MS)
        for label in ("capacity-limited", "blocked")
    )
    before = np.array([[1, 1, 0, 9], [2, 2, 0, 8]], np.float32)
    after = np.stack([make_rows("capacity-limited", 4), make_rows("blocked", 4)])

    made = Recorded(canaries, before, after).differences(SPEC)

    assert [one.label for one in made] == ["capacity-limited", "blocked"]
    np.testing.assert_array_equal([one.before for one in made], before)
    np.testing.assert_array_equal([one.after for one in made], after)
