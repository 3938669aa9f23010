"""The daemon's HTTP server, asked through real sockets."""

import contextlib
import gzip
import http.client
import logging
import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.web import Page, WebError, WebServer

PATIENCE_SECONDS = 10.0  # a wait longer than this is a failure, not a slow machine
HEAD_BYTES = 8192  # what a request may have, its headers included
SMALL = b"up 1\n"
LARGE = b"".join(b'windows_total{link="link-%d"} %d\n' % (n, n) for n in range(2000))


def broken() -> Page:
    """Fail, as a page that can't be made."""
    raise RuntimeError("the registry is on fire")


PAGES = {
    "/small": lambda: Page(200, "text/plain; version=1.0.0", SMALL),
    "/large": lambda: Page(200, "text/plain", LARGE),
    "/waiting": lambda: Page(503, "text/plain", b"no bundle yet\n"),
    "/broken": broken,
    "/no-such-status": lambda: Page(999, "text/plain", b""),
    "/no-such-type": lambda: Page(200, "text/plän", b""),
}


@pytest.fixture
def serve() -> Iterator[Callable[..., WebServer]]:
    """Make started servers, and close them after the test."""
    with contextlib.ExitStack() as closing:

        def make(pages=PAGES, host="127.0.0.1", port=0, **settings) -> WebServer:
            server = WebServer(host, port, pages, **settings)
            closing.callback(server.close)
            server.start()
            return server

        yield make


def connect(server: WebServer, host: str = "127.0.0.1") -> socket.socket:
    """Open a connection that fails a test sooner than it hangs."""
    return socket.create_connection((host, server.port), timeout=PATIENCE_SECONDS)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server hangs up."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def exchange(server: WebServer, request: bytes, *, half_close: bool = False) -> bytes:
    """Send *request*, and give all that comes back until the server hangs up."""
    with connect(server) as connection:
        connection.sendall(request)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def status_of(answer: bytes) -> int:
    """Read the status out of a raw answer."""
    assert answer.startswith(b"HTTP/1.1 "), answer[:80]
    return int(answer[9:12])


def ask(
    server: WebServer, path: str, method: str = "GET", host: str = "127.0.0.1", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Ask as any HTTP client does: status, headers, body."""
    client = http.client.HTTPConnection(host, server.port, timeout=PATIENCE_SECONDS)
    with contextlib.closing(client):
        client.request(method, path, headers=headers)
        response = client.getresponse()
        return response.status, response.headers, response.read()


def without_date(answer: bytes) -> bytes:
    """Leave out the one header that differs from second to second."""
    return re.sub(rb"Date: .*\r\n", b"", answer)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Ask again and again, and fail when it takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be so"
        time.sleep(0.005)


def new_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    """Give the threads that run now and did not then."""
    return set(threading.enumerate()) - before


def is_listening(server: WebServer) -> bool:
    """Tell whether anything takes connections on the server's port."""
    with contextlib.suppress(ConnectionError):
        connect(server).close()
        return True
    return False


def test_a_page_comes_back_as_it_was_made(serve):
    """A scraper gets the body, its type and its length, and is told to keep none of it."""
    status, headers, body = ask(serve(), "/small")

    assert (status, body) == (200, SMALL)
    assert headers["Content-Type"] == "text/plain; version=1.0.0"
    assert headers["Content-Length"] == str(len(SMALL))
    assert headers["Connection"] == "close"
    assert headers["Cache-Control"] == "no-store"
    assert parsedate_to_datetime(headers["Date"]).timestamp() == pytest.approx(time.time(), abs=60)


def test_a_page_chooses_its_status(serve):
    """A readiness probe goes by the status alone, so a page's 503 has to arrive as one."""
    status, _, body = ask(serve(), "/waiting")

    assert (status, body) == (503, b"no bundle yet\n")


def test_pages_are_made_anew_for_each_request(serve):
    """A scraper that got an old page would draw a flat line over an incident."""
    numbers = iter(range(9))
    server = serve({"/count": lambda: Page(200, "text/plain", b"%d" % next(numbers))})

    assert [ask(server, "/count")[2] for _ in range(3)] == [b"0", b"1", b"2"]


def test_the_query_string_is_ignored(serve):
    """Prometheus adds its `params` to the path, and means the same page."""
    assert ask(serve(), "/small?module=all&x=/large")[::2] == (200, SMALL)


@pytest.mark.parametrize("query", ["", "a=b&c=%20d", "?", "a?b#c"])
def test_a_page_may_be_given_the_query_string(serve, query):
    """A page that can be asked for something is told what, as it came."""
    pages = {"/echo": lambda query: Page(200, "text/plain", query.encode())}
    server = serve(query_pages=pages)

    answer = exchange(server, f"GET /echo?{query} HTTP/1.1\r\n\r\n".encode())

    assert answer.endswith(b"\r\n\r\n" + query.encode())
    assert ask(server, "/echo")[::2] == (200, b"")
    assert ask(server, "/small?a=b")[::2] == (200, SMALL)  # those that aren't are as ever


def test_a_page_of_a_query_that_fails_is_a_500(serve, caplog):
    """Nor does it blind the others."""

    def broken_by(query: str) -> Page:
        raise RuntimeError(query)

    server = serve(query_pages={"/broken-by": broken_by})

    assert ask(server, "/broken-by?fire")[0] == 500
    assert ask(server, "/small")[0] == 200
    assert [record.path for record in caplog.records] == ["/broken-by"]


@pytest.mark.parametrize("path", ["/", "/smal", "/small/", "/Small", "//small", "/../small", "*"])
def test_another_path_is_not_found(serve, path):
    """A typing error in a scrape job shows as a 404, not as a wrong page."""
    status, _, body = ask(serve(), path)

    assert (status, body) == (404, b"404 Not Found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"])
