"""Rows are told the truth: by a plain loop's account, by laws, and by the shared captures."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.lab.timelines import (
    FAULTS,
    SHARED,
    make_fault,
    make_timelines,
    phases,
    shared_timelines,
)
from training.lab.plan import LIMITS, Direction, Fault, Kind
from training.lab.timeline import Entry, Poll, Timeline
from training.lab.truth import NAMES, PRECEDENCE, kind_of, label_of, truth

BLOCK = Fault(Kind.BLOCK)
SHAPER = Fault(Kind.SHAPER, level=0.5)
LOSS = Fault(Kind.LOSS, level=0.1)


def rows_of(timeline, step_ms=1000):
    """Give the (label, kind) of rows from 10 s before the run's start until 10 s behind its end.

    Times are as in the timeline; the first key is the row that begins at 0.
    """
    end_ms = timeline.entries[-1].end_ms if timeline.entries else 0
    t_ms = np.arange(-10_000, end_ms + 10_000, step_ms)
    labels, kinds = truth(timeline, t_ms, step_ms)
    return dict(zip(t_ms.tolist(), zip(labels, kinds, strict=True), strict=True))


def plain(timeline, t_ms, step_ms):
    """Tell one row's truth by asking one question after the other."""
    end_ms = t_ms + step_ms
    entries = timeline.entries
    if not entries or t_ms < entries[0].command_ms or end_ms > entries[-1].end_ms:
        return None, None
    before = set()
    for entry in entries:
        has_changed = set(entry.faults) != before or entry.restart
        if has_changed and t_ms <= entry.start_ms and end_ms > entry.command_ms:
            return None, "transition"
        before = set(entry.faults)
    for entry in entries:
        if entry.command_ms <= t_ms < entry.end_ms:
            label = label_of(entry.faults)
            if label == "capacity-limited" and not plainly_felt(timeline, entry, t_ms, end_ms):
                label = None
            return label, kind_of(entry.faults)
    return None, None


def plainly_felt(timeline, entry, t_ms, end_ms):
    """Look for a poll at which the limiter was busy, 30 s around the row."""
    earlier = 0
    for poll in timeline.polls:
        if not entry.start_ms <= poll.at_ms <= entry.end_ms:
            continue
        is_busy = poll.queued > 0 or poll.dropped != earlier
        if is_busy and t_ms - 30_000 <= poll.at_ms < end_ms + 30_000:
            return True
        earlier = poll.dropped
    return False


@given(
    make_timelines(),
    st.sampled_from([100, 1000, 5000]),
    st.lists(st.integers(-20_000, 300_000), max_size=30),
)
def test_rows_agree_with_the_plain_loop(timeline, step_ms, near):
    """Rows in any order, at any offset, also at the very edges of what was done."""
    edges = [
        at + shift
        for entry in timeline.entries
        for at in (entry.command_ms, entry.start_ms, entry.end_ms)
        for shift in (-step_ms - 1, -step_ms, 1 - step_ms, -1, 0, 1)
    ]
    reach = [
        poll.at_ms + sign * (30_000 + more)
        for poll in timeline.polls
        for sign in (-1, 1)
        for more in (-step_ms, -1, 0, 1, step_ms)
    ]
    t_ms = np.array(near + edges + reach, dtype=np.int64)

    labels, kinds = truth(timeline, t_ms, step_ms)

    expected = [plain(timeline, at, step_ms) for at in t_ms.tolist()]
    assert list(zip(labels, kinds, strict=True)) == expected


@given(make_timelines())
def test_only_what_was_done_can_be_true(timeline):
    """No row is told of a fault that nobody made."""
    kinds = {kind_of(entry.faults) for entry in timeline.entries}

    rows = rows_of(timeline).values()

    assert {kind for _, kind in rows} <= kinds | {None, "transition"}
    assert {label for label, _ in rows} <= {None, "normal", *PRECEDENCE}


@given(make_timelines(), st.integers(0, 10**12))
def test_truth_moves_with_the_clock(timeline, shift_ms):
    """Only differences of times count."""
    later = Timeline(
        timeline.run,
        tuple(
            Entry(
                e.phase,
                e.command_ms + shift_ms,
                e.start_ms + shift_ms,
                e.end_ms + shift_ms,
                e.faults,
                e.restart,
            )
            for e in timeline.entries
        ),
        timeline.family,
        tuple(Poll(p.at_ms + shift_ms, p.dropped, p.queued) for p in timeline.polls),
    )
    t_ms = np.arange(-10_000, 100_000, 1000)

    now, then = truth(timeline, t_ms, 1000), truth(later, t_ms + shift_ms, 1000)

    assert [part.tolist() for part in now] == [part.tolist() for part in then]


