"""Loads are of the family asked for, with rates in bounds and of every form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.lab.chance import Evenly
from training.lab.mixes import FAMILIES, draw_changes, draw_load, families
from training.lab.plan import Change, Form, Traffic

SEEDS = st.integers(0, 2**32 - 1)
SURGE = Change(start=100, seconds=30, factor=2)
SIP = set(Traffic) - {Traffic.HTTP, Traffic.BULK, Traffic.LOOKUP}
MOST = {Traffic.HTTP: (1, 6), Traffic.BULK: (100, 500), Traffic.LOOKUP: (2, 60)}


def loads(family, count=50, traffic=tuple(Traffic), changes=()):
    """Draw the loads of many runs."""
    evenly = Evenly(np.random.default_rng(0))
    return [draw_load(family, traffic, evenly, changes) for _ in range(count)]


@pytest.mark.parametrize("family", FAMILIES)
def test_rates_lie_within_the_familys_scale_and_reach_over_it(family):
    """What was learnt at a few rates doesn't hold at others; and 2 cores have to make it all."""
    totals = []
    for load in loads(family):
        sip = sum(stream.rate.per_second for stream in load if stream.traffic in SIP)
        assert sip <= 40.2
        for stream in load:
            least, most = MOST.get(stream.traffic, (0.02, 40))
            assert least / 2 <= stream.rate.per_second <= most
        totals.append(load[0].rate.per_second)

    first = FAMILIES[family][0].traffic
    assert max(totals) / min(totals) > (50 if first in SIP else 4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_stream_makes_the_family(family):
    """Without its traffic there is no such family; without others it is only smaller."""
    first, *others = FAMILIES[family]

    assert family in families([first.traffic])
    assert family not in families(set(Traffic) - {first.traffic})
    assert {load[0].traffic for load in loads(family)} == {first.traffic}
    left = loads(family, traffic=[first.traffic])
    assert {stream.traffic for load in left for stream in load} == {first.traffic}
    assert {s.traffic for load in loads(family) for s in load} == {
        first.traffic,
        *(stream.traffic for stream in others),
    }


def test_streams_of_a_family_are_in_proportion():
    """A registers six times for ten calls, however many calls there are."""
    for call, register, options in loads("A"):
        assert register.rate.per_second / call.rate.per_second == pytest.approx(0.6, rel=0.02)
        assert options.rate.per_second / call.rate.per_second == pytest.approx(0.4, rel=0.02)


def test_both_ends_call_in_family_d():
    """A link on which only one side asks is half a link."""
    (load,) = loads("D", 1)

    assert [(stream.traffic, stream.reverse) for stream in load] == [
        (Traffic.CALL, False),
        (Traffic.CALL, True),
        (Traffic.OPTIONS, False),
        (Traffic.OPTIONS, True),
    ]


def test_every_form_is_drawn_with_periods_and_depths_of_its_own():
    """Nights among them, at a tenth of the mean."""
    rates = [load[0].rate for load in loads("A", 200, changes=(SURGE,))]

    assert {rate.form for rate in rates} == set(Form)
    diurnal = [rate for rate in rates if rate.form is Form.DIURNAL]
    assert all(120 <= rate.period <= 900 for rate in diurnal)
    assert all(0.3 <= rate.depth <= 0.9 for rate in diurnal)
    assert 0.15 < sum(rate.depth == 0.9 for rate in diurnal) / len(diurnal) < 0.45
    assert all(20 <= rate.period <= 120 for rate in rates if rate.form is Form.ON_OFF)
    assert all(rate.changes == (SURGE,) for rate in rates)


def test_what_machines_send_stays_constant():
    """Keep-alives and transfers don't follow the caller's day, nor their surges."""
    for family in ("A", "H"):
        steady = [
            stream.rate
            for load in loads(family, changes=(SURGE,))
            for stream in load
            if stream.traffic in {Traffic.OPTIONS, Traffic.BULK}
        ]
        assert steady
        assert {rate.form for rate in steady} == {Form.CONSTANT}
        assert {rate.changes for rate in steady} == {()}


PARTS = st.sampled_from([0, 0.3, 0.75, 0.999])  # of a second


@given(
    st.builds(float.__add__, st.integers(1, 4000).map(float), PARTS.map(float)),
    st.builds(float.__add__, st.integers(100, 4000).map(float), PARTS.map(float)),
    SEEDS,
)
def test_changes_are_surges_or_drops_one_after_the_other_within_the_run(seconds, each, seed):
    """Two at once would be a surge that nobody asked for."""
    changes = draw_changes(seconds, each, np.random.default_rng(seed))

    end = 60
    for change in changes:
        assert change.start >= end
        assert 20 <= change.seconds <= 60
        assert 0 <= change.factor <= 0.25 or 2 <= change.factor <= 2.5
        end = change.start + change.seconds
    assert not changes or end <= seconds


def test_a_change_may_end_with_the_run_but_not_after_it():
    """Lengths aren't in whole seconds where the faults' length is limited to such a one."""
    rng = np.random.default_rng(0)

    changes = [change for _ in range(100_000) for change in draw_changes(181.99, 181.99, rng)]

    ends = [change.start + change.seconds for change in changes]
    assert 180 < max(ends) <= 181.99


def test_most_stretches_of_a_long_run_have_a_change_but_not_all():
    """Surges as well as drops."""
    changes = draw_changes(100_000, 400, np.random.default_rng(0))

    assert 110 < len(changes) < 190  # 0.6 of 250
    assert 0.35 < np.mean([change.factor > 1 for change in changes]) < 0.65
