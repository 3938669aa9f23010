"""Folds: which runs are left out together, to judge by what was learnt from the others.

Runs are dealt to some folds so that each is left out once. A mix, all runs that match its
patterns, is one fold more: it tells how a candidate does on traffic of a sort it has not seen.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from detector.capture import CaptureError
from training import split
from training.data import Data


@dataclass(frozen=True, slots=True)
class Fold:
    """Runs that are left out together."""

    name: str
    runs: frozenset[str]


def make_folds(data: Data, count: int, mixes: Sequence[str], seed: int) -> list[Fold]:
    """Deal the runs to *count* folds, and add a fold for each mix.

    Raises:
        CaptureError: if a fold leaves too few labels to learn from, or to judge by.
    """
    links = data.whole.recorded.links
    dealt = split.folds(links, count, seed)
    made = [
        Fold(f"runs {one + 1}/{count}", frozenset(run for run in dealt if dealt[run] == one))
        for one in range(count)
    ]
    made += [Fold(f"mix {mix}", _matching(mix, dealt)) for mix in mixes]
    for fold in made:
        _check(fold, data)
    return made


def _matching(mix: str, runs: Collection[str]) -> frozenset[str]:
    patterns = [pattern.strip() for pattern in mix.split(",")]
    return frozenset(run for run in runs if any(fnmatchcase(run, one) for one in patterns))


def _check(fold: Fold, data: Data) -> None:
    if not fold.runs:
        raise CaptureError(f"{fold.name}: no run is left out by it")
    sides: tuple[set[str], set[str]] = (set(), set())
    recorded = data.whole.recorded
    for run, label in set(zip(recorded.runs, recorded.labels, strict=True)):
        sides[run in fold.runs].add(str(label))
    learnt, left_out = sides
    if len(learnt) < 2 or len(learnt & left_out) < 2:
        found = ", ".join(sorted(left_out)) or "none"
        others = ", ".join(sorted(learnt)) or "none"
        raise CaptureError(
            f"{fold.name}: its runs need two labels that the others have too, they have {found} "
            f"and the others {others}: choose fewer folds, another mix or another seed"
        )
