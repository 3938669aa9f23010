"""The test broker and the proxy do what other tests build on."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError, TopicAlreadyExistsError

from tests.broker import Broker, needs, open_broker
from tests.broker.proxy import Proxy


class Member:
    """A member of the group "links", polling in a thread of its own as a daemon would."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self.consumer = KafkaConsumer(
            topic,
            bootstrap_servers=broker.bootstrap,
            group_id="links",
            session_timeout_ms=6000,
            heartbeat_interval_ms=300,
        )
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def partitions(self) -> list[int]:
        """Tell which partitions it has now."""
        return sorted(where.partition for where in self.consumer.assignment())

    def leave(self) -> None:
        """Say goodbye to the group."""
        self._leaving.set()
        self._thread.join()
        self.consumer.close()

    def _poll(self) -> None:
        while not self._leaving.is_set():
            self.consumer.poll(200)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Poll *condition* until it holds, and fail if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def send(broker: Broker, topic: str, value: bytes) -> None:
    """Produce one record and wait for its acknowledgement."""
    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        producer.send(topic, value).get(20)


def read(broker: Broker, topic: str) -> list[bytes]:
    """Give the values in the one partition of *topic*, waiting for the first."""
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 0)])
    values: list[bytes] = []

    def some_came() -> bool:
        for records in consumer.poll(200).values():
            values.extend(record.value for record in records)
        return bool(values)

    until(some_came)
    consumer.close()
    return values


def is_listening(port: int) -> bool:
    """Say whether anybody accepts connections on *port*."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    """Give a proxy for the broker of this module."""
    with Proxy() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def running(proxy: Proxy) -> Iterator[Broker]:
    """Give the broker of this module, behind the proxy."""
    with open_broker(proxy) as broker:
        yield broker


@pytest.fixture
def broker(running: Broker, proxy: Proxy) -> Iterator[Broker]:
    """Give that broker to a test that may harm it, and heal it afterwards."""
    yield running
    proxy.resume()
    running.start()
    running.resume()


def test_a_broker_lives_a_whole_life_and_leaves_nothing_behind() -> None:
    """Everything else about Kafka is tested on this, on machines that others use too."""
    broker = open_broker()
    home, pid = broker.home, broker.pid

    broker.create_topic("windows")
    send(broker, "windows", b"one")
    values = read(broker, "windows")
    broker.stop()
    broker.stop()

    assert values == [b"one"]
    assert home is not None
    assert not home.exists()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not is_listening(broker.port)


def test_a_group_shares_the_partitions_and_takes_over(broker: Broker) -> None:
    """Scaling out, and every test of it, stands on this."""
    broker.create_topic("shared", partitions=4)

    first = Member(broker, "shared")
    until(lambda: first.partitions() == [0, 1, 2, 3])
    second = Member(broker, "shared")
    until(lambda: len(first.partitions()) == len(second.partitions()) == 2)
    shared = sorted(first.partitions() + second.partitions())
    second.leave()
    until(lambda: first.partitions() == [0, 1, 2, 3])
    first.leave()

    assert shared == [0, 1, 2, 3]


@pytest.mark.parametrize("fault", ["paused broker", "stalled proxy", "cut proxy"])
def test_a_record_sent_during_a_fault_arrives_after_it(
    broker: Broker, proxy: Proxy, fault: str
) -> None:
    """A fault that nobody notices, or that never ends, would make tests of recovery worthless."""
    begin, end = {
        "paused broker": (broker.pause, broker.resume),
        "stalled proxy": (proxy.stall, proxy.resume),
        "cut proxy": (proxy.cut, proxy.resume),
    }[fault]
    topic = fault.replace(" ", "-")
    broker.create_topic(topic)
    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        producer.send(topic, b"before").get(20)

        begin()
        during = producer.send(topic, b"during")
        with pytest.raises(KafkaTimeoutError):
            during.get(0.5)
        end()
        during.get(20)

    assert read(broker, topic) == [b"before", b"during"]


def test_topics_are_made_past_the_proxy_and_only_once(broker: Broker, proxy: Proxy) -> None:
    """A test can prepare a topic during a fault, and learns when two tests share a name."""
    proxy.cut()

    broker.create_topic("once", 3, {"cleanup.policy": "compact"})
    with pytest.raises(TopicAlreadyExistsError):
        broker.create_topic("once")
    proxy.resume()

    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        topic = admin.describe_topics(["once"])[0]
    assert len(topic["partitions"]) == 3


def test_records_outlive_a_crash(broker: Broker) -> None:
    """A test of a broker's crash is about the client only if the broker itself loses nothing."""
    needs(broker, "restart-keeps-data")
    broker.create_topic("crash")
    send(broker, "crash", b"kept")

    broker.kill()
    was_up = is_listening(broker.port)
    broker.restart()

    assert not was_up
    assert read(broker, "crash") == [b"kept"]


def test_the_direct_way_is_open_while_the_proxy_is_cut(broker: Broker, proxy: Proxy) -> None:
    """A test can go on producing while the daemon alone is cut off."""
    needs(broker, "direct")
    proxy.cut()

    broker.create_topic("direct")
    with KafkaProducer(bootstrap_servers=broker.direct) as producer:
        where = producer.send("direct", b"past it").get(20)
    proxy.resume()

    assert where.offset == 0
