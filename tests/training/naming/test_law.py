"""What captured rows are taken for, wherever files were lost and whoever saw what."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.events import identify
from training.naming.acts import make, write
from training.naming.stored import episodes, stored_links

from .stores import NOON_MS, SPAN, STEP_MS, capture, life, save

MINUTE_MS = 60_000
NEVER_MS = 10**15
STATES = ("normal", "normal", "normal", "blocked", "unknown", None)


def labels_of(store: Path, link: str = "trunk-1") -> dict[int, str | None]:
    """Give the label of each captured row, by its time."""
    return {
        one.start_ms + place * one.step_ms: label
        for one in stored_links([store], ("packets",), STEP_MS, (link,))
        for place, label in enumerate(one.labels)
    }


def normal_ms(store: Path) -> set[int]:
    """Give the times of the rows that are normal."""
    return {t_ms for t_ms, label in labels_of(store).items() if label == "normal"}


@dataclass(frozen=True)
class Watched:
    """One daemon's view of a link: what was so, and what it could write of it."""

    spells: list[tuple[str | None, int, int]]  # state, from, until: as it was found in the end
    rows: list[dict[str, Any]]  # as judged then


@st.composite
def watched(draw: st.DrawFn, clock_ms: int = 0) -> Watched:
    """Draw a link's life, with changes that are known a while after they happened.

    Two daemons that see different things don't say of them that they began in the same
    millisecond: *clock_ms* is added to what they say.
    """
    lengths = draw(st.lists(st.tuples(st.sampled_from(STATES), st.integers(1, 260)), max_size=9))
    rows = life([("normal", 200), *lengths, ("normal", 200)], hop=draw(st.integers(1, 4)))
    shown = [{**row} for row in rows]
    first = 200
    for _, steps in [*lengths, ("normal", 200)]:
        old = next((row for row in reversed(shown[:first]) if "verdict_state" in row), {})
        for row in shown[first : first + draw(st.integers(0, 50))]:
            if "verdict_state" in row:
                row |= {name: old[name] for name in ("verdict_state", "verdict_since_ms")}
                row["verdict_label"] = old["verdict_state"] or "normal"
        first += steps
    for row in shown:
        if row.get("verdict_since_ms"):
            row["verdict_since_ms"] += clock_ms
    return Watched(spells_of(shown), misjudged(draw, shown))


def spells_of(rows: list[dict[str, Any]]) -> list[tuple[str | None, int, int]]:
    """List the states that were ever said, each from its beginning to that of the next."""
    said = dict.fromkeys(
        (row["verdict_state"], row["verdict_since_ms"])
        for row in rows
        if row.get("verdict_state") is not None
    )
    begins = [since_ms for _, since_ms in said][1:]
    return [
        (state, since_ms, until_ms)
        for (state, since_ms), until_ms in zip(said, [*begins, NEVER_MS], strict=True)
    ]


def misjudged(draw: st.DrawFn, shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let some windows be taken for something else than their link's state."""
    for place in draw(st.lists(st.integers(0, len(shown) - 1), max_size=3)):
        if "verdict_label" in shown[place]:
            shown[place]["verdict_label"] = "capacity-limited"  # one window that was misjudged
    return shown


def write_some(draw: st.DrawFn, one: Watched, store: Path, daemon: str) -> list[dict[str, Any]]:
    """Write what is left of a daemon's files, and give the rows in them."""
    left = []
    faulty, is_bad = set[int](), False
    for place in range(len(one.rows) - 1, -1, -1):
        # A row that no window ends at goes with the window that comes next.
        is_bad = one.rows[place].get("verdict_state", "normal" if not is_bad else "") != "normal"
        if is_bad:
            faulty.add(one.rows[place]["t_ms"])
    size = draw(st.integers(20, 150))
    for start in range(0, len(one.rows), size):
        chunk = one.rows[start : start + size]
        bad = [row for row in chunk if row["t_ms"] in faulty]
        good = [row for row in chunk if row["t_ms"] not in faulty]
        for kind, rows in (("fault", bad), (draw(st.sampled_from(("normal", "around"))), good)):
            if rows and draw(st.sampled_from((True, True, False))):
                save(rows, store, daemon=daemon, kind=kind)
                left += rows
    return left


def faults(one: Watched) -> list[tuple[str, int, int]]:
    """List the spells in which something was wrong."""
    return [
        (state, since_ms, until_ms)
        for state, since_ms, until_ms in one.spells
        if state not in (None, "normal")
    ]


def is_near(t_ms: int, since_ms: int, until_ms: int) -> bool:
    """Tell whether a row is inside or within a minute of a time."""
    return t_ms + STEP_MS > since_ms - MINUTE_MS and t_ms < until_ms + MINUTE_MS


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


def test_a_long_calm_is_normal_a_minute_after_it_began(tmp_path):
    """The law must leave something to learn from."""
    capture(life([("normal", 400)]), tmp_path)

    normal = normal_ms(tmp_path)

    # From a minute after the state began until two minutes before what is known ends.
    assert normal == {NOON_MS + second * STEP_MS for second in range(60, 280)}


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
