"""A pin: a setting as people write it, and back."""

from dataclasses import fields
from typing import Any

from training.settings import Settings

SETTINGS = {one.name: one for one in fields(Settings) if one.metadata}
ELSEWHERE = {"seed": "--seed"}  # settings that are options of the search itself
YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


class SpaceError(ValueError):
    """A setting can't be pinned so; the message says which one and why."""


def parse(name: str, text: str) -> Any:
    """Give a setting's value as `Settings` takes it.

    >>> parse("units", "48,48"), parse("kinds", "yes"), parse("drop", "0.3")
    ((48, 48), True, 0.3)

    Raises:
        SpaceError: if it is not one.
    """
    if name in ELSEWHERE:
        raise SpaceError(f"{name!r} is chosen with {ELSEWHERE[name]}")
    if name not in SETTINGS:
        raise SpaceError(f"there is no setting {name!r}")
    default = SETTINGS[name].default
    if not isinstance(default, tuple):
        return _one(name, type(default), text)
    kind = type(default[0]) if default else str
    return tuple(_one(name, kind, part) for part in text.split(",") if part)


def as_text(value: Any) -> str:
    """Give a setting's value as `parse` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(as_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def pinned(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE.

    Raises:
        SpaceError: if there is no such setting, or it can't be that.
    """
    name, sign, value = text.partition("=")
    if not sign:
        raise SpaceError(f"{text!r}: give NAME=VALUE")
    name = name.strip().replace("-", "_")
    return name, parse(name, value.strip())


def _one(name: str, kind: type, text: str) -> Any:
    facts = SETTINGS[name].metadata
    if kind is bool:
        if text.lower() not in YES + NO:
            raise SpaceError(f"{name}={text!r}: say yes or no")
        return text.lower() in YES
    try:
        value = kind(text)
    except ValueError as error:
        raise SpaceError(f"{name}={text!r} is not a number of the right sort") from error
    least, most = facts["least"], facts["most"]
    if (least is not None and not value >= least) or (most is not None and not value <= most):
        raise SpaceError(f"{name}={text!r} is not from {least:g} to {most or float('inf'):g}")
    if facts["choices"] and value not in facts["choices"]:
        raise SpaceError(f"{name}={text!r} is not one of {', '.join(facts['choices'])}")
    return value
