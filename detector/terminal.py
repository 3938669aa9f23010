"""The terminal sink: what the daemon sees, for a person. This file alone knows rich.

In a terminal: a live table and the latest changes; elsewhere: one plain line for each change.
Where captures are replayed, their truth stands beside it and a summary of what was found comes
last. Times are traffic time: seconds since its run began for a link that is replayed, else UTC.
Names come off the network, so they are never read as markup.
"""

from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from .verdict import NORMAL, Event, Verdict

if TYPE_CHECKING:
    from .capture import LinkCapture
    from .truth import Change, Stretch

MOST_LINKS = 100_000  # kept, with one small record each; the longest unheard of goes first
LATEST_CHANGES = 10  # kept for the display
FRAME_SECONDS = 1 / 8  # from one picture to the next, at least
QUIET_SECONDS = 60.0  # a link of which nothing came for as long is marked
WIDE = 110  # columns from which there is room for anchors and whole sentences

FAULT, CHANGED, CALM, ENDED = range(4)  # ranks, in the table's order
STYLES = {NORMAL: "green", "blocked": "bold red", "unsettled": "dim", "ended": "dim"}


@dataclass(slots=True)
class _Row:
    """What the table shows of one link."""

    link: str
    state: str | None
    since_ms: int  # end of the first window in this state
    last_ms: int  # end of the newest window
    seen: float  # when it came, seconds of the sink's clock
    anchor: str = ""
    margin: float = 0.0
    rank: int = CALM

    @property
    def kind(self) -> str:
        """What the link is counted as."""
        return "ended" if self.rank == ENDED else self.state or "unsettled"


class _Links:
    """One record a link, ordered for the table; no operation takes longer with more links."""

    def __init__(self) -> None:
        self.rows: OrderedDict[str, _Row] = OrderedDict()  # longest unheard of first
        self.counts: Counter[str] = Counter()
        self._ranks: tuple[dict[str, _Row], ...] = ({}, {}, {}, {})

    def take(self, verdict: Verdict, now: float) -> None:
        """Note what a verdict says of its link."""
        row = self.rows.get(verdict.link)
        if row is None:
            row = _Row(verdict.link, None, verdict.end_ms, verdict.end_ms, now)
            self.rows[row.link] = self._ranks[row.rank][row.link] = row
            self.counts[row.kind] += 1
            if len(self.rows) > MOST_LINKS:
                self._drop()
        self.rows.move_to_end(row.link)
        row.last_ms, row.seen = verdict.end_ms, now
        row.anchor, row.margin = verdict.anchor, verdict.margin
        if verdict.state != row.state:
            row.since_ms = verdict.end_ms
            calm = CHANGED if row.rank in (FAULT, CHANGED) else CALM
            is_calm = verdict.state in (None, NORMAL)
            self._put(row, verdict.state, calm if is_calm else FAULT)

    def end(self, link: str) -> None:
        """Note that nothing more will come of a link."""
        if row := self.rows.get(link):
            self._put(row, row.state, ENDED)

    def forget(self, before: float) -> None:
        """Drop links of which nothing came since *before*."""
        while self.rows and next(iter(self.rows.values())).seen < before:
            self._drop()

    def ordered(self) -> Iterator[_Row]:
        """Give faults, then what else changed, latest first; the never changed; the ended."""
        faults, changed, calm, ended = (rank.values() for rank in self._ranks)
        return chain(reversed(faults), reversed(changed), calm, reversed(ended))

    def _put(self, row: _Row, state: str | None, rank: int) -> None:
        self.counts[row.kind] -= 1
        del self._ranks[row.rank][row.link]
        row.state, row.rank = state, rank
        self._ranks[rank][row.link] = row  # at the end: it changed last
        self.counts[row.kind] += 1

    def _drop(self) -> None:
        _, row = self.rows.popitem(last=False)
        del self._ranks[row.rank][row.link]
        self.counts[row.kind] -= 1


class _Replayed:
    """What the captures tell of their links: when their run began and ends, and what is true."""

    def __init__(
        self, links: Sequence["LinkCapture"], seen_runs: Collection[str], span_ms: int
    ) -> None:
        begun: dict[str, int] = {}
        for link in links:
            begun[link.run] = min(link.start_ms, begun.get(link.run, link.start_ms))
        self.elapsed_ms = 0  # since every run's first row
        self.begun_ms = {link.link: begun[link.run] for link in links}
        self.seen = {link.link for link in links if link.run in seen_runs}
        self.truth: dict[str, list[Stretch]] = {}
        if links:
            from .truth import stretches  # pandas

            found = {link.link: stretches(link) for link in links}
            self.truth = {link: known for link, known in found.items() if known}
        ends = [
            (link.start_ms - self.begun_ms[link.link] + len(link.labels) * link.step_ms, link.link)
            for link in links
        ]
        self._ends = sorted(ends, reverse=True)
        self._links, self._span_ms = {link.link: link for link in links}, span_ms
        self._changes: list[Change] = []
        self._found: set[tuple[str, int]] = set()  # true changes: link, when

    def when(self, link: str, at_ms: int) -> str:
        """Say when something was."""
        if link in self.begun_ms:
            return f"+ {round((at_ms - self.begun_ms[link]) / 1000, 1):g} s"
        return (
            f"{at_ms // 3_600_000 % 24:02}:{at_ms // 60_000 % 60:02}:{at_ms // 1000 % 60:02} UTC"
        )

    def pass_to(self, verdict: Verdict) -> None: ...

    def ended(self) -> Iterator[str]:
        """Give the links, once each, that the replay has got past."""
        while self._ends and self._ends[-1][0] < self.elapsed_ms:
            yield self._ends.pop()[1]

    def at(self, link: str, at_ms: int) -> "Stretch | None":
        """Give what is true of a link at a time."""
        known = self.truth.get(link, [])
        place = bisect_right(known, at_ms, key=lambda stretch: stretch.start_ms)
        return known[place - 1] if place else None

    def judge(self, event: Event) -> tuple[str, str]:
        """Say what is true as a state changes, and what the change is worth; keep it."""
        now = self.at(event.link, event.at_ms)
        if now is None:
            return "", ""
        from .truth import Change

        change = Change(event.link, event.at_ms, event.state)
