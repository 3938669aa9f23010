"""The daemon on a real broker while it learns: other bundles, enrolled anchors, kept captures."""

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest

from detector.capture import read_links
from detector.config import Kafka
from detector.enrolment import Act, Enrolment, enrol
from detector.enrolments.kafka import KafkaEnrolments
from detector.window import Window, WindowSpec
from tests.broker import Broker
from tests.broker.proxy import Proxy
from tests.daemon import Daemon, Producer, Reader, Topics, wait_for
from tests.fakes import draft_bundle, make_rows, make_window
from tests.mutations import mutations

QUICK = {"reload__look_seconds": 0.05, "silence__enabled": "false"}
WHO = {"who": "tests", "why": "a test", "now_ms": 1}


@pytest.fixture
def verdicts(broker: Broker, topics: Topics) -> Reader:
    """Give a reader of the verdicts, past the proxy."""
    return Reader(broker.direct, f"{topics.name}.verdicts")


class Load(threading.Thread):
    """Links that report all the time, each a window after the other."""

    def __init__(self, broker: Broker, topics: Topics, spec: WindowSpec, links: int) -> None:
        super().__init__()
        self.producer = Producer(broker.direct, topics.windows, spec)
        self._links, self._spec = links, spec
        self._over = threading.Event()

    def run(self) -> None:
        """Send until told to stop."""
        for turn in itertools.count():
            if self._over.wait(0.01):
                return
            for link in range(self._links):
                start_ms = 1_700_000_000_000 + turn * 1000
                self.producer.send([make_window(f"trunk-{link}", start_ms=start_ms)])

    def __enter__(self) -> "Load":
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self.join()
        self.producer.__exit__()


@pytest.fixture(name="load")
def open_load(broker: Broker, topics: Topics, spec: WindowSpec) -> Iterator[Load]:
    """Give four links that report some hundred windows a second."""
    with Load(broker, topics, spec, 4) as load:
        yield load


def in_use(daemon: Daemon) -> str:
    """Name the bundle that a daemon says it uses."""
    lines = daemon.get("/metrics")[1].splitlines()
    found = [line for line in lines if line.startswith("anchorwatch_bundle_info")]
    return found[0].partition('bundle="')[2].partition('"')[0] if found else ""


def loads(daemon: Daemon, outcome: str) -> float:
    """Count bundles that were loaded or refused."""
    return daemon.metric(f'anchorwatch_bundle_loads_total{{outcome="{outcome}"}}')


def test_a_hundred_reloads_under_load_lose_no_window_and_judge_none_twice(
    broker, topics, store, load, verdicts
):
    """Bundles are exchanged on weekdays, not at night."""
    first, second = store.ids
    with Daemon(store.path, broker.direct, topics, **QUICK) as daemon:
        daemon.ready()
        wait_for("windows", lambda: daemon.metric("anchorwatch_windows_total") > 100)
        for turn in range(100):
            wanted = (second, first)[turn % 2]
            store.switch(wanted, action="promoted", **WHO)
            wait_for("an exchange", lambda wanted=wanted: in_use(daemon) == wanted)
        assert loads(daemon, "loaded") == 100
        load.__exit__()
        sent = load.producer.sent
        wait_for("all", lambda: daemon.metric("anchorwatch_windows_total") == len(sent))
        assert loads(daemon, "refused") == 0
        assert daemon.terminate() == 0

    said = verdicts.verdicts()
    assert sorted((one["link"], one["start_ms"]) for one in said) == sorted(sent)
    assert {one["bundle"] for one in said} == {first, second}


@pytest.mark.usefixtures("load")
def test_a_broken_bundle_leaves_the_one_before_running(broker, topics, store, verdicts):
    """Whatever a disk or a bad copy made of it, links are watched on."""
    first, second = store.ids
    folder, rng = store.folder(second), np.random.default_rng(0)
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole)
    with Daemon(store.path, broker.direct, topics, **QUICK) as daemon:
        daemon.ready()
        for tried, broken in enumerate(mutations(whole, rng, count=200)):
            shutil.rmtree(folder, ignore_errors=True)
            if broken.exists():
                shutil.copytree(broken, folder, symlinks=True)
            if tried:
                daemon.hang_up()
            else:
                store.switch(second, action="promoted", **WHO)
            wait_for(broken.name, lambda tried=tried: loads(daemon, "refused") > tried)
            assert in_use(daemon) == first
        assert daemon.metric("anchorwatch_bundle_refused") == 1
        seen = daemon.metric("anchorwatch_windows_total")
        wait_for("goes on", lambda: daemon.metric("anchorwatch_windows_total") > seen + 50)
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)
        daemon.hang_up()
        wait_for("a good one", lambda: in_use(daemon) == second)
        assert daemon.metric("anchorwatch_bundle_refused") == 0
        assert "bundle refused" in daemon.log()
        assert daemon.terminate() == 0

    assert {one["bundle"] for one in verdicts.verdicts()} == {first, second}


@pytest.mark.usefixtures("load")
def test_going_back_takes_effect_within_a_second(broker, topics, store):
    """Whoever sees a bad bundle at night wants the one before, now."""
    first, second = store.ids
    with Daemon(store.path, broker.direct, topics, silence__enabled="false") as daemon:
        daemon.ready()
        store.switch(second, action="promoted", **WHO)
        wait_for("the second", lambda: in_use(daemon) == second)
        store.switch(first, action="rolled-back", **WHO)
        begun = time.monotonic()
        wait_for("the first", lambda: in_use(daemon) == first, 10)
        took = time.monotonic() - begun
        log = daemon.log()
        assert daemon.terminate() == 0

    assert f"was={second}" in log
    assert took < 5, "far more than the second that it takes, on a machine that does other things"


