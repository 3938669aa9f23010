"""Canaries: which recorded faults a bundle takes along, to be planted in live traffic.

A difference is taken from where a run really changed from normal to a fault. Planted in other
links' traffic it has to be recognised there by an encoder that is well, or a canary that is
missed would tell nothing: many a limit hardly binds, and a fault of one direction may not show
on a link that only knows the other. So each is tried on normal windows of other runs, and of
those that are named right nearly always some are taken of each kind, spread over traffic.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.capture import LinkCapture, run_of
from detector.encoder import Encoder
from detector.oncall.difference import (
    Canary,
    Difference,
    Recorded,
    alike,
    difference,
    is_busy,
    usual_row,
)
from detector.state import NORMAL
from detector.window import WindowSpec

from .labelled import LabelledWindows

MOST = 12  # differences of a label
CANDIDATES = 200  # changes of a label that are tried
TRIED_ON = 60  # normal windows that each is tried on
GOOD = 0.95  # share of them that are named right
FEWEST = 3  # where fewer are good, so many of the best ...
POOR = 0.5  # ... that are named right at least so often


@dataclass(frozen=True, slots=True)
class Candidate:
    """One change from normal to a fault, as it was recorded."""

    canary: Canary
    before: NDArray[np.float32]  # (features,), mean of the last normal rows
    after: NDArray[np.float32]  # (steps, features), from the change on
    difference: Difference


def choose(
    windows: LabelledWindows, encoder: Encoder, anchors: AnchorSet, seed: int
) -> Recorded | None:
    """Choose what a bundle takes along of the runs that it learnt from; None: nothing is fit.

    *windows* are those of one label throughout.
    """
    rng = np.random.default_rng(seed)
    tried_on = normal_windows(windows, TRIED_ON, seed)
    found = changes(windows.links, windows.spec)
    chosen: list[Candidate] = []
    for label in sorted({one.canary.label for one in found}):
        mine = [one for one in found if one.canary.label == label]
        some = np.sort(rng.permutation(len(mine))[:CANDIDATES])
        mine = [mine[place] for place in some]
        shares = [named_right(one, tried_on, encoder, anchors) for one in mine]
        chosen += _spread(_fit(mine, shares), MOST)
    if not chosen:
        return None
    return Recorded(
        tuple(one.canary for one in chosen),
        np.stack([one.before for one in chosen]),
        np.stack([one.after for one in chosen]),
    )


def expected_recall(
    recorded: Recorded,
    windows: LabelledWindows,
    encoder: Encoder,
    anchors: AnchorSet,
    seed: int,
) -> dict[str, float]:
    """Give the share of planted faults that are named right once they fill a window, by label.

    They are planted in normal ones of *windows*, as the daemon does it. Nothing is given where
    there are none.
    """
    differences = recorded.differences(windows.spec)
    tried_on = [values for _, values in normal_windows(windows, TRIED_ON, seed)]
    found = {}
    for label in sorted({one.label for one in differences}):
        mine = [one for one in differences if one.label == label]
        usual = [usual_row(values) for values in tried_on]
        faults = [one.rows(row, windows.spec.steps) for row in usual for one in alike(mine, row)]
        if faults:
            found[label] = _share(label, faults, encoder, anchors)
    return found


def normal_windows(
    windows: LabelledWindows, count: int, seed: int
) -> list[tuple[str, NDArray[np.float32]]]:
    """Draw about *count* normal windows, evenly over runs, with the run that each is from.

    Windows in which next to nothing flows are left out: the daemon plants nothing there.
    """
    labels = len(set(windows.labels))
    places = windows.evenly(count * labels, seed)
    places = places[windows.labels[places] == NORMAL]
    drawn = zip(windows.runs[places], windows.cut(places), strict=True)
    return [(str(run), values) for run, values in drawn if is_busy(values, windows.spec)]


def changes(links: Iterable[LinkCapture], spec: WindowSpec) -> list[Candidate]:
    """Find where links changed from normal to a fault, and both can be seen.

    A window's rows before it are normal, and a window's rows from it on are of the fault, but
    for a few at the beginning that may have no label.
    """
    return [
        candidate
        for link in links
        for row, label in _onsets(link.labels, spec.steps)
        if (candidate := _candidate(link, row, label, spec)) is not None
    ]


def named_right(
    candidate: Candidate,
    windows: Sequence[tuple[str, NDArray[np.float32]]],
    encoder: Encoder,
    anchors: AnchorSet,
) -> float:
    """Give the share of other runs' normal windows in which a fault is named right."""
    own = run_of(candidate.canary.link)
    steps = len(candidate.after)
    faults = [
        candidate.difference.rows(usual_row(values), steps)
        for run, values in windows
        if run != own
    ]
    return _share(candidate.canary.label, faults, encoder, anchors)


