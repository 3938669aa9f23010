"""A real Kafka broker for tests: ours to start, stall, kill and cut off.

`open_broker` gives Apache Kafka where Java and Maven are on the PATH, and elsewhere Tansu, a
Kafka-compatible broker from a wheel. Tests see one interface, `Broker`, and call `needs` before
they use what one of the two lacks. Another kind of broker is a subclass of `Broker` and one line
in `open_broker`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.broker.proxy import Proxy, free_port

# What a test can ask for with `needs`, as the message of the skip puts it.
FEATURES = {
    "add-partitions": "adding partitions to a topic",
    "delete-records": "deleting records up to an offset",
    "describe-groups": "describing a consumer group",
    "direct": "a listener of its own beside the one behind the proxy",
    "offset-reset": "telling a consumer that its offset is out of range",
    "offsets-by-time": "finding the offset of a point in time",
    "read-committed": "transactions, and consumers that read committed records only",
    "restart-keeps-data": "topics and offsets that outlive a restart",
    "static-membership": "group members that keep their partitions over a restart",
    "topic-config": "topic settings, such as the largest message, that take effect",
}


class Broker(ABC):
    """One broker on loopback, as a child process that cannot outlive its parent.

    Give *advertised_port* to put a proxy in front of *port*: the broker then names the proxy to
    its clients, so that they stay on it. Start it in the main thread: on Linux the process ends
    together with the thread that started it.
    """

    name: ClassVar[str]
    cannot: ClassVar[frozenset[str]] = frozenset()  # keys of FEATURES

    def __init__(self, *, port: int | None = None, advertised_port: int | None = None) -> None:
        self.port = port or free_port()
        self.advertised_port = advertised_port or self.port
        self.home: Path | None = None  # everything it writes; gone after `stop`
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """What to give the code under test; leads through the proxy if there is one."""
        return f"127.0.0.1:{self.advertised_port}"

    @property
    def direct(self) -> str:
        """The way past the proxy, for the test itself. Needs "direct"."""
        return self.bootstrap

    @property
    def pid(self) -> int | None:
        """The running process, or None."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it unless it runs, and return once it answers.

        Raises:
            RuntimeError: if it ends or stays silent instead; holds the last lines of its log.
        """
        if self.pid:
            return
        atexit.register(self.stop)
        try:
            self.home = self.home or Path(tempfile.mkdtemp(prefix="broker-"))
            self._launch(self._command(self.home), self.home)
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it at once and remove what it wrote. Safe to call twice."""
        self.kill()
        if self.home:
            shutil.rmtree(self.home, ignore_errors=True)
            self.home = None
        atexit.unregister(self.stop)

    def kill(self) -> None:
        """End it as a crash would; what it wrote stays for `restart`."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Crash it if it runs, and start it again on the same ports and files."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Stall it: connections stay open and nothing is answered until `resume`."""
        self._signal(signal.SIGSTOP)
        # Returns once the process stands still, or is found to have ended.
        os.waitid(os.P_PID, self._running(), os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a stalled broker go on."""
        self._signal(signal.SIGCONT)

    def create_topic(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic, past the proxy, and return once each partition has a leader.

        Raises:
            kafka.errors.TopicAlreadyExistsError: names are shared by all tests of a broker.
        """
        topic = {"num_partitions": partitions, "replication_factor": 1, "configs": config or {}}
        with KafkaAdminClient(bootstrap_servers=self.direct) as admin:
            admin.create_topics({name: topic}, wait_for_metadata=True)

    def log(self, lines: int = 40) -> str:
        """Give the last *lines* that the process wrote."""
        path = self.home / "log" if self.home else None
        if not path or not path.exists():
            return ""
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _command(self, home: Path) -> list[str]:
        """Prepare *home* if that is still to be done, and give the command line."""

    def _answers(self) -> bool:
        """Say whether a client gets an answer on the listener itself."""
        with KafkaAdminClient(
            bootstrap_servers=f"127.0.0.1:{self.port}", bootstrap_timeout_ms=10_000
        ):
            return True

    def _launch(self, command: list[str], home: Path) -> None:
        # `atexit` does not run when the parent is killed; this does.
        leash = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with (home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                leash + command,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C ends the tests first
            )

    def _wait_until_up(self, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while self.pid and time.monotonic() < deadline:
            try:
                # First, since a client makes much noise about a closed port.
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                if self._answers():
                    return
            except (OSError, KafkaError):
                pass
            time.sleep(0.05)
        fate = f"is silent after {seconds} s" if self.pid else "ended while it started"
        raise RuntimeError(f"{self.name} {fate}; its log ends:\n{self.log()}")

    def _running(self) -> int:
        if not self.pid:
            raise RuntimeError(f"{self.name} does not run; its log ends:\n{self.log()}")
        return self.pid

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self._running(), number)


def open_broker(through: Proxy | None = None) -> Broker:
    """Give a running broker: Apache Kafka if `java` and `mvn` are on the PATH, else Tansu.

    `ANCHORWATCH_TEST_BROKER=apache` or `=tansu` forces one. With *through*, that proxy is put in
    front of it. Stop it with `stop`, or use it in a `with` statement.

    Raises:
        RuntimeError: if the broker is not to be had here, or does not come up.
    """
    # Here, because both take Broker from this module.
    from tests.broker.apache import ApacheBroker
    from tests.broker.tansu import TansuBroker

    kinds: dict[str, type[Broker]] = {"apache": ApacheBroker, "tansu": TansuBroker}
    there = shutil.which("java") and shutil.which("mvn")
    kind = os.environ.get("ANCHORWATCH_TEST_BROKER") or ("apache" if there else "tansu")
    if kind not in kinds:
        raise RuntimeError(f"ANCHORWATCH_TEST_BROKER is {kind!r}, not one of {sorted(kinds)}")
    broker = kinds[kind](advertised_port=through.port if through else None)
    if through:
        through.target_port = broker.port
    broker.start()
    return broker


def needs(broker: Broker, *features: str) -> None:
    """Skip the running test unless *broker* can do each of *features*, keys of `FEATURES`."""
    for feature in features:
        meaning = FEATURES[feature]  # a misspelt one is an error on every broker
        if feature in broker.cannot:
            pytest.skip(f"{broker.name} cannot do: {meaning}")
