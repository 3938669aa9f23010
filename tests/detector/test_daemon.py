"""The daemon on a real broker: what comes in comes out, whatever happens between."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kafka import KafkaProducer

from detector.bundle import load
from detector.capture import LinkCapture
from detector.config import Kafka
from detector.message import decode, encode
from detector.replay import Replay
from detector.window import Window, WindowSpec
from tests.broker import Broker, needs
from tests.broker.proxy import Proxy
from tests.daemon import Daemon, Producer, Reader, Topics, wait_for
from training.replay import Form, Pace, send


@pytest.fixture
def producer(broker: Broker, topics: Topics, spec: WindowSpec) -> Iterator[Producer]:
    """Give a producer to the daemon's topic, past the proxy."""
    with Producer(broker.direct, topics.windows, spec) as producer:
        yield producer


@pytest.fixture
def reader(broker: Broker, topics: Topics) -> Reader:
    """Give a reader of the verdicts, past the proxy."""
    return Reader(broker.direct, f"{topics.name}.verdicts")


def make(spec: WindowSpec, link: str, number: int) -> Window:
    """Make window *number* of a link."""
    values = np.random.default_rng(number).uniform(0, 50, spec.shape).astype(np.float32)
    start_ms = 1_700_000_000_000 + number * spec.step_ms
    return Window(link, "probe-1", start_ms, start_ms + spec.span_ms, values)


class Stream:
    """Windows of some links, sent from a thread of its own until told to stop."""

    def __init__(self, producer: Producer, spec: WindowSpec, links: int = 8) -> None:
        self._producer, self._spec, self._links = producer, spec, links
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            for link in range(self._links):
                self._producer.send([make(self._spec, f"link-{link}", number)])
            number += 1

    def __enter__(self) -> "Stream":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()


def test_windows_in_both_encodings_come_back_as_verdicts(
    broker, topics, bundle_path, spec, producer, reader
):
    """Exporters write what they can write; each of their windows is to be named."""
    windows = [make(spec, "trunk-1", number) for number in range(6)]

    with Daemon(bundle_path, broker.bootstrap, topics) as daemon:
        producer.send(windows[:1], packed=True)
        producer.send(windows[1:2], packed=False)
        producer.send(windows[2:4], packed=True)
        producer.send(windows[4:], packed=False)
        wait_for("verdicts", lambda: len(reader.ids()) == 6)
        assert daemon.terminate() == 0

    verdicts = reader.records()
    assert {record.key for record in verdicts} == {b"trunk-1"}
    one = json.loads(verdicts[0].value)
    assert {"link", "source", "start_ms", "end_ms", "label", "state"} <= set(one)
    assert {"distance", "margin", "anchor", "distances", "bundle"} <= set(one)
    assert one["bundle"] == load(bundle_path).id


def test_what_cannot_be_used_goes_to_the_dead_letters_and_stops_nothing(
    broker, topics, bundle_path, spec, producer, reader
):
    """A bad exporter must be found by its records, and must not blind the others."""
    good = make(spec, "trunk-1", 0)
    bad_link = make(spec, "trunk\n2", 1)

    with Daemon(bundle_path, broker.bootstrap, topics) as daemon:
        producer.send_raw(b"\x00 no window", b"who")
        producer.send_raw(encode([bad_link, good], spec))
        for reason in ("undecodable", "name"):
            rejected = f'anchorwatch_rejected_total{{reason="{reason}"}}'
            wait_for(reason, lambda name=rejected: daemon.metric(name) == 1)
        wait_for("verdict", lambda: reader.ids())
        assert daemon.terminate() == 0

    letters = Reader(broker.direct, f"{topics.name}.dead").records()
    headers = [{name: value.decode() for name, value in one.headers} for one in letters]
    by_reason = {one["reason"]: one for one in headers}
    assert set(by_reason) == {"undecodable", "name"}
    assert by_reason["undecodable"]["topic"] == topics.windows
    assert {"partition", "offset", "detail"} <= set(by_reason["undecodable"])
    assert letters[[one["reason"] for one in headers].index("undecodable")].key == b"who"
    assert encode([bad_link], spec) in [one.value for one in letters]
    assert reader.ids() == {("trunk-1", good.start_ms): 1}