@pytest.mark.usefixtures("load")
def test_sighup_loads_a_plain_bundle_anew(broker, topics, tmp_path):
    """Those without a bundle store replace the folder and tell the daemon."""
    from detector.bundle import save

    path = tmp_path / "plain"
    first = save(draft_bundle(seed=0), path)
    with Daemon(path, broker.direct, topics, **QUICK) as daemon:
        daemon.ready()
        wait_for("windows", lambda: daemon.metric("anchorwatch_windows_total") > 10)
        assert in_use(daemon) == first
        second = save(draft_bundle(seed=1), path, replace=True)
        time.sleep(0.5)
        assert in_use(daemon) == first
        daemon.hang_up()
        wait_for("the second", lambda: in_use(daemon) == second)
        assert daemon.terminate() == 0


CHATTER = "chatter"


def chattering(link: str, start_ms: int) -> Window:
    """Make a window of a fault that no bundle here has learnt: all is sent four times."""
    values = make_rows("normal", 4)
    values[:, 2] = 300.0
    values[:, 3] = 400.0
    return make_window(link, start_ms=start_ms, values=values)


def shown(spec: WindowSpec) -> Enrolment:
    """Make the enrolment of one such window."""
    window = chattering("trunk-9", 1_700_000_000_000)
    return enrol(
        label=CHATTER,
        link=window.link,
        start_ms=window.start_ms,
        spec=spec,
        values=window.values[None],
        act=Act(at_ms=window.end_ms, who="tests", what="enrolled"),
    )


class Second:
    """Twelve links of which a window is sent, and what is said of that second."""

    def __init__(self, producer: Producer, verdicts: Reader) -> None:
        self._producer, self._verdicts = producer, verdicts
        self._second = 0

    def labels(self, make: Callable[..., Window] = make_window) -> set[str]:
        """Send another window of each link, and wait for what they are called."""
        self._second += 1
        start_ms = 1_700_000_000_000 + self._second * 1000
        for link in range(12):
            self._producer.send([make(f"trunk-{link}", start_ms=start_ms)])

        def said() -> list[str]:
            found = [one for one in self._verdicts.verdicts() if one["start_ms"] == start_ms]
            return [one["label"] for one in found]

        wait_for("all judged", lambda: len(said()) == 12)
        return set(said())


def test_one_window_shown_to_running_daemons_is_known_to_all_and_after_a_crash(
    broker, topics, bundle_path, spec, verdicts
):
    """Point at one incident, name it, and every link is watched for it."""
    made = [Daemon(bundle_path, broker.direct, topics, **QUICK) for _ in range(2)]
    enrolments = KafkaEnrolments(Kafka(bootstrap=broker.direct, anchors=topics.anchors))
    with (
        Producer(broker.direct, topics.windows, spec) as producer,
        made[0] as first,
        made[1] as second,
        closing(enrolments),
    ):
        seconds = Second(producer, verdicts)
        wait_for("both work", lambda: seconds.labels() and _have_links(first, second))
        assert CHATTER not in seconds.labels(chattering)

        enrolments.write(shown(spec))
        wait_for("in use", lambda: _is_enrolled(first) and _is_enrolled(second), 10)
        assert seconds.labels(chattering) == {CHATTER}

        for daemon in (first, second):
            daemon.kill()
        for daemon in (first, second):
            daemon.start()
        assert seconds.labels(chattering) == {CHATTER}
        assert [first.terminate(), second.terminate()] == [0, 0]


def _is_enrolled(daemon: Daemon) -> bool:
    return daemon.metric('anchorwatch_enrolments{status="used"}') == 1


def _have_links(*daemons: Daemon) -> bool:
    return all(daemon.metric("anchorwatch_links") > 0 for daemon in daemons)


def test_a_daemon_starts_with_what_was_enrolled_though_the_broker_is_away_at_first(
    broker, proxy: Proxy, topics, bundle_path, spec, verdicts
):
    """Else the first minute after an outage would be named by half of what is known."""
    enrolments = KafkaEnrolments(Kafka(bootstrap=broker.direct, anchors=topics.anchors))
    enrolments.write(shown(spec))
    enrolments.close()
    with Producer(broker.direct, topics.windows, spec) as producer:
        producer.send([chattering("trunk-1", 1_700_000_000_000)])
    proxy.stall()
    with Daemon(bundle_path, broker.bootstrap, topics, **QUICK) as daemon:
        wait_for("it says so", lambda: "enrolled anchors can't be read" in daemon.log(), 60)
        proxy.resume()
        said = wait_for("a verdict", verdicts.verdicts, 90)
        assert daemon.terminate() == 0

    assert [one["label"] for one in said] == [CHATTER]


@pytest.mark.usefixtures("load")
def test_a_killed_daemon_leaves_only_captures_that_can_be_read(
    broker, topics, bundle_path, tmp_path, spec
):
    """They are what the next encoder learns from."""
    captures = tmp_path / "captures"
    settings = QUICK | {
        "store__path": captures,
        "store__normal_share": 1,
        "store__flush_seconds": 0.2,
    }
    for _ in range(3):
        with Daemon(bundle_path, broker.direct, topics, **settings) as daemon:
            daemon.ready()
            kept = 'anchorwatch_store_windows_total{outcome="kept"}'
            wait_for("some kept", lambda daemon=daemon, kept=kept: daemon.metric(kept) > 200)
            daemon.kill()

    rows = sum(len(link.values) for link in read_links([captures], spec))
    assert rows > 300
