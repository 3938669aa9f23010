"""A link's state: laws that hold for any windows in any order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.state import Steady

LABELS = st.lists(st.sampled_from(["normal", "blocked", "limited"]), max_size=40)
RULES = st.integers(1, 7).flatmap(
    lambda of: st.tuples(st.integers(of // 2 + 1, of), st.just(of))
)  # agree, of


def push_all(steady, labels, link="trunk-1", step=1000):
    """Push one window after the other, and give the states after each."""
    return [steady.push(link, row * step, label).label for row, label in enumerate(labels)]


@given(LABELS)
def test_one_of_one_is_the_last_label(labels):
    """Who wants every window's word at once can have it."""
    assert push_all(Steady(1, 1), labels) == labels


@given(LABELS, RULES)
def test_a_state_is_what_enough_of_the_last_windows_say(labels, rule):
    """The definition itself, window by window: enough agree, or all stays as it was."""
    agree, of = rule
    expected, state = [], None
    for row in range(len(labels)):
        recent = labels[max(0, row + 1 - of) : row + 1]
        state = labels[row] if recent.count(labels[row]) >= agree else state
        expected.append(state)

    assert push_all(Steady(agree, of), labels) == expected


@given(LABELS, LABELS, RULES, st.randoms(use_true_random=False))
def test_links_do_not_touch_each_other(first, second, rule, random):
    """One noisy trunk must not change what is said of another."""
    alone = push_all(Steady(*rule), first), push_all(Steady(*rule), second)
    turns = [0] * len(first) + [1] * len(second)
    random.shuffle(turns)
    steady, left, states = Steady(*rule), (list(first), list(second)), ([], [])

    for turn in turns:
        end_ms = len(states[turn]) * 1000
        states[turn].append(steady.push(str(turn), end_ms, left[turn].pop(0)).label)

    assert states == alone


@given(LABELS, RULES, st.data())
def test_a_repeat_or_a_late_window_changes_nothing(labels, rule, data):
    """After a restart Kafka hands out again what was judged before."""
    again = [data.draw(st.integers(0, row), "again") for row in range(len(labels))]
    plain = push_all(Steady(*rule), labels)
    steady, states = Steady(*rule), []

    for row, label in enumerate(labels):
        states.append(steady.push("trunk-1", row * 1000, label).label)
        steady.push("trunk-1", again[row] * 1000, "limited")

    assert states == plain


def test_the_state_began_with_the_first_window_that_said_so():
    """An engineer looks for the cause at the beginning, not where it became certain."""
    steady = Steady(3, 5)
    push_all(steady, ["normal"] * 3 + ["blocked", "normal", "blocked", "blocked"])

    state = steady.links["trunk-1"]

    assert (state.label, state.since_ms, state.last_ms) == ("blocked", 3000, 6000)


@pytest.mark.parametrize(("restart_seconds", "label"), [(60, "blocked"), (600, "normal")])
def test_a_clock_that_was_set_back_does_not_silence_a_link(restart_seconds, label):
    """Without this one wrong date would hide every fault of that link until the date comes."""
    steady = Steady(2, 3, restart_seconds)
    for end_ms in (1_000_000, 1_001_000):
        steady.push("trunk-1", end_ms, "normal")

    for end_ms in (900_000, 901_000):
        state = steady.push("trunk-1", end_ms, "blocked")

    assert state.label == label


def test_windows_from_before_the_clock_was_set_do_not_count_any_more():
    """A state has to be settled anew by windows of one and the same time."""
    steady = Steady(2, 3, restart_seconds=60)
    steady.push("trunk-1", 1_000_000, "blocked")

    state = steady.push("trunk-1", 0, "blocked")

    assert state.label is None


def test_a_step_back_of_exactly_the_limit_is_only_late():
    """The limit is where the setting says."""
    steady = Steady(1, 1, restart_seconds=60)
    steady.push("trunk-1", 60_000, "normal")

    assert steady.push("trunk-1", 0, "blocked").label == "normal"


def test_links_that_went_quiet_are_forgotten_and_only_those():
    """Links come and go for years; what the daemon keeps of them must not only grow."""
    steady = Steady(1, 1)
    steady.push("old", 0, "normal", seen=10.0)
    steady.push("new", 0, "normal", seen=20.0)

    dropped = steady.forget(before=20.0)

    assert dropped == 1
    assert list(steady.links) == ["new"]


def test_a_late_window_keeps_a_link_from_being_forgotten():
    """An exporter that lags behind is not one that went away."""
    steady = Steady(1, 1)
    steady.push("trunk-1", 5000, "normal", source="probe-1", seen=10.0)

    state = steady.push("trunk-1", 4000, "normal", source="probe-2", seen=20.0)

    assert (state.seen, state.source) == (20.0, "probe-2")
    assert steady.forget(before=20.0) == 0


@pytest.mark.parametrize(
    ("agree", "of", "why"),
    [(0, 1, "can't agree"), (-1, 3, "can't agree"), (4, 3, "can't agree"), (2, 4, "two labels")],
)
def test_a_rule_that_could_name_no_label_or_two_is_refused(agree, of, why):
    """A link in two states at once would raise two alerts that contradict each other."""
    with pytest.raises(ValueError, match=why):
        Steady(agree, of)
