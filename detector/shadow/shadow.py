"""The shadow's thread: batches are handed over to it, and it works in what time it is given.

The loop puts a batch on a queue and goes on; it never waits, and nothing that goes wrong here
reaches it. After work of t seconds the thread rests so long that it stays below its share of a
core. What comes meanwhile waits, as long as it is not too much; then whole batches are left out,
and from then on fewer links are watched. For a link is worth most when it is seen whole, as the
live bundle sees it: after a gap all links begin as the live bundle says they are.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2s
from queue import Empty, SimpleQueue
from typing import NamedTuple

import msgspec

from detector.config import Shadow as Settings
from detector.figures import Figure
from detector.oncall.moment import Moment
from detector.oncall.recall import Score
from detector.sight import Sight
from detector.state import Turn
from detector.verdict import Verdict
from detector.window import Window

from .report import ShadowReport
from .telling import ShadowStatus, figures, told
from .trial import Shown, Trial, tally

log = logging.getLogger(__name__)

MOST_WAITING = 4096  # windows, about 4 kB each with their verdicts
TOGETHER = 1024  # windows that are judged at once, if as many wait
IDLE_SECONDS = 1.0  # from one look whether it is to end to the next
NARROW = 0.7  # of the links watched, when batches had to be left out
LEAST_LINKS = 0.001  # share that is watched in any case
WIDEN, WIDEN_SECONDS = 1.25, 3600.0  # times as many, after as long without leaving anything out
END_SECONDS = 5.0  # for the thread to end
PLACES = 2.0**64  # of a hash


class _Handed(NamedTuple):
    shown: Shown
    gap: int | None  # if batches before it were left out: windows handed over until the last was


def now() -> Moment:
    """Tell the time."""
    return Moment(time.monotonic(), time.time())


class Shadow:
    """Tries a candidate on the live traffic."""

    def __init__(
        self,
        trial: Trial,
        settings: Settings,
        *,
        candidate: str,
        live: str,
        daemon: str,
        clock: Callable[[], Moment] = now,
    ) -> None:
        """Make ready; nothing is judged before `start`, or until somebody calls `step`."""
        self.candidate = candidate
        self.failure = ""  # why it ended before its time
        self._trial, self._settings, self._clock = trial, settings, clock
        self._queue: SimpleQueue[_Handed | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        # Each of these is written by one thread only: the first three by the loop.
        self._handed = 0  # windows
        self._left_out = 0.0  # windows of whole batches, those of links that are watched
        self._gap: int | None = None  # as of the next batch
        self._done = 0  # windows that no longer wait
        self._passed_over = 0  # windows of links that are no longer watched
        self._narrowed = 0  # windows that had been handed over when links were last narrowed down
        self._share = settings.links  # of the links, that is watched
        self._changed = clock().now  # when the share was last changed
        self._worked = 0.0  # seconds
        self._sight: Sight | None = None  # to go on with
        self._canaries_before: Mapping[str, tuple[int, int]] | None = None
        since_ms = clock().ms
        self._facts = {"candidate": candidate, "live": live, "daemon": daemon}
        self._since_ms = since_ms
        self._published = self._report()

    def start(self) -> None:
        """Judge what is handed over, in a thread of its own, until `close`."""
        self._thread.start()

    def take(
        self, windows: Sequence[Window], verdicts: Sequence[Verdict], turns: Sequence[Turn]
    ) -> None:
        """Hand over a batch with what the live bundle made of it; never waits.

        What is given must not be changed any more.
        """
        if self.failure or not windows or not self._settings.links:
            return
        waiting = self._handed - self._done
        if waiting and waiting + len(windows) > MOST_WAITING:
            self._left_out += len(windows) * self._share
            self._gap = self._handed
            return
        self._handed += len(windows)
        self._queue.put(_Handed(Shown(windows, verdicts, turns), self._gap))
        self._gap = None

    def live_canaries(self, scores: Mapping[str, Score]) -> None:
        """Take how the live bundle's canaries fare; what was before the first call is left out."""
        found = {label: tally(score) for label, score in scores.items()}
        before = self._canaries_before
        if before is None:
            before = self._canaries_before = found
        self._trial.live_canaries(
            {
                label: (
                    one[0] - before.get(label, (0, 0))[0],
                    one[1] - before.get(label, (0, 0))[1],
                )
                for label, one in found.items()
            }
        )

    def use(self, sight: Sight) -> None:
        """Go on with other anchors of the same candidate, from the next batch on."""
        self._sight = sight

    def step(self, wait_seconds: float = 0.0) -> float:
        """Judge some of what waits, and give for how many seconds to rest after it."""
        handed = self._next(wait_seconds)
        if not handed:
            return 0.0
        begun = self._clock().now
        if self._sight is not None:
            self._trial.use(self._sight)
            self._sight = None
        if gaps := [one.gap for one in handed if one.gap is not None]:
            self._mend(gaps[-1], begun)
        elif self._share < self._settings.links and begun - self._changed >= WIDEN_SECONDS:
            self._share = min(self._settings.links, self._share * WIDEN)
            self._changed = begun
        self._trial.take(self._watched(handed), begun)
        self._done += sum(len(one.shown.windows) for one in handed)
        self._published = self._report()
        seconds = self._clock().now - begun
        self._worked += seconds
        return seconds * (1 / self._settings.time_share - 1)

    def report(self) -> ShadowReport:
        """Give what came of it so far."""
        return msgspec.structs.replace(
            self._published,
            until_ms=self._clock().ms,
            skipped=self.skipped,
            failures=int(bool(self.failure)),
        )

    @property
    def skipped(self) -> int:
        """Windows that there was no time for."""
        return round(self._left_out) + self._passed_over

    @property
    def status(self) -> ShadowStatus:
        """Tell people how it goes."""
        return told(self.report(), self._trial.links, self._share, self.failure)

    def figures(self) -> Iterable[Figure]:
        """Tell programs how it goes."""
        return figures(self.status, self._worked)

    def close(self) -> None:
        """End the thread. Safe to call twice."""
        self._stopping.set()
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._stopping.wait(self.step(IDLE_SECONDS))
        except Exception as error:
            # A candidate may be broken in any way; the live bundle must not suffer by it.
            self.failure = repr(error)
            log.exception("candidate failed in the shadow", extra={"bundle": self.candidate})

    def _next(self, wait_seconds: float) -> list[_Handed]:
        """Wait for a batch, and take along those that wait behind it."""
        found: list[_Handed] = []
        windows = 0
        try:
            while windows < TOGETHER:
                if found or not wait_seconds:
                    one = self._queue.get_nowait()
                else:
                    one = self._queue.get(timeout=wait_seconds)
                if one is None:
                    break
                found.append(one)
                windows += len(one.shown.windows)
        except Empty:
            pass
        return found

    def _mend(self, gap: int, now: float) -> None:
        """Watch fewer links from now on, and begin anew with those."""
        self._trial.begin_anew(now)
        if gap > self._narrowed:  # else what was too much waited there before that could help
            self._share = max(min(LEAST_LINKS, self._settings.links), self._share * NARROW)
            self._narrowed, self._changed = self._handed, now

    def _watched(self, handed: Sequence[_Handed]) -> Shown:
        """Give what there is of the links that are watched, as one batch."""
        windows: list[Window] = []
        verdicts: list[Verdict] = []
        turns: list[Turn] = []
        for one in handed:
            turns += one.shown.turns
            if self._share >= 1:
                windows += one.shown.windows
                verdicts += one.shown.verdicts
                continue
            for window, verdict in zip(one.shown.windows, one.shown.verdicts, strict=True):
                place = place_of(window.link)
                if place < self._share:
                    windows.append(window)
                    verdicts.append(verdict)
                elif place < self._settings.links:
                    self._passed_over += 1
        return Shown(windows, verdicts, turns)

    def _report(self) -> ShadowReport:
        return self._trial.report(since_ms=self._since_ms, until_ms=self._since_ms, **self._facts)


def place_of(link: str) -> float:
    """Give a number from 0 to 1 that a link's name always has; those below a share are watched.

    >>> 0 <= place_of("trunk-1") < 1, place_of("trunk-1") == place_of("trunk-1")
    (True, True)
    """
    digest = blake2s(link.encode(), digest_size=8, person=b"shadow").digest()
    return int.from_bytes(digest, "big") / PLACES
