"""What all brokers share: the life of a child process, and the choice between them."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.broker import Broker, needs, open_broker


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


def is_listening(port: int) -> bool:
    """Say whether anybody accepts connections on *port*."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_broker_that_ends_while_it_starts_says_why() -> None:
    """Without its log, a broker that fails on another machine cannot be put right."""
    broker = Broken()

    with pytest.raises(RuntimeError, match=r"Broken ended while it started.*\nthe disk is full"):
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
        "import os; from tests.broker.test_process import WebServer; server = WebServer()"
        "; server.start(); print(server.port, flush=True); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[2]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}

    run = [sys.executable, "-c", code]
    out = subprocess.run(run, cwd=root, env=environ, stdout=subprocess.PIPE, check=False).stdout

    assert int(out) > 0
    deadline = time.monotonic() + 20
    while is_listening(int(out)):
        assert time.monotonic() < deadline, "it outlives its parent"
        time.sleep(0.02)


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
