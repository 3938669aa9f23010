"""What systemd is told, over a real socket: that it is ready, how it stands, that it gets on."""

import os
import re
import shutil
import socket
import threading
import time
from contextlib import closing, suppress
from itertools import pairwise

import msgspec
import pytest

from detector.assembly import assemble
from detector.config import Captures, Kafka, Reload, Settings
from detector.kafka_states import KafkaStates
from detector.loading import load
from detector.metrics import Metrics
from detector.oncall.opening import open_model
from detector.reload import Reloads
from detector.status import Status
from detector.supervisor import Supervisor, line_of
from tests.daemon import Producer, Topics, wait_for
from tests.detector.test_reload import Anchors
from tests.detector.test_service import record
from tests.fakes import Clock, ListSink, ListSource, WallClock, make_capture, make_spec

BROKER = "kafka-1:9092"
SETTINGS = Settings(bundle="b", kafka=Kafka(bootstrap=BROKER))
READY = Status(version="1", bundle="9f2c1e5a77b0", now_ms=0, ready=True, links=3)
FAULTS = "41 links, 2 blocked, 1 limited, 3 unsettled, 1 exporter lost"
NOT_YET = Status(version="1", bundle="9f2c1e5a77b0", now_ms=0, contact_seconds=1e9)


class Listening:
    """Takes what is sent, as systemd would."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))

    def heard(self) -> list[str]:
        """Give what was sent since this was last asked."""
        words = []
        while True:
            try:
                words.append(self._socket.recv(4096, socket.MSG_DONTWAIT).decode())
            except BlockingIOError:
                return words

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    """Give a socket to be heard at, of either kind."""
    abstract = f"@anchorwatch-{os.getpid()}-{time.monotonic_ns()}"
    address = str(tmp_path / "notify") if request.param == "path" else abstract
    with closing(Listening(address)) as listening:
        yield listening


@pytest.fixture
def heard(tmp_path):
    """Give a socket to be heard at."""
    with closing(Listening(str(tmp_path / "notify"))) as listening:
        yield listening


def supervised(listening, clock=None, *, watchdog=30, settings=SETTINGS):
    """Make a supervisor that systemd watches, with a clock of the test's own."""
    environ = {"NOTIFY_SOCKET": listening.address}
    if watchdog:
        environ |= {"WATCHDOG_USEC": str(watchdog * 10**6), "WATCHDOG_PID": str(os.getpid())}
    return Supervisor.of(settings, environ, clock or Clock())


def test_it_is_ready_once_there_is_something_to_read_from(systemd):
    """Not when the process runs, nor when the encoder is warm: units wait for this one."""
    supervisor = supervised(systemd)

    supervisor.show(NOT_YET)
    before = systemd.heard()
    supervisor.show(READY)
    supervisor.show(READY)

    why = f"waiting for the broker {BROKER}"
    assert before == [f"STATUS={why}; 0 links; 0 windows/s, lag 0; bundle 9f2c1e5a77b0"]
    assert systemd.heard() == [
        "READY=1",
        "STATUS=3 links; 0 windows/s; bundle 9f2c1e5a77b0",
    ]


def test_nobody_is_told_where_nobody_listens(tmp_path):
    """In a container, on a terminal, or with a socket that is a virtual machine's."""
    gone = str(tmp_path / "gone")
    for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}):
        silent = Supervisor.of(SETTINGS, environ | {"WATCHDOG_USEC": "1000000"}, Clock())
        all_words(silent)

    # There, and nobody is behind it: the loop goes on all the same.
    all_words(Supervisor.of(SETTINGS, {"NOTIFY_SOCKET": gone}, Clock()))
    all_words(Supervisor.of(SETTINGS, {"NOTIFY_SOCKET": "/" + "long" * 100}, Clock()))
    all_words(Supervisor())


class CountedLooks(Anchors):
    """Counts how often somebody looks."""

    looks = 0

    def poll(self):
        """Count."""
        self.looks += 1
        return super().poll()


def all_words(supervisor):
    """Say all there is to say."""
    supervisor.beat()
    supervisor.show(READY)
    supervisor.reloading()
    supervisor.reloaded()
    supervisor.beat()
    supervisor.stopping()


def test_the_watchdog_is_fed_by_progress_at_most_three_times_as_often_as_it_asks(heard):
    """A loop turns thousands of times a second, and a datagram each would be a load of its own."""
    clock = Clock()
    supervisor = supervised(heard, clock)
    supervisor.show(READY)
    heard.heard()

    times = []
    for _ in range(600):  # a minute
        supervisor.beat()
        times += [clock.now] if "WATCHDOG=1" in heard.heard() else []
        clock.sleep(0.1)

    gaps = [after - before for before, after in pairwise(times)]
    assert times[0] == 1000
    assert gaps == pytest.approx([10] * 5, abs=0.15)


