"""`anchorwatch lab`: plans of what to record, and recording it.

Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from detector.config import ConfigError
from detector.signals import stop_on_signals
from training.failing import EX_CONFIG, fail
from training.places import CONFIG

from .plan import Kind, PlanError, Traffic

if TYPE_CHECKING:
    from .machine import Ability
    from .plan import Plan

HOURS = click.FloatRange(0, 10_000)
LINKS_A_CORE, MOST_LINKS = 10, 250  # side by side; docs/lab.md says what a link costs
PLAN = click.argument("plan", type=click.Path(exists=True, dir_okay=False, path_type=Path))
OUT = click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder"
)
PARALLEL = click.option(
    "--parallel",
    type=click.IntRange(1, MOST_LINKS),
    default=min(MOST_LINKS, LINKS_A_CORE * len(os.sched_getaffinity(0))),
    show_default="10 a core",
    help="Links side by side",
)
KINDS, TRAFFIC = [kind.value for kind in Kind], [traffic.value for traffic in Traffic]


@click.group()
def lab() -> None:
    """Make traffic and faults in network namespaces, and record them."""


@lab.command()
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), required=True, help="Same seed, same plan"
)
@click.option("--normal-hours", type=HOURS, default=24.0, help="Runs without faults, together")
@click.option("--fault-hours", type=HOURS, default=6.0, help="Runs with faults, together")
@click.option(
    "--kinds",
    multiple=True,
    type=click.Choice(KINDS),
    help="Faults to make; none given = all; can be given several times",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(KINDS + TRAFFIC),
    help="Fault or traffic to leave out; can be given several times",
)
@click.option("--here", is_flag=True, help="Leave out what this machine can't do")
@click.option(
    "--longest",
    type=click.FloatRange(1, 3600),
    default=600.0,
    help="Seconds of a fault, at most",
)
@click.option("--name", help="Name of the plan; none given = seed-SEED")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="File to write; - for stdout",
)
@click.option("--replace", is_flag=True, help="Replace the file that is there")
def plan(
    seed: int,
    kinds: tuple[str, ...],
    without: tuple[str, ...],
    out: Path,
    replace: bool,
    **chosen: Any,
) -> None:
    """Draw a plan: runs of normal traffic, and of every fault under every sort of traffic."""
    from .coverage import as_text, gaps
    from .draw import draw
    from .plan import as_toml, check

    to_stdout = str(out) == "-"
    if not to_stdout and out.exists() and not replace:  # it may have been changed by hand
        raise click.UsageError(f"{out} is there; --replace replaces it")
    without = (*without, *(_impossible() if chosen["here"] else ()))
    wanted = [Kind(kind) for kind in _less(kinds or KINDS, without)]
    try:
        drawn = draw(
            chosen["name"] or f"seed-{seed}",
            seed,
            hours_normal=chosen["normal_hours"],
            hours_faults=chosen["fault_hours"],
            kinds=wanted,
            traffic=[Traffic(traffic) for traffic in _less(TRAFFIC, without)],
            longest=chosen["longest"],
        )
        check(drawn)
    except PlanError as error:
        raise click.UsageError(str(error)) from error
    if to_stdout:
        click.echo(as_toml(drawn), nl=False)
    else:
        try:
            out.write_text(as_toml(drawn), encoding="utf-8")
        except OSError as error:
            _fail(error)
    click.echo(as_text(drawn), err=True)
    if chosen["fault_hours"] and (few := gaps(drawn, wanted)):
        click.echo(f"too short to cover every fault: {', '.join(few)}", err=True)


@lab.command()
@click.option("--json", "as_data", is_flag=True, help="Print JSON")
def check(as_data: bool) -> None:
    """Tell what this machine can do for the lab, by trying it in a scratch namespace.

    Ends with 1 if no link can be made at all.
    """
    from dataclasses import asdict
    from json import dumps

    from . import machine

    abilities = _abilities()
    kinds, traffic = machine.able_kinds(abilities), machine.able_traffic(abilities)
    if as_data:
        facts = {"faults": sorted(kinds), "traffic": sorted(traffic)}
        click.echo(dumps({"tried": [asdict(ability) for ability in abilities], **facts}))
    else:
        for ability in abilities:
            outcome = "works" if ability.works else f"does not work: {ability.why_not}"
            click.echo(f"{ability.what}: {outcome}")
        for what, able, every in (("faults", kinds, KINDS), ("traffic", traffic, TRAFFIC)):
            lacking = ", ".join(_less(every, able))
            click.echo(f"{what}: " + (f"all but {lacking}" if lacking else "all"))
    if not traffic:
        sys.exit(1)


@lab.command()
@PLAN
@OUT
@PARALLEL
@click.option("--pcaps", is_flag=True, help="Keep the packets too")
@click.option("--partial", is_flag=True, help="Do without runs that fail at every try")
def record(plan: Path, out: Path, parallel: int, pcaps: bool, partial: bool) -> None:
    """Perform PLAN on this machine and record it: a capture with the truth of every row.

    A recording that was interrupted goes on where it stopped. Needs root.
    """
    from detector.logs import set_up

    from .namespaces import LabError
    from .record import record as run
    from .recording import RecordingError

    set_up("warning")
    stopping = threading.Event()
    stop_on_signals(stopping)
    try:
        recorder = run(
            _read(plan),
            out,
            stopping,
            parallel=parallel,
            pcaps=pcaps,
            partial=partial,
            tell=_tell,
        )
    except (PlanError, LabError, RecordingError, OSError) as error:
        _fail(error)
    click.echo(f"{out}: recorded; {recorder.failures} tries of runs failed")


@lab.command()
@PLAN
@OUT
@PARALLEL
@click.option("--kafka", metavar="HOST:PORT", required=True, help="Broker of the daemon")
@CONFIG
@click.option("--topic", help="Topic that the daemon reads; else the settings'")
@click.option("--events", help="Topic that its events go to; else the settings'")
@click.option("--steps", type=click.IntRange(1), default=15, help="Rows in a window")
@click.option("--json", "as_data", is_flag=True, help="Print JSON")
def live(
    plan: Path,
    out: Path,
    parallel: int,
    kafka: str,
    config: Path | None,
    topic: str | None,
    events: str | None,
    steps: int,
    as_data: bool,
) -> None:
    """Perform PLAN in front of the running daemon, and score what it said.

    The probes send each link's windows to the daemon's topic; what was really done is recorded
    in the folder, and its events are held against that. Needs root.
    """
    import msgspec

    from detector.broker import reach
    from detector.capture import CaptureError
    from detector.logs import set_up

    from .live import as_text
    from .live import live as run
    from .namespaces import LabError
    from .recording import RecordingError

    set_up("warning", kafka="critical")
    stopping = threading.Event()
    stop_on_signals(stopping)
    try:
        broker = reach(kafka, config)
        topics = {"windows": topic or broker.windows, "events": events or broker.events}
        settings = msgspec.structs.replace(broker, **topics)
        score = run(_read(plan), out, settings, steps, stopping, parallel=parallel, tell=_tell)
    except ConfigError as error:
        fail(error, EX_CONFIG)
    except (PlanError, LabError, RecordingError, CaptureError, OSError) as error:
        _fail(error)
    click.echo((out / "score.json").read_text() if as_data else as_text(score), nl=not as_data)


def _abilities() -> "list[Ability]":
    """Try what this machine can do."""
    from .machine import look
    from .namespaces import LabError

    try:
        return look()
    except LabError as error:
        _fail(error)


def _impossible() -> list[str]:
    """List the faults and the traffic that this machine can't do."""
    from . import machine

    abilities = _abilities()
    able = {*machine.able_kinds(abilities), *machine.able_traffic(abilities)}
    return _less(KINDS + TRAFFIC, able)


def _read(path: Path) -> "Plan":
    """Read a plan, and refuse it if it can't be performed, here or at all."""
    from .faults import check_together
    from .namespaces import LabError
    from .plan import read

    plan = read(path)
    if lacking := sorted({*plan.kinds, *plan.traffic}.intersection(_impossible())):
        raise PlanError(
            f"{path}: this machine can't do {', '.join(lacking)}; anchorwatch lab check says why"
        )
    try:
        for run in plan.runs:
            check_together(run)
    except LabError as error:
        raise PlanError(f"{path}: {error}") from error
    return plan


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _fail(error: Exception | str) -> NoReturn:
    click.echo(f"anchorwatch: {error}", err=True)
    sys.exit(1)


def _less(names: Iterable[str], without: Iterable[str]) -> list[str]:
    return [name for name in names if name not in set(without)]
