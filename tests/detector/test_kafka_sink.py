"""The Kafka sink on a real broker: in which records things are told and kept, and for how long."""

import logging
import os
import threading
import time
from types import SimpleNamespace

import msgspec
import pytest
from kafka.errors import UnknownError

from detector.batch import DeadLetter, Share
from detector.config import Kafka
from detector.events import DIALECTS, TOLD, Event, onset
from detector.kafka_sink import KafkaSink, close_producer
from detector.message import Rejected
from detector.oncall.gather import Gather
from detector.oncall.groups import Groups
from detector.oncall.record import LinkRecord
from detector.sinks import Outcome, SinkUnavailableError
from detector.source import Message
from detector.verdict import Verdict
from tests.broker import needs
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


def letter(offset, value, key=b"who"):
    """Make the dead letter of a record."""
    message = Message("windows", 3, offset, value, key)
    return DeadLetter(message, Rejected(value, "undecodable", "no window"))


def test_a_dead_letter_is_cut_to_what_a_broker_takes_and_says_so(make_sink, read):
    """Packed small, a record of a megabyte and more comes in; it must not be tried for ever."""
    value, key = bytes(950_000), bytes(200_000)

    make_sink().send(Outcome(dead_letters=[letter(7, value, key), letter(8, b"short", None)]))

    long, short = sorted(read("dead"), key=lambda record: record.headers[4])
    assert 800_000 < len(long.value) < len(value)
    assert 0 < len(long.key) < len(key)
    said = dict(long.headers)
    assert (said["size"], said["key_size"], said["offset"]) == (b"950000", b"200000", b"7")
    assert (short.key, short.value) == (None, b"short")
    assert dict(short.headers)["key_size"] == b"0"


def test_of_what_the_topic_finds_too_large_the_facts_are_passed_on(
    broker, topics, make_sink, read, caplog
):
    """Whoever made the topic may have allowed less; what lies around such a record is no worse."""
    needs(broker, "topic-config")
    broker.create_topic(f"{topics.name}.small", config={"max.message.bytes": "20000"})
    sizes = [50_000 if number % 10 == 7 else 8000 for number in range(40)]
    letters = [letter(number, os.urandom(size)) for number, size in enumerate(sizes)]
    sink = make_sink(dead_letters=f"{topics.name}.small")

    sink.send(Outcome(dead_letters=letters, events=[event()]))

    facts = {int(dict(record.headers)["offset"]): record for record in read("small")}
    assert len(read("small")) == len(facts) == 40
    assert [number for number, record in facts.items() if not record.value] == [7, 17, 27, 37]
    assert facts[7].key is None
    assert dict(facts[7].headers)["size"] == b"50000"
    assert facts[8].key == b"who"
    assert len(read("events")) == 1
    assert not errors(caplog)


class Unclosable:
    """A producer that fails while it is closed, as the client's does while it parts a batch."""

    def __init__(self):
        self.is_ended = False
        self._sender = SimpleNamespace(force_close=self._end)

    def _end(self):
        self.is_ended = True

    def close(self, timeout):
        """Fail half-way."""
        raise UnknownError("Future not done")


def test_a_producer_that_fails_while_it_is_closed_is_ended_all_the_same():
    """Else the error would be the daemon's end, and what it sends meanwhile would come twice."""
    producer = Unclosable()

    close_producer(producer, 500)

    assert producer.is_ended


def test_a_dead_letter_of_which_not_even_the_facts_are_taken_is_told_of(
    broker, topics, make_sink, read, caplog
):
    """Nothing gets lost without a word, and nothing waits for it."""
    needs(broker, "topic-config")
    broker.create_topic(f"{topics.name}.tiny", config={"max.message.bytes": "100"})

    make_sink(dead_letters=f"{topics.name}.tiny").send(
        Outcome(dead_letters=[letter(7, b"no window")], events=[event()])
    )

    assert len(read("events")) == 1
    assert read("tiny") == []
    (told,) = errors(caplog)
    assert (told.to, told.topic, told.partition, told.offset) == (
        *(f"{topics.name}.tiny", "windows"),
        *("3", "7"),
    )


def test_an_event_or_a_state_that_is_too_large_is_told_of_and_the_others_are_sent(
    make_sink, read, caplog
):
    """One link with too long a story must not end the watch over all others."""
    facts = {"source": "probe-1", "partition": 0}
    kept = [LinkRecord(link=link, **facts) for link in ("a" * 1_100_000, "trunk-1")]

    make_sink().send(
        Outcome(before=kept, events=[event("b" * 1_100_000), event("trunk-1")], after=kept)
    )

    assert [record.key for record in read("states")] == [b"trunk-1", b"trunk-1"]
    assert [record.key for record in read("events")] == [b"trunk-1"]
    assert [(told.to.rpartition(".")[2], told.key[:1]) for told in errors(caplog)] == [
        *(("states", b"a"), ("events", b"b"), ("states", b"a")),
    ]


def errors(caplog):
    """Give what the sink said that nobody may overlook."""
    records = [record for record in caplog.records if record.name.startswith("detector")]
    return [record for record in records if record.levelno == logging.ERROR]


@pytest.mark.parametrize(("labels", "key"), [(3, b"who"), (80, b"who"), (80, bytes(300_000))])
def test_lists_of_verdicts_are_as_long_as_a_broker_takes(make_sink, read, caplog, labels, key):
    """With many labels each verdict is long, and a record may have a thousand of them."""
    distances = {
        f"fault-of-kind-{number}": number + 0.7734513282775879 for number in range(labels)
    }
    verdicts = [verdict(number, distances) for number in range(1200)]
    shares = [Share(b"one", 1), Share(key, 1199)]

    make_sink(verdicts_a_message="many").send(Outcome(verdicts=verdicts, shares=shares))

    one, *lists = [msgspec.json.decode(record.value) for record in read("verdicts")]
    assert one["start_ms"] == 0
    assert [each["start_ms"] for some in lists for each in some] == list(range(1, 1200))
    assert (len(lists) == 3) == (labels == 3)  # else that many are too much
    assert not errors(caplog)


def verdict(start_ms, distances):
    """Make what is said of a window."""
    said = ("normal", "normal", 0.25, 0.5, "an-anchor", distances, "9676e07ea2d1")
    return Verdict("trunk-1", "probe-1", start_ms, start_ms + 1, *said)


@pytest.mark.parametrize(("seconds", "within"), [(1, (1, 10)), (4, (4, 24))])
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
