"""SIP messages: what kind each is, whether it is a repeat, and how long an answer took.

Source: RFC 3261. A message is read from its first line, its Call-ID and its CSeq; a body is
never looked at, so messages that a snapshot length cut off count as long as those three are
there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .memory import MOST, SPAN_NS, Memory
from .packets import Ints

METHODS = (b"INVITE", b"ACK", b"BYE", b"REGISTER", b"OPTIONS", b"CANCEL")
OTHERS = (
    b"INFO",
    b"PRACK",
    b"UPDATE",
    b"SUBSCRIBE",
    b"NOTIFY",
    b"REFER",
    b"MESSAGE",
    b"PUBLISH",
)
INVITE, ACK, OTHER_REQUEST, FIRST_CLASS = 0, 1, 6, 7  # kinds: requests 0-6, classes 7-12
# By the first four bytes, with which no two methods begin alike.
KINDS = {
    **{method[:4].ljust(4): OTHER_REQUEST for method in OTHERS},
    **{method[:4].ljust(4): place for place, method in enumerate(METHODS)},
    b"SIP/": FIRST_CLASS,
}
NOT_SIP = -1
CALL_ID, CSEQ, TO = b"\r\nCall-ID: ", b"\r\nCSeq: ", b"\r\nTo: "  # as nearly everybody writes them
_CODES = np.array(sorted(int.from_bytes(start, "little") for start in KINDS), np.uint32)
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_CSEQ = re.compile(rb"^cseq[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_TO = re.compile(rb"^(?:to|t)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(rb";[ \t]*tag=", re.IGNORECASE)


@dataclass(slots=True)
class Messages:
    """What was learnt from messages; every array is (messages,)."""

    kind: Ints  # 0-6 request by METHODS, 7-12 response class 1xx-6xx, -1 not SIP
    is_repeat: NDArray[np.bool_]
    is_new_call: NDArray[np.bool_]
    response_ms: NDArray[np.float64]  # of first responses: time since the request; else NaN


class Conversations:
    """Follows requests and responses of all links.

    A *way* is a link and a direction: `2 * link`, plus 1 for reverse.
    """

    def __init__(self, most: int = MOST) -> None:
        self._seen: Memory[int] = Memory(most)  # message -> when it was last seen
        self._open: Memory[int] = Memory(most)  # request without an answer -> when it came
        self._calls: Memory[int] = Memory(most)  # way and Call-ID of an INVITE -> when it came

    @property
    def forgotten(self) -> int:
        """Entries forgotten for want of room: repeats and responses may have been missed."""
        return self._seen.forgotten + self._open.forgotten + self._calls.forgotten

    @property
    def remembered(self) -> int:
        """How many entries there are."""
        return len(self._seen) + len(self._open) + len(self._calls)

    def read(
        self, messages: Sequence[bytes], ways: Sequence[int], times_ns: Sequence[int]
    ) -> Messages:
        """Read messages in the order in which they came.

        Of a message only a hash is kept. This loop is what the probe's speed on SIP hangs on,
        so it holds no call that it can do without.
        """
        for memory in (self._seen, self._open, self._calls):
            memory.tick(times_ns[0])
        seen, seen_before = self._seen.young, self._seen.old.get
        asked, asked_before = self._open.young, self._open.old
        kinds: list[int] = []
        repeats: list[int] = []
        new_calls: list[int] = []
        answers: list[tuple[int, int]] = []  # which message, and how long it took
        for place, (message, way, now) in enumerate(zip(messages, ways, times_ns, strict=True)):
            end = message.find(b"\r\n")
            kind = kind_of(first := message[:end]) if end > 0 else NOT_SIP
            kinds.append(kind)
            if kind == NOT_SIP:
                continue
            at = message.find(CALL_ID, end)
            call = (
                message[at + 11 : message.find(b"\r", at + 11)].strip()
                if at > 0
                else _header(message, _CALL_ID)
            )
            at = message.find(CSEQ, at)
            turn = (
                message[at + 8 : message.find(b"\r", at + 8)].strip()
                if at > 0
                else _header(message, _CSEQ)
            )
            identity = hash((way, first, call, turn))
            last = seen.get(identity) or seen_before(identity)
            seen[identity] = now
            if last is not None and now - last <= SPAN_NS:
                repeats.append(place)
            elif kind >= FIRST_CLASS:
                request = hash((way ^ 1, call, turn))
                begun = asked.pop(request, None) or asked_before.pop(request, None)
                if begun is not None and now - begun <= SPAN_NS:
                    answers.append((place, now - begun))
            elif kind != ACK:  # nobody answers an ACK
                asked[hash((way, call, turn))] = now
                if kind == INVITE and self._is_new(message, way, call, now):
                    new_calls.append(place)
        return _messages(kinds, repeats, new_calls, answers)

    def _is_new(self, message: bytes, way: int, call: bytes, now: int) -> bool:
        """Tell a new call from a repeated try or a change within one, which has a tag in To."""
        identity = hash((way, call))
        last = self._calls.get(identity)
        self._calls.young[identity] = now
        if last is not None and now - last <= SPAN_NS:
            return False
        at = message.find(TO)
        to = message[at + 6 : message.find(b"\r", at + 6)] if at > 0 else _header(message, _TO)
        return not _TAG.search(to)


def _messages(
    kinds: list[int], repeats: list[int], new_calls: list[int], answers: list[tuple[int, int]]
) -> Messages:
    messages = Messages(
        np.array(kinds, np.int64),
        np.zeros(len(kinds), bool),
        np.zeros(len(kinds), bool),
        np.full(len(kinds), np.nan),
    )
    messages.is_repeat[repeats] = True
    messages.is_new_call[new_calls] = True
    which, waits_ns = np.array(answers, np.int64).reshape(-1, 2).T
    messages.response_ms[which] = waits_ns / 1e6
    return messages


@lru_cache(4096)
def kind_of(first: bytes) -> int:
    r"""Give the kind of the message with this first line; `NOT_SIP` if it begins none.

    >>> kind_of(b"BYE sip:a@b SIP/2.0"), kind_of(b"SIP/2.0 404 Not Found")
    (2, 10)
    >>> kind_of(b"GET / HTTP/1.1"), kind_of(b"BYE BYE"), kind_of(b"PUBLISH sip:a@b SIP/2.0")
    (-1, -1, 6)
    """
    kind = KINDS.get(first[:4], NOT_SIP)
    if kind == FIRST_CLASS:
        digit = first[8:9]
        return FIRST_CLASS - 1 + int(digit) if b"1" <= digit <= b"6" else NOT_SIP
    return kind if first[-8:] == b" SIP/2.0" else NOT_SIP


def may_begin(buffer: NDArray[np.uint8], at: Ints) -> NDArray[np.bool_]:
    """Tell, quickly, where a SIP message may begin: its first four bytes are of one."""
    places = at[:, None] + np.arange(4)
    begins = buffer.take(places, mode="clip").view(np.uint32)[:, 0]
    return np.isin(begins, _CODES)


def _header(message: bytes, pattern: re.Pattern[bytes]) -> bytes:
    """Find a header's value where it isn't written as nearly everybody writes it."""
    found = pattern.search(message)
    return found[1].strip() if found else b""
