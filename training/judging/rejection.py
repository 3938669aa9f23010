"""Rejection: whether what was never learnt stands out, and at what price in false alarms.

A method that knows a few labels is shown runs with something else. Windows say how well its
strangeness orders them; episodes and events say what an operator would have seen of it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.capture import LinkCapture
from detector.oncall.rates import most_events
from detector.state import NORMAL
from detector.window import WindowSpec
from training.labelled import LabelledWindows

from .alarms import (
    DAY_SECONDS,
    Rule,
    Track,
    crossed_events,
    false_events,
    find_threshold,
    well_days,
)
from .episodes import EpisodeError, matching
from .intervals import Interval, auroc_interval
from .methods import Method
from .scores import false_positive_rate, rounded

BUDGETS_A_DAY = (0.1, 1.0, 10.0)  # false events of one link


@dataclass(frozen=True, slots=True)
class Flagged:
    """How many unknown episodes raise an event at a threshold chosen by its false events."""

    budget_a_day: float  # false events of a link, at most
    threshold: float
    episodes: int
    flagged: int
    false_events: int  # on the normal windows that the threshold was chosen on
    normal_hours: float  # link-hours of them
    crossed_a_day: float  # false events, each half of the runs with the other half's threshold
    crossed_at_most: float  # what that rate may really be, 95 % (Poisson)

    @property
    def share(self) -> float:
        """Share of the unknown episodes that are flagged."""
        return self.flagged / self.episodes if self.episodes else float("nan")

    def as_json(self) -> dict[str, Any]:
        """Give plain data; null for what could not be measured."""
        chosen = ("budget_a_day", "threshold", "share", "normal_hours")
        rates = (*chosen, "crossed_a_day", "crossed_at_most")
        counts = {name: getattr(self, name) for name in ("episodes", "flagged", "false_events")}
        return {name: rounded(getattr(self, name)) for name in rates} | counts


@dataclass(frozen=True, slots=True)
class Rejection:
    """How well a method's strangeness tells what it never learnt."""

    unknown_windows: int
    unknown_runs: int
    auroc: Interval  # against all that is known, as often as it comes
    auroc_normal: Interval  # against normal alone
    auroc_faults: Interval | None  # against the known faults alone; None if there is none
    false_positives: float  # share of the known windows flagged where 95 % of the unknown are
    false_positives_normal: float
    flagged: tuple[Flagged, ...]  # one for each budget

    def as_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "unknown_windows": self.unknown_windows,
            "unknown_runs": self.unknown_runs,
            "auroc": self.auroc.as_json(),
            "auroc_normal": self.auroc_normal.as_json(),
            "auroc_faults": self.auroc_faults and self.auroc_faults.as_json(),
            "false_positives": rounded(self.false_positives),
            "false_positives_normal": rounded(self.false_positives_normal),
            "flagged": [one.as_json() for one in self.flagged],
        }


