"""The tutorial `docs/first-fault.md`, command by command, with a real broker and a Prometheus."""

import json
import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.broker import Broker, needs
from tests.broker.proxy import Proxy, free_port
from tests.daemon import Topics
from tests.docs.following import DOCS, Block, Terminal, blocks_of

ROOT = DOCS.parent
PAGE = "first-fault.md"


@pytest.fixture(scope="module")
def followed(
    proxied: tuple[Broker, Proxy], tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Followed"]:
    """Follow the page up to its last block, and give what was seen."""
    broker, _ = proxied
    needs(broker, "topic-config")
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        pytest.skip("Prometheus is not installed (Debian's package `prometheus`)")
    folder = tmp_path_factory.mktemp("first-fault")
    topics = Topics().create(broker, partitions=2)
    places = {"127.0.0.1:9092": broker.direct}
    places |= {f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in (9469, 9090)}
    copy_checkout(folder, places)
    environ = os.environ | topics.settings
    with Terminal(folder, environ) as terminal:
        yield Followed(terminal, places, topics)


def copy_checkout(folder: Path, places: dict[str, str]) -> None:
    """Make what the page needs of a checkout, with other addresses."""
    (folder / ".venv").symlink_to(Path(sys.prefix))
    (folder / "training").symlink_to(ROOT / "training")
    shutil.copytree(ROOT / "deploy" / "prometheus", folder / "deploy" / "prometheus")
    config = folder / "deploy" / "prometheus" / "prometheus.yml"
    config.write_text(moved(config.read_text(), places))


def moved(text: str, places: dict[str, str]) -> str:
    """Give commands or settings with other addresses than the page has."""
    for ours, theirs in places.items():
        text = text.replace(ours, theirs)
        text = text.replace(f"port = {ours.split(':')[1]}", f"port = {theirs.split(':')[1]}")
    return text


class Followed:
    """What was seen by who followed the page."""

    def __init__(self, terminal: Terminal, places: dict[str, str], topics: Topics) -> None:
        self._terminal, self._places, self._topics = terminal, places, topics
        *first, self.last = blocks_of(PAGE)
        self.done = [self.follow(block) for block in first]
        self.prometheus = f"http://{places['127.0.0.1:9090']}"

    def follow(self, block: Block) -> Block:
        """Run a block on topics that no other test uses."""
        commands = moved(block.commands, self._places)
        commands = re.sub(r"(--kafka \S+ --at)", rf"--topic {self._topics.windows} \1", commands)
        return replace(block, output=self._terminal.run(commands))


def test_what_the_page_shows_is_what_is_seen(followed):
    """A newcomer whose screen says something else stops there, and nobody hears of it."""
    missing = [(block.missing, block.output) for block in followed.done if block.missing]

    assert missing == []


def test_prometheus_has_the_alert_that_grafana_would_show(followed):
    """Grafana lists what this page of Prometheus's API says; no Grafana was there to ask."""
    alerts = ask(f"{followed.prometheus}/api/v1/alerts")["alerts"]
    rules = ask(f"{followed.prometheus}/api/v1/rules?type=alert")["groups"]

    firing = {
        (one["labels"]["alertname"], one["labels"].get("link"))
        for one in alerts
        if one["state"] == "firing" and "link" in one["labels"]
    }
    assert firing == {
        ("AnchorwatchLinkFault", "trunk-5"),
        ("AnchorwatchLinkBlocked", "trunk-7"),
    }
    names = [rule["name"] for group in rules for rule in group["rules"]]
    assert "AnchorwatchLinkFault" in names


def test_the_distances_that_grafana_would_draw_are_those_of_the_page(followed):
    """Of trunk-5 to what was shown on trunk-1 the shortest, of trunk-7 to blocked."""
    found = ask(f"{followed.prometheus}/api/v1/query?query=anchorwatch_link_distance")["result"]

    distances: dict[str, dict[str, float]] = {}
    for one in found:
        of_link = distances.setdefault(one["metric"]["link"], {})
        of_link[one["metric"]["label"]] = float(one["value"][1])
    nearest = {link: min(labels, key=labels.__getitem__) for link, labels in distances.items()}
    assert nearest == {f"trunk-{n}": "normal" for n in (1, 2, 3, 4, 6, 8)} | {
        "trunk-5": "narrow-uplink",
        "trunk-7": "blocked",
    }


def ask(url: str) -> Any:
    """Ask Prometheus's API."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]


def test_the_last_commands_end_what_the_page_started_and_what_was_learnt_stays(followed):
    """Who tries something out does not want to look for its daemons the next day."""
    block = followed.follow(followed.last)

    assert block.missing == [], block.output
    with pytest.raises(OSError, match="refused"):
        ask(f"{followed.prometheus}/api/v1/alerts")


def test_the_page_says_what_one_incident_is_worth():
    """The figure is the experiments' own, so that a better one is told here too."""
    experiments, page = (DOCS / "experiments.md").read_text(), (DOCS / PAGE).read_text()

    assert "names a quarter of the later episodes of its kind" in page
    assert re.search(r"8, chosen\*\* \(the default\) \|[^|]+\| \.25 \|", experiments)
    for kind, share in (("capacity-limited", ".44"), ("policer", ".09")):
        assert f"{kind} {share}, " in experiments
        assert share in page
