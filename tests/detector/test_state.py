"""A link's state: laws that hold for any windows in any order."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import State
from detector.state import NORMAL, SILENT, UNKNOWN, Said, Steady

LABELS = ("blocked", "limited", "normal")
SPAN_MS = 15_000
BLOCKED, LIMITED, WELL = 0, 1, 2
START_MS = 1_000_000

# Windows of a link a second apart: the nearest label, how clearly, how strange.
WINDOWS = st.lists(
    st.tuples(
        st.sampled_from([BLOCKED, LIMITED, WELL]),
        st.floats(0, 0.5),
        st.sampled_from([0.0, 0.3, 0.9, 1.0, 1.1, 2.0, 50.0]),
    ),
    max_size=60,
)


def say(place, nearness=0.1, strange=0.0, *, second=0, span_ms=SPAN_MS):
    """Make what a window says: label *place* has this share of the two smallest distances."""
    shares = [1 - nearness] * len(LABELS)
    shares[place] = nearness
    return Said(START_MS + second * 1000, span_ms, place, shares, strange, 1 - 2 * nearness)


def steady(**rule):
    """Make a rule's states."""
    return Steady(LABELS, State(**rule))


def push_all(states, windows, link="trunk-1", first=0):
    """Push windows a second apart and give the labels after each."""
    return [
        states.push(link, say(*window, second=first + second)).label
        for second, window in enumerate(windows)
    ]


def settled(**rule):
    """Make states of a link that has been normal for a minute."""
    states = steady(**rule)
    push_all(states, [(WELL,)] * 60)
    states.take_turns()
    return states


def seconds_until(states, label, window, first=60, most=600):
    """Count the windows of one sort until the state has a label."""
    for second in range(most):
        if states.push("trunk-1", say(*window, second=first + second)).label == label:
            return second + 1
    return None


def test_a_clear_fault_takes_a_few_windows_and_a_vague_one_more():
    """Nobody wants to wait for what is plain, nor to be called for what is not."""
    waits = [seconds_until(settled(), "blocked", (BLOCKED, share)) for share in (0.1, 0.3, 0.4)]

    assert waits == [2, 4, 10]


def test_what_is_too_vague_never_counts():
    """A window that is as near to normal as to a fault says nothing, however often."""
    assert seconds_until(settled(), "blocked", (BLOCKED, 0.45)) is None


@given(WINDOWS)
def test_no_window_decides_alone(windows):
    """One window can be wrong, and who is woken by one mutes the tool."""
    states = steady(hold_seconds=0)
    labels = push_all(states, windows)

    for before, now, after in zip([None, *labels], labels, labels[1:], strict=False):
        assert now in (before, after) or before == after or None in (before, now, after)
    turns = [turn.at_ms for turn in states.take_turns()]
    assert all(late - early >= 2000 for early, late in itertools.pairwise(turns))


@given(WINDOWS)
def test_a_change_is_always_told_once_with_what_was_before(windows):
    """Events are made of these: what isn't told opens an alarm that nobody closes."""
    states = steady()
    labels = push_all(states, windows)

    seen, state = [], None
    for label in labels:
        if label != state:
            seen.append((state, label))
            state = label
    turns = states.take_turns()
    assert [(turn.previous, turn.state) for turn in turns] == seen
    assert [turn.began_ms for turn in turns[1:]] == [turn.since_ms for turn in turns[:-1]]
    assert all(turn.since_ms <= turn.at_ms for turn in turns)
    assert states.take_turns() == []


@given(WINDOWS, WINDOWS, st.randoms(use_true_random=False))
def test_links_do_not_touch_each_other(first, second, random):
    """One noisy trunk must not change what is said of another."""
    alone = push_all(steady(), first), push_all(steady(), second)
    order = [0] * len(first) + [1] * len(second)
    random.shuffle(order)
    states, left, labels = steady(), (list(first), list(second)), ([], [])

    for which in order:
        window = left[which].pop(0)
        said = say(*window, second=len(labels[which]))
        labels[which].append(states.push(str(which), said).label)

    assert labels == alone


