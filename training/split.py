"""Parting runs: what is learnt from, and what is kept to judge by.

Windows of one run overlap and resemble each other, so a run is on one side as a whole,
with all the places it was watched at. A `Fold` is what one training does without: other runs of
what it learns, whole mixes of traffic, or whole kinds of faults.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from detector.capture import CaptureError, LinkCapture


def stratum(links: Sequence[LinkCapture]) -> str:
    """Tell what a run is for, by its labels, so that both sides get some of each sort."""
    labels = {str(label) for link in links for label in link.labels if label is not None}
    return "+".join(sorted(labels))


def folds(links: Sequence[LinkCapture], count: int, seed: int) -> dict[str, int]:
    """Deal every run to one of *count* folds, each sort of run evenly."""
    rng = np.random.default_rng(seed)
    by_stratum: dict[str, list[str]] = {}
    for run in sorted({link.run for link in links}):
        sort = stratum([link for link in links if link.run == run])
        by_stratum.setdefault(sort, []).append(run)
    dealt, place = {}, 0
    for sort in sorted(by_stratum):
        runs = by_stratum[sort]
        rng.shuffle(runs)
        for run in runs:  # the next sort goes on where this one ended: folds stay even
            dealt[run] = place % count
            place += 1
    return dealt


def split_runs(
    links: Sequence[LinkCapture], share: float, seed: int
) -> tuple[list[LinkCapture], list[LinkCapture]]:
    """Part links into those to learn from and those of about *share* of the runs.

    Raises:
        CaptureError: if *share* is not above 0 and at most a half, or there are too few runs.
    """
    if not 0 < share <= 0.5:
        raise CaptureError(f"a validation share of {share} is not above 0 and at most a half")
    dealt = folds(links, round(1 / share), seed)
    sizes = Counter(dealt.values())
    if len(sizes) < 2:
        raise CaptureError(
            "one run can't be parted: record at least two of each label, or name links RUN/PLACE"
        )
    kept = [link for link in links if dealt[link.run] == 0]
    return [link for link in links if dealt[link.run] != 0], kept


@dataclass(frozen=True, slots=True)
class Fold:
    """Some runs that one training does without, to be judged on."""

    name: str
    runs: frozenset[str]  # left out, with all the places they were watched at
    unseen: tuple[str, ...] = ()  # kinds that no run learnt from has


def run_folds(links: Sequence[LinkCapture], count: int, seed: int) -> list[Fold]:
    """Deal all runs to *count* folds: other runs of what was learnt.

    Raises:
        CaptureError: if there are fewer runs than folds.
    """
    dealt = folds(links, count, seed)
    parts = [
        frozenset(run for run, fold in dealt.items() if fold == place) for place in range(count)
    ]
    if not all(parts):
        raise CaptureError(f"{len(dealt)} runs can't be dealt to {count} folds")
    return [Fold(f"{place + 1} of {count}", runs) for place, runs in enumerate(parts)]


def mix_folds(links: Sequence[LinkCapture], mixes: Sequence[str]) -> list[Fold]:
    """Leave out one mix after the other; each is patterns of runs, joined by commas.

    Raises:
        CaptureError: if a mix has no run.
    """
    found = [Fold(mix, _matching(links, mix.split(","))) for mix in mixes]
    if empty := [fold.name for fold in found if not fold.runs]:
        raise CaptureError(f"no run belongs to the mix {empty[0]!r}")
    return found


def kind_folds(links: Sequence[LinkCapture], unseen: Sequence[str]) -> list[Fold]:
    """Leave out all runs with one kind or label; each is patterns of them, joined by commas.

    Raises:
        CaptureError: if nothing is of such a kind.
    """
    made = []
    for patterns in unseen:
        kinds = _kinds(links, patterns.split(","))
        runs = {link.run for link in links if not kinds.isdisjoint(_sorts(link))}
        if not runs:
            raise CaptureError(f"no row is of the kind or label {patterns!r}")
        made.append(Fold(patterns, frozenset(runs), tuple(sorted(kinds))))
    return made


def _matching(links: Sequence[LinkCapture], patterns: Sequence[str]) -> frozenset[str]:
    runs = {link.run for link in links}
    return frozenset(run for run in runs if any(fnmatchcase(run, one) for one in patterns))


def _kinds(links: Sequence[LinkCapture], patterns: Sequence[str]) -> set[str]:
    """Give the kinds that match, or whose label does."""
    return {
        kind
        for label, kind in set().union(*map(_pairs, links))
        if any(fnmatchcase(name, one) for name in (label, kind) for one in patterns)
    }


def _pairs(link: LinkCapture) -> set[tuple[str, str]]:
    """Give each label with its kinds; with itself where no kind is given."""
    return {
        (str(label), str(kind or label))
        for label, kind in set(zip(link.labels, link.kinds, strict=True))
        if label is not None
    }


def _sorts(link: LinkCapture) -> set[str]:
    """Give the kinds of a link, those of rows without a label too."""
    return {str(kind) for kind in link.kinds if kind} | {kind for _, kind in _pairs(link)}
