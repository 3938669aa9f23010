"""A real Prometheus under test: Debian's, scraping one daemon, asked by HTTP."""

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.broker.proxy import free_port
from tests.daemon import wait_for

PROGRAM = shutil.which("prometheus")


class Prometheus:
    """Scrapes one target once a second."""

    def __init__(self, target: str, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [
                {"job_name": "anchorwatch", "static_configs": [{"targets": [target]}]}
            ],
        }
        folder.mkdir()
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        assert PROGRAM is not None
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    PROGRAM,
                    f"--config.file={self.folder}/prometheus.yml",
                    f"--storage.tsdb.path={self.folder}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            wait_for("Prometheus scrapes", lambda: self.value("up") == 1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def value(self, query: str) -> float:
        """Ask for one number; NaN while there is none."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode(
            {"query": query}
        )
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found: Any = json.load(answer)["data"]["result"]
        except (urllib.error.URLError, ConnectionError):
            return float("nan")
        return float(found[0]["value"][1]) if found else float("nan")

    def __exit__(self, *_error: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
