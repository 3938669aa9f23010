"""SIP: which messages count as what, which are repeats, and how long answers took."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.probe.memory import SPAN_NS, Memory
from detector.probe.sip import NOT_SIP, Conversations, kind_of

from .make import (
    COLUMNS,
    NS,
    T0,
    back,
    batch,
    counts,
    make_probe,
    packet,
    request,
    response,
    rows_of,
    there,
    udp,
)


def counted(messages, times=None):
    """Count messages that go there (bytes) or back ((bytes,)), and drop what isn't about SIP."""
    frames = [back(m[0]) if isinstance(m, tuple) else there(m) for m in messages]
    found = counts(frames, times)
    plain = ("packets", "bytes", "interarrival_ms", "interarrival_max_ms")
    return {name: value for name, value in found.items() if name[4:] not in plain}


@pytest.mark.parametrize(
    ("method", "feature"),
    [
        ("INVITE", "fwd_invite"),
        ("ACK", "fwd_ack"),
        ("BYE", "fwd_bye"),
        ("REGISTER", "fwd_register"),
        ("OPTIONS", "fwd_options"),
        ("CANCEL", "fwd_cancel"),
        *((name, "fwd_other_requests") for name in ("INFO", "PRACK", "UPDATE", "SUBSCRIBE")),
        *((name, "fwd_other_requests") for name in ("NOTIFY", "REFER", "MESSAGE", "PUBLISH")),
    ],
)
def test_requests_are_counted_by_method(method, feature):
    """Each method stands for something else that customers do."""
    found = counted([request(method)])

    assert found.pop("fwd_new_calls", 0) == (method == "INVITE")
    assert found == {feature: 1}


@pytest.mark.parametrize("code", [100, 180, 200, 302, 404, 486, 503, 600, 699])
def test_responses_are_counted_by_class(code):
    """Refusals are the first sign of trouble behind the link."""
    assert counted([(response(code),)]) == {f"rev_{code // 100}xx": 1}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"INVI",
        b"GET / HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"SIP/2.0 000 No\r\n\r\n",
        b"SIP/2.0 700 No\r\n\r\n",
        b"SIP/2.0\r\n\r\n",
        b"invite sip:a SIP/2.0\r\n\r\n",
        response().replace(b"\r\n", b"\n"),
        request().replace(b"\r\n", b"\n"),  # RFC 3261, section 7: lines end with CRLF
        b"\r\n\r\n",
        b"\0\1\0\0" + bytes(16),  # STUN, on the same port
    ],
)
def test_what_is_no_sip_message_is_a_packet_and_nothing_more(text):
    """Keep-alives and other protocols on the port are not requests."""
    assert counted([text]) == {}
    assert counts([there(text)])["fwd_packets"] == 1


def test_a_repeated_message_is_counted_as_itself_and_as_a_repeat():
    """Over UDP repeats are what loss looks like."""
    invite, ringing = request(), response(180)

    found = counted([invite, invite, (ringing,), invite, (ringing,)])

    found.pop("fwd_response_ms")
    assert found == {
        "fwd_invite": 3,
        "fwd_sip_retransmissions": 2,
        "fwd_new_calls": 1,
        "rev_1xx": 2,
        "rev_sip_retransmissions": 1,
    }


@pytest.mark.parametrize(
    "other",
    [
        request(call="b@b"),
        request(turn=2, tag="9"),
        request("CANCEL"),
        request().replace(b"sip:bob", b"sip:rob"),
    ],
)
def test_a_message_that_differs_is_no_repeat(other):
    """Method, address, call and turn tell messages apart."""
    assert "fwd_sip_retransmissions" not in counted([request(), other])


def test_the_same_message_on_the_way_back_is_no_repeat():
    """A message that was passed on is seen twice, but not sent twice on one link."""
    assert not any("retransmissions" in name for name in counted([request(), (request(),)]))