def test_no_progress_feeds_nobody(heard):
    """Whatever else goes on in the process: threads that reload, status that others ask for."""
    clock = Clock()
    supervisor = supervised(heard, clock)
    supervisor.show(READY)
    supervisor.beat()
    heard.heard()

    clock.sleep(1000)
    supervisor.reloading()
    supervisor.reloaded()
    supervisor.show(READY)

    assert "WATCHDOG=1" not in "".join(heard.heard())


@pytest.mark.parametrize(
    "environ", [{}, {"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}]
)
def test_a_watchdog_that_is_not_ours_is_not_fed(heard, environ):
    """A process in between may have passed its own on to us."""
    supervisor = Supervisor.of(SETTINGS, environ | {"NOTIFY_SOCKET": heard.address}, Clock())
    supervisor.show(READY)
    heard.heard()

    supervisor.beat()

    assert heard.heard() == []


def test_a_watchdog_without_a_process_named_is_ours(heard):
    """Other supervisors than systemd leave it out."""
    environ = {"NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": "5000000"}
    supervisor = Supervisor.of(SETTINGS, environ, Clock())
    supervisor.show(READY)
    heard.heard()

    supervisor.beat()

    assert heard.heard() == ["WATCHDOG=1"]


def test_until_it_is_ready_progress_asks_for_more_time(heard):
    """A broker that is away all night ends no daemon, and makes none ready."""
    clock = Clock()
    supervisor = supervised(heard, clock)

    supervisor.beat()
    first = heard.heard()
    clock.sleep(9)
    supervisor.beat()
    within = heard.heard()
    clock.sleep(1)
    supervisor.beat()
    third = heard.heard()
    supervisor.show(READY)
    heard.heard()
    clock.sleep(10)
    supervisor.beat()

    more = "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000000"
    assert first == [more, f"STATUS=waiting for the broker {BROKER}"]
    assert within == [f"STATUS=waiting for the broker {BROKER} for 9 s"]
    assert third[0] == more
    assert heard.heard()[0] == "WATCHDOG=1"


def test_without_a_watchdog_a_start_is_extended_all_the_same(heard):
    """Who took the watchdog out of the unit still has a time that a start may take."""
    supervisor = supervised(heard, watchdog=0)

    supervisor.beat()

    assert heard.heard()[0] == "EXTEND_TIMEOUT_USEC=60000000"


def test_the_status_line_changes_every_few_seconds_at_most(heard):
    """It is for people; each one is a message to systemd, which has other things to do."""
    clock = Clock()
    supervisor = supervised(heard, clock)
    lines = []
    for second in range(60):
        status = Status(version="1", bundle="b", now_ms=0, ready=True, links=second)
        supervisor.show(status)
        lines += [word for word in heard.heard() if word.startswith("STATUS")]
        clock.sleep(1)

    assert len(lines) == 20
    assert lines[-1].startswith("STATUS=57 links")


def test_what_has_not_changed_is_not_said_again(heard):
    """A quiet network is quiet here too."""
    clock = Clock()
    supervisor = supervised(heard, clock)
    for _ in range(60):
        supervisor.show(READY)
        clock.sleep(1)

    assert len(heard.heard()) == 2


def test_a_delivery_that_waits_is_said_with_how_everything_stood(heard):
    """The loop finishes no step then, so nothing else would change the line."""
    clock = Clock()
    supervisor = supervised(heard, clock)
    supervisor.show(READY)
    heard.heard()

    for _ in range(41):
        supervisor.beat()
        clock.sleep(0.2)
    said = [word for word in heard.heard() if word.startswith("STATUS")]
    supervisor.show(READY)
    clock.sleep(3)
    supervisor.show(READY)

    assert said[0] == (
        f"STATUS=waiting for the broker {BROKER} for 5 s; "
        "3 links; 0 windows/s; bundle 9f2c1e5a77b0"
    )
    assert heard.heard()[-1] == "STATUS=3 links; 0 windows/s; bundle 9f2c1e5a77b0"


def test_a_loop_that_gets_on_is_never_said_to_wait(heard):
    """Each step has a sign of progress for each delivery, whether it waited or not."""
    clock = Clock()
    supervisor = supervised(heard, clock)
    said = ""
    for links in range(60):
        supervisor.show(Status(version="1", bundle="b", now_ms=0, ready=True, links=links))
        for _ in range(4):
            supervisor.beat()
            clock.sleep(0.3)
        said += "".join(heard.heard())

    assert "STATUS=57 links" in said
    assert "waiting" not in said


def test_a_step_that_takes_long_waits_for_nobody(heard):
    """A batch of a hundred thousand windows is work, and no broker that is away."""
    clock = Clock()
    supervisor = supervised(heard, clock)
    supervisor.show(READY)
    heard.heard()

    clock.sleep(8)
    for _ in range(4):  # each sink, then the end of the step
        supervisor.beat()

    assert heard.heard() == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (
            Status(
                version="1",
                bundle="b",
                now_ms=0,
                ready=True,
                contact_seconds=0.2,
                links=41,
                lag_messages=7,
                windows_per_second=122.6,
                states={"normal": 37, "unsettled": 3, "limited": 1, "blocked": 2},
                sources_lost=1,
            ),
            f"{FAULTS}; 123 windows/s, lag 7; bundle b",
        ),
        (
            Status(
                version="1",
                bundle="b",
                now_ms=0,
                uptime_seconds=99.0,
                contact_seconds=41.4,
                links=1,
            ),
            "nothing of the broker a:1 for 41 s; 1 link; 0 windows/s, lag 0; bundle b",
        ),
        (
            Status(version="1", bundle="b", now_ms=0, contact_seconds=9.0, refused="no login"),
            "no login; 0 links; 0 windows/s, lag 0; bundle b",
        ),
        (
            Status(version="1", bundle="b", now_ms=0, contact_seconds=0.3, sources_lost=2),
            "no partitions yet; 0 links, 2 exporters lost; 0 windows/s, lag 0; bundle b",
        ),
        (
            Status(version="1", bundle="b", now_ms=0, ready=True, links=2, states={"blocked": 0}),
            "2 links; 0 windows/s; bundle b",
        ),
    ],
)
def test_the_line_says_what_an_operator_asks_first(status, line):
    """How many links, what is wrong with them, whether it keeps up, and which bundle."""
    assert line_of(status, "the broker a:1") == line


