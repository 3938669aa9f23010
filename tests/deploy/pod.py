"""A pod of the manifests without Kubernetes: its container run by crun, with what it is given.

The image, program, environment, user, capabilities and mounts are those of the StatefulSet. It
has a network of its own in which there is nothing but itself, as if the broker were away.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy import manifests
from tests.deploy.image import ONE_KIND, Image

NAME = "pod"
CAPABILITIES = ("bounding", "effective", "permitted", "inheritable", "ambient")
ASK = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@dataclass
class Pod:
    """One run of the daemon's container, on folders of this machine for its volumes."""

    image: Image
    volumes: Mapping[str, Path]  # by the name that the manifests give each
    environ: Mapping[str, str]
    _process: subprocess.Popen[str] | None = None

    @contextmanager
    def running(self) -> Iterator["Pod"]:
        """Have it run; whatever becomes of it, it is gone afterwards."""
        folder = self.image.work / NAME
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self._spec()))
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                self._crun("run", "--bundle", str(folder), NAME),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )
        try:
            yield self
        finally:
            if self._process.poll() is None:
                self._run("delete", "--force", NAME)
                self._process.wait(20)

    def log(self) -> str:
        """Read what it wrote so far."""
        return (self.image.work / NAME / "log").read_text()

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program beside the daemon, as its user."""
        return self._run("exec", "--user", self._user, NAME, *command)

    def ask(self, probe: Mapping[str, Any]) -> int:
        """Do what a probe does, and give the status; 0: nobody answers."""
        (port,) = manifests.container()["ports"]
        assert probe["httpGet"]["port"] == port["name"]
        url = f"http://127.0.0.1:{port['containerPort']}{probe['httpGet']['path']}"
        done = self.execute("python3", "-c", ASK, url)
        return int(done.stdout) if done.returncode == 0 else 0

    def stop(self, seconds: float) -> int:
        """Let it end as the kubelet does, and give the exit code."""
        assert self._process is not None
        self._run("kill", NAME, "TERM")
        return self._process.wait(seconds)

    @property
    def _user(self) -> str:
        security = manifests.pod()["securityContext"]
        return f"{security['runAsUser']}:{security['runAsGroup']}"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self._crun(*arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def _crun(self, *arguments: str) -> list[str]:
        options = ["--root", str(self.image.work / "crun-pod"), "--cgroup-manager=disabled"]
        return ["unshare", "--mount", "sh", "-c", ONE_KIND, "crun", *options, *arguments]

    def _spec(self) -> dict[str, Any]:
        """Say to the runtime what the kubelet would."""
        container, security = manifests.container(), manifests.pod()["securityContext"]
        config = self.image.config
        environ = dict(pair.split("=", 1) for pair in config["Env"]) | self.environ
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        spaces = ("pid", "ipc", "uts", "mount", "network")
        mounts = [{"destination": "/proc", "type": "proc", "source": "proc"}]
        mounts += [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}]
        return {
            "ociVersion": "1.0.2",
            "root": {
                "path": str(self.image.root),
                "readonly": container["securityContext"]["readOnlyRootFilesystem"],
            },
            "hostname": "anchorwatchd-0",
            "process": {
                "cwd": "/",
                "args": [*config["Entrypoint"], *container["args"]],
                "env": [f"{name}={value}" for name, value in environ.items()],
                "user": {"uid": security["runAsUser"], "gid": security["runAsGroup"]},
                "noNewPrivileges": not container["securityContext"]["allowPrivilegeEscalation"],
                "capabilities": {kind: list[str]() for kind in CAPABILITIES},
            },
            "mounts": [*mounts, *map(self._mount, container["volumeMounts"])],
            "linux": {"namespaces": [{"type": one} for one in spaces]},
        }

    def _mount(self, mount: Mapping[str, Any]) -> dict[str, Any]:
        source = self.volumes[mount["name"]] / mount.get("subPath", "")
        how = "ro" if mount.get("readOnly") else "rw"
        options = ["bind", how, "nosuid", "nodev"]
        place = {"destination": mount["mountPath"], "type": "bind", "source": str(source)}
        return place | {"options": options}
