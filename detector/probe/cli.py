"""`anchorwatch capture`: arguments in, rows out."""

import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from detector.config import Kafka
from detector.signals import stop_on_signals

if TYPE_CHECKING:
    from .links import Rule
    from .outlets import Outlet
    from .probe import Probe
    from .run import Row

log = logging.getLogger(__name__)

KAFKA = Kafka()  # where the defaults come from
TOLD_SECONDS = 60  # between two lines about how a live capture goes


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-i", "--interface", "interfaces", multiple=True, help="Listen to this interface")
@click.option("--counters", is_flag=True, help="Read the interfaces' counters, not packets")
@click.option(
    "--link",
    "rules",
    multiple=True,
    metavar="NAME=RULE",
    help="What is a link, and which way is forward: @eth0 (what eth0 receives), @eth0:out, "
    "10.1.0.0/16>10.2.0.0/16, 10.1.0.0/16,fd00::/8>*@eth0; the first that fits decides; none "
    "given = each interface is one, by its name",
)
@click.option(
    "--links",
    "rule_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with one such rule a line",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Capture to write (.parquet or .csv)",
)
@click.option("--kafka", metavar="HOST:PORT", help="Send windows to this broker instead")
@click.option("--topic", default=KAFKA.windows, help="Topic to send to")
@click.option("--source", default=socket.gethostname(), help="Exporter that the windows name")
@click.option("--steps", type=click.IntRange(1), default=15, help="Rows in a window")
@click.option("--step", type=click.FloatRange(0.01, 3600), default=1.0, help="Seconds of a row")
@click.option("--offset", type=click.FloatRange(0), default=0.0, help="Seconds after whole steps")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after so long")
@click.option("--partial", is_flag=True, help="Keep the first and last row, seen only in part")
@click.option("--ring", type=click.IntRange(1, 4096), default=16, help="MiB for each interface")
@click.option(
    "--snaplen", type=click.IntRange(128, 262144), default=2048, help="Bytes read of one"
)
@click.option("--promiscuous", is_flag=True, help="Also packets for other hosts (mirror ports)")
def capture(
    files: tuple[Path, ...],
    interfaces: tuple[str, ...],
    out: Path | None,
    kafka: str | None,
    **chosen: Any,
) -> None:
    """Turn packets of FILES (pcap, pcapng) or of live interfaces into rows.

    Rows go to a capture, or as windows to Kafka. Listening needs CAP_NET_RAW; --counters needs
    no right at all.
    """
    from detector.logs import set_up

    from .packets import ProbeError

    if (out is None) == (kafka is None):
        raise click.UsageError("give one of --out and --kafka")
    if bool(files) == bool(interfaces):
        raise click.UsageError("give files, or interfaces with -i")
    if chosen["counters"] and files:
        raise click.UsageError("--counters is for interfaces")
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise click.UsageError(f"--out {out}: give a name that ends in .parquet or .csv")
    if files and kafka:
        raise click.UsageError("files go to --out; anchorwatch replay sends captures to Kafka")
    set_up("info")
    stopping = threading.Event()
    stop_on_signals(stopping)
    try:
        rules = _rules(chosen["rules"], chosen["rule_file"], files, interfaces)
        if files:
            _read_files(files, rules, out, chosen, stopping)
        elif chosen["counters"]:
            _read_counters(rules, out, kafka, chosen, stopping)
        else:
            _listen(interfaces, rules, out, kafka, chosen, stopping)
    except (ProbeError, OSError, UnicodeDecodeError) as error:
        _fail(error)


def _rules(
    texts: Sequence[str],
    rule_file: Path | None,
    files: Sequence[Path],
    interfaces: Sequence[str],
) -> "tuple[Rule, ...]":
    from .links import parse
    from .packets import ProbeError

    lines = list(texts)
    if rule_file is not None:
        written = rule_file.read_text().splitlines()
        lines += [line for line in written if line.strip() and not line.lstrip().startswith("#")]
    if not lines and files:
        raise ProbeError("say which packets are forward: --link NAME=PREFIX>PREFIX")
    rules = tuple(parse(line) for line in lines or [f"{name}=@{name}" for name in interfaces])
    for rule in rules:
        if interfaces and rule.port and rule.port not in interfaces:
            raise ProbeError(
                f"link {rule.link!r}: nobody listens to {rule.port!r}: -i {rule.port}"
            )
    return rules


def _read_files(
    paths: Sequence[Path],
    rules: "tuple[Rule, ...]",
    out: Path | None,
    chosen: dict[str, Any],
    stopping: threading.Event,
) -> None:
    from .files import PcapFile
    from .packets import ProbeError
    from .run import over_files

    opened = [PcapFile(path) for path in paths]
    probe = _probe(rules, chosen)
    rows = takewhile(lambda _row: not stopping.is_set(), over_files(opened, probe))
    count = _pass_on(rows, _outlet(out, None, rules, chosen), None)
    for file in opened:
        if file.damage:
            click.echo(f"{file.path}: {file.damage}; {file.packets} packets before it", err=True)
        if file.untimed:
            click.echo(f"{file.path}: {file.untimed} packets without a time left out", err=True)
    _tell(probe, count, sum(file.dropped for file in opened))
    if any(file.damage.startswith("damaged") for file in opened):
        sys.exit(1)
    if not count:
        raise ProbeError("no row: --partial keeps those that were seen only in part")


