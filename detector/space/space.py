"""Space: where links lie among the anchors right now.

That of every link would be a few series each, and a copy of every embedding. So it is told of
some links, those *in depth*: the ones with a fault first, then whoever was among them before.
The loop takes notes of them with each batch and publishes once a second; other threads look at
what was published last, which never changes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.figures import Figure
from detector.sight import Sight
from detector.state import RESTING, SILENT, LinkState
from detector.status import LinkStatus
from detector.verdict import Verdict

from .projection import Projection
from .telling import AnchorSpot, LinkSpot, Point, SpaceStatus, figures

KNOWN = 300  # windows known from training that are shown


@dataclass(frozen=True, slots=True)
class _Newest:
    """What came of a link's newest window."""

    verdict: Verdict
    embedding: NDArray[np.float32]


class Space:
    """Takes notes of the links in depth, *most* at once."""

    def __init__(self, sight: Sight, most: int) -> None:
        self._most = most
        self._chosen: dict[str, None] = {}  # links in depth, in the order of their choice
        self._newest: dict[str, _Newest] = {}
        self.exchange(sight)

    def exchange(self, sight: Sight) -> None:
        """Show another bundle's space, or other anchors in the same; notes of links start anew."""
        trained, known = sight.bundle.anchor_embeddings, sight.bundle.known
        basis = trained if known is None else np.concatenate([trained, known.points])
        self._project = Projection.of(basis)
        self._newest.clear()
        self.status = SpaceStatus(
            bundle=sight.bundle.id,
            dimensions=basis.shape[1],
            kept=self._project.kept,
            anchors=tuple(self._anchors(sight)),
            known=tuple(self._points(_some(known.points))) if known is not None else (),
            most=self._most,
        )

    def take(self, verdicts: Sequence[Verdict], embeddings: NDArray[np.float32]) -> None:
        """Note what came of a batch: embeddings are (windows, embedding)."""
        chosen = self._chosen
        for place, verdict in enumerate(verdicts):
            if verdict.link in chosen:
                self._newest[verdict.link] = _Newest(verdict, embeddings[place].copy())

    def look(self, links: Mapping[str, LinkState], worst: Iterable[LinkStatus]) -> SpaceStatus:
        """Choose the links in depth anew, *worst* before others, and tell what is noted."""
        self._choose(links, [one.link for one in worst])
        noted = [
            (links[name], self._newest[name])
            for name in self._chosen
            if name in self._newest and links[name].label != SILENT
        ]
        self._newest = {state.name: newest for state, newest in noted}
        points = self._points(np.array([newest.embedding for _, newest in noted], np.float32))
        spots = tuple(
            LinkSpot(
                state.name,
                state.source,
                state.label,
                at,
                newest.verdict.distances,
                newest.verdict.strangeness,
                newest.verdict.end_ms,
            )
            for (state, newest), at in zip(noted, points, strict=True)
        )
        self.status = msgspec.structs.replace(self.status, links=spots)
        return self.status

    def figures(self) -> Iterable[Figure]:
        """Tell programs how it is."""
        return figures(self.status)

    def _choose(self, links: Mapping[str, LinkState], worst: Sequence[str]) -> None:
        faults = (name for name in worst if name in links and links[name].label not in RESTING)
        chosen: dict[str, None] = {}
        for names in (faults, self._chosen, worst, links):
            for name in names:
                if len(chosen) == self._most:
                    break
                if name in links:
                    chosen[name] = None
        self._chosen = chosen

    def _anchors(self, sight: Sight) -> Iterable[AnchorSpot]:
        points = self._points(sight.anchors.points)
        of_a_name = Counter[str]()
        for place, (anchor, at) in enumerate(zip(sight.names, points, strict=True)):
            of_a_name[anchor.name] += 1
            count = of_a_name[anchor.name]
            name = anchor.name if count == 1 else f"{anchor.name}#{count}"
            is_trained = place < sight.anchors.trained
            yield AnchorSpot(name, anchor.label, "trained" if is_trained else "enrolled", at)

    def _points(self, embeddings: NDArray[np.float32]) -> Iterable[Point]:
        if not len(embeddings):
            return
        yield from map(tuple, self._project(embeddings).tolist())


def _some(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Choose up to `KNOWN` of them, evenly."""
    return points[:: -(-len(points) // KNOWN)]
