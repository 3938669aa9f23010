"""What the daemon shows of itself, as one JSON document at /status; `anchorwatch top` reads it.

Daemons and readers of different versions understand each other: a reader passes over what it
doesn't know, and what is missing has its default. So add fields, and never change what one means.
How a status gets from the daemon's loop to whoever asks: `board`.
"""

from collections import deque
from collections.abc import Iterable
from heapq import nlargest, nsmallest
from operator import attrgetter
from typing import Self

import msgspec

from .drift.telling import DriftStatus
from .events import Event
from .shadow.telling import ShadowStatus
from .state import NORMAL

UNSETTLED = "unsettled"  # what a link without a state is counted as
REPORTING, LOST = "reporting", "lost"
MOST_SOURCES = 200  # that one document lists


class LinkStatus(msgspec.Struct, frozen=True, gc=False):
    """One link as it is now."""

    link: str
    source: str = ""
    state: str | None = None  # None: unsettled
    since_ms: int = 0  # when the state began, Unix time
    last_ms: int = 0  # end of the newest window, Unix time
    margin: float | None = None  # of that window
    strangeness: float | None = None  # of that window, in thresholds: above 1 it is unknown
    reason: str = ""
    flapping: bool = False
    heard_seconds: float | None = None  # since a window came, whatever time that is of


class SourceStatus(msgspec.Struct, frozen=True, gc=False):
    """One exporter as it is now."""

    name: str
    links: int = 0  # that it reports
    state: str = REPORTING  # or LOST
    seen_seconds: float = 0.0  # since anything came from it


class CanaryStatus(msgspec.Struct, frozen=True, gc=False):
    """How the live self-test does for one label; None: nothing is known yet."""

    recall: float | None = None
    delay_seconds: float | None = None  # from a canary's start until it is found
    found: int = 0
    missed: int = 0


class UnknownStatus(msgspec.Struct, frozen=True, gc=False):
    """How often links are called unknown, and how often they may be; None: not known."""

    budget_link_week: float | None = None  # times that one link may be, in a week
    rate_link_week: float | None = None  # times that it was
    low: float | None = None  # where the rate's interval begins ...
    high: float | None = None  # ... and ends
    windows: int = 0  # that the rate comes of
    onsets: int = 0  # times that a link was called unknown
    link_seconds: float = 0.0  # that links were watched, added up


class EventStatus(msgspec.Struct, frozen=True, gc=False):
    """One of the latest events."""

    at_ms: int
    type: str = "onset"  # or "abated"
    link: str = ""  # "" when it is about an exporter, or a group of links
    source: str = ""
    group: str = ""
    links: int = 1  # that it stands for
    state: str = ""
    previous: str | None = None
    reason: str = ""

    @classmethod
    def of(cls, event: Event) -> Self:
        """Tell of *event* what a person wants to know."""
        return cls(
            event.at_ms,
            event.type,
            event.link,
            event.source,
            event.group,
            len(event.links) or 1,
            event.state,
            event.previous,
            event.reason,
        )


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon as it is now."""

    version: str
    bundle: str
    now_ms: int  # the daemon's clock, Unix time
    engine: str = ""
    uptime_seconds: float = 0.0
    age_seconds: float = 0.0  # of this document; beyond a few the loop is in the midst of a step
    idle_seconds: float = 0.0  # since the loop was last alive; beyond some it stands
    ready: bool = False
    refused: str = ""  # why the broker refuses us
    contact_seconds: float | None = None  # since the broker was heard of; None: has no broker
    lag_messages: int = 0
    windows_per_second: float = 0.0  # lately
    links: int = 0
    states: dict[str, int] = {}  # links in each, `UNSETTLED` among them
    flapping: int = 0  # links
    worst: tuple[LinkStatus, ...] = ()  # the links asked for, or the first of them
    matched: int = 0  # how many there are of those
    searched: int = 0  # among how many they were looked for
    sources_known: int = 0
    sources_lost: int = 0
    sources: tuple[SourceStatus, ...] = ()  # or the first of them, lost ones before others
    canary: dict[str, CanaryStatus] = {}  # by label
    unknown: UnknownStatus = UnknownStatus()
    events: tuple[EventStatus, ...] = ()  # the latest, newest first
    peers: int = 0  # other daemons of the group that were heard of late
    enrolled: int = 0  # anchors in use that were enrolled since the training
    shadow: ShadowStatus = ShadowStatus()  # the candidate that is tried
    drift: DriftStatus = DriftStatus()  # how traffic stands to the training's
    rejected: dict[str, int] = {}  # to the dead letters, in the last ten minutes, by reason
    bundle_refused: bool = False  # the one that should be in use; the one before it is
    labels: tuple[str, ...] = ()  # of the anchors in use; none: nobody says


def worst_first(links: Iterable[LinkStatus], limit: int) -> list[LinkStatus]:
    """Give what an engineer wants to see first, *limit* at most.

    Faults come first, then links that flap, then the others; what changed last comes first
    among each. Takes 2 ms for 100,000 links of which few are faulty, 7 ms when
    all are.
    """
    faults: list[LinkStatus] = []
    flapping: list[LinkStatus] = []
    others: list[LinkStatus] = []
    for link in links:
        if link.state is not None and link.state != NORMAL:
            faults.append(link)
        elif link.flapping:
            flapping.append(link)
        else:
            others.append(link)
    worst: list[LinkStatus] = []
    for group in (faults, flapping, others):
        worst += nlargest(limit - len(worst), group, key=attrgetter("since_ms"))
    return worst


def lost_first(sources: Iterable[SourceStatus], limit: int = MOST_SOURCES) -> list[SourceStatus]:
    """Give lost exporters, the one lost last first, then the others, the longest unheard first."""

    def order(source: SourceStatus) -> tuple[bool, float]:
        is_lost = source.state == LOST
        return not is_lost, source.seen_seconds if is_lost else -source.seen_seconds

    return nsmallest(limit, sources, key=order)


class Pace:
    """How many a second, over the last *seconds*.

    >>> pace = Pace(seconds=10)
    >>> [pace.note(now, total) for now, total in ((0, 0), (5, 50), (10, 100), (15, 300))]
    [0.0, 10.0, 10.0, 25.0]
    """

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._marks: deque[tuple[float, int]] = deque()  # when, how many until then

    def note(self, now: float, total: int) -> float:
        """Take how many there were until *now*, and give how many a second that makes."""
        self._marks.append((now, total))
        while len(self._marks) > 2 and self._marks[1][0] <= now - self._seconds:
            self._marks.popleft()
        began, before = self._marks[0]
        return (total - before) / (now - began) if now > began else 0.0
