"""Verdicts: what anchorwatch says of each window, and how it goes out as JSON."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from .anchors import Nearest
from .bundle import Anchor
from .state import NORMAL, UNKNOWN, Steady, Turn, sayings
from .window import Window


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one window is nearest to, or that it is near to nothing."""

    link: str
    source: str
    start_ms: int
    end_ms: int
    label: str
    state: str | None  # the link's steady state with this window; None: not known yet
    distance: float  # to the nearest anchor
    margin: float  # how much nearer the best label is than the runner-up
    anchor: str  # the nearest anchor's name
    distances: dict[str, float]  # to the nearest anchor of each label
    bundle: str
    reason: str = ""  # when the label is not `normal`
    opinion: str = ""  # what the head would have said, where the bundle has one
    strangeness: float = 0.0  # how far from all that is known; above 1 it is `unknown`
    since_ms: int = 0  # when the state began; with link and state it is the episode


class Judge:
    """Makes verdicts of what is nearest, and of what links turn to."""

    def __init__(
        self, anchors: Sequence[Anchor], labels: Sequence[str], steady: Steady, bundle: str
    ) -> None:
        self.steady = steady
        self._anchors, self._labels = tuple(anchors), tuple(labels)
        self._bundle = bundle

    def judge(
        self,
        windows: Sequence[Window],
        nearest: Nearest,
        strangeness: NDArray[np.float32] | None = None,
        opinions: Sequence[str] = (),
    ) -> tuple[list[Verdict], dict[int, list[Turn]]]:
        """Name each window, in the order given, and note where a link's state changed.

        *strangeness* is in thresholds, none where the bundle can't tell; *opinions* are what the
        head says of each window, or none. Gives the verdicts, and by the place of the window
        that settled them the changes of state.
        """
        verdicts: list[Verdict] = []
        turns: dict[int, list[Turn]] = {}
        ends_ms = [window.end_ms for window in windows]
        span_ms = windows[0].end_ms - windows[0].start_ms if windows else 1
        rows = zip(
            windows,
            sayings(nearest, ends_ms, span_ms, strangeness),
            nearest.distances.tolist(),
            nearest.anchor.tolist(),
            opinions or [""] * len(windows),
            strict=True,
        )
        for window, said, distances, anchor, opinion in rows:
            state = self.steady.push(window.link, said, window.source)
            if self.steady.turns:
                turns[len(verdicts)] = self.steady.take_turns()
            label, place = self._labels[said.place], said.place
            is_strange = said.strangeness > 1
            is_well = label == NORMAL and not is_strange
            verdicts.append(
                Verdict(
                    window.link,
                    window.source,
                    window.start_ms,
                    window.end_ms,
                    UNKNOWN if is_strange else label,
                    state.label,
                    distances[place],
                    said.margin,
                    self._anchors[anchor].name,
                    dict(zip(self._labels, distances, strict=True)),
                    self._bundle,
                    "" if is_well else self._reason(distances, place, anchor, said.strangeness),
                    opinion,
                    said.strangeness,
                    state.since_ms,
                )
            )
        return verdicts, turns

    def _reason(self, distances: list[float], place: int, anchor: int, strangeness: float) -> str:
        """Say what the window resembles and what it might have been instead."""
        near = self._anchors[anchor]
        others = sorted(
            (distance, label)
            for distance, label in zip(distances, self._labels, strict=True)
            if label != self._labels[place]
        )
        text = f"like {near.name} ({near.kind}), {distances[place]:.2f} away"
        text += "".join(f"; {label} is {distance:.2f} away" for distance, label in others)
        if strangeness > 1:
            return f"unlike anything known, {strangeness:.2f} times as far as allowed; most {text}"
        return text
