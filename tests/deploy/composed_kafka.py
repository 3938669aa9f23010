"""Kafka as compose.yaml has it: the settings that its image is given, on a Kafka from jars.

They go through the program that the official image itself starts with, which makes a properties
file of the environment and formats the disk. Only addresses and folders are this machine's.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.broker import Broker
from tests.broker.apache import JVM, jars
from tests.broker.proxy import free_port

DEFAULTS = (
    "server.properties",
    "log4j2.yaml",
    "tools-log4j2.yaml",
)  # which the image brings along
CLUSTER = "5L6g3nShT-eMCtK--X86sw"  # the image's own, where nobody says another


class ComposedKafka(Broker):
    """A broker with the environment of a service; `outside` is its listener for this machine."""

    name = "Apache Kafka as compose.yaml has it"

    def __init__(self, environ: Mapping[str, str]) -> None:
        if not shutil.which("java") or not shutil.which("mvn"):
            pytest.skip("Apache Kafka needs java and mvn, which are not on the PATH")
        super().__init__()
        self._environ = environ
        self._outside, self._controller = free_port(), free_port()

    @property
    def outside(self) -> str:
        """How programs on this machine reach it."""
        return f"127.0.0.1:{self._outside}"

    def java(self) -> list[str]:
        """Give the beginning of a command line that runs a class of Kafka's."""
        return ["java", *JVM, "-cp", f"{jars()}/*"]

    def _here(self, text: str) -> str:
        """Put addresses of this machine for those of the container and its network."""
        ports = {"9092": self.port, "9093": self._controller, "9094": self._outside}
        # What is advertised to the outside is what compose publishes, here the listener itself.
        text = text.replace("OUTSIDE://127.0.0.1:9092", "OUTSIDE://127.0.0.1:9094")
        for theirs, ours in ports.items():
            text = text.replace(f"kafka:{theirs}", f"127.0.0.1:{ours}")
            text = text.replace(f"://:{theirs}", f"://127.0.0.1:{ours}")
            text = text.replace(f"127.0.0.1:{theirs}", f"127.0.0.1:{ours}")
        return text

    def _command(self, home: Path) -> list[str]:
        folders = {name: home / name for name in ("default", "mounted", "final")}
        for folder in folders.values():
            folder.mkdir()
        for name in DEFAULTS:
            (folders["default"] / name).touch()
        environ = {name: self._here(value) for name, value in self._environ.items()}
        environ |= {"CLUSTER_ID": CLUSTER, "KAFKA_LOG_DIRS": str(home / "data")}
        options = [f"--{name}-configs-dir={folder}" for name, folder in folders.items()]
        done = subprocess.run(
            [*self.java(), "kafka.docker.KafkaDockerWrapper", "setup", *options],
            env=os.environ | environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [*self.java(), "kafka.Kafka", str(folders["final"] / "server.properties")]
