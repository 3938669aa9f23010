"""Recording a plan: as many links side by side as the machine carries, every run once."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.probe.outlets import Outlet

from .link import Link
from .namespaces import LabError, alone
from .perform import Performance, RunError
from .plan import Plan, Run
from .recording import Recording, RunNote, RunRows
from .watch import STEP_MS, Watch, names_of

log = logging.getLogger(__name__)

TRIES = 3  # of a run
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

    Attributes:
        failures: tries that didn't count, so far.
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
        self.failures = 0
        self._recording, self._feed, self._tell = recording, feed, tell
        self._pcaps = recording.folder / "pcaps" if pcaps else None
        if self._pcaps is not None:
            self._pcaps.mkdir(exist_ok=True)
        self._runs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        missing = recording.missing()
        for run in missing:
            self._runs.put(run)
        self._count, self._done = len(missing), 0
        self._parallel = min(parallel, len(missing))
        self._lock = threading.Lock()
        self._opening = threading.Semaphore(2)  # links that come up at once
        self._broken: Exception | None = None  # what nobody expected

    def record(self, stopping: threading.Event) -> None:
        """Record every missing run, or try to.

        Raises:
            LabError: if another lab runs.
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
        if self._broken is not None:
            raise self._broken

    def _slot(self, number: int, stopping: threading.Event) -> None:
        """Record one run after the other."""
        while not stopping.is_set():
            try:
                run = self._runs.get_nowait()
            except queue.Empty:
                return
            try:
                self._try(number, run, stopping)
            except Exception as error:  # raised again once all links are down
                self._broken = error
                stopping.set()

    def _try(self, number: int, run: Run, stopping: threading.Event) -> None:
        for repeats in range(TRIES):
            try:
                self._once(number, run, repeats, stopping)
            except (RunError, LabError, OSError, ValueError) as error:
                if stopping.is_set():
                    return
                with self._lock:
                    self.failures += 1
                self._tell(f"{run.name}: try {repeats + 1} of {TRIES} failed: {error}")
            else:
                with self._lock:
                    self._done += 1
                    self._tell(f"{run.name}: {self._done} of {self._count} recorded")
                return

    def _once(self, number: int, run: Run, repeats: int, stopping: threading.Event) -> None:
        folder = self._recording.folder / "logs" / run.name
        link = Link(number, run, folder, _seed(self._recording.plan, run))
        rows = RunRows(names_of(run.name))
        with ExitStack() as opened:
            with self._opening:
                if stopping.is_set():
                    raise RunError("told to stop")  # a return would count as recorded
                link.open()
            opened.callback(link.close)
            takers = [rows.take]
            if self._feed is not None:
                outlet = self._feed(rows.links)
                opened.callback(outlet.close)
                takers.append(outlet.write)

            def take(start_ms: int, values: NDArray[np.float32]) -> None:
                for taker in takers:
                    taker(start_ms, values)

            watch = opened.enter_context(closing(Watch(link, take, self._pcaps)))
            timeline = Performance(link, run, lambda: watch.error).perform(stopping)
            _wait_for_rows(watch, rows, timeline.entries[-1].end_ms)
        note = RunNote(
            repeats=repeats,
            restarts=link.load.starts_repeated,
            packets=watch.probe.packets,
            kernel_dropped=watch.dropped,
            late=watch.probe.rows.late,
        )
        self._recording.add(rows, timeline, note)


def _wait_for_rows(watch: Watch, rows: RunRows, end_ms: int) -> None:
    """Wait until the probes have given out the last row of a run."""
    until = time.monotonic() + ROWS_SECONDS
    while rows.last_ms + 2 * STEP_MS < end_ms:
        if watch.error is not None:
            raise RunError(str(watch.error)) from watch.error
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
    partial: bool = False,
    tell: Told = log.info,
) -> Recorder:
    """Record a plan into a folder, or what is missing there.

    With *partial* it is put together even if runs failed at every try.

    Raises:
        LabError: if another lab runs, it was told to stop, or runs failed at every try; whatever
            was recorded stays, and the next call goes on from there.
        RecordingError: if the folder holds something else.
    """
    recording = Recording(out, plan)
    recorder = Recorder(recording, parallel=parallel, pcaps=pcaps, tell=tell)
    recorder.record(stopping)
    if stopping.is_set():
        raise LabError(f"stopped; the same command goes on with {out}")
    missing = [run.name for run in recording.missing()]
    if missing and not partial:
        raise LabError(
            f"{len(missing)} runs failed at every try: {', '.join(missing)}; the same command "
            "tries them again, --partial does without them"
        )
    recording.finish()
    return recorder
