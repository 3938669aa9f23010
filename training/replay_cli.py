"""`anchorwatch replay`: captures judged in process, sent to Kafka, or judged by two bundles."""

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from detector.config import ConfigError, State, Unknown

from .failing import EX_CONFIG, fail, tell
from .places import CONFIG

PATHS = click.Path(exists=True, path_type=Path)
STATE, UNKNOWN = State(), Unknown()  # where the defaults come from


@click.command()
@click.argument("bundle", type=PATHS)
@click.argument("captures", nargs=-1, required=True, type=PATHS, metavar="[NEW] CAPTURES...")
@click.option(
    "--diff",
    "is_diff",
    is_flag=True,
    help="List what BUNDLE and NEW, the second bundle given, judge differently",
)
@click.option("--links", multiple=True, default=("*",), help="Links to replay (patterns)")
@click.option(
    "--hop",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    help="Seconds from one window of a link to its next",
)
@click.option(
    "--verdicts",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Judge in process, one verdict a line to this file; - for stdout",
)
@click.option("--kafka", metavar="HOST:PORT", help="Send the windows to this broker instead")
@CONFIG
@click.option("--topic", help="Topic to send to; else the settings' `[kafka] windows`")
@click.option(
    "--speed",
    type=click.FloatRange(0),
    default=1.0,
    help="Times life, with --kafka; 0 = as fast as it can",
)
@click.option("--now", is_flag=True, help="With --kafka: move the traffic's time to now")
@click.option("--at", metavar="TIME", help="With --kafka: move it to then, as if it were recorded")
@click.option(
    "--json", "as_text", is_flag=True, help="With --kafka or --diff: JSON, not MessagePack or text"
)
@click.option(
    "--many", type=click.IntRange(1), default=1, help="With --kafka: windows in a message, at most"
)
@click.option(
    "--evidence",
    type=click.FloatRange(0, min_open=True),
    default=STATE.evidence,
    help="At which a state changes; more is surer and later",
)
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, min_open=True),
    default=UNKNOWN.false_alarms_a_link_week,
    help="That a link which is well may be called unknown in a week",
)
def replay(
    bundle: Path,
    captures: tuple[Path, ...],
    verdicts: Path | None,
    kafka: str | None,
    is_diff: bool,
    **chosen: Any,
) -> None:
    """Cut CAPTURES into windows as BUNDLE needs them, and judge or send them.

    CAPTURES are files, folders or capture stores, BUNDLE a bundle or a bundle store. With --diff
    BUNDLE and NEW judge all by the daemon's own rule, and each fault is listed that only one of
    them found, or that they name differently or notice at another time.
    """
    from detector.bundle import BundleError
    from detector.capture import CaptureError

    if (verdicts is not None) + (kafka is not None) + is_diff != 1:
        raise click.UsageError("give one of --verdicts, --kafka and --diff")
    if is_diff and len(captures) < 2:
        raise click.UsageError("--diff needs two bundles, and then captures")
    at_ms = _at(chosen["now"], chosen["at"])
    try:
        if is_diff:
            _compare(bundle, captures[0], captures[1:], chosen)
        elif verdicts is not None:
            _judge(bundle, captures, verdicts, chosen)
        else:
            _send(bundle, captures, kafka or "", at_ms, chosen)
    except (BundleError, ConfigError) as error:
        fail(error, EX_CONFIG)
    except (CaptureError, OSError) as error:
        fail(error)


def _compare(old: Path, new: Path, captures: tuple[Path, ...], chosen: dict[str, Any]) -> None:
    from detector.bundles import resolve

    from .diff import diff
    from .differences import Comparing

    how = Comparing(
        only=chosen["links"],
        hop_seconds=chosen["hop"],
        rule=State(evidence=chosen["evidence"]),
        budget_a_week=chosen["false_alarms"],
    )
    said = diff(resolve(old), resolve(new), captures, how, tell, as_data=chosen["as_text"])
    click.echo(said)


def _judge(
    bundle: Path, captures: tuple[Path, ...], verdicts: Path, chosen: dict[str, Any]
) -> None:
    from detector.bundle import load
    from detector.bundles import resolve

    from . import replay as replays

    loaded = load(resolve(bundle))
    windows = replays.cut(loaded, captures, chosen["links"], chosen["hop"], side_by_side=False)
    rule = State(evidence=chosen["evidence"])
    count = replays.judge(loaded, windows, verdicts, rule, chosen["false_alarms"])
    tell(f"{count} verdicts")


def _send(
    bundle: Path,
    captures: tuple[Path, ...],
    kafka: str,
    at_ms: int | None,
    chosen: dict[str, Any],
) -> None:
    from kafka.errors import KafkaError

    from detector.broker import reach
    from detector.bundle import load
    from detector.bundles import resolve
    from detector.kafka_client import RefusedError

    from . import replay as replays

    broker = reach(kafka, chosen["config"])
    if chosen["topic"]:
        broker = msgspec.structs.replace(broker, windows=chosen["topic"])
    loaded = load(resolve(bundle))
    windows = replays.cut(loaded, captures, chosen["links"], chosen["hop"], side_by_side=True)
    pace = replays.Pace(chosen["speed"], at_ms)
    form = replays.Form(packed=not chosen["as_text"], many=chosen["many"])
    try:
        count = replays.send(windows, broker, pace, form, tell)
    except RefusedError as error:
        fail(error)
    except KafkaError as error:
        fail(f"topic {broker.windows!r} on the broker at {kafka}: {error}")
    tell(f"{count} windows sent to {broker.windows}")


def _at(now: bool, at: str | None) -> int | None:
    """Say when a replay is to begin, Unix milliseconds; None: when it was recorded."""
    from . import when

    now_ms = round(time.time() * 1000)
    if at is None:
        return now_ms if now else None
    if now:
        raise click.UsageError("give one of --now and --at")
    try:
        return when.parse(at, now_ms)
    except ValueError as error:
        raise click.UsageError(f"--at {error}") from error
