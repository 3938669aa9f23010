"""Servers that a view may come upon: a daemon's own, and some that are none."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from detector.board import StatusBoard
from detector.status import Status
from detector.web import WebServer


@contextlib.contextmanager
def daemon(first: Status, port: int = 0) -> Iterator[tuple[StatusBoard, WebServer]]:
    """Serve a board as the daemon does."""
    board = StatusBoard(first, clock=lambda: 0.0)
    server = WebServer("127.0.0.1", port, {}, {"/status": board.page})
    with contextlib.closing(server):
        server.start()
        yield board, server


@contextlib.contextmanager
def stranger(answer: bytes, *, hangs: bool = False) -> Iterator[str]:
    """Answer everybody with the same bytes and hang up, or not; give the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while not ended.is_set():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
                    if hangs:
                        ended.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def http(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    """Put a body into an answer, which may claim another length."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n".encode() + body


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
