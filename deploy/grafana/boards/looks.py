"""Looks: what has which colour, everywhere. A state is always said in words too.

Labels that somebody enrolled aren't known here; Grafana gives them a colour by their name.
"""

from collections.abc import Mapping
from typing import Any

GOOD, ODD, BAD, CALM = "#56A64B", "#FF9830", "#E02F44", "#8E8E8E"

STATES = {
    "normal": GOOD,
    "blocked": BAD,
    "capacity-limited": ODD,
    "unknown": "#A352CC",
    "silent": "#3274D9",
    "telemetry-lost": "#1F60C4",
    "unsettled": CALM,
}
SEVERITIES = {"critical": BAD, "warning": ODD, "info": CALM}  # of alerts

Json = dict[str, Any]


def fixed(colour: str) -> Json:
    """Give the setting of a field that has one colour."""
    return {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}


def thresholds(*steps: tuple[float, str], base: str = GOOD) -> Json:
    """Give thresholds: *base* below the first, then each colour from its value on."""
    first: Json = {"color": base, "value": None}
    return {
        "mode": "absolute",
        "steps": [first, *({"color": colour, "value": value} for value, colour in steps)],
    }


def override(pattern: str, *properties: Json) -> Json:
    """Give properties to the fields whose name fits a regular expression."""
    return {
        "matcher": {"id": "byRegexp", "options": f"/{pattern}/"},
        "properties": list(properties),
    }


def named(name: str, *properties: Json) -> Json:
    """Give properties to the field of a name."""
    return {"matcher": {"id": "byName", "options": name}, "properties": list(properties)}


def coloured_states(before: str = "", after: str = "") -> list[Json]:
    """Give every state its colour, where a field's name is the state with something around it."""
    return [
        override(f"^{before}{state}{after}$", fixed(colour)) for state, colour in STATES.items()
    ]


def counted_states() -> list[Json]:
    """Give every state its colour where links are counted: none is nothing to look at."""
    return [
        override(
            f"^{state}$",
            {"id": "color", "value": {"mode": "thresholds"}},
            {"id": "thresholds", "value": thresholds((1, colour), base="transparent")},
        )
        for state, colour in STATES.items()
    ]


def says(**texts: tuple[str, str]) -> list[Json]:
    """Say words instead of numbers: `says(_0=("no", BAD))`; `_minus1` is -1."""
    options = {
        key.removeprefix("_").replace("minus", "-"): {"text": text, "color": colour, "index": at}
        for at, (key, (text, colour)) in enumerate(texts.items())
    }
    return [{"type": "value", "options": options}]


def from_on(least: float, text: str, colour: str) -> Json:
    """Say words instead of every number from *least* on."""
    result = {"text": text, "color": colour, "index": 9}
    return {"type": "range", "options": {"from": least, "to": None, "result": result}}


def words(colours: Mapping[str, str]) -> list[Json]:
    """Colour words, such as states in a table."""
    options = {
        word: {"color": colour, "text": word, "index": at}
        for at, (word, colour) in enumerate(colours.items())
    }
    return [{"type": "value", "options": options}]


def points_by_state(before: str, size: int) -> list[Json]:
    """Colour points by state, and draw anchors as squares."""
    value = "Value #B "
    square: list[Json] = [
        {"id": "custom.pointShape", "value": "square"},
        {"id": "custom.pointSize.fixed", "value": 12},
    ]
    return [
        *coloured_states(before=value + before),
        *coloured_states(before=f"{value}anchor: "),
        override(f"^{value}anchor: ", *square),
        override(f"^{value}{before}(?!anchor)", {"id": "custom.pointSize.fixed", "value": size}),
    ]