def test_only_get_and_head_are_allowed(serve, method):
    """Nothing that looks as if it could change the daemon is answered with a page."""
    status, headers, body = ask(serve(), "/small", method)

    assert status == 405
    assert headers["Allow"] == "GET, HEAD"
    assert SMALL not in body


def test_allow_is_said_only_with_405(serve):
    """A header that comes with every answer would tell a client nothing."""
    assert ask(serve(), "/small")[1]["Allow"] is None


def test_a_body_that_nobody_reads_does_not_lose_the_answer(serve):
    """Who posts megabytes by mistake reads the 405, and not "connection reset"."""
    request = b"POST /small HTTP/1.1\r\n\r\n" + bytes(4_000_000)

    assert status_of(exchange(serve(), request, half_close=True)) == 405


@pytest.mark.parametrize("path", [b"/small", b"/large", b"/waiting", b"/nope", b"/broken"])
def test_head_is_get_without_the_body(serve, path):
    """A probe that asks for HEAD sees the status and length that GET would have."""
    server = serve()

    answer = exchange(server, b"HEAD %s HTTP/1.1\r\n\r\n" % path)

    whole = exchange(server, b"GET %s HTTP/1.1\r\n\r\n" % path)
    assert without_date(answer) == without_date(whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")


def test_nothing_says_what_the_server_is_made_of(serve):
    """A stranger doesn't learn from a header, or an error, which version to attack."""
    server = serve()

    for path in ("/small", "/nope", "/broken"):
        _, headers, body = ask(server, path)
        assert headers["Server"] is None
        assert not any(word in body.lower() for word in (b"python", b"traceback", b"fire"))


@pytest.mark.parametrize("coding", ["gzip", "deflate, gzip;q=1.0, *;q=0.5", "br,GZIP ; q=0.01"])
def test_a_large_page_is_compressed_on_request(serve, coding):
    """Ten thousand links take a tenth of the bytes at every scrape."""
    status, headers, body = ask(serve(), "/large", **{"Accept-Encoding": coding})

    assert (status, gzip.decompress(body)) == (200, LARGE)
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Content-Length"] == str(len(body))
    assert len(body) < len(LARGE) / 3


@pytest.mark.parametrize("coding", ["identity", "br", "gzip;q=0", "gzip; q=0.000", "nogzip", ""])
def test_a_client_that_cannot_decompress_gets_plain_text(serve, coding):
    """A probe that says it can't read gzip isn't sent any."""
    _, headers, body = ask(serve(), "/large", **{"Accept-Encoding": coding})

    assert body == LARGE
    assert headers["Content-Encoding"] is None


def test_a_small_page_is_not_compressed(serve):
    """A few bytes only grow when compressed."""
    _, headers, body = ask(serve(), "/small", **{"Accept-Encoding": "gzip"})

    assert body == SMALL
    assert headers["Content-Encoding"] is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET",
        b"GET /small",
        b"GET  /small HTTP/1.1",
        b"GET /sm all HTTP/1.1",
        b"GET /small HTTP/2.0",
        b"GET /small HTTP/1.1 ",
        b"GET /sm\x00all HTTP/1.1",
        b"GET /sm\xc3\xa4ll HTTP/1.1",
        b" GET /small HTTP/1.1",
        b"G3T /small HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_garbage_is_a_bad_request_at_once(serve, line):
    """Who talks TLS or rubbish to this port is told after one line, without waiting for more."""
    server = serve(timeout_seconds=PATIENCE_SECONDS * 3)  # so that a time-out can't be the answer

    answer = exchange(server, line + b"\r\n")

    assert status_of(answer) == 400


def test_bare_newlines_end_a_request_too(serve):
    """An engineer with `nc` and a plain newline gets the page."""
    assert exchange(serve(), b"GET /small HTTP/1.0\n\n").endswith(SMALL)


def test_a_request_that_ends_early_is_a_bad_request(serve):
    """A client that sends half and stops for good is told so, and holds nothing."""
    answer = exchange(serve(), b"GET /small HTTP/1.1\r\nHost: a\r\n", half_close=True)

    assert status_of(answer) == 400


@pytest.mark.parametrize(
    "request_start",
    [b"GET /", b"GET /small HTTP/1.1\r\nX: ", b"GET /small HTTP/1.1\r\n" + b"X: y\r\n" * 1300],
)
def test_the_size_of_a_request_is_bounded(serve, request_start):
    """A client can't make the daemon keep all that it sends."""
    server = serve(timeout_seconds=PATIENCE_SECONDS * 3)  # so that a time-out can't be the answer
    padding = b"x" * max(0, HEAD_BYTES - len(request_start))

    answer = exchange(server, request_start + padding)

    assert status_of(answer) == 431


def test_a_long_request_within_the_bound_is_served(serve):
    """A proxy that adds long headers doesn't cut the scrape off."""
    start, end = b"GET /small HTTP/1.1\r\nX: ", b"\r\n\r\n"
    request = start + b"x" * (HEAD_BYTES - len(start) - len(end)) + end

    assert status_of(exchange(serve(), request)) == 200


def test_a_request_in_pieces_is_put_together(serve):
    """A request needn't arrive in one packet."""
    with connect(serve()) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n":
            connection.sendall(bytes([byte]))

        assert read_all(connection).endswith(SMALL)


@pytest.mark.parametrize("path", ["/broken", "/no-such-status", "/no-such-type"])
def test_a_page_that_fails_is_a_500_and_the_server_goes_on(serve, caplog, path):
    """One broken page doesn't blind the others, and the log says what broke."""
    server = serve()

    status, _, body = ask(server, path)

    assert (status, body) == (500, b"500 Internal Server Error\n")
    assert ask(server, "/small")[0] == 200
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("detector.web", logging.ERROR)
    assert (record.getMessage(), record.path) == ("page failed", path)
    assert "the registry is on fire" in caplog.text or path != "/broken"
    assert "Traceback" in caplog.text


def test_a_page_that_keeps_failing_does_not_flood_the_log(serve, caplog):
    """A scraper in a hurry can't fill the disk with one traceback for each request."""
    server = serve()
    began = time.monotonic()

    for _ in range(50):
        assert ask(server, "/broken")[0] == 500

    assert 1 <= len(caplog.records) <= 1 + (time.monotonic() - began)


def test_the_log_says_how_many_lines_it_left_out(serve, caplog):
    """One traceback a second mustn't look like one failure a second."""
    server = serve()
    asked = 0

    def is_logged_again() -> bool:
        nonlocal asked
        asked += 1
        return ask(server, "/broken")[0] == 500 and len(caplog.records) == 3

    wait_until(is_logged_again)

    left_out = [record.left_out for record in caplog.records]
    assert left_out[0] == 0 < left_out[1]
    assert sum(left_out) + 3 == asked


def test_a_client_that_dribbles_is_cut_at_the_deadline(serve):
    """A byte now and then doesn't keep a connection alive for ever."""
    server = serve(timeout_seconds=0.5)
    began = time.monotonic()
    answer = b""

    with connect(server) as connection:
        connection.settimeout(0.02)  # so that the client sends a byte about every 20 ms
        connection.sendall(b"GET /small HTTP/1.1\r\nX: ")
        while time.monotonic() < began + PATIENCE_SECONDS and not answer:
            connection.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)

    assert status_of(answer) == 408
    assert 0.4 < time.monotonic() - began < PATIENCE_SECONDS / 2


