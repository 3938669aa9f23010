"""The test for drift: how often windows are outside of where the training's were.

Of each link one window in each length of a window is looked at, while the link is normal. It is
outside by its inputs as far as they are out of their ranges (`reference`), a share of them, and
by its embedding if it scores above what 39 in 40 windows did. In training that is one in twenty
at most. Counts fade: what was seen `[drift] hours` ago weighs 0.37 of what is seen now.

A link drifts when the lower limit of its share (`wilson`) is above `[drift] times` a twentieth.
Two windows in a row of a link are alike, so two count as one. All links together drift when the
same is true of their mean; there each link counts as few windows, however many were seen of it,
for links differ far more than windows of a link. And it is time to train anew when all together
drift, or more links than may by chance: the lower limit of the share of links that drift, where
there are 20 at least, is above a tenth.
"""

from collections.abc import Container, Sequence
from math import exp

import numpy as np
from numpy.typing import NDArray

from detector.bundle import Bundle
from detector.config import Drift as Settings
from detector.figures import Figure
from detector.inputs import Inputs
from detector.state import NORMAL
from detector.verdict import Verdict
from detector.window import Window

from .links import Links
from .reference import OUTSIDE
from .telling import EMBEDDING, INPUTS, DriftStatus, LinkDrift, figures
from .wilson import lower

ALIKE = 2.0  # windows of a link in a row that say as much as one
LINK_WORTH = 10.0  # windows that a link counts as, among all links
FEWEST_WINDOWS = 20.0  # of a link, before it is one that could drift
FEWEST_LINKS = 20  # that could drift, before their number says anything
MANY = 0.1  # of them drift: more than may by chance
MOST_AT_ONCE = 128  # windows of a batch that are looked at
LOOK_SECONDS = 10.0  # from one sum over all links to the next
FORGET_SECONDS = 600.0  # from one look for links that are no longer there to the next
WORST = 20  # links that a status lists
KINDS = (INPUTS, EMBEDDING)


class Drift:
    """Holds live windows against the training's.

    Of each link it keeps 40 bytes and its name; what it costs is bounded by `MOST_AT_ONCE`.
    """

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        """Make ready.

        Raises:
            ValueError: if the bundle has no reference.
        """
        if bundle.drift is None:
            raise ValueError(f"bundle {bundle.id} does not say what its training was like")
        self._reference, self._known = bundle.drift, bundle.known
        self._inputs = Inputs(bundle.manifest.inputs, bundle.manifest.window)
        self._span_ms = bundle.manifest.window.span_ms
        self._limit = settings.times * OUTSIDE
        self._fade_seconds = settings.hours * 3600
        self._links = Links(self._fade_seconds)
        self._by_input = np.zeros(self._inputs.count)  # windows outside, faded
        self._weight = 0.0  # windows looked at, faded
        self._faded = 0.0  # when those two were last faded, seconds of the caller's clock
        self._looked = self._forgot = -np.inf  # seconds of the caller's clock
        self._windows = 0
        self.status = DriftStatus(times=settings.times, hours=settings.hours)

    def take(
        self,
        windows: Sequence[Window],
        verdicts: Sequence[Verdict],
        embeddings: NDArray[np.float32],
        links: Container[str],
        now: float,
    ) -> None:
        """Look at some windows of a batch: those of links that are normal and due.

        *links* are all that there are; *now* is seconds of a clock that never goes back.
        """
        names = [verdict.link if verdict.state == NORMAL else "" for verdict in verdicts]
        due = self._links.due(names, [one.end_ms for one in verdicts], self._span_ms)
        if len(due):
            # Whoever is not looked at now is due with his next window.
            due = due[:MOST_AT_ONCE]
            values = np.stack([windows[place].values for place in due])
            outside = self._reference.outside(self._inputs(values).mean(axis=1))
            shares = np.stack([outside.mean(axis=1), self._strange(embeddings[due])], axis=1)
            chosen = [(names[place], verdicts[place].end_ms) for place in due]
            self._links.add(chosen, shares, now)
            self._note(outside, now)
        if now - self._forgot >= FORGET_SECONDS:
            self._links.keep(links)
            self._forgot = now
        if now - self._looked >= LOOK_SECONDS:
            self.status = self._look(now)
            self._looked = now

    def figures(self) -> list[Figure]:
        """Tell programs how it is."""
        return figures(self.status)

    def _strange(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Tell of which windows the embedding is outside, as 0 and 1; of none without a score."""
        score = self._reference.sample.score
        if self._known is None or score is None:
            return np.zeros(len(embeddings), np.float32)
        return (self._known.scores(embeddings) > score).astype(np.float32)

    def _note(self, outside: NDArray[np.bool_], now: float) -> None:
        """Count inputs that are outside, over all links."""
        fade = exp(-max(0.0, now - self._faded) / self._fade_seconds) if self._weight else 0.0
        self._by_input = self._by_input * fade + outside.sum(axis=0)
        self._weight = self._weight * fade + len(outside)
        self._faded = now
        self._windows += len(outside)

    def _look(self, now: float) -> DriftStatus:
        """Add up over all links."""
        weights, sums = self._links.counts(now)
        shares = sums / np.maximum(weights, 1e-9)[:, None]
        can_drift = weights >= FEWEST_WINDOWS
        is_over = lower(shares, weights[:, None] / ALIKE) > self._limit
        drifting = is_over & can_drift[:, None]
        total = weights.sum()
        # As many links as would weigh the same if all weighed alike (Kish 1965).
        alike = total**2 / max(float(np.square(weights).sum()), 1e-9)
        count = min(alike * LINK_WORTH, total / ALIKE)
        means = sums.sum(axis=0) / max(total, 1e-9)
        limits = lower(means, count)
        able, many = int(can_drift.sum()), drifting.any(axis=1)
        is_many = able >= FEWEST_LINKS and float(lower(many.sum() / able, able)) > MANY
        return DriftStatus(
            times=self.status.times,
            hours=self.status.hours,
            windows=self._windows,
            links=able,
            shares=_by_kind(means),
            limits=_by_kind(limits),
            drifting=_by_kind(drifting.sum(axis=0)),
            inputs=dict(
                zip(
                    self._inputs.spec.names,
                    (self._by_input / max(self._weight, 1e-9)).round(6).tolist(),
                    strict=True,
                )
            ),
            is_wanted=bool((limits > self._limit).any() or is_many),
            worst=self._worst(shares, drifting),
        )

    def _worst(
        self, shares: NDArray[np.float64], drifting: NDArray[np.bool_]
    ) -> tuple[LinkDrift, ...]:
        """List the links that drift most."""
        highest = np.where(drifting, shares, 0.0).max(axis=1, initial=0.0)
        order = np.argsort(-highest, kind="stable")[:WORST]
        places = [int(place) for place in order if highest[place] > 0]
        names = self._links.names(places)
        return tuple(
            LinkDrift(name, **_by_kind(shares[place]))
            for name, place in zip(names, places, strict=True)
        )


def _by_kind(values: NDArray[np.float64] | NDArray[np.intp]) -> dict[str, float]:
    return {kind: float(value) for kind, value in zip(KINDS, values, strict=True)}
