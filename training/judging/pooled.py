"""What methods made of strangers, averaged over cells; `pooling` does the rest of a study.

Folds leave out other unseen labels, or others of their runs, and every seed is another training:
what one of them could not measure says nothing of the others.
"""

from collections.abc import Sequence

import numpy as np

from .cell import Cell
from .study import Enrolment, Estimate, Number, Rejection


def rejections(cells: Sequence[Cell], name: str) -> tuple[Rejection, ...]:
    """Average what cells found of each unseen label, by the episodes that each had."""
    by_label: dict[str, list[Rejection]] = {}
    for cell in cells:
        for one in cell.rejections.get(name, ()):
            by_label.setdefault(one.unseen, []).append(one)
    return tuple(_together(some) for _, some in sorted(by_label.items()))


def _together(some: Sequence[Rejection]) -> Rejection:
    weights = [one.episodes for one in some]

    def mean(name: str) -> Number:
        return _mean([getattr(one, name) for one in some], weights)

    return Rejection(
        unseen=some[0].unseen,
        auroc=mean("auroc"),
        auroc_normal=mean("auroc_normal"),
        false_at_95=mean("false_at_95"),
        flagged=mean("flagged"),
        episodes=sum(weights),
        budget=some[0].budget,
        normal_hours=sum(one.normal_hours for one in some),
    )


def enrolments(cells: Sequence[Cell]) -> tuple[Enrolment, ...]:
    """Put the seeds of each unseen label, method and number of references together."""
    groups: dict[tuple[str, str, int], list[Enrolment]] = {}
    for cell in cells:
        for one in cell.enrolments:
            groups.setdefault((one.unseen, one.method, one.references), []).append(one)
    return tuple(_one_enrolment(some) for some in groups.values())


def _one_enrolment(some: Sequence[Enrolment]) -> Enrolment:
    def spread(name: str) -> Estimate:
        parts: list[Estimate] = [getattr(one, name) for one in some]
        return Estimate(
            mean=_mean([one.mean for one in parts]),
            low=_mean([one.low for one in parts]),
            high=_mean([one.high for one in parts]),
            by_seed=tuple(one.mean for one in parts),
        )

    def mean(name: str) -> Number:
        return _mean([getattr(one, name) for one in some])

    return Enrolment(
        unseen=some[0].unseen,
        method=some[0].method,
        references=some[0].references,
        recall=spread("recall"),
        captured=spread("captured"),
        captured_normal=spread("captured_normal"),
        known_before=mean("known_before"),
        known_after=mean("known_after"),
        ceiling=mean("ceiling"),
        draws=sum(one.draws for one in some),
    )


def _mean(values: Sequence[Number], weights: Sequence[float] | None = None) -> Number:
    """Average the numbers that there are."""
    found = np.array(values, float)  # None becomes NaN
    known = np.isfinite(found)
    if not known.any():
        return None
    return float(np.average(found[known], weights=weights and np.array(weights)[known]))
