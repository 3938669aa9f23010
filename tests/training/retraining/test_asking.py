"""Asking daemons: a timer retrains when traffic has drifted, and does nothing otherwise."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from training.retraining.asking import AskingError, drifted, wants


@contextmanager
def daemon(answer: object, status: int = 200) -> Iterator[str]:
    """Answer at /status as a daemon does, and give where."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/status"
            self.send_response(status if found else 404)
            self.end_headers()
            text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.wfile.write(text if found else b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("wanted", [True, False])
def test_a_daemon_is_taken_at_its_word(wanted):
    """The test is the daemon's own; here nothing is judged again."""
    with daemon({"links": [], "drift": {"wanted": wanted, "times": 2.0}}) as where:
        assert wants(where) == wanted
        assert wants(f"http://{where}/") == wanted
        assert wants(f"http://{where}/status") == wanted


@pytest.mark.parametrize(
    "answer",
    [{}, {"drift": {}}, {"drift": None}, {"drift": {"wanted": "no"}}, [1], b"<html>", b"\xff"],
)
def test_a_daemon_that_does_not_say_is_no_daemon_that_says_no(answer):
    """One of an earlier version, or a page of somebody else's on that port."""
    with daemon(answer) as where, pytest.raises(AskingError, match=where):
        wants(where)


def test_a_daemon_that_is_not_there_is_named():
    """The message says which of five addresses is wrong."""
    with daemon({}) as where:
        pass

    with pytest.raises(AskingError, match=f"http://{where}/status: "):
        wants(where, seconds=1.0)


def test_an_error_of_the_daemons_is_no_word():
    """A proxy in front of it may say anything with a 503."""
    answer = {"drift": {"wanted": True}}

    with (
        daemon(answer, status=503) as where,
        pytest.raises(AskingError, match="Service Unavailable"),
    ):
        wants(where)


def test_one_that_asks_is_enough_and_one_that_is_mute_is_told():
    """Of five daemons one may be down for an hour; the others' word counts."""
    with (
        daemon({"drift": {"wanted": False}}) as calm,
        daemon({"drift": {"wanted": True}}) as upset,
    ):
        asking, mute = drifted([calm, upset, "127.0.0.1:1"], seconds=1.0)

        assert asking == [upset]
        assert len(mute) == 1
        assert "127.0.0.1:1" in mute[0]
        assert drifted([calm]) == ([], [])


def test_when_nobody_answers_that_is_an_error():
    """A timer that is green for a year because of a wrong port is worse than none."""
    with pytest.raises(AskingError, match="no daemon says"):
        drifted(["127.0.0.1:1", "127.0.0.1:2"], seconds=1.0)
