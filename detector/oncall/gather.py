"""Gathering: the same change on many links at once is one event, and one call at night.

A router that dies takes all its links along. Whoever is on call wants to be told once, with the
list, and a few seconds later, not two hundred times at once. So events wait for company, but
only where there could be any, and never longer than told.
"""

from collections import deque
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from detector.events import Event, identify

from .groups import Groups

MOST = 1000  # links in an event; with names of 200 bytes still well below Kafka's 1 MB

_Number = TypeVar("_Number", int, float)
_Key = tuple[str, str, str | None, str]  # type, state, of abated events previous, group


@dataclass(slots=True)
class _Gathering:
    """Events of one key that wait together; each is of another link."""

    number: int  # in the order of their beginnings
    began: float  # when the first came, seconds of the caller's clock
    key: _Key
    events: list[Event] = field(default_factory=list)


class Gather:
    """Holds events back for a moment, and makes one of those that say the same.

    Push events, then take what is due. Gatherings go out in the order in which they began, and
    a link's later event is only ever put into a later one: so no event overtakes another of its
    link, and an abated event never comes before its onset.

    >>> from detector.events import onset
    >>> groups = Groups()
    >>> for link in ("a", "b", "c"):
    ...     groups.add(link, "probe-1")
    >>> gather = Gather(groups, seconds=3, links=2)
    >>> for link in ("b", "a"):
    ...     gather.push(onset(link=link, source="probe-1", state="blocked", previous="normal",
    ...                       at_ms=9000, since_ms=5000), now=0.0)
    >>> gather.due(now=2.9)
    []
    >>> [(event.group, event.links) for event in gather.due(now=3.0)]
    [('probe-1', ('a', 'b'))]
    """

    def __init__(
        self,
        groups: Groups,
        *,
        seconds: float = 3.0,
        links: int = 5,
    ) -> None:
        """Gather what comes within *seconds* of the first; 0 lets everything out at once.

        In a group of which fewer links than *links* are known nobody waits.

        Raises:
            ValueError: if a setting makes no sense; the message says which.
        """
        if not seconds >= 0:
            raise ValueError(f"events can't wait {seconds} seconds")
        if links < 2:
            raise ValueError(f"{links} links are not many; it takes two at least")
        self._groups, self._seconds, self._links = groups, seconds, links
        self._numbers = count()
        self._waiting: deque[_Gathering] = deque()
        self._open: dict[_Key, _Gathering] = {}  # that more events may join
        self._latest: dict[str, _Gathering] = {}  # the last that a waiting link is in
        self._ready: list[Event] = []  # to go out when next asked
        self._held: set[str] = set()  # ids of all that didn't go out yet

    def push(self, event: Event, now: float) -> None:
        """Take an event; one that is held already (by its id) changes nothing."""
        if event.id in self._held:
            return
        self._held.add(event.id)
        group = self._groups.of(event.link, event.source)
        if self._seconds and event.link and self._groups.size(group) >= self._links:
            self._join(event, group, now)
            return
        while event.link in self._latest:
            self._release()
        self._ready.append(event)

    def due(self, now: float) -> list[Event]:
        """Take what has waited long enough or has nothing to wait for, oldest first."""
        while self._waiting and now - self._waiting[0].began >= self._seconds:
            self._release()
        return self._take()

    def flush(self) -> list[Event]:
        """Take everything: nothing more will come."""
        while self._waiting:
            self._release()
        return self._take()

    def drop(self, links: Set[str]) -> None:
        """Tell nobody what waits of some links."""
        for gathering in self._waiting:
            gathering.events = [one for one in gathering.events if one.link not in links]
        self._ready = [one for one in self._ready if one.link not in links]
        for link in links:
            self._latest.pop(link, None)
        self._held = {event.id for event in self.pending()}

    def pending(self) -> tuple[Event, ...]:
        """Give all that is held, for keeping over a restart.

        Pushed in this order into a fresh `Gather` nothing is lost and no order changes. Let the
        groups know the links first, or nothing waits for company any more.
        """
        return (*self._ready, *(event for each in self._waiting for event in each.events))

    def _join(self, event: Event, group: str, now: float) -> None:
        # Links that fail alike may have been in different states before: that parts nothing.
        previous = event.previous if event.type == "abated" else None
        key = (event.type, event.state, previous, group)
        gathering = self._open.get(key)
        before = self._latest.get(event.link)
        if (
            gathering is None
            or now - gathering.began >= self._seconds
            or (before and before.number >= gathering.number)
        ):
            gathering = _Gathering(next(self._numbers), now, key)
            self._open[key] = gathering
            self._waiting.append(gathering)
        gathering.events.append(event)
        self._latest[event.link] = gathering

    def _release(self) -> None:
        """Let the oldest gathering out, as one event or as those that it has."""
        gathering = self._waiting.popleft()
        if self._open.get(gathering.key) is gathering:
            del self._open[gathering.key]
        for event in gathering.events:
            if self._latest.get(event.link) is gathering:
                del self._latest[event.link]
        told = gathering.events
        if len(told) >= self._links:
            told = _gathered(told, gathering.key[-1])
            self._held.update(event.id for event in told)
        self._ready += told

    def _take(self) -> list[Event]:
        ready, self._ready = self._ready, []
        if ready:
            self._held = {event.id for event in self.pending()}
        return ready


def _gathered(events: Sequence[Event], group: str) -> list[Event]:
    """Make one event of many, or a few if they are too many for one record."""
    events = sorted(events, key=lambda event: event.link)
    began_ms = min(event.began_ms for event in events)
    # The last part tells it from an episode of a link that is called like the group.
    episode = identify(group, events[0].fault, began_ms, "links")
    return [
        _merge(events[start : start + MOST], group, episode)
        for start in range(0, len(events), MOST)
    ]


def _merge(events: Sequence[Event], group: str, episode: str) -> Event:
    """Make one event of some that differ in nothing but their links, sorted by link."""
    first = events[0]
    clearest = max(events, key=lambda event: event.verdict.margin if event.verdict else -1.0)
    sources = {event.source for event in events}
    previous = {event.previous for event in events}
    return Event(
        id=identify(episode, first.type, first.link),
        type=first.type,
        episode=episode,
        link="",
        source=first.source if len(sources) == 1 else "",
        state=first.state,
        previous=first.previous if len(previous) == 1 else None,
        at_ms=max(event.at_ms for event in events),
        since_ms=min(event.since_ms for event in events),
        verdict=clearest.verdict,
        reason=clearest.reason,
        duration_ms=_largest(event.duration_ms for event in events),
        worst_margin=_largest(event.worst_margin for event in events),
        # A receiver that mutes what flaps must still hear of those that don't.
        flapping=all(event.flapping for event in events),
        links=tuple(event.link for event in events),
        group=group,
        episodes=tuple(event.episode for event in events),
    )


def _largest(numbers: Iterable[_Number | None]) -> _Number | None:
    return max((number for number in numbers if number is not None), default=None)