def test_a_client_that_sends_nothing_is_hung_up_on(serve):
    """A half-open connection frees its thread."""
    server = serve(timeout_seconds=0.2)
    before = set(threading.enumerate())

    with connect(server) as connection:
        wait_until(lambda: bool(new_threads(before)))

        assert status_of(read_all(connection)) == 408
        wait_until(lambda: not new_threads(before))


def test_a_client_that_never_hangs_up_is_hung_up_on(serve):
    """A client that got its page and stays, or goes on sending, frees its thread too."""
    server = serve(timeout_seconds=0.3)
    before = set(threading.enumerate())

    with connect(server) as connection:
        connection.sendall(b"GET /small HTTP/1.1\r\n\r\n")
        assert read_all(connection).endswith(SMALL)

        def is_over() -> bool:
            with contextlib.suppress(OSError):
                connection.sendall(b"x")
            return not new_threads(before)

        wait_until(is_over)


def test_a_client_that_does_not_read_is_hung_up_on(serve):
    """A scraper that hangs in the middle of a large page frees its thread."""
    huge = bytes(64_000_000)  # more than the system holds for a connection
    server = serve({"/huge": lambda: Page(200, "text/plain", huge)}, timeout_seconds=0.3)
    before = set(threading.enumerate())

    with connect(server) as connection:
        connection.sendall(b"GET /huge HTTP/1.1\r\n\r\n")
        wait_until(lambda: bool(new_threads(before)))
        wait_until(lambda: not new_threads(before))


