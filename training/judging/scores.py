"""Scores of windows that were named, or found strange: plain numbers of plain arrays.

A further score of names is a function from counts to numbers, over the last two axes, so that
`intervals` can put it over thousands of resamples at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Measure = Callable[[NDArray[Any]], Floats]  # counts (..., true, said) to (...,)


@dataclass(frozen=True, slots=True)
class Tally:
    """How often each label was said of windows of each label, run by run."""

    runs: tuple[str, ...]
    labels: tuple[str, ...]  # true of a window, or said of one
    counts: NDArray[np.int64]  # (runs, labels true, labels said), windows

    @property
    def pooled(self) -> NDArray[np.int64]:
        """The counts of all runs together: (labels true, labels said)."""
        pooled: NDArray[np.int64] = self.counts.sum(axis=0)
        return pooled

    @property
    def true(self) -> dict[tuple[str, str], int]:
        """How many windows of each label each run has; the same for all who judged the same."""
        totals = self.counts.sum(axis=2)
        return {
            (self.runs[run], self.labels[label]): int(totals[run, label])
            for run, label in zip(*np.nonzero(totals), strict=True)
        }


def tally(truth: ArrayLike, said: ArrayLike, runs: ArrayLike) -> Tally:
    """Count what was said of windows, for each run: three arrays of names, (windows,) each.

    >>> tally(["a", "b", "b"], ["a", "b", "a"], ["r", "r", "s"]).counts.tolist()
    [[[1, 0], [0, 1]], [[0, 0], [1, 0]]]
    """
    names, where = np.unique(np.asarray(runs, str), return_inverse=True)
    both = np.concatenate([np.asarray(truth, str), np.asarray(said, str)])
    labels, codes = np.unique(both, return_inverse=True)
    if len(both) != 2 * len(where):
        raise ValueError(f"{len(both)} labels true or said of {len(where)} windows")
    counts = np.zeros((len(names), len(labels), len(labels)), np.int64)
    np.add.at(counts, (where, codes[: len(where)], codes[len(where) :]), 1)
    return Tally(tuple(names.tolist()), tuple(labels.tolist()), counts)


def macro_f1(counts: NDArray[Any]) -> Floats:
    """Give the mean F1 of the labels that are true of some window: (..., true, said) to (...,).

    >>> float(macro_f1(np.array([[2, 0], [1, 1]])))
    0.7333333333333334
    """
    true, said = counts.sum(axis=-1), counts.sum(axis=-2)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return _mean_where(true > 0, 2 * hits / np.maximum(true + said, 1))


def balanced_accuracy(counts: NDArray[Any]) -> Floats:
    """Give the mean recall of the labels that are true of some window."""
    true = counts.sum(axis=-1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return _mean_where(true > 0, hits / np.maximum(true, 1))


def _mean_where(counted: NDArray[np.bool_], values: Floats) -> Floats:
    """Average the last axis over what is *counted*; NaN where nothing is."""
    many = counted.sum(axis=-1)
    total = np.where(counted, values, 0).sum(axis=-1)
    mean: Floats = np.where(many > 0, total / np.maximum(many, 1), np.nan)
    return mean


def auroc(known: ArrayLike, unknown: ArrayLike) -> float:
    """Give the chance that an unknown window is stranger than a known one; a tie counts half.

    The rank statistic of Mann and Whitney 1947, which is the area under the ROC curve.

    >>> auroc([1, 2, 3], [3, 4])
    0.9166666666666666
    """
    ordered, asked = np.sort(strangeness_of(known, "known")), strangeness_of(unknown, "unknown")
    below = np.searchsorted(ordered, asked, "left") + np.searchsorted(ordered, asked, "right")
    return float(below.mean() / 2 / len(ordered))


def false_positive_rate(known: ArrayLike, unknown: ArrayLike, *, recall: float = 0.95) -> float:
    """Give the share of known windows flagged, if *recall* of the unknown ones are to be.

    >>> false_positive_rate([1, 2, 3, 4], [2, 5, 6, 7], recall=0.75)
    0.0
    """
    strange = np.sort(strangeness_of(unknown, "unknown"))[::-1]
    least = strange[max(0, int(np.ceil(recall * len(strange) - 1e-9)) - 1)]
    return float((strangeness_of(known, "known") >= least).mean())


def strangeness_of(values: ArrayLike, what: str) -> Floats:
    """Check the strangeness of *what* windows.

    Raises:
        ValueError: if there is none, or one is not a number.
    """
    found = np.asarray(values, np.float64)
    if not len(found) or np.isnan(found).any():
        raise ValueError(f"no {what} window, or one whose strangeness is not a number")
    return found


def rounded(value: float) -> float | None:
    """Round for a report; JSON knows no NaN and no infinity.

    >>> rounded(0.123456), rounded(float("nan"))
    (0.1235, None)
    """
    return round(float(value), 4) if np.isfinite(value) else None
