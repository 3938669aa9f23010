"""The Kafka source on a real broker: what it knows of how the broker is."""

import time
import uuid

import pytest

from detector.config import Kafka
from detector.kafka_source import KafkaSource
from tests.broker import needs


@pytest.mark.parametrize("poll_seconds", [0.01, 0.03, 0.1])
def test_a_topic_that_is_only_made_now_is_read(broker, poll_seconds):
    """A first start on a new broker; polls may end in the midst of any step of joining."""
    needs(broker, "direct")  # one that makes topics, and has groups as Apache Kafka has them
    for _ in range(4):
        name = f"new-{uuid.uuid4().hex[:8]}"
        settings = Kafka(bootstrap=broker.bootstrap, windows=name, group=name)
        source = KafkaSource(settings, most=10)
        deadline = time.monotonic() + 30
        try:
            while not source.vitals.is_assigned:
                assert time.monotonic() < deadline, "it waits for partitions for ever"
                source.poll(poll_seconds, 10)
        finally:
            source.close()


def test_the_broker_is_heard_of_every_few_seconds_however_long_a_session_is(broker, topics):
    """After 15 s without a sign of it the broker counts as away, and nobody's silence is told."""
    needs(broker, "direct")  # one that has groups as Apache Kafka has them
    settings = Kafka(
        bootstrap=broker.bootstrap,
        windows=topics.windows,
        group=topics.name,
        session_seconds=600,
    )
    source, longest = KafkaSource(settings, most=10), 0.0
    try:
        begun = time.monotonic()
        while not source.vitals.is_assigned:
            assert time.monotonic() - begun < 60
            source.poll(0.1, 10)
        begun = time.monotonic()
        while time.monotonic() - begun < 9:
            source.poll(0.1, 10)
            longest = max(longest, time.time() - source.vitals.contact)
    finally:
        source.close()

    assert longest < 7.5
