"""The keeper: what of links is kept, when, and how it becomes what is known again.

Whatever changed is written with the batch that changed it, and everything once in five minutes,
a few links at a time. Events that nobody was told of yet are kept with those they are about.
"""

import logging
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from detector.events import Event
from detector.source import Place
from detector.state import TELEMETRY_LOST, LinkState, Steady

from .outbox import Outbox, Who
from .presence import HOURS, Presence
from .record import LinkRecord, States
from .silence import Silence

log = logging.getLogger(__name__)

KEEP_SECONDS = 300.0  # in which each link's record is written anew


@dataclass(frozen=True, slots=True)
class Lost:
    """An exporter of which nothing comes, and that somebody was told of."""

    since_ms: int
    partition: int  # where its record lies


@dataclass(kw_only=True)
class Keeper:
    """Says what is to be kept, and knows it again."""

    steady: Steady
    silence: Silence
    outbox: Outbox
    states: States
    lost: dict[str, Lost] = field(default_factory=dict)  # by exporter
    _gone: dict[Who, int] = field(default_factory=dict)  # who is no more, to the partition
    _dirty: dict[Who, None] = field(default_factory=dict)  # whose record is to be written
    # Links in the order of their next record.
    _rounds: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _went: float | None = None  # when rounds were last made
    _owed: float = 0.0  # records that should have been written by now

    def push(self, who: Who, event: Event, now: float) -> None:
        """Have an event told, and kept until it is."""
        self.outbox.push(who, event, now)
        self.note(who)

    def note(self, who: Who) -> None:
        """Keep somebody anew: something changed."""
        self._dirty[who] = None

    def meet(self, link: str, source: str) -> None:
        """Keep a new link from now on."""
        self._rounds[link] = None
        self.note((link, source))

    def forget(self, who: Who, partition: int) -> None:
        """Keep nothing of somebody any more, once all is told."""
        self._gone[who] = partition
        self.note(who)

    def let_go(self, place: Place, links: Collection[str]) -> None:
        """Leave a partition's links to whoever has it now, and all that is to be told of them.

        It is in their records, or comes of the windows that were not committed.
        """
        self.outbox.drop(set(links))
        for source in [name for name, one in self.lost.items() if one.partition == place[1]]:
            del self.lost[source]

    def records(self) -> list[LinkRecord]:
        """Take the records that are to be kept: of whom anything changed."""
        dirty, self._dirty = self._dirty, {}
        return [record for who in dirty if (record := self._record(who))]

    def settle(self) -> list[LinkRecord]:
        """Take the records to be kept once all that was due is told."""
        self._dirty.update(dict.fromkeys(self.outbox.settle()))
        return self.records()

    def make_rounds(self, now: float) -> None:
        """Have every link's record written once in a while, a few at a time."""
        since = now - self._went if self._went is not None else 0.0
        self._went = now
        self._owed += len(self._rounds) * min(1.0, since / KEEP_SECONDS)
        while self._owed >= 1 and self._rounds:
            self._owed -= 1
            name, _ = self._rounds.popitem(last=False)
            if link := self.silence.links.get(name):
                self._rounds[name] = None
                self.note((name, link.source))

    def restore(self, place: Place, now: float, heard: float) -> None:
        """Know what was kept of a partition's links; what waits to be told goes on waiting.

        *now* is of the caller's clock, *heard* attention's seconds: everybody has time anew.
        """
        records = self.states.restore([place])
        waiting = [(one, event) for one in records for event in one.waiting]
        told = set(self.states.told([event for _, event in waiting])) if waiting else set()
        for record in records:
            if record.link and not record.is_gone:
                self._remember(record, place, heard)
        # Only now: how many links a group has decides whether an event waits for company.
        for record, event in waiting:
            if event.id not in told:
                self.push((record.link, record.source), event, now)
        for record in records:
            who = record.link, record.source
            if record.is_gone:
                self._gone[who] = place[1]
            elif not record.link and record.source in self.silence.exporters:
                self.lost[record.source] = Lost(record.since_ms, place[1])
                self.silence.exporters[record.source].is_lost = True
            if record.waiting:
                self.note(who)
        self._settle_in(place, records, heard)

    def _settle_in(self, place: Place, records: Sequence[LinkRecord], heard: float) -> None:
        # It may be for us now to tell of a loss that we only took note of.
        for source in {record.source for record in records} - self.lost.keys():
            self.silence.doubt_lost(source, heard)
        if records:
            facts = {"partition": place[1], "links": len(records)}
            log.info("states restored", extra=facts)

    def _record(self, who: Who) -> LinkRecord | None:
        link, source = who
        waiting, lost = self.outbox.waiting(who), self.lost.get(source)
        if lost and not link:
            return LinkRecord(
                link="",
                source=source,
                partition=lost.partition,
                state=TELEMETRY_LOST,
                since_ms=lost.since_ms,
                waiting=waiting,
            )
        presence = self.silence.links.get(link)
        if presence is None:
            if who not in self._gone:
                return None
            partition = self._gone[who] if waiting else self._gone.pop(who)
            return LinkRecord(
                link=link, source=source, partition=partition, waiting=waiting, is_gone=True
            )
        state = self.steady.links.get(link) or LinkState(link)
        return LinkRecord(
            link=link,
            source=source,
            partition=presence.place[1],
            state=state.label,
            since_ms=state.since_ms,
            last_ms=state.last_ms,
            settled_ms=state.settled_ms,
            fault_ended_ms=state.fault_ended_ms,
            faulty_ms=state.faulty_ms,
            worst_margin=state.worst_margin,
            reason=state.reason,
            changes_ms=tuple(state.changes_ms),
            gap=round(presence.gap, 3),
            activity=presence.activity,
            hours=tuple(presence.hours),
            is_silent=presence.is_silent,
            waiting=waiting,
        )

    def _remember(self, record: LinkRecord, place: Place, heard: float) -> None:
        presence = Presence(
            record.source,
            place,
            heard=heard,
            last_ms=record.last_ms,
            gap=record.gap,
            activity=record.activity,
            hours=list(record.hours) or [-1.0] * HOURS,
            is_silent=record.is_silent,
        )
        self.silence.remember(record.link, presence)
        self._rounds[record.link] = None
        state = self.steady.link(record.link)
        state.source, state.label = record.source, record.state
        state.since_ms, state.last_ms = record.since_ms, record.last_ms
        state.settled_ms, state.fault_ended_ms = record.settled_ms, record.fault_ended_ms
        state.faulty_ms, state.worst_margin = record.faulty_ms, record.worst_margin
        state.reason = record.reason
        state.changes_ms.extend(record.changes_ms)
