"""Replayed: what captures tell of links while they are replayed, and what was found at the end.

It imports what reads captures only where there are some: a daemon on Kafka carries no pandas.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING

from .events import Event

if TYPE_CHECKING:
    from .capture import LinkCapture
    from .truth import Change, Stretch


class Replayed:
    """What captures tell of their links: when their run began, and what is true."""

    def __init__(
        self, links: Sequence["LinkCapture"], seen_runs: Collection[str], span_ms: int
    ) -> None:
        self.seen = {link.link for link in links if link.run in seen_runs}
        self.truth: dict[str, list[Stretch]] = {}
        if links:
            from .truth import stretches  # pandas

            self.truth = {link.link: known for link in links if (known := stretches(link))}
        self._links, self._span_ms = {link.link: link for link in links}, span_ms
        begun = {link.run: link.start_ms for link in sorted(links, key=lambda k: -k.start_ms)}
        self._begun_ms = {link.link: begun[link.run] for link in links}
        self._elapsed_ms = 0  # how far the replay has got, since every run's beginning
        self._changes: dict[str, list[Change]] = {}  # by link

    def reach(self, link: str, at_ms: int) -> None:
        """Note how far the replay has got."""
        self._elapsed_ms = max(self._elapsed_ms, at_ms - self._begun_ms.get(link, at_ms))

    def ended(self) -> list[str]:
        """Give the links whose last row the replay has left behind."""
        return [k for k, link in self._links.items() if self._rows(k) > len(link.labels)]

    def when(self, link: str, at_ms: int) -> str:
        """Say a time as a person follows it."""
        if link in self._begun_ms:
            return _elapsed(at_ms - self._begun_ms[link])
        seconds = at_ms // 1000
        return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02} UTC"

    def at(self, link: str, at_ms: int) -> "Stretch | None":
        """Give what is true of a link at a time, where it is known."""
        known = self.truth.get(link, [])
        place = bisect_right(known, at_ms, key=lambda stretch: stretch.start_ms)
        return known[place - 1] if place else None

    def truth_at(self, link: str, at_ms: int) -> str:
        """Say what is true of a link at a time, where it is known."""
        if now := self.at(link, at_ms):
            return f"truth: {now.label} since {self.when(link, now.start_ms).removeprefix('+ ')}"
        return ""

    def judge(self, event: Event) -> str:
        """Say how a change agrees with the truth, and keep it for the summary."""
        now = self.at(event.link, event.at_ms)
        if now is None:
            return ""
        from .truth import Change, compare

        change = Change(event.link, event.at_ms, event.state)
        changes = self._changes.setdefault(event.link, [])
        changes.append(change)
        found = compare([self._links[event.link]], changes, self._span_ms)
        if change in found.false:
            return "false"
        if now.label != event.state:
            return "late"
        delay = (event.at_ms - now.start_ms) / 1000
        is_first = delay in found.delays_seconds.get(event.state, ())
        return f"found after {delay:.1f} s" if is_first else "agrees"

    def summary(self) -> Iterator[str]:
        """Tell how the changes agree with the truth, over runs that training never saw."""
        from .truth import compare

        links = [self._so_far(link) for link in self.truth if link not in self.seen]
        found = compare(links, chain(*self._changes.values()), self._span_ms)
        minutes = found.watched_seconds / 60
        until = _elapsed(self._elapsed_ms)
        yield f"links watched: {len(links)}, until {until}, {minutes:.1f} link-minutes together"
        if self.seen:
            used = "of runs that training or validation used"
            yield f"links shown but not counted: {len(self.seen)}, {used}"
        yield f"true changes found: {found.found} of {found.onsets}"
        missed = Counter(change.label for change in found.missed)
        for label in sorted({*found.delays_seconds, *missed}):
            delays = found.delays_seconds.get(label, [])
            line = f"  {label:<16}  {len(delays):>3} of {len(delays) + missed[label]:<3}"
            if delays:
                line += f"  median delay {median(delays):.1f} s, worst {max(delays):.1f} s"
            yield line.rstrip()
        for change in found.missed:
            yield f"  missed {self._said(change)}"
        yield f"false changes: {len(found.false)}"
        for change in found.false:
            truth = self.truth_at(change.link, change.at_ms)
            yield f"  false  {self._said(change)}   {truth}"

    def _said(self, change: "Change") -> str:
        return f"{self.when(change.link, change.at_ms):>7}  {change.link}  {change.label}"

    def _so_far(self, link: str) -> "LinkCapture":
        """Cut a capture where the replay was stopped: what never came can't be missed."""
        capture, kept = self._links[link], slice(self._rows(link))
        values, labels, kinds = capture.values[kept], capture.labels[kept], capture.kinds[kept]
        return replace(capture, values=values, labels=labels, kinds=kinds)

    def _rows(self, link: str) -> int:
        """Count the rows of a link that the replay has got past."""
        until_ms = self._begun_ms[link] + self._elapsed_ms
        return max(0, until_ms - self._links[link].start_ms) // self._links[link].step_ms


def _elapsed(ms: int) -> str:
    return f"+ {ms / 1000:.1f}".removesuffix(".0") + " s"
