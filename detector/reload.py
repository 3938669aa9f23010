"""Reloading: another bundle, or other anchors, made ready beside the loop.

A thread looks at the bundle store and at what was enrolled. Whatever is new is loaded, checked,
warmed up and embedded here, while the loop goes on with what it has; the loop takes it between
two batches. What can't be used is refused, with a log line and a figure, and changes nothing.
The candidate that a store puts into the shadow is opened here too (`candidate`).
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .bundle import BundleError
from .bundles import BundleStore, is_store
from .candidate import Candidate
from .config import ConfigError, Settings
from .enrolment import Enrolment
from .enrolments import Enrolments, EnrolmentsUnavailableError
from .figures import Figure
from .oncall.duty import View
from .oncall.opening import Model, open_current, open_view
from .window import WindowSpec

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0  # from one try to read the anchors to the next, at the start
END_SECONDS = 5.0  # for the thread to end
STATUSES = ("used", "waiting", "unusable", "disabled", "expired", "removed")  # of enrolments


class Reloads:
    """Makes ready what the loop is to go on with."""

    def __init__(
        self,
        settings: Settings,
        model: Model,
        enrolments: Enrolments,
        asked: threading.Event | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin with *model*; whoever sets *asked* has the bundle loaded anew."""
        self._settings, self._enrolments, self._clock = settings, enrolments, clock
        self.model = model  # the newest that could be used
        self.view: View | None = None  # what the loop took last
        self._ready: tuple[Model, View] | None = None  # until the loop takes it
        self._all: Sequence[Enrolment] = ()
        self._used: list[Enrolment] | None = None  # None: nobody has looked yet
        # Which bundle was tried last, good or not.
        self._mark = model.bundle.id if is_store(Path(settings.bundle)) else None
        self._asked = asked or threading.Event()  # set: load the bundle anew
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reloads", daemon=True)
        self._unusable: dict[str, str] = {}  # ids of enrolments, and why
        self.candidate = Candidate(settings)
        self._outcomes = Counter[str](loaded=0, refused=0)
        self._is_refused = False
        self._is_away = False  # whoever keeps the anchors

    def begin(self, is_stopping: Callable[[], bool], beat: Callable[[], None]) -> None:
        """Read what was enrolled before anything is judged, and look for more from now on.

        Waits for as long as nobody can say what was, for a fault that has a name must not be
        called unknown after a restart.
        """
        while not is_stopping():
            beat()
            self.look()
            if self._used is not None:
                break
            self._ending.wait(AGAIN_SECONDS)
        self._thread.start()

    def take(self) -> tuple[Model, View] | None:
        """Give what was made ready since this was last asked."""
        if self._ready is None:  # in nearly every batch
            return None
        ready, self._ready = self._ready, None
        self.view = ready[1]
        return ready

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
        self.candidate.close()
        self._enrolments.close()

    def look(self) -> None:
        """Look once whether anything is new, and make it ready."""
        is_other = self._look_for_bundle()
        used = self._look_for_anchors()
        before, self._used = self._used or [], self._used if used is None else used
        is_changed = is_other or (self._used or []) != before
        if is_changed:
            self._make_ready()
        self.candidate.look(self.model, self._used or (), is_changed=is_changed)

    def _make_ready(self) -> None:
        view = open_view(self._settings, self.model, self._used or ())
        for why in view.sight.unusable.values():
            log.warning("enrolled anchor can't be used", extra={"why": why})
        log.info(
            "made ready to be used",
            extra={"bundle": self.model.bundle.id, "enrolled": len(view.sight.enrolled)},
        )
        self._unusable = view.sight.unusable
        self._ready = self.model, view

    def figures(self) -> Iterable[Figure]:
        """Say what was loaded and enrolled."""
        yield Figure(
            "bundle_loads",
            "Bundles that were looked at while the daemon ran, by whether they could be used.",
            {(outcome,): count for outcome, count in self._outcomes.items()},
            ("outcome",),
            "counter",
        )
        yield Figure(
            "bundle_refused",
            "1 while the bundle that should be in use can't be, and the one before it is.",
            {(): float(self._is_refused)},
        )
        yield Figure(
            "anchors",
            "Reference windows that are compared with, by label and by who has them.",
            self._anchors(),
            ("label", "origin"),
        )
        yield Figure(
            "enrolments",
            "Enrolled anchors, by whether they are in use and why not.",
            self._by_status(),
            ("status",),
        )
        yield Figure(
            "enrolments_away",
            "1 while nobody can say what was enrolled.",
            {(): float(self._is_away)},
        )
        yield Figure(
            "enrolments_unreadable",
            "Records of enrolled anchors that could not be read.",
            {(): float(self._enrolments.unreadable)},
            kind="counter",
        )
        yield from self.candidate.figures()

    def _anchors(self) -> dict[tuple[str, ...], float]:
        counts = Counter((label, "bundle") for label in self.model.bundle.labels)
        if self.view is not None:
            counts.update((one.label, "enrolled") for one in self.view.sight.enrolled)
        return {key: float(count) for key, count in counts.items()}

    def _by_status(self) -> dict[tuple[str, ...], float]:
        statuses = dict.fromkeys(STATUSES, 0.0)
        used = {one.id for one in self.view.sight.enrolled} if self.view is not None else set()
        now_ms = self._now_ms()
        for one in self._all:
            status: str = one.status
            if one.is_used(now_ms):
                waits = "unusable" if one.id in self._unusable else "waiting"
                status = "used" if one.id in used else waits
            elif status == "active":
                status = "expired"
            statuses[status] += 1
        return {(status,): count for status, count in statuses.items()}

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self.look()
            except Exception:
                # The loop must go on with what it has, whatever a bundle or anchor brings about.
                log.exception("looking for bundles and anchors failed")
            if self._asked.wait(self._settings.reload.look_seconds):
                continue

    def _look_for_anchors(self) -> list[Enrolment] | None:
        """Give those to use now; None while nobody can say."""
        try:
            found = self._enrolments.poll()
        except EnrolmentsUnavailableError as error:
            if not self._is_away:
                log.warning("enrolled anchors can't be read", extra={"why": str(error)})
            self._is_away = True
            return None
        self._is_away = False
        if found is not None:
            self._all = found
        now_ms = self._now_ms()
        return [one for one in self._all if one.is_used(now_ms)]

    def _look_for_bundle(self) -> bool:
        """Load the bundle if it is another, or somebody asked; tell whether it is to be used."""
        is_asked, mark = self._asked.is_set() and not self._ending.is_set(), self._current()
        self._asked.clear()
        if mark == self._mark and not is_asked:
            return False
        self._mark = mark
        try:
            model = self._load()
        except Exception as error:
            # Mostly a BundleError. But nothing that somebody put there may end what runs.
            is_expected = isinstance(error, BundleError | ConfigError | OSError)
            self._refuse(str(error) if is_expected else repr(error))
            return False
        self._outcomes["loaded"] += 1
        self._is_refused = False
        if model.bundle.id == self.model.bundle.id:
            log.info("bundle is the one in use", extra={"bundle": model.bundle.id})
            return False
        log.info("bundle loaded", extra={"bundle": model.bundle.id, "was": self.model.bundle.id})
        self.model = model
        return True

    def _load(self) -> Model:
        model = open_current(Path(self._settings.bundle), self._settings)
        if why := unfit(model.spec, self.model.spec):
            raise BundleError(f"bundle {model.bundle.id}: {why}; restart the daemon to use it")
        return model

    def _refuse(self, why: str) -> None:
        self._outcomes["refused"] += 1
        self._is_refused = True
        log.error("bundle refused", extra={"why": why, "bundle": self.model.bundle.id})

    def _current(self) -> str | None:
        """Name what the store says is to be used; a bundle that is no store's has no name."""
        path = Path(self._settings.bundle)
        return BundleStore(path).current if is_store(path) else None

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)


def unfit(new: WindowSpec, old: WindowSpec) -> str:
    """Say why windows that come for one model can't be read by another; "" if they can.

    What exporters send is what the model in use needs: so many steps, and its features.
    """
    if (new.steps, new.step_ms) != (old.steps, old.step_ms):
        return (
            f"it reads windows of {new.steps} steps of {new.step_ms} ms, those that come have "
            f"{old.steps} of {old.step_ms}"
        )
    lacking = sorted(set(new.features) - set(new.optional) - set(old.features))
    return f"it needs the feature {lacking[0]!r}, which the one in use does not" if lacking else ""
