"""A drawn plan meets every fault under many loads, and is mostly peace and quiet."""

import itertools
import re
from collections import Counter, defaultdict
from fnmatch import fnmatchcase
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.lab.draw import MIXED, NORMAL, PAIRS, THEMES, draw, sorts
from training.lab.plan import DIRECTED, LIMITS, Direction, Form, Kind, PlanError, Traffic, check

SEEDS = st.integers(0, 2**32 - 1)
SOME_KINDS = st.sets(st.sampled_from(Kind))
SOME_TRAFFIC = st.sets(st.sampled_from(Traffic)).map(lambda some: some | {Traffic.HTTP})
HOURS = st.floats(0, 3)


@cache
def full(seed=7):
    """Give the plan of six hours with faults and twenty-four without."""
    return draw("full", seed, hours_normal=24, hours_faults=6)


def theme(run):
    """Give the third part of a run's name."""
    return run.name.split("_")[2]


def faulty(plan):
    """Give the runs that have faults."""
    return [run for run in plan.runs if any(phase.faults for phase in run.phases)]


def stretches(run):
    """Give a run's phases as (is normal, its phases one after the other)."""
    grouped = itertools.groupby(run.phases, lambda phase: not phase.faults)
    return [(is_normal, list(phases)) for is_normal, phases in grouped]


@given(SEEDS, HOURS, HOURS, SOME_KINDS, SOME_TRAFFIC, st.floats(1, 600))
def test_every_plan_can_be_made(seed, hours_normal, hours_faults, kinds, traffic, longest):
    """Whatever is left out, and however short: it holds what it may hold, and no more."""
    if not (hours_normal or (hours_faults and kinds)):
        return
    plan = draw(
        "p",
        seed,
        hours_normal=hours_normal,
        hours_faults=hours_faults,
        kinds=kinds,
        traffic=traffic,
        longest=longest,
    )

    check(plan)
    faults = [fault for run in plan.runs for phase in run.phases for fault in phase.faults]
    assert {fault.kind for fault in faults} <= kinds
    assert {load.traffic for run in plan.runs for load in run.load} <= traffic
    assert all(
        phase.seconds <= longest for run in plan.runs for phase in run.phases if phase.faults
    )
    for run in plan.runs:
        for load in run.load:
            assert all(c.start + c.seconds <= run.seconds for c in load.rate.changes)


@given(SEEDS)
def test_the_same_seed_gives_the_same_plan(seed):
    """A recording can be made again."""
    one, other = (draw("p", seed, hours_normal=1, hours_faults=1) for _ in range(2))

    assert one == other


def test_another_seed_gives_another_plan():
    """Two recordings are to differ, and their runs have other names."""
    names = [{run.name for run in full(seed).runs} for seed in (7, 8)]

    assert not names[0] & names[1]
    assert [run.load for run in full(7).runs] != [run.load for run in full(8).runs]


@pytest.mark.parametrize("seed", range(5))
def test_six_hours_meet_every_fault_in_six_runs_of_different_family_and_rate(seed):
    """What was met once is learnt by heart."""
    met = defaultdict(dict)
    for run in faulty(full(seed)):
        for phase in run.phases:
            if len(phase.faults) == 1:
                (fault,) = phase.faults
                met[fault.kind, fault.direction][run.name] = run

    assert set(met) == set(sorts(Kind))
    for runs in met.values():
        assert len({run.family for run in runs.values()}) >= 6
        assert len({run.load[0].rate.per_second for run in runs.values()}) >= 6


@pytest.mark.parametrize("seed", range(5))
def test_levels_reach_over_their_range(seed):
    """Of every limit most levels bind and some don't; loss goes from hardly any to heavy."""
    levels = defaultdict(list)
    for run in faulty(full(seed)):
        for phase in run.phases:
            for fault in phase.faults:
                levels[fault.kind].append(fault.level)

    for kind in LIMITS:
        assert all(0.2 <= level <= 0.85 or 0.9 <= level <= 1.5 for level in levels[kind])
        assert min(levels[kind]) < 0.3
        assert 0.04 < sum(level >= 0.9 for level in levels[kind]) / len(levels[kind]) < 0.35
    assert min(levels[Kind.LOSS]) < 0.01
    assert 0.2 < max(levels[Kind.LOSS]) <= 0.4


def test_runs_fill_the_hours():
    """Machine time is planned by them."""
    plan = full()
    runs = faulty(plan)

    seconds = sum(run.seconds for run in runs)

    assert 6 * 3600 <= seconds < 6 * 3600 + 1800
    assert sum(run.seconds for run in plan.runs) - seconds == pytest.approx(24 * 3600, abs=60)


def test_normal_runs_are_long_and_of_every_form_family_and_disturbance():
    """What is normal is wide: nights, surges, drops and restarts are in it."""
    runs = [run for run in full().runs if theme(run) == NORMAL]

    assert not set(faulty(full())) & set(runs)
    assert all(550 <= run.seconds <= 1900 for run in runs)
    rates = [load.rate for run in runs for load in run.load]
    assert {rate.form for rate in rates} == set(Form)
    assert any(rate.form is Form.DIURNAL and rate.depth == 0.9 for rate in rates)
    factors = [change.factor for rate in rates for change in rate.changes]
    assert min(factors) < 0.1
    assert max(factors) > 2.3
    assert max(Counter(run.family for run in runs).values()) <= 10
    restarted = [run for run in runs if any(phase.restart for phase in run.phases)]
    assert 0.2 < len(restarted) / len(runs) < 0.5
    assert not any(run.phases[0].restart for run in runs)


