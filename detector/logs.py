"""Log lines: one `key=value` line for each, on stderr, and never a flood."""

import logging
import sys
import time
from collections.abc import Callable
from typing import TextIO

SELDOM_SECONDS = 30.0
CONNECTING = ("kafka.net", "kafka.cluster")
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "left_out"}


class Logfmt(logging.Formatter):
    """Writes `time level logger message key=value ...`, values quoted where they need it.

    >>> record = logging.makeLogRecord({"levelname": "INFO", "name": "d", "msg": "ready",
    ...                                 "link": "a b"})
    >>> Logfmt().format(record).split(" ", 1)[1]
    "info d: ready link='a b'"
    """

    def format(self, record: logging.LogRecord) -> str:
        """Turn a record into one line; a traceback follows on lines of its own."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        facts = {key: value for key, value in vars(record).items() if key not in _OWN}
        text = f"{when}.{record.msecs:03.0f}Z {record.levelname.lower()} {record.name}: "
        text += record.getMessage() + "".join(f" {k}={_show(v)}" for k, v in facts.items())
        left_out = getattr(record, "left_out", 0)
        if left_out:
            text += f" (and {left_out} like it)"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def _show(value: object) -> str:
    text = str(value)
    # Whatever came over the network is quoted, so that it can't forge a line.
    return (
        text if text and all(c.isprintable() and c not in " '\"=" for c in text) else ascii(text)
    )


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the moment: a live picture puts lines above itself."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class OneASecond(logging.Filter):
    """Lets a repeated warning through once a second, with the number left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write *record*."""
        if record.levelno != logging.WARNING:
            return True
        key = (record.name, str(record.msg))
        last, left_out = self._last.get(key, (float("-inf"), 0))
        now = self._clock()
        if now - last < 1:
            self._last[key] = (last, left_out + 1)
            return False
        record.left_out = left_out + getattr(record, "left_out", 0)
        self._last[key] = (now, 0)
        return True


class Seldom(logging.Filter):
    """Lets a library speak of trouble once in half a minute, with the number left out.

    Its lines are counted by who says them, whatever they say; what it was doing when an error
    came is for its own makers.
    """

    def __init__(self, library: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._library, self._clock = library, clock
        self._last: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write *record*."""
        if record.name.partition(".")[0] != self._library:
            return True
        last, left_out = self._last.get(record.name, (float("-inf"), 0))
        now = self._clock()
        if now - last < SELDOM_SECONDS:
            self._last[record.name] = (last, left_out + 1)
            return False
        record.exc_info, record.left_out = None, left_out
        self._last[record.name] = (now, 0)
        return True


def set_up(level: str, *, kafka: str = "warning") -> None:
    """Send all logs to stderr as `Logfmt` writes them, the Kafka client's own from *kafka* on."""
    handler = _ToStderr()
    handler.setFormatter(Logfmt())
    handler.addFilter(Seldom("kafka"))
    handler.addFilter(OneASecond())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Never more than warnings: below, the Kafka client writes requests, with their passwords.
    levels = [logging.getLevelName(name.upper()) for name in ("warning", kafka, level)]
    logging.getLogger("kafka").setLevel(max(levels))
    for name in CONNECTING:
        # Each attempt to connect is half a dozen errors to it; ours say what matters.
        hushed = logging.NOTSET if level == "debug" else logging.CRITICAL
        logging.getLogger(name).setLevel(hushed)
