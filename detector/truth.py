"""Truth: what a capture says really happened, and how well reported changes agree with it."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .capture import LinkCapture

GRACE_MS = 5000  # what was true so shortly before was reported late, not wrongly


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time during which one label is true of a link."""

    label: str
    start_ms: int  # when it began, the step in which the condition changed included
    end_ms: int  # when the next one began, or the capture ended


@dataclass(frozen=True, slots=True)
class Change:
    """A link's state became *label*, as somebody reported it."""

    link: str
    at_ms: int
    label: str


@dataclass(slots=True)
class Found:
    """How well reported changes agree with the truth."""

    onsets: int = 0  # true changes from one label to another
    delays_seconds: dict[str, list[float]] = field(
        default_factory=dict
    )  # by label, of those found
    missed: list[Change] = field(default_factory=list)  # true changes that nobody reported
    false: list[Change] = field(default_factory=list)  # reported changes that did not happen
    unscored: int = 0  # reported changes at times of which the truth isn't known
    watched_seconds: float = 0.0  # time in which a change could have been reported

    @property
    def found(self) -> int:
        """True changes that were reported before the next one came."""
        return sum(map(len, self.delays_seconds.values()))


def stretches(link: LinkCapture) -> list[Stretch]:
    """List a link's labels in time; rows without one belong to the change that they are in.

    A label that comes back after rows without one is one stretch, not two.
    """
    found: list[Stretch] = []
    unclear_since = None  # first row without a label since the last row with one
    for row, label in enumerate(link.labels):
        at_ms = link.start_ms + row * link.step_ms
        if label is None:
            unclear_since = at_ms if unclear_since is None else unclear_since
            continue
        if not found or found[-1].label != label:
            start_ms = at_ms if unclear_since is None else unclear_since
            if found:
                found[-1] = Stretch(found[-1].label, found[-1].start_ms, start_ms)
            found.append(Stretch(str(label), start_ms, start_ms))
        unclear_since = None
    if found:
        end_ms = link.start_ms + len(link.labels) * link.step_ms
        found[-1] = Stretch(found[-1].label, found[-1].start_ms, end_ms)
    return found


def compare(links: Iterable[LinkCapture], changes: Iterable[Change], span_ms: int) -> Found:
    """Hold reported changes against the truth of *links*.

    A true change is found if the link's state becomes its label before the next one; its delay
    runs from the change to the end of the window that settled the state. A reported change is
    false if its label isn't true at that moment, nor was in the five seconds before it; where
    no row of that time has a label, nobody can tell.
    Changes before the first whole window, *span_ms* after the start, can't be reported and
    don't count.
    """
    result = Found()
    by_link: dict[str, list[Change]] = {}
    for change in changes:
        by_link.setdefault(change.link, []).append(change)
    for link in links:
        reported = sorted(by_link.get(link.link, []), key=lambda change: change.at_ms)
        _compare_link(link, reported, result, span_ms)
    return result


def _compare_link(
    link: LinkCapture, reported: Sequence[Change], result: Found, span_ms: int
) -> None:
    truth = stretches(link)
    if not truth:
        return
    first_end_ms = link.start_ms + span_ms
    result.watched_seconds += max(0, truth[-1].end_ms - first_end_ms) / 1000
    for before, now in itertools.pairwise(truth):
        if now.start_ms < first_end_ms or before.label == now.label:
            continue
        result.onsets += 1
        hits = [
            c for c in reported if c.label == now.label and now.start_ms <= c.at_ms <= now.end_ms
        ]
        if hits:
            delay = (hits[0].at_ms - now.start_ms) / 1000
            result.delays_seconds.setdefault(now.label, []).append(delay)
        else:
            result.missed.append(Change(link.link, now.start_ms, now.label))
    for change in reported:
        if not _is_known(change, link):
            result.unscored += 1
        elif not _is_true(change, truth):
            result.false.append(change)


def _is_known(change: Change, link: LinkCapture) -> bool:
    first = max(0, (change.at_ms - GRACE_MS - link.start_ms) // link.step_ms)
    last = (change.at_ms - link.start_ms) // link.step_ms
    return any(label is not None for label in link.labels[first : max(0, last + 1)])


def _is_true(change: Change, truth: Sequence[Stretch]) -> bool:
    return any(
        stretch.label == change.label
        and stretch.start_ms <= change.at_ms <= stretch.end_ms + GRACE_MS
        for stretch in truth
    )
