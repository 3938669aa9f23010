"""Following a bundle: the one that a store says is in use, or one that is loaded anew when asked.

What can't be used is refused with a log line and a figure, and tried again now and then: somebody
may mend it in its place.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from .bundle import BundleError
from .bundles import BundleStore, is_store
from .config import ConfigError, Settings
from .enrolment import Enrolment
from .figures import Figure
from .oncall.duty import View
from .oncall.opening import Model, open_current, open_view
from .window import WindowSpec

log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0  # until what was refused is tried again


class BundleFollower:
    """Looks for another bundle, and makes it ready."""

    def __init__(
        self, settings: Settings, model: Model, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with *model*, which is in use."""
        self.model = model  # the newest that could be used
        self._settings, self._clock = settings, clock
        # Which version was tried last, good or not; None: a bundle that is no store's.
        self._mark = model.bundle.id if is_store(Path(settings.bundle)) else None
        self._sent = needed(model.spec)  # features that exporters are known to send
        self._outcomes = Counter[str](loaded=0, refused=0)
        self._why = ""  # what is wrong with the one that should be in use
        self._again = 0.0  # when it is tried again, seconds of the clock

    def look(self, enrolled: Sequence[Enrolment], *, is_asked: bool) -> View | None:
        """Give what another bundle makes of windows, if there is another that can be used."""
        mark = self._current()
        is_news = mark != self._mark or is_asked
        if not is_news and (not self._why or self._clock() < self._again):
            return None
        self._mark = mark
        try:
            model = self._load()
            # Here too: what can't be looked through must not be taken for loaded.
            view = open_view(self._settings, model, enrolled)
        except Exception as error:
            # Mostly a BundleError. But nothing that somebody put there may end what runs.
            is_expected = isinstance(error, BundleError | ConfigError | OSError)
            self._refuse(str(error) if is_expected else repr(error), is_news=is_news)
            return None
        self._outcomes["loaded"] += 1
        self._why = ""
        if model.bundle.id == self.model.bundle.id:
            log.info("bundle is the one in use", extra={"bundle": model.bundle.id})
            return None
        log.info("bundle loaded", extra={"bundle": model.bundle.id, "was": self.model.bundle.id})
        self.model = model
        return view

    @property
    def is_refused(self) -> bool:
        """Whether the bundle that should be in use can't be, and the one before it is."""
        return bool(self._why)

    def figures(self) -> Iterable[Figure]:
        """Say what was loaded."""
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
            {(): float(self.is_refused)},
        )

    def _load(self) -> Model:
        model = open_current(Path(self._settings.bundle), self._settings)
        if why := unfit(model.spec, self.model.spec, self._sent):
            raise BundleError(f"bundle {model.bundle.id}: {why}; restart the daemon to use it")
        return model

    def _refuse(self, why: str, *, is_news: bool) -> None:
        self._again = self._clock() + RETRY_SECONDS
        if is_news or why != self._why:
            self._outcomes["refused"] += 1
            log.error("bundle refused", extra={"why": why, "bundle": self.model.bundle.id})
        self._why = why

    def _current(self) -> str | None:
        path = Path(self._settings.bundle)
        return BundleStore(path).current if is_store(path) else None


def needed(spec: WindowSpec) -> set[str]:
    """Give the features that every window has to have.

    >>> needed(WindowSpec(("sent", "lost"), steps=1, step_ms=1000, optional=("lost",)))
    {'sent'}
    """
    return set(spec.features) - set(spec.optional)


def unfit(new: WindowSpec, old: WindowSpec, sent: Collection[str] = ()) -> str:
    """Say why windows that come for one model can't be read by another; "" if they can.

    What exporters send is what the model in use needs: so many steps, and its features; *sent*
    are others that they are known to send.
    """
    if (new.steps, new.step_ms) != (old.steps, old.step_ms):
        return (
            f"it reads windows of {new.steps} steps of {new.step_ms} ms, those that come have "
            f"{old.steps} of {old.step_ms}"
        )
    lacking = sorted(needed(new) - needed(old) - set(sent))
    return f"it needs the feature {lacking[0]!r}, which the one in use does not" if lacking else ""
