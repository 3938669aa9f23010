"""A recorded difference: what a fault did to one link, to be done to a copy of another's traffic.

Of a fault that was recorded as it began, a bundle keeps the mean of the rows before it and the
rows from the change on. On another link its rows are these, at that link's load: all counters
times one factor, the median over counters of how much more flows there. Nothing that was tried
instead was found more often (docs/experiments.md): a factor for each counter, or the live rows
times what became of each counter, add the noise of two links and make traffic that never was.
So a difference is to be taken from a link that is like the other one; `unlike` says how far
they are apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.state import NORMAL
from detector.window import LARGEST, WindowSpec, is_count

SLOWER = 8.0  # times, at most, that means and maxima are stretched or shrunk
ALIKE = 3  # differences that are as good as any for a link
Floats = NDArray[np.float64]


class Canary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which fault a difference is of, and where it was recorded."""

    label: str
    kind: str
    link: str
    start_ms: int  # Unix time at which the fault began, milliseconds


@dataclass(frozen=True, slots=True)
class Difference:
    """One fault's difference; what was not observed is NaN."""

    label: str
    before: Floats  # (features,), mean of the last normal rows
    after: NDArray[np.float32]  # (rows, features), from the change on
    counts: NDArray[np.bool_]  # (features,), which features are counters

    def scale(self, usual: Floats) -> float:
        """Give how many times more flows where *usual* does; 0 if nothing flows in both.

        *usual* is the mean row of the other link while it is normal: (features,).
        """
        here, there = self._flow(self.before), self._flow(usual)
        both = (here > 0) & (there > 0)
        if not both.any():
            return 0.0
        return float(np.exp(np.median(np.log(there[both]) - np.log(here[both]))))

    def unlike(self, usual: Floats) -> float:
        """Tell how differently the traffic is mixed, at the same load: 0 or more.

        It is the mean over the counters that flow in either of the logarithm of how many times
        more; one a step is added to each, so that rare events count little.
        """
        scale = self.scale(usual)
        if not scale:
            return np.inf
        here, there = scale * self._flow(self.before), self._flow(usual)
        either = (here > 0) | (there > 0)
        return float(np.abs(np.log1p(there[either]) - np.log1p(here[either])).mean())

    def rows(self, usual: Floats, count: int) -> NDArray[np.float32]:
        """Give the first *count* rows of the fault on a link whose mean row is *usual*.

        Counters are whole numbers and add up to what they should, however little flows. Where
        the recording ends its second half is repeated. What is NaN in all of *usual*'s rows the
        link doesn't report, in a fault neither.
        """
        half = max(1, len(self.after) // 2)
        row = np.arange(count)
        row = np.where(row < len(self.after), row, len(self.after) - half + row % half)
        after = self.after[row].astype(np.float64)
        scaled = np.where(self.counts, after * self.scale(usual), after * self._slower(usual))
        # Rounded sums, not sums of rounded numbers, or a third of a packet a step is none.
        total = np.cumsum(np.nan_to_num(np.clip(scaled, 0, LARGEST / count)), axis=0)
        whole = np.diff(np.rint(total), axis=0, prepend=0.0)
        found = np.where(self.counts & ~np.isnan(after), whole, scaled)
        return np.where(np.isnan(usual), np.nan, found).astype(np.float32)

    def _flow(self, row: Floats) -> Floats:
        """Give a mean row's counters; what isn't observed doesn't flow: (counters,)."""
        flow: Floats = np.nan_to_num(np.maximum(row[self.counts], 0))
        return flow

    def _slower(self, usual: Floats) -> Floats:
        """Give how many times larger means and maxima usually are there: (features,)."""
        known = (self.before > 0) & (usual > 0)  # NaN isn't
        ratio = np.divide(usual, self.before, out=np.ones_like(usual), where=known)
        slower: Floats = np.clip(ratio, 1 / SLOWER, SLOWER)
        return slower


@dataclass(frozen=True)
class Recorded:
    """The differences of a bundle."""

    canaries: tuple[Canary, ...]
    before: NDArray[np.float32]  # (canaries, features)
    after: NDArray[np.float32]  # (canaries, steps, features)

    def check(self, window: WindowSpec, labels: tuple[str, ...]) -> None:
        """Refuse what no window can be changed by, and faults that no anchor can name.

        Raises:
            ValueError: if a shape is off, a number is no counter's, or a label isn't known.
        """
        count = len(self.canaries)
        shapes = (self.before.shape, self.after.shape)
        if shapes != ((count, len(window.features)), (count, *window.shape)):
            raise ValueError(f"the canaries' rows have the shapes {shapes}")
        counts = _counts(window)
        for value in (self.before, self.after):
            if value.dtype != np.float32 or (np.abs(value) > LARGEST).any():
                raise ValueError("the canaries' rows are not finite float32")
            if (value[..., counts] < 0).any():
                raise ValueError("the canaries' rows have a counter below 0")
        odd = {canary.label for canary in self.canaries} - (set(labels) - {NORMAL})
        if odd:
            raise ValueError(f"there is a canary for {min(odd)!r}, which no anchor is a fault of")

    def differences(self, window: WindowSpec) -> list[Difference]:
        """Give each difference, in the order of the canaries."""
        return [
            difference(canary.label, before, after, window)
            for canary, before, after in zip(self.canaries, self.before, self.after, strict=True)
        ]


def difference(
    label: str, before: NDArray[np.float32], after: NDArray[np.float32], window: WindowSpec
) -> Difference:
    """Make a difference of rows with the features of *window*."""
    return Difference(label, before.astype(np.float64), after, _counts(window))


def alike(differences: Sequence[Difference], usual: Floats) -> list[Difference]:
    """Give the few whose links were most like one whose mean row is *usual*, the best first.

    None are given if nothing flows on it that flowed where any was recorded.
    """
    unlike = np.array([one.unlike(usual) for one in differences])
    best = np.argsort(unlike, kind="stable")[:ALIKE]
    return [differences[place] for place in best if np.isfinite(unlike[place])]


def usual_row(values: NDArray[np.float32]) -> Floats:
    """Give the mean of the rows, each feature's of where it was observed: (features,).

    >>> usual_row(np.array([[1, np.nan], [2, np.nan]], np.float32)).tolist()
    [1.5, nan]
    """
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=0, dtype=np.float64)
    seen = known.sum(axis=0)
    return np.where(seen > 0, total / np.maximum(seen, 1), np.nan)


def is_busy(values: NDArray[np.float32], window: WindowSpec) -> bool:
    """Whether something flows in at least half of a window's rows.

    On a link where next to nothing flows no fault shows, and a missed canary says nothing.
    """
    flows = (values[:, _counts(window)] > 0).any(axis=1)
    return bool(flows.mean() >= 0.5)


def _counts(window: WindowSpec) -> NDArray[np.bool_]:
    return np.array([is_count(name) for name in window.features])
