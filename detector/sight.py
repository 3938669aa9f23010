"""Sight: what a bundle makes of windows, with the anchors that were enrolled since.

It never changes. Another bundle, or another set of anchors, is another sight, made ready beside
the one in use and put in its place between two batches; a candidate in the shadow, a replay and
the preview of an enrolment look through one of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .anchors import AnchorSet, Nearest
from .bundle import Anchor, Bundle
from .config import State
from .encoder import Encoder
from .enrolment import Enrolment, EnrolmentError
from .oncall.strangeness import Strangeness
from .state import Steady
from .verdict import Judge


class Seen(NamedTuple):
    """What was made of a batch."""

    nearest: Nearest
    strangeness: NDArray[np.float32] | None  # (batch,), in thresholds; None: can't be told
    opinions: Sequence[str]  # of the head, one a window or none

    def part(self, which: slice) -> "Seen":
        """Give the same of some of the windows."""
        strange = None if self.strangeness is None else self.strangeness[which]
        return Seen(self.nearest.part(which), strange, self.opinions[which])


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A bundle, its encoder, and all anchors that windows are compared with."""

    bundle: Bundle
    encoder: Encoder
    anchors: AnchorSet
    names: tuple[Anchor, ...]  # of the anchors, in the order in which they were given
    strangeness: Strangeness | None  # tells what is like nothing known
    enrolled: tuple[Enrolment, ...] = ()  # in use
    unusable: dict[str, str]  # ids of enrolments that this bundle can't use, and why

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        encoder: Encoder,
        enrolments: Sequence[Enrolment] = (),
        budget_a_week: float | None = 1.0,
    ) -> "Sight":
        """Embed what was enrolled, and put it beside the bundle's own anchors.

        *budget_a_week* is that of false alarms by the unknown; with None nothing is unknown.
        """
        used, unusable = [], dict[str, str]()
        names, points = list(bundle.manifest.anchors), [bundle.anchor_embeddings]
        reaches: list[float] = []
        for one in enrolments:
            try:
                windows = one.fitted(bundle.manifest.window)
            except EnrolmentError as error:
                unusable[one.id] = str(error)
                continue
            used.append(one)
            points.append(encoder.embed(windows))
            anchor = Anchor(one.name, one.label, one.kind or one.label, one.link, one.start_ms)
            names += [anchor] * len(windows)
            reaches += [one.reach] * len(windows)
        labels = [anchor.label for anchor in names]
        anchors = AnchorSet(np.concatenate(points), labels, reaches)
        strangeness = None
        if budget_a_week is not None and bundle.known is not None:
            strangeness = Strangeness(bundle.known, anchors.labels, budget_a_week)
        return cls(
            bundle=bundle,
            encoder=encoder,
            anchors=anchors,
            names=tuple(names),
            strangeness=strangeness,
            enrolled=tuple(used),
            unusable=unusable,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """All that it can name, in the order of `Nearest`'s columns."""
        return self.anchors.labels

    def look(self, embeddings: NDArray[np.float32]) -> Seen:
        """Say what windows are, by their embeddings: (batch, embedding)."""
        known, head = self._known(embeddings), self.bundle.head
        nearest = self.anchors.classify(embeddings, known)
        opinions = head.name(embeddings) if head else ()
        if self.strangeness is None or known is None:
            return Seen(nearest, None, opinions)
        # What an enrolled anchor claims is known by that anchor.
        is_claimed = nearest.anchor >= self.anchors.trained
        own = nearest.distances[np.arange(len(known)), nearest.label]
        distances = np.where(is_claimed, own, known)
        return Seen(nearest, self.strangeness.of(distances, nearest.label), opinions)

    def see(self, values: NDArray[np.float32]) -> Seen:
        """Embed raw windows and say what they are: (batch, steps, features)."""
        return self.look(self.encoder.embed(values))

    def _known(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Say how far windows are from what training knew, where anybody asks: (batch,)."""
        if self.bundle.known is None or (self.strangeness is None and not self.enrolled):
            return None
        return self.bundle.known.distances(embeddings)

    def steady(self, rule: State | None = None) -> Steady:
        """Make what keeps links' states by its labels."""
        return Steady(self.labels, rule)

    def judge(self, steady: Steady) -> Judge:
        """Make what words its verdicts."""
        return Judge(self.names, self.labels, steady, self.bundle.id)
