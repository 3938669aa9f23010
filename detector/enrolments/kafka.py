"""Enrolments on a compacted topic, which every daemon reads whole and goes on reading.

No group: each daemon wants all of them. The newest record of a key counts; one without a value
takes the enrolment away. A connection that failed is made anew, and then all is read again.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from kafka import TopicPartition
from kafka.errors import (
    KafkaError,
    RetriableError,
    TopicAlreadyExistsError,
)

from detector.config import Kafka
from detector.enrolment import Enrolment, EnrolmentError
from detector.kafka_client import Access, RefusedError, partitions, stuck_at
from detector.kafka_refusal import in_words
from detector.kafka_sink import close_producer
from detector.kafka_states import COMPACTED

from .keeping import EnrolmentsRefusedError, EnrolmentsUnavailableError
from .record import Unreadable, decode, encode

log = logging.getLogger(__name__)

CONNECT_MS = 2000
ASK_MS = 1000  # for how much there is
POLL_SECONDS = 2.5  # of reading at most; what is left is read the next time
STEP_MS = 100
WRITE_SECONDS = 10.0
CLOSE_MS = 200


class KafkaEnrolments:
    """Reads and writes the topic of enrolled anchors."""

    def __init__(self, settings: Kafka, access: Access | None = None) -> None:
        self._settings = settings
        self._access = access or Access(settings)
        self._consumer: Any = None
        self._places: list[TopicPartition] = []
        self._found: dict[bytes, Enrolment] = {}
        self._given: dict[bytes, Enrolment] | None = None  # None: nothing was given yet
        self._unreadable = Unreadable()
        self._is_refused = False  # whether the topic can't be made

    @property
    def unreadable(self) -> int:
        """How many records could not be read so far."""
        return len(self._unreadable)

    def poll(self) -> Sequence[Enrolment] | None:
        """Read up to where the topic ends now, and give all if anything changed."""
        try:
            is_whole = self._read(time.monotonic() + POLL_SECONDS)
        except RefusedError as error:
            self.close()
            raise EnrolmentsRefusedError(str(error)) from error
        except (KafkaError, OSError) as error:
            self.close()
            away = "broker is away: " if isinstance(error, RetriableError | OSError) else ""
            raise EnrolmentsUnavailableError(
                f"{away}{self._settings.anchors} on {self._settings.bootstrap}: "
                f"{in_words(error, self._settings)}"
            ) from error
        if not is_whole:
            raise EnrolmentsUnavailableError(f"{self._settings.anchors} is still being read")
        if self._found == self._given:
            return None
        self._given = dict(self._found)
        return tuple(self._given[key] for key in sorted(self._given))

    def write(self, enrolment: Enrolment) -> None:
        """Put it on the topic, and wait until every replica has it."""
        topic = self._settings.anchors
        producer = None
        try:
            with closing(self._connected()) as consumer:
                self._topic_places(consumer)
            producer = self._access.producer(
                bootstrap_timeout_ms=CONNECT_MS,
                client_id="anchorwatch-anchors",
                acks="all",
                max_block_ms=round(WRITE_SECONDS * 1000),
                delivery_timeout_ms=round(WRITE_SECONDS * 1000),
                request_timeout_ms=5000,
            )
            sent = producer.send(topic, encode(enrolment), enrolment.id.encode())
            sent.get(WRITE_SECONDS)
        except RefusedError as error:
            raise EnrolmentsRefusedError(str(error)) from error
        except (KafkaError, OSError) as error:
            raise EnrolmentsUnavailableError(
                f"{topic} on {self._settings.bootstrap} takes nothing: "
                f"{in_words(error, self._settings)}"
            ) from error
        finally:
            if producer is not None:
                close_producer(producer, CLOSE_MS)

    def close(self) -> None:
        """Let go of the connection."""
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            consumer.close(autocommit=False, timeout_ms=CLOSE_MS)

    def _read(self, deadline: float) -> bool:
        """Read on; tell whether all that is there was read."""
        if self._consumer is None:
            self._consumer = self._connected()
            self._places, self._found = [], {}
        consumer = self._consumer
        if not self._places:
            self._places = self._topic_places(consumer)
        if not self._places:
            if self._given:
                raise EnrolmentsUnavailableError(f"{self._settings.anchors} is there no more")
            return True  # nobody can enrol anything before the topic is made
        if not consumer.assignment():
            consumer.assign(self._places)
            consumer.seek_to_beginning(*self._places)
        # Asked each time, for a broker that is away gives no error, but nothing.
        ends = consumer.end_offsets(self._places, timeout_ms=ASK_MS)
        while not self._is_read(ends):
            if time.monotonic() > deadline:
                return False
            for place, records in self._polled().items():
                for record in records:
                    self._take(place, record)
        return True

    def _is_read(self, ends: dict[TopicPartition, int]) -> bool:
        positions = {place: self._consumer.position(place, timeout_ms=ASK_MS) for place in ends}
        return all((positions[place] or 0) >= end for place, end in ends.items())

    def _polled(self) -> dict[TopicPartition, list[Any]]:
        try:
            polled: dict[TopicPartition, list[Any]] = self._consumer.poll(STEP_MS)
        except Exception as error:
            place = stuck_at(self._consumer, error)
            if place is None:
                raise
            # Polling a record that the client can't read again would never return.
            offset = self._consumer.position(place)
            self._consumer.seek(place, offset + 1)
            self._unreadable.note((place.topic, place.partition, offset), repr(error))
            return {}
        return polled

    def _take(self, place: TopicPartition, record: Any) -> None:
        key = record.key or b""
        if not record.value:
            self._found.pop(key, None)
            return
        try:
            self._found[key] = decode(record.value, key.decode("ascii", "replace"))
        except EnrolmentError as error:
            self._unreadable.note((place.topic, place.partition, record.offset), error)

    def _connected(self) -> Any:
        return self._access.consumer(
            bootstrap_timeout_ms=CONNECT_MS,
            request_timeout_ms=CONNECT_MS,
            client_id="anchorwatchd-anchors",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )

    def _topic_places(self, consumer: Any) -> list[TopicPartition]:
        """Give the topic's partitions, and make it if it isn't there; none if it can't be made."""
        topic = self._settings.anchors
        numbers = consumer.partitions_for_topic(topic) or range(self._make_topic())
        return [TopicPartition(topic, number) for number in sorted(numbers)]

    def _make_topic(self) -> int:
        """Make the topic if it isn't there, and say how many partitions it has."""
        topic = self._settings.anchors
        with closing(self._access.admin(bootstrap_timeout_ms=CONNECT_MS)) as admin:
            if count := partitions(admin, topic):  # made since, or allowed to be seen
                return count
            try:
                made = {topic: {"num_partitions": 1, "configs": COMPACTED}}
                admin.create_topics(made, timeout_ms=5000, wait_for_metadata=True)
            except TopicAlreadyExistsError:  # another daemon was quicker
                return 1
            except RetriableError:
                raise
            except KafkaError as error:
                # Whoever runs the broker may want to make topics himself.
                if not self._is_refused:
                    why = in_words(error, self._settings)
                    log.warning("topic can't be made", extra={"topic": topic, "why": why})
                self._is_refused = True
                return 0
        log.info("topic made", extra={"topic": topic, "partitions": 1})
        return 1
