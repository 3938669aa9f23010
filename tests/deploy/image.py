"""An image that was built, and containers of it: run as it says, without an engine.

crun runs them: as the image's user, with a read-only root and without any capability. They share
the host's network, where the broker of the tests is.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# crun wants cgroups of one kind only: this shows it those of the second, and it makes none.
ONE_KIND = 'mount -t cgroup2 none /sys/fs/cgroup && exec crun "$@"'


@dataclass(frozen=True)
class Image:
    """An image that was built: what it says of itself, its files, and how to run it."""

    work: Path  # what containers write goes here too
    root: Path  # its files, for reading only
    config: Mapping[str, Any]  # Entrypoint, Env, User and so on
    history: str  # what it says of how it was made
    lent: str  # what the build was lent of the host, and no image may have
    said: str  # while it was built

    def container(self, *arguments: str, **given: Any) -> "Container":
        """Prepare a container that runs *arguments* instead of the image's own."""
        return Container(self, arguments or tuple(self.config["Cmd"]), **given)


@dataclass
class Container:
    """One run of an image: as its user, its root read-only, without any capability."""

    image: Image
    arguments: Sequence[str]
    name: str = "one"
    state: Path | None = None  # what lies at the image's volume; must be its user's
    environ: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] | None = None  # None: the image's
    binds: Mapping[str, Path] = field(default_factory=dict)  # folders to be read, by where
    _process: subprocess.Popen[str] | None = None

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return _run(self._crun("run", "--bundle", str(self._prepared()), self.name), timeout=60)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program beside the one that runs, as a health check is."""
        return _run(self._crun("exec", self.name, *command), timeout=20)

    @contextmanager
    def running(self) -> Iterator["Container"]:
        """Have it run; whatever becomes of it, it is gone afterwards."""
        command = self._crun("run", "--bundle", str(self._prepared()), self.name)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
            )
        try:
            yield self
        finally:
            if self._process.poll() is None:
                _run(self._crun("delete", "--force", self.name), timeout=20)
                self._process.wait(20)

    def stop(self, seconds: float = 15) -> int:
        """Send the image's stop signal, and give the exit code."""
        assert self._process is not None
        _run(self._crun("kill", self.name, self.image.config["StopSignal"]), timeout=20)
        return self._process.wait(seconds)

    def log(self) -> str:
        """Read what it wrote so far."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self.image.work / f"{self.name}.log"

    def _crun(self, *arguments: str) -> list[str]:
        options = ["--root", str(self.image.work / "crun"), "--cgroup-manager=disabled"]
        return ["unshare", "--mount", "sh", "-c", ONE_KIND, "crun", *options, *arguments]

    def _prepared(self) -> Path:
        """Write the bundle, as the runtime calls it, and give its folder."""
        folder = self.image.work / f"container-{self.name}"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self._spec()))
        return folder

    def _spec(self) -> dict[str, Any]:
        config = self.image.config
        uid, gid = (int(number) for number in config["User"].split(":"))
        environ = dict(pair.split("=", 1) for pair in config["Env"]) | self.environ
        entrypoint = config["Entrypoint"] if self.entrypoint is None else self.entrypoint
        kinds = ("bounding", "effective", "permitted", "inheritable", "ambient")
        mounts = [{"destination": "/proc", "type": "proc", "source": "proc"}]
        mounts += [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}]
        if self.state:
            (volume,) = config["Volumes"]
            mounts.append(_bind(self.state, volume, "rw"))
        mounts += [_bind(folder, where, "ro") for where, folder in self.binds.items()]
        return {
            "ociVersion": "1.0.2",
            "root": {"path": str(self.image.root), "readonly": True},
            "process": {
                "user": {"uid": uid, "gid": gid},
                "args": [*entrypoint, *self.arguments],
                "cwd": config["WorkingDir"],
                "env": [f"{name}={value}" for name, value in environ.items()],
                "capabilities": {kind: [] for kind in kinds},
                "noNewPrivileges": True,
            },
            "mounts": mounts,
            "linux": {"namespaces": [{"type": one} for one in ("pid", "ipc", "uts", "mount")]},
        }


def _bind(source: Path, destination: str, how: str) -> dict[str, Any]:
    options = ["bind", how, "nosuid", "nodev"]
    return {
        "destination": destination,
        "type": "bind",
        "source": str(source),
        "options": options,
    }


def _run(command: Sequence[str], timeout: float, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, **how
    )