def test_a_slow_page_is_sent_all_the_same(serve):
    """A page that takes longer than a client may take to ask isn't thrown away."""
    rendering = threading.Event()

    def slow() -> Page:
        rendering.wait(0.6)
        return Page(200, "text/plain", LARGE)

    assert ask(serve({"/slow": slow}, timeout_seconds=0.2), "/slow")[::2] == (200, LARGE)


def test_connections_above_the_cap_get_a_503_and_no_thread(serve, caplog):
    """A flood of half-open connections costs a known number of threads."""
    server = serve(max_connections=3, timeout_seconds=PATIENCE_SECONDS * 3)
    before = set(threading.enumerate())

    with contextlib.ExitStack() as closing:
        held = [closing.enter_context(connect(server)) for _ in range(3)]
        wait_until(lambda: len(new_threads(before)) == 3)

        for _ in range(20):
            assert ask(server, "/small")[::2] == (503, b"503 Service Unavailable\n")

        assert len(new_threads(before)) == 3
        held[0].sendall(b"GET /small HTTP/1.1\r\n\r\n")
        assert status_of(read_all(held[0])) == 200  # those let in are served as ever

    record = caplog.records[0]
    assert (record.getMessage(), record.levelno) == ("connection turned away", logging.WARNING)
    assert record.open == 3


def test_a_client_turned_away_reads_why():
    """A scraper above the cap shows the 503, and not "connection reset"."""
    server = WebServer("127.0.0.1", 0, PAGES, max_connections=1)
    with contextlib.closing(server), connect(server) as held, connect(server) as late:
        for connection in (held, late):
            connection.sendall(b"GET /slow HTTP/1.1\r\n")

        server.start()

        assert status_of(read_all(late)) == 503
        held.sendall(b"\r\n")
        assert status_of(read_all(held)) == 404


def test_a_place_given_back_can_be_taken_again(serve):
    """The cap is on connections at one time, not on connections for all time."""
    server = serve(max_connections=1)

    for _ in range(20):
        wait_until(lambda: ask(server, "/small")[0] == 200)


