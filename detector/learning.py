"""Learning: what becomes of a batch after it is judged and told.

Captures of it are kept, a candidate is tried on it, and it is held against the training. None
of these may delay a verdict or end the daemon: each has a thread of its own, or does little.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .bundle import Bundle
from .candidate import Candidate
from .config import Drift as DriftSettings
from .drift.drift import Drift
from .drift.telling import NO_DRIFT, DriftStatus, figures
from .oncall.duty import Duty, Judged, View
from .oncall.moment import Moment
from .shadow.telling import ShadowStatus
from .window import Window

if TYPE_CHECKING:
    from .figures import Figure
    from .store import CaptureStore


@dataclass(kw_only=True)
class Learning:
    """Those who look on."""

    store: "CaptureStore | None" = None
    candidate: Candidate | None = None
    drift: "Watched | None" = None

    def take(self, windows: Sequence[Window], judged: Judged, duty: Duty, moment: Moment) -> None:
        """Take a batch and what came of it."""
        silent, duty.roster.fell_silent = duty.roster.fell_silent, []
        verdicts = judged.verdicts
        if self.store is not None:
            self.store.take(windows, verdicts, [verdict.since_ms for verdict in verdicts])
            for link, at_ms in silent:
                self.store.changed(link, at_ms)
        shadow = self.candidate.beside(duty.sight.bundle.id) if self.candidate else None
        if shadow is not None:
            shadow.take(windows, verdicts, judged.turns)
            if duty.canaries is not None:
                shadow.live_canaries(duty.canaries.recall.scores())
        if self.drift is not None and judged.embeddings is not None:
            links = duty.roster.steady.links
            self.drift.take(windows, judged, links, moment.now)

    def exchange(self, view: View) -> None:
        """Go on with another bundle or other anchors."""
        bundle = view.sight.bundle
        if self.store is not None:
            self.store.use(bundle.manifest.window)
        if self.drift is not None:
            self.drift.use(bundle)

    @property
    def figures(self) -> "list[Callable[[], Iterable[Figure]]]":
        """Give what each has to say in numbers."""
        parts = (self.store, self.drift)
        return [part.figures for part in parts if part is not None]

    @property
    def statuses(self) -> dict[str, ShadowStatus | DriftStatus]:
        """Give what each has to say to people, by the names of `Status`."""
        found: dict[str, ShadowStatus | DriftStatus] = {}
        if self.candidate is not None:
            found["shadow"] = self.candidate.status
        if self.drift is not None:
            found["drift"] = self.drift.status
        return found

    def close(self) -> None:
        """Let all of them finish."""
        if self.store is not None:
            self.store.close()


class Watched:
    """Drift against whichever bundle is in use; against one without a reference there is none."""

    def __init__(self, bundle: Bundle, settings: DriftSettings) -> None:
        self._settings = settings
        self._bundle = ""
        self._drift: Drift | None = None
        self.use(bundle)

    def use(self, bundle: Bundle) -> None:
        """Hold traffic against another training; against the same one what was seen counts on."""
        if bundle.id == self._bundle:
            return
        self._bundle = bundle.id
        self._drift = Drift(bundle, self._settings) if bundle.drift is not None else None

    def take(
        self, windows: Sequence[Window], judged: Judged, links: Container[str], now: float
    ) -> None:
        """Look at some windows of a batch."""
        if self._drift is not None and judged.embeddings is not None:
            self._drift.take(windows, judged.verdicts, judged.embeddings, links, now)

    @property
    def status(self) -> DriftStatus:
        """Tell how it is."""
        drift = self._drift
        return NO_DRIFT if drift is None else drift.status

    def figures(self) -> "Iterable[Figure]":
        """Tell programs how it is."""
        return figures(self.status)
