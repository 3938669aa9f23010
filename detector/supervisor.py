"""What supervises the daemon is told how it gets on: systemd's sd_notify, in our own few lines.

Datagrams go to the socket that $NOTIFY_SOCKET names; without one nothing is done at all. Only
progress of the loop feeds the watchdog, so a loop that hangs is killed and started again, and one
that waits for a broker is not. The words are those of `man sd_notify`; docs/systemd.md shows what
an operator sees of them.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing

from .config import Settings
from .state import NORMAL
from .status import UNSETTLED, Status

STATUS_SECONDS = 3.0  # from one status line to the next
WAITING_SECONDS = 5.0  # without a step done while deliveries are tried, and it is said so
EXTEND_SECONDS = 60.0  # of start, for each sign of progress; where systemd says no watchdog's time
MOST_CHARACTERS = 300  # of a status line

Send = Callable[[str], bool]  # says whether it is on its way


class Supervisor:
    """Tells whatever supervises the daemon how it gets on.

    Called by the loop, and by the thread that reloads; never raises and never waits.
    """

    def __init__(
        self,
        send: Send | None = None,
        *,
        watchdog_seconds: float = 0.0,
        waits_for: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell nobody, unless there is a *send*.

        Args:
            send: hands over one datagram.
            watchdog_seconds: without progress for as long the daemon is killed; 0: never.
            waits_for: what the loop waits for when it finishes no step.
            clock: one that never goes back, seconds.
        """
        self._send, self._clock = send, clock
        self._waits_for = waits_for
        # A third, as two may get lost in a busy moment.
        self._feed_seconds = (watchdog_seconds or EXTEND_SECONDS) / 3
        self._has_watchdog = watchdog_seconds > 0
        self._extend_us = round((watchdog_seconds or EXTEND_SECONDS) * 1e6)
        self._is_ready = False  # somebody knows that there is something to read from
        self._owed = ""  # what must get there, and did not yet
        self._words = threading.Lock()  # or READY might pass RELOADING, and that be sent for ever
        self._is_reloading = False
        self._line = ""  # how everything stood when that was last shown
        self._waiting_since: float | None = None  # of the first sign of progress after that
        self._told, self._told_at = "", float("-inf")  # the last status line
        self._fed_at = float("-inf")

    @classmethod
    def of(
        cls,
        settings: Settings,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> "Supervisor":
        """Tell whoever *environ* names, if it names anybody."""
        send = _sender(environ.get("NOTIFY_SOCKET", ""))
        broker = f"the broker {settings.kafka.bootstrap}"
        waits_for = broker if settings.has_broker else "captures"
        return cls(
            send, watchdog_seconds=watchdog_seconds(environ), waits_for=waits_for, clock=clock
        )

    def beat(self) -> None:
        """Take note of a sign of progress: a step is done, or a delivery is tried again."""
        if self._send is None:
            return
        now = self._clock()
        with self._words:
            if self._owed and self._send(self._owed):
                self._owed = ""
        if now - self._fed_at >= self._feed_seconds:
            self._fed_at = now
            self._feed()
        if self._waiting_since is None:
            self._waiting_since = now
        if (waited := now - self._waiting_since) >= WAITING_SECONDS:
            self._tell("; ".join([self._waits_for_it(waited), *filter(None, [self._line])]), now)
        elif not self._line:
            self._tell(self._waits_for_it(), now)

    def show(self, status: Status) -> None:
        """Take note of how everything stands, as often as steps are done."""
        if self._send is None:
            return
        now, self._waiting_since = self._clock(), None
        self._line = line_of(status, self._waits_for)
        if status.ready and not self._is_ready:
            self._is_ready = True
            self._must_get_there("READY=1")
            self._told_at = float("-inf")  # what was waited for has come: say so at once
        self._tell(self._line, now)

    def reloading(self) -> None:
        """Say that what was asked for is being looked at: a SIGHUP came."""
        if self._is_ready:  # before that systemd waits for another word
            self._is_reloading = True
            self._must_get_there(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """Say that it was looked at, whatever came of it; nothing if nobody asked."""
        if self._is_reloading:
            self._is_reloading = False
            self._must_get_there("READY=1")

    def stopping(self) -> None:
        """Say that the loop has ended, and what was opened is being closed."""
        if self._send is not None:
            self._send("STOPPING=1\nSTATUS=stopping")

    def _waits_for_it(self, seconds: float = 0.0) -> str:
        since = f" for {seconds:.0f} s" if seconds >= 1 else ""
        return f"waiting for {self._waits_for}{since}"

    def _feed(self) -> None:
        words = ["WATCHDOG=1"] if self._has_watchdog else []
        if not self._is_ready:
            # Neither killed, for it gets on, nor called ready.
            words.append(f"EXTEND_TIMEOUT_USEC={self._extend_us}")
        if words and self._send is not None:
            self._send("\n".join(words))

    def _must_get_there(self, words: str) -> None:
        """Send words that systemd waits for, and send them again as long as it has no room."""
        if self._send is not None:
            with self._words:
                self._owed = "" if self._send(words) else words

    def _tell(self, line: str, now: float) -> None:
        if self._send is None or line == self._told or now - self._told_at < STATUS_SECONDS:
            return
        self._told, self._told_at = line, now
        self._send(f"STATUS={line}")


def watchdog_seconds(environ: Mapping[str, str]) -> float:
    """Give without which sign of life for how long this process is killed; 0: it never is.

    >>> watchdog_seconds({"WATCHDOG_USEC": "120000000"})
    120.0
    >>> watchdog_seconds({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "1"})
    0.0
    """
    microseconds, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or pid not in ("", str(os.getpid())):
        return 0.0
    return int(microseconds) / 1e6


def line_of(status: Status, waits_for: str) -> str:
    """Put how everything stands into one line of printable characters.

    >>> line_of(
    ...     Status(version="1", bundle="9f2c1e5a77b0", now_ms=0, ready=True, links=41,
    ...            windows_per_second=123.4, contact_seconds=0.1,
    ...            states={"normal": 38, "capacity-limited": 1, "blocked": 2}),
    ...     "the broker a:9092",
    ... )
    '41 links, 2 blocked, 1 capacity-limited; 123 windows/s, lag 0; bundle 9f2c1e5a77b0'
    """
    parts = [_links(status), f"{status.windows_per_second:.0f} windows/s"]
    is_away = status.contact_seconds is not None and status.contact_seconds > WAITING_SECONDS
    if status.refused:
        parts[:1] = [status.refused, parts[0]]
    elif is_away:
        parts[:1] = [_away(status, waits_for), parts[0]]
    elif not status.ready:
        parts[:1] = ["no partitions yet", parts[0]]
    if status.contact_seconds is not None:
        parts[-1] += f", lag {status.lag_messages}"
    line = "; ".join([*parts, f"bundle {status.bundle}"])
    # Labels are what somebody enrolled: a line break in one must not be another word to systemd.
    return "".join(c if c.isprintable() else "?" for c in line)[:MOST_CHARACTERS]


def _away(status: Status, waits_for: str) -> str:
    seconds = status.contact_seconds or 0.0
    # What never was heard of was last heard of in 1970.
    never = seconds > status.uptime_seconds + WAITING_SECONDS
    return f"waiting for {waits_for}" if never else f"nothing of {waits_for} for {seconds:.0f} s"


def _links(status: Status) -> str:
    counts = sorted(status.states.items(), key=lambda item: (item[0] == UNSETTLED, -item[1]))
    faults = [f"{count} {state}" for state, count in counts if state != NORMAL and count]
    lost = status.sources_lost
    faults += [f"{lost} exporter{'s'[: lost > 1]} lost"] if lost else []
    return ", ".join([f"{status.links} link{'s'[: status.links != 1]}", *faults])


def _sender(address: str) -> Send | None:
    """Give what sends to a socket's *address*; none for an address that is no local socket."""
    if address[:1] not in ("/", "@"):
        return None
    # An abstract socket has no file; its name begins with a zero byte.
    place = "\0" + address[1:] if address[0] == "@" else address

    def send(words: str) -> bool:
        try:
            with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sending:
                # Whoever supervises may be busy; the loop must not wait for it.
                sending.setblocking(False)
                sending.sendto(words.encode(errors="replace"), place)
        except (OSError, ValueError):
            return False
        return True

    return send
