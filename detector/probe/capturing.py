"""A capture from its beginning to its end: where packets come from, and where rows go."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from detector.config import Kafka
from detector.window import WindowSpec

from .counters import Counters
from .features import COUNTER_FEATURES, PACKET_FEATURES, Feature, names
from .files import PcapFile
from .links import Links, Rule, parse
from .outlets import CaptureFile, KafkaWindows, Outlet
from .packets import ProbeError
from .probe import Probe
from .ring import Ring
from .rows import Rows
from .run import Row, over_counters, over_files, over_interfaces

log = logging.getLogger(__name__)

TOLD_SECONDS = 60  # between two lines about how a live capture goes

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capturing:
    """What is to become of packets.

    Attributes:
        rules: which packets are which link's.
        out: the capture to write, or
        kafka: where windows go instead (None with *out*); *source* and *steps* are theirs.
        seconds: after which a live capture ends; None = when told to.
        step_ms, origin_ms, partial: as `Rows` takes them.
        ring, snaplen, promiscuous: MiB and the rest, as `Ring` takes them.
    """

    rules: tuple[Rule, ...]
    out: Path | None
    kafka: Kafka | None
    source: str
    steps: int
    seconds: float | None
    step_ms: int
    origin_ms: int
    partial: bool
    ring: int
    snaplen: int
    promiscuous: bool

    def read_files(self, paths: Sequence[Path], stopping: threading.Event, tell: Tell) -> bool:
        """Make rows of files; say whether all of them could be read, as far as they go.

        Raises:
            ProbeError: if one isn't a capture of packets, or no row comes of them.
        """
        files = [PcapFile(path) for path in paths]
        probe = self._probe()
        rows = takewhile(lambda _row: not stopping.is_set(), over_files(files, probe))
        count = self._pass_on(rows, PACKET_FEATURES, stopping)
        for file in files:
            if file.damage:
                tell(f"{file.path}: {file.damage}; {file.packets} packets before it")
            if file.untimed:
                tell(f"{file.path}: {file.untimed} packets without a time left out")
        tell(_summary(probe, count, sum(file.dropped for file in files)))
        if probe.packets and probe.unclassified == probe.packets:
            raise ProbeError("no link rule fits any packet: every row is silence")
        if not count:
            raise ProbeError("no row: --partial keeps those that were seen only in part")
        return not any(file.damage.startswith("damaged") for file in files)

    def listen(self, interfaces: Sequence[str], stopping: threading.Event, tell: Tell) -> None:
        """Make rows of what interfaces see, until told to stop.

        Raises:
            ProbeError: if one can't be listened to, or is gone.
        """
        with ExitStack() as opened:
            rings = [opened.enter_context(closing(self._ring(name))) for name in interfaces]
            probe = self._probe()

            def dropped() -> int:
                return sum(ring.dropped for ring in rings)

            rows = _told(over_interfaces(rings, probe, stopping), probe, dropped)
            count = self._pass_on(rows, PACKET_FEATURES, stopping)
            tell(_summary(probe, count, dropped()))

    def read_counters(self, stopping: threading.Event, tell: Tell) -> None:
        """Make rows of interfaces' own counters, until told to stop.

        Raises:
            ProbeError: if a rule is about addresses.
        """
        rows = over_counters(Counters(self.rules), self.step_ms, stopping)
        count = self._pass_on(rows, COUNTER_FEATURES, stopping)
        tell(f"{count} rows")

    def _ring(self, interface: str) -> Ring:
        return Ring(
            interface,
            megabytes=self.ring,
            snaplen=self.snaplen,
            promiscuous=self.promiscuous,
        )

    def _probe(self) -> Probe:
        links = Links(self.rules)
        rows = Rows(len(links.names), self.step_ms, origin_ms=self.origin_ms, partial=self.partial)
        return Probe(links, rows)

    def _pass_on(
        self, rows: Iterable[Row], features: tuple[Feature, ...], stopping: threading.Event
    ) -> int:
        """Hand all rows to where they go, for as long as was asked, and say how many."""
        count = 0
        with closing(self._outlet(names(features))) as outlet, ExitStack() as held:
            if self.seconds is not None:
                timer = threading.Timer(self.seconds, stopping.set)
                timer.daemon = True
                timer.start()
                held.callback(timer.cancel)
            for start_ms, values in rows:
                outlet.write(start_ms, values)
                count += len(values)
        return count

    def _outlet(self, features: tuple[str, ...]) -> Outlet:
        links = Links(self.rules).names
        if self.out is not None:
            return CaptureFile(self.out, links, features)
        spec = WindowSpec(features, self.steps, self.step_ms)
        if self.kafka is None:
            raise ProbeError("rows need somewhere to go")
        return KafkaWindows(self.kafka, links, spec, self.source)


def read_rules(
    texts: Sequence[str], rule_file: Path | None, interfaces: Sequence[str]
) -> tuple[Rule, ...]:
    """Read link rules, those of a file last; without any, each interface is a link.

    Raises:
        ProbeError: if one can't be read, is about an interface that nobody listens to, or there
            is none at all.
    """
    lines = list(texts)
    if rule_file is not None:
        written = rule_file.read_text().splitlines()
        lines += [line for line in written if line.strip() and not line.lstrip().startswith("#")]
    lines = lines or [f"{name}=@{name}" for name in interfaces]
    if not lines:
        raise ProbeError("say which packets are forward: --link NAME=PREFIX>PREFIX")
    rules = tuple(parse(line) for line in lines)
    for rule in rules:
        if interfaces and rule.port and rule.port not in interfaces:
            raise ProbeError(
                f"link {rule.link!r}: nobody listens to {rule.port!r}: -i {rule.port}"
            )
    return rules


def _told(rows: Iterator[Row], probe: Probe, dropped: Callable[[], int]) -> Iterator[Row]:
    """Pass rows through, with a log line once a minute."""
    following = time.monotonic() + TOLD_SECONDS
    for row in rows:
        yield row
        if time.monotonic() >= following:
            following += TOLD_SECONDS
            log.info("capturing", extra=_facts(probe) | {"kernel_dropped": dropped()})


def _facts(probe: Probe) -> dict[str, int]:
    return {
        "packets": probe.packets,
        "on_no_link": probe.unclassified,
        "too_late": probe.rows.late,
        "forgotten": probe.forgotten,
        "broken_streams": probe.broken_streams,
        "time_jumps": probe.rows.jumps,
    }


def _summary(probe: Probe, rows: int, dropped: int) -> str:
    facts = _facts(probe) | {"dropped before the probe": dropped}
    odd = ", ".join(
        f"{count} {name.replace('_', ' ')}"
        for name, count in facts.items()
        if count and name != "packets"
    )
    return f"{rows} rows of {probe.packets} packets" + (f" ({odd})" if odd else "")
