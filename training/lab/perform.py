"""Performing a run: its load and its phases, second by second, and what was done when."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .plan import LIMITS, Phase, Run
from .timeline import Entry, Poll, Timeline

if TYPE_CHECKING:
    from .link import Link

WARM_SECONDS = 8.0
TICK_SECONDS = 1.0
LOOK_SECONDS = 5.0


class RunError(RuntimeError):
    """A run can't count; the message says why. It may be tried again."""


class Performance:
    """One performance of a run on an open link.

    Args:
        link: where it happens.
        run: what is done.
        flaw: tells what else is wrong, if anything; a run with a flaw doesn't count.
        warm_seconds: how long the load runs before the first phase, so that its calls are in all
            states by then.
        look_seconds: time between two looks whether all programs live.
    """

    def __init__(
        self,
        link: "Link",
        run: Run,
        flaw: Callable[[], object] = lambda: None,
        *,
        warm_seconds: float = WARM_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._link, self._run, self._flaw = link, run, flaw
        self._warm_seconds, self._look_seconds = warm_seconds, look_seconds
        self._entries: list[Entry] = []
        self._polls: list[Poll] = []
        self._open: tuple[int, Phase, int, int] | None = None  # the entry that has no end yet

    def perform(self, stopping: threading.Event) -> Timeline:
        """Offer the load and go through all phases.

        Raises:
            RunError: if a program died, there is a flaw, or *stopping* was set.
        """
        self._begun = time.monotonic() + self._warm_seconds
        self._looked = self._begun
        self._pass(self._begun, stopping)
        ends = self._begun
        for place, phase in enumerate(self._run.phases):
            self._start(place, phase)
            ends += phase.seconds
            self._pass(ends, stopping)
        self._finish(_now_ms())
        self._look()
        return Timeline(self._run.name, tuple(self._entries), self._run.family, tuple(self._polls))

    def _start(self, place: int, phase: Phase) -> None:
        self._look()  # what died before a fault that kills it would go unseen
        command_ms, start_ms = self._link.apply(phase)
        self._finish(command_ms)
        self._open = (place, phase, command_ms, start_ms)

    def _finish(self, end_ms: int) -> None:
        if self._open is not None:
            self._entries.append(_entry(*self._open, end_ms=end_ms))
            self._open = None

    def _pass(self, until: float, stopping: threading.Event) -> None:
        """Let time pass, and do what each second asks for."""
        while (left := until - time.monotonic()) > 0:
            self._link.set_rates(max(0.0, time.monotonic() - self._begun))
            if self._open and any(fault.kind in LIMITS for fault in self._open[1].faults):
                dropped, queued = self._link.limiter()
                self._polls.append(Poll(_now_ms(), dropped, queued))
            if time.monotonic() - self._looked > self._look_seconds:
                self._look()
            if stopping.wait(min(TICK_SECONDS, left)):
                raise RunError("told to stop")

    def _look(self) -> None:
        """Look whether all programs live that ought to, and nothing else is wrong.

        Raises:
            RunError: if one doesn't, or something is.
        """
        self._looked = time.monotonic()
        if dead := self._link.dead():
            raise RunError(f"{', '.join(dead)} died")
        if flaw := self._flaw():
            raise RunError(str(flaw))


def _entry(place: int, phase: Phase, command_ms: int, start_ms: int, *, end_ms: int) -> Entry:
    return Entry(place, command_ms, start_ms, end_ms, phase.faults, phase.restart)


def _now_ms() -> int:
    return time.time_ns() // 10**6
