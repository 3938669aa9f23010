"""Episodes: what a few windows of one incident are worth, for a label that was never learnt.

An operator points at one incident and names it. Here that is done for a kind of which the
training had nothing: references from one run, judged on all others, and beside what is found of
it stands what is lost, the windows of other kinds that it takes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector.state import NORMAL
from training.labelled import LabelledWindows
from training.rivals.rival import thin

from .methods import Method
from .scores import macro_f1, rounded, tally

MOST_WINDOWS = 3_000  # known ones judged in each draw, evenly over kinds and runs
TRIES = 20  # to place references at random before they are placed one after the other

Places = NDArray[np.intp]


class EpisodeError(ValueError):
    """The windows don't allow this to be judged; the message says what lacks."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Something measured once for each draw of references."""

    mean: float
    low: float  # 10th percentile
    high: float  # 90th

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarize what the draws gave; NaN where one of them could not be measured."""
        low, high = np.quantile(values, [0.1, 0.9])
        return cls(float(np.mean(values)), float(low), float(high))

    def as_json(self) -> dict[str, float | None]:
        """Give plain data; null where there was nothing to measure."""
        return {name: rounded(getattr(self, name)) for name in ("mean", "low", "high")}


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a method makes of so many reference windows of something new, all from one run."""

    references: int
    draws: int
    runs: int  # that the references could come from
    recall: Spread  # share of the new one's windows in other runs
    captured_faults: Spread  # share of the other faults' windows that are taken for it
    captured_normal: Spread  # share of the normal windows
    known_before: Spread  # macro-F1 of the known labels, without the references
    known_after: Spread  # with them
    loss: Spread  # of that macro-F1

    def as_json(self) -> dict[str, Any]:
        """Give plain data."""
        spreads = ("recall", "captured_faults", "captured_normal", "known_before", "known_after")
        plain = {name: getattr(self, name).as_json() for name in (*spreads, "loss")}
        return {"references": self.references, "draws": self.draws, "runs": self.runs} | plain


def matching(windows: LabelledWindows, patterns: Collection[str]) -> NDArray[np.bool_]:
    """Tell which windows have a label or a kind that one of the *patterns* matches: (windows,)."""
    pairs = list(zip(windows.labels.astype(str), windows.kinds.astype(str), strict=True))
    chosen = {
        pair: any(fnmatchcase(name, pattern) for name in pair for pattern in patterns)
        for pair in set(pairs)
    }
    return np.array([chosen[pair] for pair in pairs], bool)


def enrol(
    method: Method,
    windows: LabelledWindows,
    is_new: NDArray[np.bool_],
    *,
    label: str,
    known: Collection[str],
    counts: Sequence[int] = (1, 3, 5),
    draws: int = 20,
    seed: int = 0,
) -> list[Enrolment]:
    """Show *method* a few windows of what *is_new* (windows,) under a new *label*, and judge it.

    *method* has learnt from none of the *windows*, and nothing of what is new; *known* are the
    labels that it has learnt. The references of a draw are from one link of one run, at least a
    window apart; no window of that run is judged. A count for which no link has enough
    windows is left out.

    Raises:
        EpisodeError: if what is new is not in two runs, or the label is not new.
    """
    runs = windows.runs.astype(str)
    if len(set(runs[is_new])) < 2:
        raise EpisodeError(f"{label!r} is not in two runs, one to learn from and one to judge on")
    if label in known:
        raise EpisodeError(f"{label!r} is a label that the method knows already")
    judged = _Judged.of(method, windows, is_new, known, seed)
    rng = np.random.default_rng(seed)
    found = []
    for count in counts:
        sources = _sources(windows, is_new, count)
        if not sources:
            continue
        measured = []
        for _ in range(draws):
            link = sources[int(rng.integers(len(sources)))]
            places = _draw(windows, link, count, rng)
            shown = method.with_references(label, windows.cut(places))
            measured.append(judged.measure(shown, label, runs[places[0]]))
        where = {str(runs[link[0]]) for link in sources}
        spreads = {name: Spread.of([one[name] for one in measured]) for name in measured[0]}
        found.append(Enrolment(count, draws, len(where), **spreads))
    return found


