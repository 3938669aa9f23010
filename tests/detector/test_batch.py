"""Batching: how many windows are judged together, and how long the first one waits for company."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.batch import Batcher
from detector.message import encode
from detector.source import Message, Vitals
from tests.fakes import Clock, ListSource, make_spec, make_window

SPEC = make_spec()


def record(count=1, offset=0):
    """Make a record of *count* windows."""
    windows = [make_window(f"trunk-{offset}-{number}") for number in range(count)]
    return Message("windows", 0, offset, encode(windows, SPEC))


class TimedSource:
    """Has one record ready each time it is polled, after a given time, and notes the polls."""

    def __init__(self, clock, records, seconds_each=0.0):
        self.vitals = Vitals(is_assigned=True)
        self.polls = []
        self._clock, self._records, self._seconds = clock, list(records), seconds_each

    def poll(self, seconds, most):
        """Wait as a real source does: until something is there, or the time is up."""
        self.polls.append((round(seconds, 6), most))
        if not self._records or self._seconds > seconds:
            self._clock.sleep(seconds)
            return []
        self._clock.sleep(self._seconds)
        return [self._records.pop(0)]


def batch_of(records, *, windows=100, wait_seconds=1.0, seconds_each=0.0):
    """Take one batch, and give it with the source and the time that it took."""
    clock = Clock()
    source = TimedSource(clock, records, seconds_each)
    batcher = Batcher(source, SPEC, windows=windows, wait_seconds=wait_seconds, clock=clock)
    begun = clock()
    batch = batcher.next(poll_seconds=5.0)
    return batch, source, clock() - begun


def test_a_batch_that_is_full_does_not_wait():
    """Under load there is no delay but the work itself."""
    batch, source, seconds = batch_of([record(offset=n) for n in range(9)], windows=4)

    assert batch.messages == len(batch.windows) == 4
    assert seconds == 0
    assert source.polls == [(5.0, 4), (1.0, 3), (1.0, 2), (1.0, 1)]


@pytest.mark.parametrize("wait_seconds", [0.0, 0.1, 2.0])
def test_the_first_record_waits_no_longer_than_it_was_told(wait_seconds):
    """On a quiet night a verdict is late by this much and no more."""
    batch, _, seconds = batch_of([record()], wait_seconds=wait_seconds)

    assert batch.messages == 1
    assert seconds == pytest.approx(wait_seconds)


def test_the_wait_begins_with_the_first_record_and_not_anew_with_each():
    """A trickle of records must not put off the first one for ever."""
    records = [record(offset=number) for number in range(50)]

    batch, source, seconds = batch_of(records, wait_seconds=1.0, seconds_each=0.3)

    assert batch.messages == 4
    assert seconds == pytest.approx(0.3 + 1.0)
    assert [poll for poll, _ in source.polls] == pytest.approx([5.0, 1.0, 0.7, 0.4, 0.1])


def test_when_nothing_comes_there_is_no_batch_and_one_poll():
    """The loop needs its turn, to see that it was told to stop."""
    batch, source, seconds = batch_of([])

    assert (batch.messages, batch.windows, batch.dead_letters) == (0, [], [])
    assert source.polls == [(5.0, 100)]
    assert seconds == 5.0


def test_records_of_many_windows_fill_a_batch_sooner():
    """What counts for memory and time is windows, not records."""
    batch, _, _ = batch_of([record(3, offset=n) for n in range(9)], windows=7)

    assert batch.messages == 3
    assert len(batch.windows) == 9


def test_records_that_can_not_be_used_fill_a_batch_too():
    """A flood of rubbish must not be gathered in memory for want of one good window."""
    rubbish = [Message("windows", 0, offset, b"rubbish") for offset in range(50)]

    batch, _, seconds = batch_of(rubbish, windows=8)

    assert batch.messages == len(batch.dead_letters) == 8
    assert seconds == 0


def test_a_source_that_has_nothing_more_is_not_waited_for():
    """A replay that is over would otherwise be asked again and again, as fast as it can answer."""
    seconds = itertools.count()  # one more each time that somebody looks
    batcher = Batcher(
        ListSource([record()]), SPEC, windows=10, wait_seconds=600, clock=lambda: next(seconds)
    )

    batch = batcher.next(poll_seconds=5.0)

    assert batch.messages == 1
    assert next(seconds) < 10


def test_what_is_unusable_keeps_the_record_that_it_came_in():
    """Topic, partition and offset are how an operator finds the message again."""
    good, bad = record(offset=0), Message("windows", 3, 77, b"rubbish", b"key")

    batch, _, _ = batch_of([good, bad])

    assert [window.link for window in batch.windows] == ["trunk-0-0"]
    (letter,) = batch.dead_letters
    assert letter.message == bad
    assert (letter.rejected.reason, letter.rejected.data) == ("undecodable", b"rubbish")


def test_a_record_that_the_client_could_not_read_is_a_dead_letter_too():
    """A damaged record is stepped over, but never silently."""
    damaged = Message("windows", 0, 5, b"", unreadable="CRC mismatch")

    batch, _, _ = batch_of([damaged])

    (letter,) = batch.dead_letters
    assert (letter.rejected.reason, letter.rejected.detail) == ("unreadable", "CRC mismatch")
    assert batch.messages == 1


def test_a_batch_says_which_windows_came_in_which_record():
    """Verdicts go out in as many records as the windows came in, under the same key."""
    first = Message("windows", 0, 0, record(3).value, b"trunk-a")
    rubbish = Message("windows", 0, 1, b"rubbish", b"trunk-b")
    last = Message("windows", 0, 2, record(1).value)

    batch, _, _ = batch_of([first, rubbish, last])

    assert [(share.key, share.windows) for share in batch.shares] == [(b"trunk-a", 3), (None, 1)]


def test_a_batch_says_on_which_partition_each_window_lay():
    """What is kept of a link is kept beside its windows, where the next daemon looks for it."""
    records = [
        Message("windows", 0, 4, record(2).value),
        Message("windows", 7, 9, record(1).value),
        Message("others", 7, 2, record(1).value),
    ]

    batch, _, _ = batch_of(records)

    assert [share.place for share in batch.shares] == [
        *(("windows", 0), ("windows", 7), ("others", 7)),
    ]


def records_of(sizes):
    """Make a record of each number of windows, on one partition after another; 0 is rubbish."""
    return [
        Message("windows", place % 3, place, record(size, place).value if size else b"rubbish")
        for place, size in enumerate(sizes)
    ]


@given(st.lists(st.integers(0, 3), max_size=8), st.sets(st.integers(0, 3)))
def test_what_went_to_another_daemon_is_left_out_and_nothing_else(sizes, lost):
    """Its windows come there again; judged here too, a link would have two states."""
    records = records_of(sizes)
    batch, _, _ = batch_of(records)

    kept = batch.without({("windows", partition) for partition in lost})

    plain, _, _ = batch_of([one for one in records if one.partition not in lost])
    assert [window.link for window in kept.windows] == [w.link for w in plain.windows]
    assert kept.shares == plain.shares
    # What could not be used was read here, and is passed on from here.
    assert (kept.messages, kept.dead_letters) == (batch.messages, batch.dead_letters)


def test_where_records_hold_many_windows_fewer_are_asked_for():
    """A thousand records of a hundred windows each would be a hundred times the batch."""
    clock = Clock()
    source = TimedSource(clock, [record(10, offset=number) for number in range(9)])
    batcher = Batcher(source, SPEC, windows=20, wait_seconds=1.0, clock=clock)

    sizes = [len(batcher.next(5.0).windows) for _ in range(2)]

    assert sizes == [20, 20]
    assert [most for _, most in source.polls] == [20, 10, 2, 1]
