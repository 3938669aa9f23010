"""`anchorwatchd --healthy` and `--ready`: what a health check is told, and how soon."""

import contextlib
import socket
import threading
import time

import pytest

from detector.asking import UnwellError, ask
from detector.config import Http
from detector.web import Page, WebServer
from tests.detector.test_cli import HEAVY, modules_after, run
from tests.detector.top.servers import free_port, http, stranger

PAGES = {
    "/healthz": lambda: Page(200, "text/plain", b"ok\n"),
    "/readyz": lambda: Page(503, "text/plain", b"nothing to read from yet\n"),
}


@contextlib.contextmanager
def daemon(host="127.0.0.1"):
    """Serve what a daemon does that gets on, and has nothing to read from."""
    server = WebServer(host, 0, PAGES)
    with contextlib.closing(server):
        server.start()
        yield server


def refusal(settings, **given):
    """Ask, and give the one line that says what is wrong."""
    with pytest.raises(UnwellError) as caught:
        ask(settings, "/healthz", **given)
    words = str(caught.value)
    assert words.isprintable()
    return words


def port_of(url):
    """Give the port of an address."""
    return int(url.rpartition(":")[2])


def test_one_that_gets_on_is_healthy():
    """0 is what an engine, a script and a person look for. Which bundle it has is no matter."""
    with daemon() as server:
        done = run("--healthy", HTTP__PORT=server.port)

    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_one_that_has_nothing_to_read_from_is_healthy_but_not_ready():
    """Restarting it doesn't help against a broker that is away; sending somebody there might."""
    with daemon() as server:
        done = run("--ready", HTTP__PORT=server.port)

    assert (done.returncode, done.stdout) == (1, "")
    url = f"http://127.0.0.1:{server.port}"
    assert done.stderr == f"anchorwatchd: {url} says 503: nothing to read from yet\n"


def test_the_settings_file_says_whom_to_ask(tmp_path):
    """Two daemons on a machine have a file each."""
    file = tmp_path / "anchorwatch.toml"
    with daemon() as server:
        file.write_text(f"bundle = '/nowhere'\n[http]\nport = {server.port}\n")
        there = run("--healthy", "--config", file)
        file.write_text(f"bundle = '/nowhere'\n[http]\nport = {free_port()}\n")
        elsewhere = run("--healthy", "--config", file)

    assert there.returncode == 0
    assert elsewhere.returncode == 1
    assert "connection refused" in elsewhere.stderr


@pytest.mark.parametrize(("host", "at"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])
def test_one_that_listens_everywhere_is_asked_on_loopback(host, at):
    """In a container it has to listen so, and its health check has no other name for it."""
    with daemon(at.strip("[]")) as server:
        said = ask(Http(host=host, port=server.port), "/healthz")
    words = refusal(Http(host=host, port=server.port))

    assert said == "ok"
    assert words.startswith(f"no daemon answers at http://{at}:{server.port}: ")


def test_settings_that_can_not_be_used_end_with_78(tmp_path):
    """Who misspells a setting asks another daemon, or none, and is to know that."""
    file = tmp_path / "anchorwatch.toml"
    file.write_text("[htpp]\nport = 1\n")

    done = run("--healthy", "--config", file)

    assert done.returncode == 78
    assert "unknown field `htpp`" in done.stderr


def test_a_port_that_nobody_can_know_is_said():
    """Port 0 is any that is free, another one at each start."""
    assert refusal(Http(port=0)).startswith("[http] port is 0")


def test_nobody_is_there():
    """The most frequent case: it has ended, or hasn't begun to listen."""
    port = free_port()

    assert refusal(Http(port=port)) == (
        f"no daemon answers at http://127.0.0.1:{port}: connection refused"
    )


def test_a_host_that_does_not_exist_is_said():
    """The name is as it is in the settings."""
    assert "http://no-such-host.invalid:9469: " in refusal(Http(host="no-such-host.invalid"))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\n"])
def test_one_that_hangs_is_given_up_on(answer):
    """A loop that hangs may take its server along; the check must end before its own time-out."""
    with stranger(answer, hangs=True) as url:
        begun = time.monotonic()
        words = refusal(Http(port=port_of(url)), patience_seconds=0.3)

    assert words == f"{url} gives no answer within 0.3 s"
    assert time.monotonic() - begun < 2


def test_one_that_trickles_is_given_up_on():
    """The patience is for the whole answer, not for each byte of it."""
    with giving(b"", b"H", pause_seconds=0.02) as port:
        begun = time.monotonic()
        words = refusal(Http(port=port), patience_seconds=0.3)

    assert "gives no answer within 0.3 s" in words
    assert time.monotonic() - begun < 2


@contextlib.contextmanager
def giving(first, then, pause_seconds=0.0):
    """Answer one request with something, and then with the same again and again; give the port."""
    ended = threading.Event()

    def serve():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(first)
            while not ended.wait(pause_seconds):
                connection.sendall(then)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 fine\r\n\r\nok"],
)
def test_a_stranger_is_no_daemon(answer):
    """Whatever took the port does not make the check green."""
    with stranger(answer) as url:
        assert refusal(Http(port=port_of(url))).startswith(f"what answers at {url} is no daemon")


def test_what_a_stranger_says_can_not_forge_a_line():
    """The words go to a log and to terminals."""
    with stranger(http(b"\x1b[31mred\nanchorwatchd: all is well", "500 Oh")) as url:
        words = refusal(Http(port=port_of(url)))

    assert words == f"{url} says 500: [31mred anchorwatchd: all is well"


def test_endless_words_are_cut():
    """A health check keeps no gigabytes, and prints a line."""
    with giving(b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 65_536) as port:
        assert ask(Http(port=port), "/healthz") == "a" * 200


def test_asking_loads_nothing_heavy():
    """It runs every few seconds on the cores of a daemon that judges links."""
    code = "from detector.cli import ask_another; ask_another(None, '/healthz')"

    seen = modules_after(code)

    assert "detector" in seen
    assert not seen & (HEAVY | {"numpy", "prometheus_client"})
