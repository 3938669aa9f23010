"""The runbooks: an entry for each alert, with queries and commands that work."""

import re
import shlex
import shutil
import subprocess

import click
import pytest
import yaml

from detector.cli import main as anchorwatchd
from tests.deploy.alerts import ALERTS, METRIC, RECORDED, RECORDS, ROOT, exported
from training.cli import main as anchorwatch

TEXT = (ROOT / "docs" / "runbooks.md").read_text()
ENTRIES = {
    heading.lower().replace(" ", "-"): entry
    for heading, entry in re.findall(r"^### (.+)\n((?:(?!^#).*\n)*)", TEXT, re.MULTILINE)
}
QUERIES = re.findall(r"```promql\n(.+?)\n```", TEXT, re.DOTALL)
COMMANDS = sorted({*re.findall(r"`(anchorwatchd? [^`]+)`", TEXT)})
# Each says all of these, in this order; one that is as another says so in one breath.
PARTS = ("For the network", "Ends", "Silence")


def test_each_alert_has_an_entry_and_each_entry_an_alert():
    """Somebody comes here from a page at night, by the link in it."""
    assert ENTRIES.keys() == {alert.words for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_entry_says_which_alert_how_urgent_what_it_means_and_when_it_ends(alert):
    """What is asked at night is always the same."""
    entry = ENTRIES[alert.words]

    severity = alert.rule["labels"]["severity"]
    assert entry.lstrip().startswith(f"`{alert.name}`, {severity}. ")
    found = [entry.find(f"- **{part}") for part in PARTS]
    assert -1 not in found
    assert found == sorted(found)
    if "as Dead letters" not in entry:
        assert all(f"- **{part}" in entry for part in ("Look:", "Causes, likeliest first:", "Do:"))


def test_the_queries_parse(tmp_path):
    """A query that was mistyped is found out at night otherwise."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian's package `prometheus` has it)")
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(QUERIES)]
    (tmp_path / "queries.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]})
    )

    done = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "queries.yml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert len(QUERIES) > 5
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_runbooks_name_metrics_and_recorded_series_that_there_are():
    """A metric that was renamed would be looked for in vain."""
    assert set(METRIC.findall(TEXT)) <= exported().keys()
    assert set(RECORDED.findall(TEXT)) <= RECORDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_are_the_programs_own(command):
    """A command with an option that isn't there costs time when there is none."""
    program, *words = shlex.split(command)
    here = {"anchorwatch": anchorwatch, "anchorwatchd": anchorwatchd}[program]
    context = click.Context(here)
    while isinstance(here, click.Group):
        here = here.get_command(context, words.pop(0))
        assert here is not None
        context = click.Context(here, parent=context)

    # Options and arguments as they would be; what they name needn't be here.
    options = {name for one in here.params for name in (*one.opts, *one.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}

    assert given - {"--help"} <= options


@pytest.mark.parametrize("page", ["judging.md", "learning.md", "runbooks.md"])
def test_links_to_entries_and_pages_lead_there(page):
    """The texts that were there are here now."""
    text = (ROOT / "docs" / page).read_text()

    for name, anchor in re.findall(r"\]\((runbooks\.md)?#([\w-]+)\)", text):
        assert anchor in ENTRIES, name
    for name in re.findall(r"`(docs/[\w-]+\.md|deploy/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name
