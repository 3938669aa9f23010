"""Where rows go: a capture file, or windows on a Kafka topic."""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from detector.config import Kafka
from detector.message import encode
from detector.window import Window, WindowSpec

log = logging.getLogger(__name__)

BUFFERED_SECONDS, BUFFERED_ROWS = 30, 20_000  # a row group of a capture is written then
WAITING = 20_000  # windows that wait for a broker at most
CONNECT_MS = 3000  # then a broker counts as away
CLOSE_SECONDS = 10


class Outlet(Protocol):
    """Takes rows."""

    def write(self, start_ms: int, values: NDArray[np.float32]) -> None:
        """Take one step's row of each link: (links, features)."""

    def close(self) -> None:
        """Bring what was taken to where it belongs. Safe to call twice."""


class CaptureFile:
    """Writes a capture; it has its name only once it is whole.

    Until `close` it lies beside it as `NAME.part`. Without any row there is no capture.
    """

    def __init__(self, path: Path, links: Sequence[str], features: Sequence[str]) -> None:
        self.path = path
        self._links = pa.array(links, pa.string())
        fields = [("link", pa.string()), ("t_ms", pa.int64())]
        self._schema = pa.schema(fields + [(name, pa.float32()) for name in features])
        self._rows: list[tuple[int, NDArray[np.float32]]] = []
        self._count = 0  # of rows
        self._written = time.monotonic()
        self._part = path.with_name(path.name + ".part")
        if path.suffix == ".csv":
            self._writer: Any = pyarrow.csv.CSVWriter(self._part, self._schema)
        else:
            self._writer = pyarrow.parquet.ParquetWriter(
                self._part, self._schema, compression="zstd"
            )

    def write(self, start_ms: int, values: NDArray[np.float32]) -> None:
        """Take one step's row of each link."""
        self._rows.append((start_ms, values))
        count = len(self._rows) * len(self._links)
        if count >= BUFFERED_ROWS or time.monotonic() - self._written > BUFFERED_SECONDS:
            self._flush()

    def _flush(self) -> None:
        self._written = time.monotonic()
        if not self._rows:
            return
        times = np.repeat([start_ms for start_ms, _ in self._rows], len(self._links))
        links = pa.concat_arrays([self._links] * len(self._rows))
        values = np.concatenate([values for _, values in self._rows])
        columns = [pa.array(column) for column in np.ascontiguousarray(values.T)]
        table = pa.Table.from_arrays([links, pa.array(times), *columns], schema=self._schema)
        self._writer.write_table(table)
        self._count += len(table)
        self._rows = []

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._writer is None:
            return
        self._flush()
        self._writer.close()
        self._writer = None
        if self._count:
            self._part.replace(self.path)
        else:
            self._part.unlink()


class KafkaWindows:
    """Sends each link's window after each row, keyed by the link.

    Reading packets never waits for a broker: a thread of its own sends, and what it can't hold
    any more is counted in `lost`.
    """

    def __init__(
        self, settings: Kafka, links: Sequence[str], spec: WindowSpec, source: str
    ) -> None:
        self.sent = self.lost = 0
        self._settings, self._links, self._spec, self._source = settings, links, spec, source
        self._rows: deque[NDArray[np.float32]] = deque(maxlen=spec.steps)
        self._last_ms = 0
        self._waiting: queue.Queue[Window | None] = queue.Queue(WAITING)
        self._stopping, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name="windows", daemon=True)
        self._thread.start()

    def write(self, start_ms: int, values: NDArray[np.float32]) -> None:
        """Take one step's row of each link."""
        if start_ms != self._last_ms + self._spec.step_ms:
            self._rows.clear()  # steps are missing between
        self._last_ms = start_ms
        self._rows.append(values)
        if len(self._rows) < self._spec.steps:
            return
        end_ms = start_ms + self._spec.step_ms
        views = np.stack(self._rows, axis=1)  # (links, steps, features)
        for link, view in zip(self._links, views, strict=True):
            window = Window(link, self._source, end_ms - self._spec.span_ms, end_ms, view)
            try:
                self._waiting.put_nowait(window)
            except queue.Full:
                self._lose("the broker doesn't take them")

    def _lose(self, why: object) -> None:
        with self._lock:  # three threads can lose a window
            self.lost += 1
        log.warning("window lost", extra={"topic": self._settings.windows, "why": str(why)})

    def _run(self) -> None:
        producer = self._connect()
        while producer is not None:
            window = self._waiting.get()
            if window is None:
                break
            message = encode([window], self._spec)
            try:
                future = producer.send(self._settings.windows, message, window.link.encode())
            except Exception as error:  # the client raises what its parts raise
                self._lose(error)
                continue
            future.add_callback(self._count)
            future.add_errback(self._lose)
        if producer is not None:
            producer.close(timeout=CLOSE_SECONDS)

    def _count(self, _where: Any) -> None:
        self.sent += 1

    def _connect(self) -> Any:
        """Wait for a broker; None if told to stop before one was found."""
        from kafka.errors import KafkaError

        from detector.kafka_client import Access, RefusedError

        # What is captured while it refuses us is lost, and counted; the capture goes on.
        access = Access(self._settings, is_patient=True)
        delivery_ms = round(self._settings.delivery_seconds * 1000)
        while not self._stopping.is_set():
            try:
                return access.producer(
                    bootstrap_timeout_ms=CONNECT_MS,
                    compression_type="lz4",
                    linger_ms=20,
                    max_block_ms=CONNECT_MS,
                    delivery_timeout_ms=delivery_ms,
                    request_timeout_ms=max(500, delivery_ms // 2),
                )
            except (KafkaError, OSError) as error:
                if not isinstance(error, RefusedError):  # which is told of already
                    facts = {"bootstrap": self._settings.bootstrap, "why": str(error)}
                    log.warning("broker is away", extra=facts)
                self._stopping.wait(1)
        return None

    def close(self) -> None:
        """Send what waits, for ten seconds at most; what is left then is lost, and counted."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._rows.clear()
        end = time.monotonic() + CLOSE_SECONDS
        while not self._waiting.empty() and self._thread.is_alive() and time.monotonic() < end:
            time.sleep(0.02)
        with suppress(queue.Empty):  # its thread may still take the last of them
            while self._waiting.get_nowait() is not None:
                self._lose("told to stop")
        self._waiting.put(None)
        self._thread.join(CLOSE_SECONDS + CONNECT_MS / 1000)  # the producer has ten seconds too
        log.info("stopped sending", extra={"sent": self.sent, "lost": self.lost})
