"""A link's steady state: what its windows have said long enough and clearly enough.

One window can be wrong, and an engineer who is woken by one mutes the tool. So evidence is
added up, as in a sequential test (Page 1954, CUSUM): each window speaks for another label than
the link's own by how much nearer that label is, less a doubt, and against it otherwise; at a
sum of `[state] evidence` the state changes. A clear fault needs three or four windows, a vague one
more, and whatever comes and goes never gets there.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log2
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .anchors import Nearest
from .config import State as Rule

NORMAL = "normal"
UNKNOWN = "unknown"  # unlike anything known
SILENT = "silent"  # nothing comes of the link, while its exporter reports others
RETIRED = "retired"  # what an abated event's link is, if it has left for good
TELEMETRY_LOST = "telemetry-lost"  # of an exporter: nothing comes of any of its links
RESTING = (None, NORMAL)  # no fault
RESERVED = (UNKNOWN, SILENT, RETIRED, TELEMETRY_LOST)  # states that no training can teach

PARTS = 15  # of a window: evidence is counted in these, whatever step and hop are
PAUSE = 3  # times the time between two windows: a longer one makes old evidence stale
ONE_WINDOW = 0.5  # of the evidence needed, at most: no window decides alone


class Turn(NamedTuple):
    """One change of a link's state."""

    link: str
    source: str
    previous: str | None
    state: str
    at_ms: int  # end of the window that settled it, or when it was noticed
    since_ms: int  # when the new state began
    began_ms: int  # when the previous one did
    worst_margin: float  # of the clearest window of the previous one
    is_flapping: bool


class Said(NamedTuple):
    """What one window says of its link."""

    end_ms: int  # Unix time of its end, milliseconds
    span_ms: int  # how much time it covers
    place: int  # which label is the nearest
    shares: list[float]  # each label's distance over the sum of the two nearest ones'
    strangeness: float = 0.0  # in thresholds: above 1 it is like nothing known
    margin: float = 0.0  # how much nearer the best label is than the runner-up


def sayings(
    nearest: Nearest,
    ends_ms: NDArray[np.int64] | list[int],
    span_ms: int,
    strangeness: NDArray[np.float32] | None = None,
) -> Iterator[Said]:
    """Give what each window of a batch says, in order; without *strangeness* none is strange."""
    # Plain lists: taking numbers out of arrays one by one costs more than all the rest.
    rows = zip(
        np.asarray(ends_ms).tolist(),
        nearest.label.tolist(),
        nearest.shares.tolist(),
        [0.0] * len(nearest.label) if strangeness is None else strangeness.tolist(),
        nearest.margin.tolist(),
        strict=True,
    )
    for end_ms, place, shares, strange, margin in rows:
        yield Said(end_ms, span_ms, place, shares, strange, margin)


@dataclass(slots=True)
class LinkState:
    """What is known of one link."""

    name: str
    source: str = ""
    label: str | None = None  # None until enough was said for the first time
    since_ms: int = 0  # end of the first of the windows that made the label steady
    last_ms: int = -1  # end of the newest window
    hop_ms: int = 0  # from the window before to it
    settled_ms: int = -1  # end of the window that last changed the label
    fault_ended_ms: int = -1  # when the link last came back to normal
    faulty_ms: int = -1  # end of the newest window that was not nearest to normal
    worst_margin: float = 0.0  # of the windows that said the label, since it is the label
    margin: float | None = None  # of the newest window; None: none came since the start
    strangeness: float | None = None  # of that window, in thresholds
    reason: str = ""  # why the label is a fault's
    evidence: list[float] = field(default_factory=list)  # for each label, and for unknown
    began_ms: list[int] = field(default_factory=list)  # since when each is above 0
    changes_ms: deque[int] = field(default_factory=deque)  # when the label last changed
    is_swayed: bool = False  # any evidence is above 0

    def is_flapping(self, rule: Rule) -> bool:
        """Whether the label changed too often of late."""
        full = len(self.changes_ms) >= rule.flap_changes
        return full and self.last_ms - self.changes_ms[0] <= rule.flap_seconds * 1000


