"""TCP: what was sent again, and SIP messages however a stream is cut into segments."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.probe.memory import SPAN_NS
from detector.probe.tcp import MOST_HEADER, WRAP, Sequences, SipStreams

from .make import (
    ACK,
    CALLEE,
    CALLER,
    COLUMNS,
    FIN,
    NS,
    PSH,
    RST,
    SYN,
    T0,
    batch,
    counts,
    make_probe,
    packet,
    request,
    response,
    rows_of,
    tcp,
)


def segment(payload=b"", sequence=1000, flags=ACK, *, back=False, **more):
    """Make a segment from the caller, or back to it."""
    ends = {"source": CALLEE, "target": CALLER} if back else {}
    ports = {"source": 5060, "target": 40000} if back else {}
    return packet(tcp(payload, sequence, flags, **ports | more), 6, **ends)


def retransmissions(*segments, times=None):
    """Count what was sent again."""
    return counts(list(segments), times).get("fwd_tcp_retransmissions", 0)


A, B, C = segment(b"a" * 100, 1000), segment(b"b" * 100, 1100), segment(b"c" * 100, 1200)


@pytest.mark.parametrize(
    ("segments", "again"),
    [
        ([A, B, C], 0),
        ([A, B, B, C], 1),
        ([A, C, B], 1),  # overtaken: a single pass can't tell
        ([A, B, segment(b"b" * 150, 1150)], 1),  # in part
        ([A, segment(sequence=1000)], 0),  # a bare ACK is not data
        ([A, segment(b"x", 1099)], 0),  # a keep-alive
        ([A, segment(b"xy", 1098)], 1),
        ([A, segment(b"x", 1099), segment(b"x", 1099), B], 0),
        ([segment(flags=SYN, sequence=999), A, segment(flags=SYN, sequence=999)], 1),
        ([segment(flags=SYN, sequence=999)] * 3, 2),
        ([A, segment(flags=FIN | ACK, sequence=1100)], 0),
        ([A, segment(flags=FIN | ACK, sequence=1100), segment(flags=FIN, sequence=1100)], 1),
        ([A, segment(flags=RST, sequence=5)], 0),
        ([segment(b"a" * 100, WRAP - 50), segment(b"b" * 100, 50)], 0),
        ([segment(b"a" * 100, WRAP - 50), segment(b"b" * 100, WRAP - 50)], 1),
        ([segment(b"b" * 100, 50), segment(b"a" * 100, WRAP - 50)], 1),
        # A new connection on the same ports begins anew, wherever its numbers lie.
        ([B, segment(flags=SYN, sequence=7), segment(b"x" * 9, 8)], 0),
        ([A, segment(b"a" * 100, 1000, source=40001)], 0),  # another port
        ([A, segment(b"a" * 100, 1000, back=True)], 0),  # the other way
    ],
)
@pytest.mark.parametrize("cut", [False, True], ids=["one batch", "a batch each"])
def test_what_was_sent_before_is_sent_again(segments, again, cut):
    """Retransmissions are how TCP shows loss."""
    frames = [batch([s], [T0 + n]) for n, s in enumerate(segments)] if cut else [batch(segments)]

    (values,) = rows_of(frames, step_ms=3_600_000).values()

    assert values[0, COLUMNS.index("fwd_tcp_retransmissions")] == again


def test_flags_and_payloads_are_counted_by_way():
    """SYN without answer, RST and FIN each tell of another fault."""
    found = counts(
        [
            segment(flags=SYN),
            segment(flags=SYN | ACK, back=True),
            segment(b"x", 1001, PSH | ACK),
            segment(flags=RST, back=True, sequence=1001),
            segment(flags=FIN | ACK, sequence=1002),
        ]
    )

    expected = {"fwd_tcp_syn": 1, "rev_tcp_syn": 1, "rev_tcp_rst": 1, "fwd_tcp_fin": 1}
    expected |= {"fwd_tcp_payload_segments": 1}
    assert {name: value for name, value in found.items() if "tcp" in name} == expected


def test_a_flow_that_was_silent_for_long_begins_anew():
    """What was seen so long ago is forgotten, whether or not anything else was seen since."""
    assert retransmissions(A, A, times=[T0, T0 + SPAN_NS]) == 1
    assert retransmissions(A, A, times=[T0, T0 + SPAN_NS + 1]) == 0


def test_more_than_two_to_the_31_bytes_in_a_batch_are_no_retransmission():
    """A fast flow goes round the sequence numbers within one batch."""
    count, size = 100_000, 60_000
    sequence = np.arange(count) * size % WRAP

    again = Sequences().repeats(
        np.ones(count, np.uint64),
        sequence,
        np.full(count, size),
        np.full(count, ACK),
        T0 + np.arange(count),
    )

    assert not again.any()
    assert count * size > WRAP


def plain(segments):
    """Tell what is sent again, one segment at a time."""
    first, ends, found = {}, {}, []
    for flow, sequence, size, flags, time in segments:
        taken = size + bool(flags & FIN) + bool(flags & SYN)
        if flags & SYN:
            known = first.get(flow)
            if known is None or known[0] != sequence or time - known[1] > SPAN_NS:
                ends.pop(flow, None)
            first[flow] = sequence, time
        end, before = ends.get(flow, (None, time))
        if end is None or time - before > SPAN_NS:
            found.append(False)
            end = (sequence + taken) % WRAP
        else:
            behind = (end - sequence + WRAP // 2) % WRAP - WRAP // 2
            alive = taken == 1 and behind == 1 and not flags & (FIN | SYN)
            found.append(taken > 0 and behind > 0 and not alive)
            end = (end + max(0, taken - behind)) % WRAP
        ends[flow] = end, time
    return found


@st.composite
def flows(draw):
    """Draw segments of a few flows that move on, fall back, wrap and begin anew."""
    at = {flow: draw(st.integers(0, WRAP - 1)) for flow in range(3)}
    time, found = T0, []
    for _ in range(draw(st.integers(1, 40))):
        flow = draw(st.integers(0, 2))
        flags = draw(st.sampled_from([ACK] * 6 + [SYN, SYN | ACK, FIN | ACK, RST]))
        sequence = at[flow] + draw(st.sampled_from([0, 0, 0, -1, -1, -50, -100, -101, 60]))
        size = draw(st.sampled_from([0, 1, 2, 50, 100, 1 << 20]))
        time += draw(st.sampled_from([1, 1000, NS, 30 * NS, SPAN_NS, SPAN_NS + 1]))
        found.append((flow, sequence % WRAP, size, flags, time))
        at[flow] = sequence + size
    return found


@given(flows(), st.data())
def test_retransmissions_agree_with_a_plain_loop_however_they_are_cut(segments, data):
    """The arrays give what one segment after the other gives, in any batches."""
    sequences, found, at = Sequences(), [], 0
    while at < len(segments):
        count = data.draw(st.integers(1, len(segments) - at))
        flow, sequence, size, flags, time = np.array(segments[at : at + count]).T
        again = sequences.repeats(flow.astype(np.uint64), sequence, size, flags, time)
        found += again.tolist()
        at += count

    assert found == plain(segments)


BODY = b"v=0\r\n\r\nINVITE sip:not@a SIP/2.0\r\n\r\n"
STREAM = [
    request(body=BODY),
    request("OPTIONS", "o@b"),
    b"\r\n\r\n" + request("BYE", "c@b", 2, compact=True),
    response(200, call="d@b", body=b"x" * 3000),
    request("ACK", "e@b"),
]
TEXT = b"".join(STREAM)
EXPECTED = [m.lstrip().partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for m in STREAM]


def cut(text, places, sequence=1000):
    """Cut a stream into (sequence, payload)."""
    edges = [0, *sorted(places), len(text)]
    parts = [(a, text[a:b]) for a, b in pairwise(edges) if a < b]
    return [((sequence + at) % WRAP, payload) for at, payload in parts]


def feed(segments, streams=None):
    """Give the messages that segments hold."""
    streams = streams or SipStreams()
    return [
        message
        for number, (sequence, payload, *size) in enumerate(segments)
        for message in streams.feed(7, sequence, payload, *(size or [len(payload)]), T0 + number)
    ]


def test_several_messages_in_one_segment_are_all_seen():
    """A busy proxy fills its segments."""
    assert feed([(1000, TEXT)]) == EXPECTED


@given(st.sets(st.integers(4, len(TEXT) - 1), max_size=30), st.integers(0, WRAP - 1))
def test_a_stream_may_be_cut_anywhere(places, sequence):
    """Segments know nothing of messages, and sequence numbers wrap."""
    assert feed(cut(TEXT, places, sequence)) == EXPECTED


@given(st.sets(st.integers(4, len(TEXT) - 1), max_size=12), st.data())
def test_segments_sent_again_change_nothing(places, data):
    """Each message is counted once, however often its segments come."""
    segments = cut(TEXT, places)
    repeated = []
    for place, one in enumerate(segments):
        repeated += [one, segments[data.draw(st.integers(0, place))]]

    assert feed(repeated) == EXPECTED


def test_a_segment_that_repeats_and_goes_on_is_read_from_where_it_goes_on():
    """Retransmissions are often longer than what they repeat."""
    assert feed([(1000, TEXT[:300]), (1100, TEXT[100:])]) == EXPECTED


def test_after_a_lost_segment_reading_goes_on_with_the_next_message():
    """What is missing is missing; what follows must not be."""
    first, second, third = (request("OPTIONS", f"{n}@b") for n in range(3))
    streams = SipStreams()
    lost_at = 1000 + len(first)

    found = feed([(1000, first), (lost_at + len(second), third)], streams)

    assert found == [first, third]
    assert streams.broken == 1


def test_after_a_loss_inside_a_message_its_rest_is_not_taken_for_one():
    """The rest of a body may look like anything."""
    message, following = request(body=BODY * 40), request("BYE", "n@b")
    segments = cut(message + following, [500, 1000, len(message)])
    del segments[1]
    streams = SipStreams()

    found = feed(segments, streams)

    assert [m[:6] for m in found] == [b"INVITE", b"BYE si"]
    assert streams.broken == 0  # how long a body is stands in its header


def test_a_body_cut_by_the_snapshot_length_is_passed_over():
    """Only its length matters, and that is known."""
    message = request(body=b"x" * 900)
    streams = SipStreams()

    found = feed(
        [(1000, message[:400], len(message)), (1000 + len(message), EXPECTED[1])], streams
    )

    assert [m[:6] for m in found] == [b"INVITE", b"OPTION"]
    assert streams.broken == 0


def test_a_header_cut_by_the_snapshot_length_counts_as_far_as_it_is_there():
    """Its first line, call and turn may be all that is needed."""
    message = request()
    kept = message[: message.find(b"Content-Length")]
    streams = SipStreams()

    found = feed([(1000, kept, len(message)), (1000 + len(message), EXPECTED[1])], streams)

    assert found == [kept, EXPECTED[1]]
    assert streams.broken == 1


def test_a_header_without_end_is_given_up():
    """Memory for one stream is bounded."""
    streams = SipStreams()
    chunk = b"X-Long: " + b"x" * 9000
    segments = [(1000, request()[:-2])]
    for _ in range(MOST_HEADER // len(chunk) + 2):
        at = segments[-1][0] + len(segments[-1][1])
        segments.append((at, chunk))
    after = (segments[-1][0] + len(chunk), EXPECTED[1])

    found = feed([*segments, after], streams)

    assert found[-1] == EXPECTED[1]
    assert streams.broken == 1


def test_a_flow_without_sip_is_never_followed():
    """HTTP and backups cost nothing."""
    streams = SipStreams()

    assert feed([(1000, b"GET / HTTP/1.1\r\n\r\n"), (1018, b"INVI")], streams)[:1] == []
    assert not SipStreams().is_known(7)


def test_numbers_far_back_are_of_another_connection():
    """Else a stream whose first segments were missed would be deaf for two thousand megabytes."""
    found = feed([(1_000_000_000, EXPECTED[1]), (1000, EXPECTED[4])])

    assert found == [EXPECTED[1], EXPECTED[4]]


def sip_counts(segments, **more):
    """Count SIP in segments of one flow, without what is about TCP."""
    found = counts([segment(payload, at) for at, payload in segments], **more)
    words = ("tcp", "packets", "bytes", "interarrival")
    return {name: value for name, value in found.items() if not any(w in name for w in words)}


def test_sip_over_tcp_is_counted_as_over_udp():
    """A message is a message, whatever carries it."""
    assert sip_counts(cut(TEXT, range(100, len(TEXT), 100))) == {
        "fwd_invite": 1,
        "fwd_new_calls": 1,
        "fwd_options": 1,
        "fwd_bye": 1,
        "fwd_ack": 1,
        "fwd_2xx": 1,
    }


def test_a_new_connection_on_the_same_ports_is_read_anew():
    """Ports are used again, with lower sequence numbers, and in the middle of a message."""
    frames = [
        segment(request()[:90], 2_000_000),
        segment(flags=SYN, sequence=999),
        segment(request("OPTIONS"), 1000),
    ]

    assert counts(frames)["fwd_options"] == 1


def test_a_stream_that_was_silent_for_long_is_still_read():
    """Trunks keep connections open for days."""
    first, second = request("OPTIONS", "1@b"), request("OPTIONS", "2@b")
    segments = [(1000, first), (1000 + len(first), second)]

    assert sip_counts(segments, times=[T0, T0 + 9 * SPAN_NS])["fwd_options"] == 2


def test_a_stream_seen_from_its_middle_begins_with_its_first_message():
    """A capture begins when it begins."""
    assert sip_counts([(1000, BODY), (1000 + len(BODY), request("OPTIONS"))]) == {"fwd_options": 1}


def test_broken_streams_are_told():
    """It is in the last line that an operator sees."""
    probe = make_probe(partial=True)

    probe.push(batch([segment(request("BYE"), 1000), segment(request("ACK"), 99_000)]))

    assert probe.broken_streams == 1
