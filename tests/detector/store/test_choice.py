"""The choice: which rows are kept and as what, on any traffic that may come."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import Store
from detector.store.choice import FORGET_SECONDS, Choice
from detector.store.row import KINDS, row_bytes
from detector.store.sample import is_chosen
from tests.detector.store.judged import LAST, SPEC, judged, seconds_of, values_at
from tests.fakes import NOON_MS, make_spec

AROUND = 5


def make_choice(**changes):
    """Make a choice that keeps all normal traffic and five seconds around changes."""
    return Choice(Store(**{"normal_share": 1.0, "around_seconds": AROUND} | changes), SPEC)


def push(choice, *some, now=0.0):
    """Hand over windows one by one."""
    for window, verdict, since_ms in some:
        choice.push(window, verdict, since_ms, now)


def fresh(choice):
    """Give what was chosen since this was last asked, in seconds after noon, by kind."""
    return {kind: sorted(seconds_of(rows)) for kind, rows in choice.take_fresh().items()}


def chosen(choice):
    """Give all that is kept in the end."""
    choice.finish()
    return fresh(choice)


def calm(*seconds, since=-10_000, link="trunk-1"):
    """Make windows of a link that is well, one for each second."""
    return [judged(second, since=since, link=link) for second in seconds]


def faulty(*seconds, since, state="blocked", label="blocked"):
    """Make windows of a link with a fault."""
    return [judged(second, label, state, since) for second in seconds]


def test_each_new_row_of_a_calm_link_is_kept_once():
    """Windows overlap by all but a second, and a capture must not."""
    choice = make_choice()

    push(choice, *calm(*range(20)))

    assert chosen(choice) == {"fault": [], "around": [], "normal": list(range(-LAST, 20))}


def test_of_calm_links_only_the_minutes_of_the_sample_are_kept():
    """Whole minutes, since windows are to be cut from them."""
    choice = make_choice(normal_share=0.1)
    push(choice, *calm(*range(6000)))

    kept = chosen(choice)["normal"]

    rows = Counter((NOON_MS + round(second) * 1000) // 60_000 for second in kept)
    assert rows
    assert all(is_chosen("trunk-1", minute, 0.1) for minute in rows)
    cut_off = {NOON_MS // 60_000, (NOON_MS + 6_000_000) // 60_000}
    assert {count for minute, count in rows.items() if minute not in cut_off} == {60}
    assert choice.passed == 6000 - sum(second >= 0 for second in kept)


def test_a_fault_is_kept_with_the_whole_window_that_first_said_so():
    """What led to the first verdict is what the next encoder has to learn from."""
    choice = make_choice(normal_share=0.0, around_seconds=0.0)
    push(choice, *calm(*range(10)), *faulty(10, 11, since=10), *calm(12, 13, since=12))

    assert chosen(choice)["fault"] == [10 - LAST, *range(11 - LAST, 12)]


def test_one_strange_window_is_kept_though_the_state_never_changes():
    """A doubt that passed is just what somebody should look at."""
    choice = make_choice(normal_share=0.0)
    push(choice, *calm(0, 1, 2), *faulty(3, since=-10_000, state="normal"), *calm(4, 5))

    assert chosen(choice) == {"fault": [0, 1, 2, 3], "around": [], "normal": []}


def test_rows_of_a_state_that_is_no_longer_said_are_a_fault_too():
    """Until the state is over nobody may take a row of it for normal traffic."""
    choice = make_choice()
    push(choice, *faulty(0, 1, since=0), *faulty(2, 3, since=0, label="normal"))

    assert chosen(choice)["fault"] == list(range(-LAST, 4))


def test_what_is_around_a_change_is_kept_before_and_after_it():
    """The way into a fault and out of it tells more than the middle."""
    choice = make_choice(normal_share=0.0)
    push(choice, *calm(*range(30)), *faulty(30, 31, since=31), *calm(*range(32, 60), since=33))

    kept = chosen(choice)

    assert kept["fault"] == list(range(30 - LAST, 32))
    # The change to the fault began at second 31, so from 26; that back was noticed at 33.
    assert kept["around"] == [26, *range(32, 33 + AROUND)]


def test_a_first_state_is_no_change_but_a_first_fault_is():
    """Every start of a daemon settles every link, and that is not worth keeping."""
    quiet, loud = make_choice(normal_share=0.0), make_choice(normal_share=0.0)
    unsettled = [judged(second, state=None, since=0) for second in range(10)]

    push(quiet, *unsettled, *calm(*range(10, 20), since=9))
    push(loud, *unsettled, *faulty(10, since=10))

    assert not any(chosen(quiet).values())
    assert chosen(loud)["around"] == [5, 6]


def test_a_link_that_was_restored_goes_on_with_the_change_before_the_restart():
    """A daemon that restarts in a recovery must not lose what comes after it."""
    choice = make_choice(normal_share=0.0)

    push(choice, *calm(*range(10), since=1))

    assert chosen(choice)["around"] == list(range(-LAST, 1 + AROUND))


def test_a_link_that_fell_silent_keeps_its_last_rows():
    """Nothing comes of it any more, so no window tells of the change."""
    choice = make_choice(normal_share=0.0)
    push(choice, *calm(*range(20), since=-10_000))

    choice.turn("trunk-1", NOON_MS + 300_000)  # however late it is noticed
    choice.turn("unheard-of", NOON_MS)

    assert chosen(choice)["around"] == list(range(15, 20))


def test_a_link_that_speaks_again_after_a_silence_changed():
    """Its state is normal as before, and only since when tells that it was not between."""
    choice = make_choice(normal_share=0.0)
    push(choice, *calm(*range(20)), *calm(*range(400, 420), since=401))

    assert chosen(choice)["around"] == list(range(400 - LAST, 401 + AROUND))


def test_two_changes_far_apart_have_nothing_kept_between_them():
    """Around is around: an hour between two faults is an hour of ordinary traffic."""
    choice = make_choice(normal_share=0.0)
    push(
        choice,
        *calm(*range(20)),
        *faulty(20, since=20),
        *calm(*range(21, 80), since=22),
        *faulty(80, since=80),
    )

    assert chosen(choice)["around"] == [15, 16, *range(21, 22 + AROUND), 75, 76]


def test_a_late_fault_is_not_lost():
    """Partitions move, and what was judged twice or late may be the only fault of the day."""
    choice = make_choice(normal_share=0.0, around_seconds=0.0)
    push(choice, *faulty(100, since=100), *calm(*range(101, 130), since=101))

    push(choice, *faulty(80, since=101, state="normal"), *faulty(118, since=101, state="normal"))

    kept = [*range(80 - LAST, 81), *range(100 - LAST, 101), *range(118 - LAST, 119)]
    assert chosen(choice)["fault"] == kept


def test_a_clock_set_back_loses_no_fault():
    """A year of rows would be taken for repeats if one exporter once had the wrong year."""
    choice = make_choice(normal_share=1.0)
    year = 365 * 86_400
    push(choice, *faulty(year, since=year), *calm(year + 1, since=year + 1))

    push(choice, *calm(*range(10), since=year + 1), *faulty(10, 11, since=10))

    kept = chosen(choice)
    # The first window of the past may be a late one; the second says the rest of it again.
    calm_then = [second for second in kept["normal"] + kept["around"] if second < 100]
    assert calm_then == list(range(1 - LAST, 10 - LAST))
    assert [second for second in kept["fault"] if second < 100] == list(range(10 - LAST, 12))


def test_the_same_time_again_after_a_clock_set_back_is_another_fault():
    """What was stored of the hour that comes twice is not what happens in it now."""
    choice = make_choice(normal_share=0.0, around_seconds=0.0)
    push(choice, *faulty(0, 1, since=0), *calm(500, since=2))
    fresh(choice)

    push(choice, *calm(-9, -8, since=2), *faulty(0, 1, since=0))

    assert fresh(choice)["fault"] == list(range(-LAST, 2))


def test_windows_with_gaps_between_them_are_all_kept():
    """A hop may be longer than a window."""
    choice = make_choice()

    push(choice, *calm(0, 10, 20))

    assert chosen(choice)["normal"] == [n + place for n in (0, 10, 20) for place in range(-3, 1)]


def test_jitter_neither_doubles_a_row_nor_drops_one():
    """Exporters report at about the second."""
    choice = make_choice()
    push(choice, *calm(*(second + 0.4 * (second % 2) for second in range(20))))

    assert [round(second) for second in chosen(choice)["normal"]] == list(range(-LAST, 20))
    assert choice.passed == 0


def test_the_past_gets_shorter_for_all_links_when_memory_is_short():
    """A daemon that has more links than it was meant for must not grow until it is killed."""
    choice = make_choice(normal_share=0.0, around_seconds=60.0)
    for second in range(100):
        push(choice, *calm(second, link="trunk-1"), *calm(second, link="trunk-2"))
    size = row_bytes(SPEC)
    full = choice.waiting_bytes

    choice.fit(20 * size)

    assert full == 2 * 64 * size
    assert choice.waiting_bytes <= 20 * size
    assert choice.reach_seconds < 7
    push(choice, *faulty(100, since=100))
    assert chosen(choice)["around"][-1] == 100 - LAST - 1  # the newest are still there


def test_the_past_gets_longer_again_when_there_is_room():
    """One burst must not cost the way into every later fault."""
    choice = make_choice()
    push(choice, *calm(*range(30)))
    choice.fit(0)
    assert choice.reach_seconds == 0

    for _ in range(20):
        choice.tend(0.0, 10**9)

    assert choice.reach_seconds == AROUND


def test_a_whole_first_window_is_kept_even_without_any_memory():
    """The window itself brings what the memory no longer has."""
    choice = make_choice(normal_share=0.0)
    push(choice, *calm(*range(10)))
    choice.fit(0)

    push(choice, *faulty(10, since=10))

    assert chosen(choice)["fault"] == list(range(10 - LAST, 11))


def test_links_that_left_are_forgotten():
    """Names come and go for years."""
    choice = make_choice()
    push(choice, *calm(*range(4), link="gone"), now=0.0)
    push(choice, *calm(*range(4), link="here"), now=FORGET_SECONDS)

    choice.tend(FORGET_SECONDS + 1, 10**9)

    assert choice.waiting_bytes == 7 * row_bytes(SPEC)
    assert {row.link for row in choice.take_fresh()["normal"]} == {"gone"}


def test_after_a_reload_what_is_around_a_change_is_still_kept():
    """Operators reload when something happened."""
    choice = make_choice(normal_share=0.0, around_seconds=3.0)
    push(choice, *faulty(0, since=0), *calm(1, since=1))

    choice.use(make_spec(steps=2))
    push(choice, *(judged(n, since=1, spec=choice.spec) for n in range(2, 20)))

    assert chosen(choice)["around"] == list(range(1, 2 + 3))


def test_windows_of_another_shape_begin_anew_and_say_nothing_twice():
    """After a reload a link's rows go on where they stopped."""
    choice = make_choice()
    other = make_spec(features=("requests", "answers", "busy"), optional=())
    push(choice, *calm(0, 1), *faulty(2, since=2))

    choice.use(other)

    before = fresh(choice)
    push(choice, judged(3, "blocked", "blocked", 2, spec=other))
    (row,) = choice.take_fresh()["fault"]
    assert before == {"fault": [-1, 0, 1, 2], "around": [-3, -2], "normal": []}
    np.testing.assert_array_equal(
        np.frombuffer(row.values, np.float32), values_at("trunk-1", NOON_MS + 3000, other)[0]
    )


