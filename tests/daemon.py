"""A daemon under test: the real program, as a process, on settings of the test's own."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from detector.message import encode
from detector.window import Window, WindowSpec

T = TypeVar("T")


def wait_for(what: str, ask: Callable[[], T], seconds: float = 30) -> T:
    """Ask again and again until the answer is true, and give it."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return answer


@dataclass
class Topics:
    """Topics and a group that no other test uses."""

    name: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}")

    @property
    def settings(self) -> dict[str, str]:
        """What to tell the daemon, as its environment has it."""
        names = {
            key: f"{self.name}.{key}"
            for key in ("windows", "verdicts", "events", "states", "sightings", "anchors")
        }
        names |= {"dead_letters": f"{self.name}.dead", "group": self.name}
        return {f"ANCHORWATCH__KAFKA__{key.upper()}": value for key, value in names.items()}

    @property
    def windows(self) -> str:
        """The topic that the daemon reads."""
        return f"{self.name}.windows"

    @property
    def anchors(self) -> str:
        """The topic of what was enrolled."""
        return f"{self.name}.anchors"

    def create(self, broker: Any, partitions: int = 1) -> Self:
        """Make the topics; the windows' has *partitions*."""
        broker.create_topic(self.windows, partitions)
        for last in ("verdicts", "events", "dead"):
            broker.create_topic(f"{self.name}.{last}", 1)
        return self


class Daemon:
    """`anchorwatchd` as a child process."""

    def __init__(self, bundle: Path, bootstrap: str, topics: Topics, **settings: object) -> None:
        self._environ = os.environ | topics.settings
        self._environ |= {
            "ANCHORWATCH__BUNDLE": str(bundle),
            "ANCHORWATCH__KAFKA__BOOTSTRAP": bootstrap,
            "ANCHORWATCH__KAFKA__SESSION_SECONDS": "6",
            "ANCHORWATCH__HTTP__PORT": "0",
        }
        self._environ |= {f"ANCHORWATCH__{key.upper()}": str(v) for key, v in settings.items()}
        self._process: subprocess.Popen[str] | None = None
        self._log = Path(f"{bundle}.{topics.name}.{uuid.uuid4().hex[:4]}.log")

    def start(self) -> Self:
        """Start it; it may take a while to be ready."""
        program = Path(sys.executable).with_name("anchorwatchd")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program], env=self._environ, stderr=log, stdout=log, text=True
            )
        return self

    def ready(self) -> Self:
        """Wait until it has something to read from."""
        wait_for(f"ready; log:\n{self.log()}", lambda: self.get("/readyz")[0] == 200)
        return self

    def log(self) -> str:
        """Read what it wrote so far."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def address(self) -> str:
        """Where its server listens, host:port; "" before it does."""
        found = re.findall(r"url='?http://([^\s'/]+)", self.log())
        return found[-1] if found else ""

    def get(self, path: str) -> tuple[int, str]:
        """Ask its server for a page: status and text; (0, "") while nobody answers."""
        if not self.address:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """Add up a metric's samples, `name` or `name{label="value"}`."""
        lines = self.get("/metrics")[1].splitlines()
        name, _, label = name.rstrip("}").partition("{")
        hits = [line for line in lines if re.match(rf"{name}[{{ ]", line) and label in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in hits)

    def terminate(self, seconds: float = 10) -> int:
        """Tell it to stop, and give its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def ended(self, seconds: float = 30) -> int:
        """Wait until it ends by itself, and give its exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def hang_up(self) -> None:
        """Tell it to load its bundle anew."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.kill()


class Producer:
    """Puts windows on a topic, and knows which."""

    def __init__(self, bootstrap: str, topic: str, spec: WindowSpec) -> None:
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=2)
        self._topic, self._spec = topic, spec
        self.sent: list[tuple[str, int]] = []  # link, start_ms of each

    def send(self, windows: Sequence[Window], *, packed: bool = True) -> None:
        """Send windows of one link as one message."""
        value = encode(windows, self._spec, packed=packed)
        self._producer.send(self._topic, value, windows[0].link.encode()).get(30)
        self.sent += [(window.link, window.start_ms) for window in windows]

    def send_raw(self, value: bytes, key: bytes | None = None) -> None:
        """Send anything."""
        self._producer.send(self._topic, value, key).get(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._producer.close(5)


@dataclass
class Reader:
    """All that was ever put on a topic, read again each time."""

    bootstrap: str
    topic: str

    def records(self) -> list[Any]:
        """Every record from the beginning to the end that it has now."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        try:
            places = [
                TopicPartition(self.topic, number)
                for number in consumer.partitions_for_topic(self.topic) or ()
            ]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            found: list[Any] = []
            while any(consumer.position(place) < end for place, end in ends.items()):
                for records in consumer.poll(200).values():
                    found += records
            return found
        finally:
            consumer.close()

    def verdicts(self) -> list[dict[str, Any]]:
        """Read the records as JSON, lists taken apart."""
        bodies = [msgspec.json.decode(record.value) for record in self.records()]
        return [one for body in bodies for one in (body if isinstance(body, list) else [body])]

    def ids(self) -> Counter[tuple[str, int]]:
        """How many verdicts each window has, by link and start."""
        return Counter((one["link"], one["start_ms"]) for one in self.verdicts())
