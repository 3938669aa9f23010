"""What a method says of whole links, counted run by run.

Every window of a link is named once. Those of one label throughout are counted by what was said
of them, and the steady state that all of them make is held against the truth. Plain counts for
each run are kept, so that folds and seeds can be pooled and runs drawn again afterwards.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.capture import LinkCapture
from detector.state import NORMAL
from detector.truth import Change, compare
from detector.window import WindowSpec

from .majority import majority

TILE = 20_000  # windows named at once, to bound memory

# What is known of windows (windows, ...) to one name for each.
Name = Callable[[NDArray[Any]], Sequence[str]]
# What is known of one link's windows, and their ends, to the link's state after each.
States = Callable[[NDArray[Any], NDArray[np.int64]], Sequence[str | None]]


class Count(msgspec.Struct, frozen=True):
    """How many windows of one sort were said to be what."""

    run: str
    place: str  # where the link was watched
    truth: str  # label
    kind: str
    said: str
    windows: int


class Following(msgspec.Struct):
    """How a method's steady state followed the truth of the links."""

    onsets: int = 0
    delays_seconds: dict[str, list[float]] = {}  # by label, of the changes found
    false: int = 0
    false_in_normal: int = 0  # of these, in runs that are normal throughout
    hours: float = 0.0  # link-hours watched
    normal_hours: float = 0.0  # of these, in runs that are normal throughout


class Findings(msgspec.Struct):
    """What one method said of the links."""

    counts: list[Count]
    following: Following


@dataclass(frozen=True)
class WatchedLink:
    """One link, and which windows of it can be named and judged."""

    link: LinkCapture
    spec: WindowSpec

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """The rows at which usable windows start: (windows,)."""
        return np.flatnonzero(self.link.usable(self.spec))

    @property
    def windows(self) -> NDArray[np.float32]:
        """The usable windows: (windows, steps, features)."""
        return self.link.windows(self.spec.steps)[self.rows]

    @cached_property
    def pure(self) -> NDArray[np.bool_]:
        """Which of them have one label throughout: (windows,)."""
        if not len(self.rows):
            return np.zeros(0, bool)
        labels = np.lib.stride_tricks.sliding_window_view(self.link.labels, self.spec.steps)
        last = labels[:, -1]
        known = np.array([label is not None for label in last], bool)
        pure: NDArray[np.bool_] = ((labels == last[:, None]).all(axis=1) & known)[self.rows]
        return pure

    @property
    def truth(self) -> NDArray[np.str_]:
        """The labels of the pure windows."""
        return self.link.labels[self._last].astype(str)

    @property
    def kinds(self) -> NDArray[np.str_]:
        """Their kinds, or labels where no kind is given."""
        kinds = self.link.kinds[self._last]
        return np.where(kinds.astype(bool), kinds, self.truth).astype(str)

    @property
    def _last(self) -> NDArray[np.intp]:
        return self.rows[self.pure] + self.spec.steps - 1

    def counts(self, said: NDArray[np.str_]) -> list[Count]:
        """Count the pure windows by truth, kind and what was *said* of all usable ones."""
        place = self.link.link.rpartition("/")[2] if "/" in self.link.link else ""
        found = Counter(zip(self.truth, self.kinds, said[self.pure], strict=True))
        return [
            Count(self.link.run, place, str(truth), str(kind), str(word), number)
            for (truth, kind, word), number in sorted(found.items())
        ]

    @property
    def ends_ms(self) -> NDArray[np.int64]:
        """When each usable window ends, Unix milliseconds: (windows,)."""
        ends_ms: NDArray[np.int64] = (
            self.link.start_ms + self.spec.span_ms + self.rows * self.link.step_ms
        )
        return ends_ms

    def changes(self, states: Iterable[str | None]) -> list[Change]:
        """List the changes of a steady state that is given after each usable window."""
        state, changes = NORMAL, []
        for at_ms, now in zip(self.ends_ms.tolist(), states, strict=True):
            if (now or state) != state:
                state = now or state
                changes.append(Change(self.link.link, at_ms, state))
        return changes


class Watching:
    """Links that methods are judged on.

    Where labels were taken from *links*, since no method can know them, *recorded* are the same
    links with all of them: such a run is not normal throughout, and whatever a state becomes in
    what has lost its label is no false change.
    """

    def __init__(
        self,
        links: Sequence[LinkCapture],
        spec: WindowSpec,
        agree: int = 3,
        of: int = 5,
        recorded: Sequence[LinkCapture] = (),
    ) -> None:
        self.links = [WatchedLink(link, spec) for link in links]
        self._spec, self._agree, self._of = spec, agree, of
        self._recorded = recorded or links

    def described(self, describe: Callable[[NDArray[np.float32]], NDArray[Any]]) -> list[Any]:
        """Describe every usable window once, for several judgements: one array for each link."""
        return [_in_tiles(describe, link.windows) for link in self.links]

    def judged(
        self,
        name: Name,
        described: Sequence[NDArray[Any]] | None = None,
        states: States | None = None,
    ) -> Findings:
        """Let a method name every window, raw or as *described*, and count how right it was.

        *states* gives a link's steady state after each window; without it the majority of the
        last windows' names is the state.
        """
        counts: list[Count] = []
        changes: list[Change] = []
        for place, (link, recorded) in enumerate(zip(self.links, self._recorded, strict=True)):
            what = link.windows if described is None else described[place]
            said = _in_tiles(lambda tile: np.array(name(tile), str), what)
            counts += link.counts(said)
            if states:
                found = link.changes(states(what, link.ends_ms))
            else:
                found = link.changes(majority(said.tolist(), self._agree, self._of))
            changes += [one for one in found if not _is_taken(one, link.link, recorded)]
        return Findings(counts, self._following(changes))

    def pure(self, described: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.str_]]:
        """Give what describes the pure windows of all links, and their labels."""
        both = zip(self.links, described, strict=True)
        # What describes no window at all has no shape to be joined by.
        kept = [(what[link.pure], link.truth) for link, what in both if len(what)]
        if not kept:
            return np.empty((0, 0)), np.empty(0, str)
        points, truths = zip(*kept, strict=True)
        return np.concatenate(points), np.concatenate(truths)

    def _following(self, changes: Sequence[Change]) -> Following:
        links = [watched.link for watched in self.links]
        both = zip(links, self._recorded, strict=True)
        calm = [link for link, recorded in both if not {*recorded.labels} - {NORMAL, None}]
        everywhere = compare(links, changes, self._spec.span_ms)
        quiet = compare(calm, changes, self._spec.span_ms)
        return Following(
            onsets=everywhere.onsets,
            delays_seconds=everywhere.delays_seconds,
            false=len(everywhere.false),
            false_in_normal=len(quiet.false),
            hours=everywhere.watched_seconds / 3600,
            normal_hours=quiet.watched_seconds / 3600,
        )


def _is_taken(change: Change, link: LinkCapture, recorded: LinkCapture) -> bool:
    """Tell whether the last row before a change has lost the label that was recorded."""
    row = (change.at_ms - link.start_ms) // link.step_ms - 1
    return link.labels[row] is None and recorded.labels[row] is not None


def _in_tiles(work: Callable[[NDArray[Any]], Any], windows: NDArray[Any]) -> Any:
    tiles = range(0, len(windows), TILE)
    if not len(tiles):
        return np.empty(0, str)
    return np.concatenate([work(windows[start : start + TILE]) for start in tiles])
