"""Wheels: the daemon as it is released, and all that it needs, to install without a network.

What it needs is fetched once, into `build/` of the checkout.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.kept import kept

HOME = Path(__file__).parents[2]
LOCK = HOME / "requirements-daemon.lock"


def daemon_wheels(python: str) -> Path:
    """Give the folder with what the daemon needs on a *python*, such as "3.11"."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:8]
    wanted = ["--require-hashes", "--only-binary=:all:", f"--requirement={LOCK}"]

    def fetch(folder: Path, _lock: int) -> None:
        _pip("download", f"--dest={folder}", f"--python-version={python}", *wanted)

    return kept(f"wheels-{python}-{digest}", fetch)


def own_wheel(folder: Path) -> Path:
    """Build the daemon's wheel into *folder*, with the tools of the environment of the tests."""
    _pip("wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", str(HOME))
    return next(folder.glob("anchorwatch-*.whl"))


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"pip {arguments[0]} ended with {done.returncode}:\n{done.stdout}")