def _share(
    label: str, faults: Sequence[NDArray[np.float32]], encoder: Encoder, anchors: AnchorSet
) -> float:
    if not faults:
        return 0.0
    nearest = anchors.classify(encoder.embed(np.stack(faults)))
    return float((np.array(anchors.labels)[nearest.label] == label).mean())


def _onsets(labels: NDArray[np.object_], steps: int) -> list[tuple[int, str]]:
    """List the first rows that are no longer normal, each with the fault's label."""
    found, end = [], 0
    stretches = []  # label, first row, row after the last
    for label, rows in groupby(labels):
        start, end = end, end + len(list(rows))
        stretches.append((label, start, end))
    known = [one for one in stretches if one[0] is not None]
    for (was, first, row), (label, start, last) in pairwise(known):
        is_seen = row - first >= steps and last - row >= steps
        if was == NORMAL != label and is_seen and start - row <= steps // 3:
            found.append((row, str(label)))
    return found


def _candidate(link: LinkCapture, row: int, label: str, spec: WindowSpec) -> Candidate | None:
    first = row - spec.steps
    while first > max(0, row - 2 * spec.steps) and link.labels[first - 1] == NORMAL:
        first -= 1
    before, after = link.values[first:row], link.values[row : row + spec.steps]
    for rows in (before, after):
        if spec.is_short((~np.isnan(rows)).mean(axis=0)).any():
            return None
    kinds = Counter(str(kind) for kind in link.kinds[row : row + spec.steps] if kind)
    kind = kinds.most_common(1)[0][0] if kinds else label
    canary = Canary(label, kind, link.link, link.start_ms + row * link.step_ms)
    usual = usual_row(before).astype(np.float32)
    return Candidate(canary, usual, after, difference(label, usual, after, spec))


def _fit(candidates: Sequence[Candidate], shares: Sequence[float]) -> list[Candidate]:
    """Keep those that are named right often enough, the best first."""
    order = sorted(range(len(candidates)), key=lambda place: -shares[place])
    good = sum(share >= GOOD for share in shares)
    kept = [place for place in order if shares[place] >= POOR][: max(good, FEWEST)]
    return [candidates[place] for place in kept]


def _spread(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """Take as many of each kind, and of a kind what is least like all that is taken already."""
    taken: list[Candidate] = []
    rest = list(candidates)
    apart = [np.inf] * len(rest)  # from the nearest that is taken
    while rest and len(taken) < most:
        kinds = Counter(one.canary.kind for one in taken)
        least = min(kinds[one.canary.kind] for one in rest)
        free = [place for place, one in enumerate(rest) if kinds[one.canary.kind] == least]
        place = max(free, key=lambda place: apart[place])
        taken.append(rest.pop(place))
        apart.pop(place)
        new = taken[-1].difference.before
        apart = [
            min(far, one.difference.unlike(new)) for far, one in zip(apart, rest, strict=True)
        ]
    return sorted(taken, key=lambda one: (one.canary.kind, one.canary.link, one.canary.start_ms))
