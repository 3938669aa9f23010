"""Attention: only time in which something would have been heard counts."""

from detector.oncall.attention import Attention
from detector.source import Vitals


def here(contact, *, is_assigned=True):
    """Make the vitals of a source that was last heard of at *contact*."""
    return Vitals(is_assigned=is_assigned, contact=contact)


def test_time_counts_up_to_the_last_sign_of_the_broker():
    """What came since may not have been heard: it is counted once it is sure."""
    attention = Attention(10)
    attention.advance(100, here(100))
    attention.advance(105, here(103))

    assert attention.seconds == 3
    assert attention.is_paying


def test_a_loop_that_hung_did_not_listen_though_its_client_lived():
    """Heartbeats come from another thread; windows would have been read by this one."""
    attention = Attention(10)
    attention.advance(100, here(100))
    attention.advance(160, here(160))

    assert attention.seconds == 0
    attention.advance(161, here(161))
    assert attention.seconds == 1


def test_without_a_partition_nobody_is_heard():
    """During a rebalance silence says nothing."""
    attention = Attention(10)
    attention.advance(100, here(100))
    attention.advance(104, here(104, is_assigned=False))
    attention.advance(108, here(108))

    assert attention.seconds == 0
    attention.advance(110, here(110))
    assert attention.seconds == 2


def test_a_clock_that_was_set_takes_nothing_away():
    """Time of day may jump, in either direction."""
    attention = Attention(10)
    attention.advance(100, here(100))
    attention.advance(103, here(103))
    attention.advance(50, here(50))
    attention.advance(52, here(52))

    assert attention.seconds == 5
