"""Presence: when links and exporters were heard of, and what is usual for them."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from detector.source import Place

HOURS = 24
NEVER = float("-inf")
LEARNING = 0.02  # weight of one report in what is usual


class Heard(NamedTuple):
    """One window that came, as far as silence is concerned."""

    link: str
    source: str
    place: Place
    end_ms: int
    activity: float  # how much traffic it had, in any unit that is the link's own


class Noticed(NamedTuple):
    """Something about a link or, where *link* is empty, an exporter."""

    what: Literal["appeared", "silent", "retired", "lost", "back"]  # the last two of exporters
    link: str
    source: str
    since: float  # attention's seconds at which it was last heard of
    place: Place | None = None  # of a link's windows


@dataclass(slots=True)
class Presence:
    """When a link was heard of, and what is usual for it."""

    source: str
    place: Place
    heard: float  # attention's seconds at which it last reported
    alive: float = 0.0  # its exporter's `alive` then
    last_ms: int = -1  # end of its newest window
    gap: float = 0.0  # seconds from one report to the next, the longer ones of late
    activity: float = 0.0  # of its last window
    hours: list[float] = field(default_factory=lambda: [-1.0] * HOURS)  # by UTC hour; -1: not seen
    is_silent: bool = False  # and that is a fault
    is_excused: bool = False  # silent, but idle at this hour

    def learn(self, one: Heard) -> None:
        """Take a window's traffic into what is usual at its hour."""
        self.activity = one.activity
        hour = one.end_ms // 3_600_000 % HOURS
        usual = self.hours[hour]
        step = LEARNING * (one.activity - usual)
        self.hours[hour] = one.activity if usual < 0 else usual + step

    def is_idle(self, hour: int, share: float) -> bool:
        """Whether it carries next to nothing, by its last window and what is usual at the hour."""
        most = max(self.hours)
        return most <= 0 or max(self.activity, self.hours[hour]) <= share * most


@dataclass(slots=True)
class Exporter:
    """When an exporter was heard of, here or by another daemon, and its links here."""

    heard: float
    heard_here: float = NEVER
    heard_elsewhere: float = NEVER
    alive: float = 0.0  # seconds in which it reported anything; pauses don't count
    gap: float = 1.0  # usual seconds between two times that it was heard
    links: set[str] = field(default_factory=set)
    elsewhere: float = 0.0  # the longest that links elsewhere may take to be late, seconds
    is_lost: bool = False
    returned: float = NEVER  # when it last came back