@given(WINDOWS, st.data())
def test_a_repeat_or_a_late_window_changes_nothing(windows, data):
    """After a restart Kafka hands out again what was judged before."""
    again = [data.draw(st.integers(0, row), "again") for row in range(len(windows))]
    plain = push_all(steady(), windows)
    states, labels = steady(), []

    for second, window in enumerate(windows):
        labels.append(states.push("trunk-1", say(*window, second=second)).label)
        states.push("trunk-1", say(LIMITED, 0.0, second=again[second]))

    assert labels == plain


def test_what_speaks_against_a_fault_is_not_saved_up():
    """A link that was suspected all day and cleared must be believed when it fails."""
    suspected, fresh = settled(), settled()
    for second in range(60, 360):
        place = BLOCKED if second % 6 == 0 else WELL
        suspected.push("trunk-1", say(place, second=second))
    assert suspected.take_turns() == []

    waits = [
        seconds_until(states, "limited", (LIMITED, 0.3), first=first)
        for states, first in ((suspected, 360), (fresh, 60))
    ]

    assert waits[0] == waits[1]


@pytest.mark.parametrize("hop_ms", [100, 200, 500, 1000])
def test_evidence_counts_time_and_not_windows(hop_ms):
    """Who reports ten times a second is not ten times as sure."""
    states = settled()
    begun_ms = START_MS + 59_000

    for number in range(1, 200):
        said = say(BLOCKED, 0.3)._replace(end_ms=begun_ms + number * hop_ms)
        if states.push("trunk-1", said).label == "blocked":
            break

    assert number * hop_ms == pytest.approx(3400, abs=max(600, hop_ms))


def test_a_link_that_reports_seldom_is_believed_after_two_windows():
    """At one window a minute nobody can wait for four."""
    states = settled()

    labels = [
        states.push("trunk-1", say(BLOCKED, 0.3, second=60 + n * 10)).label for n in range(1, 3)
    ]

    assert labels == [NORMAL, "blocked"]


def test_a_recovery_storm_is_no_new_fault():
    """What was held back comes at once and looks like a fault: then it takes more to be one."""
    states = settled()
    seconds_until(states, "blocked", (BLOCKED,))
    back = seconds_until(states, NORMAL, (WELL,), first=80)
    assert back == 2

    late = seconds_until(states, "limited", (LIMITED, 0.3), first=82)

    assert (late, seconds_until(settled(), "limited", (LIMITED, 0.3))) == (7, 4)


def test_long_after_a_fault_the_next_takes_no_longer():
    """A second fault an hour later is as urgent as the first."""
    states = settled(recovery_seconds=30)
    seconds_until(states, "blocked", (BLOCKED,))
    push_all(states, [(WELL,)] * 60, first=80)

    assert seconds_until(states, "limited", (LIMITED, 0.3), first=140) == 4


def test_a_state_is_held_for_a_while():
    """A state that lasts a second is a state that nobody could have looked at."""
    quick, held = settled(hold_seconds=0), settled(hold_seconds=10)
    for states in (quick, held):
        seconds_until(states, "blocked", (BLOCKED,))

    waits = [seconds_until(states, NORMAL, (WELL,), first=62) for states in (quick, held)]

    assert waits == [2, 10]


def flap(states, changes, first=60):
    """Let a link change between normal and blocked every ten seconds."""
    second = first
    for change in range(changes):
        push_all(states, [((BLOCKED, WELL)[change % 2],)] * 10, first=second)
        second += 10
    return second


def test_a_link_that_flaps_is_one_fault_until_it_is_calm():
    """Ten calls in five minutes are no ten incidents."""
    states = settled(flap_changes=6, flap_seconds=600, flap_calm_seconds=30)

    second = flap(states, 12)
    changes = len(states.take_turns())
    state = states.links["trunk-1"]

    assert state.is_flapping(states.rule)
    assert (changes, state.label) == (7, "blocked")
    assert seconds_until(states, NORMAL, (WELL,), first=second) == 20


