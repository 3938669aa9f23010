"""Metrics: what Prometheus sees. This file and `series` alone know prometheus_client.

Everything lives on a registry that the service owns. A link's name comes off the wire, so there
is one series a link, at most *max_links* of them, and a link that the service forgets goes.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from .figures import Figure
from .message import REASONS
from .oncall.duty import Judged
from .oncall.recall import OUTCOMES as CANARY_OUTCOMES
from .series import Series
from .sinks import Outcome
from .source import Vitals
from .state import NORMAL, SILENT, TELEMETRY_LOST, UNKNOWN, LinkState
from .status import Status

AWAY_SECONDS = 15.0  # without a sign of the broker, and it counts as away
CONTENT_TYPE = CONTENT_TYPE_LATEST
BATCH_WINDOWS = (1, 4, 16, 64, 256, 1024, 4096)
EMBED_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
DELAY_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)


class Metrics:
    """All that the daemon exports."""

    def __init__(self, labels: Sequence[str], max_links: int) -> None:
        # Or each counter has a second series, of when it was made, that nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._standing = Series(labels, max_links)
        self.registry.register(self._standing)
        self._progressed = time.monotonic()
        self.refusal: Callable[[], str] = str  # says why the broker refuses us; "": it doesn't
        self._followers: list[Callable[[], None]] = []  # whom progress is told to
        self._seen = Vitals()  # as of the last step: a counter takes what was added since
        self._count_work()
        self._count_what_is_told()
        self._labels: set[str] = set()
        self.know(labels, labels)
        self._measure_batches()
        self._watch_the_source()
        self._bundle = Info(
            "anchorwatch_bundle", "The bundle in use and what runs it.", registry=self.registry
        )

    def _count_work(self) -> None:
        registry = self.registry
        self._windows = Counter(
            "anchorwatch_windows_total",
            "Windows judged, by the label that their verdict gave.",
            ["label"],
            registry=registry,
        )
        self._opinions = Counter(
            "anchorwatch_second_opinions_total",
            "Windows of which the bundle's head gave a second opinion, by whether it agreed.",
            ["agrees"],
            registry=registry,
        )
        for agrees in ("yes", "no"):
            self._opinions.labels(agrees)
        self._rejected = Counter(
            "anchorwatch_rejected_total",
            "Windows and records that could not be used and went to the dead letters, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in (*REASONS, "unreadable"):
            self._rejected.labels(reason)

    def _count_what_is_told(self) -> None:
        registry = self.registry
        self._events = Counter(
            "anchorwatch_events_total",
            "Faults that began (onset) or ended (abated) and were told, by the fault; "
            "one for each link that an event is about.",
            ["type", "state"],
            registry=registry,
        )
        self._unexplained = Counter(
            "anchorwatch_reasons_skipped_total",
            "Changes to a fault for whose reason in the counters' own units there was no time.",
            registry=registry,
        )
        self._canaries = Counter(
            "anchorwatch_canaries_total",
            "Faults planted in copies of live windows, by what became of them.",
            ["label", "outcome"],
            registry=registry,
        )

    def _measure_batches(self) -> None:
        registry = self.registry
        self._batch = Histogram(
            "anchorwatch_batch_windows",
            "Windows in a batch.",
            buckets=BATCH_WINDOWS,
            registry=registry,
        )
        self._embed = Histogram(
            "anchorwatch_embed_seconds",
            "Time to embed a batch, seconds.",
            buckets=EMBED_SECONDS,
            registry=registry,
        )
        self._delay = Histogram(
            "anchorwatch_verdict_delay_seconds",
            "From the end of a window to its verdict being safe with every sink, seconds.",
            buckets=DELAY_SECONDS,
            registry=registry,
        )

    def _watch_the_source(self) -> None:
        registry = self.registry
        self._lag = Gauge(
            "anchorwatch_lag_messages",
            "Records on the topic that the daemon has not yet read.",
            ["topic", "partition"],
            registry=registry,
        )
        self._commits_failed = Counter(
            "anchorwatch_commits_failed_total",
            "Commits of the read position that failed; what they covered may be judged again.",
            registry=registry,
        )
        self._rebalances = Counter(
            "anchorwatch_rebalances_total",
            "Times that the consumer group dealt out its partitions anew.",
            registry=registry,
        )
        self._contact = Gauge(
            "anchorwatch_broker_contact_timestamp_seconds",
            "When the source was last heard of, Unix time in seconds.",
            registry=registry,
        )
        self._progress = Gauge(
            "anchorwatch_progress_timestamp_seconds",
            "When the loop last finished a step or tried a delivery again, Unix time in seconds.",
            registry=registry,
        )
        ready = Gauge(
            "anchorwatch_ready",
            "1 while the encoder is warm and there is something to read from, else 0.",
            registry=registry,
        )
        # Asked for when it is scraped: a broker may refuse us while a step waits for it.
        ready.set_function(lambda: self.is_ready)

    def know(self, labels: Sequence[str], taught: Sequence[str]) -> None:
        """Have series of these labels, so that all are 0 from the start, not absent.

        *taught* are the bundle's own, of which faults are planted. Series of labels that are no
        more go: what somebody enrols and removes must not stay for ever.
        """
        self._standing.know(labels)
        for label in self._labels - {*labels}:
            self._forget(label)
        self._labels = {*labels}
        for label in (*labels, UNKNOWN):
            self._windows.labels(label)
        for state in (*labels, UNKNOWN, SILENT, TELEMETRY_LOST):
            for kind in ("onset", "abated") if state != NORMAL else ():
                self._events.labels(kind, state)
        for label, canary in itertools.product(taught, CANARY_OUTCOMES):
            if label != NORMAL:
                self._canaries.labels(label, canary)

    def _forget(self, label: str) -> None:
        self._windows.remove_by_labels({"label": label})
        self._events.remove_by_labels({"state": label})
        self._canaries.remove_by_labels({"label": label})

    @property
    def is_ready(self) -> bool:
        """Whether there is something to read from, and the broker lets us."""
        return not self.unready

    @property
    def unready(self) -> str:
        """Why it is not ready; nothing if it is."""
        if refusal := self.refusal():
            return refusal
        vitals = self._seen
        if not vitals.contact:
            return "nothing to read from yet: the broker has not been heard of"
        if (silent_seconds := time.time() - vitals.contact) > AWAY_SECONDS:
            return f"nothing to read from: nothing of the broker for {silent_seconds:.0f} s"
        return "" if vitals.is_assigned else "nothing to read from: no partition is ours"

    @property
    def idle_seconds(self) -> float:
        """How long the loop has given no sign of progress."""
        return time.monotonic() - self._progressed

    def followed_by(self, follower: Callable[[], None]) -> None:
        """Call *follower* at each sign of progress too."""
        self._followers.append(follower)

    def watch(self, figures: Callable[[], Iterable[Figure]]) -> None:
        """Ask a part of the daemon for its figures at every scrape."""
        self._standing.parts.append(figures)

    def started(self, facts: Mapping[str, str]) -> None:
        """Say which bundle is in use, as often as it is another."""
        self._bundle.info(dict(facts))

    def observe(self, outcome: Outcome, judged: Judged) -> None:
        """Count what came of a batch, once every sink has it."""
        for letter in outcome.dead_letters:
            self._rejected.labels(letter.rejected.reason).inc()
        for event in outcome.events:
            self._events.labels(event.type, event.fault).inc(len(event.links) or 1)
        for canary in judged.canaries:
            self._canaries.labels(canary.label, canary.outcome).inc()
        self._unexplained.inc(judged.unexplained)
        if not outcome.verdicts:
            return
        self._embed.observe(judged.embed_seconds)
        self._batch.observe(len(outcome.verdicts))
        now_ms = time.time() * 1000
        counts: dict[str, int] = {}
        agreed = differed = 0
        for verdict in outcome.verdicts:
            if verdict.label != UNKNOWN:  # of which the head knows nothing
                agreed += verdict.opinion == verdict.label
                differed += verdict.opinion not in ("", verdict.label)
            counts[verdict.label] = counts.get(verdict.label, 0) + 1
            # An exporter's clock may be ahead of ours.
            self._delay.observe(max(0.0, now_ms - verdict.end_ms) / 1000)
        for label, count in counts.items():
            self._windows.labels(label).inc(count)
        self._opinions.labels("yes").inc(agreed)
        self._opinions.labels("no").inc(differed)

    def see(self, vitals: Vitals) -> None:
        """Note how the source is."""
        self._contact.set(vitals.contact)
        self._commits_failed.inc(vitals.commits_failed - self._seen.commits_failed)
        self._rebalances.inc(vitals.rebalances - self._seen.rebalances)
        for topic, partition in self._seen.lag.keys() - vitals.lag.keys():
            self._lag.remove(topic, str(partition))  # moved to another daemon
        self._seen = replace(vitals, lag=dict(vitals.lag))
        for (topic, partition), lag in vitals.lag.items():
            self._lag.labels(topic, str(partition)).set(lag)

    def beat(self) -> None:
        """Note that the loop is alive: a step is done, or waits for something outside."""
        self._progressed = time.monotonic()
        self._progress.set(time.time())
        for follower in self._followers:
            follower()

    def links(
        self, links: Mapping[str, LinkState], status: Status, noticed: Mapping[str, int]
    ) -> None:
        """Export links, exporters, canaries and the rate of unknowns as they are now."""
        self._standing.links, self._standing.status = links, status
        self._standing.noticed = dict(noticed)

    def text(self) -> bytes:
        """Give all metrics in Prometheus's text format."""
        return generate_latest(self.registry)
