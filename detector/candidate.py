"""The candidate: the bundle that a store puts into the shadow, tried beside the one in use.

Looked after by the thread that reloads; the loop only hands its batches over.
"""

import logging
import os
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from .bundle import BundleError
from .bundles import BundleStore, is_store
from .config import Settings
from .enrolment import Enrolment
from .figures import Figure
from .oncall.opening import Model, open_bundle, open_view
from .shadow.opening import open_shadow
from .shadow.report import encode
from .shadow.shadow import Shadow
from .shadow.telling import NO_SHADOW, ShadowStatus, figures

log = logging.getLogger(__name__)

REPORT_SECONDS = 5.0  # from one report to the store to the next


class Candidate:
    """Opens what is in the shadow, reports what comes of it, and ends it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # One model beside another is enough for what it gets of a core.
        engine = msgspec.structs.replace(settings.engine, threads=1)
        self._sparing = msgspec.structs.replace(settings, engine=engine)
        self._shadow: Shadow | None = None
        self._model: Model | None = None
        self._pair: tuple[str, str] | None = None  # candidate and live bundle; also if it failed
        self._daemon = ""
        self._reported = 0.0  # monotonic seconds
        self._failure = ""  # why it can't be tried

    def beside(self, bundle_id: str) -> Shadow | None:
        """Give the shadow that is tried beside a live bundle, if there is one."""
        shadow, pair = self._shadow, self._pair
        return shadow if shadow is not None and pair is not None and pair[1] == bundle_id else None

    def look(self, live: Model, enrolled: Sequence[Enrolment], *, is_changed: bool) -> None:
        """See which candidate is to be tried, and report of the one that is."""
        wanted = self._wanted()
        pair = None if wanted is None else (wanted, live.bundle.id)
        if pair != self._pair:
            self._end()
            self._pair = pair
            if wanted is not None:
                self._begin(wanted, live, enrolled)
        elif is_changed and self._shadow is not None and self._model is not None:
            self._shadow.use(open_view(self._sparing, self._model, enrolled).sight)
        if time.monotonic() - self._reported >= REPORT_SECONDS:
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
        self._failure = ""
        facts = {"bundle": wanted, "beside": live.bundle.id}
        try:
            folder = BundleStore(Path(self._settings.bundle)).folder(wanted)
            self._model = open_bundle(folder, self._sparing)
            sight = open_view(self._sparing, self._model, enrolled).sight
            # A life of its own each time: what it reports adds up, and is never written over.
            self._daemon = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns() // 1_000_000}"
            live_sight = open_view(self._sparing, live, enrolled).sight
            self._shadow = open_shadow(self._settings, sight, live_sight, self._daemon)
        except Exception as error:
            # Whatever is wrong with it, the one in use goes on.
            self._failure = str(error)
            log.warning("candidate can't be tried", extra=facts | {"why": str(error)})
            return
        self._shadow.start()
        log.info("candidate is tried in the shadow", extra=facts)

    def _end(self) -> None:
        self._failure = ""
        if self._shadow is None:
            return
        shadow, self._shadow = self._shadow, None
        shadow.close()
        self._write(shadow)
        self._model = None
        log.info("candidate is no longer tried", extra={"bundle": shadow.candidate})

    def _report(self) -> None:
        self._reported = time.monotonic()
        if self._shadow is not None:
            self._write(self._shadow)

    def _write(self, shadow: Shadow) -> None:
        report = shadow.report()
        if not report.windows:
            return
        store = BundleStore(Path(self._settings.bundle))
        try:
            store.write_report(shadow.candidate, self._daemon, encode(report))
        except (BundleError, OSError) as error:
            log.warning("report of the candidate can't be written", extra={"why": str(error)})
