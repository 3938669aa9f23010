"""What is kept of links, and what daemons tell each other, on two topics of Kafka.

Records of links lie on a compacted topic with as many partitions as the windows' topic has, and
are read when a partition is assigned. Writing them is the sink's, so that they are acknowledged
in their turn. Words between daemons may be lost; they are said again two seconds later.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError, TopicAlreadyExistsError

from .config import Kafka
from .events import TOLD, Event
from .kafka_client import Access, RefusedError, partitions
from .kafka_refusal import in_words
from .kafka_sink import close_producer
from .oncall.record import LinkRecord, Word
from .sinks import SinkUnavailableError
from .source import Place

log = logging.getLogger(__name__)

CONNECT_MS = 3000
WORD_MS = 2000  # for a connection that only words need ...
PAUSE_SECONDS = 4.0  # ... and from one try to the next
CLOSE_MS = 200  # there is nothing to save: a word may be lost
AGAIN_SECONDS = 1.0
POLL_MS = 500
ASK_MS = 3000  # for where partitions begin and end; /healthz gives up on who waits long
POSITION_MS = 100  # mostly it is known without asking
ANSWER_MS = 10_000  # for any other answer; one with records is some MB
READ_SECONDS = 60.0  # for one reading; a broker that takes longer is away
LATEST = 5000  # records at the end of the events' topic in which a told event is looked for
# Small segments: only those that are full are compacted, and all is read at a start.
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.bytes": str(32 * 2**20),
    "min.cleanable.dirty.ratio": "0.1",
}
MINUTES_MS = 600_000  # that words are kept


class KafkaStates:
    """Reads what was kept, and passes words between daemons."""

    def __init__(
        self,
        settings: Kafka,
        stopping: threading.Event,
        beat: Callable[[], None],
        access: Access | None = None,
    ) -> None:
        self._settings, self._stopping = settings, stopping
        self._access = access or Access(settings)
        self._beat = beat  # called while waiting: a broker that is away is not a hang
        self._record = msgspec.json.Decoder(LinkRecord)
        self._word = msgspec.json.Decoder(Word)
        self._are_made = False
        self._listener: Any = None
        self._speaker: Any = None
        self._try_again = 0.0  # monotonic seconds

    def restore(self, places: Collection[Place]) -> Sequence[LinkRecord]:
        """Read the records of some partitions; the last one of each link counts.

        Tries for as long as the broker is away: without them a fault that was told of would be
        told of again.

        Raises:
            SinkUnavailableError: if told to stop while it is away.
        """
        while True:
            self._beat()
            try:
                return self._restored(places)
            except RefusedError:
                pass  # which is told of already
            except (KafkaError, OSError, TimeoutError) as error:
                why = in_words(error, self._settings)
                log.warning("states can't be read, trying again", extra={"why": why})
            if self._stopping.wait(AGAIN_SECONDS):
                raise SinkUnavailableError("what was kept of the links can't be read")

    def told(self, events: Iterable[Event]) -> Collection[str]:
        """Look at the end of the events' topic for events that are told already."""
        wanted = {event.id for event in events}
        found: set[str] = set()
        if not wanted:
            return found
        try:
            with closing(self._consumer()) as consumer:
                for record in self._read(consumer, self._settings.events, latest=LATEST):
                    for name, value in record.headers or ():
                        if name == TOLD:
                            found |= wanted & set(value.decode("ascii", "replace").split(","))
        except (KafkaError, OSError, TimeoutError) as error:
            # Told twice is better than never.
            why = in_words(error, self._settings)
            log.warning("events can't be looked up", extra={"why": why})
        return found

    def say(self, word: Word) -> None:
        """Send a word, and don't wait for it to arrive."""
        if self._speaker is None:
            self._speaker = self._opened(
                lambda: self._access.producer(
                    bootstrap_timeout_ms=WORD_MS,
                    client_id="anchorwatchd-words",
                    acks=1,
                    enable_idempotence=False,
                    max_block_ms=200,
                    delivery_timeout_ms=10_000,
                    request_timeout_ms=5_000,
                )
            )
        if self._speaker is not None:
            try:
                topic, value = self._settings.sightings, msgspec.json.encode(word)
                self._speaker.send(topic, value, word.daemon.encode())
            except KafkaError as error:
                log.debug("a word was lost", extra={"why": repr(error)})

    def words(self) -> Sequence[Word]:
        """Take what others said since."""
        if self._listener is None:
            self._listener = self._opened(self._listening)
        if self._listener is None:
            return ()
        try:
            polled = self._listener.poll(0)
        except KafkaError as error:
            log.debug("words can't be read", extra={"why": repr(error)})
            return ()
        words = []
        for records in polled.values():
            for record in records:
                try:
                    words.append(self._word.decode(record.value or b""))
                except msgspec.MsgspecError as error:
                    log.warning("a word can't be read", extra={"why": str(error)})
        return words

    def close(self) -> None:
        """Let go of both connections."""
        if self._listener is not None:
            self._listener.close(autocommit=False, timeout_ms=CLOSE_MS)
            self._listener = None
        if self._speaker is not None:
            close_producer(self._speaker, CLOSE_MS)
            self._speaker = None

    def _restored(self, places: Collection[Place]) -> list[LinkRecord]:
        self._make_topics()
        wanted = {partition for _, partition in places}
        latest: dict[bytes, LinkRecord] = {}
        with closing(self._consumer()) as consumer:
            count = len(consumer.partitions_for_topic(self._settings.states) or ())
            lying = {partition % count for partition in wanted} if count else set()
            for record in self._read(consumer, self._settings.states, only=lying):
                if not record.value:
                    latest.pop(record.key, None)
                    continue
                try:
                    one = self._record.decode(record.value)
                except msgspec.MsgspecError as error:
                    log.warning(
                        "a kept state can't be read",
                        extra={"offset": record.offset, "why": str(error)},
                    )
                    continue
                if one.partition in wanted:
                    latest[record.key] = one
        return list(latest.values())

    def _consumer(self, connect_ms: int = CONNECT_MS) -> Any:
        return self._access.consumer(
            bootstrap_timeout_ms=connect_ms,
            request_timeout_ms=ANSWER_MS,
            client_id="anchorwatchd-states",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )

    def _listening(self) -> Any:
        topic = self._settings.sightings
        with ExitStack() as on_failure:
            consumer = self._consumer(WORD_MS)
            on_failure.callback(consumer.close, autocommit=False, timeout_ms=CLOSE_MS)
            places = _places(consumer, topic)
            if not places:
                return None
            consumer.assign(places)
            consumer.seek_to_end(*places)
            on_failure.pop_all()
        return consumer

    def _opened(self, make: Callable[[], Any]) -> Any:
        """Open a connection for words, unless that failed a moment ago: there is work to do."""
        if self._stopping.is_set() or time.monotonic() < self._try_again:
            return None
        made = None
        try:
            made = make()
        except (KafkaError, OSError) as error:
            log.debug("no connection for words", extra={"why": repr(error)})
        if made is None:
            self._try_again = time.monotonic() + PAUSE_SECONDS
        return made

    def _make_topics(self) -> None:
        """Make the topics that aren't there, with as many partitions as the windows have."""
        if self._are_made:
            return
        settings = self._settings
        patience = {"bootstrap_timeout_ms": CONNECT_MS, "request_timeout_ms": ANSWER_MS}
        with closing(self._access.admin(**patience)) as admin:
            there = set(admin.list_topics())
            count = partitions(admin, settings.windows) or 1
            if partitions(admin, settings.states):
                there.add(settings.states)
            wanted = {
                settings.states: (count, COMPACTED),
                settings.sightings: (1, {"retention.ms": str(MINUTES_MS)}),
            }
            for topic, (many, configs) in wanted.items():
                self._beat()
                if topic not in there:
                    self._make_topic(admin, topic, many, configs)
        self._are_made = True

    def _make_topic(
        self, admin: Any, topic: str, partitions: int, configs: dict[str, str]
    ) -> None:
        try:
            admin.create_topics(
                {topic: {"num_partitions": partitions, "configs": configs}},
                timeout_ms=ANSWER_MS // 2,
            )
        except TopicAlreadyExistsError:  # another daemon was quicker
            return
        except KafkaError as error:
            # Whoever runs the broker may want to make topics himself; writing makes them mostly.
            why = in_words(error, self._settings)
            log.warning("topic can't be made", extra={"topic": topic, "why": why})
            return
        log.info("topic made", extra={"topic": topic, "partitions": partitions})

    def _read(
        self,
        consumer: Any,
        topic: str,
        *,
        only: Collection[int] | None = None,
        latest: int | None = None,
    ) -> Iterator[Any]:
        """Read a topic up to where it ends now: all, *only* some partitions, or the *latest*.

        Raises:
            KafkaError, TimeoutError: if that takes too long.
        """
        places = [one for one in _places(consumer, topic) if only is None or one.partition in only]
        if not places:
            return
        consumer.assign(places)
        self._beat()
        ends = consumer.end_offsets(places, timeout_ms=ASK_MS)
        self._beat()
        begins = consumer.beginning_offsets(places, timeout_ms=ASK_MS)
        for place in places:
            first = begins[place] if latest is None else max(begins[place], ends[place] - latest)
            consumer.seek(place, first)
        deadline = time.monotonic() + READ_SECONDS
        left = {place for place in places if begins[place] < ends[place]}
        while left:
            self._beat()  # much to read is no hang, and neither is a broker that stands still
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic} was not read within {READ_SECONDS:g} s")
            for records in consumer.poll(POLL_MS).values():
                yield from records
            left = {place for place in left if _position(consumer, place) < ends[place]}


def _places(consumer: Any, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, one) for one in consumer.partitions_for_topic(topic) or ()]


def _position(consumer: Any, place: TopicPartition) -> int:
    return consumer.position(place, timeout_ms=POSITION_MS) or 0
