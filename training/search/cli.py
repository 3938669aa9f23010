"""`anchorwatch search`: reads its arguments, calls one function, and prints.

Heavy libraries are imported inside the command, so that `--help` answers at once.
"""

import json
import logging
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import click

from detector.signals import stop_on_signals

COUNT = click.IntRange(1)
PATHS = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("captures", nargs=-1, required=True, type=PATHS)
@click.option(
    "--work",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the search; one that has been begun there goes on",
)
@click.option("--candidates", type=COUNT, default=40, help="Settings to rank, the default first")
@click.option(
    "--refine",
    type=click.IntRange(0),
    default=5,
    help="Of the best, to train at full length, the default besides",
)
@click.option("--seeds", type=COUNT, default=1, help="Full trainings of each, on each fold")
@click.option(
    "--seed", type=click.IntRange(0, 2**31), default=0, help="Same seed, same candidates"
)
@click.option(
    "--folds", type=click.IntRange(2, 20), default=3, help="Folds to deal the runs to, to judge by"
)
@click.option(
    "--mix",
    "mixes",
    multiple=True,
    metavar="PATTERN[,PATTERN...]",
    help="Runs to leave out as a whole in a fold of their own; can be given several times",
)
@click.option(
    "--fix",
    "pins",
    multiple=True,
    metavar="NAME=VALUE",
    help="Training setting to pin, in the space or not; can be given several times",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="Begin no candidate after so long; none given = no limit",
)
@click.option("--batches", type=COUNT, default=160, help="Batches that ranking learns from")
@click.option(
    "--windows", type=click.IntRange(100), default=12_000, help="Windows to keep to learn from"
)
@click.option(
    "--frozen-front",
    is_flag=True,
    help="Train an LSTM once for all candidates that differ only behind it: quicker, rougher",
)
@click.option("--json", "as_data", is_flag=True, help="Print JSON")
def search(
    captures: tuple[Path, ...], work: Path, pins: tuple[str, ...], as_data: bool, **chosen: Any
) -> None:
    """Find the training settings that suit CAPTURES (files or folders) best.

    Ranks many by brief trainings and trains the best few at full length. May be stopped at any
    time; the same command goes on.
    """
    try:
        from detector.capture import CaptureError
        from training.data import UnmatchedError

        from .journal import JournalError
        from .pin import SpaceError
        from .report import as_json
        from .search import Plan
        from .search import search as run  # TensorFlow takes seconds to import
        from .space import Space
        from .table import as_table
    except ModuleNotFoundError as error:
        _fail(f"searching needs {error.name}: pip install 'anchorwatch[train]'")
    # One process that builds dozens of networks: TensorFlow takes that for a mistake.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    stopping = threading.Event()
    stop_on_signals(stopping)
    try:
        space = Space.of(pins)
        found = run(captures, work, space, Plan(**chosen), stopping, _tell)
    except (SpaceError, UnmatchedError) as error:
        raise click.UsageError(f"--fix: {error}") from error
    except (CaptureError, JournalError, OSError) as error:
        _fail(error)
    click.echo(json.dumps(as_json(found), indent=2) if as_data else as_table(found))
    if not found.finished:
        _tell("stopped; the same command goes on")


def _tell(what: str) -> None:
    click.echo(what, err=True)


def _fail(error: Exception | str) -> NoReturn:
    click.echo(f"anchorwatch: {error}", err=True)
    sys.exit(1)
