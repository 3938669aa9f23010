"""Asking the daemon that runs with the same settings how it is: for health checks and scripts.

A health check runs every few seconds beside the daemon, on its cores, so nothing is imported here
that takes a while: neither NumPy nor an HTTP library.
"""

import socket
import time

from .config import Http

PATIENCE_SECONDS = 3.0  # for a whole answer
MOST_BYTES = 65_536  # what a daemon says of itself is one line
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where to find who listens everywhere


class UnwellError(Exception):
    """The daemon says that it isn't well, or says nothing; the message is one line."""


def ask(http: Http, path: str, *, patience_seconds: float = PATIENCE_SECONDS) -> str:
    """Give what the daemon that listens as *http* has it says at *path*, if that is good news.

    Raises:
        UnwellError: if it is not, or there is no answer within *patience_seconds*.
    """
    if not http.port:
        raise UnwellError("[http] port is 0, any that is free: to be asked, it has to be a number")
    host = LOOPBACK.get(http.host, http.host)
    where = f"http://[{host}]:{http.port}" if ":" in host else f"http://{host}:{http.port}"
    try:
        answer = _fetch(host, http.port, path, time.monotonic() + patience_seconds)
    except TimeoutError as error:
        raise UnwellError(f"{where} gives no answer within {patience_seconds:g} s") from error
    except (OSError, ValueError) as error:  # ValueError: the host is no host name
        words = getattr(error, "strerror", None) or str(error)
        raise UnwellError(
            f"no daemon answers at {where}: {words[:1].lower()}{words[1:]}"
        ) from error
    return _good_news(answer, where)


def _good_news(answer: str, where: str) -> str:
    """Give what an answer says, or raise it."""
    head, _, body = answer.partition("\n\n")
    version, _, status = head.partition("\n")[0].partition(" ")
    if not version.startswith("HTTP/1.") or not status[:3].isdecimal():
        raise UnwellError(f"what answers at {where} is no daemon: {answer[:40]!r}")
    # Whoever answers there may not be a daemon of ours, and this goes to a terminal or a log.
    words = "".join(one for one in " ".join(body.split())[:200] if one.isprintable())
    if status[:3] != "200":
        raise UnwellError(f"{where} says {status[:3]}: {words}")
    return words


def _fetch(host: str, port: int, path: str, deadline: float) -> str:
    """Give a whole answer, its line ends made plain; raises TimeoutError at *deadline*."""
    answer = b""
    with socket.create_connection((host, port), deadline - time.monotonic()) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        while len(answer) < MOST_BYTES:
            if (remaining_seconds := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            connection.settimeout(remaining_seconds)
            if not (more := connection.recv(MOST_BYTES)):
                break
            answer += more
    return answer.decode("latin-1").replace("\r\n", "\n")
