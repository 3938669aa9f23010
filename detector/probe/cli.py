"""`anchorwatch capture`: arguments in, rows out."""

import socket
import sys
import threading
from pathlib import Path
from typing import Any

import click
import msgspec

from detector.config import ConfigError, Kafka
from detector.signals import stop_on_signals

EX_CONFIG = 78  # settings unusable, as in sysexits.h


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
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --kafka: a daemon's settings file, that says how to log in there",
)
@click.option("--topic", help="Topic to send to; else the settings' `[kafka] windows`")
@click.option("--source", default=socket.gethostname(), help="Exporter that the windows name")
@click.option("--steps", type=click.IntRange(1), default=15, help="Rows in a window")
@click.option("--step", type=click.FloatRange(0.01, 3600), default=1.0, help="Seconds of a row")
@click.option("--offset", type=click.FloatRange(0), default=0.0, help="Seconds after whole steps")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Listen for so long")
@click.option("--partial", is_flag=True, help="Keep the first and last row, seen only in part")
@click.option(
    "--ring",
    type=click.IntRange(1, 4096),
    default=16,
    help="MiB held for each interface",
)
@click.option(
    "--snaplen", type=click.IntRange(128, 262144), default=2048, help="Bytes read of a packet"
)
@click.option("--promiscuous", is_flag=True, help="Also packets for other hosts (mirror ports)")
def capture(
    files: tuple[Path, ...],
    interfaces: tuple[str, ...],
    out: Path | None,
    kafka: str | None,
    topic: str | None,
    config: Path | None,
    counters: bool,
    step: float,
    offset: float,
    **chosen: Any,
) -> None:
    """Turn packets of FILES (pcap, pcapng) or of live interfaces into rows.

    Rows go to a capture, or as windows to Kafka. Listening needs CAP_NET_RAW; --counters needs
    no right at all.
    """
    from detector.logs import set_up

    from .capturing import Capturing, read_rules
    from .packets import ProbeError

    _check(files, interfaces, out, kafka, counters=counters, seconds=chosen["seconds"])
    set_up("info", kafka="critical")
    stopping = threading.Event()
    stop_on_signals(stopping)

    def tell(line: str) -> None:
        click.echo(line, err=True)

    try:
        work = Capturing(
            rules=read_rules(chosen.pop("rules"), chosen.pop("rule_file"), interfaces),
            out=out,
            kafka=_broker(kafka, config, topic) if kafka else None,
            step_ms=round(step * 1000),
            origin_ms=round(offset * 1000),
            **chosen,
        )
        if files:
            if not work.read_files(files, stopping, tell):
                sys.exit(1)
        elif counters:
            work.read_counters(stopping, tell)
        else:
            work.listen(tuple(dict.fromkeys(interfaces)), stopping, tell)
    except (ProbeError, OSError, UnicodeDecodeError, ConfigError) as error:
        click.echo(f"anchorwatch: {error}", err=True)
        sys.exit(EX_CONFIG if isinstance(error, ConfigError) else 1)


def _broker(bootstrap: str, config: Path | None, topic: str | None) -> Kafka:
    from detector.broker import reach

    broker = reach(bootstrap, config)
    return msgspec.structs.replace(broker, windows=topic) if topic else broker


def _check(
    files: tuple[Path, ...],
    interfaces: tuple[str, ...],
    out: Path | None,
    kafka: str | None,
    *,
    counters: bool,
    seconds: float | None,
) -> None:
    """Refuse options that contradict each other."""
    if (out is None) == (kafka is None):
        raise click.UsageError("give one of --out and --kafka")
    if bool(files) == bool(interfaces):
        raise click.UsageError("give files, or interfaces with -i")
    if counters and files:
        raise click.UsageError("--counters is for interfaces")
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise click.UsageError(f"--out {out}: give a name that ends in .parquet or .csv")
    if seconds and files:
        raise click.UsageError("--seconds is for interfaces")
    if files and kafka:
        raise click.UsageError("files go to --out; anchorwatch replay sends captures to Kafka")
