"""The outbox: events from when something changed until everybody was told.

Events may wait for company (`gather`), and a daemon may die at any moment. So each stays with
the link that it is about until it is out, and that link's record is kept with it.
"""

from collections import deque
from collections.abc import Set

from detector.events import Event

from .gather import Gather

LATEST = 20  # events that are remembered after they were told, to be shown

Who = tuple[str, str]  # link, exporter; the link is "" where it is about the exporter


class Outbox:
    """Events that are not told yet, by whom they are about."""

    def __init__(self, gather: Gather) -> None:
        self.latest: deque[Event] = deque(maxlen=LATEST)  # told last
        self._gather = gather
        self._waiting: dict[Who, list[Event]] = {}

    def push(self, who: Who, event: Event, now: float) -> None:
        """Take an event; one that waits already changes nothing."""
        self._waiting.setdefault(who, []).append(event)
        self._gather.push(event, now)

    def drop(self, links: Set[str]) -> None:
        """Leave what waits of some links to somebody else."""
        self._gather.drop(links)

    def waiting(self, who: Who) -> tuple[Event, ...]:
        """Give the events about somebody that are not told yet."""
        return tuple(self._waiting.get(who, ()))

    def due(self, now: float) -> list[Event]:
        """Take the events that are to be told now, alone or many as one."""
        events = self._gather.due(now)
        self.latest.extend(events)
        return events

    def flush(self) -> list[Event]:
        """Take all events; nobody waits any more."""
        events = self._gather.flush()
        self.latest.extend(events)
        return events

    def settle(self) -> list[Who]:
        """Let go of the events that are out; give those whom they were about."""
        held = {event.id for event in self._gather.pending()}
        settled = []
        for who, events in list(self._waiting.items()):
            left = [event for event in events if event.id in held]
            if len(left) < len(events):
                settled.append(who)
            if left:
                self._waiting[who] = left
            else:
                del self._waiting[who]
        return settled
