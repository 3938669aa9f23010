"""Duty: what is made of a batch of windows beyond naming each of them.

Copies of live windows with planted faults go through the encoder beside the real ones; links
turn from one state to another; each turn to a fault is given its reason. The service does the
rest: it brings batches, and takes what comes of them to the sinks.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.batch import Batch
from detector.sight import Sight
from detector.state import NORMAL, RESTING, UNKNOWN, Turn, sayings
from detector.verdict import Judge, Verdict
from detector.window import Window, is_count

from .canary import Canaries
from .explainer import Explainer, Score, likeness
from .moment import Moment
from .presence import Heard
from .recall import Result
from .roster import Roster


@dataclass(slots=True)
class Judged:
    """What came of a batch."""

    verdicts: list[Verdict] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)  # that windows made, in their order
    embeddings: NDArray[np.float32] | None = None  # (windows, embedding); None: no window
    canaries: list[Result] = field(default_factory=list)
    unexplained: int = 0  # changes to a fault for whose reason there was no time
    unknown: int = 0  # links that turned to unknown
    embed_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything of a duty that comes of a bundle and of what was enrolled: made ready as one."""

    sight: Sight
    explainer: Explainer | None = None
    canaries: Canaries | None = None


class Duty:
    """Judges batches over time."""

    sight: Sight
    explainer: Explainer | None
    canaries: Canaries | None

    def __init__(self, roster: Roster, view: View) -> None:
        self.roster = roster
        self._look_through(view)

    def exchange(self, view: View) -> None:
        """Go on with another bundle or other anchors; what is known of links stays.

        Where only anchors changed, faults that are planted now go on, and their recall.
        """
        is_same = view.sight.bundle.id == self.sight.bundle.id
        canaries = self.canaries
        self._look_through(view)
        if is_same and canaries is not None:
            self.canaries = canaries
            canaries.relabel(view.sight.labels)

    def _look_through(self, view: View) -> None:
        self.sight, self.explainer, self.canaries = view.sight, view.explainer, view.canaries
        self.spec = spec = view.sight.bundle.manifest.window
        self.roster.steady.relabel(view.sight.labels)
        self.roster.usual.use(spec.features)
        self.judge: Judge = view.sight.judge(self.roster.steady)
        counts = [place for place, name in enumerate(spec.features) if is_count(name)]
        self._counts = np.array(counts or range(len(spec.features)), np.intp)

    def take(self, batch: Batch, moment: Moment) -> Judged:
        """Judge a batch; the changes of state that it makes are the roster's from then on."""
        links = self.roster.steady.links
        planted = (
            self.canaries.plant(batch.windows, links, moment.now)
            if self.canaries is not None
            else []
        )
        values = np.stack([window.values for window in (*batch.windows, *planted)])
        begun = time.perf_counter()
        embeddings = self.sight.encoder.embed(values)
        embed_seconds = time.perf_counter() - begun
        seen, count = self.sight.look(embeddings), len(batch.windows)
        mine, rest = seen.part(slice(count)), seen.part(slice(count, None))
        judged = Judged(embeddings=embeddings[:count], embed_seconds=embed_seconds)
        judged.verdicts, turns = self.judge.judge(batch.windows, *mine)
        judged.turns = [turn for some in turns.values() for turn in some]
        self._learn(batch.windows, judged.verdicts, values)
        # First, so that it is known who could be company for what is to be told.
        self.roster.hear(self._heard(batch, values[:count]), moment)
        self._turn(judged, turns, values, moment)
        if self.canaries is not None:
            ends_ms = [window.end_ms for window in planted]
            said = sayings(rest.nearest, ends_ms, self.spec.span_ms, rest.strangeness)
            judged.canaries = self.canaries.judge(said, links)
        return judged

    def _learn(
        self, windows: Sequence[Window], verdicts: Sequence[Verdict], values: NDArray[np.float32]
    ) -> None:
        """Learn what is usual from windows that nothing speaks against."""
        links = self.roster.steady.links
        # A link's last window of the batch stands for the others.
        places: dict[str, int] = {}
        for place, verdict in enumerate(verdicts):
            is_well = verdict.label == verdict.state == NORMAL
            if (
                is_well
                and not links[verdict.link].is_swayed
                and self.roster.usual.is_due(verdict.link, verdict.end_ms)
            ):
                places[verdict.link] = place
        chosen = list(places.values())
        ends_ms = [windows[place].end_ms for place in chosen]
        self.roster.usual.learn(list(places), ends_ms, values[chosen])

    def _turn(
        self,
        judged: Judged,
        turns: Mapping[int, Sequence[Turn]],
        values: NDArray[np.float32],
        moment: Moment,
    ) -> None:
        """Tell the roster of changes of state, those to a fault with their reason."""
        reasons = self._reasons(judged, turns, values)
        for place, some in turns.items():
            judged.unknown += sum(turn.state == UNKNOWN for turn in some)
            verdict = judged.verdicts[place]
            if place in reasons:
                verdict = msgspec.structs.replace(
                    verdict, reason=f"{reasons[place]}; {verdict.reason}"
                )
                judged.verdicts[place] = verdict
            self.roster.take(some, moment, verdict, verdict.reason)

    def _reasons(
        self, judged: Judged, turns: Mapping[int, Sequence[Turn]], values: NDArray[np.float32]
    ) -> dict[int, str]:
        faults = {
            place: some[-1].state
            for place, some in turns.items()
            if some[-1].state not in RESTING and judged.verdicts[place].label != NORMAL
        }
        if self.explainer is None or not faults:
            return {}
        places = list(faults)
        usual = self.roster.usual.of([judged.verdicts[place].link for place in places])
        found = self.explainer.explain(
            values[places], usual, [self._score(faults[place]) for place in places]
        )
        judged.unexplained = sum(reason is None for reason in found)
        return {p: reason.text for p, reason in zip(places, found, strict=True) if reason}

    def _score(self, state: str) -> Score:
        """Give what tells how much a window is a fault."""
        if state == UNKNOWN and self.sight.strangeness:
            return self.sight.strangeness.known.scores
        return likeness(self.sight.anchors, state)

    def _heard(self, batch: Batch, values: NDArray[np.float32]) -> list[Heard]:
        """Say whose windows these were, and how much traffic they had."""
        traffic = np.nansum(values[:, :, self._counts], axis=(1, 2)).tolist()
        places = [share.place for share in batch.shares for _ in range(share.windows)]
        return [
            Heard(window.link, window.source, place, window.end_ms, activity)
            for window, place, activity in zip(batch.windows, places, traffic, strict=True)
        ]
