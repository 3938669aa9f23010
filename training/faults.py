"""Faults: what a bundle makes of a link over time, and which of two bundles are one event."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from detector.state import RESTING, Turn

NEAR_MS = 30_000  # faults that begin so close to each other are one event

# What became of OLD's fault, or where NEW's came from.
What = Literal["same", "later", "sooner", "renamed", "gone", "new", "joined", "split"]


class Fault(msgspec.Struct, frozen=True):
    """One fault of a link, as a bundle saw it."""

    state: str
    since_ms: int  # when it began
    at_ms: int  # end of the window that settled it
    until_ms: int  # when it ended, or what was captured did

    def apart_ms(self, other: "Fault") -> int:
        """Give the time between two faults; below 0 is how long they overlap."""
        return max(self.since_ms, other.since_ms) - min(self.until_ms, other.until_ms)

    def overlaps(self, other: "Fault") -> bool:
        """Whether there is a time at which the link was in both."""
        return self.apart_ms(other) < 0


class Pair(NamedTuple):
    """A fault of OLD and what NEW made of it, or the other way round."""

    what: What
    old: Fault | None
    new: Fault | None

    @property
    def delay_ms(self) -> int | None:
        """By how much NEW noticed it later; None where one of them did not."""
        return self.new.at_ms - self.old.at_ms if self.old and self.new else None

    @property
    def since_ms(self) -> int:
        """When it began, for the first of the two to say so."""
        return min(fault.since_ms for fault in (self.old, self.new) if fault)


def faults_of(turns: Iterable[Turn], end_ms: int) -> list[Fault]:
    """Give the faults of one link from its changes of state; the last may go on to the end."""
    found: list[Fault] = []
    last: Turn | None = None
    for turn in turns:
        if last and last.state not in RESTING:
            found.append(Fault(last.state, last.since_ms, last.at_ms, turn.since_ms))
        last = turn
    if last and last.state not in RESTING:
        found.append(Fault(last.state, last.since_ms, last.at_ms, end_ms))
    return found


def pairs(old: Sequence[Fault], new: Sequence[Fault], least_delay_ms: int = 1) -> list[Pair]:
    """Find which faults of a link are the same event, and what the others are, in time.

    First those that overlap under one name belong together, then those that overlap under two,
    then those of one name that begin within half a minute of each other. One that is left over
    although the other bundle said the same then is a part of what that one has in one piece.
    Noticed apart by less than *least_delay_ms* is the same.
    """
    rest, other, found = list(old), list(new), list[Pair]()
    for is_one in (_is_same, Fault.overlaps, _is_near):
        for one, two in _matched(rest, other, is_one):
            rest.remove(one)
            other.remove(two)
            found.append(_paired(one, two, least_delay_ms))
    for fault in rest:
        what, beside = _beside(fault, new, "gone", "joined")
        found.append(Pair(what, fault, beside))
    for fault in other:
        what, beside = _beside(fault, old, "new", "split")
        found.append(Pair(what, beside, fault))
    return sorted(found, key=lambda pair: pair.since_ms)


def _is_same(one: Fault, two: Fault) -> bool:
    return one.state == two.state and one.overlaps(two)


def _is_near(one: Fault, two: Fault) -> bool:
    return one.state == two.state and abs(one.since_ms - two.since_ms) <= NEAR_MS


def _paired(one: Fault, two: Fault, least_delay_ms: int) -> Pair:
    if one.state != two.state:
        return Pair("renamed", one, two)
    delay = two.at_ms - one.at_ms
    if abs(delay) < least_delay_ms:
        return Pair("same", one, two)
    return Pair("later" if delay > 0 else "sooner", one, two)


def _matched(
    old: Sequence[Fault], new: Sequence[Fault], is_pair: Callable[[Fault, Fault], bool]
) -> list[tuple[Fault, Fault]]:
    """Match each fault with one of the other bundle at most, the nearest begin first."""
    near = sorted(
        (abs(one.since_ms - two.since_ms), place, beside)
        for place, one in enumerate(old)
        for beside, two in enumerate(new)
        if is_pair(one, two)
    )
    found: dict[int, int] = {}
    for _, place, beside in near:
        if place not in found and beside not in found.values():
            found[place] = beside
    return [(old[place], new[beside]) for place, beside in found.items()]


def _beside(
    fault: Fault, others: Sequence[Fault], alone: What, part: What
) -> tuple[What, Fault | None]:
    """Say what a fault is that none of the *others* is the counterpart of, and what there was."""
    near = [one for one in others if fault.overlaps(one)]
    if not near:
        return alone, None
    if alike := [one for one in near if one.state == fault.state]:
        return part, alike[0]
    return "renamed", min(near, key=fault.apart_ms)