def test_a_record_larger_than_any_that_can_be_written_stops_nothing(
    broker, topics, bundle_path, spec, producer, reader
):
    """Packed it is small enough to come in; tried for ever, it would be the end of the watch."""
    with KafkaProducer(
        bootstrap_servers=broker.direct, compression_type="gzip", max_request_size=2**23
    ) as packing:
        packing.send(topics.windows, bytes(950_000), bytes(200_000), partition=0).get(30)
    producer.send([make(spec, "trunk-1", 0)])

    with Daemon(bundle_path, broker.bootstrap, topics) as daemon:
        wait_for("verdict", lambda: reader.ids())
        wait_for("rejected", lambda: daemon.metric("anchorwatch_rejected_total") == 1)
        producer.send([make(spec, f"trunk-{number}", number) for number in range(1, 9)])
        wait_for("the others", lambda: len(reader.ids()) == 9)
        assert daemon.terminate() == 0

    (letter,) = Reader(broker.direct, f"{topics.name}.dead").records()
    assert dict(letter.headers)["size"] == b"950000"
    assert dict(letter.headers)["key_size"] == b"200000"


def test_a_record_that_the_client_cannot_read_is_stepped_over_and_told_of(
    broker, bundle_path, spec
):
    """A flipped bit on the broker's disk must not stop the links behind it."""
    needs(broker, "restart-keeps-data")  # only a broker with files has a file to spoil
    one = Topics().create(broker)
    with Producer(broker.direct, one.windows, spec) as producer:
        for number, link in enumerate(("before", "spoilt", "after")):
            producer.send([make(spec, link, number)])
    spoil(broker.home / "data" / f"{one.windows}-0", b"spoilt", b"spoild")

    with Daemon(bundle_path, broker.bootstrap, one) as daemon:
        verdicts = Reader(broker.direct, f"{one.name}.verdicts")
        wait_for("the others", lambda: len(verdicts.ids()) == 2)
        counted = 'anchorwatch_rejected_total{reason="unreadable"}'
        wait_for("its count", lambda: daemon.metric(counted) == 1)
        assert daemon.terminate() == 0

    assert {link for link, _ in verdicts.ids()} == {"before", "after"}
    (letter,) = Reader(broker.direct, f"{one.name}.dead").records()
    headers = {name: value.decode() for name, value in letter.headers}
    assert (headers["reason"], headers["offset"]) == ("unreadable", "1")


def spoil(folder: Path, what: bytes, by: bytes) -> None:
    """Change bytes of a partition's log behind the broker's back."""
    (log,) = folder.glob("*.log")
    place = log.read_bytes().index(what)
    with log.open("r+b") as file:
        file.seek(place)
        file.write(by)


def test_lists_are_answered_with_lists_where_the_settings_say_so(
    broker, topics, bundle_path, spec, producer, reader
):
    """A collector that sends hundreds of windows at once can take as many verdicts at once."""
    windows = [make(spec, "trunk-1", number) for number in range(600)]

    settings = {"kafka__verdicts_a_message": "many"}
    with Daemon(bundle_path, broker.bootstrap, topics, **settings) as daemon:
        producer.send(windows)
        producer.send([make(spec, "trunk-2", 0)])
        wait_for("verdicts", lambda: len(reader.ids()) == 601)
        assert daemon.terminate() == 0

    bodies = {record.key: [] for record in reader.records()}
    for record in reader.records():
        bodies[record.key].append(json.loads(record.value))
    assert [len(body) for body in bodies[b"trunk-1"]] == [500, 100]
    assert bodies[b"trunk-2"][0]["link"] == "trunk-2"