def test_a_run_in_which_nothing_is_done_is_normal_from_end_to_end():
    """Rows that begin before it or reach beyond it are nobody's."""
    rows = rows_of(phases((60, ())))

    assert {rows[at] for at in range(0, 60_000, 1000)} == {("normal", "normal")}
    assert {row for at, row in rows.items() if not 0 <= at < 60_000} == {(None, None)}


def test_a_row_that_reaches_over_the_edge_of_the_run_is_left_out():
    """What went on in its other part is not known."""
    labels, kinds = truth(phases((60, ())), np.array([-1, 0, 59_000, 59_001]), 1000)

    assert labels.tolist() == [None, "normal", "normal", None]
    assert kinds.tolist() == [None, "normal", "normal", None]


def test_a_row_in_which_the_condition_changed_has_no_label():
    """It is partly this and partly that."""
    rows = rows_of(phases((10, ()), (10, (BLOCK,)), (10, ()), change_ms=1500))

    assert rows[9_000] == ("normal", "normal")
    assert [rows[at] for at in (10_000, 11_000)] == [(None, "transition")] * 2
    assert rows[12_000] == ("blocked", "block_both")
    assert rows[19_000] == ("blocked", "block_both")
    assert rows[20_000] == (None, "transition")
    assert rows[22_000] == ("normal", "normal")


def test_phases_with_the_same_faults_are_one():
    """Nothing changed between them, so no row is lost."""
    rows = rows_of(phases((10, (BLOCK, LOSS)), (10, (LOSS, BLOCK))))

    assert {rows[at] for at in range(1000, 20_000, 1000)} == {("blocked", "block_both+loss_both")}


def test_the_row_of_a_restart_has_no_label():
    """The programs are down for a moment; what that looks like is no fault."""
    timeline = Timeline(
        "run", (Entry(0, 0, 0, 10_000), Entry(1, 10_000, 11_200, 20_000, restart=True))
    )

    rows = rows_of(timeline)

    assert rows[9_000] == ("normal", "normal")
    assert rows[10_000] == rows[11_000] == (None, "transition")
    assert rows[12_000] == ("normal", "normal")


def test_a_fault_from_the_first_moment_is_a_change_too():
    """Before the run there was none."""
    rows = rows_of(phases((10, (BLOCK,))))

    assert rows[0] == (None, "transition")
    assert rows[1000] == ("blocked", "block_both")


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_a_limit_is_felt_only_near_a_moment_in_which_it_bound(kind):
    """A limit above the load changes nothing, and nobody could see it."""
    limit = make_fault(kind)
    calm = phases((10, ()), (200, (limit,)))
    once = Timeline("run", calm.entries, polls=(Poll(100_000, 0, 1),))

    assert {label for label, _ in rows_of(calm).values()} == {None, "normal"}
    felt = [at for at, (label, _) in rows_of(once).items() if label == "capacity-limited"]
    assert felt == list(range(70_000, 131_000, 1000))
    assert rows_of(once)[69_000] == (None, kind_of([limit]))


def test_drops_count_when_the_limiters_own_counter_moves():
    """One that stands still tells of drops long ago."""
    entries = phases((10, ()), (200, (SHAPER,))).entries
    polls = [Poll(second * 1000, 0 if second < 100 else 6, 0) for second in range(11, 210)]

    rows = rows_of(Timeline("run", entries, polls=tuple(polls)))

    felt = [at for at, (label, _) in rows.items() if label == "capacity-limited"]
    assert felt == list(range(70_000, 131_000, 1000))


def test_what_another_limiter_did_does_not_count():
    """The second limit is above the load; that the first one dropped says nothing of it."""
    wide = Fault(Kind.SHAPER, level=1.5)
    entries = phases((60, (SHAPER,)), (60, (wide,))).entries
    polls = (*(Poll(at * 1000, at, 1) for at in range(1, 60)), Poll(61_000, 0, 0))

    rows = rows_of(Timeline("run", entries, polls=polls))

    assert rows[50_000] == ("capacity-limited", "tbf_both")
    assert rows[62_000] == (None, "tbf_both")


