"""Unseen: two bundles on the same windows, of runs that neither of them has learnt from.

The truth is what the bundle in use has names for, those enrolled since among them, so a
candidate that has learnt yet another fault neither gains nor loses by it; what it forgets of the
others is not made up for.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.bundle import Bundle
from detector.capture import CaptureError, LinkCapture
from detector.config import State
from detector.sight import Sight
from detector.window import WindowSpec
from training.judging.cell import Cell
from training.judging.intervals import difference
from training.judging.pooling import tallies
from training.judging.scores import macro_f1
from training.judging.study import ENCODER, UNSEEN
from training.judging.watching import Findings, Watching
from training.stated import by_sight
from training.traffic import name_of, read

CANDIDATE = "candidate"


class Side(msgspec.Struct, frozen=True):
    """How one of the two did."""

    macro_f1: float
    found: int  # true changes
    delay_seconds: float | None  # median of those found; None: none was
    false: int  # changes that weren't true


class HeldBack(msgspec.Struct, frozen=True, kw_only=True):
    """How both did on the same windows."""

    runs: int
    labels: tuple[str, ...]  # true of some window
    onsets: int  # true changes
    hours: float  # link-hours watched
    live: Side
    candidate: Side
    lead: float  # of the candidate, in macro-F1 ...
    lead_low: float  # ... and from where ...
    lead_high: float  # ... to where it would lie with other runs (95 %); NaN of one run


def unseen_links(
    live: Bundle, candidate: Bundle, paths: Sequence[Path], only: Sequence[str] = ()
) -> list[LinkCapture]:
    """Read the links of runs that neither bundle has seen, with all that both read of them.

    With no patterns in *only* they are the links that both are meant for.

    Raises:
        CaptureError: if captures can't be read, or nothing is left.
    """
    trainings = [bundle.manifest.training for bundle in (live, candidate)]
    seen = {run for one in trainings for run in (*one.runs, *one.validation_runs)}
    links = read(paths, joint(live.manifest.window, candidate.manifest.window), only or ("*",))
    if not only:
        links = [
            link
            for link in links
            # Patterns of a training are of its captures' names; what a store has is meant.
            if name_of(link) != link.link or all(_is_meant(link, one.links) for one in trainings)
        ]
    unseen = [link for link in links if link.run not in seen]
    if not unseen:
        raise CaptureError("one of the two bundles has seen every run of these captures")
    return unseen


def joint(one: WindowSpec, other: WindowSpec) -> WindowSpec:
    """Give the windows that have all that two bundles read.

    >>> one = WindowSpec(("sent", "lost"), steps=2, step_ms=1000)
    >>> other = WindowSpec(("lost", "late"), steps=2, step_ms=1000, optional=("late",))
    >>> joint(one, other).features, joint(one, other).optional
    (('sent', 'lost', 'late'), ('late',))
    """
    features = tuple(dict.fromkeys((*one.features, *other.features)))
    needed = {name for spec in (one, other) for name in set(spec.features) - set(spec.optional)}
    return WindowSpec(
        features,
        one.steps,
        one.step_ms,
        tuple(name for name in features if name not in needed),
        max(one.min_observed, other.min_observed),
    )


def judge_both(
    live: Sight, candidate: Sight, links: Sequence[LinkCapture], rule: State | None = None
) -> HeldBack:
    """Let both name every window of *links*, and follow their states, by the daemon's own rule.

    Raises:
        CaptureError: if no window has a label that the live bundle knows.
    """
    spec = joint(live.bundle.manifest.window, candidate.bundle.manifest.window)
    named = [link.only(live.labels) for link in links]
    watching = Watching(named, spec, recorded=links)
    cell = Cell(UNSEEN, "both bundles", 0, 0.0)
    for name, sight in ((ENCODER, live), (CANDIDATE, candidate)):
        cell.findings[name] = _findings(watching, sight, spec, rule)
    if not cell.findings[ENCODER].counts:
        raise CaptureError("no window of an unseen run has one label throughout")
    ours, theirs = tallies([cell], CANDIDATE), tallies([cell], ENCODER)
    lead = difference(ours, theirs)
    following = cell.findings[ENCODER].following
    return HeldBack(
        runs=len(ours[0].runs),
        labels=tuple(sorted({label for _, label in theirs[0].true})),
        onsets=following.onsets,
        hours=following.hours,
        live=_side(cell.findings[ENCODER], theirs[0].pooled),
        candidate=_side(cell.findings[CANDIDATE], ours[0].pooled),
        lead=lead.value,
        lead_low=lead.low,
        lead_high=lead.high,
    )


def _is_meant(link: LinkCapture, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(link.link, pattern) for pattern in patterns)


def _findings(watching: Watching, sight: Sight, spec: WindowSpec, rule: State | None) -> Findings:
    window = sight.bundle.manifest.window
    places = [spec.features.index(name) for name in window.features]

    def embed(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        return sight.encoder.embed(np.ascontiguousarray(windows[:, :, places]))

    def nearest(points: NDArray[np.float32]) -> list[str]:
        return [sight.labels[place] for place in sight.look(points).nearest.label]

    return watching.judged(nearest, watching.described(embed), by_sight(sight, rule))


def _side(findings: Findings, counts: NDArray[np.int64]) -> Side:
    delays = [one for some in findings.following.delays_seconds.values() for one in some]
    return Side(
        macro_f1=float(macro_f1(counts)),
        found=len(delays),
        delay_seconds=median(delays) if delays else None,
        false=findings.following.false,
    )