@pytest.mark.parametrize("rule", [{"flap_changes": 100}, {"flap_seconds": 20}])
def test_what_counts_as_flapping_is_a_setting(rule):
    """On a link that is rerouted every minute by design, this must not mute the rest."""
    states = settled(**{"flap_changes": 6, "flap_seconds": 600} | rule)

    flap(states, 12)

    assert len(states.take_turns()) == 12


def test_what_is_strange_long_enough_is_unknown_and_not_what_it_is_nearest_to():
    """The nearest of three faults is no diagnosis if all three are far."""
    states = settled()

    wait = seconds_until(states, UNKNOWN, (BLOCKED, 0.0, 1.5))

    assert wait == 2
    assert states.links["trunk-1"].label == UNKNOWN
    assert seconds_until(settled(), UNKNOWN, (WELL, 0.1, 1.05)) == 15


def test_what_is_known_again_leaves_unknown():
    """An unknown fault that turns out to be a known one is to be called by its name."""
    states = settled()
    seconds_until(states, UNKNOWN, (BLOCKED, 0.0, 3.0))

    assert seconds_until(states, "blocked", (BLOCKED, 0.1, 0.4), first=80) is not None


def test_exactly_at_the_threshold_nothing_is_unknown():
    """The budget is for what lies above it."""
    assert seconds_until(settled(), UNKNOWN, (WELL, 0.1, 1.0)) is None


def test_a_silent_link_has_to_be_sure_of_its_state_anew():
    """What it was before it fell silent says nothing of how it comes back."""
    states = settled()
    states.turn(states.link("trunk-1"), SILENT, START_MS + 80_000, START_MS + 59_000)

    labels = push_all(states, [(WELL,)] * 3, first=120)

    assert labels == [SILENT, NORMAL, NORMAL]
    assert [turn.state for turn in states.take_turns()] == [SILENT, NORMAL]


def test_the_state_began_with_the_first_window_that_said_so():
    """An engineer looks for the cause at the beginning, not where it became certain."""
    states = settled()
    push_all(states, [(BLOCKED, 0.3)] * 4, first=60)

    (turn,) = states.take_turns()

    assert (turn.since_ms, turn.at_ms) == (START_MS + 60_000, START_MS + 63_000)
    assert (turn.previous, turn.state) == (NORMAL, "blocked")


def test_the_clearest_window_of_a_fault_is_remembered_until_it_ends():
    """The end of an episode tells how bad it was."""
    states = settled()
    push_all(states, [(BLOCKED, share) for share in (0.2, 0.2, 0.2, 0.05, 0.2)], first=60)
    push_all(states, [(WELL,)] * 5, first=65)

    onset, end = states.take_turns()

    assert onset.state == end.previous == "blocked"
    assert end.worst_margin == pytest.approx(0.9)


@pytest.mark.parametrize(("restart_seconds", "label"), [(60, "blocked"), (6000, NORMAL)])
def test_a_clock_that_was_set_back_does_not_silence_a_link(restart_seconds, label):
    """Without this one wrong date would hide every fault of that link until the date comes."""
    states = settled(restart_seconds=restart_seconds)

    for second in range(-900, -890):
        state = states.push("trunk-1", say(BLOCKED, second=second))

    assert state.label == label


def test_a_step_back_of_exactly_the_limit_is_only_late():
    """The limit is where the setting says."""
    states = steady(restart_seconds=60)
    push_all(states, [(WELL,)] * 2, first=60)

    state = states.push("trunk-1", say(BLOCKED, second=1))

    assert state.last_ms == START_MS + 61_000


def test_evidence_from_before_a_gap_is_stale():
    """Two seconds of a fault an hour apart are no fault."""
    states = settled()
    states.push("trunk-1", say(BLOCKED, second=60))

    state = states.push("trunk-1", say(BLOCKED, second=60 + 3600))

    assert state.label == NORMAL
    assert states.push("trunk-1", say(BLOCKED, second=61 + 3600)).label == "blocked"