def test_replayed_runs_say_that_it_is_now_whenever_they_were_recorded(broker, topics, spec):
    """Runs recorded an hour apart are replayed side by side; none may report from the future."""
    values = make(spec, "x", 0).values
    nobody = np.full(spec.steps, None, object)
    links = [
        LinkCapture(f"run-{hour}/a", hour * 3_600_000, spec.step_ms, values, nobody, nobody)
        for hour in range(3)
    ]
    windows = Replay(links, spec, hop_ms=spec.step_ms, side_by_side=True)
    now_ms = time.time() * 1000

    told: list[str] = []
    sent = send(
        windows,
        Kafka(bootstrap=broker.direct, windows=topics.windows),
        Pace(1.0, at_ms=round(time.time() * 1000)),
        Form(),
        told.append,
    )

    records = Reader(broker.direct, topics.windows).records()
    ends = [one.end_ms for record in records for one in decode(record.value, spec)[0]]
    assert sent == len(ends) == 3
    assert max(abs(end - now_ms) for end in ends) < 30_000


def test_a_change_of_state_is_one_event(broker, topics, bundle_path, spec, producer):
    """Pagers listen to events, and want one for each change."""
    anchors = load(bundle_path)
    place = anchors.labels.index("blocked")
    start_ms = 1_700_000_000_000
    events = Reader(broker.direct, f"{topics.name}.events")

    settings = {"events__gather_seconds": 0}
    with Daemon(bundle_path, broker.bootstrap, topics, **settings) as daemon:
        for number in range(5):
            begin = start_ms + number * spec.step_ms
            values = anchors.anchor_windows[place]
            producer.send([Window("trunk-1", "p", begin, begin + spec.span_ms, values)])
        wait_for("event", lambda: events.records())
        wait_for("all", lambda: daemon.metric("anchorwatch_windows_total") == 5)
        assert daemon.terminate() == 0

    (event,) = events.verdicts()
    assert (event["link"], event["state"], event["previous"]) == ("trunk-1", "blocked", None)
    assert event["since_ms"] == start_ms + spec.span_ms
    assert event["at_ms"] == event["since_ms"] + spec.step_ms
    assert event["verdict"]["anchor"] == anchors.manifest.anchors[place].name
    assert event["verdict"]["reason"]


def test_sigterm_in_mid_stream_loses_nothing_and_judges_nothing_twice(
    broker, topics, bundle_path, spec, producer, reader
):
    """An upgrade is a SIGTERM and a start; nobody may notice it in the verdicts."""
    with Stream(producer, spec):
        for _ in range(2):
            with Daemon(bundle_path, broker.bootstrap, topics) as daemon:
                before = len(reader.ids())
                wait_for("stream", lambda before=before: len(reader.ids()) > before + 50)
                assert daemon.terminate(10) == 0
    with Daemon(bundle_path, broker.bootstrap, topics) as daemon:
        wait_for("the rest", lambda: set(reader.ids()) >= set(producer.sent))
        assert daemon.terminate() == 0

    counts = reader.ids()
    assert set(counts) == set(producer.sent)
    assert max(counts.values()) == 1


def test_kill_in_mid_stream_leaves_no_window_without_a_verdict(
    broker, topics, bundle_path, spec, producer, reader, record_property
):
    """A machine that dies loses no window; some may be judged twice."""
    with Stream(producer, spec):
        for _ in range(2):
            with Daemon(bundle_path, broker.bootstrap, topics) as daemon:
                before = len(reader.ids())
                wait_for("stream", lambda before=before: len(reader.ids()) > before + 50)
                daemon.kill()
    with Daemon(bundle_path, broker.bootstrap, topics) as daemon:
        wait_for("the rest", lambda: set(reader.ids()) >= set(producer.sent), 60)
        assert daemon.terminate() == 0

    counts = reader.ids()
    record_property("judged_twice", sum(count > 1 for count in counts.values()))
    assert set(counts) == set(producer.sent)


