"""Asking a daemon for its status: a whole document, or one line that says why there is none."""

import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import msgspec

from detector.board import Wanted
from detector.config import Http
from detector.status import Status

PATIENCE_SECONDS = 3.0  # for a whole answer
DEFAULT_PORT = Http().port
MOST_BYTES = 16 * 2**20  # a thousand links take a fiftieth


class NoStatusError(Exception):
    """There is no status to be had; the message says where and why, in one line."""


def page_at(text: str) -> str:
    """Give the address of the status page of the daemon at *text*.

    Without a scheme it is a host, and the port that a daemon has unless it is told another.

    Raises:
        ValueError: if that is no address.

    >>> page_at("probe-7"), page_at("https://inside/anchorwatch/")
    ('http://probe-7:9469/status', 'https://inside/anchorwatch/status')
    """
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    if url != text and parts.hostname and parts.port is None:
        parts = parts._replace(netloc=f"{parts.netloc.removesuffix(':')}:{DEFAULT_PORT}")
        url = parts.geturl()
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is not http://HOST:PORT")
    if parts.username is not None or parts.query or parts.fragment or not url.isprintable():
        raise ValueError("it is more than http://HOST:PORT/PATH")
    parts.hostname.encode("idna")
    _ = parts.port  # as the line above, raises where it can't be one
    return url.rstrip("/").removesuffix("/status") + "/status"


def fetch(
    page: str,
    wanted: Wanted,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> bytes:
    """Fetch a status document from *page*, whole and checked.

    Raises:
        NoStatusError: if nobody answers in time, or not with a status.
    """
    try:
        body = _body(f"{page}?{wanted.query}", patience_seconds, clock)
        read(body)
    except HTTPError as error:
        raise NoStatusError(f"{page} says {_refusal(error)}") from error
    except OSError as error:
        why = _why(error, patience_seconds)
        raise NoStatusError(
            f"no daemon answers at {page.removesuffix('/status')}: {why}"
        ) from error
    except HTTPException as error:
        why = f"not HTTP: {error!r:.60}"
        raise NoStatusError(
            f"no daemon answers at {page.removesuffix('/status')}: {why}"
        ) from error
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise NoStatusError(f"{page} is not the status of a daemon: {error}") from error
    return body


def read(body: bytes) -> Status:
    """Read a status document; raises as msgspec does."""
    return msgspec.json.decode(body, type=Status)


def _body(url: str, patience_seconds: float, clock: Callable[[], float]) -> bytes:
    deadline = clock() + patience_seconds
    # A daemon is asked directly: whatever the environment says of proxies is about the web.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=patience_seconds) as answer:
        body = b""
        while more := answer.read1(65536):
            body += more
            if len(body) > MOST_BYTES:
                raise OSError(f"its answer doesn't end after {MOST_BYTES >> 20} MiB")
            if clock() > deadline:
                raise TimeoutError
        if answer.length:
            raise OSError("its answer broke off")
        return body


def _refusal(error: HTTPError) -> str:
    """Say what an answer with an error status means."""
    with error, suppress(OSError, HTTPException):
        if error.code == HTTPStatus.BAD_REQUEST:
            return f"400 {error.read(200).decode(errors='replace').strip()!r}"
    if error.code == HTTPStatus.NOT_FOUND:
        return "404 Not Found; is it a daemon of this version?"
    phrases = {status.value: status.phrase for status in HTTPStatus}
    return f"{error.code} {phrases.get(error.code, '')}".strip()


def _why(error: OSError, patience_seconds: float) -> str:
    """Say in a few words why a connection came to nothing."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {patience_seconds:g} s"
    words = getattr(cause, "strerror", None) or str(cause)
    return words[:1].lower() + words[1:]
