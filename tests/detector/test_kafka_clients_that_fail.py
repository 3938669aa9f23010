"""What Kafka clients do when they break their word; a real one can't be made to do so at will."""

import threading
from types import SimpleNamespace

import pytest
from kafka import TopicPartition
from kafka.errors import CorruptRecordError, IllegalStateError, TopicAuthorizationFailedError

from detector.config import Kafka
from detector.kafka_sink import KafkaSink
from detector.kafka_source import KafkaSource
from detector.sinks import Outcome, SinkUnavailableError
from tests.detector.test_kafka_sink import event

PLACE = TopicPartition("windows", 0)


class Never:
    """An acknowledgement that does not come, of a client whose thread is gone."""

    is_done = False

    def get(self, timeout):
        """Wait in vain."""
        from kafka.errors import KafkaTimeoutError

        raise KafkaTimeoutError("not yet")


class Deaf:
    """A producer that takes everything and never answers."""

    def send(self, *_):
        """Take a record."""
        return Never()

    def flush(self, timeout):
        """Wait for nobody."""

    def partitions_for(self, _topic):
        """Know one."""
        return {0}

    def close(self, **_):
        """Let go."""


class Giving:
    """Gives the clients that it was made with, one after the other, and the last for ever."""

    def __init__(self, *clients):
        self.clients = list(clients)
        self.given = 0

    def _give(self, **_):
        self.given += 1
        return self.clients.pop(0) if len(self.clients) > 1 else self.clients[0]

    producer = consumer = _give


def test_a_client_that_never_answers_is_given_up_for_a_new_one():
    """Else the daemon would seem to get on for ever, and nothing would restart it."""
    stopping, access = threading.Event(), Giving(Deaf())
    settings = Kafka(delivery_seconds=1.0)
    sink = KafkaSink(
        settings, "plain", stopping, lambda: access.given > 2 and stopping.set(), access
    )

    with pytest.raises(SinkUnavailableError):
        sink.send(Outcome(events=[event()]))

    assert access.given > 2


class Half:
    """A consumer that is in the middle of a partition's records when something goes wrong."""

    def __init__(self, error, position=7):
        self._error, self._position = error, position
        self._fetcher = SimpleNamespace(
            _next_partition_records=SimpleNamespace(topic_partition=PLACE)
        )
        self.sought = []
        self._coordinator = None

    def subscribe(self, *_, **__):
        """Be told what to read."""

    def poll(self, *_, **__):
        """Fail."""
        raise self._error

    def position(self, _place):
        """Say where it is, if that is known."""
        if isinstance(self._position, Exception):
            raise self._position
        return self._position

    def seek(self, _place, offset):
        """Go somewhere else."""
        self.sought.append(offset)


def polled(consumer):
    """Poll once, and give what came."""
    return KafkaSource(Kafka(), 10, Giving(consumer)).poll(0.0, 10)


def test_a_record_that_cannot_be_read_is_passed_over_and_told_of():
    """Polled again it would never return."""
    consumer = Half(CorruptRecordError())

    (message,) = polled(consumer)

    assert message.offset == 7
    assert message.unreadable
    assert consumer.sought == [8]


def test_a_broker_that_forbids_something_costs_no_record():
    """Rights that were taken away and given back must not leave a hole in what was judged."""
    consumer = Half(TopicAuthorizationFailedError())

    assert polled(consumer) == []
    assert consumer.sought == []


def test_a_record_of_a_partition_that_moved_on_is_somebody_elses():
    """A rebalance at the wrong moment must not end the daemon."""
    consumer = Half(CorruptRecordError(), position=IllegalStateError("not assigned"))

    assert polled(consumer) == []
    assert consumer.sought == []
