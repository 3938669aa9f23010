"""A machine beside this one: a Debian with a systemd of its own, in namespaces, for a test.

It shares the host's network, so what listens on one's loopback is reached from the other's.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.daemon import wait_for

BOOT_SECONDS, HALT_SECONDS = 60.0, 20.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What nspawn leaves where the host's /run is no file system of its own.
LEFT = Path("/run/systemd/nspawn/propagate")


@dataclass(frozen=True)
class Machine:
    """A systemd that runs, and how to talk to it."""

    root: Path  # its files, as the host sees them
    leader: int  # its first process, as the host counts

    def run(
        self, *command: str, check: bool = True, seconds: float = 120, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root; *check*: it must end with 0."""
        enter = ["nsenter", f"--target={self.leader}", "--all", "--wdns=/"]
        settings = [f"{name}={value}" for name, value in {"PATH": PATH, **environ}.items()]
        done = subprocess.run(
            [*enter, "env", "--ignore-environment", *settings, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        said = f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert not check or done.returncode == 0, said
        return done

    def show(self, unit: str, name: str) -> str:
        """Give a property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def journal(self, unit: str, since: str = "") -> str:
        """Give what a unit and systemd said of it, after *since*, a cursor."""
        after = [f"--after-cursor={since}"] if since else []
        command = ["journalctl", "--no-pager", "--output=cat", f"--unit={unit}", *after]
        return self.run(*command).stdout

    def cursor(self) -> str:
        """Give where the journal is now."""
        last = self.run("journalctl", "--lines=1", "--show-cursor", "--quiet").stdout
        return last.rpartition("-- cursor: ")[2].strip()


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Boot the Debian in *root*, and end it whatever happens.

    Skips the test where that can't be done at all.
    """
    for program in ("systemd-nspawn", "nsenter", "setpriv"):
        if not shutil.which(program):
            pytest.skip(f"a machine to boot needs {program}, which is not on the PATH")
    name = f"anchorwatch-{uuid4().hex[:8]}"
    console = root.with_name(f"{name}.console")
    with console.open("wb") as file:
        nspawn = subprocess.Popen(
            _command(root, name),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # The host may have the older groups; what runs inside asks for the newer.
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            start_new_session=True,
        )
    try:
        leader = _leader(nspawn)
        machine = Machine(root, leader) if leader else None
        if machine is None or not _is_up(machine, nspawn):
            pytest.skip(f"systemd can't be booted here:\n{console.read_text(errors='replace')}")
        yield machine
    finally:
        _end(nspawn)
        shutil.rmtree(LEFT / name, ignore_errors=True)


def _command(root: Path, name: str) -> list[str]:
    # Ends with us even if we are killed: nspawn's own child does so with nspawn.
    command = ["setpriv", "--pdeathsig=KILL", "systemd-nspawn", "--quiet", "--boot"]
    command += [f"--directory={root}", f"--machine={name}", "--console=pipe"]
    # There may be no systemd outside to ask for anything.
    return [*command, "--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off"]


def _leader(nspawn: "subprocess.Popen[bytes]") -> int:
    """Wait for the child that is the first process inside; 0 if nspawn ends instead."""
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")

    def look() -> list[int]:
        if nspawn.poll() is not None:
            return [0]
        return [child for child in map(int, children.read_text().split()) if _is_first(child)]

    return wait_for("a first process", look, BOOT_SECONDS)[0]


def _is_first(pid: int) -> bool:
    """Whether a process is the first of a namespace of its own."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # a helper that has done its part
        return False
    numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
    return len(numbers) > 1 and numbers[-1] == "1"


def _is_up(machine: Machine, nspawn: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline and nspawn.poll() is None:
        asked = machine.run("systemctl", "is-system-running", check=False)
        # Degraded: a unit of Debian's own failed, which is none of ours.
        if asked.stdout.strip() in ("running", "degraded"):
            return True
        time.sleep(0.1)
    return False


def _end(nspawn: "subprocess.Popen[bytes]") -> None:
    if nspawn.poll() is None:
        nspawn.send_signal(signal.SIGTERM)  # an orderly halt
    try:
        nspawn.wait(HALT_SECONDS)
    except subprocess.TimeoutExpired:
        nspawn.kill()  # and all that is in it
        nspawn.wait()
