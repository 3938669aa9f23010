"""The probe itself: batches of packets in, rows out."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from . import headers as header_reader
from . import sip, tcp
from .features import PLACE
from .headers import ICMP, ICMPV6, TCP, UDP, Headers
from .links import NO_WAY, Links
from .packets import Ints, Packets
from .rows import Rows, Seen

ERRORS = {ICMP: (3, 11, 12), ICMPV6: (1, 2, 3, 4)}  # types that report an error
FLAGS = ((tcp.SYN, "tcp_syn"), (tcp.RST, "tcp_rst"), (tcp.FIN, "tcp_fin"))
FIRST_SIP = PLACE["invite"]  # the kinds of SIP messages follow in their order


class Probe:
    """Turns packets into rows.

    Attributes:
        packets: how many packets were read.
        unclassified: how many of them no rule put on a link; they are in no row.
        rows: adds up, and counts packets that came too late.
    """

    def __init__(self, links: Links, rows: Rows) -> None:
        self.links, self.rows = links, rows
        self.packets = self.unclassified = 0
        self._conversations = sip.Conversations()
        self._sequences = tcp.Sequences()
        self._streams = tcp.SipStreams()

    @property
    def forgotten(self) -> int:
        """How much was forgotten for want of room, so that a repeat may have been missed."""
        parts = (self._conversations, self._sequences, self._streams)
        return sum(part.forgotten for part in parts)

    @property
    def broken_streams(self) -> int:
        """How often SIP over TCP could not be followed until its next message."""
        return self._streams.broken

    def push(self, packets: Packets) -> None:
        """Read a batch."""
        self.packets += len(packets)
        headers = header_reader.read(packets)
        way = self.links.ways(packets, headers)
        known = np.flatnonzero(way != NO_WAY)
        self.unclassified += len(way) - len(known)
        if not len(known):
            return
        seen = Seen(packets.time_ns[known], way[known], packets.length[known])
        place = np.full(len(way), -1)
        place[known] = np.arange(len(known))
        self._mark_icmp(headers, known, seen)
        segments = known[headers.protocol[known] == TCP]
        flow = tcp.flows(headers, segments, way[segments])
        self._mark_tcp(headers, segments, flow, packets.time_ns, place, seen)
        self._mark_sip(packets, headers, known, segments, flow, way, place, seen)
        self.rows.add(seen)

    def _mark_icmp(self, headers: Headers, known: NDArray[np.intp], seen: Seen) -> None:
        protocol, kind = headers.protocol[known], headers.kind[known]
        for number, types in ERRORS.items():
            _mark(seen, np.flatnonzero((protocol == number) & np.isin(kind, types)), "icmp_errors")

    def _mark_tcp(
        self,
        headers: Headers,
        segments: NDArray[np.intp],
        flow: NDArray[np.uint64],
        time_ns: Ints,
        place: Ints,
        seen: Seen,
    ) -> None:
        flags, size = headers.flags[segments], headers.payload_length[segments]
        mine = place[segments]
        for bit, name in FLAGS:
            _mark(seen, mine[flags & bit > 0], name)
        _mark(seen, mine[size > 0], "tcp_payload_segments")
        repeats = self._sequences.repeats(
            flow, headers.sequence[segments], size, flags, time_ns[segments]
        )
        _mark(seen, mine[repeats], "tcp_retransmissions")

    def _mark_sip(
        self,
        packets: Packets,
        headers: Headers,
        known: NDArray[np.intp],
        segments: NDArray[np.intp],
        flow: NDArray[np.uint64],
        way: Ints,
        place: Ints,
        seen: Seen,
    ) -> None:
        found, texts = self._messages(packets, headers, known, segments, flow)
        if not found:
            return
        which = np.array(found)
        times = packets.time_ns[which]
        messages = self._conversations.read(texts, way[which].tolist(), times.tolist())
        mine = place[which]
        is_sip = messages.kind != sip.NOT_SIP
        seen.marks.append((mine[is_sip], FIRST_SIP + messages.kind[is_sip]))
        _mark(seen, mine[messages.is_repeat], "sip_retransmissions")
        _mark(seen, mine[messages.is_new_call], "new_calls")
        answered = ~np.isnan(messages.response_ms)
        seen.answers, seen.answer_ms = mine[answered], messages.response_ms[answered]

    def _messages(
        self,
        packets: Packets,
        headers: Headers,
        known: NDArray[np.intp],
        segments: NDArray[np.intp],
        flow: NDArray[np.uint64],
    ) -> tuple[list[int], list[bytes]]:
        """Find what may be SIP messages: the packet of each, in order, and its text."""
        buffer = np.frombuffer(packets.data, np.uint8)
        data, begin = packets.data, headers.payload
        end = begin + headers.captured
        begins_sip = (headers.captured >= 4) & sip.may_begin(buffer, begin)
        datagrams = known[(headers.protocol[known] == UDP) & begins_sip[known]]
        spans = zip(begin[datagrams].tolist(), end[datagrams].tolist(), strict=True)
        which, texts = datagrams.tolist(), [data[start:stop] for start, stop in spans]
        if not len(segments):
            return which, texts
        in_streams = self._in_streams(packets, headers, segments, flow, begins_sip)
        found = [*zip(which, texts, strict=True), *in_streams]
        found.sort(key=lambda one: one[0])
        return [packet for packet, _ in found], [text for _, text in found]

    def _in_streams(
        self,
        packets: Packets,
        headers: Headers,
        segments: NDArray[np.intp],
        flow: NDArray[np.uint64],
        begins_sip: NDArray[np.bool_],
    ) -> Iterator[tuple[int, bytes]]:
        """Find the SIP messages that end in TCP segments."""
        size, is_syn = headers.payload_length[segments], headers.flags[segments] & tcp.SYN > 0
        loaded = np.flatnonzero((size > 0) | is_syn)
        self._streams.tick(int(packets.time_ns[0]))
        present, where = np.unique(flow[loaded], return_inverse=True)
        new = np.zeros(len(present), bool)
        new[where[begins_sip[segments[loaded]]]] = True
        is_sip = new | np.array([self._streams.is_known(key) for key in present.tolist()], bool)
        for segment in loaded[is_sip[where]].tolist():
            packet, key = int(segments[segment]), int(flow[segment])
            if is_syn[segment]:
                self._streams.forget(key)
            if not size[segment] or not (begins_sip[packet] or self._streams.is_known(key)):
                continue  # nothing in it, or before the first message of its stream
            start = int(headers.payload[packet])
            for text in self._streams.feed(
                key,
                int(headers.sequence[packet]) + int(is_syn[segment]),
                packets.data[start : start + int(headers.captured[packet])],
                int(size[segment]),
                int(packets.time_ns[packet]),
            ):
                yield packet, text


def _mark(seen: Seen, packets: Ints | NDArray[np.intp], feature: str) -> None:
    seen.marks.append((packets, np.full(len(packets), PLACE[feature])))
