"""Anchors on a real broker: every daemon hears of them, whatever lies on the topic."""

import time

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from detector.config import Kafka
from detector.enrolments import EnrolmentsUnavailableError
from detector.enrolments.kafka import KafkaEnrolments
from detector.enrolments.record import encode
from tests.daemon import Topics, wait_for

from .samples import an_enrolment, changed, ids


@pytest.fixture
def topic():
    """Give a topic that no other test uses, and that nobody has made."""
    return f"{Topics().name}.anchors"


@pytest.fixture
def connect(broker, topic):
    """Make what daemons and tools have, closed whatever happens."""
    made = []

    def give():
        made.append(KafkaEnrolments(Kafka(bootstrap=broker.bootstrap, anchors=topic)))
        return made[-1]

    yield give
    for one in made:
        one.close()


def next_of(kept, seconds=10.0):
    """Wait until something has changed, and give all there is then."""
    return wait_for("a change", lambda: kept.poll() or None, seconds)


def test_two_daemons_see_what_is_written_within_a_second_and_a_restart_reads_it_all(connect):
    """Nobody restarts anything to have a fault watched for; and after a crash it still is."""
    first, second, tool = connect(), connect(), connect()
    assert first.poll() == ()  # also makes the topic
    assert second.poll() == ()
    assert first.poll() is None

    begun = time.monotonic()
    tool.write(an_enrolment())
    written = time.monotonic()
    seen = [next_of(first), next_of(second)]
    took = time.monotonic() - written
    tool.write(changed(an_enrolment(), "disabled", status="disabled"))
    tool.write(an_enrolment(50.0))
    restarted = connect().poll()

    assert [ids(found) for found in seen] == [{an_enrolment().id}] * 2
    assert took < 1.0, f"written after {written - begun:.2f} s"
    assert {one.id: one.status for one in restarted} == {
        an_enrolment().id: "disabled",
        an_enrolment(50.0).id: "active",
    }
    assert {one.id for one in next_of(first)} == ids(restarted)


def test_records_that_are_none_are_counted_once_and_stop_nothing(broker, topic, connect, caplog):
    """A third party may write to the topic, and a disk may flip a bit."""
    kept, good, other = connect(), an_enrolment(), an_enrolment(50.0)
    kept.write(good)
    records = [
        (b"junk", b"junk"),
        (b"0" * 12, encode(other)),
        (other.id.encode(), encode(other)[:-2]),
        (b"", encode(other)),
        (b"", None),
        (b"\xff", msgspec.msgpack.encode({"id": 1})),
    ]
    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for key, value in records:
            producer.send(topic, value, key).get(10)

    found = kept.poll()
    kept.close()  # a new connection reads all of it again
    kept.write(other)
    again = next_of(kept)

    assert ids(found) == {good.id}
    assert ids(again) == {good.id, other.id}
    assert kept.unreadable == 5
    warned = [record for record in caplog.records if record.msg == "enrolment can't be read"]
    assert len(warned) == 5
    assert f"{topic} 0 1" in {record.where for record in warned}


def test_while_the_broker_is_away_that_is_said_and_afterwards_nothing_is_lost(
    proxy, connect, topic
):
    """The daemon goes on with the anchors that it has."""
    daemon, tool = connect(), connect()
    tool.write(an_enrolment())
    assert ids(next_of(daemon)) == {an_enrolment().id}

    for trouble in (proxy.stall, proxy.cut):
        trouble()
        begun = time.monotonic()
        with pytest.raises(EnrolmentsUnavailableError, match=topic):
            daemon.poll()
        assert time.monotonic() - begun < 3.5
    with pytest.raises(EnrolmentsUnavailableError, match="takes nothing"):
        tool.write(an_enrolment(50.0))
    proxy.resume()

    # What was enrolled before it was away is nothing new.
    wait_for("the broker", lambda: _answer(daemon) is None)
    tool.write(an_enrolment(50.0))
    assert ids(next_of(daemon)) == ids([an_enrolment(), an_enrolment(50.0)])


def test_each_enrolment_has_a_key_of_its_own_and_an_empty_value_takes_it_away(
    broker, topic, connect
):
    """The topic is compacted by key: it never grows beyond what is enrolled."""
    kept = connect()
    for one in (an_enrolment(), changed(an_enrolment(), "enabled"), an_enrolment(50.0)):
        kept.write(one)
    assert len(next_of(kept)) == 2

    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        producer.send(topic, None, an_enrolment().id.encode()).get(10)

    assert ids(next_of(kept)) == {an_enrolment(50.0).id}
    assert keys(broker, topic) == [
        *[an_enrolment().id.encode()] * 2,
        an_enrolment(50.0).id.encode(),
        an_enrolment().id.encode(),
    ]


def test_what_is_no_more_on_the_topic_is_not_remembered_from_before(broker, topic, connect):
    """An anchor that was taken away while a daemon was cut off must not live on in it."""
    daemon, tool = connect(), connect()
    tool.write(an_enrolment())
    assert ids(next_of(daemon)) == {an_enrolment().id}

    daemon.close()
    with KafkaAdminClient(bootstrap_servers=broker.direct) as admin:
        admin.delete_topics([topic])
        wait_for("deleted", lambda: topic not in admin.list_topics())
    wait_for("made anew", lambda: _is_written(tool, an_enrolment(50.0)))

    assert ids(next_of(daemon)) == {an_enrolment(50.0).id}


def _is_written(kept, enrolment):
    """Write, and tell whether that was possible."""
    try:
        kept.write(enrolment)
    except EnrolmentsUnavailableError:
        return False
    return True


def _answer(kept):
    """Ask, and say "away" where nobody answers."""
    try:
        return kept.poll()
    except EnrolmentsUnavailableError:
        return "away"


def keys(broker, topic):
    """Read the keys of all records, and see to it that there is one partition."""
    with KafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
        assert consumer.partitions_for_topic(topic) == {0}
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        end, found = consumer.end_offsets([place])[place], []
        while consumer.position(place) < end:
            for records in consumer.poll(200).values():
                found += [record.key for record in records]
    return found
