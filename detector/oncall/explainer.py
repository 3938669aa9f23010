"""What made a window resemble a fault: which changes count, and for how much.

A verdict is a distance in a space that nobody can picture. What made it is found by asking the
encoder again (occlusion, and its counterpart, insertion): put one feature that changed back to
its usual value, and see how much of the likeness to the fault is lost; put it alone into the
otherwise usual window, and see how much is won. The mean of both is what the feature counts for:
a feature that makes the fault alone, and one that does so only beside another, both show.
Source: it is a Shapley value (Shapley 1953) of which only the first and the last place in the
order are taken; for two features it is exact. The whole one, over random orders, put planted
changes first no more often, at several times the cost.

Only what changed (`change`) is put back, and only in the stretch in which it did: all else stays
as it was seen, with its noise, so a feature that is as usual counts for nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.state import NORMAL
from detector.window import WindowSpec

from .change import Changes, Noise, changes, mean_rows, noise_of
from .reason import Part, Reason

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Score = Callable[[NDArray[np.float32]], NDArray[np.float32]]
TOGETHER = 8  # windows explained at once; the clock is read between such groups


@dataclass(kw_only=True)
class Explainer:
    """Finds the reasons of a batch's faults, as many as its time allows."""

    spec: WindowSpec
    embed: Embed  # (batch, steps, features) to (batch, embedding)
    normal: NDArray[np.float32]  # (anchors, steps, features), windows of the normal anchors
    seconds: float = 0.1  # that a batch's reasons may take
    clock: Callable[[], float] = time.monotonic
    _noise: Noise = field(init=False)

    def __post_init__(self) -> None:
        if not len(self.normal) or self.normal.shape[1:] != self.spec.shape:
            raise ValueError(f"normal windows are {self.normal.shape}, need {self.spec.shape}")
        self._noise = noise_of(self.spec.features, self.normal)

    def explain(
        self,
        windows: NDArray[np.float32],
        usual: NDArray[np.float32],
        scores: Score | Sequence[Score],
    ) -> list[Reason | None]:
        """Give the reason of each window, in the order given; None where time ran out.

        *usual* is each link's own value per step when it was last normal, (windows, features),
        NaN where not known; a row of NaN means that nothing is known of the link, and the
        normal reference stands in. *scores* is one function for all windows or one for each:
        the higher its number for an embedding, the more it is this fault (see `likeness`).
        Time is looked at between groups of a few windows: those first in order are surest to
        be explained, and the last group may end late.
        """
        each = [scores] * len(windows) if callable(scores) else list(scores)
        until = self.clock() + self.seconds
        reasons: list[Reason | None] = []
        for first in range(0, len(windows), TOGETHER):
            some = slice(first, first + TOGETHER)
            if self.clock() >= until:
                break
            reasons += self._explain(windows[some], usual[some], each[some])
        return reasons + [None] * (len(windows) - len(reasons))

    def _explain(
        self, windows: NDArray[np.float32], usual: NDArray[np.float32], scores: Sequence[Score]
    ) -> list[Reason]:
        is_unknown = np.all(np.isnan(usual), axis=1)
        if is_unknown.any():
            usual = usual.copy()
            for place in np.flatnonzero(is_unknown):
                usual[place] = self._reference(windows[place])
        found = changes(windows, usual, self._noise)
        undone = found.undone(windows)
        asked = [
            np.where(_put_back(changed)[:, None], back, window)
            for changed, back, window in zip(found.changed, undone, windows, strict=True)
        ]
        answers = self.embed(np.concatenate(asked))
        ends = np.cumsum([len(each) for each in asked])[:-1]
        reasons = []
        for place, mine in enumerate(np.split(answers, ends)):
            parts = self._parts(windows[place], found, place, _effects(scores[place](mine)))
            reasons.append(Reason(parts, self.spec.step_ms / 1000, bool(is_unknown[place])))
        return reasons

    def _reference(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the mean row of the normal anchor that is most like a window, at its load."""
        counters = self._noise.is_count
        rows = mean_rows(self.normal)
        now = np.nan_to_num(mean_rows(window[None])[0, counters])
        anchors = np.nan_to_num(rows[:, counters])
        alike = np.sqrt(np.maximum(anchors, 0)) @ np.sqrt(np.maximum(now, 0))
        length = np.sqrt(np.maximum(anchors, 0).sum(axis=1))
        nearest = int(np.argmax(alike / np.maximum(length, 1e-9)))
        total = anchors[nearest].sum()
        load = now.sum() / total if total > 0 and now.sum() > 0 else 1.0
        return np.where(counters, rows[nearest] * load, rows[nearest]).astype(np.float32)

    def _parts(
        self,
        window: NDArray[np.float32],
        found: Changes,
        place: int,
        effects: NDArray[np.float32],
    ) -> tuple[Part, ...]:
        """Put into words what was found of the window at *place*; effects of what changed."""
        seconds = self.spec.step_ms / 1000
        features = np.flatnonzero(found.changed[place])
        whole = effects.clip(min=0).sum()
        parts = []
        for which in np.argsort(-effects, kind="stable"):
            if not effects[which] > 0:
                break
            feature = features[which]
            start, end = int(found.start[place, feature]), int(found.end[place, feature])
            now = mean_rows(window[None, start:end, feature : feature + 1])[0, 0]
            unit = seconds if self._noise.is_count[feature] else 1.0
            parts.append(
                Part(
                    self.spec.features[feature],
                    float(found.usual[place, feature] / unit),
                    float(now / unit),
                    (self.spec.steps - start) * seconds,
                    (self.spec.steps - end) * seconds,
                    float(effects[which] / whole),
                )
            )
        return tuple(parts)


def likeness(anchors: AnchorSet, label: str, normal: str = NORMAL) -> Score:
    """Make the score of a named fault: how much farther *normal* is than *label*."""
    here, there = anchors.labels.index(label), anchors.labels.index(normal)

    def score(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        distances = anchors.classify(embeddings).distances
        return distances[:, there] - distances[:, here]

    return score


def _put_back(changed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose what is put back to usual in each window asked of: (2 + 2 x changed, features).

    Nothing; everything; each feature alone; everything but each feature.
    """
    alone = np.eye(len(changed), dtype=bool)[changed]
    nothing = np.zeros_like(changed)
    return np.concatenate([nothing[None], changed[None], alone, changed & ~alone])


def _effects(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh each feature by the scores of the windows that `_put_back` chose: (changed,)."""
    lost, won = np.split(scores[2:], 2)
    effects: NDArray[np.float32] = ((scores[0] - lost) + (won - scores[1])) / 2
    return effects