@dataclass(frozen=True, eq=False)
class _Judged:
    """The windows that are judged, cut once for all draws."""

    values: NDArray[np.float32]
    truth: NDArray[np.str_]
    runs: NDArray[np.str_]
    is_new: NDArray[np.bool_]
    is_known: NDArray[np.bool_]  # has a label that the method has learnt, and is not new
    before: NDArray[np.str_]  # what was said without references

    @classmethod
    def of(
        cls,
        method: Method,
        windows: LabelledWindows,
        is_new: NDArray[np.bool_],
        known: Collection[str],
        seed: int,
    ) -> "_Judged":
        places = np.concatenate([np.flatnonzero(is_new), others(windows, is_new, seed)])
        values, truth = windows.cut(places), windows.labels[places].astype(str)
        is_known = np.isin(truth, list(known)) & ~is_new[places]
        runs = windows.runs[places].astype(str)
        before = np.array(method.name(values), str)
        return cls(values, truth, runs, is_new[places], is_known, before)

    def measure(self, shown: Method, label: str, source: str) -> Mapping[str, float]:
        """Judge a method that was shown references from the run *source*."""
        said = np.array(shown.name(self.values), str)
        other = self.runs != source
        is_it, known = said == label, other & self.is_known
        before, after = (
            float(macro_f1(tally(self.truth[known], names[known], self.runs[known]).pooled))
            if known.any()
            else np.nan
            for names in (self.before, said)
        )
        return {
            "recall": share(is_it, other & self.is_new),
            "captured_faults": share(is_it, other & ~self.is_new & (self.truth != NORMAL)),
            "captured_normal": share(is_it, other & ~self.is_new & (self.truth == NORMAL)),
            "known_before": before,
            "known_after": after,
            "loss": before - after,
        }


def share(which: ArrayLike, among: NDArray[np.bool_]) -> float:
    """Give the share of *which* among some windows; NaN if there are none."""
    return float(np.asarray(which)[among].mean()) if among.any() else float("nan")


def others(
    windows: LabelledWindows, is_new: NDArray[np.bool_], seed: int, most: int = MOST_WINDOWS
) -> Places:
    """Draw windows of what is not new, half of them normal, evenly over kinds and runs: places."""
    found = []
    normal = windows.labels == NORMAL
    for some in (~is_new & normal, ~is_new & ~normal):
        places = np.flatnonzero(some)
        kinds, runs = windows.kinds[places].astype(str), windows.runs[places].astype(str)
        found.append(places[thin(kinds.tolist(), runs.tolist(), most // 2, seed)])
    return np.concatenate(found)


def _sources(windows: LabelledWindows, is_new: NDArray[np.bool_], count: int) -> list[Places]:
    """List the links that have so many windows of what is new, a window apart: their places."""
    places = np.flatnonzero(is_new)
    links = [
        places[windows.owners[places] == owner] for owner in np.unique(windows.owners[places])
    ]
    return [link for link in links if len(_apart(windows, link)) >= count]


def _draw(windows: LabelledWindows, link: Places, count: int, rng: np.random.Generator) -> Places:
    """Draw *count* of a link's windows at random, a window apart."""
    for _ in range(TRIES):
        found = _apart(windows, rng.permutation(link), count)
        if len(found) == count:
            return found
    # At random they got into each other's way; from the first on, there is room for all.
    return rng.choice(_apart(windows, link), count, replace=False)


def _apart(windows: LabelledWindows, places: Places, most: int | None = None) -> Places:
    """Take of *places*, in that order, each that shares no row with those taken before."""
    taken: list[int] = []
    for place in places:
        start = windows.starts[place]
        if all(abs(start - windows.starts[one]) >= windows.spec.steps for one in taken):
            taken.append(int(place))
            if len(taken) == most:
                break
    return np.array(taken, np.intp)
