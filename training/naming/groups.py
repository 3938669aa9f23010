"""Groups of unknowns: episodes that nothing known is like, but that are like each other.

An episode goes by its most typical window: the one that is nearest to all others of its own.
Oldest first, each joins the group whose episodes are nearest on average (average linkage), if
that is near enough, or begins one; so what comes later never parts what was one group.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.encoder import Encoder
from detector.state import UNKNOWN
from detector.window import WindowSpec

from .pieces import Piece
from .regular import Regularity, regularity
from .stored import Episode, episodes_of, open_stores, stored_pieces
from .text import counted

REACH = 2.0  # usual distances of known windows, up to which episodes are alike
MOST_WINDOWS = 60  # of an episode, spread over it


@dataclass(frozen=True, slots=True)
class Unknown:
    """An unknown episode and its most typical window."""

    episode: Episode
    start_ms: int  # of that window
    point: NDArray[np.float32]  # its embedding: (embedding,)


@dataclass(frozen=True, slots=True)
class Group:
    """Unknown episodes that are alike, oldest first."""

    episodes: tuple[Episode, ...]
    links: tuple[str, ...]
    typical: Unknown  # the one that is nearest to all others
    regularity: Regularity | None

    @property
    def labels(self) -> dict[str, int]:
        """How many of its episodes have which name by now."""
        found: dict[str, int] = {}
        for one in self.episodes:
            if one.naming is not None and one.naming.label:
                found[one.naming.label] = found.get(one.naming.label, 0) + 1
        return found

    @property
    def is_named(self) -> bool:
        """Whether there is nothing to be named."""
        return all(one.is_named for one in self.episodes)


def unknowns(
    paths: Sequence[Path],
    spec: WindowSpec,
    encoder: Encoder,
    since_ms: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[Unknown]:
    """Give the unknown episodes of some stores of which there is a whole window, oldest first.

    *tell* is told of acts that can't be read, and how many unnamed episodes have no such window.
    """
    found = [
        one
        for one in episodes_of(open_stores(paths, (), ("*",), since_ms, tell))
        if one.state == UNKNOWN
    ]
    if not found:
        return []
    links = sorted({one.link for one in found})
    store = open_stores(paths, spec.features, [escape(one) for one in links], since_ms, tell)
    pieces: dict[str, list[Piece]] = {link: [] for link in links}
    for piece in stored_pieces(store, spec.step_ms):
        pieces[piece.link].append(piece)
    made = {one: _typical(one, pieces[one.link], spec, encoder) for one in found}
    bare = sum(typical is None and not one.is_named for one, typical in made.items())
    if bare and tell is not None:
        has, be = ("has", "is") if bare == 1 else ("have", "are")
        tell(f"{counted(bare, 'episode')} {has} no whole window and {be} in no group")
    return [typical for typical in made.values() if typical is not None]


def grouped(found: Sequence[Unknown], reach: float) -> list[Group]:
    """Put episodes, oldest first, into groups; *reach* is a distance of embeddings."""
    if not found:
        return []
    points = np.stack([one.point for one in found]).astype(np.float64)
    owner = group(points, reach)
    return [
        _made([found[place] for place in np.flatnonzero(owner == number)])
        for number in range(int(owner.max()) + 1)
    ]


def group(points: NDArray[np.float64], reach: float) -> NDArray[np.intp]:
    """Give the group of each point, (points, embedding), in the order of their first members.

    >>> group(np.array([[0.0], [5.0], [0.5], [5.5], [9.0]]), 1.0).tolist()
    [0, 1, 0, 1, 2]
    """
    owner = np.zeros(len(points), np.intp)
    for place in range(1, len(points)):
        before = owner[:place]
        distances = np.linalg.norm(points[:place] - points[place], axis=1)
        means = np.bincount(before, weights=distances) / np.bincount(before)
        nearest = int(means.argmin())
        owner[place] = nearest if means[nearest] <= reach else len(means)
    return owner


def _typical(
    episode: Episode, pieces: Sequence[Piece], spec: WindowSpec, encoder: Encoder
) -> Unknown | None:
    """Find an episode's most typical window; None where no whole window was captured."""
    windows, starts_ms = _windows(episode, pieces, spec)
    if not len(windows):
        return None
    points = encoder.embed(windows)
    medoid = _medoid(points)
    return Unknown(episode, int(starts_ms[medoid]), points[medoid])


def _windows(
    episode: Episode, pieces: Sequence[Piece], spec: WindowSpec
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cut some windows of an episode, if it can be those that were unknown themselves."""
    found = []
    for piece in pieces:
        ends = piece.ends(spec)
        ends_ms = piece.starts_ms(ends, spec) + spec.span_ms
        inside = (ends_ms >= episode.since_ms) & (ends_ms <= episode.until_ms)
        ends = ends[inside & (piece.states[ends] == UNKNOWN)]
        found += [(piece, end, piece.said[end] == UNKNOWN) for end in ends.tolist()]
    found = [one for one in found if one[2]] or found
    spread = np.linspace(0, len(found) - 1, min(len(found), MOST_WINDOWS)).astype(int)
    taken = [found[place] for place in spread]
    if not taken:
        return np.empty((0, *spec.shape), np.float32), np.empty(0, np.int64)
    ends_of = [(piece, np.array([end])) for piece, end, _ in taken]
    return (
        np.concatenate([piece.windows(end, spec) for piece, end in ends_of]),
        np.concatenate([piece.starts_ms(end, spec) for piece, end in ends_of]),
    )


def _made(found: Sequence[Unknown]) -> Group:
    typical = found[_medoid(np.stack([one.point for one in found]))]
    episodes = tuple(one.episode for one in found)
    return Group(
        episodes=episodes,
        links=tuple(sorted({one.link for one in episodes})),
        typical=typical,
        regularity=regularity([one.since_ms for one in episodes]),
    )


def _medoid(points: NDArray[np.float32]) -> int:
    """Find the point that is nearest to all others."""
    exact = points.astype(np.float64)
    return int(np.linalg.norm(exact[:, None] - exact[None], axis=-1).sum(axis=1).argmin())
