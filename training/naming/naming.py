"""Naming: what somebody points at becomes acts, and what they would change is counted first.

By episode the range is what was captured of it, and nothing of another fault: of a new name only
what is surely of the episode, for its first and last rows may be normal traffic. By link and time
it is what is said.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import numpy as np

from detector.state import NORMAL, RESERVED

from .acts import Naming, NamingError, make, write
from .law import name
from .rows import NONE
from .stored import Episode, Store, episodes_of, id_of

LEAST_LETTERS = 4  # of an episode's id, that somebody may type


@dataclass(frozen=True, kw_only=True)
class Saying:
    """What somebody says, of whatever it is about."""

    what: Literal["confirm", "reject", "rename"]
    who: str
    at_ms: int
    why: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """What acts do to the rows that are captured now."""

    rows: int  # that the acts count for
    episodes: tuple[Episode, ...]
    links: tuple[str, ...]
    labels: dict[str, int]  # rows that have each label now; "" = none
    left: int  # further rows of the episodes that were meant, without a label
    stores: dict[Naming, tuple[Path, ...]]  # where each act has rows


def chosen(found: Iterable[Episode], prefixes: Sequence[str]) -> list[Episode]:
    """Find episodes by the first letters of their ids.

    Raises:
        NamingError: if there is none, or there are several.
    """
    found, taken = [*found], []
    for prefix in prefixes:
        matching = [one for one in found if one.id.startswith(prefix)]
        if len(prefix) < LEAST_LETTERS:
            raise NamingError(f"episode {prefix!r}: give at least {LEAST_LETTERS} letters of it")
        if len({one.id for one in matching}) != 1:
            ids = ", ".join(sorted(one.id for one in matching)[:4])
            what = f"may be {ids}; give more of it" if matching else "was not captured"
            raise NamingError(f"episode {prefix!r} {what}")
        taken += matching
    return taken


def of_episodes(
    meant: Sequence[Episode], found: Iterable[Episode], saying: Saying
) -> list[Naming]:
    """Say something of all rows of the episodes that are *meant*, of all that were *found*."""
    ids, others = {one.id for one in meant}, dict[str, list[Episode]]()
    for other in found:
        if other.id not in ids:
            others.setdefault(other.link, []).append(other)
    acts = []
    for one in meant:
        is_fault = saying.what == "rename" and saying.label != NORMAL
        from_ms, to_ms = one.sure_ms if is_fault else _own(one, others.get(one.link, ()))
        acts.append(_act(saying, one.link, max(0, from_ms), to_ms, one.id))
    return acts


def _own(one: Episode, others: Iterable[Episode]) -> tuple[int, int]:
    """Give from when until when rows are an episode's or normal, and none of the *others* has any.

    What is surely of the episode is always inside.
    """
    from_ms, to_ms = one.first_ms, one.until_ms
    half_ms = (one.since_ms - one.first_ms) // 2  # so long before it is said, a fault may begin
    for other in others:
        if other.since_ms > one.since_ms:
            to_ms = min(to_ms, other.since_ms - half_ms)
        elif other.until_ms > one.first_ms:
            from_ms = one.sure_ms[0]
    return from_ms, max(to_ms, one.sure_ms[1])


def of_range(
    store: Store, patterns: Sequence[str], from_ms: int, to_ms: int, saying: Saying
) -> list[Naming]:
    """Say something of the rows of links that match any pattern, from one time to another."""
    if from_ms >= to_ms:
        raise NamingError("--from must be before --to")
    rows = store.captured
    there = np.unique(rows.link[(rows.t_ms >= from_ms) & (rows.t_ms < to_ms)])
    links = [str(store.rows.names[link]) for link in there]
    matching = [link for link in links if any(fnmatchcase(link, one) for one in patterns)]
    return [_act(saying, link, from_ms, to_ms) for link in matching]


def effect(store: Store, acts: Sequence[Naming]) -> Effect:
    """Say what new acts change.

    Raises:
        NamingError: if a new name would differ from a label that is in use in case only.
    """
    every = [*store.acts, *acts]
    captured, rows = store.captured, store.rows
    named = name(captured, rows.names, store.found, every)
    after = replace(store, acts=every, named=named)
    for new in {act.label for act in acts if act.label}:
        _check_case(new, _labels(store), _labels(after))
    mine = named.act >= len(store.acts)
    inside = np.unique(named.episode[mine & (named.episode != NONE)])
    ids = {act.episode for act in acts}
    meant = [place for place in inside.tolist() if id_of(store, place) in ids]
    is_left = np.isin(named.episode, meant) & ~mine & (named.labels == None)  # noqa: E711 - each
    labels, counts = np.unique(
        np.array([label or "" for label in named.labels[mine]], str), return_counts=True
    )
    links = [str(link) for link in rows.names[np.unique(captured.link[mine])]]
    return Effect(
        rows=int(mine.sum()),
        episodes=tuple(episodes_of(after, inside.tolist())),
        links=tuple(links),
        labels=dict(zip(labels.tolist(), counts.tolist(), strict=True)),
        left=int(is_left.sum()),
        stores={act: _stores(store, act) for act in acts},
    )


def carry_out(done: Effect) -> None:
    """Write the acts beside the windows that they are about.

    Raises:
        OSError: if that can't be done.
    """
    for act, stores in done.stores.items():
        for store in stores:
            write(act, store)


def _labels(store: Store) -> set[str]:
    """List the labels that are in use: what daemons said, and what rows are called."""
    rows = store.rows
    said = np.unique([rows.label, rows.state])
    return {
        *(NORMAL, *RESERVED),
        *rows.names[said[said != NONE]].tolist(),
        *(label for label in set(store.named.labels.tolist()) if label is not None),
    }


def _check_case(new: str, before: set[str], after: set[str]) -> None:
    """Refuse a name by which one thing would have two; who mends the case of all of it may."""
    alike = [label for label in after if label != new and label.casefold() == new.casefold()]
    if alike and new not in before:
        raise NamingError(f"{new!r} differs from {min(alike)!r}, which is in use, in case only")


def _act(saying: Saying, link: str, from_ms: int, to_ms: int, episode: str = "") -> Naming:
    return make(
        at_ms=saying.at_ms,
        who=saying.who,
        why=saying.why,
        what=saying.what,
        label=saying.label,
        link=link,
        from_ms=from_ms,
        to_ms=to_ms,
        episode=episode,
    )


def _stores(store: Store, act: Naming) -> tuple[Path, ...]:
    """Find the stores that have rows which an act is about."""
    rows = store.rows
    about = (
        (rows.link == rows.code(act.link)) & (rows.t_ms >= act.from_ms) & (rows.t_ms < act.to_ms)
    )
    folders = rows.names[np.unique(rows.daemon[about])]
    return tuple(sorted({Path(folder).parent for folder in folders}))
