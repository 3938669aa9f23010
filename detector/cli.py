"""`anchorwatchd`: settings in, a running service out. Only this file sees all settings."""

import logging
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import click

from . import __version__
from .config import ConfigError, Settings, load
from .signals import reload_on_hangup, stop_on_signals

log = logging.getLogger(__name__)

EX_CONFIG = 78  # as in sysexits.h; the systemd unit does not restart on it


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file (TOML); ANCHORWATCH__TABLE__SETTING in the environment overrides it",
)
@click.option("--check", is_flag=True, help="Check settings and bundle, then end")
@click.version_option(__version__, prog_name="anchorwatchd")
def main(config: Path | None, check: bool) -> None:
    """Watch links: windows from Kafka in, verdicts and metrics out.

    SIGHUP has it load its bundle anew; one of a bundle store it follows by itself.
    Ends with 0 when told to stop, 1 on failure, 2 on wrong usage, 78 when the settings or the
    bundle can't be used.
    """
    try:
        settings = load(config)
    except ConfigError as error:
        _refuse(error)
    from .logs import set_up

    set_up(settings.log.level)
    sys.exit(run(settings, check=check))


def run(settings: Settings, *, check: bool = False) -> int:
    """Build the service that *settings* describe and run it to its end; give the exit code."""
    # First of all: the imports take a while, and a SIGHUP would end the process until then.
    stopping, hangup = threading.Event(), threading.Event()
    stop_on_signals(stopping)
    reload_on_hangup(hangup)
    from .assembly import assemble, open_board, open_web
    from .bundle import BundleError
    from .metrics import Metrics
    from .oncall.opening import open_model
    from .web import WebError

    begun = time.monotonic()
    try:
        model = open_model(settings)
        if check:
            facts = " ".join(f"{name} {fact}" for name, fact in model.facts.items())
            click.echo(f"settings and bundle are usable: {facts}")
            return 0
        metrics = Metrics(model.bundle.manifest.labels, settings.http.max_links)
        metrics.started(model.facts)
        board = open_board(model)
        web = open_web(settings, metrics, board)
        with closing(web):
            service = assemble(settings, model, metrics, stopping, web.url, board, hangup)
            web.start()
            took = round(time.monotonic() - begun, 2)
            log.info("started", extra=model.facts | {"url": web.url, "seconds": took})
            service.run()
    except (BundleError, ConfigError) as error:
        _refuse(error)
    except WebError as error:
        click.echo(f"anchorwatchd: {error}", err=True)
        return 1
    log.info("stopped")
    return 0


def _refuse(error: Exception) -> NoReturn:
    click.echo(f"anchorwatchd: {error}", err=True)
    sys.exit(EX_CONFIG)
