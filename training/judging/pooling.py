"""Pooling: many cells become one study.

Every run is judged once for each seed and validation, so the folds of a seed together are one
judgement of all runs; seeds are averaged, and the interval comes of drawing runs again.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .cell import Cell
from .intervals import Interval, bootstrap, difference
from .pooled import enrolments, rejections
from .scores import Tally, balanced_accuracy, macro_f1
from .study import (
    ENCODER,
    KINDS,
    MEANINGS,
    Changes,
    Delay,
    Estimate,
    Judged,
    Study,
    Validation,
    measured,
)
from .watching import Count, Findings

NOTHING = Estimate(None, None, None)  # of runs without a window of one label


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a study is about."""

    captures: dict[str, str]  # file name to SHA-256
    settings: dict[str, str | int | float | bool]
    steps: int
    step_ms: int
    bundle: str = ""


def study(cells: Sequence[Cell], facts: Facts) -> Study:
    """Put cells together."""
    ways = dict.fromkeys(cell.validation for cell in cells)
    parted = {way: [cell for cell in cells if cell.validation == way] for way in ways}
    return Study(
        captures=facts.captures,
        settings=facts.settings,
        steps=facts.steps,
        step_ms=facts.step_ms,
        seeds=tuple(dict.fromkeys(cell.seed for cell in cells)),
        bundle=facts.bundle,
        seconds=statistics.mean(cell.seconds for cell in cells),
        validations=tuple(_validation(way, some) for way, some in parted.items()),
        enrolments=enrolments(parted.get(KINDS, ())),
        reference_spread={
            way: _spread(some)
            for way, some in parted.items()
            if any(cell.other_references for cell in some)
        },
    )


def _validation(way: str, cells: Sequence[Cell]) -> Validation:
    names = [name for name in cells[0].findings if all(name in cell.findings for cell in cells)]
    encoder = tallies(cells, ENCODER)
    counts = [count for cell in cells for count in cell.findings[ENCODER].counts]
    first = [one for one in cells if one.seed == cells[0].seed]
    return Validation(
        name=way,
        meaning=MEANINGS[way],
        folds=tuple(dict.fromkeys(cell.fold for cell in cells)),
        runs=len({count.run for count in counts}),
        windows=sum(c.windows for cell in first for c in cell.findings[ENCODER].counts),
        methods={name: _judged(name, cells, encoder) for name in names},
        unavailable={name: why for cell in cells for name, why in cell.unavailable.items()},
    )


def _judged(name: str, cells: Sequence[Cell], encoder: Sequence[Tally]) -> Judged:
    found = [cell.findings[name] for cell in cells]
    mine = tallies(cells, name)
    counts = [count for findings in found for count in findings.counts]
    same = _judged_by_all(cells)
    places = sorted({c.place for c in counts if (c.run, c.truth) in same})
    return Judged(
        macro_f1=_estimate(bootstrap(mine)) if same else NOTHING,
        balanced=_estimate(bootstrap(mine, balanced_accuracy)) if same else NOTHING,
        lead=_estimate(difference(encoder, mine)) if same and name != ENCODER else None,
        places={place: _mean_f1(cells, name, place) for place in places},
        kinds=_recall(counts),
        confusion=_confusion(counts),
        changes=_changes(found),
        rejections=rejections(cells, name),
    )


def tallies(cells: Sequence[Cell], name: str, place: str | None = None) -> list[Tally]:
    """Count what a method said, one tally for each seed over all its folds."""
    same = _judged_by_all(cells)
    return [
        _tally(
            count
            for cell in cells
            if cell.seed == seed
            for count in cell.findings[name].counts
            if place in (None, count.place) and (count.run, count.truth) in same
        )
        for seed in dict.fromkeys(cell.seed for cell in cells)
    ]


def _judged_by_all(cells: Sequence[Cell]) -> set[tuple[str, str]]:
    """Give each run with those of its labels that every seed was judged on.

    Of a rare label the folds of one seed may leave nothing to learn from, and those of another do.
    """
    by_seed: dict[int, set[tuple[str, str]]] = {cell.seed: set() for cell in cells}
    for cell in cells:
        by_seed[cell.seed] |= {(c.run, c.truth) for c in cell.findings[ENCODER].counts}
    return set.intersection(*by_seed.values())


def _tally(counts: Iterable[Count]) -> Tally:
    found = list(counts)
    # A run stands in two folds where mixes or kinds overlap: each time it is another judgement.
    runs = sorted({count.run for count in found})
    labels = sorted({word for count in found for word in (count.truth, count.said)})
    table = np.zeros((len(runs), len(labels), len(labels)), np.int64)
    run_of = {run: place for place, run in enumerate(runs)}
    label_of = {label: place for place, label in enumerate(labels)}
    for count in found:
        table[run_of[count.run], label_of[count.truth], label_of[count.said]] += count.windows
    return Tally(tuple(runs), tuple(labels), table)


def _mean_f1(cells: Sequence[Cell], name: str, place: str) -> float:
    return float(np.mean([macro_f1(one.pooled) for one in tallies(cells, name, place)]))


def _recall(counts: Sequence[Count]) -> dict[str, float]:
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for count in counts:
        total[count.kind] += count.windows
        right[count.kind] += count.windows * (count.truth == count.said)
    return {kind: right[kind] / total[kind] for kind in sorted(total)}


def _confusion(counts: Sequence[Count]) -> dict[str, dict[str, int]]:
    labels = sorted({word for count in counts for word in (count.truth, count.said)})
    truths = sorted({count.truth for count in counts})
    table = {truth: dict.fromkeys(labels, 0) for truth in truths}
    for count in counts:
        table[count.truth][count.said] += count.windows
    return table


def _changes(found: Sequence[Findings]) -> Changes:
    following = [findings.following for findings in found]
    waits: dict[str, list[float]] = {}
    for one in following:
        for label, seconds in one.delays_seconds.items():
            waits.setdefault(label, []).extend(seconds)
    return Changes(
        onsets=sum(one.onsets for one in following),
        found=sum(map(len, waits.values())),
        false=sum(one.false for one in following),
        false_in_normal=sum(one.false_in_normal for one in following),
        hours=sum(one.hours for one in following),
        normal_hours=sum(one.normal_hours for one in following),
        delays={
            label: Delay(statistics.median(seconds), max(seconds), len(seconds))
            for label, seconds in sorted(waits.items())
        },
    )


def _spread(cells: Sequence[Cell]) -> Estimate:
    """Macro-F1 over other choices of anchors: the middle 95 % of the draws."""
    drawn = [cell for cell in cells if cell.other_references]
    values = np.array([value for cell in drawn for value in cell.other_references])
    by_seed = {
        seed: float(np.mean([np.mean(c.other_references) for c in drawn if c.seed == seed]))
        for seed in dict.fromkeys(cell.seed for cell in drawn)
    }
    low, high = np.quantile(values, (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high), tuple(by_seed.values()))


def _estimate(interval: Interval) -> Estimate:
    return Estimate(
        mean=measured(interval.value),
        low=measured(interval.low),
        high=measured(interval.high),
        by_seed=tuple(map(measured, interval.seeds)),
    )
