"""Recording a plan: as many links side by side as the machine carries, every run once."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.probe.outlets import Outlet

from .link import Link
from .namespaces import LabError, alone
from .perform import Performance, RunError
from .plan import Plan, Run
from .recording import Recording, RunNote, RunRows
from .watch import STEP_MS, Watch

log = logging.getLogger(__name__)

TRIES = 3  # of a run, then it is left out, and the manifest says so
ROWS_SECONDS = 5.0  # after a run its last row is waited for

Told = Callable[[str], None]
Feed = Callable[[Sequence[str]], Outlet]  # where the rows of some links go besides


class Recorder:
    """Records the runs of a plan that are missing.

    Args:
        recording: the folder.
        parallel: links at a time.
        pcaps: whether packets are kept as well.
        feed: opens where each run's rows go while they come, if anywhere.
        tell: is told how it goes, a line each time.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        parallel: int,
        pcaps: bool = False,
        feed: Feed | None = None,
        tell: Told = log.info,
    ) -> None:
        self.repeats = 0
        self._recording, self._feed, self._tell = recording, feed, tell
        self._pcaps = recording.folder / "pcaps" if pcaps else None
        if self._pcaps is not None:
            self._pcaps.mkdir(exist_ok=True)
        self._runs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._all = recording.missing()
        for run in self._all:
            self._runs.put(run)
        self._parallel = min(parallel, len(self._all))
        self._done = 0
        self._lock = threading.Lock()
        self._opening = threading.Semaphore(2)  # links that come up at once

    def record(self, stopping: threading.Event) -> bool:
        """Record everything; say whether all runs are there now.

        Raises:
            LabError: if another lab runs, or the machine can't.
        """
        with alone():
            slots = [
                threading.Thread(target=self._slot, args=(number, stopping), name=f"link {number}")
                for number in range(self._parallel)
            ]
            for slot in slots:
                slot.start()
            for slot in slots:
                slot.join()
        return not self._recording.missing()

    def _slot(self, number: int, stopping: threading.Event) -> None:
        """Record one run after the other."""
        while not stopping.is_set():
            try:
                run = self._runs.get_nowait()
            except queue.Empty:
                return
            self._try(number, run, stopping)

    def _try(self, number: int, run: Run, stopping: threading.Event) -> None:
        for repeats in range(TRIES):
            try:
                self._once(number, run, repeats, stopping)
            except (RunError, LabError, OSError) as error:
                if stopping.is_set():
                    return
                with self._lock:
                    self.repeats += 1
                self._tell(f"{run.name}: try {repeats + 1} of {TRIES} failed: {error}")
            else:
                with self._lock:
                    self._done += 1
                    self._tell(f"{run.name}: {self._done} of {len(self._all)} recorded")
                return

    def _once(self, number: int, run: Run, repeats: int, stopping: threading.Event) -> None:
        folder = self._recording.folder / "logs" / run.name
        seed = _seed(self._recording.plan, run)
        link = Link(number, run, folder, seed)
        with self._opening:
            link.open()
        try:
            rows = RunRows([f"{run.name}/{place}" for place in link.ports])
            outlet = self._feed(rows.links) if self._feed else None

            def take(start_ms: int, values: NDArray[np.float32]) -> None:
                rows.take(start_ms, values)
                if outlet is not None:
                    outlet.write(start_ms, values)

            watch = Watch(link, take, self._pcaps)
            try:
                timeline = Performance(link, run).perform(stopping)
                _wait_for_rows(watch, rows, timeline.entries[-1].end_ms)
            finally:
                watch.close()
                if outlet is not None:
                    outlet.close()
            note = RunNote(
                repeats,
                link.load.starts_repeated,
                watch.probe.packets,
                watch.dropped,
                watch.probe.rows.late,
            )
        finally:
            link.close()
        self._recording.add(rows, timeline, note)


def _wait_for_rows(watch: Watch, rows: RunRows, end_ms: int) -> None:
    """Wait until the probes have given out the last row of a run."""
    until = time.monotonic() + ROWS_SECONDS
    while rows.last_ms + 2 * STEP_MS < end_ms:
        if watch.error is not None:
            raise RunError(f"the probe failed: {watch.error}") from watch.error
        if time.monotonic() > until:
            raise RunError("the probe fell behind")
        time.sleep(0.1)


def _seed(plan: Plan, run: Run) -> int:
    """Give each run a seed of its own, the same in every recording of the plan."""
    return plan.seed * 10_007 + plan.runs.index(run)


def record(
    plan: Plan,
    out: Path,
    stopping: threading.Event,
    *,
    parallel: int,
    pcaps: bool = False,
    tell: Told = log.info,
) -> Recorder:
    """Record a plan into a folder, or what is missing there.

    Raises:
        LabError: if the machine can't, or another lab runs.
        RecordingError: if the folder holds something else.
    """
    recording = Recording(out, plan)
    recorder = Recorder(recording, parallel=parallel, pcaps=pcaps, tell=tell)
    recorder.record(stopping)
    if not stopping.is_set():
        recording.finish()
    return recorder
