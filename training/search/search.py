"""A search from captures to a report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from detector import __version__
from detector.capture import CaptureError
from training.data import read
from training.progress import EpochBar

from .bank import Banks, hashes_of
from .cache import Cache
from .folds import make_folds
from .front import Fronts
from .journal import Candidate, open_journal
from .ranking import Ranking, in_order
from .refining import Refining
from .report import Report, make_report
from .space import Space


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a search is to go."""

    candidates: int  # to rank, the default included
    refine: int  # of the best, to train at full length; the default is trained besides
    seeds: int  # whole trainings of each, on each fold
    seed: int
    folds: int  # that runs are dealt to
    mixes: tuple[str, ...]
    minutes: float | None  # that ranking may begin candidates for
    batches: int  # that a candidate is ranked by
    windows: int  # in a bank
    frozen_front: bool


def search(
    paths: Sequence[Path],
    work: Path,
    space: Space,
    plan: Plan,
    stopping: Event,
    tell: Callable[[str], None],
) -> Report:
    """Rank candidates, refine the best, and say how all of them did.

    Raises:
        CaptureError: if the captures can't be searched on.
        JournalError: if *work* holds another search.
    """
    captures = hashes_of(paths)
    if not captures:
        raise CaptureError("there is no capture file")
    with open_journal(work, space, plan.seed) as journal, EpochBar() as bar:
        journal.claim(_identity(captures, space, plan))
        tell(f"seed {plan.seed}; reading {len(captures)} capture files")
        data = read(paths, space.default)
        folds = make_folds(data, plan.folds, plan.mixes, plan.seed)
        cache = Cache(work / "cache")
        Ranking(
            journal=journal,
            banks=Banks(cache, captures, data, plan.windows),
            folds=folds,
            fronts=Fronts(cache, plan.batches, plan.seed) if plan.frozen_front else None,
            batches=plan.batches,
            seed=plan.seed,
            stopping=stopping,
            tell=tell,
        ).run(plan.candidates, None if plan.minutes is None else plan.minutes * 60)
        seeds = range(plan.seed, plan.seed + plan.seeds)
        refining = Refining(
            journal=journal,
            data=data,
            folds=folds,
            seeds=seeds,
            stopping=stopping,
            tell=tell,
            bar=bar,
        )
        refining.run(chosen(journal.candidates(), plan.refine))
        return make_report(
            journal.candidates(),
            journal.refined(),
            folds,
            seeds,
            finished=not stopping.is_set(),
            default=space.default,
            captures=paths,
            seed=plan.seed,
        )


def chosen(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Choose what is trained at full length: the best in their order, and the default.

    Without the default's own result nobody could tell whether searching brought anything.
    """
    ranked = in_order(candidates)
    best = ranked[:count]
    default = [one for one in ranked[count:] if one.number == 0]
    return [*best, *default] if count else []


def _identity(captures: Sequence[str], space: Space, plan: Plan) -> dict[str, Any]:
    """Give what may not change from one start of a search to the next."""
    return {
        "version": __version__,
        "captures": list(captures),
        "space": space.hash,
        "seed": plan.seed,
        "folds": plan.folds,
        "mixes": list(plan.mixes),
        "batches": plan.batches,
        "windows": plan.windows,
        "frozen_front": plan.frozen_front,
    }
