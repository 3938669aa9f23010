"""Units of systemd as they are read: sections, and of each setting its values in their order."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
SECONDS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}

Unit = dict[str, dict[str, list[str]]]


def read(name: str) -> Unit:
    """Read a unit of `deploy/systemd`."""
    text = (FOLDER / name).read_text().replace("\\\n", " ")
    unit: Unit = {}
    section = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("["):
            section = line.strip("[]")
        elif not line.startswith("#"):
            key, _, value = line.partition("=")
            unit.setdefault(section, {}).setdefault(key, []).append(value)
    return unit


def seconds(span: str) -> float:
    """Tell how long a span of time is, as systemd writes it.

    >>> seconds("2min"), seconds("45"), seconds("1h 30s")
    (120.0, 45.0, 3630.0)
    """
    return sum(float(n) * SECONDS[unit] for n, unit in re.findall(r"(\d+) ?([a-z]*)", span))
