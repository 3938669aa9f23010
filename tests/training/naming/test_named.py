"""What rows are taken for once people have said something of them."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.events import identify
from training.naming.acts import make, write
from training.naming.naming import Saying, carry_out, effect, of_episodes
from training.naming.stored import episodes, open_stores

from .lives import labels_of, normal_ms
from .stores import NOON_MS, SPAN, STEP_MS, capture, life


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_newest_act_that_covers_a_row_counts(data):
    """Whoever changes a mind is heard, and only of the rows that were meant."""
    draw = data.draw
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        capture(life([("normal", 400)]), store)
        before, acts = labels_of(store), []
        for at_ms in range(draw(st.integers(0, 5))):
            first, last = sorted(draw(st.tuples(st.integers(-9, 409), st.integers(-9, 409))))
            what = draw(st.sampled_from(("reject", "rename", "confirm")))
            act = make(
                at_ms=at_ms,
                who="anna",
                what=what,
                label=f"fault-{at_ms}" if what == "rename" else "",
                link=draw(st.sampled_from(("trunk-1", "trunk-2"))),
                from_ms=NOON_MS + first * STEP_MS,
                to_ms=NOON_MS + (last + 1) * STEP_MS,
            )
            write(act, store)
            acts.append(act)
        found = labels_of(store)

    for t_ms, label in found.items():
        expected = before[t_ms]
        for act in acts:
            if act.link == "trunk-1" and act.from_ms <= t_ms < act.to_ms:
                # There is no episode here, so there is nothing to confirm.
                expected = {"reject": "normal", "rename": act.label}.get(act.what, expected)
        assert label == expected


def test_a_named_episode_ends_where_its_rows_do(tmp_path):
    """What was named is dealt with: it must not keep a link out of the training for ever."""
    capture(life([("normal", 300), ("blocked", 50)]), tmp_path, daemon="a")
    capture(life([("normal", 1000)]), tmp_path, daemon="b")
    (found,) = episodes([tmp_path])

    write(
        make(
            at_ms=1,
            who="anna",
            what="confirm",
            link="trunk-1",
            from_ms=found.first_ms,
            to_ms=found.until_ms,
        ),
        tmp_path,
    )

    normal = normal_ms(tmp_path)
    assert {NOON_MS + second * STEP_MS for second in range(410, 800)} <= normal
    assert not normal & {NOON_MS + second * STEP_MS for second in range(240, 410)}


@pytest.mark.parametrize("hop", [1, 5])
def test_confirmed_rows_have_the_state_they_had_but_for_the_edges(tmp_path, hop):
    """The first and last rows of a fault's windows may be normal traffic."""
    capture(life([("normal", 300), ("blocked", 100), ("normal", 300)], hop=hop), tmp_path)
    (found,) = episodes([tmp_path])
    write(
        make(
            at_ms=1,
            who="anna",
            what="confirm",
            link="trunk-1",
            from_ms=NOON_MS,
            to_ms=NOON_MS + 700 * STEP_MS,
        ),
        tmp_path,
    )

    blocked = sorted(t for t, label in labels_of(tmp_path).items() if label == "blocked")

    assert found.id == identify("trunk-1", "blocked", NOON_MS + 300 * STEP_MS)
    assert blocked[0] == NOON_MS + 299 * STEP_MS
    assert blocked[-1] < NOON_MS + 400 * STEP_MS - SPAN * STEP_MS // 2
    assert len(blocked) >= 100 - SPAN


def test_a_short_episode_has_the_row_at_which_it_began(tmp_path):
    """Less than a window says little of its rows, and not nothing."""
    capture(life([("normal", 300), ("blocked", 3), ("normal", 300)]), tmp_path)
    act = {"at_ms": 1, "who": "anna", "what": "confirm", "link": "trunk-1"}
    write(make(**act, from_ms=NOON_MS, to_ms=NOON_MS + 700 * STEP_MS), tmp_path)

    labels = labels_of(tmp_path)

    assert [t for t, label in labels.items() if label == "blocked"] == [NOON_MS + 299 * STEP_MS]
    (found,) = episodes([tmp_path])
    assert found.is_named


def test_a_rejected_episode_is_normal_and_keeps_nothing_from_it(tmp_path):
    """Nobody but people can make rows of an episode normal, and they can."""
    capture(life([("normal", 600), ("blocked", 30), ("normal", 600)]), tmp_path)
    (found,) = episodes([tmp_path])
    around = {NOON_MS + second * STEP_MS for second in range(690, 1000)}
    assert around <= normal_ms(tmp_path)
    write(
        make(
            at_ms=1,
            who="anna",
            what="reject",
            link="trunk-1",
            from_ms=found.first_ms,
            to_ms=found.until_ms,
        ),
        tmp_path,
    )

    normal = normal_ms(tmp_path)

    assert {NOON_MS + second * STEP_MS for second in range(585, 630)} <= normal
    (after,) = episodes([tmp_path])
    assert after.is_named
    assert after.naming is not None


