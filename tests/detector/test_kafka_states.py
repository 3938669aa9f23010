"""What is kept of links, read from a real broker that stalls, and words through one that fails."""

import threading
import time

import msgspec
import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

from detector.config import Kafka
from detector.kafka_states import KafkaStates
from detector.oncall.record import LinkRecord
from tests.broker import needs
from tests.daemon import wait_for

LINKS = 15_000
PADDING = b" " * 400  # so that they don't come in one piece


@pytest.fixture
def kept(broker, topics):
    """Give settings by which there is much to read."""
    needs(broker, "direct")
    names = {key: f"{topics.name}.{key}" for key in ("windows", "events", "states", "sightings")}
    broker.create_topic(names["states"])
    producer = KafkaProducer(bootstrap_servers=broker.direct)
    for number in range(LINKS):
        record = LinkRecord(link=f"link-{number}", source="probe-1", partition=0)
        producer.send(names["states"], msgspec.json.encode(record) + PADDING, record.key)
    producer.close()
    return Kafka(bootstrap=broker.bootstrap, **names)


class Beats:
    """Notes when the loop gave a sign, and stalls the broker at one of them."""

    def __init__(self, proxy, stall_at):
        self.times = []
        self._proxy, self._stall_at = proxy, stall_at

    def beat(self):
        """Give a sign."""
        self.times.append(time.monotonic())
        if len(self.times) == self._stall_at:
            self._proxy.stall()

    @property
    def longest(self):
        """Give the longest time without one until now, seconds."""
        until = [*self.times[1:], time.monotonic()]
        return max(later - sooner for sooner, later in zip(self.times, until, strict=True))


@pytest.mark.parametrize("stall_at", [4, 9])  # asked where it ends; in the middle of it
def test_a_broker_that_stalls_while_states_are_read_is_no_hang(kept, proxy, topics, stall_at):
    """A daemon that is started anew for it reads all from the beginning, and again no further."""
    beats, found = Beats(proxy, stall_at), []
    states = KafkaStates(kept, threading.Event(), beats.beat)

    def restore():
        found.extend(states.restore([(topics.windows, 0)]))

    reading = threading.Thread(target=restore, daemon=True)
    reading.start()
    wait_for("stalled", lambda: len(beats.times) >= stall_at)
    reading.join(12)
    longest, is_reading = beats.longest, reading.is_alive()
    proxy.resume()
    reading.join(50)

    assert is_reading
    assert longest < 9
    assert len(found) == LINKS


class Failing:
    """A consumer of a topic that is not there, or that nobody can say anything of."""

    def __init__(self, error):
        self._error = error
        self.is_closed = False

    def partitions_for_topic(self, _topic):
        """Know of none."""
        if self._error:
            raise self._error
        return set()

    def close(self, **_):
        """Let go."""
        self.is_closed = True


class Opening:
    """Makes such consumers, and keeps count of them."""

    def __init__(self, error):
        self._error = error
        self.made = []

    def consumer(self, **_):
        """Make one."""
        self.made.append(Failing(self._error))
        return self.made[-1]


@pytest.mark.parametrize("error", [None, KafkaTimeoutError("no word of it")])
def test_without_the_topic_of_words_no_connection_is_left_open_or_made_each_time(error):
    """The loop asks for words several times a second, for as long as a daemon runs."""
    access = Opening(error)
    states = KafkaStates(Kafka(), threading.Event(), lambda: None, access)

    words = [states.words() for _ in range(50)]

    assert not any(words)
    assert [one.is_closed for one in access.made] == [True]
