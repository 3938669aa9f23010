"""The capture store, as the daemon has it: takes what was judged, and never makes anyone wait.

The loop hands batches over to a queue; a thread makes the choice, and the clerk, another one,
writes it. Whatever goes wrong here, the loop only sees that nothing is kept.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from socket import gethostname

from detector.config import Store
from detector.figures import Figure
from detector.oncall.moment import Moment
from detector.verdict import Verdict
from detector.window import Window, WindowSpec

from .choice import Choice
from .clerk import Clerk
from .pending import Pending, size_of, windows_of
from .row import KINDS

MOST_WINDOWS = 32_768  # in the queue: 100 MB of messages at 15 steps and 52 features
TICK_SECONDS = 0.2  # between looks at the clock while nothing comes
TEND_SECONDS = 5.0
CLOSE_SECONDS = 5.0  # for each of the two threads


def store_folder(settings: Store, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Say where captures are kept; None: nowhere.

    >>> store_folder(Store(), {"STATE_DIRECTORY": "/var/lib/anchorwatch"})
    PosixPath('/var/lib/anchorwatch/captures')
    """
    if settings.path:
        return Path(settings.path)
    # systemd lists several with colons.
    state = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(state) / "captures" if state else None


def _now() -> Moment:
    return Moment(time.monotonic(), time.time())


