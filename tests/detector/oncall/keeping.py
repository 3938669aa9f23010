"""A stand-in for the states' topic, and daemons that live and die on it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from detector.events import Event
from detector.message import encode
from detector.oncall.record import LinkRecord, Word
from detector.source import Message, Move, Place, Vitals
from tests.fakes import NOON_MS, WallClock, make_spec, make_window

SPEC = make_spec()
TOPIC = "windows"


class DiedError(Exception):
    """The daemon ended here, as by a kill."""


class Topics:
    """What a broker keeps: records by partition and key, events as they were told, words."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, bytes], LinkRecord] = {}
        self.events: list[Event] = []
        self.said: list[Word] = []

    def keep(self, records: Iterable[LinkRecord]) -> None:
        """Keep the latest record of each key, and nothing of who is gone."""
        for record in records:
            where = record.partition, record.key
            if record.is_gone and not record.waiting:
                self.kept.pop(where, None)
            else:
                self.kept[where] = record

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """What was told: type, link or exporter, state."""
        return [
            (one.type, one.link or one.source, one.fault)
            for event in self.events
            for one in event.each()
        ]


class Kept:
    """The daemon's view of `Topics`; keeps the promises of `States`."""

    def __init__(self, topics: Topics) -> None:
        self.is_held_up = False  # words lie on their way
        self._topics = topics
        self._heard = len(topics.said)

    def restore(self, places: Collection[Place]) -> Sequence[LinkRecord]:
        """Give the records of some partitions."""
        wanted = {partition for _, partition in places}
        return [record for (number, _), record in self._topics.kept.items() if number in wanted]

    def told(self, events: Iterable[Event]) -> Collection[str]:
        """Give the ids that were told."""
        return {one for event in self._topics.events for one in event.told} & {
            e.id for e in events
        }

    def say(self, word: Word) -> None:
        """Let others hear it."""
        self._topics.said.append(word)

    def words(self) -> Sequence[Word]:
        """Give what was said since."""
        if self.is_held_up:
            return ()
        words, self._heard = self._topics.said[self._heard :], len(self._topics.said)
        return words

    def close(self) -> None:
        """Nothing to let go of."""


class KeepingSink:
    """Delivers to `Topics`, and dies where it is told to: "before", "events" or "after"."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.dies_at = ""

    def send(self, outcome: Any) -> None:
        """Deliver in the order of a sink; die at the stage in which something is told."""
        is_told = bool(outcome.events)
        for stage, deliver in (
            ("before", lambda: self.topics.keep(outcome.before)),
            ("events", lambda: self.topics.events.extend(outcome.events)),
            ("after", lambda: self.topics.keep(outcome.after)),
            ("commit", lambda: None),
        ):
            if self.dies_at == stage and is_told:
                raise DiedError
            deliver()

    def close(self) -> None:
        """Nothing to let go of."""


class LiveSource:
    """Hands out what was put into it, of partitions that come and go."""

    def __init__(self, partitions: Iterable[int] = (0,)) -> None:
        self.vitals = Vitals(is_assigned=True)
        self.waiting: list[Message] = []
        self.is_behind = False
        self.commits = 0
        self._mine: set[Place] = set()
        for partition in partitions:
            self.move(partition, is_gained=True)

    def move(self, partition: int, *, is_gained: bool) -> None:
        """Let a partition come or go."""
        (self._mine.add if is_gained else self._mine.discard)((TOPIC, partition))
        self.vitals.moves.append(Move((TOPIC, partition), is_gained=is_gained))

    def has(self, partition: int) -> bool:
        """Tell whether a partition is the daemon's."""
        return (TOPIC, partition) in self._mine

    def put(
        self, link: str, label: str, second: int, partition: int = 0, source: str = "probe-1"
    ) -> None:
        """Put one window of a link on a partition; *second* is that of its end after noon."""
        start_ms = NOON_MS + second * 1000 - SPEC.span_ms
        window = make_window(link, label, start_ms=start_ms, source=source)
        self.waiting.append(Message(TOPIC, partition, second, encode([window], SPEC)))

    def poll(self, seconds: float, most: int) -> Sequence[Message]:
        """Give all that waits."""
        messages, self.waiting = self.waiting[:most], self.waiting[most:]
        return messages

    def commit(self) -> None:
        """Count it."""
        self.commits += 1

    def reached(self, places: Collection[Place], asker: str) -> Collection[Place]:
        """All of its own was read, unless the daemon is behind."""
        return () if self.is_behind else [place for place in places if place in self._mine]

    def close(self) -> None:
        """Nothing to let go of."""


class Life:
    """One life of a daemon on some topics."""

    def __init__(
        self,
        make_service: Any,
        topics: Topics,
        clock: WallClock | None = None,
        partitions: Iterable[int] = (0,),
        **settings: Any,
    ) -> None:
        self.clock = clock or WallClock()
        self.source = LiveSource(partitions)
        self.sink = KeepingSink(topics)
        self.kept = Kept(topics)
        self.service = make_service(
            self.source, self.sink, states=self.kept, clock=self.clock, settings=settings
        )
        self.topics = topics

    def second(self, **labels: str) -> None:
        """Let a second pass in which links report; `link="label"`, `link="label@partition"`."""
        self.clock.sleep(1)
        second = round(self.clock.wall - NOON_MS / 1000)
        for link, label in labels.items():
            label, _, partition = label.partition("@")
            source = "probe-2" if link.startswith("z") else "probe-1"
            self.source.put(link, label, second, int(partition or 0), source)
        self.source.vitals.contact = self.clock.wall
        self.service.step(0)

    def seconds(self, count: int, **labels: str) -> None:
        """Let some seconds pass."""
        for _ in range(count):
            self.second(**labels)

    @staticmethod
    def together(
        lives: Sequence["Life"], labels: Mapping[str, str], spread: Mapping[str, int]
    ) -> None:
        """Let a second pass for daemons side by side; links report to whoever has their place."""
        lives[0].clock.sleep(1)
        for life in lives:
            life.clock.sleep(-1)  # they share it
            mine = [link for link in labels if life.source.has(spread[link])]
            life.second(**{link: f"{labels[link]}@{spread[link]}" for link in mine})

    @property
    def states(self) -> dict[str, str | None]:
        """The links that it knows, and their states."""
        return {name: one.label for name, one in self.service.duty.roster.steady.links.items()}
