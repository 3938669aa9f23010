"""Rows: what happened in each step, whatever batches it came in."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .make import (
    COLUMNS,
    FIN,
    NS,
    SYN,
    T0,
    back,
    batch,
    make_probe,
    packet,
    request,
    response,
    rows_of,
    tcp,
    there,
    udp,
)

MS = 10**6
BOTH = [COLUMNS.index("fwd_packets"), COLUMNS.index("rev_packets")]
PLAIN = packet(udp(b"x" * 58))  # 100 bytes
T0_MS = T0 // MS


def column(rows, name):
    """Give start, ms since T0 -> a feature of the first link."""
    place = COLUMNS.index(name)
    return {start - T0_MS: float(values[0, place]) for start, values in rows.items()}


def test_each_step_has_the_packets_that_came_in_it():
    """A packet at the very start of a step is in it, one at its end in the next."""
    times = [T0 + ms * MS for ms in (0, 1, 999, 1000, 2999)]

    rows = rows_of([batch([PLAIN] * 5, times)])

    assert column(rows, "fwd_packets") == {0: 3, 1000: 1, 2000: 1}
    assert column(rows, "fwd_bytes") == {0: 300, 1000: 100, 2000: 100}


def test_a_silent_step_is_a_row_of_zeros_without_times():
    """Blocked can mean that nothing arrives, and that is an observation."""
    rows = rows_of([batch([PLAIN, PLAIN], [T0, T0 + 3 * NS])])

    silent = rows[T0_MS + 1000][0]
    names = {name for name, value in zip(COLUMNS, silent, strict=True) if np.isnan(value)}
    assert names == {
        way + name
        for way in ("fwd_", "rev_")
        for name in ("interarrival_ms", "interarrival_max_ms", "response_ms")
    }
    assert np.nansum(silent) == 0


def test_steps_seen_only_in_part_are_no_rows():
    """Half a second of traffic looks like half the traffic."""
    times = [T0 + ms * MS for ms in (500, 1000, 1500, 2500)]

    assert column(rows_of([batch([PLAIN] * 4, times)], partial=False), "fwd_packets") == {1000: 2}
    assert column(rows_of([batch([PLAIN] * 4, times)], partial=True), "fwd_packets") == {
        0: 1,
        1000: 2,
        2000: 1,
    }


def test_a_capture_that_begins_with_a_step_has_it_whole():
    """Not a packet too few."""
    rows = rows_of([batch([PLAIN] * 2, [T0, T0 + NS])], partial=False)

    assert column(rows, "fwd_packets") == {0: 1}


def test_watching_may_begin_before_the_first_packet():
    """Live, silence from the start is seen; a step that had begun already is not."""
    probe = make_probe()
    probe.rows.begin(T0 + 1)
    probe.push(batch([PLAIN] * 2, [T0 + 10, T0 + 3 * NS]))

    rows = dict(probe.rows.done(T0 + 4 * NS))

    assert column(rows, "fwd_packets") == {1000: 0, 2000: 0, 3000: 1}
    assert probe.rows.late == 0  # it came in time, for a step that becomes no row


def test_a_row_goes_out_when_its_step_has_ended_and_once():
    """Rows are for now, not for the end of the day."""
    probe = make_probe(partial=True)
    probe.push(batch([PLAIN] * 2, [T0, T0 + 1500 * MS]))

    assert [start for start, _ in probe.rows.done(T0 + NS - 1)] == []
    assert [start for start, _ in probe.rows.done(T0 + NS)] == [T0_MS]
    assert [start for start, _ in probe.rows.done(T0 + NS)] == []


def test_packets_for_rows_that_went_out_are_counted_as_late():
    """They are in no row, and somebody has to know."""
    probe = make_probe(partial=True)
    probe.push(batch([PLAIN], [T0]))
    first = list(probe.rows.done(T0 + 2 * NS))

    probe.push(batch([PLAIN] * 3, [T0 + 5, T0 + NS + 5, T0 + 2 * NS]))
    rest = dict(probe.rows.rest(T0 + 2 * NS))

    assert len(first) == 2
    assert probe.rows.late == 2
    assert column(rest, "fwd_packets") == {2000: 1}


def test_a_jump_of_time_leaves_no_rows_between():
    """A clock that was set makes no months of silence."""
    day = 86_400 * NS
    probe = make_probe(partial=True)

    rows = rows_of([batch([PLAIN] * 3, [T0, T0 + day, T0 + day + NS])], probe=probe)

    assert column(rows, "fwd_packets") == {0: 1, 86_400_000: 1, 86_401_000: 1}
    assert probe.rows.jumps == 1


def test_an_hour_of_silence_is_an_hour_of_rows():
    """As long as it may be a fault it is told as one."""
    rows = rows_of([batch([PLAIN] * 2, [T0, T0 + 3600 * NS])])

    assert len(rows) == 3601


@pytest.mark.parametrize("origin_ms", [0, 1, 250, 999, 1250])
def test_steps_may_begin_at_any_offset(origin_ms):
    """Captures that are to be compared have to have the same steps."""
    times = [T0 + ms * MS for ms in range(0, 4000, 50)]

    rows = rows_of([batch([PLAIN] * 80, times)], origin_ms=origin_ms, partial=False)

    starts = sorted(column(rows, "fwd_packets"))
    assert all(start % 1000 == origin_ms % 1000 for start in starts)
    assert set(column(rows, "fwd_packets").values()) == {20}


@pytest.mark.parametrize("step_ms", [10, 100, 2000])
def test_steps_may_be_of_any_length(step_ms):
    """Finer rows see faster faults."""
    times = [T0 + ms * MS for ms in range(0, 6000, 5)]

    rows = rows_of([batch([PLAIN] * 1200, times)], step_ms=step_ms)

    assert sorted(rows) == list(range(T0_MS, T0_MS + 6000, step_ms))
    assert set(column(rows, "fwd_packets").values()) == {step_ms / 5}


def test_times_between_packets_are_those_of_a_way():
    """Packets of the other way, and of other links, don't shorten them."""
    frames = [PLAIN, back(b"x"), PLAIN, packet(udp(b"x"), source="10.9.0.1"), PLAIN]
    times = [T0 + ms * MS for ms in (0, 100, 400, 450, 500)]

    rows = rows_of([batch(frames, times)], "x=10.1.0.0/16>*", "y=10.9.0.0/16>*")

    assert column(rows, "fwd_interarrival_ms") == {0: 250}
    assert column(rows, "fwd_interarrival_max_ms") == {0: 400}
    assert np.isnan(column(rows, "rev_interarrival_ms")[0])


