"""Batching: records from however many polls become one batch of windows.

The encoder is fastest on many windows at once, and nobody wants to wait for them: a batch is
done when it has enough windows, or when its first record has waited long enough.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .message import Rejected, decode
from .source import Message, Source
from .window import Window, WindowSpec


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that could not be used, and the record that it came in."""

    message: Message
    rejected: Rejected


@dataclass(slots=True)
class Batch:
    """What is dealt with in one step."""

    messages: int = 0
    windows: list[Window] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)


class Batcher:
    """Collects batches from a source."""

    def __init__(
        self,
        source: Source,
        spec: WindowSpec,
        *,
        windows: int,
        wait_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._spec = source, spec
        self._windows, self._wait_seconds = windows, wait_seconds
        self._clock = clock

    def next(self, poll_seconds: float) -> Batch:
        """Wait up to *poll_seconds* for a first record, then a little for company."""
        batch = Batch()
        self._add(batch, self._source.poll(poll_seconds, self._windows))
        if not batch.messages:
            return batch
        deadline = self._clock() + self._wait_seconds
        while (room := self._windows - len(batch.windows)) > 0:
            left = deadline - self._clock()
            if left <= 0:
                break
            self._add(batch, self._source.poll(left, room))
        return batch

    def _add(self, batch: Batch, messages: Sequence[Message]) -> None:
        batch.messages += len(messages)
        for message in messages:
            windows, rejected = self._decode(message)
            batch.windows += windows
            batch.dead_letters += [DeadLetter(message, each) for each in rejected]

    def _decode(self, message: Message) -> tuple[list[Window], list[Rejected]]:
        if message.unreadable:
            return [], [Rejected(message.value, "unreadable", message.unreadable)]
        return decode(message.value, self._spec)
