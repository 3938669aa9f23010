"""Serves the daemon's few pages over HTTP: what Prometheus scrapes and what a probe asks.

Why our own: an unknown path is a 404 here, a client that sends slowly or not at all can't hold
a thread for long, and threads have a cap. A connection carries one request, on its own thread:

    accept → admit, or refuse with 503 → read the request → make the page → send it → close

To add a page, give `WebServer` one more path and a function that makes a `Page`, of the query
string if it wants that; it runs on the connection's thread, so it must not touch what the
service's loop is changing.
"""

import gzip
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 8192  # request line and headers together; Prometheus sends about 300
GZIP_FROM_BYTES = 1024  # a smaller body fits in one packet as it is
PAUSE_SECONDS = 1.0  # between log lines of a kind, and before accepting again when that failed

_REQUEST_LINE = re.compile(rb"[A-Za-z]+ [!-~]+ HTTP/1\.[0-9]\r?")
_ACCEPT_ENCODING = re.compile(rb"(?im)^accept-encoding:(.*)$")
_GZIP = re.compile(rb"gzip(;q=(1|0\.\d*[1-9]).*)?\s*")  # a weight of 0 means no


class WebError(OSError):
    """The address can't be listened on; the message says which one and why."""


class _BadRequestError(Exception):
    """What was sent is no request that has an answer but this status."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status


@dataclass(frozen=True, slots=True)
class Page:
    """What one path answers: status, content type, body, and more headers if there are any."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class WebServer:
    """Serves a few fixed paths from background threads, never from the service's loop.

    It listens, and `port` is known, as soon as it is made; it answers after `start`. A client
    has *timeout_seconds* to send its request, all of it together, and as long again to take
    the answer; beyond *max_connections* at once there is a 503. A page that raises becomes a
    500 and a log line. The host "::" stands for every address, IPv4 too.
    Raises `WebError` if host and port can't be listened on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        pages: Mapping[str, Callable[[], Page]],
        query_pages: Mapping[str, Callable[[str], Page]] | None = None,  # given what follows the ?
        *,
        timeout_seconds: float = 5.0,
        max_connections: int = 32,
    ) -> None:
        self._pages, self._query_pages = dict(pages), dict(query_pages or {})
        self._timeout_seconds = timeout_seconds
        self._max_connections = max_connections
        self._listener = _listen(host, port)
        self._listener.settimeout(PAUSE_SECONDS)  # where a shutdown doesn't wake accept
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
        self._acceptor = threading.Thread(target=self._accept, name="web-accept", daemon=True)
        # Shared by the threads without a lock: each operation used on it is atomic.
        self._open: dict[socket.socket, threading.Thread] = {}
        self._closing = threading.Event()
        self._logged: dict[str, tuple[float, int]] = {}  # message: (quiet until, left out)

    def start(self) -> None:
        """Begin to answer. Can be called once."""
        self._acceptor.start()

    def close(self) -> None:
        """Free the port, let answers under way go out, end the threads. Safe to call twice."""
        self._closing.set()
        with suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        if self._acceptor.is_alive():
            self._acceptor.join()
        self._listener.close()
        still_open = self._open.copy()
        for connection in still_open:
            with suppress(OSError):  # it ended by itself
                connection.shutdown(socket.SHUT_RD)  # ends the waiting for a request
        deadline = time.monotonic() + self._timeout_seconds
        for thread in still_open.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                with suppress(TimeoutError):
                    self._admit(self._listener.accept()[0])
            except OSError as error:
                # No file descriptor left, say: trying again at once would only burn time.
                if not self._closing.wait(PAUSE_SECONDS):
                    log.warning("connection not accepted", extra={"error": str(error)})

    def _admit(self, connection: socket.socket) -> None:
        if len(self._open) < self._max_connections:
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._open[connection] = thread
            try:
                thread.start()
                return
            except RuntimeError:  # the system gives out no more threads
                del self._open[connection]
        self._log(logging.WARNING, "connection turned away", open=len(self._open))
        _refuse(connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):  # the client went away, or was too slow
                self._converse(connection)
        finally:
            del self._open[connection]

    def _converse(self, connection: socket.socket) -> None:
        deadline = time.monotonic() + self._timeout_seconds
        try:
            answer = self._answer(_read_head(connection, deadline))
        except _BadRequestError as error:
            answer = _render(_plain(error.status))
        except TimeoutError:
            answer = _render(_plain(HTTPStatus.REQUEST_TIMEOUT))
        connection.settimeout(self._timeout_seconds)  # for the whole of sendall
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        # Closing over unread bytes would reset the connection, and the answer might be lost.
        while _receive(connection, deadline, MAX_HEAD_BYTES):
            pass

    def _answer(self, head: bytes) -> bytes:
        method, target, _ = head.decode("latin-1").split(" ", 2)
        if method not in ("GET", "HEAD"):
            raise _BadRequestError(HTTPStatus.METHOD_NOT_ALLOWED)
        path, _, query = target.partition("?")
        try:
            page = self._page(path, query)
            return _render(page, gzipped=_takes_gzip(head), headers_only=method == "HEAD")
        except Exception:
            self._log(logging.ERROR, "page failed", exc_info=True, path=path)
            return _render(_plain(HTTPStatus.INTERNAL_SERVER_ERROR), headers_only=method == "HEAD")

    def _page(self, path: str, query: str) -> Page:
        if make_answer := self._query_pages.get(path):
            return make_answer(query)
        return self._pages.get(path, lambda: _plain(HTTPStatus.NOT_FOUND))()

    def _log(self, level: int, message: str, exc_info: bool = False, **facts: object) -> None:
        """Log each message once a second at most, with the number of those left out before."""
        now = time.monotonic()
        quiet_until, left_out = self._logged.get(message, (now, 0))
        if now < quiet_until:
            self._logged[message] = (quiet_until, left_out + 1)
        else:
            self._logged[message] = (now + PAUSE_SECONDS, 0)
            log.log(level, message, exc_info=exc_info, extra={**facts, "left_out": left_out})


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address, family=family, dualstack_ipv6=both)
    except (OSError, ValueError) as error:  # ValueError: the host is no host name
        # create_server adds the address in brackets, which the message has already.
        cause = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise WebError(f"cannot listen on {host!r} port {port}: {cause}") from error


def _refuse(connection: socket.socket) -> None:
    """Send a 503 and close, without waiting for anything."""
    with connection, suppress(OSError):
        connection.setblocking(False)
        connection.send(_render(_plain(HTTPStatus.SERVICE_UNAVAILABLE)))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(MAX_HEAD_BYTES)  # as in _converse, as far as it is there


def _read_head(connection: socket.socket, deadline: float) -> bytes:
    """Give the request line, checked, and the headers with the empty line that ends them."""
    head = b""
    while b"\n\r\n" not in head and b"\n\n" not in head:
        if len(head) == MAX_HEAD_BYTES:
            raise _BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        head += (more := _receive(connection, deadline, MAX_HEAD_BYTES - len(head)))
        line, ended, _ = head.partition(b"\n")
        # At once, not at the end of the headers: who isn't speaking HTTP sends none.
        if not more or (ended and not _REQUEST_LINE.fullmatch(line)):
            raise _BadRequestError(HTTPStatus.BAD_REQUEST)
    return head


def _receive(connection: socket.socket, deadline: float, size_bytes: int) -> bytes:
    """Wait for bytes until *deadline*, however often it is called; none mean the end."""
    remaining_seconds = deadline - time.monotonic()
    if remaining_seconds <= 0:
        raise TimeoutError
    connection.settimeout(remaining_seconds)
    return connection.recv(size_bytes)


def _takes_gzip(head: bytes) -> bool:
    r"""Tell whether the headers ask for gzip.

    >>> _takes_gzip(b"GET / HTTP/1.1\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n")
    True
    >>> _takes_gzip(b"GET / HTTP/1.1\r\nAccept-Encoding: gzip;q=0.0\r\n\r\n")
    False
    """
    offers = b",".join(_ACCEPT_ENCODING.findall(head)).lower().replace(b" ", b"").split(b",")
    return any(_GZIP.fullmatch(offer) for offer in offers)


def _plain(status: HTTPStatus) -> Page:
    return Page(status, "text/plain; charset=utf-8", f"{status.value} {status.phrase}\n".encode())


def _render(page: Page, *, gzipped: bool = False, headers_only: bool = False) -> bytes:
    """Give the bytes of a whole answer. Leaves small bodies uncompressed."""
    gzipped = gzipped and len(page.body) >= GZIP_FROM_BYTES
    body = gzip.compress(page.body, compresslevel=1, mtime=0) if gzipped else page.body
    status = HTTPStatus(page.status)
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *(f"{name}: {value}" for name, value in page.headers),
        *(["Content-Encoding: gzip"] if gzipped else []),
        *(["Allow: GET, HEAD"] if status == HTTPStatus.METHOD_NOT_ALLOWED else []),
    )
    head = "\r\n".join((*lines, "", "")).encode("ascii")
    return head if headers_only else head + body
