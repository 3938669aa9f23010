"""Intervals: how far a score would move with other runs of the same sort.

Windows of one run are alike, so counting windows says nothing of certainty: what is drawn again
is whole runs, and all methods and seeds are scored on the same draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .scores import Floats, Measure, Tally, auroc, macro_f1, rounded, strangeness_of

RESAMPLES = 2_000
SHARE = 0.95  # of the resamples that an interval holds
BINS = 1_000  # strangeness is counted in so many classes where runs are drawn again


@dataclass(frozen=True, slots=True)
class Interval:
    """A score, and where it would lie with other runs of the same sort (95 %).

    Of a single run nobody can tell: low and high are NaN.
    """

    value: float  # of the runs as they are, the mean over seeds
    low: float
    high: float
    mean: float  # over the resamples; far from the value, the score depends on a few runs
    seeds: tuple[float, ...]  # each seed's own value

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; 0 where there is one."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else 0.0

    @property
    def is_above_zero(self) -> bool:
        """Whether, of a difference, the first is better by more than the interval."""
        return self.low > 0

    def as_json(self) -> dict[str, Any]:
        """Give plain data, rounded to what can be meant; null for what can't be told."""
        plain = {name: rounded(getattr(self, name)) for name in ("value", "low", "high", "mean")}
        return plain | {"seeds": [rounded(v) for v in self.seeds], "spread": rounded(self.spread)}


def bootstrap(
    seeds: Sequence[Tally],
    measure: Measure = macro_f1,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Score a method, trained once or with several *seeds*, all judged on the same windows.

    Runs are drawn with replacement and pooled (Efron 1979, on clusters); one draw serves all
    seeds, whose scores are averaged: the interval is that of the runs. A label without a window
    in a draw is left out of it.

    Raises:
        ValueError: if the tallies are not of the same windows.
    """
    _check_same(seeds)
    draws = _draws(len(seeds[0].runs), resamples, seed)
    pooled = [_values(one.counts, measure, draws) for one in seeds]
    own = [float(measure(one.pooled)) for one in seeds]
    return _interval(own, np.mean(pooled, axis=0), len(seeds[0].runs))


def difference(
    one: Sequence[Tally],
    other: Sequence[Tally],
    measure: Measure = macro_f1,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Give how much better *one* method is than the *other* on the same draws of runs.

    Each is a method's seeds; where the numbers of seeds differ, their means are compared, and
    the only "seed" in the answer is the difference of the means.

    Raises:
        ValueError: if the tallies are not of the same windows.
    """
    _check_same([*one, *other])
    draws = _draws(len(one[0].runs), resamples, seed)
    means = [
        np.mean([_values(t.counts, measure, draws) for t in side], 0) for side in (one, other)
    ]
    own = [np.array([float(measure(t.pooled)) for t in side]) for side in (one, other)]
    if len(own[0]) != len(own[1]):
        own = [values.mean(keepdims=True) for values in own]
    return _interval((own[0] - own[1]).tolist(), means[0] - means[1], len(one[0].runs))


def auroc_interval(
    known: ArrayLike,
    known_runs: ArrayLike,
    unknown: ArrayLike,
    unknown_runs: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Give the AUROC, and where it would lie with other runs.

    Resamples count strangeness in 1,000 classes of as many windows each, so that they too are
    one matrix product; the value itself is exact.
    """
    value = auroc(known, unknown)
    strange = np.concatenate([strangeness_of(known, "known"), strangeness_of(unknown, "unknown")])
    names, where = np.unique(
        np.concatenate([np.asarray(known_runs, str), np.asarray(unknown_runs, str)]),
        return_inverse=True,
    )
    edges = np.unique(np.quantile(strange, np.linspace(0, 1, BINS + 1), method="nearest"))
    bins = np.searchsorted(edges, strange)
    is_unknown = np.repeat([0, 1], [len(np.asarray(known)), len(np.asarray(unknown))])
    counts = np.zeros((len(names), 2, len(edges)), np.int64)
    np.add.at(counts, (where, is_unknown, bins), 1)
    pooled = _values(counts, _binned_auroc, _draws(len(names), resamples, seed))
    # There is no more to go by than the runs of the side that has fewer.
    fewer = min(len(np.unique(np.asarray(side, str))) for side in (known_runs, unknown_runs))
    return _interval([value], pooled, fewer)


def _binned_auroc(counts: NDArray[Any]) -> Floats:
    """AUROC of counts by class of strangeness: (..., 2, bins) to (...,); NaN without one side."""
    known, unknown = counts[..., 0, :], counts[..., 1, :]
    below = np.cumsum(known, axis=-1) - known / 2
    pairs = known.sum(axis=-1) * unknown.sum(axis=-1)
    wins = (unknown * below).sum(axis=-1)
    area: Floats = np.where(pairs > 0, wins / np.maximum(pairs, 1), np.nan)
    return area


def _check_same(tallies: Sequence[Tally]) -> None:
    if not tallies or not tallies[0].runs:
        raise ValueError("there is nothing to score")
    if any(one.true != tallies[0].true for one in tallies):
        raise ValueError("the methods were not judged on the same windows")


def _draws(runs: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each run is in each resample: (resamples, runs)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(runs, np.full(runs, 1 / runs), size=resamples)


def _values(counts: NDArray[np.int64], measure: Measure, draws: NDArray[np.int64]) -> Floats:
    """Measure every resample: (resamples,)."""
    # As float64, which NumPy multiplies by BLAS; whole numbers stay exact.
    flat = counts.reshape(len(counts), -1).astype(np.float64)
    return measure((draws.astype(np.float64) @ flat).reshape(-1, *counts.shape[1:]))


def _interval(own: Sequence[float], resampled: Floats, runs: int) -> Interval:
    resampled = resampled[~np.isnan(resampled)]
    low = high = mean = float("nan")
    if len(resampled):
        mean = float(resampled.mean())
    if len(resampled) and runs > 1:
        low, high = np.quantile(resampled, _levels(runs)).tolist()
    return Interval(float(np.mean(own)), low, high, mean, tuple(own))


def _levels(runs: int) -> tuple[float, float]:
    """Which quantiles of the resamples hold `SHARE`: wider than they look, with few runs.

    The expanded percentile interval of Hesterberg 2015, What Teachers Should Know About the
    Bootstrap: as much wider as Student's t is than the normal, and n is than n - 1.
    """
    normal = NormalDist()
    beyond = student_t(runs - 1) * float(np.sqrt(runs / (runs - 1)))
    low = normal.cdf(-beyond)
    return low, 1 - low


def student_t(freedom: int) -> float:
    """Give the 97.5 % quantile of Student's t (Abramowitz and Stegun 1964, 26.7.5)."""
    z = NormalDist().inv_cdf((1 + SHARE) / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))