class Steady:
    """The steady state of every link.

    >>> steady = Steady(("blocked", "normal"))
    >>> def say(end_ms, place):
    ...     shares = [0.1, 0.9] if place == 0 else [0.9, 0.1]
    ...     return steady.push("trunk-1", Said(end_ms, 15_000, place, shares)).label
    >>> [say(60_000 + n * 1000, place) for n, place in enumerate((1, 1, 0, 1, 1, 0, 0, 0))]
    [None, 'normal', 'normal', 'normal', 'normal', 'normal', 'blocked', 'blocked']
    """

    def __init__(self, labels: tuple[str, ...], rule: Rule | None = None) -> None:
        self.rule = rule or Rule()
        self.links: dict[str, LinkState] = {}
        self.turns: list[Turn] = []  # since they were last taken away
        self._name(labels)

    def relabel(self, labels: tuple[str, ...]) -> None:
        """Go on with other labels: what was said for those that stay still counts.

        A link whose state is none of them keeps it until there is enough evidence for another.
        """
        before = self._places
        self._name(labels)
        if before == self._places:
            return
        places = [before.get(label) for label in self.labels]
        for state in self.links.values():
            state.evidence = [0.0 if old is None else state.evidence[old] for old in places]
            state.began_ms = [0 if old is None else state.began_ms[old] for old in places]
            state.is_swayed = any(state.evidence)

    def _name(self, labels: tuple[str, ...]) -> None:
        self.labels = (*labels, UNKNOWN)
        self._places = {label: place for place, label in enumerate(self.labels)}
        self._normal = self._places.get(NORMAL, -1)

    def link(self, name: str) -> LinkState:
        """Give what is known of a link; nothing is, of one that is new."""
        state = self.links.get(name)
        if state is None:
            changes_ms: deque[int] = deque(maxlen=self.rule.flap_changes)
            state = self.links[name] = LinkState(name, changes_ms=changes_ms)
            _forget(state, len(self.labels))
        return state

    def take_turns(self) -> list[Turn]:
        """Give the changes of state since this was last asked."""
        turns, self.turns = self.turns, []
        return turns

    def push(self, link: str, said: Said, source: str = "") -> LinkState:
        """Take what one window says, and give the link's state after it.

        A window that is a little older than the link's newest changes nothing: it is a repeat,
        or came too late to say how things are. One that is older by more than
        `restart_seconds` means that the exporter's clock was set back: what came before it
        no longer counts as newer, or one wrong clock would silence a link for ever.
        """
        state = self.link(link)
        state.source = source
        since = said.end_ms - state.last_ms
        if since <= 0:
            if -since <= self.rule.restart_seconds * 1000:
                return state
            self._restart(state)
            since = said.span_ms
        elif since > max(said.span_ms, PAUSE * state.hop_ms):
            _forget(state, len(self.labels))  # something may have been between
        state.hop_ms = since if state.last_ms >= 0 else 0
        state.last_ms, state.margin, state.strangeness = said.end_ms, said.margin, said.strangeness
        is_strange = said.strangeness > 1
        if is_strange or said.place != self._normal:
            state.faulty_ms = said.end_ms
        current = self._places.get(state.label or "", -1)
        if current == said.place and not is_strange:
            state.worst_margin = max(state.worst_margin, said.margin)
            if not state.is_swayed:
                return state
        self._weigh(state, said, current, min(since / said.span_ms, 1.0) * PARTS)
        return state

    def turn(self, state: LinkState, label: str, at_ms: int, since_ms: int) -> None:
        """Change a link's label, by evidence or because nothing comes of it any more."""
        if label == NORMAL and state.label not in (None, NORMAL):
            state.fault_ended_ms = at_ms
        if state.label is not None:
            state.changes_ms.append(at_ms)
        before = state.label, state.since_ms, state.worst_margin
        state.label, state.since_ms, state.settled_ms = label, since_ms, at_ms
        state.reason = ""
        is_named = label in self._places and label != UNKNOWN
        state.worst_margin = state.margin or 0.0 if is_named else 0.0
        _forget(state, len(self.labels))
        previous, began_ms, worst = before
        self.turns.append(
            Turn(
                link=state.name,
                source=state.source,
                previous=previous,
                state=label,
                at_ms=at_ms,
                since_ms=since_ms,
                began_ms=began_ms,
                worst_margin=worst,
                is_flapping=state.is_flapping(self.rule),
            )
        )

    def _restart(self, state: LinkState) -> None:
        """Forget what belongs to a time that no longer counts."""
        _forget(state, len(self.labels))
        state.settled_ms = state.fault_ended_ms = state.faulty_ms = -1
        state.changes_ms.clear()

    def _weigh(self, state: LinkState, said: Said, current: int, parts: float) -> None:
        """Add what the window says to the evidence, and change the state where it is enough."""
        swayed, best = False, -1
        says = said.place if said.strangeness <= 1 else len(self.labels) - 1
        for place, speaks in enumerate(self._speaks(said, current)):
            needed = self._needed(state, place, said.end_ms)
            change = min(speaks * parts, ONE_WINDOW * needed)
            evidence = state.evidence[place]
            if evidence <= 0 < change:
                state.began_ms[place] = said.end_ms
            evidence = state.evidence[place] = max(0.0, evidence + change)
            swayed = swayed or evidence > 0
            # Only what this window says too; a hair less counts, for sums of floats miss it.
            if place == says and evidence > needed - 1e-9 and place != current:
                best = place
        state.is_swayed = swayed
        if best >= 0 and self._may_turn(state, best, said.end_ms):
            self.turn(state, self.labels[best], said.end_ms, state.began_ms[best])

    def _speaks(self, said: Said, current: int) -> list[float]:
        """Tell how much a window speaks for each label, and last for unknown: -1 to 1."""
        unknown = len(self.labels) - 1
        known = log2(max(said.strangeness, 0.25)) if said.strangeness != 1 else -1e-3
        strange = max(-1.0, min(1.0, known))
        if strange > 0:  # what it is nearest to means nothing then
            speaks = [0.0] * unknown
        elif current == unknown:
            speaks = [-1.0] * unknown
            speaks[said.place] = -strange
        else:
            doubt = self.rule.doubt
            # Of a link without a state, and of a silent one, the runner-up is to be beaten.
            own = said.shares[current] if current >= 0 else 1 - said.shares[said.place]
            speaks = [own - share - doubt for share in said.shares]
        return [*speaks, strange]

    def _needed(self, state: LinkState, place: int, end_ms: int) -> float:
        rule = self.rule
        if place == self._normal or state.fault_ended_ms < 0:
            return rule.evidence
        is_late = end_ms - state.fault_ended_ms > rule.recovery_seconds * 1000
        return rule.evidence if is_late else rule.evidence * rule.recovery_evidence

    def _may_turn(self, state: LinkState, place: int, end_ms: int) -> bool:
        rule = self.rule
        if state.label is not None and end_ms - state.settled_ms < rule.hold_seconds * 1000:
            return False
        if place == self._normal and state.is_flapping(rule):
            return end_ms - state.faulty_ms >= rule.flap_calm_seconds * 1000
        return True


def _forget(state: LinkState, labels: int) -> None:
    state.evidence, state.began_ms = [0.0] * labels, [0] * labels
    state.is_swayed = False