def _listen(
    interfaces: Sequence[str],
    rules: "tuple[Rule, ...]",
    out: Path | None,
    kafka: str | None,
    chosen: dict[str, Any],
    stopping: threading.Event,
) -> None:
    from .ring import Ring
    from .run import over_interfaces

    rings = []
    try:
        for name in interfaces:
            ring = Ring(
                name,
                megabytes=chosen["ring"],
                snaplen=chosen["snaplen"],
                promiscuous=chosen["promiscuous"],
            )
            rings.append(ring)
        probe = _probe(rules, chosen)

        def dropped() -> int:
            return sum(ring.dropped for ring in rings)

        outlet = _outlet(out, kafka, rules, chosen)
        rows = _told(over_interfaces(rings, probe, stopping), probe, dropped)
        count = _pass_on(rows, outlet, _deadline(chosen["seconds"], stopping))
        _tell(probe, count, dropped())
    finally:
        for ring in rings:
            ring.close()


def _read_counters(
    rules: "tuple[Rule, ...]",
    out: Path | None,
    kafka: str | None,
    chosen: dict[str, Any],
    stopping: threading.Event,
) -> None:
    from .counters import Counters
    from .run import over_counters

    rows = over_counters(Counters(rules), round(chosen["step"] * 1000), stopping)
    outlet = _outlet(out, kafka, rules, chosen)
    count = _pass_on(rows, outlet, _deadline(chosen["seconds"], stopping))
    click.echo(f"{count} rows", err=True)


def _probe(rules: "tuple[Rule, ...]", chosen: dict[str, Any]) -> "Probe":
    from .links import Links
    from .probe import Probe
    from .rows import Rows

    links = Links(rules)
    rows = Rows(
        len(links.names),
        round(chosen["step"] * 1000),
        origin_ms=round(chosen["offset"] * 1000),
        partial=chosen["partial"],
    )
    return Probe(links, rows)


def _outlet(
    out: Path | None, kafka: str | None, rules: "tuple[Rule, ...]", chosen: dict[str, Any]
) -> "Outlet":
    from detector.window import WindowSpec

    from .features import COUNTER_FEATURES, PACKET_FEATURES, names
    from .outlets import CaptureFile, KafkaWindows

    links = tuple(dict.fromkeys(rule.link for rule in rules))
    features = names(COUNTER_FEATURES if chosen["counters"] else PACKET_FEATURES)
    if out is not None:
        return CaptureFile(out, links, features)
    spec = WindowSpec(features, chosen["steps"], round(chosen["step"] * 1000))
    settings = Kafka(bootstrap=str(kafka), windows=chosen["topic"])
    return KafkaWindows(settings, links, spec, chosen["source"])


def _pass_on(rows: "Iterator[Row]", outlet: "Outlet", deadline: threading.Timer | None) -> int:
    """Hand all rows to the outlet, and say how many there were."""
    count = 0
    try:
        for start_ms, values in rows:
            outlet.write(start_ms, values)
            count += len(values)
    finally:
        if deadline is not None:
            deadline.cancel()
        outlet.close()
    return count


def _deadline(seconds: float | None, stopping: threading.Event) -> threading.Timer | None:
    if seconds is None:
        return None
    timer = threading.Timer(seconds, stopping.set)
    timer.daemon = True
    timer.start()
    return timer


def _told(rows: "Iterator[Row]", probe: "Probe", dropped: Any) -> "Iterator[Row]":
    """Pass rows through, with a log line once a minute."""
    following = time.monotonic() + TOLD_SECONDS
    for row in rows:
        yield row
        if time.monotonic() >= following:
            following += TOLD_SECONDS
            log.info("capturing", extra=_facts(probe) | {"kernel_dropped": dropped()})


def _facts(probe: "Probe") -> dict[str, int]:
    return {
        "packets": probe.packets,
        "on_no_link": probe.unclassified,
        "too_late": probe.rows.late,
        "forgotten": probe.forgotten,
        "broken_streams": probe.broken_streams,
        "time_jumps": probe.rows.jumps,
    }


def _tell(probe: "Probe", rows: int, dropped: int) -> None:
    facts = _facts(probe) | {"dropped before the probe": dropped}
    odd = ", ".join(
        f"{count} {name.replace('_', ' ')}"
        for name, count in facts.items()
        if count and name != "packets"
    )
    click.echo(f"{rows} rows of {probe.packets} packets" + (f" ({odd})" if odd else ""), err=True)


def _fail(error: Exception | str) -> NoReturn:
    click.echo(f"anchorwatch: {error}", err=True)
    sys.exit(1)
