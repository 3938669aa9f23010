"""The daemon on a real broker, over time: silence, restarts, lost brokers, other daemons.

Times are scaled: where people wait for minutes, links here are silent after three seconds.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from detector.window import WindowSpec
from tests.broker import Broker, needs
from tests.broker.proxy import Proxy
from tests.daemon import Daemon, Producer, Reader, Topics, wait_for
from tests.fakes import make_window

QUICK = {
    "silence__least_seconds": 3,
    "silence__missed_windows": 2,
    "silence__contact_seconds": 4,
    "events__gather_seconds": 0,
}
SILENT_SECONDS = 3.0
LONG_SECONDS = 9.0  # three times as long as it takes to be silent


@pytest.fixture
def events(broker: Broker, topics: Topics) -> Reader:
    """Give a reader of the events, past the proxy."""
    return Reader(broker.direct, f"{topics.name}.events")


class Feed:
    """Exporters that report their links twice a second, from a thread, past the proxy."""

    def __init__(self, broker: Broker, topics: Topics, spec: WindowSpec) -> None:
        self.labels: dict[str, str] = {}  # link to what is true of it; set to change or stop it
        self._producer = Producer(broker.direct, topics.windows, spec)
        self._spec = spec
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def set(self, **labels: str) -> None:
        """Let links report, each with a label; all others report nothing."""
        self.labels = {link.replace("_", "-"): label for link, label in labels.items()}

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            now_ms = round(time.time() * 1000)
            for link, label in list(self.labels.items()):
                start_ms = now_ms - self._spec.span_ms
                source = f"probe-{link[0]}"
                window = make_window(link, label, start_ms=start_ms, source=source)
                self._producer.send([window])

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._producer.__exit__()


@pytest.fixture
def feed(broker: Broker, topics: Topics, spec: WindowSpec) -> Iterator[Feed]:
    """Give exporters: links `a-1`, `a-2` are of exporter `probe-a`."""
    with Feed(broker, topics, spec) as feed:
        yield feed


def told(events: Reader) -> list[tuple[str, str, str]]:
    """Give what was told: type, link or exporter, and the fault that began or ended."""
    return [
        (
            one["type"],
            one["link"] or one["source"],
            one["state"] if one["type"] == "onset" else one["previous"],
        )
        for one in events.verdicts()
    ]


def settled(daemon: Daemon, **links: int) -> None:
    """Wait until so many links are in these states."""
    for state, count in links.items():
        series = f'anchorwatch_links{{state="{state}"}}'

        def there(series: str = series, count: int = count) -> bool:
            return daemon.metric(series) == count

        wait_for(f"{count} {state}", there)


def test_a_link_whose_producer_stops_is_silent_and_the_others_are_not(
    broker, topics, bundle_path, feed, events
):
    """Nothing arriving is what many a block looks like from here."""
    feed.set(a_1="normal", a_2="normal", b_1="normal", b_2="normal")
    with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as daemon:
        settled(daemon, normal=4)
        feed.set(a_2="normal", b_1="normal", b_2="normal")
        wait_for("silent", lambda: told(events) == [("onset", "a-1", "silent")])
        settled(daemon, normal=3, silent=1)
        feed.set(a_1="normal", a_2="normal", b_1="normal", b_2="normal")
        wait_for("back", lambda: len(told(events)) == 2)
        assert daemon.terminate() == 0

    onset, end = events.verdicts()
    assert told(events)[1] == ("abated", "a-1", "silent")
    assert onset["episode"] == end["episode"]
    assert "exporter reported others" in onset["reason"]
    assert onset["at_ms"] - onset["since_ms"] >= SILENT_SECONDS * 1000 - 1000
    assert {record.key for record in events.records()} == {b"a-1"}


def test_an_exporter_that_stops_is_one_event_and_its_links_are_not_blamed(
    broker, topics, bundle_path, feed, events
):
    """A collector that died is no fault of the trunks behind it."""
    feed.set(a_1="normal", a_2="normal", a_3="normal", b_1="normal")
    with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as daemon:
        settled(daemon, normal=4)
        feed.set(b_1="normal")
        lost = ("onset", "probe-a", "telemetry-lost")
        wait_for("lost", lambda: told(events) == [lost])
        assert daemon.metric('anchorwatch_exporter_lost{source="probe-a"}') == 1
        time.sleep(LONG_SECONDS)
        assert told(events) == [lost]
        settled(daemon, normal=4)
        feed.set(a_1="normal", a_2="normal", a_3="normal", b_1="normal")
        wait_for("back", lambda: len(told(events)) == 2)
        time.sleep(SILENT_SECONDS)
        assert daemon.terminate() == 0

    assert told(events) == [lost, ("abated", "probe-a", "telemetry-lost")]


def test_a_daemon_that_was_away_blames_only_whom_it_really_misses(
    broker, topics, bundle_path, feed, events
):
    """Whoever reported meanwhile lies on the topic, and whoever did not is silent now."""
    feed.set(a_1="normal", a_2="normal", b_1="normal", b_2="normal")
    with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as daemon:
        settled(daemon, normal=4)
        assert daemon.terminate() == 0
    feed.set(a_2="normal", b_1="normal", b_2="normal")
    time.sleep(LONG_SECONDS)

    with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as daemon:
        wait_for("silent", lambda: told(events))
        time.sleep(LONG_SECONDS)
        assert daemon.terminate() == 0

    assert told(events) == [("onset", "a-1", "silent")]


def test_a_broker_that_is_cut_off_makes_nobody_silent(
    broker, proxy: Proxy, topics, bundle_path, feed, events
):
    """The daemon hears nothing then, of nobody, and knows that it is to blame itself."""
    needs(broker, "direct")
    feed.set(a_1="normal", a_2="normal", b_1="normal")
    with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as daemon:
        settled(daemon, normal=3)
        for fault in (proxy.stall, proxy.cut):
            seen = daemon.metric("anchorwatch_windows_total")
            fault()
            time.sleep(LONG_SECONDS)
            proxy.resume()
            wait_for(
                "it goes on",
                lambda seen=seen: daemon.metric("anchorwatch_windows_total") > seen + 60,
                60,
            )
            time.sleep(SILENT_SECONDS)
        assert told(events) == []
        feed.set(a_1="normal", b_1="normal")
        wait_for("it still listens", lambda: told(events) == [("onset", "a-2", "silent")])
        assert daemon.terminate() == 0


def test_a_kill_in_the_middle_of_a_fault_calls_nobody_again(
    broker, topics, bundle_path, feed, events
):
    """The next daemon knows what was told, and tells the end of it."""
    feed.set(a_1="normal", a_2="normal")
    with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as daemon:
        settled(daemon, normal=2)
        feed.set(a_1="blocked", a_2="normal")
        wait_for("onset", lambda: told(events) == [("onset", "a-1", "blocked")])
        daemon.kill()
    with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as daemon:
        settled(daemon, blocked=1, normal=1)
        mark = daemon.metric("anchorwatch_windows_total")
        wait_for("it judges", lambda: daemon.metric("anchorwatch_windows_total") > mark + 8)
        feed.set(a_1="normal", a_2="normal")
        wait_for("end", lambda: len(told(events)) == 2)
        assert daemon.terminate() == 0

    onset, end = events.verdicts()
    assert told(events) == [("onset", "a-1", "blocked"), ("abated", "a-1", "blocked")]
    assert onset["episode"] == end["episode"]
    assert end["duration_ms"] > 0
    assert onset["reason"]


def test_a_daemon_that_joins_and_one_that_leaves_call_nobody(
    broker, topics, bundle_path, feed, events
):
    """Links move between daemons in the middle of incidents; no incident may be told of anew."""
    ill = {f"{side}_{n}": "blocked" for side in "ab" for n in range(6)}
    well = dict.fromkeys(ill, "normal")
    feed.set(**well)
    with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as one:
        settled(one, normal=12)
        feed.set(**ill)
        wait_for("onsets", lambda: len(told(events)) == 12)
        with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as two:
            count = 'anchorwatch_links{state="blocked"}'
            wait_for("two has some", lambda: two.metric(count) > 0)
            wait_for("all are there", lambda: one.metric(count) + two.metric(count) == 12)
            time.sleep(LONG_SECONDS)
            assert one.terminate() == 0
            wait_for("two has all", lambda: two.metric(count) == 12)
            feed.set(**well)
            wait_for("ends", lambda: len(told(events)) >= 24)
            time.sleep(SILENT_SECONDS)
            assert two.terminate() == 0

    ids = [one["id"] for one in events.verdicts()]
    assert len(ids) == len(set(ids)) == 24
    assert {(kind, state) for kind, _, state in told(events)} == {
        ("onset", "blocked"),
        ("abated", "blocked"),
    }


def test_an_exporter_that_two_daemons_share_is_lost_once(
    broker, topics, bundle_path, feed, events
):
    """Ten daemons that each call about the same dead collector are worse than none."""
    both = {f"{side}_{n}": "normal" for side in "ab" for n in range(8)}
    feed.set(**both)
    with (
        Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as one,
        Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as two,
    ):
        count = 'anchorwatch_links{state="normal"}'
        wait_for("both have links", lambda: one.metric(count) > 0 < two.metric(count))
        wait_for("all are there", lambda: one.metric(count) + two.metric(count) == 16)
        for daemon in (one, two):
            wait_for("they talk", lambda daemon=daemon: daemon.metric("anchorwatch_peers") == 1)
        time.sleep(SILENT_SECONDS)
        feed.set(**{link: label for link, label in both.items() if link.startswith("b")})
        # On a busy machine links may be dealt out anew meanwhile, and have their time again.
        wait_for("lost", lambda: told(events), 90)
        time.sleep(LONG_SECONDS)
        assert told(events) == [("onset", "probe-a", "telemetry-lost")]
        feed.set(**both)
        wait_for("back", lambda: len(told(events)) == 2)
        time.sleep(SILENT_SECONDS)
        assert one.terminate() == two.terminate() == 0

    assert told(events)[1:] == [("abated", "probe-a", "telemetry-lost")]


def test_states_are_kept_on_a_compacted_topic_until_a_link_retires(
    broker, topics, bundle_path, feed, events
):
    """What is kept of links for good must not grow for good."""
    needs(broker, "topic-config")
    feed.set(a_1="normal", a_2="normal")
    settings = QUICK | {"silence__retire_seconds": 8}
    with Daemon(bundle_path, broker.bootstrap, topics, **settings) as daemon:
        settled(daemon, normal=2)
        feed.set(a_2="normal")
        wait_for(
            "retired", lambda: daemon.metric('anchorwatch_noticed_total{what="retired"}') == 1
        )
        states = Reader(broker.direct, f"{topics.name}.states")
        wait_for("gone", lambda: [one for one in states.records() if one.value is None])
        assert daemon.terminate() == 0

    latest = {record.key: record.value for record in states.records()}
    assert latest[b"a-1"] is None
    assert json.loads(latest[b"a-2"])["state"] == "normal"
    assert told(events) == [("onset", "a-1", "silent"), ("abated", "a-1", "silent")]
    assert policy_of(broker, f"{topics.name}.states") == "compact"
    assert partitions_of(broker, f"{topics.name}.states") == 4


def policy_of(broker: Broker, topic: str) -> str:
    """Ask the broker how a topic is cleaned up."""
    with KafkaAdminClient(bootstrap_servers=broker.direct) as admin:
        asked = ConfigResource(ConfigResourceType.TOPIC, topic)
        (settings,) = admin.describe_configs([asked])["topic"].values()
        return str(settings["cleanup.policy"]["value"])


def partitions_of(broker: Broker, topic: str) -> int:
    """Count a topic's partitions."""
    with KafkaAdminClient(bootstrap_servers=broker.direct) as admin:
        (described,) = admin.describe_topics([topic])
        return len(described["partitions"])