def test_a_rejected_episode_says_nothing_of_the_minutes_around_it(tmp_path):
    """One daemon's false alarm must not cost what another proves to be normal."""
    capture(life([("normal", 600), ("blocked", 30), ("normal", 600)]), tmp_path, daemon="a")
    capture(life([("normal", 1230)]), tmp_path, daemon="b")
    (found,) = episodes([tmp_path])
    around = {NOON_MS + second * STEP_MS for second in (*range(545, 585), *range(640, 690))}
    before = normal_ms(tmp_path)
    write(
        make(
            at_ms=1,
            who="anna",
            what="reject",
            link="trunk-1",
            from_ms=found.first_ms,
            to_ms=found.until_ms,
        ),
        tmp_path,
    )

    assert around <= normal_ms(tmp_path)
    assert not around & before


def two_faults(store):
    """Capture a fault after another, known 8 s late, and give both."""
    rows = life([("normal", 300), ("blocked", 100), ("capacity-limited", 100), ("normal", 300)])
    for row in rows[400:408]:
        row |= {
            "verdict_state": "blocked",
            "verdict_since_ms": NOON_MS + 300 * STEP_MS,
        }
    capture(rows, store)
    return episodes([store])


def reject(store, *meant):
    """Reject episodes as by their ids."""
    opened = open_stores([store])
    saying = Saying(what="reject", who="anna", at_ms=1)
    done = effect(opened, of_episodes(meant, episodes([store]), saying))
    carry_out(done)
    return done


def test_rejecting_an_episode_makes_nothing_of_the_next_fault_normal(tmp_path):
    """The next one is real, and begins up to half a window before anybody says so."""
    first, second = two_faults(tmp_path)
    assert first.until_ms > second.since_ms

    reject(tmp_path, first)

    after = labels_of(tmp_path)
    half = SPAN // 2
    assert all(after[NOON_MS + n * STEP_MS] == "normal" for n in range(290, 400 - half))
    assert all(after[NOON_MS + n * STEP_MS] is None for n in range(400 - half, 500))
    assert [one.is_named for one in episodes([tmp_path])] == [True, False]


def test_rejecting_an_episode_makes_nothing_of_the_fault_before_it_normal(tmp_path):
    """Its first window was full of the other's rows."""
    _, second = two_faults(tmp_path)

    reject(tmp_path, second)

    after = labels_of(tmp_path)
    assert not any(after[NOON_MS + n * STEP_MS] for n in range(300, 399))
    assert all(after[NOON_MS + n * STEP_MS] == "normal" for n in range(399, 500))


def test_two_faults_that_are_rejected_together_leave_no_gap(tmp_path):
    """Neither is real, so neither has rows to be spared."""
    done = reject(tmp_path, *two_faults(tmp_path))

    after = labels_of(tmp_path)
    assert all(after[NOON_MS + n * STEP_MS] == "normal" for n in range(290, 500))
    assert done.left == 0


def test_rejecting_a_part_leaves_the_rest_of_an_episode_out(tmp_path):
    """Who says that a minute was a false alarm says nothing of the hour."""
    capture(life([("normal", 300), ("blocked", 300), ("normal", 300)]), tmp_path)
    write(
        make(
            at_ms=1,
            who="anna",
            what="reject",
            link="trunk-1",
            from_ms=NOON_MS + 400 * STEP_MS,
            to_ms=NOON_MS + 410 * STEP_MS,
        ),
        tmp_path,
    )

    labels = labels_of(tmp_path)

    named = {NOON_MS + second * STEP_MS for second in range(400, 410)}
    assert {t for t, label in labels.items() if label == "normal"} & {
        NOON_MS + second * STEP_MS for second in range(240, 660)
    } == named
    (found,) = episodes([tmp_path])
    assert not found.is_named


def test_a_state_that_no_training_can_teach_is_confirmed_without_a_label(tmp_path):
    """`unknown` is no name: what it was is for somebody to say."""
    capture(life([("normal", 300), ("unknown", 100), ("normal", 300)]), tmp_path)
    (found,) = episodes([tmp_path])
    write(
        make(
            at_ms=1,
            who="anna",
            what="confirm",
            link="trunk-1",
            from_ms=found.first_ms,
            to_ms=found.until_ms,
        ),
        tmp_path,
    )

    (after,) = episodes([tmp_path])

    assert after.is_named
    assert set(labels_of(tmp_path).values()) == {"normal", None}
