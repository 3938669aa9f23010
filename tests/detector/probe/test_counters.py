"""Counters: what an interface says of itself becomes rows."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.probe.counters import WRAP, Counters, differences, read
from detector.probe.links import parse
from detector.probe.packets import ProbeError
from detector.probe.run import over_counters

HEAD = "Inter-|   Receive\n face |bytes    packets errs drop fifo frame compressed multicast|...\n"


def text(**interfaces):
    """Write `/proc/net/dev` of interfaces with (packets, bytes, errors, drops), in and out."""
    lines = [
        f"{name:>6}: {n[1]} {n[0]} {n[2]} {n[3]} 0 0 0 0 {n[5]} {n[4]} {n[6]} {n[7]} 0 0 0 0\n"
        for name, n in interfaces.items()
    ]
    return HEAD + "".join(lines)


FIRST, SECOND = (10, 1000, 0, 0, 20, 2000, 0, 0), (13, 1300, 1, 2, 24, 2400, 3, 4)


def make(*rules):
    """Make counters of links."""
    return Counters([parse(rule) for rule in rules])


def test_a_row_is_what_happened_between_two_readings():
    """What the interface receives is forward, unless its rule says out."""
    counters = make("a=@eth0", "b=@eth0:out")
    counters.row(text(eth0=FIRST))

    row = counters.row(text(eth0=SECOND))

    assert row.tolist() == [[3, 300, 1, 2, 4, 400, 3, 4], [4, 400, 3, 4, 3, 300, 1, 2]]


def test_the_first_reading_tells_nothing_yet():
    """Counters count from when the machine started."""
    assert np.isnan(make("a=@eth0").row(text(eth0=SECOND))).all()


def test_an_interface_that_is_not_there_is_not_observed():
    """Absent is not silent; the others go on."""
    counters = make("a=@eth0", "b=@lo")
    counters.row(text(eth0=FIRST, lo=FIRST))

    gone = counters.row(text(lo=SECOND))
    back = counters.row(text(eth0=FIRST, lo=SECOND))
    again = counters.row(text(eth0=SECOND, lo=SECOND))

    assert np.isnan(gone[0]).all()
    assert np.isnan(back[0]).all()
    assert gone[1, 0] == 3
    assert again[0, 0] == 3


@given(st.integers(0, WRAP - 1), st.integers(0, WRAP // 5))
def test_a_counter_of_32_bits_may_start_anew(before, step):
    """Old drivers have such; a step is never so long that half of it goes by."""
    after = (before + step) % WRAP

    (change,) = differences(np.array([before]), np.array([after]))

    assert change == np.float32(step) or (np.isnan(change) and after < before)
    if before >= WRAP - WRAP // 4 and after < WRAP // 4:
        assert change == np.float32(step)


def test_a_counter_that_was_set_back_is_not_observed():
    """A driver was loaded again: how much went by is not known."""
    counters = make("a=@eth0")
    counters.row(text(eth0=SECOND))

    row = counters.row(text(eth0=FIRST))

    assert np.isnan(row).all()


def test_numbers_above_32_bits_are_usual():
    """Bytes of a fast port."""
    big = tuple(n + (1 << 40) for n in FIRST)
    counters = make("a=@eth0")
    counters.row(text(eth0=big))

    row = counters.row(text(eth0=tuple(n + 5 for n in big)))

    assert (row == 5).all()


@pytest.mark.parametrize(
    "line", ["eth0 1 2 3\n", "eth0: 1 2 3\n", "eth0: " + "x " * 16 + "\n", "eth0: " + "-1 " * 16]
)
def test_what_the_kernel_never_writes_is_refused(line):
    """Better no rows than rows of something else."""
    with pytest.raises(ProbeError, match="not understood: 'eth0"):
        read(HEAD + line)


def test_numbers_of_any_length_are_read():
    """Unsigned ones of 64 bits are the largest that there are, and nobody says so."""
    assert read(text(eth0=(2**64 - 1,) * 8))["eth0"].tolist() == [2**63 - 1] * 8
    read(text(eth0=(10**40,) * 8))


def test_links_of_addresses_need_packets():
    """Counters don't know who sent."""
    with pytest.raises(ProbeError, match="'x': counters know interfaces, no addresses"):
        make("x=10.1.0.0/16>*")


def test_an_interfaces_name_may_hold_a_colon():
    """Aliases have one."""
    assert list(read(text(**{"eth0:1": FIRST}))) == ["eth0:1"]


class Slow:
    """A file of counters that takes its time, once."""

    def __init__(self, seconds):
        self.readings, self._seconds = 0, seconds

    def read_text(self):
        """Give counters that go up by one each time."""
        self.readings += 1
        if self.readings == 4:
            time.sleep(self._seconds)
        return text(lo=(self.readings,) * 8)


def test_rows_come_at_the_end_of_each_step_and_a_late_one_is_not_observed():
    """A reading that came late is of another time than its step."""
    stopping, found = threading.Event(), []

    for start_ms, values in over_counters(make("a=@lo"), 100, stopping, Slow(0.15)):
        found.append((start_ms, values[0, 0]))
        if len(found) == 6:
            stopping.set()

    late = [place for place, (_, value) in enumerate(found) if np.isnan(value)]
    assert 1 in late or 2 in late
    assert all(start % 100 == 0 for start, _ in found)
    assert all(value == 1 for _, value in found if not np.isnan(value))
    assert len({start for start, _ in found}) == 6


def test_two_interfaces_are_not_one_link():
    """Nobody could tell whose drops it has."""
    with pytest.raises(ProbeError, match="'t': its counters are of one interface"):
        Counters([parse("t=@eth0"), parse("t=@eth1")])
