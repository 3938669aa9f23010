"""Records: what is kept of links over a restart.

A record is small and is written when something changed, and every few minutes. It lies on the
partition of the states' topic that has the number of its link's windows, so whoever is given
those windows finds it there. An event is in its link's record from before it is told until
after, so that none is lost if the daemon dies between.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import msgspec

from detector.events import Event
from detector.source import Place


class LinkRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is known of a link, or of an exporter where *link* is empty."""

    v: int = 1
    link: str
    source: str
    partition: int  # of the windows' topic
    state: str | None = None
    since_ms: int = 0
    last_ms: int = -1
    settled_ms: int = -1
    fault_ended_ms: int = -1
    faulty_ms: int = -1
    worst_margin: float = 0.0
    reason: str = ""
    changes_ms: tuple[int, ...] = ()
    gap: float = 0.0  # seconds from one report to the next
    activity: float = 0.0
    hours: tuple[float, ...] = ()
    is_silent: bool = False
    waiting: tuple[Event, ...] = ()  # not told to anybody yet
    is_gone: bool = False  # nothing is to be known of it any more

    @property
    def key(self) -> bytes:
        """What it is kept under; no link's name begins like an exporter's key."""
        return self.link.encode() if self.link else b"\0" + self.source.encode()


class Sighting(msgspec.Struct, frozen=True, array_like=True):
    """An exporter of which another daemon has links."""

    heard: float | None  # when, in that daemon's seconds; None: not yet
    limit: float  # seconds after which it would be late there
    partition: int  # the first on which it has links there


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What one daemon lets the others of its group know."""

    v: int = 1
    daemon: str
    seconds: float  # the daemon's, when it said this
    is_behind: bool  # it can't tell who is silent: what it didn't hear may still be unread
    exporters: dict[str, Sighting] = {}
    lost: dict[str, float] = {}  # whose loss it has told of, to when they were last heard


class States(Protocol):
    """Keeps records, and passes words between the daemons of a group."""

    def restore(self, places: Collection[Place]) -> Sequence[LinkRecord]:
        """Give what was kept of the links of some partitions; waits until all is read."""

    def told(self, events: Iterable[Event]) -> Collection[str]:
        """Give the ids of those events that somebody was told of already."""

    def say(self, word: Word) -> None:
        """Let the others know; one that is lost is no harm."""

    def words(self) -> Sequence[Word]:
        """Give what others said since this was last asked."""

    def close(self) -> None:
        """Let go of connections. Safe to call twice."""


class NoStates:
    """Keeps nothing and is alone, as a replay is."""

    def restore(self, places: Collection[Place]) -> Sequence[LinkRecord]:  # noqa: ARG002
        """There is nothing."""
        return ()

    def told(self, events: Iterable[Event]) -> Collection[str]:  # noqa: ARG002
        """Nobody was told of anything."""
        return ()

    def say(self, word: Word) -> None:
        """There is nobody else."""

    def words(self) -> Sequence[Word]:
        """There is nobody else."""
        return ()

    def close(self) -> None:
        """Nothing to let go of."""
