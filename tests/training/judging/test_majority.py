"""The majority rule: laws that hold for any labels in any order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.judging.majority import majority

LABELS = st.lists(st.sampled_from(["normal", "blocked", "limited"]), max_size=40)
RULES = st.integers(1, 7).flatmap(
    lambda of: st.tuples(st.integers(of // 2 + 1, of), st.just(of))
)  # agree, of


@given(LABELS)
def test_one_of_one_is_the_last_label(labels):
    """Who wants every window's word at once can have it."""
    assert list(majority(labels, 1, 1)) == labels


@given(LABELS, RULES)
def test_a_state_is_what_enough_of_the_last_windows_say(labels, rule):
    """The definition itself, window by window: enough agree, or all stays as it was."""
    agree, of = rule
    expected, state = [], None
    for row in range(len(labels)):
        recent = labels[max(0, row + 1 - of) : row + 1]
        state = labels[row] if recent.count(labels[row]) >= agree else state
        expected.append(state)

    assert list(majority(labels, agree, of)) == expected


@given(LABELS, LABELS, RULES)
def test_links_do_not_touch_each_other(first, second, rule):
    """One noisy trunk must not change what is said of another."""
    alone = list(majority(first, *rule)), list(majority(second, *rule))

    one, other = majority(first, *rule), majority(second, *rule)
    both = [], []
    for _ in range(max(len(first), len(second))):
        for states, found in zip((one, other), both, strict=True):
            found += [state for state in (next(states, "over"),) if state != "over"]

    assert both == alone


@given(LABELS, RULES, st.integers(0, 40))
def test_what_comes_later_changes_nothing_that_was_said(labels, rule, count):
    """A state is known when its window is, or no delay would be one that somebody waited."""
    assert list(majority(labels[:count], *rule)) == list(majority(labels, *rule))[:count]


def test_three_of_five_forgives_two_windows_and_three_of_three_none():
    """It is how a method that is wrong now and then is held to one state."""
    labels = ["blocked", "normal", "blocked", "normal", "blocked"]

    assert list(majority(labels, 3, 5)) == [None] * 4 + ["blocked"]
    assert list(majority(labels, 3, 3)) == [None] * 5


@pytest.mark.parametrize(
    ("agree", "of"), [(0, 1), (-1, 3), (4, 3), (2, 4), (0, 0), (1, 2), (3, 6)]
)
def test_a_rule_that_could_name_no_label_or_two_is_refused(agree, of):
    """A link in two states at once would be counted as right and as wrong."""
    with pytest.raises(ValueError, match=f"{agree} of {of} windows are not a majority"):
        list(majority(["normal"], agree, of))
