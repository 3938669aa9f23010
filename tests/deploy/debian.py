"""A small Debian to install into: made by debootstrap once, and kept in `build/` of the checkout.

Tests of what runs the daemon need a machine that is not the one they run on. `debian_root` is
for reading only: copy it, or lay something over it (`laid_over`), before anything is changed.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kept import kept

# What an operator's machine has before anchorwatch is installed.
PACKAGES = ("ca-certificates", "dbus", "python3", "python3-venv", "systemd", "systemd-sysv")
SECONDS = 600  # for debootstrap to end
# Names in the environment that have a program verify with other certificates than its own.
CERTIFICATES = ("CURL_CA_BUNDLE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def debian_root() -> Path:
    """Give the folder with a Debian of the host's release, making it if it isn't there.

    Skips the test where that can't be done at all: without root, or without debootstrap.
    """
    if os.geteuid() != 0:
        pytest.skip("a Debian to install into is made by root only")
    program = shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not program:
        pytest.skip("a Debian to install into needs debootstrap, which is not on the PATH")
    release = _release()
    digest = hashlib.sha256(",".join(PACKAGES).encode()).hexdigest()[:8]

    def make(folder: Path, lock: int) -> None:
        command = [program, "--variant=minbase", f"--include={','.join(PACKAGES)}"]
        _run([*command, release, str(folder), *_mirror(release)], lock)
        for package in (folder / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()

    return kept(f"debian-{release}-{digest}", make)


@contextmanager
def laid_over(lower: Path, work: Path) -> Iterator[Path]:
    """Give a folder that shows *lower* and may be changed; changes go to *work*, an empty folder.

    Skips the test where the kernel lends no overlay.
    """
    upper, scratch, merged = (work / name for name in ("upper", "scratch", "merged"))
    for folder in (upper, scratch, merged):
        folder.mkdir(parents=True)
    options = f"lowerdir={lower},upperdir={upper},workdir={scratch}"
    mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(merged)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no overlay can be mounted here: {done.stderr.strip()}")
    try:
        yield merged
    finally:
        subprocess.run(["umount", "--lazy", str(merged)], check=True)


def let_pip_work(root: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Let pip in *root* reach what the host's reaches; give the environment that it needs there.

    Copies the host's settings of pip, its certificates and its way to look up names; changes
    *root*, which must be a copy.
    """
    given = {
        name: value
        for name, value in environ.items()
        if name.startswith("PIP_") or name.upper() in PROXIES
    }
    for file in ("etc/pip.conf", "etc/resolv.conf", "etc/hosts"):
        if (Path("/") / file).exists():
            _copy(Path("/") / file, root / file)
    for folder in given.get("PIP_FIND_LINKS", "").split():
        if Path(folder).is_dir():
            shutil.copytree(folder, root / folder.lstrip("/"), dirs_exist_ok=True)
    named = {name: environ[name] for name in CERTIFICATES if Path(environ.get(name, "")).is_file()}
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    if named:
        # All of a machine's are the same file; what is in the root is for its own programs too.
        _copy(Path(next(iter(named.values()))), bundle)
    return given | dict.fromkeys(named, f"/{bundle.relative_to(root)}")


def _copy(file: Path, to: Path) -> None:
    to.unlink(missing_ok=True)  # a link would lead out of the root
    shutil.copyfile(file, to)


def _release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    pytest.skip("a Debian to install into needs a host whose release has a codename")


def _mirror(release: str) -> list[str]:
    """Give where the host has its packages from, as debootstrap's last argument; [] if unknown."""
    ask = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)"]
    try:
        done = subprocess.run(
            [*ask, "Created-By: Packages", "Component: main"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return []
    named = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    return [named[release]] if release in named else []


def _run(command: list[str], keep_open: int) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        pass_fds=[keep_open],
        check=False,
    )
    if done.returncode:
        output = "\n".join(done.stdout.splitlines()[-30:])
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{output}")