def test_a_label_can_not_forge_a_word(heard):
    """Whoever enrols an anchor chooses its label; a line break in it would begin another word."""
    supervisor = supervised(heard)
    states = {"bad\nWATCHDOG=1\nREADY=1": 1, "\x1b[2J" + "long" * 200: 1}

    supervisor.show(Status(version="1", bundle="b", now_ms=0, ready=True, states=states))

    ready, line = heard.heard()
    assert ready == "READY=1"
    assert line.isprintable()
    assert line.startswith("STATUS=0 links, 1 bad?WATCHDOG=1?READY=1, 1 ?[2Jlong")
    assert len(line) < 320


def test_a_reload_is_begun_and_ended_once_it_was_ready(heard):
    """`systemctl reload` waits for the end; before it is ready systemd knows no reload."""
    supervisor = supervised(heard)
    supervisor.reloading()
    supervisor.reloaded()
    before = heard.heard()
    supervisor.show(READY)
    heard.heard()
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    supervisor.reloaded()  # a look that nobody asked for
    unasked = heard.heard()
    supervisor.reloading()
    supervisor.reloaded()

    assert before == unasked == []
    begin, end = heard.heard()
    stamp = re.fullmatch("RELOADING=1\nMONOTONIC_USEC=([0-9]+)", begin)
    assert stamp is not None
    assert 0 <= int(stamp[1]) - began < 60_000_000
    assert end == "READY=1"


def test_what_systemd_waits_for_is_said_until_it_is_heard():
    """A busy moment must not leave a daemon that works in `activating` for ever."""
    said, room = [], [False]

    def send(words):
        said.append(words)
        return room[0]

    clock = Clock()
    supervisor = Supervisor(send, watchdog_seconds=30, waits_for="x", clock=clock)
    supervisor.show(READY)
    supervisor.beat()
    room[0] = True
    supervisor.beat()
    supervisor.beat()

    assert said.count("READY=1") == 3


def test_a_socket_that_is_full_holds_up_nobody(heard):
    """A systemd that hangs must not make what it watches hang."""
    supervisor = supervised(heard)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as filling:
        filling.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                filling.sendto(b"x" * 1000, heard.address)

    begun = time.monotonic()
    all_words(supervisor)

    assert time.monotonic() - begun < 5


def test_the_service_says_ready_feeds_and_says_that_it_stops(make_service, heard):
    """The hooks are in the loop: whatever finishes steps is alive, and nothing else."""
    supervisor = supervised(heard)
    source = ListSource([record("normal", 0)])
    service = make_service(source, ListSink(), clock=WallClock(), supervisor=supervisor)
    service.metrics.followed_by(supervisor.beat)

    service.run(0)

    words = heard.heard()
    assert words[0] == "READY=1"
    assert "WATCHDOG=1" in words
    assert words[-1] == "STOPPING=1\nSTATUS=stopping"