def test_a_verdict_stands_on_the_last_row_of_its_window():
    """So it is known what was judged, and not said again for every second before."""
    choice = make_choice()
    push(choice, *calm(0, since=-7), *faulty(1, since=1))
    choice.finish()

    rows = sorted(
        (row for rows in choice.take_fresh().values() for row in rows), key=lambda row: row.t_ms
    )

    said = [(row.label, row.state, row.since_ms) for row in rows]
    nothing = (None, None, None)
    normal, blocked = ("normal", "normal", NOON_MS - 7000), ("blocked", "blocked", NOON_MS + 1000)
    assert said == [nothing] * LAST + [normal, blocked]


def test_a_fault_says_more_of_a_row_than_a_calm_window_that_ended_there():
    """Two exporters may report one link, and only one sees it."""
    choice = make_choice()

    push(choice, *calm(0), *faulty(0, since=-10_000, state="normal"))

    *_, row = choice.take_fresh()["fault"]
    assert row.label == "blocked"
    assert choice.passed == 1


def test_what_waits_holds_no_part_of_a_message():
    """A view of one window would keep a message of ten thousand in memory."""
    message = np.ones((1000, *SPEC.shape), np.float32)
    window, verdict, since_ms = judged(0)
    choice = make_choice()

    choice.push(type(window)("a", "b", 0, 4000, message[7]), verdict, since_ms)

    message[:] = 0
    assert [np.frombuffer(row.values, np.float32).sum() for row in _all(choice)] == [4.0] * 4


