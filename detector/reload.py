"""Reloading: another bundle, or other anchors, made ready beside the loop.

A thread looks at the bundle store (`follow_bundle`) and at what was enrolled (`follow_anchors`).
Whatever is new is loaded, checked, warmed up and embedded here, while the loop goes on with what
it has; the loop takes it between two batches. The candidate that a store puts into the shadow is
looked after here too (`candidate`).
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

from .candidate import Candidate
from .config import Settings
from .enrolment import Enrolment
from .enrolments import Enrolments
from .figures import Figure
from .follow_anchors import AnchorFollower
from .follow_bundle import BundleFollower
from .oncall.duty import View
from .oncall.opening import Model, open_view
from .supervisor import Supervisor

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0  # from one try to read the anchors to the next, at the start
END_SECONDS = 5.0  # for the thread to end


class Reloads:
    """Makes ready what the loop is to go on with."""

    def __init__(
        self,
        settings: Settings,
        model: Model,
        enrolments: Enrolments,
        asked: threading.Event | None = None,
        clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = time.monotonic,
        supervisor: Supervisor | None = None,
    ) -> None:
        """Begin with *model*; whoever sets *asked* has the bundle loaded anew.

        *supervisor* is told when that begins, and when it is done.
        """
        self._settings = settings
        self.candidate = Candidate(settings)
        self._bundle = BundleFollower(settings, model, steady_clock)
        self._anchors = AnchorFollower(enrolments, clock)
        self._used: list[Enrolment] | None = None  # anchors; None: nobody has said yet
        self._unusable: dict[str, str] = {}  # ids of enrolments, and why
        self._ready = deque[tuple[Model, View]](maxlen=1)  # until the loop takes it
        self._view: View | None = None  # what the loop took last
        self._asked = asked or threading.Event()
        self._supervisor = supervisor or Supervisor()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reloads", daemon=True)
        self._is_owed = False  # a look at the bundle that somebody asked for and that failed
        self._failure = ""  # why looking fails, for a reason that nobody foresaw

    @property
    def model(self) -> Model:
        """The newest that could be used."""
        return self._bundle.model

    @property
    def is_bundle_refused(self) -> bool:
        """Whether the bundle that should be in use can't be, and the one before it is."""
        return self._bundle.is_refused

    def begin(self, is_stopping: Callable[[], bool], beat: Callable[[], None]) -> None:
        """Read what was enrolled before anything is judged, and look for more from now on.

        Waits for as long as nobody can say what was, for a fault that has a name must not be
        called unknown after a restart.
        """
        while not is_stopping():
            beat()
            self._follow()
            if self._used is not None:
                self._thread.start()
                return
            self._ending.wait(AGAIN_SECONDS)

    def take(self) -> tuple[Model, View] | None:
        """Give what was made ready since this was last asked."""
        try:
            ready = self._ready.pop()
        except IndexError:  # in nearly every batch
            return None
        self._view = ready[1]
        return ready

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
        self.candidate.close()
        if not self._thread.is_alive():  # else it still uses the connection
            self._anchors.enrolments.close()

    def look(self) -> None:
        """Look once whether anything is new, and make it ready; see to the candidate."""
        is_changed = self._follow()
        self.candidate.look(self.model, self._used or (), is_changed=is_changed)

    def figures(self) -> Iterable[Figure]:
        """Say what was loaded and enrolled."""
        sight = self._view.sight if self._view is not None else None
        yield from self._bundle.figures()
        yield Figure(
            "reload_failing",
            "1 while something new can't be made ready, for a reason that nobody foresaw.",
            {(): float(bool(self._failure))},
        )
        counts = Counter((label, "bundle") for label in self.model.bundle.labels)
        counts.update((one.label, "enrolled") for one in (sight.enrolled if sight else ()))
        yield Figure(
            "anchors",
            "Reference windows that are compared with, by label and by who has them.",
            {key: float(count) for key, count in counts.items()},
            ("label", "origin"),
        )
        yield from self._anchors.figures(sight, self._unusable)
        yield from self.candidate.figures()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self.look()
                self._failure = ""
            except Exception as error:
                # The loop must go on with what it has, whatever a bundle or anchor brings about.
                if repr(error) != self._failure:
                    log.exception("looking for bundles and anchors failed")
                self._failure = repr(error)
            self._supervisor.reloaded()
            self._asked.wait(self._settings.reload.look_seconds)

    def _follow(self) -> bool:
        """Make ready what is new; tell whether anything is."""
        self._is_owed |= self._is_asked()
        used = self._anchors.look()
        is_asked, self._is_owed = self._is_owed, False
        view = self._bundle.look(used or (), is_asked=is_asked)
        is_changed = view is not None or (used or []) != (self._used or [])
        if view is None and is_changed:
            view = open_view(self._settings, self.model, used or ())
        if view is not None:
            self._make_ready(view)
        self._used = used  # only now: what failed is tried again
        return is_changed

    def _make_ready(self, view: View) -> None:
        for why in view.sight.unusable.values():
            log.warning("enrolled anchor can't be used", extra={"why": why})
        enrolled: Sequence[Enrolment] = view.sight.enrolled
        facts = {"bundle": self.model.bundle.id, "enrolled": len(enrolled)}
        log.info("made ready to be used", extra=facts)
        self._unusable = view.sight.unusable
        self._ready.append((self.model, view))

    def _is_asked(self) -> bool:
        """Whether somebody wants the bundle loaded anew; whoever asks from now on is heard."""
        if not self._asked.is_set() or self._ending.is_set():
            return False
        self._asked.clear()
        self._supervisor.reloading()
        return True