def judge_rejection(
    method: Method,
    links: Sequence[LinkCapture],
    spec: WindowSpec,
    *,
    unknown: Collection[str],
    known: Collection[str],
    budgets_a_day: Sequence[float] = BUDGETS_A_DAY,
    rule: Rule | None = None,
    seed: int = 0,
) -> Rejection:
    """Judge how *method* rejects the labels or kinds that match a pattern of *unknown*.

    *method* has learnt from none of the *links*, which have all their labels; *known* are those
    that it has learnt. Areas and rates are of windows of one label throughout. Events are counted
    on a window every step: false ones where all rows of the window are normal, an episode's where
    its last row is the episode's.

    Raises:
        EpisodeError: if there is no unknown window, or no normal one.
    """
    rule = rule or Rule()
    pure = LabelledWindows(links, spec, tail=spec.steps)
    is_unknown = matching(pure, unknown)
    is_known = np.isin(pure.labels.astype(str), list(known)) & ~is_unknown
    is_normal = is_known & (pure.labels == NORMAL)
    if not is_unknown.any() or not is_normal.any():
        raise EpisodeError(f"no window of {', '.join(unknown)}, or none of {NORMAL!r}")
    tracks = _tracks(method, pure, is_normal)
    strange = _of_windows(tracks, pure)
    episodes = [
        (track, episode)
        for track, link in zip(tracks, links, strict=True)
        for episode in _episodes(link, spec, unknown)
    ]
    runs = pure.runs.astype(str)

    def against(some: NDArray[np.bool_]) -> Interval:
        mine, theirs = strange[some], strange[is_unknown]
        return auroc_interval(mine, runs[some], theirs, runs[is_unknown], seed=seed)

    is_fault = is_known & ~is_normal
    return Rejection(
        unknown_windows=int(is_unknown.sum()),
        unknown_runs=len(set(runs[is_unknown])),
        auroc=against(is_known),
        auroc_normal=against(is_normal),
        auroc_faults=against(is_fault) if is_fault.any() else None,
        false_positives=false_positive_rate(strange[is_known], strange[is_unknown]),
        false_positives_normal=false_positive_rate(strange[is_normal], strange[is_unknown]),
        flagged=tuple(_flag(tracks, episodes, budget, rule) for budget in budgets_a_day),
    )


def _flag(
    tracks: Sequence[Track],
    episodes: Sequence[tuple[Track, slice]],
    budget_a_day: float,
    rule: Rule,
) -> Flagged:
    threshold = find_threshold(tracks, budget_a_day, rule)
    hits = [len(rule.triggers(track.strangeness[where], threshold)) for track, where in episodes]
    events, days = crossed_events(tracks, budget_a_day, rule)
    return Flagged(
        budget_a_day=budget_a_day,
        threshold=threshold,
        episodes=len(episodes),
        flagged=int(np.count_nonzero(hits)),
        false_events=false_events(tracks, threshold, rule),
        normal_hours=well_days(tracks) * DAY_SECONDS / 3600,
        crossed_a_day=events / days if days else float("nan"),
        crossed_at_most=most_events(events) / days if days else float("nan"),
    )


def _tracks(method: Method, pure: LabelledWindows, is_normal: NDArray[np.bool_]) -> list[Track]:
    """Judge every usable window of every link; one track for each link."""
    found = []
    for owner, link in enumerate(pure.links):
        usable = link.usable(pure.spec)
        strangeness = np.full(len(usable), np.nan)
        if usable.any():
            strangeness[usable] = method.strangeness(link.windows(pure.spec.steps)[usable])
        normal = np.zeros(len(usable), bool)
        normal[_rows(pure, owner, is_normal)] = True
        found.append(Track(link.run, strangeness, normal, link.step_ms / 1000))
    return found


def _of_windows(tracks: Sequence[Track], pure: LabelledWindows) -> NDArray[np.float64]:
    """Give the strangeness of labelled windows from their links' tracks: (windows,)."""
    every = np.ones(len(pure), bool)
    parts = [track.strangeness[_rows(pure, owner, every)] for owner, track in enumerate(tracks)]
    return np.concatenate(parts)


def _rows(pure: LabelledWindows, owner: int, which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """At which rows of one link some of its windows start."""
    first = sum(len(link.values) for link in pure.links[:owner])
    rows: NDArray[np.int64] = pure.starts[which & (pure.owners == owner)] - first
    return rows


def _episodes(link: LinkCapture, spec: WindowSpec, unknown: Collection[str]) -> list[slice]:
    """List the stretches of windows of one link that end in something unknown."""
    one_row = WindowSpec(spec.features, 1, spec.step_ms, spec.optional, min_observed=0)
    rows = LabelledWindows([link], one_row, tail=1)
    inside = np.zeros(len(link.values), int)
    inside[rows.starts[matching(rows, unknown)]] = 1
    edges = np.flatnonzero(np.diff(inside, prepend=0, append=0))
    first = spec.steps - 1  # the row that the first window ends at
    stretches = zip(edges[::2] - first, edges[1::2] - first, strict=True)
    return [slice(max(0, begin), end) for begin, end in stretches if end > 0]
