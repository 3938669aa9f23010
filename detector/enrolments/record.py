"""Records: an enrolment as bytes, on a topic or in a file.

Whoever may write to the topic may write anything, so what is read is checked like any other
thing that comes from outside.
"""

import logging

import msgspec

from detector.enrolment import Enrolment, EnrolmentError, check

log = logging.getLogger(__name__)

MOST_REMEMBERED = 1000  # of what can't be read

_DECODER = msgspec.msgpack.Decoder(Enrolment)


def encode(enrolment: Enrolment) -> bytes:
    """Give an enrolment as MessagePack."""
    return msgspec.msgpack.encode(enrolment)


def decode(data: bytes, key: str) -> Enrolment:
    """Read an enrolment that lies under *key*.

    Raises:
        EnrolmentError: if the bytes are none, or one that can't be used.
    """
    try:
        found = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise EnrolmentError(f"not an enrolment: {error}") from error
    check(found)
    if found.id != key:
        raise EnrolmentError(f"the enrolment {found.id!r} lies under {key[:40]!r}")
    return found


class Unreadable:
    """Counts what could not be read, and logs each once."""

    def __init__(self) -> None:
        # In the order in which they came; the oldest are forgotten, and then count again.
        self._seen: dict[tuple[object, ...], None] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def note(self, where: tuple[object, ...], why: object) -> None:
        """Note that what lies somewhere can't be read; the same place is noted once."""
        if where not in self._seen:
            self._seen[where] = None
            self._count += 1
            if len(self._seen) > MOST_REMEMBERED:
                del self._seen[next(iter(self._seen))]
            place = " ".join(map(str, where))
            log.warning("enrolment can't be read", extra={"where": place, "why": str(why)})
