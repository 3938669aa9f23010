"""Building the daemon's image as a user does, by deploy/container/build.sh, with buildah.

A Debian of debootstrap stands in for the public base image. Whatever the host's pip needs to get
at packages is lent to the build as secrets. Everything lies in one folder, and goes with it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from detector import __version__
from tests.deploy.debian import debian_root
from tests.deploy.image import Image

ROOT = Path(__file__).parents[2]
NAME = f"anchorwatch:{__version__}"
PATIENCE_SECONDS = 400  # packages are downloaded
STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "{0}/images"\nrunroot = "{0}/run"\n'
CERTIFICATES = "/run/secrets/ca-bundle"  # where the Containerfile has them lent
WHEELS = "/run/wheels"


@contextmanager
def built_image(work: Path) -> Iterator[Image]:
    """Build it in *work*, an empty folder, and give it with its files at hand.

    Skips the test where there is no buildah, no crun or no Debian to build on.
    """
    for program in ("buildah", "crun", "unshare"):
        if not shutil.which(program):
            pytest.skip(f"an image is built and run with {program}, which is not on the PATH")
    debian = debian_root()
    environ = _own_storage(work)
    pip = _pip_settings(work)
    try:
        said = _build(debian, pip, environ)
        facts = json.loads(_run(["buildah", "inspect", "--type", "image", NAME], environ))[
            "Docker"
        ]
        container = _run(["buildah", "from", "--pull-never", NAME], environ).strip()
        root = Path(_run(["buildah", "mount", container], environ).strip())
        history = json.dumps(facts["history"])
        lent = (work / "pip.conf").read_text()
        yield Image(work, root, facts["config"], history=history, lent=lent, said=said)
    finally:
        # What is left in the folder are plain files.
        for command in (["umount", "--all"], ["rm", "--all"]):
            subprocess.run(
                ["buildah", *command], env=environ, capture_output=True, timeout=60, check=False
            )
        shutil.rmtree(work, ignore_errors=True)


def _build(debian: Path, pip: list[str], environ: Mapping[str, str]) -> str:
    """Make a base image, then the daemon's; give what was said meanwhile."""
    base = _run(["buildah", "from", "scratch"], environ).strip()
    _run(["buildah", "add", "--quiet", base, str(debian), "/"], environ)
    _run(["buildah", "commit", "--quiet", "--rm", base, "localhost/base"], environ)
    container = ROOT / "deploy" / "container"
    settings = container / "anchorwatch.toml"
    usual = settings.stat().st_mode
    settings.chmod(0o600)  # as a checkout has it that was made with umask 077
    try:
        return _run(
            [str(container / "build.sh"), "--build-arg", "BASE=localhost/base", *pip], environ
        )
    finally:
        settings.chmod(usual)


def _own_storage(work: Path) -> dict[str, str]:
    """Keep buildah's images in *work*: give the environment that has it so."""
    storage = work / "storage.conf"
    storage.write_text(STORAGE.format(work))
    own = {"CONTAINERS_STORAGE_CONF": str(storage), "BUILDAH_ISOLATION": "chroot"}
    return dict(os.environ) | own | {"ENGINE": "buildah", "TMPDIR": str(work)}


def _pip_settings(work: Path) -> list[str]:
    """Write what the host's pip is told, by files and environment, as the build is to have it.

    Gives the options that lend it.
    """
    told = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(told, capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = [line.partition("=") for line in lines]
    settings = {name.rpartition(".")[2]: value.strip("'\"") for name, _, value in pairs}
    options = ["--secret", f"id=pip.conf,src={work / 'pip.conf'}"]
    if certificates := settings.get("cert"):
        options += ["--secret", f"id=ca-bundle,src={certificates}"]
        settings["cert"] = CERTIFICATES
    wheels = Path(settings.pop("find-links", ""))
    if wheels.is_absolute() and wheels.is_dir() and any(wheels.iterdir()):
        options += ["--volume", f"{wheels}:{WHEELS}:ro"]
        settings["find-links"] = WHEELS
    written = [f"{name} = {value}" for name, value in settings.items()]
    # Also a comment that is looked for in the image afterwards.
    (work / "pip.conf").write_text("\n".join(["# lent-to-the-build", "[global]", *written, ""]))
    return options


def _run(command: list[str], environ: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise RuntimeError(f"{' '.join(command[:2])} ended with {done.returncode}:\n{output}")
    return done.stdout