def _all(choice):
    choice.finish()
    return [row for rows in choice.take_fresh().values() for row in rows]


# Windows as they may come: mostly a second later, sometimes again, late, or after a gap; or the
# clock was set back or forward by far.
STEPS = st.sampled_from([1] * 12 + [0, 2, 3, 7, 40, -1, -3, -30, -1000, 5000])
SAID = st.sampled_from(
    [("normal", "normal")] * 6
    + [("blocked", "normal"), ("blocked", "blocked"), ("normal", "blocked"), ("normal", None)]
    + [("unknown", "unknown"), ("normal", "silent")]
)
TRAFFIC = st.lists(st.tuples(STEPS, SAID), min_size=1, max_size=120)


def windows_of(traffic, link="trunk-1"):
    """Make windows of drawn traffic; a state is since the window that changed it."""
    second, since, before = 10_000, 9_000, None
    for step, (label, state) in traffic:
        second += step
        if state != before:
            since, before = second, state
        yield second, judged(second, label, state, since, link=link)


@given(TRAFFIC, st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0, 3 * row_bytes(SPEC), 10**9]))
def test_whatever_comes_no_fault_is_lost_and_every_window_is_accounted_for(traffic, share, memory):
    """These hold for repeats, late windows, gaps, clocks set back and no memory at all."""
    choice = make_choice(normal_share=share)
    kept, faults = [], set()
    for second, (window, verdict, since_ms) in windows_of(traffic):
        if verdict.label != "normal" or verdict.state not in ("normal", None):
            faults |= set(range(second - LAST, second + 1))
        choice.push(window, verdict, since_ms)
        choice.fit(memory)
    choice.finish()

    for kind, rows in choice.take_fresh().items():
        kept += [(kind, row) for row in rows]
    assert faults <= set(seconds_of(row for kind, row in kept if kind == "fault"))
    assert choice.passed + sum(row.label is not None for _, row in kept) == len(traffic)
    for _, row in kept:
        np.testing.assert_array_equal(
            np.frombuffer(row.values, np.float32), values_at("trunk-1", row.t_ms)[0]
        )


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 1, 1, 0, 2, 6]), st.sampled_from([0, 0, 0, 1, 3, 5]), SAID),
        max_size=120,
    ),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_each_row_is_kept_once_and_as_one_thing(traffic, share):
    """Or the normal traffic of the next training would hold the seconds before a fault.

    So long as no window is later than what waits.
    """
    choice = make_choice(normal_share=share)
    newest = earlier = 0
    moves = []
    for step, late, said in traffic:
        newest += step
        moves.append((newest - late - earlier, said))
        earlier = newest - late
    for _, (window, verdict, since_ms) in windows_of(moves):
        choice.push(window, verdict, since_ms)
    choice.finish()

    rows = Counter(row.t_ms for rows in choice.take_fresh().values() for row in rows)

    assert set(rows.values()) <= {1}


