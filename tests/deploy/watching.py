"""Everything at once, to look at: a daemon on Kafka that judges recorded runs, and Prometheus.

The run ends in the middle of faults, with the daemon up and nothing more coming, so that all
tests see the same.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detector.bundles import BundleStore
from detector.capture import SHIPPED
from tests.broker import Broker
from tests.daemon import Daemon, Topics, wait_for
from tests.deploy.dashboards import Query, filled, queries
from tests.deploy.observing import Observer
from tests.trained import trained_path

SPEED = 10  # times life
BEFORE_SECONDS = 300  # of traffic, about as long as it takes until enough was seen
LINKS = "d0[1-5]_*/access"  # in which faults come and go, and which the bundle has not learnt from
# Canaries and captures as in any installation, but sooner; and no link falls silent meanwhile.
SETTINGS = {"canary__every_seconds": 0.3, "store__flush_seconds": 5, "silence__least_seconds": 900}
SHOWN_SECONDS = 120  # of what is drawn over time
CHOSEN = {
    "datasource": "any",
    "job": ".*",
    "source": ".*",
    "find": "",
    "__rate_interval": "20s",
    "__range": "180s",
}


@dataclass(frozen=True)
class Seen:
    """What there is to be seen."""

    prometheus: Observer
    daemon: Daemon
    values: dict[str, str]  # of the dashboards' variables

    @property
    def status(self) -> Any:
        """What the daemon itself says."""
        return json.loads(self.daemon.get("/status?most=1000")[1])

    def answer(self, query: Query) -> list[Any]:
        """Ask what Grafana would ask."""
        expr = filled(query.expr, self.values)
        if query.is_range:
            return self.prometheus.lately(expr, SHOWN_SECONDS)
        return self.prometheus.now(expr)

    def rows(self, board: str, title: str, number: int = 0) -> list[Any]:
        """Give what a query of a panel answers: labels and newest value of each series."""
        found = [q for q in queries() if q.board.endswith(board) and q.panel["title"] == title]
        return [
            (one["metric"], float((one.get("values") or [one["value"]])[-1][1]))
            for one in self.answer(found[number])
        ]

    def offers(self, variable: Any) -> list[str]:
        """Give what a variable lets one choose, as Grafana finds it."""
        asked = filled(variable["definition"], self.values)
        kind, _, inner = asked.removesuffix(")").partition("(")
        if kind == "label_values":
            metric, _, label = inner.rpartition(", ")
            return list(self.prometheus.get(f"label/{label}/values", **{"match[]": metric}))
        # As Grafana writes what a query answers, before the variable's regex is laid on it.
        rows = [
            "{" + ",".join(f'{name}="{value}"' for name, value in one["metric"].items()) + "} 1 1"
            for one in self.prometheus.now(inner)
        ]
        regex = variable["regex"].strip("/")
        return [found[1] for row in rows if (found := re.search(regex, row))]


@contextmanager
def watched(broker: Broker, folder: Path) -> Iterator[Seen]:
    """Run it, and give what is there once the replay has ended."""
    store = BundleStore(folder / "bundles")
    store.create()
    bundle = store.add(trained_path(), "tests", "a test", 1)
    store.switch(bundle, "tests", "promoted", "a test", 1)
    topics = Topics().create(broker, partitions=2)
    settings = SETTINGS | {"store__path": folder / "captures"}
    with Daemon(store.path, broker.bootstrap, topics, **settings) as daemon:
        daemon.ready()
        with Observer(daemon.address, folder / "prometheus") as prometheus:
            seen = Seen(prometheus, daemon, CHOSEN)
            with replay(store.path, broker, topics):
                wait_for("enough is seen", lambda: is_enough(seen), 90)
            link = next(one["link"] for one in seen.status["worst"] if one["state"] == "blocked")
            wait_for("the last scrape", lambda: has_newest(seen))
            yield replace(seen, values=CHOSEN | {"link": link})


@contextmanager
def replay(bundles: Path, broker: Broker, topics: Topics) -> Iterator[None]:
    """Send the runs, their time moved so that it is about now when they have gone on for long."""
    program = Path(sys.executable).with_name("anchorwatch")
    begin_ms = round((time.time() - BEFORE_SECONDS + BEFORE_SECONDS / SPEED) * 1000)
    where = ("--kafka", broker.direct, "--topic", topics.windows)
    pace = ("--speed", str(SPEED), "--at", str(begin_ms))
    command: list[str | Path] = [program, "replay", bundles, SHIPPED, "--links", LINKS]
    with subprocess.Popen(
        [*command, *where, *pace], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as sender:
        try:
            yield
        finally:
            sender.kill()


def is_enough(seen: Seen) -> bool:
    """Say whether faults came and went, and some are there now, and planted ones were found."""
    status = seen.status
    ended = {event["link"] for event in status["events"] if event["type"] == "abated"}
    faulty = {one["link"] for one in status["worst"] if one["state"] == "blocked"}
    recall = {one["metric"]["label"] for one in seen.prometheus.now("anchorwatch_canary_recall")}
    return bool(ended & faulty and status["states"].get("normal") and len(recall) == 2)


def has_newest(seen: Seen) -> bool:
    """Say whether each fault was told, after waiting for others like it, and Prometheus knows."""
    status = seen.status
    faulty = {(one["link"], one["state"]) for one in status["worst"] if one["state"] != "normal"}
    by_state = {
        one["metric"]["state"]: float(one["value"][1])
        for one in seen.prometheus.now("anchorwatch_links")
    }
    told = {
        (one["metric"].get("link"), one["metric"]["state"])
        for one in seen.prometheus.now('anchorwatch_event_timestamp_seconds{type="onset"}')
    }
    newest = max(event["at_ms"] for event in status["events"]) / 1000
    is_scraped = seen.prometheus.now(f"max(anchorwatch_event_timestamp_seconds) >= {newest}")
    is_same = present(by_state) == present(status["states"])
    return bool(is_scraped) and is_same and faulty <= told


def present(states: Mapping[str, float]) -> Mapping[str, float]:
    """Leave out states in which no link is."""
    return {state: count for state, count in states.items() if count}
