"""Records: what the Kafka sink sends, none of it larger than a broker takes.

A dead letter is as long as whoever wrote it liked, and a list of verdicts grows with the labels.
One record that no broker takes would be tried for ever, and nothing after it be judged.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import msgspec
from kafka.partitioner.default import DefaultPartitioner, murmur2

from .batch import DeadLetter
from .verdict import Verdict

log = logging.getLogger(__name__)

LIST = 500  # verdicts in a message at most
KEYS = 100_000  # links whose partition is remembered
# Brokers and client refuse more than 1 MiB by default, what headers take included.
VALUE_BYTES = 900_000  # of a dead letter that is passed on; of a list with its key
KEY_BYTES = 16_000  # of a dead letter's key
SHOWN = 100  # bytes of a key in the log
PLACE = ("topic", "partition", "offset", "size")  # headers of a dead letter: where it lay


@dataclass(frozen=True, slots=True)
class Record:
    """One record to be delivered."""

    topic: str
    key: bytes | None
    value: bytes | None  # None: whatever was kept under the key is no more
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None  # None: where the key belongs


class Remembering(DefaultPartitioner):  # type: ignore[misc]
    """Puts a key where the default does; its hash is slow Python, and links come again."""

    def partition(
        self,
        topic: str,
        key: bytes | None,
        serialized_key: bytes | None,
        value: bytes,
        serialized_value: bytes,
        cluster: Any,
    ) -> Any:
        """Give a record's partition: the key's hash, modulo the topic's partitions."""
        if serialized_key is None:
            return super().partition(topic, key, serialized_key, value, serialized_value, cluster)
        return _hash(serialized_key) % len(cluster.partitions_for_topic(topic))


@lru_cache(KEYS)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF


def dead_letter(topic: str, letter: DeadLetter) -> Record:
    """Make a record of what could not be used, with where it lay and why in its headers."""
    message, rejected = letter.message, letter.rejected
    key, value = message.key, rejected.data
    facts = {
        "reason": rejected.reason,
        "detail": rejected.detail[:1000],
        "topic": message.topic,
        "partition": str(message.partition),
        "offset": str(message.offset),
        "size": str(len(value)),  # bytes; more than are passed on if it was cut
        "key_size": str(len(key or b"")),  # likewise
    }
    headers = tuple((name, fact.encode("utf-8", "replace")) for name, fact in facts.items())
    return Record(topic, key and key[:KEY_BYTES], value[:VALUE_BYTES], headers)


def lists(verdicts: Sequence[Verdict], key: bytes | None) -> Iterable[bytes]:
    """Encode verdicts as lists that a broker takes under a key, in their order."""
    for start in range(0, len(verdicts), LIST):
        yield from _halved(verdicts[start : start + LIST], VALUE_BYTES - len(key or b""))


def _halved(verdicts: Sequence[Verdict], size_bytes: int) -> Iterable[bytes]:
    """Encode verdicts as one list, or where that is larger as two, and so on."""
    body = msgspec.json.encode(verdicts)
    if len(body) <= size_bytes or len(verdicts) == 1:
        yield body
        return
    half = len(verdicts) // 2
    yield from _halved(verdicts[:half], size_bytes)
    yield from _halved(verdicts[half:], size_bytes)


def shortened(record: Record) -> list[Record]:
    """Give what to send in place of a record that the broker won't take at its size.

    Of a dead letter that is where it lay and why. Of all else nothing; it is lost, and the log
    says so.
    """
    key, value = record.key or b"", record.value or b""
    where = {name: fact.decode() for name, fact in record.headers if name in PLACE}
    size = len(key) + len(value)
    facts = {"to": record.topic, "key": key[:SHOWN], "bytes": size, **where}
    if where and size:
        log.warning("too large, only where it lay and why is passed on", extra=facts)
        return [replace(record, key=None, value=b"")]
    log.error("too large for the broker, and lost", extra=facts)
    return []