def test_faults_lie_apart_with_peace_before_and_after():
    """A capture needs to know what normal was, and retransmissions their time to end."""
    for run in faulty(full()):
        parts = stretches(run)
        assert parts[0][0]
        assert parts[-1][0]
        for is_normal, phases in parts:
            if is_normal:
                assert 45 <= sum(phase.seconds for phase in phases) <= 70


def test_most_faults_last_a_minute_and_a_few_are_very_short_or_long():
    """A verdict takes ten seconds; some incidents don't."""
    lengths = [phase.seconds for run in faulty(full()) for phase in run.phases if phase.faults]

    counts = Counter("short" if s <= 8 else "usual" if s <= 90 else "long" for s in lengths)

    assert all(3 <= s <= 8 or 40 <= s <= 90 or 300 <= s <= 600 for s in lengths)
    assert counts["usual"] > 0.75 * len(lengths)
    assert counts["short"] >= 10
    assert 2 <= counts["long"] <= 10


def test_mixed_runs_have_faults_at_once_and_one_directly_after_another():
    """Incidents overlap."""
    mixed = [run for run in full().runs if theme(run) == MIXED]

    for run in mixed:
        groups = [
            [phase.faults for phase in phases]
            for is_normal, phases in stretches(run)
            if not is_normal
        ]
        assert sorted(len(group) for group in groups) == [1, 1, 2]
        pairs = [group[0] for group in groups if len(group) == 1]
        assert all(
            tuple((fault.kind, fault.direction) for fault in pair) in PAIRS for pair in pairs
        )
        ((first,), (second,)) = next(group for group in groups if len(group) == 2)
        assert first.kind != second.kind
    assert len(mixed) >= 6


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_faults_at_once_can_be_made_and_seen(pair):
    """One port holds one limit, nothing is seen behind a dead peer, and a block hides the rest."""
    (one, one_way), (other, other_way) = pair
    crosses = Direction.BOTH in (one_way, other_way) or one_way == other_way

    assert {one, other} <= DIRECTED
    if crosses:
        assert Kind.BLOCK not in (one, other)
        assert not {one, other} <= LIMITS


def test_runs_of_one_theme_hold_all_of_it_and_nothing_else():
    """Leaving them out leaves the kind out."""
    for run in faulty(full()):
        if theme(run) == MIXED:
            continue
        faults = [fault for phase in run.phases for fault in phase.faults]
        assert sorted((f.kind, f.direction) for f in faults) == sorted(sorts(THEMES[theme(run)]))


def test_every_kind_has_a_theme():
    """One without would never be drawn."""
    assert sorted(itertools.chain.from_iterable(THEMES.values())) == sorted(Kind)


def test_names_part_runs_by_pattern():
    """These are the patterns that `anchorwatch train --leave-out` takes."""
    plan = full()

    for place, run in enumerate(plan.runs):
        assert re.fullmatch(r"s7_[A-Z]_[a-z]+_\d{3}", run.name)
        assert run.name.endswith(f"_{place:03d}")
        assert fnmatchcase(run.name, f"*_{run.family}_*")
    for family in {run.family for run in plan.runs}:
        picked = [run for run in plan.runs if fnmatchcase(run.name, f"*_{family}_*")]
        assert {run.family for run in picked} == {family}
    policed = [run for run in plan.runs if fnmatchcase(run.name, "*_policer_*")]
    assert {f.kind for run in policed for p in run.phases for f in p.faults} == {Kind.POLICER}
    fifth = [run for run in plan.runs if fnmatchcase(run.name, "*[05]")]
    assert len(fifth) == pytest.approx(len(plan.runs) / 5, abs=1)
    assert len({theme(run) for run in fifth}) >= 6


def test_runs_with_and_without_faults_are_dealt_out_together():
    """Of thirty links side by side some are faulty, as in life."""
    is_faulty = [theme(run) != NORMAL for run in full().runs]

    for begin in range(0, len(is_faulty) - 30, 10):
        assert 4 <= sum(is_faulty[begin : begin + 30]) <= 24


def test_one_kind_alone_needs_no_mixed_runs():
    """There is nothing to mix it with."""
    plan = draw("p", 0, hours_normal=0, hours_faults=1, kinds=[Kind.LOSS])

    assert {theme(run) for run in plan.runs} == {"loss"}


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"hours_normal": 0, "hours_faults": 0}, "nothing to do"),
        ({"hours_normal": 0, "hours_faults": 1, "kinds": []}, "nothing to do"),
        ({"hours_normal": 1, "hours_faults": 1, "traffic": [Traffic.BULK]}, "no mix .* bulk"),
        ({"hours_normal": 1, "hours_faults": 1, "traffic": []}, "no mix .* nothing"),
        ({"hours_normal": 1, "hours_faults": 1, "name": "a b"}, "matching regex"),
    ],
)
def test_what_gives_no_plan_is_refused(chosen, why):
    """An empty recording would be found out hours later."""
    with pytest.raises(PlanError, match=why):
        draw(**{"name": "p", "seed": 0} | chosen)