def test_the_time_from_the_packet_before_counts_where_the_packet_is():
    """A silence is seen when it ends, as long as it was."""
    rows = rows_of([batch([PLAIN] * 2, [T0, T0 + 5500 * MS])])

    assert column(rows, "fwd_interarrival_max_ms")[5000] == 5500
    assert np.isnan(column(rows, "fwd_interarrival_max_ms")[4000])


def test_a_response_time_is_in_the_row_of_the_response():
    """Later than its request, when it is known."""
    frames = [there(request()), back(response(100)), there(request(call="c")), PLAIN]
    times = [T0 + ms * MS for ms in (900, 1100, 1900, 3000)]

    rows = rows_of([batch(frames, times)])

    found = column(rows, "fwd_response_ms")
    assert found.pop(1000) == 200
    assert all(np.isnan(value) for value in found.values())


def test_icmp_errors_count_and_echoes_do_not():
    """Unreachable is a fault; a ping is not."""
    frames = [packet(bytes([kind]) + bytes(30), 1) for kind in (0, 3, 8, 11, 12, 5)]

    assert column(rows_of([batch(frames)]), "fwd_icmp_errors") == {0: 3}


def test_each_link_has_its_row_in_the_order_of_the_rules():
    """The outlet names them so."""
    far = "192.0.2.1"
    frames = [packet(udp(b"x"), source=f"10.{n}.0.1", target=far) for n in (3, 1, 3, 2, 3)]

    rows = rows_of([batch(frames)], "a=10.1.0.0/16>*", "b=10.2.0.0/16>*", "c=10.3.0.0/16>*")

    assert rows[T0_MS][:, 0].tolist() == [1, 1, 3]