def test_a_limit_that_is_not_felt_leaves_the_row_unnamed_even_with_loss_beside_it():
    """It may bind a little, so the row is not plainly one or the other."""
    rows = rows_of(phases((60, (SHAPER, LOSS))))

    assert rows[30_000] == (None, "tbf_both+loss_both")


@given(st.lists(FAULTS, max_size=4), st.randoms())
def test_the_order_in_which_faults_are_listed_does_not_matter(faults, random):
    """The same condition has one name."""
    shuffled = faults.copy()
    random.shuffle(shuffled)

    assert (label_of(faults), kind_of(faults)) == (label_of(shuffled), kind_of(shuffled))


@pytest.mark.parametrize(
    ("faults", "label", "kind"),
    [
        ([], "normal", "normal"),
        ([Fault(Kind.BLOCK, Direction.FORWARD)], "blocked", "block_fwd"),
        ([Fault(Kind.BLOCK, Direction.REVERSE)], "blocked", "block_rev"),
        ([Fault(Kind.CARRIER_LOSS)], "blocked", "carrier_loss"),
        ([Fault(Kind.PORT_DOWN)], "blocked", "link_down"),
        ([Fault(Kind.PEER_DEAD)], "blocked", "peer_dead"),
        ([Fault(Kind.PEER_HUNG)], "blocked", "peer_hung"),
        ([Fault(Kind.BLACKHOLE)], "blocked", "blackhole"),
        ([Fault(Kind.PROHIBIT)], "blocked", "prohibit"),
        ([SHAPER], "capacity-limited", "tbf_both"),
        ([Fault(Kind.QUEUE, Direction.FORWARD, 0.5)], "capacity-limited", "htb_fwd"),
        ([Fault(Kind.POLICER, Direction.REVERSE, 0.5)], "capacity-limited", "police_rev"),
        ([LOSS], "lossy", "loss_both"),
        ([LOSS, SHAPER], "capacity-limited", "tbf_both+loss_both"),
        (
            [LOSS, SHAPER, Fault(Kind.BLOCK, Direction.REVERSE)],
            "blocked",
            "block_rev+tbf_both+loss_both",
        ),
    ],
)
def test_faults_are_named_as_in_the_shared_captures(faults, label, kind):
    """One name for one mechanism in all captures; the gravest fault gives the label."""
    assert (label_of(faults), kind_of(faults)) == (label, kind)


def test_every_kind_of_fault_has_a_name_of_its_own():
    """A kind without one would fail after the recording."""
    assert set(NAMES) == set(Kind)
    assert len(set(NAMES.values())) == len(Kind)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs the shared captures in {SHARED}")
@pytest.mark.parametrize(("name", "step_ms"), [("1s", 1000), ("100ms", 100)])
def test_the_shared_captures_were_labelled_by_this_rule(name, step_ms):
    """Runs recorded with the lab and those recorded before it can be learnt from together.

    The rows there begin up to 18 ms before the first command was logged, and at 100 ms there
    is one beyond the end of each run: of these two this rule knows nothing. All others agree.
    """
    columns = ["link", "t_ms", "label", "kind"]
    capture = pd.read_parquet(SHARED / f"captures-{name}.parquet", columns=columns)
    capture = capture.astype(object).where(capture.notna(), None)
    timelines = {timeline.run: timeline for timeline in shared_timelines()}
    compared = set()

    for link, rows in capture.groupby("link"):
        timeline = timelines[link.split("/")[0]]
        t_ms = rows.t_ms.to_numpy(np.int64)
        labels, kinds = truth(timeline, t_ms, step_ms)

        starts_ms, ends_ms = timeline.entries[0].command_ms, timeline.entries[-1].end_ms
        is_inside = (t_ms >= starts_ms) & (t_ms + step_ms <= ends_ms)
        outside_ms = np.maximum(starts_ms - t_ms, t_ms + step_ms - ends_ms)[~is_inside]
        assert len(outside_ms) <= 2
        assert (outside_ms <= step_ms).all()
        assert labels[is_inside].tolist() == rows.label[is_inside].tolist()
        assert kinds[is_inside].tolist() == rows.kind[is_inside].tolist()
        compared.add(timeline.run)

    assert compared == set(timelines)
