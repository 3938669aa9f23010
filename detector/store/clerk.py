"""The clerk: writes what is to be kept, keeps within the quota, and puts hours together.

In a thread of its own: a disk may take seconds, and judging and choosing go on meanwhile. What
can't be written is tried again until the daemon stops.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

from detector.config import Store
from detector.oncall.moment import Moment

from .pending import Pending, windows_of
from .quota import too_much, too_old
from .row import KINDS, Kind, Row
from .shelf import File, Shelf, stamp

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0  # between looks at whether an hour is over, or a file too old
QUIET_SECONDS = 60.0  # between two lines in the log about a disk that can't be written


class Clerk:
    """Writes parcels of rows one after another."""

    def __init__(
        self,
        store: Path,
        daemon: str,
        settings: Store,
        clock: Callable[[], Moment],
        retry_seconds: float,
    ) -> None:
        self._store, self._daemon, self._settings = store, daemon, settings
        self._most_bytes = settings.most_gb * 1e9
        self._clock, self._retry_seconds = clock, retry_seconds
        self._inbox: SimpleQueue[Pending | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._shelf: Shelf | None = None
        self._hour = ""  # now; those before are put together
        self._joining: Iterator[File] | None = None
        self._warned = float("-inf")
        self._taken, self._done = 0, 0  # bytes of memory
        # What it has to say of itself; written by its thread alone.
        self.kept = self.lost = self.passed = 0  # windows
        self.rows = dict.fromkeys(KINDS, 0)
        self.files, self.size, self.written = 0, 0, 0.0
        self.is_failing = False
        self._thread = threading.Thread(target=self._run, name="capture-clerk", daemon=True)
        self._thread.start()

    @property
    def held_bytes(self) -> int:
        """How much memory that takes which was handed over and is not written."""
        return self._taken - self._done

    @property
    def is_alive(self) -> bool:
        """Whether it can still write."""
        return self._thread.is_alive()

    def take(self, parcel: Pending) -> None:
        """Write rows as soon as may be. For one thread only."""
        self._taken += parcel.size
        self._inbox.put(parcel)

    def close(self, seconds: float) -> None:
        """Write what was taken, within *seconds*, and end."""
        self._stopping.set()
        self._inbox.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._try(self._open)
            self._work()
        finally:
            if self._shelf is not None:
                self._shelf.close()

    def _work(self) -> None:
        """Write parcels until told to end, and tend the files between them."""
        while True:
            try:
                parcel = self._inbox.get(timeout=0 if self._joining else IDLE_SECONDS)
            except Empty:
                pass
            else:
                if parcel is None:
                    return
                self._deliver(parcel)
            self._try(self._tend)

    def _deliver(self, parcel: Pending) -> None:
        """Write a parcel, if need be again and again."""
        while not self._try(lambda: self._write(parcel)):
            if self._stopping.is_set() or self._stopping.wait(self._retry_seconds):
                self._try(lambda: self._write(parcel))  # a last time
                break
        self.lost += parcel.windows
        self._done += parcel.size

    def _try(self, work: Callable[[], object]) -> bool:
        """Do what the disk may refuse, and say whether it was done."""
        try:
            work()
        except OSError as error:
            self.is_failing = True
            now = self._clock().now
            if now - self._warned >= QUIET_SECONDS:
                self._warned = now
                log.warning(
                    "captures can't be written",
                    extra={"store": str(self._store), "why": str(error)},
                )
            return False
        self.is_failing = False
        return True

    def _open(self) -> Shelf:
        if self._shelf is None:
            self._shelf = Shelf.open(self._store, self._daemon)
            self._show(self._shelf)
        return self._shelf

    def _show(self, shelf: Shelf) -> None:
        self.files, self.size = len(shelf.files), shelf.size

    def _write(self, parcel: Pending) -> None:
        """Write what is left of a parcel, kind by kind."""
        from .table import packed, table_of  # pyarrow is for those who write

        shelf = self._open()
        for kind in KINDS:
            rows = parcel.rows[kind]
            if not rows:
                continue
            data = packed(table_of(rows, parcel.spec))
            self._put(shelf, kind, rows, data)
            parcel.rows[kind] = []

    def _put(self, shelf: Shelf, kind: Kind, rows: list[Row], data: bytes) -> None:
        """Write one file, if the quota leaves room for it."""
        moment = self._clock()
        file = shelf.draft(kind, moment.wall, len(data))
        gone = too_much(shelf.files, file, self._most_bytes)
        shelf.drop(old for old in gone if old is not file)
        windows = windows_of({kind: rows})
        if file in gone:
            self.passed += windows
        else:
            shelf.put(file, data)
            self.kept += windows
            self.rows[kind] += len(rows)
            self.written = moment.wall
        self._show(shelf)

    def _tend(self) -> None:
        """Remove what is too old or too much; once an hour, put the hours before together."""
        shelf, now = self._open(), self._clock().wall
        shelf.drop(too_old(shelf.files, now, self._settings.days))
        shelf.drop(too_much(shelf.files, None, self._most_bytes))
        day, time = stamp(now)
        if (hour := f"{day} {time[:2]}") != self._hour:
            shelf.look()
            self._hour, self._joining = hour, self._join(shelf, hour)
        if self._joining is not None and next(self._joining, None) is None:
            self._joining = None
        self._show(shelf)

    def _join(self, shelf: Shelf, hour: str) -> Iterator[File]:
        """Put the hours before *hour* together, a file each time it is asked."""
        from .hours import FAILURES, groups, over

        for files in over(shelf.files, hour).values():
            try:
                for places in list(groups([shelf.path(file) for file in files])):
                    if file := self._join_some(shelf, [files[place] for place in places]):
                        yield file
            except FAILURES as error:  # a damaged file, or no room for the new one
                why = {"hour": files[0].hour, "kind": files[0].kind, "why": str(error)}
                log.warning("files of an hour stay as they are", extra=why)

    def _join_some(self, shelf: Shelf, some: list[File]) -> File | None:
        from .hours import joined

        if len(some) < 2 or not set(some) <= set(shelf.files):
            return None
        data = joined([shelf.path(file) for file in some])
        if shelf.size + len(data) > self._most_bytes:
            return None  # the old ones will have to go first
        kind, day, time, *_ = some[0]
        file = shelf.next(kind, day, f"{time[:2]}00", len(data))
        shelf.put(file, data)
        shelf.drop(some)
        return file
