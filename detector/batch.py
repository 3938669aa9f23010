"""Batching: records from however many polls become one batch of windows.

The encoder is fastest on many windows at once, and nobody wants to wait for them: a batch is
done when it has enough windows, or when its first record has waited long enough.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import msgspec

from .message import Rejected, decode
from .source import Message, Place, Source
from .window import LINK_BYTES, Window, WindowSpec


class _Whose(msgspec.Struct, frozen=True):
    link: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that could not be used, and the record that it came in."""

    message: Message
    rejected: Rejected

    @property
    def whose(self) -> dict[str, str]:
        """Give link and source, as far as they can be read."""
        for encoding in (msgspec.json, msgspec.msgpack):
            try:
                whose: _Whose = encoding.decode(self.rejected.data, type=_Whose)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                continue
            told = {"link": whose.link, "source": whose.source}
            return {what: name[:LINK_BYTES] for what, name in told.items() if name}
        return {}


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a batch's windows came in one record."""

    key: bytes | None  # of the record
    windows: int
    place: Place = ("", 0)  # where the record lay


@dataclass(slots=True)
class Batch:
    """What is dealt with in one step."""

    messages: int = 0
    windows: list[Window] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)  # in the order of the windows
    dead_letters: list[DeadLetter] = field(default_factory=list)

    def without(self, places: Collection[Place]) -> "Batch":
        """Leave out the windows of partitions that went to another daemon: they come there."""
        kept = Batch(self.messages, dead_letters=self.dead_letters)
        windows = iter(self.windows)
        for share in self.shares:
            mine = [next(windows) for _ in range(share.windows)]
            if share.place not in places:
                kept.windows += mine
                kept.shares.append(share)
        return kept


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
        self._usual = 1.0  # windows in a record, as in the batch before

    def use(self, spec: WindowSpec) -> None:
        """Read windows as another model needs them, from the next batch on."""
        self._spec = spec

    def next(self, poll_seconds: float) -> Batch:
        """Wait up to *poll_seconds* for a first record, then a little for company."""
        batch = Batch()
        self._add(batch, self._source.poll(poll_seconds, self._records(self._windows)))
        if not batch.messages:
            return batch
        deadline = self._clock() + self._wait_seconds
        # Records count too: those without a usable window must not pile up.
        while (room := self._windows - max(len(batch.windows), batch.messages)) > 0:
            left = deadline - self._clock()
            if left <= 0 or self._source.vitals.is_exhausted:
                break
            self._add(batch, self._source.poll(left, self._records(room)))
        self._usual = max(1.0, len(batch.windows) / batch.messages)
        return batch

    def _records(self, windows: int) -> int:
        """Give how many records probably hold so many windows."""
        return max(1, round(windows / self._usual))

    def _add(self, batch: Batch, messages: Sequence[Message]) -> None:
        batch.messages += len(messages)
        for message in messages:
            windows, rejected = self._decode(message)
            if windows:
                batch.windows += windows
                place = message.topic, message.partition
                batch.shares.append(Share(message.key, len(windows), place))
            batch.dead_letters += [DeadLetter(message, each) for each in rejected]

    def _decode(self, message: Message) -> tuple[list[Window], list[Rejected]]:
        if message.unreadable:
            return [], [Rejected(message.value, "unreadable", message.unreadable)]
        return decode(message.value, self._spec)