def test_many_half_open_connections_do_not_stop_a_later_request(serve):
    """After a port scan, or a firewall that drops packets, the next scrape comes through."""
    server = serve(max_connections=4, timeout_seconds=0.3)

    with contextlib.ExitStack() as closing:
        for _ in range(100):
            closing.enter_context(connect(server))

        wait_until(lambda: ask(server, "/small")[0] == 200)


def test_clients_that_vanish_leave_nothing_behind(serve):
    """A load balancer that connects and resets all day doesn't use up threads, or raise."""
    server = serve()
    before = set(threading.enumerate())

    for _ in range(50):
        with connect(server) as connection:
            # Closing with a linger time of 0 sends a reset in place of a farewell.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(b"GET /large HTTP/1.1\r\n\r\n")

    assert ask(server, "/small")[0] == 200
    wait_until(lambda: not new_threads(before))


def test_scrapes_at_the_same_time_all_get_their_page(serve):
    """Two Prometheus servers and three probes don't wait for one another."""
    together = threading.Barrier(8, timeout=PATIENCE_SECONDS)  # passes only when 8 are inside

    def page() -> Page:
        together.wait()
        return Page(200, "text/plain", LARGE)

    server = serve({"/large": page})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(server, "/large")[::2], range(40)))

    assert answers == [(200, LARGE)] * 40


def test_close_ends_the_threads_and_can_be_called_twice(serve):
    """The daemon stops at once, however its ways out call close, and leaves nothing running."""
    before = set(threading.enumerate())
    server = serve(timeout_seconds=PATIENCE_SECONDS * 3)

    with connect(server) as silent:
        wait_until(lambda: len(new_threads(before)) == 2)  # accepting, and this connection
        began = time.monotonic()
        server.close()
        server.close()

        assert time.monotonic() - began < 0.5
        assert not new_threads(before)
        with contextlib.suppress(ConnectionResetError):
            assert read_all(silent)[:12] in (b"", b"HTTP/1.1 400")


def test_close_lets_an_answer_under_way_go_out(serve):
    """The last scrape before a restart isn't torn off in the middle."""
    asked, may_answer = threading.Event(), threading.Event()

    def page() -> Page:
        asked.set()
        may_answer.wait(PATIENCE_SECONDS)
        return Page(200, "text/plain", LARGE)

    server = serve({"/large": page})

    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(ask, server, "/large")
        assert asked.wait(PATIENCE_SECONDS)
        closing = pool.submit(server.close)
        wait_until(lambda: not is_listening(server))
        assert not closing.done()
        may_answer.set()

        assert answer.result()[::2] == (200, LARGE)
        closing.result()


def test_close_does_not_wait_for_ever_for_a_page(serve):
    """A page that hangs can't keep the daemon from stopping."""
    asked, may_answer = threading.Event(), threading.Event()

    def page() -> Page:
        asked.set()
        may_answer.wait(PATIENCE_SECONDS)
        return Page(200, "text/plain", SMALL)

    before = set(threading.enumerate())
    server = serve({"/hang": page}, timeout_seconds=0.2)
    with connect(server) as connection:
        connection.sendall(b"GET /hang HTTP/1.1\r\n\r\n")
        assert asked.wait(PATIENCE_SECONDS)
        began = time.monotonic()

        server.close()

        assert time.monotonic() - began < PATIENCE_SECONDS / 2
        assert all(thread.daemon for thread in new_threads(before))  # the process can end
        may_answer.set()
    wait_until(lambda: not new_threads(before))


def test_close_without_start_frees_the_port():
    """A daemon that fails between making and starting the server can still clean up."""
    server = WebServer("127.0.0.1", 0, {})
    assert is_listening(server)

    server.close()

    assert not is_listening(server)


def test_the_port_is_free_after_close(serve):
    """A restarted daemon gets its port back at once, though old connections linger."""
    first = serve()
    assert ask(first, "/small")[0] == 200

    first.close()

    assert not is_listening(first)
    assert ask(serve(port=first.port), "/small")[0] == 200