def test_a_link_of_which_only_samples_come_has_a_state_too():
    """Windows that don't touch each other say the same as ever, if they keep saying it."""
    states = steady()

    labels = [
        states.push("trunk-1", say(place, second=n * 240)).label
        for n, place in enumerate([WELL] * 4 + [BLOCKED] * 3)
    ]

    assert labels == [None, None, NORMAL, NORMAL, NORMAL, "blocked", "blocked"]


def test_a_fault_of_seven_days_is_that_fault_on_day_seven():
    """An incident must not become the new normal by lasting, nor be told again each day."""
    states = settled()
    week = 7 * 86_400
    for second in range(0, week, 5):
        # Not each window is as clear as the others, and now and then one is wrong.
        place = WELL if second % 1000 == 0 else BLOCKED
        states.push("trunk-1", say(place, 0.1 + 0.3 * (second % 7 == 0), second=60 + second))

    state = states.links["trunk-1"]

    assert state.label == "blocked"
    assert [turn.state for turn in states.take_turns()] == ["blocked"]
    assert state.since_ms < START_MS + 70_000


KNOBS = {
    "evidence": (0.5, 3.0),
    "doubt": (0.0, 0.3),
}


@pytest.mark.parametrize("name", KNOBS)
def test_turning_a_knob_changes_when_a_fault_is_noticed(name):
    """A setting that changes nothing is a promise that nobody keeps."""
    low, high = (
        seconds_until(settled(**{name: value}), "blocked", (BLOCKED, 0.3)) for value in KNOBS[name]
    )

    assert low < high


def test_every_setting_of_the_rule_has_a_test_here():
    """One that is forgotten here could stop working unnoticed."""
    named = {
        *KNOBS,
        *("hold_seconds", "recovery_seconds", "recovery_evidence", "restart_seconds"),
        *("flap_changes", "flap_seconds", "flap_calm_seconds"),
    }

    assert named == {field.name for field in msgspec.structs.fields(State)}


@given(WINDOWS, WINDOWS)
def test_links_go_on_as_they_were_when_a_label_is_added_that_nothing_says(before, after):
    """Enrolling a fault must not make anybody forget what the others have said so far."""
    once, again = steady(), steady()
    push_all(once, before)
    push_all(again, before)

    again.relabel(("blocked", "limited", "bent", "normal"))
    for second, (place, nearness, strange) in enumerate(after):
        said = say(place, nearness, strange, second=len(before) + second)
        once.push("trunk-1", said)
        shares = [*said.shares[:2], 1.5, said.shares[2]]
        other = said._replace(place=place + (place == WELL), shares=shares)
        again.push("trunk-1", other)

    assert again.links["trunk-1"].label == once.links["trunk-1"].label if before or after else True
    assert [turn.state for turn in again.turns] == [turn.state for turn in once.turns]


def test_a_link_whose_label_is_taken_away_keeps_its_state_until_another_is_clear():
    """A fault that nobody has a name for any more has not ended by that."""
    states = settled()
    push_all(states, [(LIMITED, 0.1, 0.0)] * 10, first=60)
    assert states.links["trunk-1"].label == "limited"

    states.relabel(("blocked", "normal"))
    assert states.links["trunk-1"].label == "limited"
    for second in range(80, 90):
        shares = [0.9, 0.1]
        states.push("trunk-1", Said(START_MS + second * 1000, SPAN_MS, 1, shares, 0.0, 0.8))

    assert states.links["trunk-1"].label == NORMAL
    assert states.turns[-1].previous == "limited"


def test_evidence_for_a_label_that_is_taken_away_sways_nobody():
    """What is usual is not learnt from a link while anything speaks against it."""
    states = settled()
    push_all(states, [(LIMITED, 0.3, 0.0)], first=60)
    assert states.links["trunk-1"].is_swayed

    states.relabel(("blocked", "normal"))

    assert not states.links["trunk-1"].is_swayed