@pytest.mark.parametrize(
    ("apart", "repeats"), [(1, 1), (SPAN_NS, 1), (SPAN_NS + 1, 0), (3 * SPAN_NS, 0)]
)
@pytest.mark.parametrize("cut", [False, True], ids=["one batch", "two batches"])
def test_a_repeat_comes_within_forty_seconds(apart, repeats, cut):
    """RFC 3261 repeats for 32 s; what comes later was sent for another reason."""
    frames, times = [there(request())] * 2, [T0, T0 + apart]
    if cut:
        batches = [batch([frame], [time]) for frame, time in zip(frames, times, strict=True)]
    else:
        batches = [batch(frames, times)]

    rows = rows_of(batches, step_ms=3_600_000)

    (values,) = rows.values()
    assert values[0, COLUMNS.index("fwd_sip_retransmissions")] == repeats
    assert (
        values[0, COLUMNS.index("fwd_new_calls")] == 2 - repeats
    )  # a call tried again after so long is a new one


def test_each_repeat_starts_the_forty_seconds_anew():
    """A chain of repeats stays one, however long it goes on."""
    times = [T0 + place * 30 * NS for place in range(5)]

    assert counted([request()] * 5, times)["fwd_sip_retransmissions"] == 4


def test_a_new_call_has_no_tag_and_an_unknown_call_id():
    """Calls are what customers count; a changed or repeated INVITE isn't one."""
    messages = [
        request(call="a@b"),
        request(call="a@b"),  # repeated
        request(call="a@b", turn=2),  # tried again, with a password
        request(call="a@b", turn=3, tag="9"),  # changed within the call
        request(call="c@b"),
        request(call="d@b", tag="9"),  # of a call that began before the capture
    ]

    assert counted(messages)["fwd_new_calls"] == 2


@pytest.mark.parametrize(
    "written",
    [
        request(compact=True),
        request().replace(b"Call-ID: ", b"CALL-ID:"),
        request().replace(b"Call-ID: ", b"call-id \t: "),
        request().replace(b"CSeq: ", b"cseq:\t"),
        request().replace(b"CSeq: ", b"CSEQ: "),
        request().replace(b"Call-ID: a@b", b"Call-ID:   a@b  "),
        request(body=b"v=0\r\n" * 50)[:-40],  # cut behind the header
    ],
    ids=["compact", "upper", "spaces", "tab", "cseq", "padded", "cut"],
)
def test_headers_may_be_written_in_any_way_the_rfc_allows(written):
    """The answer has the same Call-ID and CSeq, written the other end's way."""
    found = counted([written, (response(100),)])

    assert found.pop("fwd_response_ms") == pytest.approx(1)
    assert found == {"fwd_invite": 1, "fwd_new_calls": 1, "rev_1xx": 1}


@pytest.mark.parametrize(
    "name", [b"t: <sip:a>;tag=4", b"TO:<sip:a>;tag=4", b"To: <sip:a> ; Tag=4"]
)
def test_a_tag_is_found_in_any_writing(name):
    """Else every change of a call would be a new one."""
    text = request().replace(b"To: <sip:bob@example.net>", name)

    assert "fwd_new_calls" not in counted([text])


def test_messages_cut_behind_call_and_turn_still_count():
    """At a snapshot length of 512 bytes most messages with a body are cut."""
    text = request(body=b"v=0\r\n" * 200)
    at = text.find(b"CSeq") + 20
    frame = there(text)
    cut = len(frame) - len(text) + at

    found = counts([frame[:cut]] * 2, wire=[len(frame)] * 2)

    assert (found["fwd_invite"], found["fwd_sip_retransmissions"]) == (2, 1)
    assert found["fwd_bytes"] == 2 * len(frame)


def test_a_response_time_runs_from_the_first_request_to_the_first_response():
    """It belongs to the way of the request, which is who waited."""
    times = [T0 + ms * 10**6 for ms in (0, 500, 700, 800, 900)]
    messages = [request(), request(), (response(100),), (response(180),), (response(200),)]

    found = counted(messages, times)

    assert found["fwd_response_ms"] == pytest.approx(700)
    assert "rev_response_ms" not in found


def test_response_times_of_both_ways_are_kept_apart():
    """A trunk has callers at both ends, and faults in one direction."""
    times = [T0 + ms * 10**6 for ms in (0, 10, 30, 80)]
    messages = [
        request(call="f"),
        (request(call="r"),),
        (response(call="f"),),
        response(call="r"),
    ]

    found = counted(messages, times)

    assert found["fwd_response_ms"] == pytest.approx(30)
    assert found["rev_response_ms"] == pytest.approx(70)


