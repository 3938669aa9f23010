"""Truth: which reported changes count as found, missed or false."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.capture import LinkCapture
from detector.truth import GRACE_MS, Change, Stretch, compare, stretches

SPAN_MS = 4000
SHORT = {"n": "normal", "b": "blocked", "l": "capacity-limited", ".": None}


def capture(rows, link="trunk-1", start_ms=0):
    """Make a capture of one row a second, its labels written as one letter each."""
    labels = np.array([SHORT[row] for row in rows], object)
    values = np.zeros((len(rows), 1), np.float32)
    return LinkCapture(link, start_ms, 1000, values, labels, labels)


def changes(**at_seconds):
    """Make reported changes of trunk-1: label to seconds, or to several."""
    return [
        Change("trunk-1", round(at * 1000), SHORT[label])
        for label, times in at_seconds.items()
        for at in (times if isinstance(times, tuple) else (times,))
    ]


FAULT = capture("n" * 20 + "b" * 20 + "n" * 20)  # blocked from second 20 to second 40


def test_a_change_is_found_with_the_delay_from_its_beginning():
    """The delay is what an engineer waits, counted from when the cable was pulled."""
    found = compare([FAULT], changes(b=26.5, n=43), SPAN_MS)

    assert (found.onsets, found.found, found.missed, found.false) == (2, 2, [], [])
    assert found.delays_seconds == {"blocked": [6.5], "normal": [3.0]}
    assert found.watched_seconds == 56


def test_a_change_that_nobody_reported_is_missed():
    """An outage that was slept through is the first thing to be told of."""
    found = compare([FAULT], changes(n=43), SPAN_MS)

    assert found.missed == [Change("trunk-1", 20_000, "blocked")]
    assert (found.onsets, found.found, found.false) == (2, 1, [])


def test_a_change_that_did_not_happen_is_false():
    """False alarms are why tools get muted; each has to be counted."""
    found = compare([FAULT], changes(b=(10, 26), n=(12, 43), l=30), SPAN_MS)

    assert found.false == [
        Change("trunk-1", 10_000, "blocked"),
        Change("trunk-1", 30_000, "capacity-limited"),
    ]
    assert found.found == 2


@pytest.mark.parametrize(
    ("at", "found", "false"),
    [(20, 1, 0), (39, 1, 0), (40, 1, 0), (40.1, 0, 0), (45, 0, 0), (45.1, 0, 1), (19.9, 0, 1)],
)
def test_what_comes_too_late_is_missed_and_after_the_grace_it_is_false_as_well(at, found, false):
    """Who is told of a fault when it is over was not warned, but was not lied to either."""
    answer = compare([FAULT], changes(b=at), SPAN_MS)

    assert GRACE_MS == 5000
    assert answer.delays_seconds.get("blocked", []) == [at - 20][:found]
    assert len(answer.false) == false
    assert len([miss for miss in answer.missed if miss.label == "blocked"]) == 1 - found


def test_only_the_first_report_of_a_change_counts_for_its_delay():
    """A state that flutters must not look quicker or slower for it."""
    found = compare([FAULT], changes(b=(35, 25, 30), n=45), SPAN_MS)

    assert found.delays_seconds["blocked"] == [5.0]
    assert found.found == 2


def test_a_change_before_the_end_of_the_first_window_does_not_count():
    """Nobody can report it sooner, so its delay would tell when the recording began."""
    early, late = capture("nn" + "b" * 28), capture("n" * 6 + "b" * 24)

    found = [compare([link], changes(b=8), SPAN_MS) for link in (early, late)]

    assert [one.onsets for one in found] == [0, 1]
    assert [one.false for one in found] == [[], []]
    assert found[1].delays_seconds == {"blocked": [2.0]}


def test_each_link_is_held_against_its_own_truth():
    """A report about the neighbour is no help."""
    links = [FAULT, capture("n" * 60, "trunk-2")]
    reported = [Change("trunk-2", 26_000, "blocked"), Change("unknown", 26_000, "blocked")]

    found = compare(links, reported, SPAN_MS)

    assert found.false == [Change("trunk-2", 26_000, "blocked")]
    assert len(found.missed) == 2
    assert found.watched_seconds == 112


def test_rows_without_a_label_belong_to_the_change_that_they_are_in():
    """While a valve is being turned nobody can say which it is; the clock starts all the same."""
    link = capture("nnn..bbb.nn", start_ms=1000)

    assert stretches(link) == [
        Stretch("normal", 1000, 4000),
        Stretch("blocked", 4000, 9000),
        Stretch("normal", 9000, 12_000),
    ]


def test_a_label_that_comes_back_after_a_gap_is_one_stretch():
    """A probe that paused did not see a change."""
    assert stretches(capture("nn...nn")) == [Stretch("normal", 0, 7000)]


def test_unknown_rows_at_the_ends_belong_to_what_is_next_to_them():
    """A capture usually begins before anybody wrote down what was true."""
    assert stretches(capture("..bb..")) == [Stretch("blocked", 0, 6000)]


@pytest.mark.parametrize("rows", ["", "....."])
def test_a_link_without_labels_has_no_truth_to_be_held_against(rows):
    """Most of what runs in the field is such a link, and its events are not false."""
    link = capture(rows)

    found = compare([link], changes(b=2), SPAN_MS)

    assert stretches(link) == []
    assert (found.onsets, found.missed, found.false, found.watched_seconds) == (0, [], [], 0)


@given(st.text("nbl.", max_size=40), st.integers(0, 10**6))
def test_stretches_cover_the_capture_and_never_repeat_a_label(rows, start_ms):
    """Time that belongs to two truths, or to none, would be counted twice, or not at all."""
    found = stretches(capture(rows, start_ms=start_ms))

    if rows.strip("."):
        assert found[0].start_ms == start_ms
        assert found[-1].end_ms == start_ms + 1000 * len(rows)
    for before, after in itertools.pairwise(found):
        assert before.end_ms == after.start_ms > before.start_ms
        assert before.label != after.label


@given(st.text("nbl.", min_size=1, max_size=40))
def test_a_report_of_every_true_change_at_once_is_perfect(rows):
    """The measure has to give its best mark to the best answer."""
    link = capture(rows)
    truth = stretches(link)
    reported = [Change("trunk-1", stretch.start_ms, stretch.label) for stretch in truth[1:]]

    found = compare([link], reported, 0)

    assert found.found == found.onsets == len(reported)
    assert (found.missed, found.false) == ([], [])
    assert {delay for delays in found.delays_seconds.values() for delay in delays} <= {0.0}


def test_what_is_reported_where_nobody_knows_the_truth_does_not_count():
    """A fault without a name, or a time without traffic, can be called nothing rightly."""
    unknown = capture("n" * 20 + "." * 20 + "n" * 20)

    found = compare([unknown], changes(b=(10, 30, 50)), SPAN_MS)

    assert [change.at_ms for change in found.false] == [10_000, 50_000]
    assert found.unscored == 1


@pytest.mark.parametrize(("at", "unscored"), [(-1, 1), (59, 0), (64.9, 0), (66, 1), (7200, 1)])
def test_what_is_reported_outside_of_a_capture_does_not_count(at, unscored):
    """A daemon goes on watching when the recording has ended."""
    found = compare([capture("n" * 60)], changes(n=at), SPAN_MS)

    assert (found.unscored, found.false) == (unscored, [])
