"""`anchorwatch lab`: plans of what to record.

Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from .plan import Kind, PlanError, Traffic

HOURS = click.FloatRange(0, 10_000)
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
        out.write_text(as_toml(drawn), encoding="utf-8")
    click.echo(as_text(drawn), err=True)
    if chosen["fault_hours"] and (few := gaps(drawn, wanted)):
        click.echo(f"too short to cover every fault: {', '.join(few)}", err=True)


def _less(names: Iterable[str], without: Iterable[str]) -> list[str]:
    return [name for name in names if name not in set(without)]
