"""The test broker and the proxy do what other tests build on."""

import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError

from tests.broker import Broker, needs, open_broker
from tests.broker.proxy import Proxy, free_port


class WebServer(Broker):
    """No broker, but a child process that is up at once, to test what all brokers share."""

    name = "Web server"

    def _command(self, home: Path) -> list[str]:
        return [sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1"]

    def _answers(self) -> bool:
        return True


class Broken(WebServer):
    """A child process that ends at once."""

    name = "Broken"

    def _command(self, home: Path) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('the disk is full')"]


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
    until(lambda: bool(values.extend(r.value for b in consumer.poll(200).values() for r in b)) or bool(values))
    consumer.close()
    return values


def is_listening(port: int) -> bool:
    """Say whether anybody accepts connections on *port*."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with Proxy() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def broker(proxy: Proxy) -> Iterator[Broker]:
    with open_broker(proxy) as broker:
        yield broker


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends everything back."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(65536):
                self.request.sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """Resets are what these tests make."""

    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def line(echo: int) -> Iterator[tuple[Proxy, socket.socket]]:
    """A proxy in front of the echo, and a connection through it that has been used."""
    with (
        Proxy(echo) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        yield proxy, client


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


def test_a_broker_that_ends_while_it_starts_says_why() -> None:
    """Without its log, a broker that fails on another machine cannot be put right."""
    broker = Broken()

    with pytest.raises(RuntimeError, match="Broken ended while it started.*\nthe disk is full"):
        broker.start()

    assert broker.home is None


def test_a_paused_process_answers_again_only_when_resumed() -> None:
    """Stopping in time matters: a signal that takes effect later makes flaky tests."""
    with WebServer() as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(0.3)

        server.pause()
        client.sendall(b"GET /log HTTP/1.0\r\n\r\n")
        with pytest.raises(TimeoutError):
            client.recv(1)
        server.resume()
        client.settimeout(20)

        assert client.recv(4) == b"HTTP"


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not on the PATH")
def test_a_killed_test_run_takes_its_broker_along(tmp_path: Path) -> None:
    """A run that CI kills must not leave a broker on the machine."""
    code = (
        "import os; from tests.detector.test_broker_fixture import WebServer; server = WebServer()"
        "; server.start(); print(server.port, flush=True); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[2]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}

    run = [sys.executable, "-c", code]
    out = subprocess.run(run, cwd=root, env=environ, stdout=subprocess.PIPE, check=False).stdout

    assert int(out) > 0
    until(lambda: not is_listening(int(out)))


def test_a_forced_broker_that_cannot_be_had_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CI must not pass because it silently tested less."""
    monkeypatch.setenv("ANCHORWATCH_TEST_BROKER", "apache")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RuntimeError, match="Apache Kafka needs java"):
        open_broker()


def test_a_test_that_needs_more_skips_and_says_what() -> None:
    """Who reads the skips must see what was not tested; a misspelt need must not hide a test."""

    class Poor(WebServer):
        cannot = frozenset({"direct"})

    with pytest.raises(pytest.skip.Exception, match="a listener of its own"):
        needs(Poor(), "direct")
    needs(WebServer(), "direct")
    with pytest.raises(KeyError):
        needs(WebServer(), "dierct")
