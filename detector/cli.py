"""`anchorwatchd`: settings in, a running service out. Only this file sees all settings."""

import logging
import os
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import click

from . import __version__
from .config import ConfigError, Settings
from .loading import PREFIX, load
from .signals import reload_on_hangup, stop_on_signals

log = logging.getLogger(__name__)

EX_CONFIG = 78  # as in sysexits.h; the systemd unit does not restart on it


def _print_defaults(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from .defaults import BUNDLES, settings_file

        click.echo(settings_file(BUNDLES), nl=False)
        context.exit()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file (TOML); ANCHORWATCH__TABLE__SETTING in the environment overrides it",
)
@click.option("--check", is_flag=True, help="Check settings and bundle, then end")
@click.option(
    "--defaults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_defaults,
    help="Print a settings file with every setting at its default, then end",
)
@click.option(
    "--healthy",
    "asked",
    flag_value="/healthz",
    help="Ask the daemon that runs with these settings whether it gets on, then end: 0 yes, 1 no",
)
@click.option(
    "--ready",
    "asked",
    flag_value="/readyz",
    help="Ask it whether it has something to read from, then end: 0 yes, 1 no",
)
@click.version_option(__version__, prog_name="anchorwatchd")
def main(config: Path | None, check: bool, asked: str | None) -> None:
    """Watch links: windows from Kafka in, verdicts and metrics out.

    SIGHUP has it load its bundle anew; one of a bundle store it follows by itself.
    Ends with 0 when told to stop, 1 on failure, 2 on wrong usage, 78 when the settings or the
    bundle can't be used.
    """
    if asked:
        if check:
            raise click.UsageError("--check looks at settings, --healthy and --ready ask a daemon")
        sys.exit(ask_another(config, asked))
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
    from .credentials import CredentialsError
    from .metrics import Metrics
    from .oncall.opening import open_model
    from .supervisor import Supervisor
    from .web import WebError

    begun = time.monotonic()
    try:
        check_login(settings, is_dated=check)
        model = open_model(settings)
        if check:
            facts = " ".join(f"{name} {fact}" for name, fact in model.facts.items())
            click.echo(f"settings and bundle are usable: {facts}")
            return 0
        metrics = Metrics(model.bundle.manifest.labels, settings.http.max_links)
        metrics.started(model.facts)
        board = open_board(model, metrics)
        web = open_web(settings, metrics, board)
        with closing(web):
            supervisor = Supervisor.of(settings)
            service = assemble(
                settings, model, metrics, stopping, web.url, board, hangup, supervisor
            )
            web.start()
            took = round(time.monotonic() - begun, 2)
            log.info("started", extra=model.facts | {"url": web.url, "seconds": took})
            service.run()
    except (BundleError, ConfigError, CredentialsError) as error:
        _refuse(error)
    except WebError as error:
        click.echo(f"anchorwatchd: {error}", err=True)
        return 1
    log.info("stopped")
    return 0


def check_login(settings: Settings, *, is_dated: bool) -> None:
    """Refuse passwords and certificates that can't be read, and if asked those that ran out."""
    from . import credentials

    if settings.has_broker:
        credentials.check(settings.kafka)
        if is_dated:  # else the broker decides, and it may be renewed in a moment
            credentials.check_dates(settings.kafka.tls)


def ask_another(config: Path | None, path: str) -> int:
    """Print what the daemon that runs with these settings says at *path*; give the exit code."""
    from .asking import UnwellError, ask

    try:
        # Who asks need not know which bundle is judged by.
        http = load(config, {f"{PREFIX}BUNDLE": "", **os.environ}).http
        click.echo(ask(http, path))
    except ConfigError as error:
        _refuse(error)
    except UnwellError as error:
        click.echo(f"anchorwatchd: {error}", err=True)
        return 1
    return 0


def _refuse(error: Exception) -> NoReturn:
    click.echo(f"anchorwatchd: {error}", err=True)
    sys.exit(EX_CONFIG)
