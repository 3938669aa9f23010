"""Running the probe: over files, over live interfaces, over counters."""

import logging
import select
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .counters import SOURCE, Counters
from .files import PcapFile
from .packets import Packets
from .probe import Probe
from .ring import Ring

log = logging.getLogger(__name__)

GRACE_HAND_OVERS = 3  # after its end a step waits until the kernel has handed over all of it
OVERTAKEN_NS = 10**9  # in a file a packet may stand behind one that is later by so much
LATE_SHARE = 0.2  # of a step: a reading of counters that is later than this tells of another time

Row = tuple[int, NDArray[np.float32]]  # start, Unix ms, and (links, features)


def over_files(files: Sequence[PcapFile], probe: Probe) -> Iterator[Row]:
    """Read files, side by side where their times overlap, and give all rows."""
    opened = [batches for batches in map(_Batches, files) if batches.packets is not None]
    end_ns = 0
    while opened:
        # Whichever is behind goes on, so a step is done once all have passed it.
        behind = min(opened, key=lambda batches: batches.begin_ns)
        yield from probe.rows.done(behind.begin_ns - OVERTAKEN_NS)
        if behind.packets is not None:
            probe.push(behind.packets)
            end_ns = max(end_ns, int(behind.packets.time_ns.max()))
        behind.advance()
        if behind.packets is None:
            opened.remove(behind)
    yield from probe.rows.rest(end_ns)


class _Batches:
    """A file's batches, one at a time."""

    def __init__(self, file: PcapFile) -> None:
        self._rest = iter(file)
        self.advance()

    def advance(self) -> None:
        """Go on to the next batch; None after the last one."""
        self.packets: Packets | None = next(self._rest, None)
        if self.packets is not None:
            self.begin_ns = int(self.packets.time_ns.min())


def over_interfaces(
    rings: Sequence[Ring], probe: Probe, stopping: threading.Event
) -> Iterator[Row]:
    """Read live interfaces and give rows as their steps end, until told to stop.

    Raises:
        ProbeError: if an interface is gone.
    """
    poller = select.poll()
    for ring in rings:
        poller.register(ring.fileno(), select.POLLIN)
    probe.rows.begin(time.time_ns())
    hand_over_ms = max(ring.hand_over_ms for ring in rings)
    grace_ns = GRACE_HAND_OVERS * hand_over_ms * 10**6
    dropped, now_ns = 0, time.time_ns()
    end_ns: int | None = None  # when it was told to stop; what came before is waited for
    while end_ns is None or now_ns < end_ns + grace_ns:
        poller.poll(hand_over_ms)
        # What the kernel had before this moment is read before any row of it goes out.
        now_ns = time.time_ns()
        if end_ns is None and stopping.is_set():
            end_ns = now_ns
        for ring in rings:
            for packets in ring.read():
                probe.push(packets)
        done_ns = now_ns - grace_ns
        yield from probe.rows.done(done_ns if end_ns is None else min(done_ns, end_ns))
        lost = sum(ring.dropped for ring in rings)
        if lost > dropped:
            log.warning("kernel dropped packets", extra={"packets": lost - dropped})
            dropped = lost
    yield from probe.rows.rest(end_ns)


def over_counters(
    counters: Counters, step_ms: int, stopping: threading.Event, source: Path = SOURCE
) -> Iterator[Row]:
    """Read counters at the end of each step and give its row, until told to stop."""
    step_ns = step_ms * 10**6
    counters.row(source.read_text())
    step, is_whole = time.time_ns() // step_ns, False  # the first step is seen only in part
    while not stopping.wait(max(0.0, ((step + 1) * step_ns - time.time_ns()) / 1e9)):
        values = counters.row(source.read_text())
        late = time.time_ns() - (step + 1) * step_ns
        in_time = late < LATE_SHARE * step_ns
        if is_whole:  # a reading that came late covers another time than its step
            yield step * step_ms, values if in_time else np.full_like(values, np.nan)
        step, is_whole = (step + 1, True) if in_time else (time.time_ns() // step_ns, False)