@pytest.mark.parametrize(
    ("dialect", "field", "value"),
    [("cloudevents", "specversion", "1.0"), ("onap", "closedLoopEventStatus", "ONSET")],
)
def test_events_are_told_in_the_dialect_that_was_asked_for(
    broker, topics, bundle_path, feed, events, dialect, field, value
):
    """Receivers that others wrote are fed without a translator between."""
    feed.set(a_1="blocked")
    settings = QUICK | {"events__dialect": dialect}
    with Daemon(bundle_path, broker.bootstrap, topics, **settings) as daemon:
        wait_for("event", lambda: events.records())
        assert daemon.terminate() == 0

    assert json.loads(events.records()[0].value)[field] == value


def test_links_that_fail_together_are_one_event(broker, topics, bundle_path, feed, events):
    """A router that dies is one call with a list."""
    well = {f"a_{n}": "normal" for n in range(8)}
    feed.set(**well)
    settings = QUICK | {"events__gather_seconds": 3, "events__gather_links": 4}
    with Daemon(bundle_path, broker.bootstrap, topics, **settings) as daemon:
        settled(daemon, normal=8)
        feed.set(**dict.fromkeys(well, "blocked"))
        wait_for("event", lambda: events.records())
        time.sleep(SILENT_SECONDS)
        assert daemon.metric('anchorwatch_events_total{state="blocked",type="onset"}') == 8
        assert daemon.terminate() == 0

    (event,) = events.verdicts()
    assert event["links"] == [f"a-{n}" for n in range(8)]
    assert (event["group"], event["state"]) == ("probe-a", "blocked")


def test_anchorwatch_top_shows_the_running_daemon(broker, topics, bundle_path, feed):
    """The first thing that somebody types when the pager went off."""
    feed.set(a_1="blocked", a_2="normal", b_1="normal")
    with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as daemon:
        settled(daemon, blocked=1, normal=2)
        wait_for("events", lambda: daemon.metric("anchorwatch_events_total") == 1)
        time.sleep(1.5)
        program = Path(sys.executable).with_name("anchorwatch")
        command = [program, "top", "--url", f"http://{daemon.address}"]
        shown = subprocess.run([*command, "--once"], capture_output=True, text=True, check=True)
        data = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
        assert daemon.terminate() == 0

    status = json.loads(data.stdout)
    assert status["states"] == {"blocked": 1, "normal": 2}
    assert status["worst"][0]["link"] == "a-1"
    assert "a-1" in shown.stdout
    assert "blocked" in shown.stdout
