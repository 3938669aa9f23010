"""Asking daemons whether their traffic has drifted so far that an encoder should be made anew."""

import json
from collections.abc import Sequence
from urllib.error import URLError
from urllib.request import urlopen

SECONDS = 10.0  # that a daemon may take to answer
MOST_BYTES = 64 * 2**20


class AskingError(ValueError):
    """A daemon can't be asked; the message says which and why."""


def drifted(urls: Sequence[str], seconds: float = SECONDS) -> tuple[list[str], list[str]]:
    """Give the daemons that ask for a retraining, and what went wrong with those that are mute.

    Raises:
        AskingError: if none of them answers.
    """
    asking, mute = [], []
    for url in urls:
        try:
            if wants(url, seconds):
                asking.append(url)
        except AskingError as error:
            mute.append(str(error))
    if len(mute) == len(urls):
        raise AskingError(f"no daemon says whether its traffic drifts: {'; '.join(mute)}")
    return asking, mute


def wants(url: str, seconds: float = SECONDS) -> bool:
    """Ask one daemon, at HOST:PORT or its whole address.

    Raises:
        AskingError: if it can't be reached, or doesn't say.
    """
    where = address(url)
    try:
        with urlopen(where, timeout=seconds) as answer:
            told = json.loads(answer.read(MOST_BYTES))
    except (URLError, OSError, ValueError) as error:
        raise AskingError(f"{where}: {getattr(error, 'reason', None) or error}") from error
    drift = told.get("drift") if isinstance(told, dict) else None
    wanted = drift.get("wanted") if isinstance(drift, dict) else None
    if not isinstance(wanted, bool):
        raise AskingError(f"{where}: it has no word of drift; its bundle may have no reference")
    return wanted


def address(url: str) -> str:
    """Give the address of a daemon's status.

    >>> address("127.0.0.1:9469"), address("https://watch/one/status")
    ('http://127.0.0.1:9469/status', 'https://watch/one/status')
    """
    whole = url if "://" in url else f"http://{url}"
    whole = whole.rstrip("/")
    return whole if whole.endswith("/status") else f"{whole}/status"
