"""The candidate: the bundle that a store puts into the shadow, tried beside the one in use.

Looked after by the thread that reloads; the loop only hands its batches over.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from .bundle import BundleError
from .bundles import BundleStore, is_store
from .config import Settings
from .enrolment import Enrolment
from .figures import Figure
from .oncall.opening import Model, open_bundle, open_sight
from .shadow.opening import open_shadow
from .shadow.report import encode
from .shadow.shadow import Shadow
from .shadow.telling import NO_SHADOW, ShadowStatus, figures
from .versions import held_to_its_name

log = logging.getLogger(__name__)

REPORT_SECONDS = 5.0  # from one report to the store to the next
RETRY_SECONDS = 30.0  # until one that could not be opened is tried again


class Candidate:
    """Opens what is in the shadow, reports what comes of it, and ends it."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        # One model beside another is enough for what it gets of a core.
        engine = msgspec.structs.replace(settings.engine, threads=1)
        self._sparing = msgspec.structs.replace(settings, engine=engine)
        self._shadow: Shadow | None = None
        self._model: Model | None = None
        self._pair: tuple[str, str] | None = None  # candidate and live bundle; also if it failed
        self._daemon = ""
        self._reported = self._again = float("-inf")  # seconds of the clock
        self._said: tuple[int, int] = (0, 0)  # windows and failures of the last report
        self._failure = ""  # why it can't be tried
        self._unwritten = ""  # why reports can't be written

    def beside(self, bundle_id: str) -> Shadow | None:
        """Give the shadow that is tried beside a live bundle, if there is one."""
        shadow, pair = self._shadow, self._pair
        return shadow if shadow is not None and pair is not None and pair[1] == bundle_id else None

    def look(self, live: Model, enrolled: Sequence[Enrolment], *, is_changed: bool) -> None:
        """See which candidate is to be tried, and report of the one that is."""
        wanted, now = self._wanted(), self._clock()
        pair = None if wanted is None else (wanted, live.bundle.id)
        if pair != self._pair or (self._failure and now >= self._again):
            self._end()
            if pair != self._pair:
                self._failure = ""
            self._pair = pair
            if wanted is not None:
                self._begin(wanted, live, enrolled)
        elif is_changed:
            self._look_anew(enrolled)
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self._report()

    @property
    def status(self) -> ShadowStatus:
        """Tell how it goes."""
        shadow = self._shadow
        if shadow is not None:
            return shadow.status
        return msgspec.structs.replace(NO_SHADOW, failure=self._failure)

    def figures(self) -> Iterable[Figure]:
        """Tell programs how it goes."""
        shadow = self._shadow
        return figures(self.status) if shadow is None else shadow.figures()

    def close(self) -> None:
        """Report for the last time, and end."""
        self._end()

    def _wanted(self) -> str | None:
        path = Path(self._settings.bundle)
        return BundleStore(path).shadow if is_store(path) else None

    def _begin(self, wanted: str, live: Model, enrolled: Sequence[Enrolment]) -> None:
        facts = {"bundle": wanted, "beside": live.bundle.id}
        try:
            folder = BundleStore(Path(self._settings.bundle)).folder(wanted)
            model = open_bundle(folder, self._sparing)
            held_to_its_name(model.bundle, folder)
            # A life of its own each time: what it reports adds up, and is never written over.
            self._daemon = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns() // 1_000_000}"
            mine, its = (open_sight(self._sparing, one, enrolled) for one in (model, live))
            shadow = open_shadow(self._settings, mine, its, self._daemon)
            shadow.start()
        except Exception as error:
            # Whatever is wrong with it, the one in use goes on.
            self._again = self._clock() + RETRY_SECONDS
            if str(error) != self._failure:
                log.warning("candidate can't be tried", extra=facts | {"why": str(error)})
            self._failure = str(error) or repr(error)
            return
        self._model, self._shadow, self._failure, self._said = model, shadow, "", (0, 0)
        log.info("candidate is tried in the shadow", extra=facts)

    def _look_anew(self, enrolled: Sequence[Enrolment]) -> None:
        """Let it go by other anchors."""
        if self._shadow is not None and self._model is not None:
            self._shadow.use(open_sight(self._sparing, self._model, enrolled))

    def _end(self) -> None:
        if self._shadow is None:
            return
        shadow, self._shadow = self._shadow, None
        shadow.close()
        self._write(shadow)
        self._model = None
        log.info("candidate is no longer tried", extra={"bundle": shadow.candidate})

    def _report(self) -> None:
        if self._shadow is not None:
            self._write(self._shadow)

    def _write(self, shadow: Shadow) -> None:
        """Write a report, unless it would say what the one before it does."""
        report = shadow.report()
        said = report.windows, report.failures
        if said == self._said:
            return
        store = BundleStore(Path(self._settings.bundle))
        try:
            store.write_report(shadow.candidate, self._daemon, encode(report))
        except (BundleError, OSError) as error:
            if str(error) != self._unwritten:
                why = {"why": str(error)}
                log.warning("report of the candidate can't be written", extra=why)
            self._unwritten = str(error)
        else:
            self._said, self._unwritten = said, ""
