"""The roster: every link that is watched, what becomes of it, and what is to be told and kept.

It follows partitions as they come and go, takes the changes of state that windows and silence
make, turns them into events, and says which records are to be kept. What time it is comes in;
it does no I/O but through `States`.
"""

import logging
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from detector.events import RETIRED, TELEMETRY_LOST, Event, abated, onset
from detector.source import Move, Place, Source
from detector.state import NORMAL, RESTING, SILENT, LinkState, Steady, Turn
from detector.verdict import Verdict

from .attention import Attention
from .outbox import Outbox, Who
from .peers import Peers
from .record import LinkRecord, States
from .silence import HOURS, Heard, Noticed, Presence, Silence
from .usual import Usual

log = logging.getLogger(__name__)

KEEP_SECONDS = 300.0  # in which each link's record is written anew
PATIENT_LOOKS = 2  # rounds of words in which not all was read up, before that is being behind
NOTICES = {
    "appeared": "link appeared",
    "silent": "link is silent",
    "retired": "link retired",
    "lost": "nothing comes of an exporter any more",
    "back": "exporter is back",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """What time it is."""

    now: float  # of a clock that never goes back, seconds
    wall: float  # Unix time, seconds

    @property
    def hour(self) -> int:
        """The hour of the day, UTC."""
        return int(self.wall // 3600 % 24)

    @property
    def ms(self) -> int:
        """Unix time, milliseconds."""
        return round(self.wall * 1000)


@dataclass(frozen=True, slots=True)
class _Lost:
    """An exporter of which nothing comes."""

    since_ms: int
    partition: int  # where its record lies


@dataclass(kw_only=True)
class Roster:
    """What is known of links, and what is to be told and kept."""

    steady: Steady
    silence: Silence
    attention: Attention
    outbox: Outbox
    states: States
    peers: Peers
    usual: Usual
    noticed: Counter[str] = field(default_factory=Counter)  # by what, since the start
    _lost: dict[str, _Lost] = field(default_factory=dict)  # exporters that we told of
    _gone: dict[Who, int] = field(default_factory=dict)  # who is no more, to the partition
    _dirty: dict[Who, None] = field(default_factory=dict)  # whose record is to be written
    _rounds: deque[str] = field(default_factory=deque)  # links in the order of their next record
    _places: set[Place] = field(default_factory=set)  # that are ours
    _unread: set[Place] = field(default_factory=set)  # of these, what is not yet read up
    _delays: int = 0  # looks since all was read up
    _looked: float | None = None

    def follow(self, move: Move, moment: Moment) -> None:
        """Know the links of a partition that came, or forget those of one that went."""
        if move.is_gained:
            self._restore(move.place, moment)
            self._places.add(move.place)
            return
        self._places.discard(move.place)
        for link in self.silence.drop(move.place):
            self.steady.links.pop(link, None)
            self.usual.forget(link)

    def hear(self, windows: Iterable[Heard], moment: Moment) -> None:
        """Note whose windows came."""
        for noticed in self.silence.hear(windows, self.attention.seconds):
            self._notice(noticed, moment)

    def look(self, moment: Moment, source: Source) -> None:
        """See whose windows did not come. Once a second is often enough."""
        self.attention.advance(moment.wall, source.vitals)
        seconds = self.attention.seconds
        for name, sighting in self.peers.listen(moment.now).items():
            for noticed in self.silence.sighted(name, seconds - sighting.age, sighting.limit):
                self._notice(noticed, moment)
        if self.attention.is_paying and not self.peers.is_any_behind:
            noticed_now = self.silence.tick(
                seconds, moment.hour, lambda places: source.reached(places, "silence")
            )
            for noticed in noticed_now:
                self._notice(noticed, moment)
        self._let_others_know(moment, source)
        self._keep_in_turn(moment)

    def take(
        self,
        turns: Iterable[Turn],
        moment: Moment,
        verdict: Verdict | None = None,
        reason: str = "",
    ) -> None:
        """Make events of a link's changes of state."""
        for turn in turns:
            if turn.state not in RESTING and (state := self.steady.links.get(turn.link)):
                state.reason = reason
            for event in events_of(turn, verdict, reason):
                self._push((turn.link, turn.source), event, moment)

    def records(self) -> list[LinkRecord]:
        """Take the records that are to be kept: of whom anything changed."""
        dirty, self._dirty = self._dirty, {}
        return [record for who in dirty if (record := self._record(who))]

    def settle(self) -> list[LinkRecord]:
        """Take the records to be kept once all that was due is told."""
        self._dirty.update(dict.fromkeys(self.outbox.settle()))
        return self.records()

    def is_flapping(self, state: LinkState) -> bool:
        """Whether a link's state changed too often of late."""
        return state.is_flapping(self.steady.rule)

    def _push(self, who: Who, event: Event, moment: Moment) -> None:
        self.outbox.push(who, event, moment.now)
        self._dirty[who] = None

    def _notice(self, noticed: Noticed, moment: Moment) -> None:
        """Act on what silence found out."""
        what, link, source = noticed.what, noticed.link, noticed.source
        self.noticed[what] += 1
        if what == "appeared":
            self._rounds.append(link)
            self._dirty[link, source] = None
        elif what == "silent":
            self._silent(self.steady.link(link), moment)
        elif what == "retired":
            self._retire(noticed, moment)
        else:
            self._lose_or_find(source, moment, is_lost=what == "lost")
        level = logging.DEBUG if what == "appeared" else logging.INFO
        log.log(level, NOTICES[what], extra={"link": link, "source": source})

    def _silent(self, state: LinkState, moment: Moment) -> None:
        # A fault that goes quiet stays that fault.
        if state.label in RESTING:
            self.steady.turn(state, SILENT, moment.ms, max(0, state.last_ms))
            self.take(self.steady.take_turns(), moment, reason=self._why_silent(state))

    def _why_silent(self, state: LinkState) -> str:
        link = self.silence.links[state.name]
        others = len(self.silence.exporters[link.source].links) - 1
        seconds = self.attention.seconds - link.heard
        busiest = max(link.hours)
        share = f", {link.activity / busiest:.0%} of its busiest hour's" if busiest > 0 else ""
        return (
            f"no window came for {seconds:.0f} s while its exporter reported others "
            f"({others} links here); it had traffic until then{share}"
        )

    def _retire(self, noticed: Noticed, moment: Moment) -> None:
        link, source = noticed.link, noticed.source
        state = self.steady.links.pop(link, None)
        self.usual.forget(link)
        if state is not None and state.label not in RESTING:
            times = (moment.ms, moment.ms, state.since_ms)
            turn = Turn(link, source, state.label, RETIRED, *times, state.worst_margin, False)
            self.take([turn], moment)
        self._gone[link, source] = noticed.place[1] if noticed.place else 0
        self._dirty[link, source] = None

    def _lose_or_find(self, source: str, moment: Moment, *, is_lost: bool) -> None:
        who = ("", source)
        if is_lost and self.peers.is_ours(source, self._first_partition(source)):
            silent = self.attention.seconds - self.silence.exporters[source].heard
            since_ms = moment.ms - round(silent * 1000)
            self._lost[source] = _Lost(since_ms, self._first_partition(source))
            told = onset(
                link="",
                source=source,
                state=TELEMETRY_LOST,
                previous=None,
                at_ms=moment.ms,
                since_ms=since_ms,
                reason=f"nothing came of any of its links for {silent:.0f} s",
            )
            self._push(who, told, moment)
        elif not is_lost and source in self._lost:
            lost = self._lost.pop(source)
            self._gone[who] = lost.partition
            told = abated(
                link="",
                source=source,
                state=NORMAL,
                previous=TELEMETRY_LOST,
                at_ms=moment.ms,
                since_ms=moment.ms,
                began_ms=lost.since_ms,
            )
            self._push(who, told, moment)

    def _first_partition(self, source: str) -> int:
        links = self.silence.exporters[source].links
        return min((self.silence.links[name].place[1] for name in links), default=0)

    def _let_others_know(self, moment: Moment, source: Source) -> None:
        if self.peers.is_due(moment.now):
            if self.peers.are_there:  # alone, nobody needs to know
                self._unread &= self._places  # what moved away is another's to read
                self._unread -= set(source.reached(self._unread, "peers"))
                self._delays = self._delays + 1 if self._unread else 0
                self._unread = self._unread or set(self._places)
            is_behind = not self.attention.is_paying or self._delays > PATIENT_LOOKS
            self.peers.say(moment.now, self.silence, self.attention.seconds, is_behind=is_behind)

    def _keep_in_turn(self, moment: Moment) -> None:
        """Have every link's record written once in a while, a few at a time."""
        since = moment.now - self._looked if self._looked is not None else 0.0
        self._looked = moment.now
        for _ in range(round(len(self._rounds) * min(1.0, since / KEEP_SECONDS) + 0.5)):
            if not self._rounds:
                return
            name = self._rounds.popleft()
            if link := self.silence.links.get(name):
                self._rounds.append(name)
                self._dirty[name, link.source] = None

    def _record(self, who: Who) -> LinkRecord | None:
        link, source = who
        waiting, lost = self.outbox.waiting(who), self._lost.get(source)
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
        self._gone.pop(who, None)  # it came again
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

    def _restore(self, place: Place, moment: Moment) -> None:
        """Know what was kept of a partition's links; what waits to be told goes on waiting."""
        records = self.states.restore([place])
        waiting = [(one, event) for one in records for event in one.waiting]
        told = set(self.states.told([event for _, event in waiting])) if waiting else set()
        for record in records:
            if record.link and not record.is_gone:
                self._remember(record, place)
        # Only now: how many links a group has decides whether an event waits for company.
        for record, event in waiting:
            if event.id not in told:
                self._push((record.link, record.source), event, moment)
        for record in records:
            who = record.link, record.source
            if record.is_gone:
                self._gone[who] = place[1]
            elif not record.link and record.source in self.silence.exporters:
                self._lost[record.source] = _Lost(record.since_ms, place[1])
                self.silence.exporters[record.source].is_lost = True
            if record.waiting:
                self._dirty[who] = None
        if records:
            facts = {"partition": place[1], "links": len(records)}
            log.info("states restored", extra=facts)

    def _remember(self, record: LinkRecord, place: Place) -> None:
        presence = Presence(
            record.source,
            place,
            heard=self.attention.seconds,
            last_ms=record.last_ms,
            gap=record.gap,
            activity=record.activity,
            hours=list(record.hours) or [-1.0] * HOURS,
            is_silent=record.is_silent,
        )
        self.silence.remember(record.link, presence)
        self._rounds.append(record.link)
        state = self.steady.link(record.link)
        state.source, state.label = record.source, record.state
        state.since_ms, state.last_ms = record.since_ms, record.last_ms
        state.settled_ms, state.fault_ended_ms = record.settled_ms, record.fault_ended_ms
        state.faulty_ms, state.worst_margin = record.faulty_ms, record.worst_margin
        state.reason = record.reason
        state.changes_ms.extend(record.changes_ms)


def events_of(turn: Turn, verdict: Verdict | None, reason: str) -> list[Event]:
    """Make the events of a change of state: an end, a beginning, or one after the other.

    A link that is first seen and is well is no news.
    """
    events = []
    if turn.previous is not None and turn.previous != NORMAL:
        events.append(
            abated(
                link=turn.link,
                source=turn.source,
                state=turn.state,
                previous=turn.previous,
                at_ms=turn.at_ms,
                since_ms=turn.since_ms,
                began_ms=turn.began_ms,
                verdict=verdict,
                worst_margin=turn.worst_margin,
                flapping=turn.is_flapping,
            )
        )
    if turn.state not in (NORMAL, RETIRED):
        events.append(
            onset(
                link=turn.link,
                source=turn.source,
                state=turn.state,
                previous=turn.previous,
                at_ms=turn.at_ms,
                since_ms=turn.since_ms,
                verdict=verdict,
                reason=reason,
                flapping=turn.is_flapping,
            )
        )
    return events
