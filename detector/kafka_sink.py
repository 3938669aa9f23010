"""Verdicts, events and dead letters to Kafka; every acknowledgement is waited for."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.partitioner.default import DefaultPartitioner, murmur2

from .batch import DeadLetter
from .config import Kafka
from .events import DIALECTS, TOLD, Event
from .kafka_client import Access, RefusedError
from .kafka_refusal import in_words
from .oncall.record import LinkRecord
from .sinks import Outcome, SinkUnavailableError

log = logging.getLogger(__name__)

CONNECT_MS = 3000  # then the broker counts as away, and whether to stop is looked at
BLOCK_MS = 1500  # then there is no word of a topic, and the delivery is tried anew
CLOSE_MS = 2000
GIVE_UP_MS = 500  # for closing a producer whose records are sent anew by another
SLICE_SECONDS = 0.2  # how long a delivery is waited for before looking whether to stop
LATE = 2  # times as long as a delivery may take; then a new producer is tried
LIST = 500  # verdicts in a message at most; each takes a few hundred bytes of the 1 MB
KEYS = 100_000  # links whose partition is remembered
VALUE_BYTES = 900_000  # of a dead letter that is passed on; a broker refuses more than 1 MB


@dataclass(frozen=True, slots=True)
class _Record:
    """One record to be delivered."""

    topic: str
    key: bytes | None
    value: bytes | None  # None: whatever was kept under the key is no more
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None  # None: where the key belongs


class _Remembering(DefaultPartitioner):  # type: ignore[misc]
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


class KafkaSink:
    """Delivers verdicts, events and dead letters, and waits for every acknowledgement."""

    def __init__(
        self,
        settings: Kafka,
        dialect: str,
        stopping: threading.Event,
        beat: Callable[[], None],
        access: Access | None = None,
    ) -> None:
        self._settings, self._stopping = settings, stopping
        self._access = access or Access(settings)
        self._dialect = DIALECTS[dialect]
        self._beat = beat  # called while waiting: a broker that is away is not a hang
        self._producer: Any = None
        self._encode = msgspec.json.Encoder().encode

    def send(self, outcome: Outcome) -> None:
        """Deliver all, and try again for as long as the broker is away.

        Raises:
            SinkUnavailableError: if told to stop while it is away.
        """
        for stage in (
            [*self._records(outcome), *map(self._kept, outcome.before)],
            [self._told(event) for event in outcome.events],
            [self._kept(record) for record in outcome.after],
        ):
            left: list[_Record] = stage
            while left:
                self._beat()
                left = self._deliver(left)
                if left and self._stopping.is_set():
                    raise SinkUnavailableError(f"{len(left)} records are not acknowledged")

    def close(self) -> None:
        """Let go of the connection."""
        self._let_go(CLOSE_MS)

    def _let_go(self, milliseconds: int) -> None:
        if self._producer is not None:
            close_producer(self._producer, milliseconds)
            self._producer = None

    def _records(self, outcome: Outcome) -> Iterable[_Record]:
        topics = self._settings
        if topics.verdicts_a_message == "one":
            for verdict in outcome.verdicts:
                yield _Record(topics.verdicts, verdict.link.encode(), self._encode(verdict))
        else:
            yield from self._answers(outcome)
        for letter in outcome.dead_letters:
            yield _dead_letter(topics.dead_letters, letter)

    def _told(self, event: Event) -> _Record:
        """Make a record of an event, in the dialect that was asked for."""
        value, headers = self._dialect(event)
        told = (TOLD, ",".join(event.told).encode())
        key = event.link or event.group or event.source
        return _Record(self._settings.events, key.encode(), value, (*headers, told))

    def _kept(self, record: LinkRecord) -> _Record:
        """Make a record of what is kept of a link, on the partition of its windows."""
        is_gone = record.is_gone and not record.waiting
        value = None if is_gone else self._encode(record)
        return _Record(self._settings.states, record.key, value, partition=record.partition)

    def _answers(self, outcome: Outcome) -> Iterable[_Record]:
        """Answer each record with the verdicts of its windows: one as it is, more as lists."""
        verdicts = iter(outcome.verdicts)
        for share in outcome.shares:
            for start in range(0, share.windows, LIST):
                some = list(islice(verdicts, min(LIST, share.windows - start)))
                body = some[0] if share.windows == 1 else some
                yield _Record(self._settings.verdicts, share.key, self._encode(body))

    def _deliver(self, records: Sequence[_Record]) -> list[_Record]:
        """Try once, and give back what was not acknowledged."""
        if self._producer is None and not self._connect():
            return list(records)
        futures: list[Any] = []
        try:
            for record in records:
                partition = self._partition(record)
                headers = list(record.headers)
                futures.append(
                    self._producer.send(record.topic, record.value, record.key, headers, partition)
                )
            # All of the batch is there: nothing is won by lingering for more.
            with suppress(KafkaTimeoutError):
                self._producer.flush(timeout=SLICE_SECONDS)
            problem = self._wait(futures)
        except KafkaError as error:  # no word of the topic, or no room in the buffer
            problem = in_words(error, self._settings)
        if not problem:
            return []
        log.warning("delivery failed, trying again", extra={"why": problem})
        # A producer that gave records up has gaps in its sequence; a fresh one has none.
        self._let_go(GIVE_UP_MS)
        acked = [future.is_done and future.succeeded() for future in futures]
        acked += [False] * (len(records) - len(futures))
        return [record for record, is_acked in zip(records, acked, strict=True) if not is_acked]

    def _partition(self, record: _Record) -> int | None:
        """Give the partition that a record is meant for, on a topic that may have fewer."""
        if record.partition is None:
            return None
        return record.partition % (len(self._producer.partitions_for(record.topic)) or 1)

    def _wait(self, futures: Sequence[Any]) -> str:
        """Wait for all acknowledgements; what is said is the first failure."""
        # Only a producer whose own thread is gone breaks its word that this takes no longer.
        until = time.monotonic() + LATE * self._settings.delivery_seconds
        for future in futures:
            while not future.is_done:
                try:
                    future.get(timeout=SLICE_SECONDS)
                except KafkaError:
                    self._beat()
                    if not future.is_done and self._stopping.is_set():
                        return "told to stop"
                    if not future.is_done and time.monotonic() > until:
                        return "the client gives no answer"
            if future.failed():
                return in_words(future.exception, self._settings)
        return ""

    def _connect(self) -> bool:
        settings = self._settings
        delivery_ms = round(settings.delivery_seconds * 1000)
        try:
            self._producer = self._access.producer(
                bootstrap_timeout_ms=CONNECT_MS,
                client_id="anchorwatchd",
                partitioner=_Remembering(),
                compression_type="lz4",
                linger_ms=5,
                batch_size=256 * 1024,
                delivery_timeout_ms=delivery_ms,
                request_timeout_ms=delivery_ms // 2,  # the client refuses as long as a delivery
                max_block_ms=BLOCK_MS,
            )
        except (KafkaError, OSError) as error:
            if not isinstance(error, RefusedError):  # which is told of already
                where = {"bootstrap": settings.bootstrap}
                log.warning("broker is away", extra=where | {"why": str(error)})
            self._stopping.wait(SLICE_SECONDS)
            return False
        return True


def close_producer(producer: Any, milliseconds: int) -> None:
    """Close a producer, and give up what it can't deliver in time."""
    try:
        producer.close(timeout=milliseconds / 1000)
    except KafkaTimeoutError:
        # It stops half closed, and would go on sending what somebody else sends meanwhile. Only
        # its thread can be told; kafka-python is pinned below 3.1.
        producer._sender.force_close()


def _dead_letter(topic: str, letter: DeadLetter) -> _Record:
    """Make a record of what could not be used, with where it lay and why in its headers."""
    message, rejected = letter.message, letter.rejected
    facts = {
        "reason": rejected.reason,
        "detail": rejected.detail[:1000],
        "topic": message.topic,
        "partition": str(message.partition),
        "offset": str(message.offset),
        "size": str(len(rejected.data)),  # bytes; more than are passed on if it was cut
    }
    headers = tuple((name, fact.encode("utf-8", "replace")) for name, fact in facts.items())
    return _Record(topic, message.key, rejected.data[:VALUE_BYTES], headers)
