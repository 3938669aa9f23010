"""A real Prometheus with the rules that ship, scraping one daemon every second."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.prometheus import Prometheus
from tests.deploy.alerts import RULES

CONFIG = RULES.parent / "prometheus.yml"


class PromQlError(Exception):
    """Prometheus can't answer; the message is its own."""


class Observer(Prometheus):
    """Prometheus, on the configuration that ships, but faster and with a target of ours."""

    def __init__(self, target: str, folder: Path) -> None:
        super().__init__(target, folder)
        config = yaml.safe_load(CONFIG.read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for scrape in config["scrape_configs"]:
            scrape["static_configs"] = [{"targets": [target]}]
        rules = yaml.safe_load(RULES.read_text())
        for group in rules["groups"]:
            group.pop("interval", None)  # or some would have no value for a minute
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(config))
        (folder / RULES.name).write_text(json.dumps(rules))

    def get(self, path: str, **query: str) -> Any:
        """Ask the API, and give its data.

        Raises:
            PromQlError: if it says that something is wrong.
            OSError: if it does not answer.
        """
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?" + urllib.parse.urlencode(query)
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                said = error.read()
            if error.code == HTTPStatus.SERVICE_UNAVAILABLE:  # it is still starting
                raise ConnectionError(said.decode()) from error
            raise PromQlError(json.loads(said)["error"]) from error

    def now(self, expr: str, in_seconds: float = 0) -> list[Any]:
        """Ask for an instant vector as it is now, or will be if nothing more is scraped."""
        at = f"{time.time() + in_seconds:.3f}"
        return list(self.get("query", query=expr, time=at)["result"])

    def lately(self, expr: str, seconds: float) -> list[Any]:
        """Ask for the last *seconds*, a value each second."""
        end = time.time()
        start = f"{end - seconds:.3f}"
        answer = self.get("query_range", query=expr, start=start, end=f"{end:.3f}", step="1")
        return list(answer["result"])
