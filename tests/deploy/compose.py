"""deploy/compose.yaml as compose reads it: names from .env put in, anchors of YAML resolved.

There is no engine here that would read it, so this knows what the file uses of its format.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
SECONDS = {"s": 1, "m": 60, "h": 3600}


def versions() -> dict[str, str]:
    """Give what deploy/.env names."""
    lines = (DEPLOY / ".env").read_text().splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name: value for name, _, value in pairs}


def seconds(text: str) -> int:
    """Give a duration as compose writes it, such as 1m30s."""
    return sum(int(count) * SECONDS[unit] for count, unit in re.findall(r"(\d+)([smh])", text))


@dataclass(frozen=True)
class Service:
    """One service: what the file says of it, and where its volumes lie on this machine."""

    name: str
    says: Mapping[str, Any]

    @property
    def environ(self) -> dict[str, str]:
        """Give what it adds to the environment of its image."""
        return dict(self.says.get("environment", {}))

    @property
    def command(self) -> list[str]:
        """Give its command line without its entry point."""
        return list(self.says.get("command", []))

    @property
    def mounts(self) -> dict[str, tuple[str, bool]]:
        """Give, by the place in the container, what is mounted, and whether for reading only."""
        found = {}
        for one in self.says.get("volumes", []):
            source, place, *how = one.split(":")
            found[place] = (source, how == ["ro"])
        return found

    @property
    def folders(self) -> dict[str, Path]:
        """Give, by the place in the container, the folders of the checkout that it sees."""
        return {
            place: (DEPLOY / source).resolve()
            for place, (source, _) in self.mounts.items()
            if source.startswith(".")
        }

    @property
    def is_ours(self) -> bool:
        """Tell one that is built here from one that is fetched."""
        return self.says["image"].startswith("anchorwatch")


def services() -> dict[str, Service]:
    """Give the services by their names."""
    text = (DEPLOY / "compose.yaml").read_text()
    named = versions()
    filled = re.sub(r"(?<!\$)\$\{(\w+)\}", lambda found: named[found[1]], text)
    said = yaml.safe_load(filled)["services"]
    return {name: Service(name, says) for name, says in said.items()}


def whole() -> dict[str, Any]:
    """Give the file as it is written, names not put in."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found