def test_a_taken_port_is_one_clear_error(serve):
    """An operator who starts a second daemon reads which address and why, in one line."""
    taken = serve().port

    with pytest.raises(WebError) as caught:
        WebServer("127.0.0.1", taken, PAGES)

    assert str(caught.value) == (
        f"cannot listen on '127.0.0.1' port {taken}: Address already in use"
    )
    assert isinstance(caught.value, OSError)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a" * 64 + ".example", "", "a\nb"])
def test_a_host_that_is_not_here_is_one_clear_error(host):
    """A typing error in the settings is an error that names the host, not a traceback."""
    with pytest.raises(WebError) as caught:
        WebServer(host, 9469, PAGES)

    message = str(caught.value)
    assert message.startswith(f"cannot listen on {host!r} port 9469: ")
    assert "\n" not in message
    assert "bind" not in message


def test_the_url_leads_to_the_server(serve):
    """The line that the daemon logs at its start can be clicked on."""
    server = serve()

    assert server.port > 0
    assert server.url == f"http://127.0.0.1:{server.port}"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(("host", "clients"), [("::1", ["::1"]), ("::", ["::1", "127.0.0.1"])])
def test_ipv6_hosts_are_served(serve, host, clients):
    """A pod with IPv6 alone can be scraped, and "::" doesn't lock IPv4 out."""
    server = serve(host=host)

    assert server.url == f"http://[{host}]:{server.port}"
    for client in clients:
        assert ask(server, "/small", host=client)[::2] == (200, SMALL)


def test_ipv4_loopback_is_not_open_to_ipv6(serve):
    """What is asked to listen on one address listens on that one alone."""
    server = serve()

    with pytest.raises(OSError, match=r"refused|unreachable|family|assign"):
        connect(server, "::1").close()


def test_a_quiet_hour_is_nothing_to_log(serve, caplog):
    """A server that nobody asked for a while answers at once, and has not complained."""
    server = serve()
    threading.Event().wait(1.1)  # longer than one turn of its loop
    began = time.monotonic()

    assert ask(server, "/small")[0] == 200

    assert time.monotonic() - began < 0.5
    assert not caplog.records


def test_running_out_of_file_descriptors_passes(serve, caplog):
    """When the daemon has too many files open, the port goes quiet, says so, and comes back."""
    server = serve()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    with socket.socket() as connection:
        connection.settimeout(PATIENCE_SECONDS)
        with connection.dup() as next_free:
            lowest_free = next_free.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            connection.connect(("127.0.0.1", server.port))
            wait_until(lambda: len(caplog.records) > 0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        connection.sendall(b"GET /small HTTP/1.1\r\n\r\n")
        assert read_all(connection).endswith(SMALL)

    assert len(caplog.records) < 5  # it doesn't spin
    assert caplog.records[0].getMessage() == "connection not accepted"
    assert "Too many open files" in caplog.records[0].error


def test_running_out_of_threads_passes(serve):
    """When the system gives out no more threads, a scrape gets a 503 and the next one works."""
    server = serve(max_connections=1)
    old = threading.stack_size(1 << 47)  # more than there are addresses, so no thread can start
    try:
        assert ask(server, "/small")[0] == 503
    finally:
        threading.stack_size(old)

    assert ask(server, "/small")[0] == 200


REQUESTS = st.builds(
    b"%s %s %s%s%s%s".__mod__,
    st.tuples(
        st.sampled_from([b"GET", b"HEAD", b"POST", b"", b"\x00", b"G\xc9T"]),
        st.sampled_from([b"/small", b"/broken", b"/nope", b"*", b"/%00", b"http://a/small"])
        | st.binary(max_size=5),
        st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9", b""]),
        st.sampled_from([b"\r\n", b"\n", b"\r", b""]),
        st.sampled_from([b"", b"Host: a\r\n", b"Accept-Encoding: gzip;q=\r\n", b":\n\r"])
        | st.binary(max_size=9),
        st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\n", b""]),
    ),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(st.binary() | REQUESTS, min_size=1, max_size=3))
def test_any_bytes_get_one_answer(serve, requests):
    """Nothing that a port scanner sends makes the server fall silent or talk nonsense."""
    server = serve()

    for request in requests:
        answer = exchange(server, request, half_close=True)
        assert status_of(answer) in {200, 400, 404, 405, 500}
        assert answer.count(b"HTTP/1.1 ") == 1

    server.close()
