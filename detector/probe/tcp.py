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
from .memory import SPAN_NS, Memory
from .packets import Ints

FIN, SYN, RST = 1, 2, 4
WRAP, HALF = 1 << 32, 1 << 31  # sequence numbers start anew after 2^32
APART = 1 << 36  # keeps flows apart in one running maximum; more than any distance in a flow
MOST_HEADER = 1 << 16  # bytes of a SIP message's header
MOST_BEHIND = 1 << 24  # bytes; what begins farther back isn't sent again but another connection's
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
    overtaken on its way counts too: a single pass can't tell. A flow that was silent for longer
    than `SPAN_NS` begins anew.
    """

    def __init__(self) -> None:
        # Of a flow: a sequence number, and when a segment was last seen.
        self._first: Memory[tuple[int, int]] = Memory()  # of its SYN
        self._next: Memory[tuple[int, int]] = Memory()  # highest end seen

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
            memory.tick(int(time_ns[0]))
        fresh = self._fresh(flow, sequence, flags, time_ns)
        order = np.argsort(flow, kind="stable")
        flow, sequence, fresh, time_ns = flow[order], sequence[order], fresh[order], time_ns[order]
        taken = (size + (flags & FIN > 0) + (flags & SYN > 0))[order]
        changes = np.r_[True, flow[1:] != flow[:-1]]
        fresh |= np.r_[False, np.diff(time_ns) > SPAN_NS] & ~changes
        starts = np.flatnonzero(changes | fresh)  # of runs: one flow, one connection
        run = np.cumsum(changes | fresh) - 1

        base, floor = self._where(flow[starts], sequence[starts], fresh[starts], time_ns[starts])
        before = np.r_[0, sequence[:-1]]
        before[starts] = base
        # From segment to segment, so that a run may be longer than sequence numbers tell apart.
        moved = (sequence - before + HALF) % WRAP - HALF
        begin = np.cumsum(moved)
        begin -= (begin - moved)[starts][run]
        highest = np.maximum.accumulate(run * APART + np.maximum(begin + taken, floor[run]))
        highest -= run * APART
        before = np.r_[0, highest[:-1]]
        before[starts] = floor
        is_keepalive = (taken == 1) & (begin == before - 1) & (flags[order] & (FIN | SYN) == 0)

        last = np.r_[starts[1:], len(flow)] - 1
        ends = (highest[last] + base) % WRAP
        # Of several connections of a flow the last one stays.
        stays = zip(ends.tolist(), time_ns[last].tolist(), strict=True)
        self._next.young.update(zip(flow[last].tolist(), stays, strict=True))

        result = np.empty(len(flow), bool)
        result[order] = (taken > 0) & (begin < before) & ~is_keepalive
        return result

    def _where(
        self, flow: NDArray[np.uint64], sequence: Ints, fresh: NDArray[np.bool_], time_ns: Ints
    ) -> tuple[Ints, Ints]:
        """Give the highest end before each run, and how low it may be below its first segment.

        Where none is known, that is the first segment's own beginning, and nothing is below it.
        """
        base, floor = sequence.copy(), np.full(len(flow), -HALF)
        runs = zip(flow.tolist(), fresh.tolist(), time_ns.tolist(), strict=True)
        for run, (key, is_fresh, now) in enumerate(runs):
            known = None if is_fresh else self._next.get(key)
            if known is not None and now - known[1] <= SPAN_NS:
                base[run], floor[run] = known[0], 0
        return base, floor

    def _fresh(
        self, flow: NDArray[np.uint64], sequence: Ints, flags: Ints, time_ns: Ints
    ) -> NDArray[np.bool_]:
        """Tell which segments begin a new connection: a SYN that isn't sent again."""
        fresh = np.zeros(len(flow), bool)
        for place in np.flatnonzero(flags & SYN).tolist():
            key, first, now = int(flow[place]), int(sequence[place]), int(time_ns[place])
            known = self._first.get(key)
            fresh[place] = known is None or known[0] != first or now - known[1] > SPAN_NS
            self._first.young[key] = first, now
        return fresh


@dataclass(slots=True)
class Stream:
    """Where the reading of SIP in one flow stands."""

    following: int  # the sequence number that comes next
    time_ns: int  # of the latest segment
    header: bytes = b""  # the beginning of a message
    skip: int = 0  # bytes of a body still to come
    is_lost: bool = False  # bytes are missing: wait for a segment that begins a message


class SipStreams:
    """Finds the SIP messages in TCP flows, however they are cut into segments."""

    def __init__(self) -> None:
        self._streams: Memory[Stream] = Memory(50_000)
        self.broken = 0  # times that a stream had to be given up until its next message

    @property
    def forgotten(self) -> int:
        """Streams forgotten for want of room."""
        return self._streams.forgotten

    def is_known(self, flow: int) -> bool:
        """Tell whether SIP was seen in a flow lately."""
        return self._streams.get(flow) is not None

    def tick(self, now: int) -> None:
        """Say what time it is, nanoseconds; forgets streams that went quiet."""
        self._streams.tick(now)

    def forget(self, flow: int) -> None:
        """Take note that a new connection begins."""
        self._streams.forget(flow)

    def feed(
        self, flow: int, sequence: int, payload: bytes, size: int, now: int
    ) -> Iterator[bytes]:
        """Give the messages whose header ends in this segment.

        A flow in which no message has begun lately is left alone until one does.

        Args:
            flow: its number.
            sequence: sequence number of the payload's first byte.
            payload: what was captured of it.
            size: bytes of it on the wire.
            now: when it came, nanoseconds.
        """
        stream = self._streams.get(flow)
        if stream is None or now - stream.time_ns > SPAN_NS:
            self.forget(flow)
            if payload[:4] not in sip.KINDS:
                return
            stream = Stream(sequence, now)
        stream.time_ns = now
        self._streams.young[flow] = stream
        ahead = (sequence - stream.following + HALF) % WRAP - HALF
        if -MOST_BEHIND < ahead < 0:  # sent again, wholly or in its beginning
            payload, size = payload[-ahead:], size + ahead
            if size <= 0:
                return
        elif ahead:
            yield from self._miss(stream, ahead if ahead > 0 else WRAP)
            stream.following = sequence
        stream.following = (stream.following + size) % WRAP
        yield from self._messages(stream, payload, size)

    def _messages(self, stream: Stream, payload: bytes, size: int) -> Iterator[bytes]:
        missing = size - len(payload)  # behind the snapshot length
        passed = min(stream.skip, len(payload))
        stream.skip -= passed
        text = stream.header + payload[passed:]
        if stream.is_lost:
            if text[:4] not in sip.KINDS:
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
            yield from self._miss(stream, missing)
        elif len(text) > MOST_HEADER:
            yield from self._give_up(stream)

    def _miss(self, stream: Stream, count: int) -> Iterator[bytes]:
        """Take note that *count* bytes were not seen; those of a body nobody misses."""
        covered = min(count, stream.skip)
        stream.skip -= covered
        if count > covered:
            yield from self._give_up(stream)

    def _give_up(self, stream: Stream) -> Iterator[bytes]:
        """Lose the thread until a segment begins with a message; what is there may do."""
        header = stream.header
        if sip.kind_of(header[: header.find(b"\r\n")]) != sip.NOT_SIP:
            yield header
        stream.header, stream.skip, stream.is_lost = b"", 0, True
        self.broken += 1