@given(st.lists(SAID, min_size=1, max_size=100), st.sampled_from([0.0, 1.0]))
def test_even_traffic_is_parted_as_the_plain_rule_says(said, share):
    """The rule with all rows at hand, instead of one window after another."""
    choice = make_choice(normal_share=share)
    traffic = list(windows_of([(1, each) for each in said]))
    for _, (window, verdict, since_ms) in traffic:
        choice.push(window, verdict, since_ms)

    kept = chosen(choice)

    faults, around, every, before = set(), set(), set(), None
    for number, (second, (_, verdict, since_ms)) in enumerate(traffic):
        rows = set(range(second - LAST, second + 1))
        every |= rows
        if verdict.label != "normal" or verdict.state not in ("normal", None):
            faults |= rows
        since = (since_ms - NOON_MS) // 1000
        is_first = number == 0 and verdict.state is not None
        is_change = verdict.state != before and (before, verdict.state) != (None, "normal")
        if is_first or is_change:
            at = since if is_first else second + 1
            around.update(range(since - AROUND, at + AROUND))
        before = verdict.state
    assert kept["fault"] == sorted(faults)
    assert kept["around"] == sorted((around & every) - faults)
    assert kept["normal"] == sorted(every - faults - around if share else [])


@given(TRAFFIC, TRAFFIC)
def test_links_do_not_touch_each_other(one, other):
    """A noisy link must not change what is kept of a quiet one."""
    alone, both = make_choice(normal_share=0.3), make_choice(normal_share=0.3)
    mine = [each for _, each in windows_of(one)]
    theirs = [each for _, each in windows_of(other, "trunk-2")]
    push(alone, *mine)
    for place in range(max(len(mine), len(theirs))):
        push(both, *theirs[place : place + 1], *mine[place : place + 1])

    alone.finish()
    both.finish()

    expected, found = alone.take_fresh(), both.take_fresh()
    for kind in KINDS:
        assert [row for row in found[kind] if row.link == "trunk-1"] == expected[kind]


@pytest.mark.parametrize("state", ["blocked", "unknown", "silent", "retired"])
def test_every_state_but_normal_is_a_fault(state):
    """New states come with new bundles, and the store must not have to know them."""
    choice = make_choice()

    push(choice, judged(0, "normal", state, 0))

    assert fresh(choice)["fault"] == [-3, -2, -1, 0]
