"""Settings: one frozen tree, read once, strict about names.

What belongs to the machine is here; what belongs to the model is in the bundle.
A setting's default is written once, in its class.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

PREFIX = "ANCHORWATCH__"  # two underscores: Kubernetes sets ANCHORWATCH_PORT beside a Service

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
# The upper bounds refuse `inf`, which has no number of milliseconds.
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Above0 = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Timeout = Annotated[float, msgspec.Meta(ge=1, le=86_400)]  # seconds


class ConfigError(ValueError):
    """The settings can't be used; the message says which one and why."""


class Kafka(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where windows come from and verdicts go to."""

    bootstrap: str = "127.0.0.1:9092"  # host:port, several with commas
    group: str = "anchorwatch"  # daemons that share it share the links
    windows: str = "anchorwatch.windows"  # topic read
    verdicts: str = "anchorwatch.verdicts"  # topic written
    # "one": a message a verdict, keyed by link. "many": a record with a list of windows is
    # answered by one with a list of verdicts, under its own key; much faster for long lists.
    verdicts_a_message: Literal["one", "many"] = "one"
    events: str = "anchorwatch.events"  # topic written, one message a change of state
    dead_letters: str = "anchorwatch.dead-letters"  # topic written, what could not be used
    session_seconds: Timeout = 45.0  # then a lost daemon's links move
    delivery_seconds: Timeout = 30.0  # then a delivery is tried anew


class Captures(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which captures are replayed, and how, when `source = "captures"`."""

    paths: tuple[str, ...] = ()  # files or folders; none = the capture that ships
    links: tuple[str, ...] = ("*",)  # patterns of the links to take
    hop_seconds: Above0 = 1.0  # from one window of a link to its next
    speed: Above0 = 1.0  # times life


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many windows are embedded at once."""

    windows: Positive = 1024  # a batch is done when it has as many
    wait_seconds: Seconds = 0.01  # or when its first record has waited as long


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a link's state changes: *agree* of its last *of* windows must say so."""

    agree: Positive = 3
    of: Positive = 5
    restart_seconds: Seconds = 60.0  # a step back in a link's time by more is a clock set back
    forget_seconds: Above0 = 3600.0  # a link of which nothing came for as long is dropped


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What embeds."""

    name: Literal["auto", "onnxruntime", "keras"] = "auto"  # auto: keras where there is a GPU
    threads: Annotated[int, msgspec.Meta(ge=0)] = (
        0  # that embed with onnxruntime; 0 = one for each core
    )


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where /metrics, /healthz and /readyz are served. Port 0 lets the system choose."""

    host: str = "127.0.0.1"
    port: Port = 9469
    max_links: Positive = 10_000  # links with a series of their own
    stalled_seconds: Above0 = 60.0  # /healthz fails when no step was finished for as long


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of the daemon."""

    bundle: str
    source: Literal["kafka", "captures"] = "kafka"
    sinks: tuple[Literal["kafka", "terminal"], ...] = ("kafka",)
    kafka: Kafka = Kafka()
    captures: Captures = Captures()
    batch: Batch = Batch()
    state: State = State()
    engine: Engine = Engine()
    http: Http = Http()
    log: Log = Log()


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the file, lay the environment over it, and check the result.

    `ANCHORWATCH__KAFKA__GROUP=night` overrides `group` in the `[kafka]` table.

    Raises:
        ConfigError: if the file can't be read, or a setting is unknown or unusable.

    >>> load(None, {"ANCHORWATCH__BUNDLE": "b", "ANCHORWATCH__KAFKA__GROUP": "night"}).kafka.group
    'night'
    >>> load(None, {"ANCHORWATCH__BUNDLE": "b", "ANCHORWATCH__HTTP__PORT": "99999"})
    Traceback (most recent call last):
        ...
    detector.config.ConfigError: Expected `int` <= 65535 - at `$.http.port`
    """
    tree: dict[str, Any] = _read(path) if path else {}
    for name, value in environ.items():
        if name.startswith(PREFIX):
            _lay(tree, name, value)
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{f'{path}: ' if path else ''}{error}") from error
    _agree(settings)
    return settings


def _agree(settings: Settings) -> None:
    """Refuse settings that can't hold together."""
    state = settings.state
    if not state.of < 2 * state.agree <= 2 * state.of:
        raise ConfigError(
            f"[state] agree = {state.agree} of = {state.of}: agree must be more than half of `of`"
        )
    if not settings.sinks:
        raise ConfigError("sinks: name at least one of kafka, terminal")


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def _lay(tree: dict[str, Any], name: str, value: str) -> None:
    *tables, last = name.removeprefix(PREFIX).lower().split("__")
    for table in tables:
        tree = tree.setdefault(table, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{name}: {table!r} is not a table")
    # Lists are written as `a,b` in the environment; nothing at all is an empty list.
    is_list = last in ("sinks", "paths", "links")
    tree[last] = [part for part in value.split(",") if part] if is_list else value
