"""The dashboards as Grafana reads them: panels, queries, variables, links."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.deploy.alerts import RECORDS, ROOT, exported

GRAFANA = ROOT / "deploy" / "grafana"

Json = dict[str, Any]
NAME = re.compile(r"[a-zA-Z_:][\w:]*")
# What Prometheus itself makes, and what every Python daemon on Linux exports.
OTHERS = {
    "up": {"job", "instance"},
    "ALERTS": {"alertname", "alertstate", "severity", "job", "instance", "source", "link"},
    "ALERTS_FOR_STATE": {"alertname", "severity", "job", "instance", "source", "link"},
    "process_cpu_seconds_total": {"job", "instance"},
    "process_resident_memory_bytes": {"job", "instance"},
    "process_start_time_seconds": {"job", "instance"},
}


@dataclass(frozen=True)
class Query:
    """One query of one panel."""

    board: str  # uid of the dashboard
    panel: Json
    expr: str
    legend: str
    is_table: bool
    is_range: bool

    @property
    def where(self) -> str:
        """Say which it is, to a person."""
        return f"{self.board}: {self.panel['title']}: {self.expr}"

    @property
    def unit(self) -> str:
        """What its numbers are, in Grafana's words."""
        return str(self.panel["fieldConfig"]["defaults"]["unit"])


@cache
def boards() -> tuple[Json, ...]:
    """Read all dashboards that ship."""
    files = sorted((GRAFANA / "dashboards").glob("*.json"))
    return tuple(json.loads(file.read_text(encoding="utf-8")) for file in files)


def panels(board: Json) -> list[Json]:
    """Give the panels that show something: not the headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """Give every query of every panel."""
    for board in boards():
        for panel in panels(board):
            for target in panel.get("targets", ()):
                yield Query(
                    board["uid"],
                    panel,
                    target["expr"],
                    target["legendFormat"],
                    target.get("format") == "table",
                    target["range"],
                )


def variables(board: Json) -> dict[str, Json]:
    """Give a dashboard's variables by name."""
    return {one["name"]: one for one in board["templating"]["list"]}


def used(text: str) -> set[str]:
    """Name the variables that a text uses; `$1` is of a regular expression."""
    found = re.findall(r"\$(?:\{(\w+)(?:[:.\[][^}]*)?\}|([a-zA-Z_]\w*))", text)
    return {one or other for one, other in found}


def filled(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of variables."""
    for name, value in sorted(values.items(), key=lambda item: -len(item[0])):
        text = value.join(re.split(rf"\${name}\b|\${{{name}}}", text))
    return text


@cache
def labels_of() -> Mapping[str, frozenset[str]]:
    """Give the labels that each metric has, scraped ones included, by its name."""
    scraped = {"job", "instance"}
    known = {name: labels | scraped for name, labels in exported().items()} | OTHERS
    for record in RECORDS:  # named after the labels that are left
        known[record] = {*record.partition(":")[0].split("_")} - {"anchorwatch"}
    return {name: frozenset(labels) for name, labels in known.items()}


def metrics_in(expr: str) -> set[str]:
    """Name the metrics that an expression asks for."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expr)  # what is quoted names nothing
    bare = re.sub(r"\{[^}]*\}", "{}", bare)
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\[[^\]]*\]", " ", bare)
    words = re.finditer(rf"(?<![\w:$]){NAME.pattern}(?![\w:]|\s*\()", bare)
    plain = {"and", "or", "unless", "bool", "group_left", "group_right", "by", "on", "without"}
    return {word.group() for word in words} - plain - {"ignoring", "offset", "e", "Inf", "NaN"}
