"""What captured rows are taken for, wherever files were lost and whoever saw what."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.naming.stored import episodes

from .lives import faults, is_near, labels_of, normal_ms, watched, write_some
from .stores import NOON_MS, SPAN, STEP_MS, capture, life, save


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_row_near_an_unnamed_episode_is_ever_normal(data):
    """An incident must not become the new normal by lasting, nor by what was lost of it."""
    draw = data.draw
    one = draw(watched())
    other = one if draw(st.booleans()) else draw(watched(clock_ms=1))
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        kept = {
            name: (life_of, write_some(draw, life_of, store, name))
            for name, life_of in (("a", one), ("b", other))
        }
        normal = normal_ms(store)

    for t_ms in normal:
        seen_by = [
            life_of for life_of, rows in kept.values() if any(r["t_ms"] == t_ms for r in rows)
        ]
        # Whoever proves that the row is normal saw nothing near it, captured or not ...
        assert any(
            not any(is_near(t_ms, since, until) for _, since, until in faults(life_of))
            for life_of in seen_by
        )
        # ... and nobody else captured anything of an episode near it.
        for life_of, rows in kept.values():
            for state, since_ms, until_ms in faults(life_of):
                is_captured = any(
                    (row.get("verdict_state"), row.get("verdict_since_ms")) == (state, since_ms)
                    for row in rows
                )
                assert not (is_captured and is_near(t_ms, since_ms, until_ms))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_losing_files_never_makes_a_row_normal(data):
    """What the quota deletes can only take rows away from what is learnt as normal."""
    draw = data.draw
    one = draw(watched())
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        write_some(draw, one, store, "a")
        before = normal_ms(store)
        lost = draw(st.sampled_from(sorted(store.rglob("*.parquet")) or [None]))
        if lost is not None:
            lost.unlink()

        assert normal_ms(store) <= before


def test_a_long_calm_is_normal_a_minute_after_it_began(tmp_path):
    """The law must leave something to learn from."""
    capture(life([("normal", 400)]), tmp_path)

    normal = normal_ms(tmp_path)

    # From a minute after the state began until two minutes before what is known ends.
    assert normal == {NOON_MS + second * STEP_MS for second in range(60, 280)}


@pytest.mark.parametrize("daemon", ["host-a", "host-b"])
def test_rows_of_a_window_that_was_judged_otherwise_are_not_normal(tmp_path, daemon):
    """A fault of seconds turns no state, and is a fault."""
    rows = life([("normal", 600)])
    save(rows, tmp_path)
    odd = rows[300] | {"verdict_label": "blocked"}
    save([odd], tmp_path, daemon=daemon, kind="around")

    normal = normal_ms(tmp_path)

    over = {row["t_ms"] for row in rows[301 - SPAN : 301]}
    assert {row["t_ms"] for row in rows[60:480]} - normal == over


def test_what_was_kept_for_being_near_a_change_is_not_normal_by_itself(tmp_path):
    """It is there to be looked at, and was not drawn by chance."""
    rows = life([("normal", 600)])
    save(rows[:300], tmp_path, kind="around")
    save(rows[300:], tmp_path)

    normal = normal_ms(tmp_path)

    assert normal == {row["t_ms"] for row in rows[300:480]}


def test_sampled_minutes_prove_each_other(tmp_path):
    """Of what is normal a daemon keeps a minute now and then, and that has to be enough."""
    rows = life([("normal", 1800)])
    save(rows[300:360] + rows[900:960] + rows[1500:1560], tmp_path)

    normal = normal_ms(tmp_path)

    # The first windows' own first rows were not captured, but nothing is said against them.
    assert normal == {row["t_ms"] for row in rows[300:360] + rows[900:960]}


def test_an_episode_between_two_samples_takes_the_first_ones_proof(tmp_path):
    """All of a fault may be gone by the quota: a later beginning of `normal` betrays it."""
    rows = life([("normal", 700), ("blocked", 100), ("normal", 1000)])
    save(rows[600:660] + rows[900:960] + rows[1600:1660], tmp_path)

    normal = normal_ms(tmp_path)

    assert normal == {row["t_ms"] for row in rows[900:960]}


def test_rows_of_a_fault_are_not_normal_though_a_sample_holds_them(tmp_path):
    """A link that is in a fault all the time is sampled too."""
    rows = life([("blocked", 600)])
    save(rows, tmp_path, kind="normal")

    assert set(labels_of(tmp_path).values()) == {None}


def test_an_episode_that_goes_on_keeps_other_daemons_rows_from_being_normal(tmp_path):
    """One daemon died in a fault that another, with another bundle, never saw."""
    capture(life([("normal", 300), ("blocked", 50)]), tmp_path, daemon="a")
    capture(life([("normal", 1000)]), tmp_path, daemon="b")

    before = normal_ms(tmp_path)
    (found,) = episodes([tmp_path])

    assert found.is_open
    assert max(before) < NOON_MS + 240 * STEP_MS


def test_rows_that_no_window_was_judged_over_are_not_normal(tmp_path):
    """Nobody looked at them."""
    save(life([("normal", 600)], hop=30), tmp_path)

    normal = normal_ms(tmp_path)

    assert {NOON_MS + second * STEP_MS for second in range(90, 105)} <= normal
    assert not {NOON_MS + second * STEP_MS for second in range(105, 120)} & normal
