"""The roster: every link that is watched, and what becomes of it.

It follows partitions as they come and go, takes the changes of state that windows and silence
make, and has events made of them, told and kept (`telling`, `outbox`, `keeper`). What time it is
comes in.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from detector.source import Move, Place, Source
from detector.state import NORMAL, RESTING, RETIRED, SILENT, LinkState, Steady, Turn
from detector.verdict import Verdict

from .attention import Attention
from .keeper import Keeper, Lost
from .moment import Moment
from .peers import Peers
from .presence import Heard, Noticed
from .silence import Silence
from .telling import events_of, exporter_back, exporter_lost
from .usual import Usual

log = logging.getLogger(__name__)

NOTICES = {
    "appeared": "link appeared",
    "silent": "link is silent",
    "retired": "link retired",
    "lost": "nothing comes of an exporter any more",
    "back": "exporter is back",
}


@dataclass(kw_only=True)
class Roster:
    """What is known of links, and what is to be told and kept."""

    steady: Steady
    silence: Silence
    attention: Attention
    keeper: Keeper
    peers: Peers
    usual: Usual
    fell_silent: list[tuple[str, int]] = field(default_factory=list)  # link, when; until taken
    noticed: Counter[str] = field(default_factory=Counter)  # by what, since the start
    _places: set[Place] = field(default_factory=set)  # that are ours

    def follow(self, move: Move, moment: Moment) -> None:
        """Know the links of a partition that came, or forget those of one that went."""
        if move.is_gained:
            self.keeper.restore(move.place, moment.now, self.attention.seconds)
            self._places.add(move.place)
            return
        self._places.discard(move.place)
        gone = self.silence.drop(move.place)
        self.keeper.let_go(move.place, gone)
        for link in gone:
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
        sightings, lost = self.peers.listen(moment.now)
        for name, sighting in sightings.items():
            for noticed in self.silence.sighted(name, seconds - sighting.age, sighting.limit):
                self._notice(noticed, moment)
        for name, age in lost.items():
            self.silence.believe_lost(name, seconds - age)
        if self.attention.is_paying:
            for noticed in self.silence.tick(
                seconds,
                moment.hour,
                lambda places: source.reached(places, "silence"),
                spare_exporters=self.peers.is_any_behind,
            ):
                self._notice(noticed, moment)
        # One whose links have all left, or report through another, will not be heard here again.
        for name in [name for name in self.keeper.lost if name not in self.silence.exporters]:
            self._find(name, moment, RETIRED)
        self.peers.say_if_due(
            moment.now,
            self.silence,
            self.attention,
            lambda: self._is_behind(source),
            self.keeper.lost,
        )
        self.keeper.make_rounds(moment.now)

    def take(
        self,
        turns: Iterable[Turn],
        moment: Moment,
        verdict: Verdict | None = None,
        reason: str = "",
    ) -> None:
        """Make events of a link's changes of state."""
        for turn in turns:
            self.keeper.note((turn.link, turn.source))  # also of what is no news
            if turn.state not in RESTING and (state := self.steady.links.get(turn.link)):
                state.reason = reason
            for event in events_of(turn, verdict, reason):
                self.keeper.push((turn.link, turn.source), event, moment.now)

    def is_flapping(self, state: LinkState) -> bool:
        """Whether a link's state changed too often of late."""
        return state.is_flapping(self.steady.rule)

    def _notice(self, noticed: Noticed, moment: Moment) -> None:
        """Act on what silence found out."""
        what, link, source = noticed.what, noticed.link, noticed.source
        self.noticed[what] += 1
        if what == "appeared":
            self.keeper.meet(link, source)
        elif what == "silent":
            self._silent(self.steady.link(link), moment)
        elif what == "retired":
            self._retire(noticed, moment)
        elif what == "lost":
            self._lose(source, moment)
        else:
            self._find(source, moment)
        level = logging.DEBUG if what == "appeared" else logging.INFO
        log.log(level, NOTICES[what], extra={"link": link, "source": source})

    def _silent(self, state: LinkState, moment: Moment) -> None:
        # A fault that goes quiet stays that fault.
        if state.label in RESTING:
            self.steady.turn(state, SILENT, moment.ms, max(0, state.last_ms))
            self.fell_silent.append((state.name, moment.ms))
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
        self.keeper.forget((link, source), noticed.place[1] if noticed.place else 0)

    def _lose(self, source: str, moment: Moment) -> None:
        exporter = self.silence.exporters[source]
        first = min((self.silence.links[name].place[1] for name in exporter.links), default=0)
        if self.peers.is_ours(source, first):
            event = exporter_lost(source, moment.ms, self.attention.seconds - exporter.heard)
            self.keeper.lost[source] = Lost(event.since_ms, first)
            self.keeper.push(("", source), event, moment.now)

    def _find(self, source: str, moment: Moment, state: str = NORMAL) -> None:
        if lost := self.keeper.lost.pop(source, None):
            event = exporter_back(source, moment.ms, lost.since_ms, state)
            self.keeper.push(("", source), event, moment.now)
            self.keeper.forget(("", source), lost.partition)

    def _is_behind(self, source: Source) -> bool:
        """Whether there may be windows that are ours to read, and not read."""
        if not self._places:
            return False  # a spare: what is unread is others'
        if not self.attention.is_paying:
            return True
        reached = partial(source.reached, asker="peers")
        return self.peers.count > 0 and self.peers.is_behind(self._places, reached)
