"""The rules for Prometheus and their tests, read: what fires when, and what it says then."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = FOLDER / "anchorwatch.rules.yml"
GOLDEN = ROOT / "tests" / "detector" / "golden"

# A metric of the daemon's own, and not a part of what a rule records.
METRIC = re.compile(r"(?<![\w:])anchorwatch_[a-z0-9_]+(?![\w:])")
RECORDED = re.compile(r"\b\w+:anchorwatch_[a-z0-9_]+:\w+|\banchorwatch:\w+:\w+")
SELECTOR = re.compile(r"(?<![\w:])(anchorwatch_[a-z0-9_]+)\{([^}]*)\}")


@dataclass(frozen=True)
class Alert:
    """An alerting rule as it is written."""

    name: str
    rule: Mapping[str, Any]

    @property
    def words(self) -> str:
        """Its name as a heading has it, and an address: `link-blocked`."""
        return "-".join(re.findall(r"[A-Z][a-z]*", self.name.removeprefix("Anchorwatch"))).lower()


@dataclass(frozen=True)
class Case:
    """One alert at one time of one of promtool's tests."""

    alert: str
    series: tuple[str, ...]  # that there were
    expected: tuple[Mapping[str, Any], ...]  # what fires


def _rules(key: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if key in rule]


ALERTS = [Alert(rule["alert"], rule) for rule in _rules("alert")]
RECORDS = {rule["record"]: rule["expr"] for rule in _rules("record")}
TESTS = sorted((FOLDER / "tests").glob("*.test.yml"))


@cache
def cases() -> list[Case]:
    """Give all cases of all of promtool's tests."""
    return [
        Case(
            case["alertname"],
            tuple(series["series"] for series in test["input_series"]),
            tuple(case["exp_alerts"]),
        )
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
    ]


def exported() -> dict[str, set[str]]:
    """Give the labels of each metric that the daemon exports."""
    labels: dict[str, set[str]] = {}
    for line in (GOLDEN / "metrics.txt").read_text().splitlines():
        if found := re.match(r"(anchorwatch_\w+)(?:\{(.*)\})?$", line):
            name, written = found.groups()
            labels.setdefault(name, set()).update(re.findall(r"(\w+)=\"", written or ""))
    for line in (GOLDEN / "figures.txt").read_text().splitlines():
        name, _, names, _ = line.split(" ", 3)
        labels[name] = set() if names == "-" else set(names.split(","))
    return labels
