"""Asking for a status: the document, or one line that tells what to look at."""

import time

import msgspec
import pytest

from detector.board import Wanted
from detector.status import LinkStatus
from detector.top.asking import MOST_BYTES, NoStatusError, fetch, page_at, read
from tests.detector.top.made import make_link, make_status
from tests.detector.top.servers import daemon, free_port, http, stranger


def refusal(url, **settings):
    """Ask where there is no status, and give the line that says so."""
    with pytest.raises(NoStatusError) as caught:
        fetch(page_at(url), Wanted(), **settings)
    words = str(caught.value)
    assert words.isprintable()
    return words.replace(url, "URL")


def test_the_document_comes_as_the_daemon_gave_it():
    """The tool shows what is, and knows which links were asked for."""
    links = [make_link("a-1", "blocked"), make_link("a-2"), make_link("b-1", "blocked")]
    with daemon(make_status(worst=links)) as (_, server):
        whole = read(fetch(page_at(server.url), Wanted()))
        some = read(fetch(page_at(server.url), Wanted(9, ("blocked",), ("a-*",))))

    assert [link.link for link in whole.worst] == ["a-1", "a-2", "b-1"]
    assert [link.link for link in some.worst] == ["a-1"]
    assert whole == make_status(worst=tuple(links))


def test_what_this_version_does_not_know_stays_in_the_document():
    """`--json` of an old tool hides nothing that a new daemon says."""
    body = msgspec.json.encode(msgspec.to_builtins(make_status()) | {"mood": "new"})
    with stranger(http(body)) as url:
        assert fetch(page_at(url), Wanted()) == body


def test_nobody_is_there():
    """The most frequent case: the daemon isn't running, or listens elsewhere."""
    url = f"http://127.0.0.1:{free_port()}"

    assert refusal(url) == "no daemon answers at URL: connection refused"


def test_a_host_that_does_not_exist_is_said():
    """The name is as it was typed, and the resolver's words come with it."""
    words = refusal("http://no-such-host.invalid:9469")

    assert words.startswith("no daemon answers at URL: ")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "no daemon answers at URL: remote end closed connection without response"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no daemon answers at URL: not HTTP: BadStatusLine('SSH"),
        (b"\x00\x1b[2J\xff" * 99, "no daemon answers at URL: not HTTP: BadStatusLine("),
        (http(b"hello"), "URL/status is not the status of a daemon: JSON is malformed"),
        (http(b""), "URL/status is not the status of a daemon: Input data was truncated"),
        (
            http(b'{"ok": true}'),
            "URL/status is not the status of a daemon: Object missing required",
        ),
        (http(b"\xff\xfe"), "URL/status is not the status of a daemon: "),
        (http(b"[" * 100_000), "URL/status is not the status of a daemon: "),
        (
            http(b'{"version":"1","bundle":"b","now_ms":0,"x":' + b"[" * 100_000),
            "URL/status is not the status of a daemon: ",
        ),
        (
            http(b'{"version":1,"bundle":"b","now_ms":0}'),
            "URL/status is not the status of a daemon: Expected `str`, got `int` - at `$.version`",
        ),
        (http(b"{", length=100), "no daemon answers at URL: its answer broke off"),
        (http(b"", "500 Oh\x1b[2J"), "URL/status says 500 Internal Server Error"),
        (http(b"", "599 Oh"), "URL/status says 599"),
        (
            http(b"", "404 Not Found"),
            "URL/status says 404 Not Found; is it a daemon of this version?",
        ),
        (http(b"ask\x1b[2J\n", "400 Bad"), "URL/status says 400 'ask\\x1b[2J'"),
        (http(b"ask", "400 Bad", length=9), "URL/status says 400 'ask'"),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: /status\r\n\r\n",
            "URL/status says 301 Moved Permanently",
        ),
        (b"HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\n\r\n", "URL/status says 302 Found"),
    ],
)
def test_what_answers_is_no_daemon(answer, why):
    """Ports get mixed up; the line says what was found there, and is safe to print."""
    with stranger(answer) as url:
        assert refusal(url).startswith(why)


def test_a_query_that_the_daemon_refuses_is_explained_by_it():
    """An older daemon may not know what a newer tool asks for."""
    with daemon(make_status()) as (_, server), pytest.raises(NoStatusError) as caught:
        fetch(page_at(server.url), Wanted(most=5000))

    assert "says 400 \"most='5000': give a number of links up to 1000\"" in str(caught.value)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_an_answer_that_does_not_come_is_not_waited_for(answer):
    """A view that hangs with its daemon says nothing at all."""
    began = time.monotonic()

    with stranger(answer, hangs=True) as url:
        words = refusal(url, patience_seconds=0.2)

    assert words == "no daemon answers at URL: no answer within 0.2 s"
    assert time.monotonic() - began < 5


def test_an_answer_that_dribbles_is_given_up():
    """A byte now and then doesn't hold the view for ever."""
    times = iter(range(100))
    body = http(msgspec.json.encode(make_status()))

    with stranger(body) as url:
        words = refusal(url, patience_seconds=0.5, clock=lambda: next(times))

    assert words == "no daemon answers at URL: no answer within 0.5 s"


def test_an_answer_without_end_is_given_up():
    """A file server at the wrong port can't fill the memory."""
    with stranger(http(b"x" * (MOST_BYTES + 1_000_000))) as url:
        assert refusal(url) == "no daemon answers at URL: its answer doesn't end after 16 MiB"


def test_a_thousand_links_with_long_names_come_through():
    """The largest document that a daemon gives is far from the bound."""
    links = [LinkStatus("x" * 200, "y" * 200, "z" * 50, reason="w" * 500) for _ in range(1000)]
    with daemon(make_status(worst=links)) as (_, server):
        body = fetch(page_at(server.url), Wanted(most=1000))

    assert len(read(body).worst) == 1000
    assert len(body) < MOST_BYTES / 4


def test_proxies_are_for_the_web(monkeypatch):
    """Whoever set one for the browser still sees the daemon on this machine."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    with daemon(make_status()) as (_, server):
        assert read(fetch(page_at(server.url), Wanted())).version == "0.1.0"


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("127.0.0.1:9469", "http://127.0.0.1:9469/status"),
        ("probe-7", "http://probe-7:9469/status"),
        ("probe-7/", "http://probe-7:9469/status"),
        ("probe-7:", "http://probe-7:9469/status"),
        ("probe-7:80", "http://probe-7:80/status"),
        ("probe-7/anchorwatch", "http://probe-7:9469/anchorwatch/status"),
        ("[::1]", "http://[::1]:9469/status"),
        ("http://probe-7", "http://probe-7/status"),
        ("https://probe-7", "https://probe-7/status"),
        ("http://[::1]:9469", "http://[::1]:9469/status"),
        ("http://host:1/", "http://host:1/status"),
        ("http://host:1/status", "http://host:1/status"),
        ("https://host/a/b", "https://host/a/b/status"),
        ("http://münchen:1", "http://münchen:1/status"),
    ],
)
def test_an_address_is_taken_as_people_type_it(typed, page):
    """At night one forgets scheme and port, or copies a path along; a whole URL means itself."""
    assert page_at(typed) == page


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "http://",
        "ftp://host",
        "file:///etc/passwd",
        "http://host:99999",
        "http://host:port",
        "http://[::1",
        "http://host?x=1",
        "http://host/#a",
        "http://me:secret@host",
        "http://a..b",
        "http://host/a b\x1b",
    ],
)
def test_what_is_no_address_is_refused(typed):
    """Before anything is asked."""
    with pytest.raises(ValueError, match=r"."):
        page_at(typed)
