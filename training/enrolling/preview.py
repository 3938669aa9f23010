"""Previews: what an enrolment would have done to the traffic that was captured.

All of it is judged, window by window and over time by the daemon's own rule: by what is in use
now, and by the same with the new anchor, at each reach that it might have. Nothing is published.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from detector.config import State
from detector.oncall.rates import most_events
from detector.oncall.strangeness import HOURS_A_WEEK
from detector.sight import Sight
from detector.state import NORMAL

from .incident import Incident
from .separation import Separation, said, separations
from .traffic import Piece, Unnamed
from .watching import SETTLED_MS, Firing, Watched, firings, watch

REACHES = (0.25, 0.5, 0.7, 1.0, 1.5, 2.0)  # docs/experiments.md, "Enrolling one incident"
UNJUDGED_REACH = 1.0  # at most, where nothing says what a wider one would do
MOST_TAKEN = 0.05  # of the windows that are known to be of other faults
MOST_WINDOWS = 500_000  # that are judged; of more traffic, pieces are drawn by chance
Progress = Callable[[int, int], None]  # windows judged, of how many


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What would have been."""

    label: str
    reach: float
    windows: int  # that would be anchors
    hours: float  # link-hours judged
    links: int
    left_out: int  # windows that there was no time for
    firings: tuple[Firing, ...]  # but for those in the incident itself
    finds_itself_ms: int | None  # after the incident's beginning; None: it does not
    separations: tuple[Separation, ...]
    faulty: int  # windows that are known to be of another fault
    taken: int  # of these, how many would be called this one
    normal_hours: float  # link-hours of traffic that was captured as normal
    named: tuple[Unnamed, ...]  # unnamed unknowns that would have had the label
    unnamed: int  # unknowns that nobody has named, all of them
    budget_a_week: float

    @property
    def false(self) -> tuple[Firing, ...]:
        """Those in traffic that was captured as normal."""
        return tuple(firing for firing in self.firings if firing.truth == NORMAL)

    @property
    def taken_share(self) -> float:
        """Share of the windows of other faults that it would take; 0 where none is known."""
        return self.taken / self.faulty if self.faulty else 0.0

    @property
    def rate_a_week(self) -> float:
        """False alarms of a link in a week, as counted; 0 where nothing normal was seen."""
        return len(self.false) / self.normal_hours * HOURS_A_WEEK if self.normal_hours else 0.0

    @property
    def most_a_week(self) -> float:
        """What that rate may really be (95 %, Poisson)."""
        if not self.normal_hours:
            return float("inf")
        return most_events(len(self.false)) / self.normal_hours * HOURS_A_WEEK

    @property
    def verdict(self) -> Literal["within", "unsure", "over", "unjudged"]:
        """How that compares with the budget.

        `unsure`: too little normal traffic was seen; `unjudged`: none was.
        """
        if not self.normal_hours:
            return "unjudged"
        if self.rate_a_week > self.budget_a_week:
            return "over"
        return "within" if self.most_a_week <= self.budget_a_week else "unsure"


def previews(
    before: Sight,
    after: Mapping[float, Sight],
    incident: Incident,
    label: str,
    traffic: Sequence[Piece],
    *,
    unnamed: Sequence[Unnamed] = (),
    rule: State | None = None,
    budget_a_week: float = 1.0,
    progress: Progress = lambda _done, _of: None,
    most: int = MOST_WINDOWS,
    seed: int = 0,
) -> list[Preview]:
    """Judge captured traffic without what is to be enrolled, and with it at each reach."""
    steps = before.bundle.manifest.window.steps
    pieces, left_out = _drawn(traffic, steps, most, seed)
    reaches = sorted(after, reverse=True)
    watched: dict[float, list[Watched]] = {reach: [] for reach in reversed(reaches)}
    sights = [after[reach] for reach in reaches]
    total, done = sum(_windows(piece, steps) for piece in pieces), 0
    for piece in pieces:
        for reach, one in zip(reaches, watch(piece, before, sights, rule), strict=False):
            watched[reach].append(one)
        done += _windows(piece, steps)
        progress(done, total)
    return [
        _summed(
            some, reach, before, after[reach], incident, label, left_out, unnamed, budget_a_week
        )
        for reach, some in watched.items()
    ]


def chosen(found: Sequence[Preview]) -> Preview:
    """Give the one of the largest reach that keeps the budget and leaves other faults theirs.

    Of those that no normal traffic judges none wider than `UNJUDGED_REACH`. If none is good, that
    of the smallest: whoever enrols it will be told.
    """
    good = [
        one
        for one in found
        if one.verdict != "over"
        and one.taken_share <= MOST_TAKEN
        and (one.verdict != "unjudged" or one.reach <= UNJUDGED_REACH)
    ]
    return max(good, key=lambda one: one.reach, default=min(found, key=lambda one: one.reach))


def _summed(
    watched: Sequence[Watched],
    reach: float,
    before: Sight,
    after: Sight,
    incident: Incident,
    label: str,
    left_out: int,
    unnamed: Sequence[Unnamed],
    budget_a_week: float,
) -> Preview:
    """Sum up what was seen at one reach."""
    found = [firing for one in watched for firing in firings(one, label)]
    own = [one for one in found if incident.is_part_of(one.link, one.at_ms, one.until_ms)]
    # Windows are called by the label some seconds before the state is.
    whole = incident.widened([(one.at_ms - SETTLED_MS, one.until_ms) for one in own])
    hours, normal, faulty, taken = 0.0, 0.0, 0, 0
    for one in watched:
        truth, step = one.truth, one.piece.rows.step_ms / 3_600_000
        hours += len(truth) * step
        normal += float((truth == NORMAL).sum()) * step
        is_other = np.array([name not in (None, NORMAL, label) for name in truth], bool)
        faulty += int(is_other.sum())
        taken += int((is_other & (said(after, one.after[0]) == label)).sum())
    return Preview(
        label=label,
        reach=reach,
        windows=len(incident.values),
        hours=hours,
        links=len({one.piece.link for one in watched}),
        left_out=left_out,
        firings=tuple(one for one in found if one not in own),
        finds_itself_ms=min((max(0, one.at_ms - incident.from_ms) for one in own), default=None),
        separations=separations(watched, before, after, whole, label),
        faulty=faulty,
        taken=taken,
        normal_hours=normal,
        named=tuple(one for one in unnamed if _is_named(one, found)),
        unnamed=len(unnamed),
        budget_a_week=budget_a_week,
    )


def tallied(found: Sequence[Firing]) -> dict[str, int]:
    """Count firings by what the state was without the anchor, the most frequent first."""
    counts = Counter(firing.instead_of or "nothing yet" for firing in found)
    return dict(counts.most_common())


def _is_named(unnamed: Unnamed, found: Sequence[Firing]) -> bool:
    return any(
        firing.link == unnamed.link
        and firing.at_ms <= unnamed.until_ms + SETTLED_MS
        and firing.until_ms > unnamed.since_ms
        for firing in found
    )


def _drawn(traffic: Sequence[Piece], steps: int, most: int, seed: int) -> tuple[list[Piece], int]:
    """Draw pieces until there are enough windows; says how many were left out."""
    taken, count, left_out = set[int](), 0, 0
    for place in np.random.default_rng(seed).permutation(len(traffic)).tolist():
        size = _windows(traffic[place], steps)
        if taken and count + size > most:
            left_out += size
            continue
        taken.add(place)
        count += size
    return [piece for place, piece in enumerate(traffic) if place in taken], left_out


def _windows(piece: Piece, steps: int) -> int:
    return max(0, len(piece.rows.values) - steps + 1)
