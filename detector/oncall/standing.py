"""Standing: how everything stands, as the daemon shows it to people.

Made once a second by the service's loop. Only the links that are shown are put into words there;
all of them only for somebody who looks for certain ones, and in his thread.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nlargest

from detector.board import MOST_LINKS
from detector.rejections import Rejections
from detector.source import Vitals
from detector.state import RESTING, LinkState
from detector.status import (
    LOST,
    MOST_SOURCES,
    REPORTING,
    UNSETTLED,
    CanaryStatus,
    EventStatus,
    LinkStatus,
    Pace,
    SourceStatus,
    Status,
    lost_first,
)

from .moment import Moment
from .recall import Score
from .roster import Roster
from .tally import Tally

EVENTS = 20


@dataclass(kw_only=True)
class Standing:
    """Puts into words how everything stands."""

    facts: Mapping[str, str]  # version, bundle, engine
    roster: Roster
    tally: Tally
    rejections: Rejections = field(default_factory=Rejections)
    has_broker: bool = True
    _begun: float | None = None
    _pace: Pace | None = None

    def status(self, moment: Moment, vitals: Vitals, scores: Mapping[str, Score]) -> Status:
        """Tell how everything stands now."""
        self._begun = moment.now if self._begun is None else self._begun
        self._pace = self._pace or Pace()
        roster = self.roster
        links = roster.steady.links.values()
        states = Counter(state.label or UNSETTLED for state in links)
        flapping = {state.name for state in links if roster.is_flapping(state)}
        exporters = roster.silence.exporters
        events = list(roster.keeper.outbox.latest)[-EVENTS:]
        return Status(
            version=self.facts.get("version", ""),
            bundle=self.facts.get("bundle", ""),
            engine=self.facts.get("engine", ""),
            now_ms=moment.ms,
            uptime_seconds=moment.now - self._begun,
            contact_seconds=self._contact(moment, vitals),
            lag_messages=sum(vitals.lag.values()),
            windows_per_second=self._pace.note(moment.now, self.tally.windows),
            links=len(roster.steady.links),
            states=dict(states),
            flapping=len(flapping),
            worst=tuple(self.links(_worst(links, flapping))),
            sources_known=len(exporters),
            sources_lost=sum(one.is_lost for one in exporters.values()),
            sources=tuple(self._sources()),
            canary={label: _canary(score) for label, score in scores.items()},
            unknown=self.tally.status,
            events=tuple(EventStatus.of(event) for event in reversed(events)),
            peers=roster.peers.count,
            rejected=self.rejections.counts(moment.now),
        )

    def _contact(self, moment: Moment, vitals: Vitals) -> float | None:
        return max(0.0, moment.wall - vitals.contact) if self.has_broker else None

    def links(self, states: Iterable[LinkState]) -> Iterable[LinkStatus]:
        """Put links into words."""
        seconds, heard = self.roster.attention.seconds, self.roster.silence.links
        for state in states:
            presence = heard.get(state.name)
            yield LinkStatus(
                state.name,
                state.source,
                state.label,
                state.since_ms,
                state.last_ms,
                state.margin,
                state.strangeness,
                state.reason,
                self.roster.is_flapping(state),
                max(0.0, seconds - presence.heard) if presence else 0.0,
            )

    def _sources(self) -> list[SourceStatus]:
        seconds = self.roster.attention.seconds
        return lost_first(
            (
                SourceStatus(
                    name, len(one.links), LOST if one.is_lost else REPORTING, seconds - one.heard
                )
                for name, one in self.roster.silence.exporters.items()
            ),
            MOST_SOURCES,
        )


def _worst(links: Iterable[LinkState], flapping: set[str]) -> list[LinkState]:
    """Give those to be shown: faults, then what flaps, then what changed last."""

    def order(state: LinkState) -> tuple[bool, bool, int]:
        is_fault = state.label not in RESTING
        return is_fault, not is_fault and state.name in flapping, state.since_ms

    return nlargest(MOST_LINKS, links, key=order)


def _canary(score: Score) -> CanaryStatus:
    missed = score.judged - score.found
    return CanaryStatus(score.recall, score.delay_seconds, score.found, missed)
