"""Verdicts, events and dead letters to Kafka; every acknowledgement is waited for."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice, zip_longest
from typing import Any

import msgspec
from kafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
from kafka.future import Future

from .config import Kafka
from .events import DIALECTS, TOLD, Event
from .kafka_client import Access, RefusedError
from .kafka_records import Record, Remembering, dead_letter, lists, shortened
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
TOO_LARGE = MessageSizeTooLargeError, RecordListTooLargeError  # which no other try mends


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
            self._send(stage)

    def close(self) -> None:
        """Let go of the connection."""
        self._let_go(CLOSE_MS)

    def _send(self, records: Sequence[Record]) -> None:
        left = records
        while left:
            self._beat()
            tried = left
            left, large = self._deliver(tried)
            if large and len(tried) == 1:
                left = shortened(*large)
            else:
                # Each alone: in one batch with others it may be refused for their size.
                for record in large:
                    self._send([record])
            if left and self._stopping.is_set():
                raise SinkUnavailableError(f"{len(left)} records are not acknowledged")

    def _let_go(self, milliseconds: int) -> None:
        if self._producer is not None:
            close_producer(self._producer, milliseconds)
            self._producer = None

    def _records(self, outcome: Outcome) -> Iterable[Record]:
        topics = self._settings
        if topics.verdicts_a_message == "one":
            for verdict in outcome.verdicts:
                yield Record(topics.verdicts, verdict.link.encode(), self._encode(verdict))
        else:
            yield from self._answers(outcome)
        for letter in outcome.dead_letters:
            yield dead_letter(topics.dead_letters, letter)

    def _told(self, event: Event) -> Record:
        """Make a record of an event, in the dialect that was asked for."""
        value, headers = self._dialect(event)
        told = (TOLD, ",".join(event.told).encode())
        key = event.link or event.group or event.source
        return Record(self._settings.events, key.encode(), value, (*headers, told))

    def _kept(self, record: LinkRecord) -> Record:
        """Make a record of what is kept of a link, on the partition of its windows."""
        is_gone = record.is_gone and not record.waiting
        value = None if is_gone else self._encode(record)
        return Record(self._settings.states, record.key, value, partition=record.partition)

    def _answers(self, outcome: Outcome) -> Iterable[Record]:
        """Answer each record with the verdicts of its windows: one as it is, more as lists."""
        verdicts = iter(outcome.verdicts)
        for share in outcome.shares:
            mine = list(islice(verdicts, share.windows))
            bodies = [self._encode(mine[0])] if share.windows == 1 else lists(mine, share.key)
            for body in bodies:
                yield Record(self._settings.verdicts, share.key, body)

    def _deliver(self, records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
        """Try once; give what was not acknowledged, and apart from it what is too large."""
        if self._producer is None and not self._connect():
            return list(records), []
        futures: list[Any] = []
        try:
            futures += map(self._put, records)  # those put before an error too
            # All of the batch is there: nothing is won by lingering for more. What came of it
            # the futures say; the client takes a batch that it had to part for an error.
            with suppress(KafkaError):
                self._producer.flush(timeout=SLICE_SECONDS)
            problem = self._wait(futures)
        except KafkaError as error:  # no word of the topic, or no room in the buffer
            problem = in_words(error, self._settings)
        if problem:
            log.warning("delivery failed, trying again", extra={"why": problem})
        if problem or any(map(_is_too_large, futures)):
            # A producer that gave records up has gaps in its sequence, and after one that was too
            # large it gives up all; a fresh one takes them.
            self._let_go(GIVE_UP_MS)
        return _parted(records, futures)

    def _put(self, record: Record) -> Any:
        """Hand a record to the client, and give the future of its acknowledgement."""
        partition, headers = self._partition(record), list(record.headers)
        try:
            return self._producer.send(record.topic, record.value, record.key, headers, partition)
        except TOO_LARGE as error:  # which the client itself refuses
            return Future().failure(error)

    def _partition(self, record: Record) -> int | None:
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
            if future.failed() and not _is_too_large(future):
                return in_words(future.exception, self._settings)
        return ""

    def _connect(self) -> bool:
        settings = self._settings
        delivery_ms = round(settings.delivery_seconds * 1000)
        try:
            self._producer = self._access.producer(
                bootstrap_timeout_ms=CONNECT_MS,
                client_id="anchorwatchd",
                partitioner=Remembering(),
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


def _is_too_large(future: Any) -> bool:
    return future.is_done and isinstance(future.exception, TOO_LARGE)


def _parted(
    records: Sequence[Record], futures: Sequence[Any]
) -> tuple[list[Record], list[Record]]:
    """Part what was not acknowledged, or not even sent, from what was refused as too large."""
    left, large = [], []
    for record, future in zip_longest(records, futures, fillvalue=Future()):
        if _is_too_large(future):
            large.append(record)
        elif not (future.is_done and future.succeeded()):
            left.append(record)
    return left, large


def close_producer(producer: Any, milliseconds: int) -> None:
    """Close a producer, and give up what it can't deliver in time."""
    try:
        producer.close(timeout=milliseconds / 1000)
    except KafkaError:
        # It stops half closed, and would go on sending what somebody else sends meanwhile. Only
        # its thread can be told; kafka-python is pinned below 3.1.
        producer._sender.force_close()