def test_many_links_and_steps_in_one_batch_fit():
    """A table for all cells of a long batch at once would not."""
    rules = [f"l{n}=10.{n // 200}.{n % 200}.0/24>*" for n in range(400)]
    times = [T0 + n * NS // 6 for n in range(3000)]
    sources = [f"10.{n % 2}.{n % 200}.9" for n in range(3000)]
    frames = [packet(udp(b"x"), source=one, target="192.0.2.1") for one in sources]
    probe = make_probe(*rules, partial=True)

    probe.push(batch(frames, times))
    seen = sum(values[:, 0].sum() for _, values in probe.rows.rest(times[-1]))

    assert (seen, probe.unclassified) == (3000, 0)


@pytest.mark.parametrize(
    ("again", "feature"),
    [
        (there(request("BYE")), "fwd_sip_retransmissions"),
        (packet(tcp(b"x" * 100), 6), "fwd_tcp_retransmissions"),
    ],
)
def test_a_long_batch_after_a_short_one_forgets_nothing_too_early(again, feature):
    """What is remembered is told the time of a batch's beginning, not of its end."""
    last = [packet(tcp(b"y", source=9), 6), there(request("ACK"))]
    parts = [
        batch([there(request("OPTIONS")), packet(tcp(b"y", source=7), 6)], [T0, T0]),
        batch([again], [T0 + 39 * NS]),
        batch(
            [there(request("OPTIONS", "b@b")), packet(tcp(b"y", source=8), 6)], [T0 + 40 * NS] * 2
        ),
        batch([again, *last], [T0 + 41 * NS, T0 + 80 * NS, T0 + 90 * NS]),
        batch([again], [T0 + 91 * NS]),
    ]

    found = column(rows_of(parts), feature)

    assert [start for start, count in found.items() if count] == [41_000]


CALLS = [f"{n}@x" for n in range(3)]
TEXT = request(body=b"v=0\r\n" * 30) + request("OPTIONS", "t@x") + response(200, call="t@x")


@st.composite
def traffic(draw):
    """Draw packets in the order of time: SIP, TCP that falls back and begins anew, and others."""
    frames, times, time, at = [], [], T0, {1: 1000, 2: 2**32 - 200}
    for _ in range(draw(st.integers(2, 30))):
        kind = draw(st.sampled_from("irbtttspx"))
        call, turn = draw(st.sampled_from(CALLS)), draw(st.integers(1, 2))
        if kind == "i":
            frames.append(there(request("INVITE", call, turn)))
        elif kind == "r":
            frames.append(back(response(draw(st.sampled_from([100, 200])), "INVITE", call, turn)))
        elif kind == "b":
            frames.append(there(request("BYE", call, turn)))
        elif kind == "t":
            flow = draw(st.integers(1, 2))
            sequence = at[flow] + draw(st.sampled_from([0, 0, 0, 0, -60, 40]))
            start = (sequence - 1000) % len(TEXT)
            part = TEXT[start : start + draw(st.integers(1, 200))]
            frames.append(packet(tcp(part, sequence, source=flow), 6))
            at[flow] = sequence + len(part)
        elif kind == "s":
            at[1] = draw(st.integers(0, 2**32 - 1))
            frames.append(packet(tcp(b"", at[1] - 1, SYN, source=1), 6))
        elif kind == "p":
            frames.append(packet(tcp(b"", at[2], FIN, source=2), 6))
        else:
            frames.append(packet(bytes([3, 0]) + bytes(30), 1, source="10.5.0.1"))
        steps = [0, 1, 1000, 200 * MS, 999 * MS, NS, 20 * NS, 40 * NS, 40 * NS + 1, 90 * NS]
        time += draw(st.sampled_from(steps))
        times.append(time)
    return frames, times


@given(traffic(), st.data())
def test_rows_do_not_depend_on_how_packets_are_cut_into_batches(drawn, data):
    """A file in chunks and a ring in blocks tell the same as one packet after the other."""
    frames, times = drawn
    rules = ("x=10.1.0.0/16>*", "y=10.5.0.0/16>*")
    places = sorted(data.draw(st.sets(st.integers(1, len(frames) - 1))))
    edges = [0, *places, len(frames)]
    parts = [batch(frames[a:b], times[a:b]) for a, b in pairwise(edges)]

    whole = rows_of([batch(frames, times)], *rules)
    cut = rows_of(parts, *rules)

    assert list(whole) == list(cut)
    for start, values in whole.items():
        np.testing.assert_allclose(cut[start], values, rtol=1e-6)
    assert sum(values[:, BOTH].sum() for values in whole.values()) == len(frames)