def test_two_daemons_share_the_links_and_one_takes_over_when_the_other_leaves(
    broker, topics, bundle_path, spec, producer, reader
):
    """Scale-out is Kafka's: daemons of one group part the links between them."""
    with (
        Stream(producer, spec, links=16),
        Daemon(bundle_path, broker.bootstrap, topics) as one,
        Daemon(bundle_path, broker.bootstrap, topics) as two,
    ):
        wait_for("one works", lambda: one.metric("anchorwatch_windows_total") > 20)
        wait_for("two works", lambda: two.metric("anchorwatch_windows_total") > 20)
        assert one.terminate() == 0
        before = len({link for link, _ in reader.ids()})
        mark = two.metric("anchorwatch_windows_total")
        wait_for("two goes on", lambda: two.metric("anchorwatch_windows_total") > mark + 200)
        assert two.metric("anchorwatch_rebalances_total") >= 2
    with Daemon(bundle_path, broker.bootstrap, topics) as last:
        wait_for("the rest", lambda: set(reader.ids()) >= set(producer.sent), 60)
        assert last.terminate() == 0

    assert before == 16
    assert set(reader.ids()) == set(producer.sent)


def test_a_stalled_broker_that_comes_back_costs_nothing(
    broker, proxy: Proxy, topics, bundle_path, spec, producer, reader
):
    """Brokers pause for seconds at a time; the daemon waits, says so, and goes on."""
    needs(broker, "direct")
    with Daemon(bundle_path, broker.bootstrap, topics, http__stalled_seconds=3) as daemon:
        for number in range(5):
            producer.send([make(spec, "trunk-1", number)])
        wait_for("first verdicts", lambda: len(reader.ids()) == 5)
        contact = daemon.metric("anchorwatch_broker_contact_timestamp_seconds")
        proxy.stall()
        for number in range(5, 10):
            producer.send([make(spec, "trunk-1", number)])
        threading.Event().wait(6)  # longer than /healthz allows for a loop that hangs
        assert daemon.get("/healthz")[0] == 200
        assert len(reader.ids()) == 5
        proxy.resume()
        wait_for("the others", lambda: len(reader.ids()) == 10, 60)
        wait_for(
            "contact",
            lambda: daemon.metric("anchorwatch_broker_contact_timestamp_seconds") > contact,
        )
        assert daemon.terminate() == 0

    assert set(reader.ids()) == set(producer.sent)


def test_a_broker_that_is_away_at_the_start_is_waited_for(
    broker, proxy: Proxy, topics, bundle_path, spec, producer, reader
):
    """After a power cut everything starts at once, in any order."""
    needs(broker, "direct")
    proxy.cut()
    with Daemon(bundle_path, broker.bootstrap, topics) as daemon:
        wait_for("it says so", lambda: "broker is away" in daemon.log())
        assert daemon.get("/readyz")[0] == 503
        assert daemon.get("/healthz")[0] == 200
        producer.send([make(spec, "trunk-1", 0)])
        proxy.resume()
        wait_for("verdict", lambda: reader.ids(), 60)
        wait_for("ready", lambda: daemon.get("/readyz")[0] == 200)
        assert daemon.terminate() == 0


def test_sigterm_while_the_broker_is_stalled_ends_within_ten_seconds(
    broker, proxy: Proxy, topics, bundle_path, spec, producer, reader
):
    """A stop that hangs on a dead broker gets killed, and a killed daemon looks like a crash."""
    needs(broker, "direct")
    with Daemon(bundle_path, broker.bootstrap, topics) as daemon:
        producer.send([make(spec, "trunk-1", 0)])
        wait_for("verdict", lambda: reader.ids())
        proxy.stall()
        assert daemon.terminate(10) == 0
    proxy.resume()
