"""The Kafka sink on a real broker: in which records things are told and kept, and for how long."""

import logging
import threading
import time

import msgspec
import pytest

from detector.config import Kafka
from detector.events import DIALECTS, TOLD, Event, onset
from detector.kafka_sink import KafkaSink
from detector.oncall.gather import Gather
from detector.oncall.groups import Groups
from detector.oncall.record import LinkRecord
from detector.sinks import Outcome, SinkUnavailableError
from tests.broker.proxy import Proxy
from tests.daemon import Reader, Topics
from tests.fakes import NOON_MS

PARTITIONS = 3


@pytest.fixture
def topics(broker):
    """Give topics that no other test uses."""
    topics = Topics().create(broker)
    broker.create_topic(f"{topics.name}.states", PARTITIONS)
    return topics


@pytest.fixture
def stopping():
    """Give what tells sinks to stop; after a minute they are told, or a test might never end."""
    told = threading.Event()
    patience = threading.Timer(60, told.set)
    patience.start()
    yield told
    patience.cancel()


@pytest.fixture
def make_sink(broker, topics, stopping):
    """Make sinks to these topics, that are closed whatever happens."""
    made = []

    def give(dialect="plain", **changes):
        names = {key: f"{topics.name}.{key}" for key in ("verdicts", "events", "states")}
        names["dead_letters"] = f"{topics.name}.dead"
        settings = Kafka(bootstrap=broker.bootstrap, **names | changes)
        sink = KafkaSink(settings, dialect, stopping, lambda: None)
        made.append(sink)
        return sink

    yield give
    for sink in made:
        sink.close()


@pytest.fixture
def read(broker, topics):
    """Read all records of a topic, by the last part of its name."""
    return lambda last: Reader(broker.direct, f"{topics.name}.{last}").records()


def event(link="trunk-1", state="blocked", **changes):
    """Make the event of a fault."""
    usual = {"source": "probe-1", "previous": "normal", "at_ms": NOON_MS, "since_ms": NOON_MS}
    return onset(link=link, state=state, **usual | changes)


def gathered(*links):
    """Make one event of many links."""
    groups = Groups()
    for link in links:
        groups.add(link, "probe-1")
    gather = Gather(groups, links=2)
    for link in links:
        gather.push(event(link), 0.0)
    (one,) = gather.flush()
    return one


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_event_goes_out_in_the_dialect_that_was_asked_for(make_sink, read, dialect):
    """Whoever reads the topic understands one of them and no other."""
    make_sink(dialect).send(Outcome(events=[event()]))

    (record,) = read("events")
    value, headers = DIALECTS[dialect](event())
    assert record.value == value
    assert list(record.headers) == [*headers, (TOLD, event().id.encode())]
    assert record.key == b"trunk-1"


def test_the_header_of_an_event_has_the_ids_of_all_that_is_told_with_it(make_sink, read):
    """By it the next daemon knows, after a crash, which links' faults need not be told again."""
    many, lost = gathered("b", "a"), event("", "telemetry-lost", previous=None)

    make_sink().send(Outcome(events=[many, lost]))

    first, second = read("events")
    assert (first.key, second.key) == (b"probe-1", b"probe-1")
    assert dict(first.headers)[TOLD] == b",".join(event(link).id.encode() for link in "ab")
    assert dict(second.headers)[TOLD] == lost.id.encode()
    assert msgspec.json.decode(first.value, type=Event) == many


@pytest.mark.parametrize(("partition", "lies"), [(0, 0), (2, 2), (4, 1)])
def test_what_is_kept_of_a_link_lies_on_the_partition_of_its_windows(
    make_sink, read, partition, lies
):
    """Whoever is given the windows reads it there; a topic with fewer partitions is no crash."""
    kept = LinkRecord(link="trunk-1", source="probe-1", partition=partition, state="blocked")

    make_sink().send(Outcome(before=[kept]))

    (record,) = read("states")
    assert (record.key, record.partition) == (b"trunk-1", lies)
    assert msgspec.json.decode(record.value, type=LinkRecord) == kept


def test_what_is_kept_of_an_exporter_is_not_taken_for_a_link_of_its_name(make_sink, read):
    """A switch may report a link under its own name."""
    facts = {"source": "probe-1", "partition": 0}
    records = [LinkRecord(link=link, **facts) for link in ("probe-1", "")]

    make_sink().send(Outcome(after=records))

    assert len({record.key for record in read("states")}) == 2


def test_of_who_is_gone_nothing_is_kept_once_all_is_told(make_sink, read):
    """A compacted topic forgets what has no value, and nothing else."""
    facts = {"link": "trunk-1", "source": "probe-1", "partition": 1, "is_gone": True}
    waiting = LinkRecord(**facts, waiting=(event(),))

    make_sink().send(Outcome(before=[waiting], after=[LinkRecord(**facts)]))

    first, last = read("states")
    assert msgspec.json.decode(first.value, type=LinkRecord) == waiting
    assert (last.key, last.value) == (b"trunk-1", None)


def test_what_is_kept_is_there_before_the_event_and_again_after_it(make_sink, read):
    """Wherever the daemon dies between, an event is told, and once."""
    facts = {"link": "trunk-1", "source": "probe-1", "partition": 0, "state": "blocked"}
    before, after = LinkRecord(**facts, waiting=(event(),)), LinkRecord(**facts)

    make_sink().send(Outcome(events=[event()], before=[before], after=[after]))

    first, last = read("states")
    (told,) = read("events")
    assert msgspec.json.decode(first.value, type=LinkRecord) == before
    assert msgspec.json.decode(last.value, type=LinkRecord) == after
    assert first.timestamp <= told.timestamp <= last.timestamp


@pytest.mark.parametrize(("seconds", "within"), [(1, (1, 3.5)), (4, (4, 8))])
def test_delivery_seconds_decides_when_a_delivery_is_tried_anew(
    make_sink, stopping, proxy: Proxy, caplog, seconds, within
):
    """A connection that is dead without a word is given up after as long, and made again."""
    sink = make_sink(delivery_seconds=seconds)
    sink.send(Outcome(events=[event("first")]))
    proxy.stall()
    begun = time.monotonic()

    with caplog.at_level(logging.WARNING):
        sending = threading.Thread(target=send_until_told, args=(sink,))
        sending.start()
        while "delivery failed, trying again" not in caplog.messages:
            assert time.monotonic() - begun < 30
            time.sleep(0.02)
    took = time.monotonic() - begun
    stopping.set()
    proxy.resume()
    sending.join(30)

    assert within[0] <= took <= within[1]
    assert not sending.is_alive()


def send_until_told(sink):
    """Send an event, in a thread; told to stop the sink says so, and that is as it should be."""
    try:
        sink.send(Outcome(events=[event("second")]))
    except SinkUnavailableError:
        return
