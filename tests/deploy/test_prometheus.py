"""The rules for Prometheus: they parse, fire when they should, and name what there is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "deploy" / "prometheus"
GOLDEN = Path(__file__).parents[1] / "detector" / "golden"
DOCS = RULES.parents[1] / "docs"


def promtool(*arguments):
    """Run promtool in the folder of the rules."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian's package `prometheus` has it)")
    return subprocess.run(
        ["promtool", *arguments], cwd=RULES, capture_output=True, text=True, check=False
    )


def test_the_rules_parse():
    """A rule that Prometheus refuses takes all others down with it."""
    done = promtool("check", "rules", "anchorwatch.rules.yml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_when_it_should_and_not_before():
    """An alert that nobody saw firing will not fire."""
    done = promtool("test", "rules", "anchorwatch.rules.test.yml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_name_metrics_that_the_daemon_exports():
    """A rule about a metric that was renamed is silent for ever."""
    text = (RULES / "anchorwatch.rules.yml").read_text()

    named = set(re.findall(r"\banchorwatch_[a-z_]+", text))

    assert named
    exported = (GOLDEN / "metrics.txt").read_text() + (GOLDEN / "figures.txt").read_text()
    assert named <= set(re.findall(r"^(anchorwatch_[a-z_]+)", exported, re.MULTILINE))


def test_every_alert_has_a_test_and_a_place_in_the_docs():
    """Who is woken wants to know what to do."""
    text = (RULES / "anchorwatch.rules.yml").read_text()
    tested = (RULES / "anchorwatch.rules.test.yml").read_text()

    alerts = re.findall(r"alert: (\w+)", text)
    runbooks = re.findall(r"runbook: docs/([\w.]+)#([\w-]+)", text)

    assert all(f"alertname: {alert}" in tested for alert in alerts)
    assert len(runbooks) == len(alerts)
    for page, heading in runbooks:
        headings = re.findall(r"^#+ (.+)$", (DOCS / page).read_text(), re.MULTILINE)
        assert heading in {each.lower().replace(" ", "-") for each in headings}
