"""Verdicts and events: what anchorwatch says, and how it goes out as JSON."""

from collections.abc import Sequence

import msgspec

from .anchors import Nearest
from .bundle import Anchor
from .state import Steady
from .window import Window

NORMAL = "normal"


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one window is nearest to."""

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


class Event(msgspec.Struct, frozen=True):
    """One change of a link's state."""

    link: str
    state: str
    previous: str | None
    at_ms: int  # end of the window that settled it
    since_ms: int  # end of the first window that said so
    verdict: Verdict


class Judge:
    """Makes verdicts of what is nearest, and events of what changed."""

    def __init__(
        self, anchors: Sequence[Anchor], labels: Sequence[str], steady: Steady, bundle: str
    ) -> None:
        self.steady = steady
        self._anchors = list(anchors)
        self._labels = list(labels)
        self._bundle = bundle

    def judge(
        self,
        windows: Sequence[Window],
        nearest: Nearest,
        seen: float,
        opinions: Sequence[str] = (),
    ) -> tuple[list[Verdict], list[Event]]:
        """Name each window, in the order given, and note where a link's state changed.

        *seen* is when the batch came, seconds of a clock that never goes back; *opinions* are
        what the head says of each window, or none.
        """
        verdicts, events = [], []
        # Plain lists: taking numbers out of arrays one by one costs more than all the rest.
        rows = zip(
            windows,
            nearest.distances.tolist(),
            nearest.label.tolist(),
            nearest.anchor.tolist(),
            nearest.margin.tolist(),
            opinions or [""] * len(windows),
            strict=True,
        )
        for window, distances, place, anchor, margin, opinion in rows:
            label = self._labels[place]
            known = self.steady.links.get(window.link)
            previous = known.label if known else None
            state = self.steady.push(
                window.link, window.end_ms, label, source=window.source, seen=seen
            )
            verdict = Verdict(
                window.link,
                window.source,
                window.start_ms,
                window.end_ms,
                label,
                state.label,
                distances[place],
                margin,
                self._anchors[anchor].name,
                dict(zip(self._labels, distances, strict=True)),
                self._bundle,
                "" if label == NORMAL else self._reason(distances, place, anchor),
                opinion,
            )
            verdicts.append(verdict)
            # A link that is first seen and is well is no news.
            if state.label is not None and state.label != (previous or NORMAL):
                events.append(_event(verdict, previous, state.since_ms))
        return verdicts, events

    def _reason(self, distances: list[float], place: int, anchor: int) -> str:
        """Say what the window resembles and what it might have been instead."""
        near = self._anchors[anchor]
        others = sorted(
            (distance, label)
            for distance, label in zip(distances, self._labels, strict=True)
            if label != self._labels[place]
        )
        text = f"like {near.name} ({near.kind}), {distances[place]:.2f} away"
        return text + "".join(f"; {label} is {distance:.2f} away" for distance, label in others)


def _event(verdict: Verdict, previous: str | None, since_ms: int) -> Event:
    state = verdict.state or verdict.label
    return Event(verdict.link, state, previous, verdict.end_ms, since_ms, verdict)
