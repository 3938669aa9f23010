"""`anchorwatch top`: arguments in, pictures out."""

import signal
import sys
from contextlib import suppress

import click

from detector.config import Http

HTTP = Http()  # where the default comes from


@click.command()
@click.option("--url", default=f"http://{HTTP.host}:{HTTP.port}", help="Where the daemon answers")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    help="Seconds from one picture to the next",
)
@click.option(
    "--state", "states", multiple=True, help="Only links in this state; can be given several times"
)
@click.option(
    "--links",
    "names",
    multiple=True,
    metavar="PATTERN",
    help="Only links so named; can be given several times",
)
@click.option("--once", is_flag=True, help="Show one picture and end")
@click.option("--json", "as_json", is_flag=True, help="Print the status as the daemon gives it")
def top(
    url: str,
    every: float,
    states: tuple[str, ...],
    names: tuple[str, ...],
    once: bool,
    as_json: bool,
) -> None:
    """Show a running daemon: its links, the worst first, and how it is itself.

    Ends when interrupted; where there is no terminal, after one picture.
    """
    from .asking import NoStatusError, page_at

    try:
        page = page_at(url)
    except ValueError as error:
        raise click.BadParameter(f"{url!r}: {error}", param_hint="--url") from error
    # A terminal has to be given back, whoever ends this.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            if as_json:
                _print_document(page, states, names)
            else:
                from .watching import show  # rich

                show(page, states, names, None if once else every)
    except NoStatusError as error:
        click.echo(f"anchorwatch: {error}", err=True)
        sys.exit(1)


def _print_document(page: str, states: tuple[str, ...], names: tuple[str, ...]) -> None:
    from detector.board import MOST_LINKS, Wanted

    from .asking import fetch, read

    wanted = Wanted(MOST_LINKS, states, names)
    document = fetch(page, wanted)
    click.echo(document)
    if why := wanted.misspelt(read(document)):
        click.echo(f"anchorwatch: {why}", err=True)
