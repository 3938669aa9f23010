"""Daemons with a login, and windows for them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from detector.window import Window, WindowSpec
from tests.broker.secured import PASSWORD, USER, SecuredBroker
from tests.daemon import Daemon, Producer, Topics, wait_for

REFUSED = "anchorwatch_broker_refused"
CHANGED = "Another-Sesame-5519"  # a password after it was renewed


def make_window(spec: WindowSpec, number: int = 0, link: str = "trunk-1") -> Window:
    """Make window *number* of a link."""
    values = np.random.default_rng(number).uniform(0, 50, spec.shape).astype(np.float32)
    start_ms = 1_700_000_000_000 + number * spec.step_ms
    return Window(link, "probe-1", start_ms, start_ms + spec.span_ms, values)


class Login:
    """Makes settings of `[kafka]` for one test: each form of security by its name."""

    def __init__(self, broker: SecuredBroker, folder: Path) -> None:
        self.broker, self._folder = broker, folder
        self.ca = broker.authority.ca
        self.topics = Topics().create(broker)

    @property
    def tls(self) -> dict[str, Any]:
        """The broker shows a certificate."""
        return {"tls.enabled": "true", "tls.ca": self.ca}

    def mutual(self, **changed: Any) -> dict[str, Any]:
        """Both show one; *changed* is how ours is issued."""
        ours = self.broker.authority.issue("anchorwatch", "client.test", **changed)
        return self.tls | {"tls.certificate": ours.certificate, "tls.key": ours.key}

    def user(
        self, mechanism: str = "SCRAM-SHA-512", name: str = USER, password: str = PASSWORD
    ) -> dict[str, Any]:
        """Log in, with a password from a file."""
        return self.tls | {
            "sasl.mechanism": mechanism,
            "sasl.username": name,
            "sasl.password_file": self.write(password),
        }

    @property
    def clear(self) -> dict[str, Any]:
        """Log in without encryption, with a password from the settings."""
        return {"sasl.mechanism": "PLAIN", "sasl.username": USER, "sasl.password": PASSWORD}

    def write(self, password: str) -> Path:
        """Put a password into the test's file."""
        path = self._folder / "password"
        path.write_text(password + "\n")
        return path


def as_environ(kafka: dict[str, Any]) -> dict[str, str]:
    """Give settings of `[kafka]` as the environment has them."""
    return {
        f"ANCHORWATCH__KAFKA__{name.replace('.', '__').upper()}": str(value)
        for name, value in kafka.items()
    }


def as_toml(kafka: dict[str, Any], topics: Topics) -> str:
    """Give them as a settings file has them, with a test's topics."""
    lines = [f'windows = "{topics.windows}"', f'anchors = "{topics.anchors}"']
    lines += [f"{name} = {value if value in ('true', 'false') else repr(str(value))}"
              for name, value in kafka.items()]  # fmt: skip
    return "\n".join(["[kafka]", *lines, ""])


def daemon(bundle: Path, at: str, topics: Topics, kafka: dict[str, Any], **more: Any) -> Daemon:
    """Make a daemon with these settings of `[kafka]`."""
    named = {f"kafka__{name.replace('.', '__')}": value for name, value in kafka.items()}
    return Daemon(bundle, at, topics, **named, **more)


def judged(broker: SecuredBroker, topics: Topics, spec: WindowSpec, running: Daemon) -> None:
    """Send a window past all security, and wait for it to be judged."""
    before = running.metric("anchorwatch_windows_total")
    with Producer(broker.direct, topics.windows, spec) as producer:
        producer.send([make_window(spec, int(before))])
    wait_for(
        f"a verdict; log:\n{running.log()}",
        lambda: running.metric("anchorwatch_windows_total") > before,
    )


def run(program: str, *arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        [Path(sys.executable).with_name(program), *map(str, arguments)],
        env={name: value for name, value in os.environ.items() if "ANCHOR" not in name} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
