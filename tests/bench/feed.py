"""Normal windows of as many links as are wanted: for a service in process, and for a broker."""

import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detector.capture import read_links
from detector.message import encode
from detector.source import Message, Place, Vitals
from detector.state import NORMAL
from detector.window import Window, WindowSpec

if TYPE_CHECKING:
    from kafka import KafkaProducer

    from tests.broker import Broker

HOP_MS = 5000  # from one window of a link to its next
START_MS = 1_700_000_000_000
LINKS_AN_EXPORTER = 100
PARTITIONS = 12
POOL, SECONDS = 64, 120  # links of captures that are shown again and again, and how much of each


def normal_rows(captures: Sequence[Path], spec: WindowSpec) -> NDArray[np.float32]:
    """Read some links that are normal throughout: (links, rows, features)."""
    count = SECONDS * 1000 // spec.step_ms
    links = [one for one in read_links(captures, spec) if {*one.labels} == {NORMAL}]
    whole = [one.values for one in links if len(one.values) >= count and one.usable(spec).all()]
    return np.stack([values[:count] for values in whole[:POOL]])


def window_of(rows: NDArray[np.float32], spec: WindowSpec, link: int, turn: int) -> Window:
    """Make a link's window of one turn."""
    mine = rows[link % len(rows)]
    start = turn * HOP_MS // spec.step_ms % (len(mine) - spec.steps)
    start_ms = START_MS + turn * HOP_MS
    return Window(
        f"site-{link // LINKS_AN_EXPORTER:05}/trunk-{link:07}",
        f"probe-{link // LINKS_AN_EXPORTER:05}",
        start_ms,
        start_ms + spec.span_ms,
        mine[start : start + spec.steps],
    )


class Feed:
    """A source of windows, a round of all links after another, made as they are asked for."""

    def __init__(self, spec: WindowSpec, rows: NDArray[np.float32], links: int) -> None:
        self.vitals = Vitals(is_assigned=True, contact=1e12)
        self.seconds = 0.0  # of the processor, that making them took
        self.is_paused = False
        self._spec, self._rows, self._links = spec, rows, links
        self._given = 0

    def poll(self, seconds: float, most: int) -> list[Message]:
        """Make the next windows, in a message each; a round's last are a batch by themselves."""
        if self.is_paused:
            return []
        begun = time.process_time()
        end = min(self._given + most, self._links * (1 + self._given // self._links))
        messages = [self._message(number) for number in range(self._given, end)]
        self._given = end
        self.seconds += time.process_time() - begun
        return messages

    def _message(self, number: int) -> Message:
        turn, link = divmod(number, self._links)
        window = window_of(self._rows, self._spec, link, turn)
        return Message("windows", link % PARTITIONS, number, encode([window], self._spec))

    @property
    def turn(self) -> int:
        """How many rounds are over."""
        return self._given // self._links

    def commit(self) -> None:
        """Nothing has to be remembered."""

    def reached(self, places: Collection[Place], asker: str) -> Collection[Place]:
        """Everything is given out at once."""
        return places

    def close(self) -> None:
        """Nothing was opened."""


@dataclass(frozen=True)
class Traffic:
    """Windows of links that are well, for a broker."""

    broker: "Broker"
    spec: WindowSpec
    rows: NDArray[np.float32]  # (links, rows, features)
    links: int = 10_000

    def encoded(self, links: Sequence[int], turn: int, *, packed: bool) -> bytes:
        """Make one message of some links' windows."""
        windows = [window_of(self.rows, self.spec, link, turn) for link in links]
        return encode(windows, self.spec, packed=packed)

    def fill(self, topic: str, turns: int, many: int, *, packed: bool) -> int:
        """Put so many windows of each link on a topic, and say how many that are."""
        producer = self.producer(20)
        for turn, first in product(range(turns), range(0, self.links, many)):
            data = self.encoded(range(first, first + many), turn, packed=packed)
            producer.send(topic, data, str(first).encode())
        producer.close()
        return self.links * turns

    def trickle(self, topic: str, rate: int, linger_ms: int, ended: threading.Event) -> None:
        """Send windows at a steady rate until it is enough."""
        producer = self.producer(linger_ms)
        begun = time.perf_counter()
        for number in count():
            if ended.wait(max(0.0, begun + number / rate - time.perf_counter())):
                break
            turn, link = divmod(number, self.links)
            producer.send(topic, self.encoded([link], turn, packed=False), str(link).encode())
        producer.close()

    def producer(self, linger_ms: int) -> "KafkaProducer":
        """Connect as an exporter does."""
        from kafka import KafkaProducer  # who only makes windows takes less memory without

        address = self.broker.bootstrap
        return KafkaProducer(bootstrap_servers=address, linger_ms=linger_ms, batch_size=2**20)
