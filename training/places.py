"""Places: where a running daemon has its bundles, captures and anchors, for tools beside it.

Whoever gives the daemon's settings file says all at once; each place can be given by itself.
"""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from detector.broker import usable
from detector.config import ConfigError, Kafka, Settings, State
from detector.loading import PREFIX, load

from .failing import EX_CONFIG, fail

BROKER = f"{PREFIX}KAFKA__BOOTSTRAP"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where things are; what nobody said is empty."""

    bundles: Path | None  # a bundle store, or a bundle
    store: tuple[Path, ...]  # capture stores, or folders of them
    kafka: Kafka | None  # None: there is no broker
    state: State  # by which rule states change
    budget_a_week: float  # of false alarms by the unknown, a link

    @property
    def bundle_store(self) -> Path:
        """The bundle store, or a usage error."""
        if self.bundles is None:
            raise click.UsageError("say where the bundle store is: --bundles, or --config")
        return self.bundles

    @property
    def stores(self) -> tuple[Path, ...]:
        """The capture stores, or a usage error."""
        if not self.store:
            raise click.UsageError("say where the capture store is: --store, or --config")
        return self.store


OPTIONS = {
    "bundles": click.option(
        "--bundles",
        type=click.Path(path_type=Path),
        help="Bundle store (or a bundle); else the settings' `bundle`",
    ),
    "store": click.option(
        "--store",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        multiple=True,
        help="Capture store, or a folder of several; else the settings' `[store] path`; "
        "can be given several times",
    ),
    "kafka": click.option(
        "--kafka", metavar="HOST:PORT", help="Broker; else the settings' `[kafka] bootstrap`"
    ),
}
CONFIG = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The daemon's settings file; ANCHORWATCH__TABLE__SETTING in the environment overrides it",
)


def with_places(*wanted: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options that say where things are, and `places` as an argument."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def called(*args: Any, config: Path | None, **given: Any) -> Any:
            said = {name: given.pop(name) for name in wanted}
            return command(*args, places=find(config, said), **given)

        made: Callable[..., Any] = CONFIG(called)
        for name in reversed(wanted):
            made = OPTIONS[name](made)
        return made

    return decorate


def find(
    config: Path | None, said: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> Places:
    """Put together what the settings say and what was *said* beside them.

    A command that has no option for the broker has nothing to do with it, nor with its passwords.
    """
    settings = _settings(config, environ)
    has_broker = said.get("kafka") or environ.get(BROKER) or config
    kafka = None
    if "kafka" in said and has_broker and (settings.source == "kafka" or said.get("kafka")):
        bootstrap = said.get("kafka") or settings.kafka.bootstrap
        kafka = _usable(msgspec.structs.replace(settings.kafka, bootstrap=bootstrap), environ)
    bundles = said.get("bundles") or (Path(settings.bundle) if settings.bundle else None)
    store = said.get("store") or _stores(settings, environ)
    return Places(
        bundles=bundles,
        store=tuple(store),
        kafka=kafka,
        state=settings.state,
        budget_a_week=settings.unknown.false_alarms_a_link_week,
    )


def _stores(settings: Settings, environ: Mapping[str, str]) -> tuple[Path, ...]:
    from detector.store.store import store_folder  # pyarrow

    folder = store_folder(settings.store, environ)
    return (folder,) if folder else ()


def _usable(kafka: Kafka, environ: Mapping[str, str]) -> Kafka:
    try:
        return usable(kafka, environ)
    except ConfigError as error:
        fail(error, EX_CONFIG)


def _settings(config: Path | None, environ: Mapping[str, str]) -> Settings:
    bundle = f"{PREFIX}BUNDLE"
    try:
        # Without a file nobody has to say which bundle the daemon would use.
        return load(config, environ if config else {bundle: "", **environ})
    except ConfigError as error:
        fail(error, EX_CONFIG)