def test_a_step_that_never_ends_feeds_nobody(make_service, heard):
    """The fault that the watchdog is for."""
    clock = Clock()
    supervisor = supervised(heard, clock)

    class Hanging(ListSource):
        def poll(self, seconds, most):
            clock.sleep(10)
            if clock.now > 1090:
                raise TimeoutError("the test has seen enough")
            return [] if clock.now < 1030 else self.poll(seconds, most)

    service = make_service(Hanging([]), clock=WallClock(), supervisor=supervisor)
    service.metrics.followed_by(supervisor.beat)
    with pytest.raises(TimeoutError, match="seen enough"):
        service.run(0)

    fed = [word for word in heard.heard() if "WATCHDOG" in word]
    assert len(fed) == 2  # of ten seconds each, and none of the eighty that followed


def test_a_daemon_that_is_put_together_tells_all(tmp_path, bundle_path, heard):
    """Progress, readiness, the end; and a reload, which another thread sees to."""
    supervisor = supervised(heard)
    capture = make_capture(tmp_path / "day.parquet", {"a/access": ["normal"] * 60})
    settings = Settings(
        bundle=str(bundle_path),
        source="captures",
        captures=Captures(paths=(str(capture),), speed=1000),
        reload=Reload(look_seconds=0.01),
    )
    hangup, words = threading.Event(), list[str]()
    model = open_model(settings)
    metrics = Metrics(model.bundle.manifest.labels, max_links=10)
    service = assemble(
        settings, model, metrics, threading.Event(), "", hangup=hangup, supervisor=supervisor
    )

    class Asking(ListSink):
        def send(self, outcome):
            if not hangup.is_set() and "READY=1" not in words:
                hangup.set()
                wait_for("both", lambda: words.extend(heard.heard()) or words.count("READY=1") > 1)

    service.sinks = [Asking()]
    service.run(0.01)

    words += heard.heard()
    begun = [word for word in words if word.startswith("RELOADING=1")]
    assert words.index("READY=1") < words.index(begun[0])
    assert any(word.startswith("WATCHDOG=1") for word in words)
    assert words[-1] == "STOPPING=1\nSTATUS=stopping"


def test_a_hangup_is_told_when_it_is_looked_at_and_a_look_is_not(bundle_path, heard):
    """The thread looks all the time; only what somebody asked for is a reload to systemd."""
    supervisor = supervised(heard)
    supervisor.show(READY)
    heard.heard()
    settings = Settings(bundle=str(bundle_path), reload=Reload(look_seconds=0.01))
    asked, anchors = threading.Event(), CountedLooks()
    reloads = Reloads(settings, open_model(settings), anchors, asked, supervisor=supervisor)
    reloads.begin(lambda: False, lambda: None)
    wait_for("five looks", lambda: anchors.looks >= 5)
    before = heard.heard()

    asked.set()
    words: list[str] = []
    wait_for("an end", lambda: words.extend(heard.heard()) or len(words) >= 2)
    reloads.close()

    assert before == []
    assert [word.partition("\n")[0] for word in words] == ["RELOADING=1", "READY=1"]


def test_a_reload_that_was_refused_is_over_too(tmp_path, bundle_path, heard):
    """Or systemd would wait for it until its time is over, and the daemon works all the while."""
    supervisor = supervised(heard)
    supervisor.show(READY)
    heard.heard()
    path = shutil.copytree(bundle_path, tmp_path / "bundle")
    settings = Settings(bundle=str(path), reload=Reload(look_seconds=0.01))
    asked = threading.Event()
    reloads = Reloads(settings, open_model(settings), Anchors(), asked, supervisor=supervisor)
    reloads.begin(lambda: False, lambda: None)
    (path / "manifest.json").write_text("{}")

    asked.set()
    words: list[str] = []
    wait_for("an end", lambda: words.extend(heard.heard()) or len(words) >= 2)
    refused = {one.name: one.values for one in reloads.figures()}["bundle_refused"]
    reloads.close()

    assert [word.partition("\n")[0] for word in words] == ["RELOADING=1", "READY=1"]
    assert refused == {(): 1.0}


def test_to_read_what_was_kept_of_many_links_is_progress(broker):
    """After a restart there may be a million records, and a reader that gets on is no hang."""
    topics = Topics().create(broker)
    kafka = load(None, topics.settings | {"ANCHORWATCH__BUNDLE": "b"}).kafka
    kafka = msgspec.structs.replace(kafka, bootstrap=broker.bootstrap)
    beats: list[int] = []
    with closing(KafkaStates(kafka, threading.Event(), lambda: beats.append(1))) as states:
        states.restore([(topics.windows, 0)])  # makes the topic
        beats.clear()
        states.restore([(topics.windows, 0)])
        of_nothing = len(beats)
        with Producer(broker.bootstrap, kafka.states, make_spec()) as producer:
            for _ in range(1600):  # a poll gives 500 at most
                producer.send_raw(b"", b"trunk-1")

        beats.clear()
        states.restore([(topics.windows, 0)])

    assert len(beats) >= of_nothing + 3