class CaptureStore:
    """Keeps what is worth learning from of the traffic that one daemon judged."""

    def __init__(
        self,
        settings: Store,
        spec: WindowSpec,
        folder: Path,
        daemon: str = "",
        *,
        clock: Callable[[], Moment] = _now,
        retry_seconds: float = 10.0,
    ) -> None:
        """Begin; in *folder* the daemon gets a folder of its own, called as it is, or as its host.

        Nothing is written before there is something to keep, and no error is raised later.
        """
        self._settings, self._clock = settings, clock
        self._most_bytes = settings.memory_mb * 1_000_000
        self._choice = Choice(settings, spec)
        self._pending = Pending(spec)
        self._begun = self._tended = clock().now  # when the oldest pending row came
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._queued = self._skipped = 0  # windows; the loop's own
        self._dealt = self._lost = 0  # windows; the choosing thread's own
        self._closing = False
        name = daemon or gethostname()
        # What people say of captures lies in a folder of that name beside the daemons'.
        name = f"{name}-1" if name == "labels" else name
        self._clerk = Clerk(folder, name, settings, clock, retry_seconds)
        self._thread = threading.Thread(target=self._run, name="capture-choice", daemon=True)
        self._thread.start()

    def take(
        self, windows: Sequence[Window], verdicts: Sequence[Verdict], since_ms: Sequence[int]
    ) -> None:
        """Take a batch as it was judged; *since_ms* says when the state of each link began.

        Hands it over and returns. What there is no room for is skipped, and counted.
        """
        room = 0
        if not self._closing and self._thread.is_alive():
            room = max(0, MOST_WINDOWS - self._queue)
        count = len(windows)
        if count > room:
            self._skipped += count - room
            windows, verdicts, since_ms = windows[:room], verdicts[:room], since_ms[:room]
            count = room
        if count:
            self._queued += count
            self._jobs.put(partial(self._choose, windows, verdicts, since_ms))

    def changed(self, link: str, at_ms: int) -> None:
        """Keep what is around a change of a link's state that no window made, at *at_ms*."""
        if self._thread.is_alive():
            self._jobs.put(partial(self._choice.turn, link, at_ms))

    def use(self, spec: WindowSpec) -> None:
        """Take windows of another shape from now on."""
        if self._thread.is_alive():
            self._jobs.put(partial(self._use, spec))

    def close(self) -> None:
        """Write all that is to be kept, within seconds, and end. Safe to call twice."""
        if self._closing:
            return
        self._closing = True
        self._jobs.put(lambda: None)  # so that nobody waits for the next look at the clock
        self._thread.join(CLOSE_SECONDS)
        self._clerk.close(CLOSE_SECONDS)

    def _run(self) -> None:
        """Choose, batch by batch, and hand over to the clerk what is due."""
        while not (self._closing and self._jobs.empty()):
            try:
                job = self._jobs.get(timeout=TICK_SECONDS)
            except Empty:
                pass
            else:
                job()
            self._gather()
            self._hand_over()
        self._choice.finish()
        self._write_all()

    def _choose(
        self, windows: Sequence[Window], verdicts: Sequence[Verdict], since_ms: Sequence[int]
    ) -> None:
        now, push = self._clock().now, self._choice.push
        for window, verdict, since in zip(windows, verdicts, since_ms, strict=True):
            push(window, verdict, since, now)
        self._dealt += len(windows)

    def _use(self, spec: WindowSpec) -> None:
        if spec == self._choice.spec:
            return
        self._choice.use(spec)
        self._write_all()

    def _write_all(self) -> None:
        """Hand over all that was chosen; what comes then may be of another shape."""
        self._gather()
        self._clerk.take(self._pending)
        self._pending = Pending(self._choice.spec)

    def _gather(self) -> None:
        """Take what was chosen, as far as there is memory for it, and make the rest fit."""
        pending, now = self._pending, self._clock().now
        fresh = self._choice.take_fresh()
        if any(fresh.values()):
            size = size_of(fresh, pending.spec)
            if not pending.size:
                self._begun = now
            # What fills the memory was not written; one batch always has room.
            held = self._clerk.held_bytes
            if pending.size and pending.size + held + size > self._most_bytes:
                self._lost += windows_of(fresh)
            else:
                pending.add(fresh, size)
        left = self._most_bytes - pending.size - self._clerk.held_bytes
        self._choice.fit(left)
        if now - self._tended >= TEND_SECONDS:
            self._tended = now
            self._choice.tend(now, left)

    def _hand_over(self) -> None:
        """Hand the clerk what is old or large enough, if it has nothing else to do."""
        pending = self._pending
        is_due = self._clock().now - self._begun >= self._settings.flush_seconds
        is_large = pending.size >= self._most_bytes / 8
        if pending.size and (is_due or is_large) and not self._clerk.held_bytes:
            self._pending = Pending(pending.spec)
            self._clerk.take(pending)

    def figures(self) -> Iterable[Figure]:
        """Say in numbers what is kept, and how it goes."""
        clerk, choice = self._clerk, self._choice
        is_failing = clerk.is_failing or not (self._closing or self._is_alive)
        windows: dict[tuple[str, ...], float] = {
            ("kept",): clerk.kept,
            ("passed",): choice.passed + clerk.passed,
            ("skipped",): self._skipped,
            ("lost",): self._lost + clerk.lost,
        }
        text = "Windows judged: kept in a file, passed over, skipped in haste, lost to the disk."
        yield Figure("store_windows", text, windows, ("outcome",), "counter")
        rows: dict[tuple[str, ...], float] = {(kind,): clerk.rows[kind] for kind in KINDS}
        yield Figure("store_rows", "Rows written to the store.", rows, ("kind",), "counter")
        for name, meaning, value in (
            ("store_bytes", "Size of this daemon's files in the store, bytes.", clerk.size),
            ("store_files", "This daemon's files in the store.", clerk.files),
            ("store_failing", "1 while captures can't be written.", is_failing),
            (
                "store_reach_seconds",
                "From how long before a change rows can be kept, seconds.",
                choice.reach_seconds,
            ),
            ("store_queue_windows", "Windows of which none was looked at yet.", self._queue),
            (
                "store_memory_bytes",
                "Memory of rows that are in no file, bytes, about.",
                choice.waiting_bytes + self._pending.size + clerk.held_bytes,
            ),
            (
                "store_written_timestamp_seconds",
                "When captures were last written, Unix time; 0: not yet.",
                clerk.written,
            ),
        ):
            yield Figure(name, meaning, {(): float(value)})

    @property
    def _queue(self) -> int:
        return self._queued - self._dealt

    @property
    def _is_alive(self) -> bool:
        return self._thread.is_alive() and self._clerk.is_alive
