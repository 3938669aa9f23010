"""Sinks: where verdicts, events and dead letters go.

A new one is a class with the two methods of `Sink`, and a line in assembly.py's `SINKS`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .batch import DeadLetter, Share
from .events import Event
from .oncall.record import LinkRecord
from .verdict import Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that came of one batch."""

    verdicts: Sequence[Verdict] = ()
    shares: Sequence[Share] = ()  # which verdicts belong to one record, in their order
    events: Sequence[Event] = ()
    dead_letters: Sequence[DeadLetter] = ()
    # What is kept of links: before the events are told, so that they aren't lost if the daemon
    # dies now, and after, so that they aren't told twice.
    before: Sequence[LinkRecord] = ()
    after: Sequence[LinkRecord] = ()


class SinkUnavailableError(RuntimeError):
    """A sink was told to stop before it could deliver; the batch is to be read again."""


class Sink(Protocol):
    """Takes what came of a batch and returns when it is safe there."""

    def send(self, outcome: Outcome) -> None:
        """Deliver everything, or raise; what is not delivered is read and judged again."""

    def close(self) -> None:
        """Let go of connections. Safe to call twice."""
