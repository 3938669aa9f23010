"""What captured rows are taken for, when they are learnt from.

The law: an incident can't become the new normal by lasting, nor by what was lost of it. Only
what is proven to be normal (`proof`) is that on its own, and no row of any daemon is while
another recorded an episode, from a minute before to a minute after it, however open its end.

What people say goes before all that: of the acts that cover a row, the newest. Only by that can
rows in an episode become normal; and an episode that was named ends where its rows do, whoever
saw its end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detector.state import NORMAL, RESERVED

from .acts import Naming
from .episodes import Stretches
from .proof import APART_MS, Captured, Flags
from .rows import NONE, starts_of


@dataclass(frozen=True, slots=True)
class Named:
    """What is said of rows, filled a link at a time, and of their episodes."""

    labels: NDArray[np.object_]  # (rows,) str; None: not to be learnt from
    act: NDArray[np.int64]  # (rows,) place of the act that counts; NONE: nobody said anything
    episode: NDArray[np.int64]  # (rows,) place of the episode that it is in; NONE: in none
    is_apart: Flags  # (rows,) from all episodes but false alarms
    is_named: Flags  # (episodes,): all was said that there is to say
    by: NDArray[np.int64]  # (episodes,) place of the newest act that counts; NONE: there is none

    def take(self, which: Flags) -> "Named":
        """Give what is said of some of the rows."""
        names = ("labels", "act", "episode", "is_apart")
        return replace(self, **{name: getattr(self, name)[which] for name in names})


def name(
    rows: Captured, names: NDArray[np.object_], found: Stretches, acts: Sequence[Naming]
) -> Named:
    """Give every row the label that the law and the *acts*, oldest first, give it."""
    act, episode = np.full((2, len(rows.t_ms)), NONE, np.int64)
    named = Named(
        labels=np.full(len(rows.t_ms), None, object),
        act=act,
        episode=episode,
        is_apart=np.ones(len(rows.t_ms), bool),
        is_named=np.zeros(len(found), bool),
        by=np.full(len(found), NONE, np.int64),
    )
    by_link: dict[str, list[tuple[int, Naming]]] = {}
    for place, one in enumerate(acts):
        by_link.setdefault(one.link, []).append((place, one))
    first = np.flatnonzero(starts_of(rows.link))
    for start, end in zip(first, [*first, len(rows.link)][1:], strict=True):
        link = rows.link[start]
        mine = range(*np.searchsorted(found.link, (link, link + 1)))
        filling = _Link(rows, names, found, named, int(start), int(end))
        filling.place(mine)
        filling.apply(by_link.get(names[link], ()))
        filling.part(mine)
    own = (act == NONE) & rows.is_proven & named.is_apart & (episode == NONE)
    named.labels[own] = NORMAL
    return named


def core(found: Stretches, place: int, step_ms: int) -> tuple[int, int]:
    """Give from when until when a link was surely in an episode's state.

    A window says so only after some of its rows were, and goes on saying so when they no more
    are: half a window before the next state is said to begin the episode may be over. On the
    recorded faults 96 % of the rows of this range were in that state, and 91 % without that
    half (docs/learning-naming.md).
    """
    since_ms = int(found.since_ms[place])
    half_ms = (since_ms - int(found.first_ms[place])) // 2
    until_ms = min(int(found.until_ms[place]), int(found.next_ms[place])) - half_ms
    return since_ms - step_ms, max(until_ms, since_ms)


@dataclass(frozen=True, slots=True)
class _Link:
    """One link's rows, from `start` to `end`."""

    rows: Captured
    names: NDArray[np.object_]
    found: Stretches
    named: Named
    start: int
    end: int

    @property
    def step_ms(self) -> int:
        return int(self.rows.step_ms[self.start])

    def place(self, mine: Iterable[int]) -> None:
        """Note which of the link's episodes each row is in; where two are, the later."""
        for stretch in mine:
            first, begun, until = self._find(
                self.found.first_ms[stretch],
                self.found.since_ms[stretch] - self.step_ms,
                self.found.until_ms[stretch],
            )
            before = self.named.episode[first:begun]
            before[before == NONE] = stretch
            self.named.episode[begun:until] = stretch

    def apply(self, acts: Iterable[tuple[int, Naming]]) -> None:
        """Let each act say what it says, the newest last."""
        for place, act in acts:
            first, until = self._find(act.from_ms, act.to_ms)
            if act.what == "confirm":
                self._confirm(first, until, place)
            else:
                self.named.labels[first:until] = NORMAL if act.what == "reject" else act.label
                self.named.act[first:until] = place

    def part(self, mine: Iterable[int]) -> None:
        """Note which episodes were named, and which rows are near to one that was one."""
        for stretch in mine:
            until_ms = self.found.until_ms[stretch]
            acts = self.named.act[self._of(stretch, *core(self.found, stretch, self.step_ms))]
            is_named = bool(len(acts) and (acts != NONE).all())
            self.named.is_named[stretch] = is_named
            self.named.by[stretch] = acts.max() if len(acts) else NONE
            begun_ms = self.found.since_ms[stretch] - self.step_ms
            labels = self.named.labels[self._of(stretch, begun_ms, until_ms)]
            if len(labels) and (labels == NORMAL).all():
                continue  # a false alarm from beginning to end
            over_ms = until_ms if is_named else self.found.end_ms[stretch]
            from_ms = self.found.first_ms[stretch] - APART_MS - self.step_ms
            first, until = self._find(from_ms + 1, over_ms + APART_MS)
            self.named.is_apart[first:until] = False

    def _confirm(self, first: int, until: int, place: int) -> None:
        episodes = self.named.episode[first:until]
        for stretch in np.unique(episodes[episodes != NONE]):
            inside = first + np.flatnonzero(episodes == stretch)
            state = self.names[self.found.state[stretch]]
            begun_ms, over_ms = core(self.found, stretch, self.step_ms)
            t_ms = self.rows.t_ms[inside]
            is_sure = (t_ms >= begun_ms) & (t_ms < over_ms) & (state not in RESERVED)
            self.named.labels[inside] = None
            self.named.labels[inside[is_sure]] = state
            self.named.act[inside] = place

    def _of(self, stretch: int, from_ms: int, to_ms: int) -> NDArray[np.intp]:
        """Find an episode's rows of a time."""
        first, until = self._find(from_ms, to_ms)
        return first + np.flatnonzero(self.named.episode[first:until] == stretch)

    def _find(self, *times_ms: int) -> list[int]:
        """Find where the rows of these times begin."""
        places = np.searchsorted(self.rows.t_ms[self.start : self.end], times_ms)
        return [self.start + int(place) for place in places]
