"""Sources: each hands out everything once, in order, and captures do so in their own time."""

import pytest

from detector.message import decode
from detector.replay import Replay
from detector.source import CaptureSource
from tests.detector.test_replay import capture, first_rows
from tests.fakes import Clock, ListSource, make_spec

SPEC = make_spec()


def replay_of(rows=10):
    """Give the windows of one link, one due each second after the first."""
    return Replay([capture(rows=rows)], SPEC, hop_ms=1000)


def capture_source(clock, speed=1.0, rows=10):
    """Make a source that replays one link by a clock of the test's own."""
    return CaptureSource(replay_of(rows), speed, clock, clock.sleep)


def drain(source, most=3):
    """Poll until nothing will come again, and give each poll's records."""
    polls = []
    for _ in range(100):
        if source.vitals.is_exhausted:
            return polls
        polls.append(list(source.poll(1.0, most)))
    raise AssertionError("it never ended")


@pytest.mark.parametrize(
    "make",
    [
        lambda: capture_source(Clock(), speed=1e6),
        lambda: ListSource([b"1", b"2", b"3", b"4", b"5", b"6", b"7"]),
    ],
    ids=["captures", "list"],
)
def test_every_source_hands_out_everything_once_and_in_order(make):
    """The service is the same for all sources because all of them keep these promises."""
    source = make()

    is_assigned, is_exhausted = source.vitals.is_assigned, source.vitals.is_exhausted
    polls = drain(source)
    source.commit()
    source.close()
    source.close()

    assert (is_assigned, is_exhausted) == (True, False)
    assert max(map(len, polls)) <= 3
    records = [record for poll in polls for record in poll]
    assert [record.offset for record in records] == list(range(7))
    assert len({(record.topic, record.partition) for record in records}) == 1
    assert source.poll(0, 3) == []
    assert list(source.vitals.moves) == []  # nothing that others could have instead


def test_of_a_replay_nobody_can_say_that_all_was_read():
    """A capture that ended is no link that fell silent, whoever asks and however often."""
    source = capture_source(Clock(), speed=1e6)
    drain(source)

    asked = [source.reached([(CaptureSource.TOPIC, 0)], who) for who in ("a", "b", "a", "a")]

    assert [list(places) for places in asked] == [[]] * 4


def test_a_capture_is_replayed_as_messages_that_the_daemon_reads():
    """A replay goes the same way as live windows, through the decoder, or it proves nothing."""
    polls = drain(capture_source(Clock(), speed=1e6))

    windows = [w for poll in polls for record in poll for w in decode(record.value, SPEC)[0]]

    assert [int(window.values[0, 0]) for window in windows] == first_rows(replay_of())


@pytest.mark.parametrize(("speed", "seconds"), [(1, 6), (2, 3), (0.5, 12)])
def test_windows_come_when_they_are_due(speed, seconds):
    """At speed 1 a demonstration is as slow as life, and at 2 twice as fast."""
    clock = Clock()
    source = capture_source(clock, speed)
    begun = clock()

    polls = drain(source, most=100)

    assert [len(poll) for poll in polls if poll] == [1] * 7
    assert clock() - begun == pytest.approx(seconds)


def test_a_poll_waits_no_longer_than_it_was_told():
    """The loop has other things to do, such as to see that it was told to stop."""
    clock = Clock()
    source = capture_source(clock)
    source.poll(0.5, 10)

    begun = clock()
    records = source.poll(0.25, 10)

    assert records == []
    assert clock() - begun == pytest.approx(0.25)


def test_a_poll_does_not_wait_for_what_is_already_due():
    """After a slow batch the replay catches up, as a live daemon has to."""
    clock = Clock()
    source = capture_source(clock)
    source.poll(0.5, 10)
    clock.sleep(3.5)

    begun = clock()
    records = source.poll(0.25, 2), source.poll(0.25, 10)

    assert [len(some) for some in records] == [2, 1]
    assert clock() == begun


def test_a_replay_of_nothing_ends_at_once():
    """A capture without one whole window must not keep a daemon waiting for ever."""
    source = capture_source(Clock(), rows=3)

    records = source.poll(1.0, 10)

    assert records == []
    assert source.vitals.is_exhausted
