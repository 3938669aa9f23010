"""A plan performed live: the probes feed the running daemon through Kafka, and it is scored.

The daemon is told nothing: it reads windows and says what it sees. What was really done is in
the recording, and the two are held against each other at the end.
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from detector.capture import links_of, read_table
from detector.config import Kafka
from detector.events import Event
from detector.probe.outlets import KafkaWindows
from detector.state import SILENT, TELEMETRY_LOST
from detector.truth import Change, Found, compare
from detector.window import WindowSpec

from .namespaces import LabError
from .plan import Plan
from .record import Recorder, Told
from .recording import FEATURES, Recording, RecordingError
from .watch import STEP_MS

log = logging.getLogger(__name__)

SETTLE_SECONDS = 10.0  # after the last window its events are waited for
SOURCE = "lab"
CONNECT_MS = 5000  # then there is no broker
NAMED = ("normal", "blocked", "capacity-limited")  # labels on which a daemon is scored


class Score(msgspec.Struct, frozen=True):
    """How well the daemon saw what was done."""

    onsets: int
    found: int
    false_changes: int
    not_scored: int  # changes at times without truth, or under faults that have no name yet
    watched_hours: float  # of all links together
    delays_seconds: dict[str, list[float]]  # by label, of those found
    missed: list[str]  # what was not found: link, time and label
    false: list[str]
    windows_sent: int = 0
    windows_lost: int = 0
    runs_left_out: int = 0  # that failed at every try
    tries_failed: int = 0


class Events:
    """Listens to the daemon's events from now on, in a thread of its own."""

    def __init__(self, settings: Kafka) -> None:
        """Find the topic's end.

        Raises:
            LabError: if there is no such broker or topic.
        """
        from kafka import TopicPartition
        from kafka.errors import KafkaError

        from detector.kafka_client import Access

        self.changes: list[Change] = []
        self.error: Exception | None = None  # what ended the listening before its time
        self._stopping = threading.Event()
        self._decode = msgspec.json.Decoder(Event).decode
        try:
            self._consumer = Access(settings).consumer(
                bootstrap_timeout_ms=CONNECT_MS,
                enable_auto_commit=False,
            )
        except KafkaError as error:
            raise LabError(str(error)) from error
        try:
            partitions = self._consumer.partitions_for_topic(settings.events) or ()
            places = [TopicPartition(settings.events, number) for number in sorted(partitions)]
            self._consumer.assign(places)
            self._consumer.seek_to_end()
            for place in places:
                self._consumer.position(place)  # or the end is looked up only at the first poll
        except KafkaError as error:
            self._consumer.close()
            raise LabError(f"{settings.bootstrap}: {error!r}") from error
        if not places:
            self._consumer.close()
            raise LabError(f"{settings.bootstrap} has no topic {settings.events!r}")
        self._thread = threading.Thread(target=self._listen, name="events")
        self._thread.start()

    def _listen(self) -> None:
        try:
            while not self._stopping.is_set():
                for records in self._consumer.poll(200).values():
                    for record in records:
                        self._take(record.value)
        except Exception as error:  # told by whoever waits for the score
            self.error = error

    def _take(self, value: bytes | None) -> None:
        try:
            event = self._decode(value or b"")
        except msgspec.MsgspecError as error:
            log.warning("an event can't be read", extra={"why": str(error)})
            return
        if event.is_handover or event.state == SILENT or event.fault == TELEMETRY_LOST:
            return  # told by the onset that follows; or of what no recording has a truth for
        self.changes += [Change(one.link, one.at_ms, one.state) for one in event.each()]

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        self._stopping.set()
        self._thread.join()
        self._consumer.close()


def live(
    plan: Plan,
    out: Path,
    settings: Kafka,
    steps: int,
    stopping: threading.Event,
    *,
    parallel: int,
    tell: Told = log.info,
) -> Score:
    """Perform a plan in front of the running daemon, record it into a folder, and score.

    Raises:
        LabError: if the machine can't, another lab runs, or there is no broker.
        RecordingError: if the folder holds a recording already.
    """
    spec = WindowSpec(FEATURES, steps, STEP_MS)
    outlets: list[KafkaWindows] = []

    def feed(links: Sequence[str]) -> KafkaWindows:
        outlets.append(KafkaWindows(settings, links, spec, SOURCE))
        return outlets[-1]

    events = Events(settings)
    try:
        recording = Recording(out, plan)
        if recording.is_whole or len(recording.missing()) < len(plan.runs):
            raise RecordingError(f"{out}: holds a recording already; live needs a new folder")
        recorder = Recorder(recording, parallel=parallel, tell=tell, feed=feed)
        recorder.record(stopping)
        stopping.wait(SETTLE_SECONDS)
    finally:
        events.close()
    if stopping.is_set():
        raise LabError("stopped, and not scored")
    if events.error is not None:
        raise LabError(f"events could not be read to the end: {events.error!r}")
    left_out = len(recording.missing())
    recording.finish()
    score = judge(out / "rows.parquet", events.changes, spec.span_ms)
    score = msgspec.structs.replace(
        score,
        windows_sent=sum(outlet.sent for outlet in outlets),
        windows_lost=sum(outlet.lost for outlet in outlets),
        runs_left_out=left_out,
        tries_failed=recorder.failures,
    )
    (out / "score.json").write_bytes(msgspec.json.format(msgspec.json.encode(score)) + b"\n")
    return score


def judge(rows: Path, changes: Iterable[Change], span_ms: int) -> Score:
    """Hold reported changes against a recording's truth."""
    links = [link.only(NAMED) for link in links_of(read_table([rows]), FEATURES, STEP_MS)]
    known = {link.link for link in links}
    changes = list(changes)
    found = compare(links, changes, span_ms)
    return _score(found, sum(change.link not in known for change in changes))


def _score(found: Found, others: int) -> Score:
    def told(changes: Iterable[Change]) -> list[str]:
        return [f"{change.link} {change.at_ms} {change.label}" for change in changes]

    return Score(
        onsets=found.onsets,
        found=found.found,
        false_changes=len(found.false),
        not_scored=found.unscored + others,
        watched_hours=found.watched_seconds / 3600,
        delays_seconds=found.delays_seconds,
        missed=told(found.missed),
        false=told(found.false),
    )


def as_text(score: Score) -> str:
    """Write a score for people."""
    lines = [
        f"{score.found} of {score.onsets} changes found",
        f"  {score.false_changes} false changes in {score.watched_hours:.2f} link-hours",
    ]
    for label, delays in sorted(score.delays_seconds.items()):
        lines.append(
            f"  {label}: {len(delays)} found after {np.median(delays):.1f} s "
            f"(median; longest {max(delays):.1f} s)"
        )
    lines += [f"  missed: {text}" for text in score.missed]
    lines += [f"  false: {text}" for text in score.false]
    lines.append(
        f"  {score.windows_sent} windows sent, {score.windows_lost} lost; "
        f"{score.not_scored} changes not scored; {score.tries_failed} tries of runs failed, "
        f"{score.runs_left_out} runs left out"
    )
    return "\n".join(lines)