def test_an_ack_waits_for_no_answer_and_a_late_answer_has_no_time():
    """Nobody answers an ACK, and after 40 s the request is forgotten."""
    assert "fwd_response_ms" not in counted([request("ACK"), (response(method="ACK"),)])
    late = [T0, T0 + SPAN_NS + 1]
    assert "fwd_response_ms" not in counted([request(), (response(),)], late)
    in_time = [T0, T0 + SPAN_NS]
    assert counted([request(), (response(),)], in_time)["fwd_response_ms"] == 40_000


def test_an_answer_to_a_repeat_of_an_answered_request_is_not_timed_again():
    """Else one slow answer would be counted as often as it is asked for."""
    times = [T0 + ms * 10**6 for ms in (0, 100, 200, 250)]
    messages = [request(), (response(100),), request(), (response(180),)]

    assert counted(messages, times)["fwd_response_ms"] == pytest.approx(100)


def test_links_know_nothing_of_each_other():
    """The same message on two links is a repeat on neither."""
    frames = [there(request()), packet(udp(request()), source="10.9.0.1", target="10.8.0.1")]

    rows = rows_of([batch(frames)], "x=10.1.0.0/16>*", "y=10.9.0.0/16>*")

    (values,) = rows.values()
    assert values[:, COLUMNS.index("fwd_invite")].tolist() == [1, 1]
    assert values[:, COLUMNS.index("fwd_sip_retransmissions")].tolist() == [0, 0]


def test_messages_over_ipv6_on_any_port_are_seen():
    """SIP is known by what it says, not by where it runs."""
    found = counts([packet(udp(request("OPTIONS"), 31000, 5999))])

    assert found["fwd_options"] == 1


@given(st.binary(max_size=40))
def test_any_line_has_a_kind(line):
    """From the network comes anything."""
    for text in (line, b"SIP/" + line, b"INVITE " + line + b" SIP/2.0"):
        assert kind_of(text) in range(NOT_SIP, 13)


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=6))
def test_any_datagrams_that_begin_like_sip_do_no_harm(tails):
    """Nearly right is worse than rubbish."""
    frames = [there(request()[: 40 + len(tail)] + tail) for tail in tails]

    assert counts(frames).get("fwd_packets", 0) == len(frames)


def test_what_is_remembered_is_bounded_and_what_is_forgotten_is_told():
    """A flood of calls must not eat the machine."""
    conversations, held = Conversations(most=1000), []
    for turn in range(30):
        texts = [request(call=f"{turn}.{number}") for number in range(500)]

        conversations.read(texts, [0] * 500, [T0 + turn] * 500)

        held.append(conversations.remembered)

    assert max(held) <= 3 * 2 * 1500
    assert conversations.forgotten > 0


def test_what_is_old_is_forgotten_without_any_flood():
    """After a quiet night nothing of the day before is left."""
    conversations = Conversations()
    conversations.read([request(call=f"{n}") for n in range(500)], [0] * 500, [T0] * 500)
    assert conversations.remembered == 1500

    for late in (SPAN_NS, 2 * SPAN_NS):
        conversations.read([request("ACK", "other")], [0], [T0 + late])

    assert conversations.remembered <= 2
    assert conversations.forgotten == 0


def test_a_memory_holds_on_for_its_span_however_often_it_is_told_the_time():
    """Batches may be of any length, and clocks of several interfaces differ by little."""
    memory = Memory()
    memory.tick(T0)
    memory.young[1] = 1

    for moved in (0, -5, SPAN_NS - 1, SPAN_NS, SPAN_NS - 5, 2 * SPAN_NS - 1):
        memory.tick(T0 + moved)
        assert memory.get(1) == 1

    memory.tick(T0 + 2 * SPAN_NS)
    assert memory.get(1) is None


def test_a_probe_says_how_much_it_forgot():
    """It is in the last line that an operator sees."""
    assert make_probe().forgotten == 0
