"""Windows from Kafka, as a member of a consumer group.

At least once: the position is committed only when everything that came of the records is
acknowledged. The broker may be away at the start or at any time after; `poll` then gives nothing,
the vitals tell, and nothing is lost.
"""

import logging
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from kafka import AsyncConsumerRebalanceListener, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import IllegalStateError, KafkaError
from kafka.structs import OffsetAndMetadata

from .config import Kafka
from .kafka_client import Access, RefusedError, stuck_at
from .kafka_refusal import in_words
from .source import Message, Move, Place, Vitals

log = logging.getLogger(__name__)

CONNECT_MS = 3000  # then the broker counts as away, and the loop gets its turn
METADATA_MS = 10_000  # until a topic that was made since, or has more partitions, is noticed
COMMIT_MS = 3000
CLOSE_MS = 2000
BEAT_MS = 3000  # at most: after 15 s without one the broker counts as away
POSITION_MS = 100  # mostly it is known without asking
ASK_MS = 1500  # for how much there is to read; without an answer nothing is concluded
WAIT_SECONDS = 5.0  # for partitions, before it is said that there are none yet
AWAY_SECONDS = 0.5  # from one try to connect to the next
PAUSE_SECONDS = 0.2  # before asking again when the broker gave an error for an answer
FETCH_BYTES = 8 * 2**20  # from one partition at once; some of it lies in memory while a batch runs


