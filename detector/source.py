"""Sources: where records come from. They hand out bytes; only the service decodes.

A new one is a class with what `Source` asks for, and a line in assembly.py's `SOURCES`.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .message import encode
from .replay import Replay


@dataclass(frozen=True, slots=True)
class Message:
    """One record as it came, and where it lay."""

    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes | None = None
    unreadable: str = ""  # why the client couldn't read the record at all


Place = tuple[str, int]  # topic, partition


@dataclass(frozen=True, slots=True)
class Move:
    """A partition that came to this daemon, or went to another."""

    place: Place
    is_gained: bool


@dataclass(slots=True)
class Vitals:
    """How a source is doing; the service exports it."""

    is_assigned: bool = False  # has something to read from
    is_exhausted: bool = False  # nothing will ever come again
    contact: float = 0.0  # Unix time at which the other end was last heard of, seconds
    rebalances: int = 0
    commits_failed: int = 0
    lag: dict[Place, int] = field(default_factory=dict)  # records not yet read
    moves: deque[Move] = field(default_factory=deque)  # in their order, until somebody takes them


class Source(Protocol):
    """Hands out records in batches and remembers how far it got."""

    vitals: Vitals

    def poll(self, seconds: float, most: int) -> Sequence[Message]:
        """Wait up to *seconds* for at most *most* records; an empty list: nothing came."""

    def commit(self) -> None:
        """Everything that `poll` gave out so far is dealt with for good."""

    def reached(self, places: Collection[Place], asker: str) -> Collection[Place]:
        """Give those of which was read whatever was there when *asker* first asked.

        The first question notes how much there is, so it may have to be asked again; a place
        that was given is forgotten, and the next question about it begins anew.
        """

    def close(self) -> None:
        """Let go of connections. Safe to call twice."""


class CaptureSource:
    """Replays captures as if their links reported now, *speed* times as fast as life."""

    TOPIC = "captures"

    def __init__(
        self,
        replay: Replay,
        speed: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.vitals = Vitals(is_assigned=True, contact=time.time())
        self._replay, self._speed = replay, speed
        self._clock, self._sleep = clock, sleep
        self._next = 0
        self._begun: float | None = None  # clock at which the first window was due

    def poll(self, seconds: float, most: int) -> Sequence[Message]:
        """Give the windows that are due, after waiting up to *seconds* for the first."""
        if self._next >= len(self._replay):
            self.vitals.is_exhausted = True
            return []
        now = self._clock()
        if self._begun is None:
            self._begun = now
        wait = self._due(self._next) - now
        if wait > 0:
            self._sleep(min(wait, seconds))
            now = self._clock()
        first = self._next
        while (
            self._next < len(self._replay)
            and self._next - first < most
            and self._due(self._next) <= now
        ):
            self._next += 1
        self.vitals.contact = time.time()
        return [self._message(place) for place in range(first, self._next)]

    def commit(self) -> None:
        """Nothing to remember: a replay starts at its beginning."""

    def reached(self, places: Collection[Place], asker: str) -> Collection[Place]:  # noqa: ARG002
        """None: a capture that ended is no link that fell silent."""
        return ()

    def close(self) -> None:
        """Nothing to let go of."""

    def _due(self, place: int) -> float:
        """Tell the clock's time at which a window is complete."""
        since_first_ms = int(self._replay.due_ms[place] - self._replay.due_ms[0])
        return (self._begun or 0.0) + since_first_ms / 1000 / self._speed

    def _message(self, place: int) -> Message:
        value = encode([self._replay[place]], self._replay.spec)
        return Message(self.TOPIC, 0, place, value)
