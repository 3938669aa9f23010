"""Replaying captures: judged in process, or sent to Kafka as if the links reported now."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from detector.bundle import Bundle
from detector.config import Kafka, State
from detector.encoder import open_encoder
from detector.message import encode
from detector.replay import Replay
from detector.sight import Sight
from detector.state import Turn
from detector.verdict import Verdict
from detector.window import Window

from .traffic import read

BATCH = 1024  # windows judged at once
CONNECT_MS = 5000
SAID_SECONDS = 10.0  # from one word on how far a replay is to the next

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a replay goes, and what time its windows say it is."""

    speed: float  # times life; 0 = no waiting at all
    at_ms: int | None = None  # move the traffic's time, so that the first window ends then


@dataclass(frozen=True, slots=True)
class Form:
    """How windows are put into messages."""

    packed: bool = True  # MessagePack, else JSON
    many: int = 1  # windows of one link in a message, at most


def cut(
    bundle: Bundle,
    captures: Sequence[Path],
    only: Sequence[str],
    hop_seconds: float,
    *,
    side_by_side: bool,
) -> Replay:
    """Read captures as a bundle's encoder needs them and cut them into windows."""
    spec = bundle.manifest.window
    links = read(captures, spec, only)
    return Replay(links, spec, hop_ms=round(hop_seconds * 1000), side_by_side=side_by_side)


def judge(
    bundle: Bundle, windows: Replay, out: Path, rule: State, false_alarms_a_link_week: float
) -> int:
    """Judge every window as the daemon would, one verdict a line, and say how many.

    The same bundle and captures give the same bytes.
    """
    sight = Sight.of(bundle, open_encoder(bundle), budget_a_week=false_alarms_a_link_week)
    encode_line = msgspec.json.Encoder().encode
    with click.open_file(str(out), "wb") as lines:
        for verdicts, _ in judged(sight, windows, rule):
            lines.write(b"".join(encode_line(verdict) + b"\n" for verdict in verdicts))
    return len(windows)


def judged(
    sight: Sight, windows: Replay, rule: State, size: int = BATCH
) -> Iterator[tuple[list[Verdict], dict[int, list[Turn]]]]:
    """Give what the daemon would say of windows, *size* of them at a time.

    Each time the verdicts, and by the place of the verdict that settled them the changes of
    state. However many are judged at once, what is said of each is the same to the last bit.
    """
    names = sight.judge(sight.steady(rule))
    for batch in _batches(windows, size):
        seen = sight.see(np.stack([window.values for window in batch]))
        yield names.judge(batch, seen.nearest, seen.strangeness, seen.opinions)


def send(windows: Replay, kafka: Kafka, pace: Pace, form: Form, tell: Tell) -> int:
    """Send every window to the daemon's topic, keyed by its link; say how many were acknowledged.

    Raises:
        ConnectionError: if no broker answers.
        KafkaError: if one does, and doesn't take them.
    """
    producer = _producer(kafka, tell)
    futures: list[Any] = []
    try:
        for batch in told(_due(windows, pace), len(windows), tell):
            for key, message in _messages(batch, windows, form):
                futures.append(producer.send(kafka.windows, message, key))
        for future in futures:
            future.get(timeout=60)  # raises what went wrong with this one
    finally:
        producer.close(timeout=10)
    return len(windows)


def _producer(kafka: Kafka, tell: Tell) -> Any:
    from detector.kafka_client import Access, AwayError

    tell(f"asking {kafka.bootstrap} ...")
    try:
        return Access(kafka).producer(
            bootstrap_timeout_ms=CONNECT_MS,
            compression_type="lz4",
            linger_ms=5,
            max_request_size=8 * 2**20,
        )
    except AwayError as error:
        raise ConnectionError(str(error)) from error


def told(
    batches: Iterable[list[Window]],
    total: int,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[Window]]:
    """Give batches on, and say every ten seconds how many windows of all were sent."""
    sent, said = 0, clock()
    for batch in batches:
        yield batch
        sent += len(batch)
        if clock() - said >= SAID_SECONDS:
            said = clock()
            tell(f"{sent} of {total} windows sent")


def _messages(
    windows: Sequence[Window], replay: Replay, form: Form
) -> Iterator[tuple[bytes, bytes]]:
    """Give keys and messages; windows of one link may share a message."""
    by_link: dict[str, list[Window]] = {}
    for window in windows:
        by_link.setdefault(window.link, []).append(window)
    for link, mine in by_link.items():
        for start in range(0, len(mine), form.many):
            some = mine[start : start + form.many]
            yield link.encode(), encode(some, replay.spec, packed=form.packed)


def _due(windows: Replay, pace: Pace) -> Iterator[list[Window]]:
    """Give the windows in batches, each once it is due."""
    begun = time.monotonic()
    batch: list[Window] = []
    for place, window in enumerate(windows):
        due = (int(windows.due_ms[place]) - int(windows.due_ms[0])) / 1000
        wait = begun + due / pace.speed - time.monotonic() if pace.speed else 0.0
        if wait > 0 or len(batch) >= BATCH:
            yield batch
            batch = []
            time.sleep(max(0.0, wait))
        if pace.at_ms is not None:  # each run has a time of its own; all are to say that it is now
            end_ms = pace.at_ms + int(windows.due_ms[place]) - int(windows.due_ms[0])
            start_ms = end_ms - windows.spec.span_ms
            window = msgspec.structs.replace(window, start_ms=start_ms, end_ms=end_ms)
        batch.append(window)
    yield batch


def _batches(windows: Replay, size: int) -> Iterator[list[Window]]:
    for start in range(0, len(windows), size):
        yield [windows[place] for place in range(start, min(start + size, len(windows)))]
