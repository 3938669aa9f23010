"""Parting runs: what is learnt from, and what is kept to judge by.

Windows of one run overlap and resemble each other, so a run is on one side as a whole,
with all the places it was watched at.
"""

from collections import Counter
from collections.abc import Sequence

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
