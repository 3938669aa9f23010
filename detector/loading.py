"""Loading: settings from a file and the environment, and what they have to agree on."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from .config import ConfigError, Kafka, Settings
from .credentials import CredentialsError, agree
from .oncall.groups import Groups

LISTS = ("sinks", "captures.paths", "captures.links")  # settings that hold several
PREFIX = "ANCHORWATCH__"  # two underscores: Kubernetes sets ANCHORWATCH_PORT beside a Service
TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")  # what a broker takes for a name
TOPICS = ("windows", "verdicts", "events", "dead_letters", "states", "sightings", "anchors")


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
    _refuse_misspelt(environ)
    laid = [name for name in environ if name.startswith(PREFIX)]
    for name in laid:
        _lay(tree, name, environ[name])
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        said = sorted(name for name in laid if environ[name])  # an empty one says nothing wrong
        over = f", with {', '.join(said)}" if said else ""
        raise ConfigError(f"{f'{path}{over}: ' if path else ''}{error}{_hint(error)}") from error
    _agree(settings)
    return settings


def _hint(error: msgspec.ValidationError) -> str:
    """Say what would be right, where the error itself doesn't."""
    if "field `bundle`" in str(error):
        return "; say it there or in ANCHORWATCH__BUNDLE"
    found = re.search(r"Invalid enum value .* - at `\$\.([a-z_.]+)", str(error))
    if not found:
        return ""
    here: Any = Settings
    for name in found[1].split("."):
        here = {field.name: field.type for field in msgspec.structs.fields(here)}[name]
    return f"; it can be {', '.join(repr(word) for word in _words(here))}"


def _words(kind: Any) -> list[str]:
    """Give the words that a type allows: of `Literal["a", "b"]`, or of a list of those."""
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return [word for word in parts if word]
    return [word for part in parts if part is not ... for word in _words(part)]


def _refuse_misspelt(environ: Mapping[str, str]) -> None:
    """Refuse what looks like a setting and would be passed over."""
    start = PREFIX.rstrip("_") + "_"
    for name in environ:
        if name.startswith(start) and "__" in name and not name.startswith(PREFIX):
            raise ConfigError(f"{name}: write {PREFIX}{name.removeprefix(start)}, with two lines")


def _agree(settings: Settings) -> None:
    """Refuse settings that can't hold together."""
    try:
        Groups(settings.events.group)
    except ValueError as error:
        raise ConfigError(f"[events] {error}") from error
    _check_topics(settings.kafka)
    if not settings.sinks:
        raise ConfigError("sinks: name at least one of kafka, terminal")
    try:
        agree(settings.kafka)
    except CredentialsError as error:
        raise ConfigError(str(error)) from error


def _check_topics(kafka: Kafka) -> None:
    """Refuse what is no topic, and two that are one: who reads what he writes never ends."""
    seen: dict[str, str] = {}
    for name in TOPICS:
        topic = getattr(kafka, name)
        if not TOPIC.fullmatch(topic):
            raise ConfigError(
                f"[kafka] {name}: {topic!r} is no topic's name: letters of English, digits, . _ -"
            )
        if topic in seen:
            raise ConfigError(f"[kafka] {seen[topic]} and {name} are the same topic, {topic!r}")
        seen[topic] = name


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
    is_list = ".".join((*tables, last)) in LISTS
    tree[last] = [part for part in value.split(",") if part] if is_list else value