class KafkaSource:
    """Reads a topic as a member of a consumer group."""

    def __init__(self, settings: Kafka, most: int, access: Access | None = None) -> None:
        self.vitals = Vitals()
        self._access = access or Access(settings)
        self._settings, self._most = settings, most
        self._consumer: Any = None
        self._listener = _Listener(self.vitals)
        self._given: dict[TopicPartition, int] = {}  # the offset after what poll gave out
        self._open: set[TopicPartition] = set()  # of these, what is not yet committed
        self._goals: dict[tuple[str, Place], int] = {}  # asker and place to what is to be read
        self._looked = 0.0  # when the vitals were last taken, monotonic seconds
        self._tell_at = 0.0  # when to say that there is nothing to read from yet, the same clock

    def poll(self, seconds: float, most: int) -> Sequence[Message]:
        """Give records as they came; the broker being away looks like nothing coming."""
        if self._consumer is None and not self._connect(seconds):
            return []
        self._go_on_joining()
        try:
            records = self._consumer.poll(round(seconds * 1000), max_records=most)
        except Exception as error:  # the client lets whatever a decoder raises through
            return self._skip(error)
        self._drop_lost()
        messages = []
        for place, batch in records.items():
            messages += [
                Message(place.topic, place.partition, one.offset, one.value or b"", one.key)
                for one in batch
            ]
            self._give(place, batch[-1].offset + 1)
        self._look(heard=bool(messages))
        return messages

    def commit(self) -> None:
        """Commit what `poll` gave out, of the partitions that are still ours.

        A failure is counted and passed over: the next commit covers it, and until then a
        restart would only judge some windows again.
        """
        self._drop_lost()
        if not self._open:
            return
        offsets = {place: OffsetAndMetadata(self._given[place], "", -1) for place in self._open}
        try:
            self._consumer.commit(offsets, timeout_ms=COMMIT_MS)
        except KafkaError as error:
            self.vitals.commits_failed += 1
            log.warning("commit failed", extra={"why": repr(error)})
        else:
            self._open.clear()

    def reached(self, places: Collection[Place], asker: str) -> Collection[Place]:
        """Ask the partitions' own leaders how much they have; no answer is no.

        That a heartbeat was answered says nothing of the broker that a partition lies on.
        """
        if self._consumer is None:
            return ()
        mine = self._consumer.assignment()
        wanted = [TopicPartition(*place) for place in places if TopicPartition(*place) in mine]
        fresh = [place for place in wanted if (asker, tuple(place)) not in self._goals]
        try:
            ends = self._consumer.end_offsets(fresh, timeout_ms=ASK_MS) if fresh else {}
            for place, end in ends.items():
                self._goals[asker, tuple(place)] = end
            read = [place for place in wanted if self._is_read(asker, place)]
        except KafkaError as error:
            log.warning("nobody says what there is to read", extra={"why": repr(error)})
            return ()
        for place in read:
            del self._goals[asker, tuple(place)]
        return [tuple(place) for place in read]

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_MS)
            self._consumer = None
        self.vitals.is_assigned = False

    def _is_read(self, asker: str, place: TopicPartition) -> bool:
        goal = self._goals.get((asker, tuple(place)))
        if goal is None:
            return False
        position = self._consumer.position(place, timeout_ms=POSITION_MS)
        return position is not None and position >= goal

    def _connect(self, seconds: float) -> bool:
        settings = self._settings
        try:
            self._consumer = self._access.consumer(
                bootstrap_timeout_ms=CONNECT_MS,
                group_id=settings.group,
                client_id="anchorwatchd",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                max_poll_records=self._most,
                # Far above the worst batch: a delivery that waits for the broker polls nothing.
                max_poll_interval_ms=max(300_000, round(settings.delivery_seconds * 5000)),
                session_timeout_ms=round(settings.session_seconds * 1000),
                heartbeat_interval_ms=min(round(settings.session_seconds * 1000 / 15), BEAT_MS),
                max_partition_fetch_bytes=FETCH_BYTES,
                metadata_max_age_ms=METADATA_MS,
                # Cooperative: a daemon that comes or goes moves only the links that it must.
                # A class, not an instance, which would mix up two consumers' states.
                partition_assignment_strategy=[CooperativeStickyAssignor],
            )
        except (KafkaError, OSError) as error:
            if not isinstance(error, RefusedError):  # which is told of already
                where = {"bootstrap": settings.bootstrap}
                log.warning("broker is away", extra=where | {"why": str(error)})
            time.sleep(min(seconds, AWAY_SECONDS))
            return False
        self._consumer.subscribe([settings.windows], listener=self._listener)
        self.vitals.contact = time.time()
        self._tell_at = time.monotonic() + WAIT_SECONDS
        log.info("connected", extra={"bootstrap": settings.bootstrap, "topic": settings.windows})
        return True

    def _go_on_joining(self) -> None:
        """Have the client finish joining the group, where a poll ended in the midst of it.

        kafka-python 3.0.12 forgets a join that new metadata was the reason for, such as a topic
        that was just made, once it has sent what it found: it waits for ever and says nothing.
        """
        coordinator = self._consumer._coordinator
        if coordinator is not None and coordinator.rejoining and not coordinator.need_rejoin():
            coordinator.request_rejoin()

    def _skip(self, error: Exception) -> Sequence[Message]:
        """Step over a record that the client can't read; polling it again would never return."""
        place = stuck_at(self._consumer, error)
        if place is None:
            # Not a record but the broker's answer, such as a missing topic: the client retries.
            log.warning("poll failed", extra={"why": in_words(error, self._settings)})
            time.sleep(PAUSE_SECONDS)
            return []
        try:
            offset = self._consumer.position(place)
            self._consumer.seek(place, offset + 1)
        except IllegalStateError:  # moved on since, to whoever has to step over it now
            return []
        self._give(place, offset + 1)
        return [Message(place.topic, place.partition, offset, b"", unreadable=repr(error))]

    def _give(self, place: TopicPartition, offset: int) -> None:
        self._given[place] = offset
        self._open.add(place)

    def _drop_lost(self) -> None:
        """Partitions that moved on are another's to commit; their records come there again."""
        while self._listener.lost:
            place = self._listener.lost.pop()
            self._given.pop(place, None)
            self._open.discard(place)
            for goal in [goal for goal in self._goals if goal[1] == tuple(place)]:
                del self._goals[goal]

    def _look(self, *, heard: bool) -> None:
        """Take the vitals, at most once a second once there is something to read."""
        now = time.monotonic()
        if self.vitals.is_assigned and now - self._looked < 1:
            return
        self._looked = now
        assigned = self._consumer.assignment()
        self.vitals.is_assigned = bool(assigned)
        if not assigned and now >= self._tell_at:
            self._tell_at = float("inf")
            # Mostly a daemon that ended without a word: the group waits for it.
            seconds = self._settings.session_seconds
            log.info("no partitions yet", extra={"until a lost daemon is given up": seconds})
        silent_seconds = 0.0 if heard else _heartbeat_age_seconds(self._consumer.metrics())
        self.vitals.contact = max(self.vitals.contact, time.time() - silent_seconds)
        self.vitals.lag = {
            (place.topic, place.partition): max(0, self._end(place) - offset)
            for place, offset in self._given.items()
        }

    def _end(self, place: TopicPartition) -> int:
        """Give the offset after the newest record that the broker told of."""
        try:
            return self._consumer.highwater(place) or 0
        except KafkaError:  # moved on since
            return 0


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Notes which partitions went; runs in the client's own thread, so it does no more."""

    def __init__(self, vitals: Vitals) -> None:
        self.lost: set[TopicPartition] = set()
        self._vitals = vitals

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        revoked = list(revoked)
        self.lost.update(revoked)
        self._vitals.moves += [Move(tuple(place), is_gained=False) for place in revoked]

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        assigned = list(assigned)
        self._vitals.rebalances += 1
        self._vitals.moves += [Move(tuple(place), is_gained=True) for place in assigned]
        log.info("partitions assigned", extra={"new": sorted(p.partition for p in assigned)})


def _heartbeat_age_seconds(metrics: Any) -> float:
    age = metrics.get("consumer-coordinator-metrics", {}).get("last-heartbeat-seconds-ago", -1)
    return float(age) if age >= 0 else float("inf")
