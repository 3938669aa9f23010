"""TCP: which segments are sent again, and the SIP messages inside a stream.

Source: RFC 9293. A flow is one direction of a connection, as seen on one link.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import sip
from .headers import Headers
from .memory import Memory
from .packets import Ints

FIN, SYN, RST = 1, 2, 4
WRAP, HALF = 1 << 32, 1 << 31  # sequence numbers start anew after 2^32
APART = 1 << 36  # keeps flows apart in one running maximum; more than any distance in a flow
MOST_HEADER = 1 << 16  # bytes of a SIP message's header
_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d{1,9})", re.I | re.MULTILINE)


def flows(headers: Headers, which: NDArray[np.intp], ways: Ints) -> NDArray[np.uint64]:
    """Give the flow of each TCP packet as a number: a hash of way, addresses and ports."""
    ports = headers.source_port[which] << 16 | headers.target_port[which]
    parts = (
        *headers.source[which].T,
        *headers.target[which].T,
        (ways << 32 | ports).astype(np.uint64),
    )
    mixed = np.zeros(len(which), np.uint64)
    for part in parts:  # the finalizer of SplitMix64 (Steele et al. 2014)
        mixed = (mixed ^ part) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


class Sequences:
    """Follows the sequence numbers of all flows.

    A segment is sent again if it takes up sequence space and begins below the highest end seen
    in its flow. One byte just below it, a keep-alive, does not count. A segment that was only
    overtaken on its way counts too: a single pass can't tell.
    """

    def __init__(self) -> None:
        self._first: Memory[int] = Memory()  # flow -> sequence number of its SYN
        self._next: Memory[int] = Memory()  # flow -> highest end seen

    @property
    def forgotten(self) -> int:
        """Flows forgotten for want of room."""
        return self._next.forgotten

    def repeats(
        self, flow: NDArray[np.uint64], sequence: Ints, size: Ints, flags: Ints, time_ns: Ints
    ) -> NDArray[np.bool_]:
        """Tell which segments are sent again: (segments,); *size* is the payload's, bytes."""
        if not len(flow):
            return np.zeros(0, bool)
        for memory in (self._first, self._next):
            memory.tick(int(time_ns[-1]))
        fresh = self._fresh(flow, sequence, flags)
        order = np.argsort(flow, kind="stable")
        flow, sequence, fresh = flow[order], sequence[order], fresh[order]
        taken = (size + (flags & FIN > 0) + (flags & SYN > 0))[order]
        changes = np.r_[True, flow[1:] != flow[:-1]]
        starts = np.flatnonzero(changes | fresh)  # of runs: one flow, one connection
        run = np.cumsum(changes | fresh) - 1

        known = [
            None if is_fresh else self._next.get(key)
            for key, is_fresh in zip(flow[starts].tolist(), fresh[starts].tolist(), strict=True)
        ]
        base = np.array(
            [first if k is None else k for k, first in zip(known, sequence[starts], strict=True)]
        )
        floor = np.where([k is None for k in known], -HALF, 0)
        begin = (sequence - base[run] + HALF) % WRAP - HALF
        highest = np.maximum.accumulate(run * APART + np.maximum(begin + taken, floor[run]))
        highest -= run * APART
        before = np.r_[0, highest[:-1]]
        before[starts] = floor
        is_keepalive = (taken == 1) & (begin == before - 1) & (flags[order] & (FIN | SYN) == 0)

        last = np.r_[starts[1:], len(flow)] - 1
        ends = (highest[last] + base) % WRAP
        for key, end in zip(flow[last].tolist(), ends.tolist(), strict=True):
            self._next.young[key] = end  # of several connections of a flow the last one stays

        result = np.empty(len(flow), bool)
        result[order] = (taken > 0) & (begin < before) & ~is_keepalive
        return result

    def _fresh(self, flow: NDArray[np.uint64], sequence: Ints, flags: Ints) -> NDArray[np.bool_]:
        """Tell which segments begin a new connection: a SYN that isn't sent again."""
        fresh = np.zeros(len(flow), bool)
        for place in np.flatnonzero(flags & SYN).tolist():
            key, first = int(flow[place]), int(sequence[place])
            fresh[place] = self._first.get(key) != first
            self._first.young[key] = first
        return fresh


@dataclass(slots=True)
class Stream:
    """Where the reading of SIP in one flow stands."""

    following: int  # the sequence number that comes next
    header: bytes = b""  # the beginning of a message
    skip: int = 0  # bytes of a body still to come
    is_lost: bool = False  # bytes are missing: wait for a segment that begins a message


class SipStreams:
    """Finds the SIP messages in TCP flows, however they are cut into segments."""

    def __init__(self) -> None:
        self._streams: Memory[Stream] = Memory(50_000)
        self.broken = 0  # times that a stream had to be given up until its next message

    def is_known(self, flow: int) -> bool:
        """Tell whether SIP was seen in a flow."""
        return self._streams.get(flow) is not None

    def tick(self, now: int) -> None:
        """Say what time it is, nanoseconds; forgets streams that went quiet."""
        self._streams.tick(now)

    def feed(self, flow: int, sequence: int, payload: bytes, size: int) -> Iterator[bytes]:
        """Give the messages whose header ends in this segment; *size* is as on the wire."""
        stream = self._streams.get(flow)
        if stream is None:
            stream = Stream(sequence)
        self._streams.young[flow] = stream
        ahead = (sequence - stream.following + HALF) % WRAP - HALF
        if ahead < 0:  # sent again, wholly or in its beginning
            payload, size = payload[-ahead:], size + ahead
            if size <= 0:
                return
        elif ahead > 0:
            yield from self._give_up(stream)
        stream.following = (stream.following + max(ahead, 0) + size) % WRAP
        yield from self._messages(stream, payload, size)

    def _messages(self, stream: Stream, payload: bytes, size: int) -> Iterator[bytes]:
        missing = size - len(payload)  # behind the snapshot length
        passed = min(stream.skip, len(payload))
        stream.skip -= passed
        text = stream.header + payload[passed:]
        if stream.is_lost:
            if sip.kind_of(text[: text.find(b"\r\n")]) == sip.NOT_SIP:
                return
            stream.is_lost = False
        while text := text.lstrip(b"\r\n"):  # between messages: keep-alives
            end = text.find(b"\r\n\r\n")
            if end < 0:
                break
            message, text = text[: end + 4], text[end + 4 :]
            length = _LENGTH.search(message)
            body = int(length[1]) if length else 0
            stream.skip, text = max(0, body - len(text)), text[body:]
            yield message
        stream.header = text
        if missing > 0:
            covered = min(missing, stream.skip)
            stream.skip -= covered
            if missing > covered:
                yield from self._give_up(stream)
        elif len(text) > MOST_HEADER:
            yield from self._give_up(stream)

    def _give_up(self, stream: Stream) -> Iterator[bytes]:
        """Lose the thread until a segment begins with a message; what is there may do."""
        header = stream.header
        if sip.kind_of(header[: header.find(b"\r\n")]) != sip.NOT_SIP:
            yield header
        stream.header, stream.skip, stream.is_lost = b"", 0, True
        self.broken += 1
