"""What a release is made of: the same bytes again, what belongs into it, and that it installs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import pytest

from detector import __version__
from tests.deploy.releasing import TRIED_OUT, release
from tests.deploy.wheels import daemon_wheels

ROOT = Path(__file__).parents[2]
DEMO = "training/captures/sip-testbed-1s.parquet"
# What may state the version beside detector/__init__.py; the first is compared with it below.
COPIES = ("deploy/.env", "CHANGELOG.md")


@pytest.fixture(scope="module")
def wheel(made: Path) -> Path:
    """Give its wheel."""
    return made / f"anchorwatch-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def sdist(made: Path) -> Path:
    """Give its source distribution."""
    return made / f"anchorwatch-{__version__}.tar.gz"


def tracked() -> list[str]:
    """Give every text file of the checkout that isn't a lock or a capture, by its path."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    skipped = (".lock", ".parquet", ".svg", ".png", ".npz", ".safetensors")
    names = [name for name in done.stdout.splitlines() if not name.endswith(skipped)]
    return [name for name in names if (ROOT / name).is_file()]  # not those just deleted


def test_the_version_is_stated_once():
    """Two that disagree are found by a user, in a bug report about the wrong one."""
    stated = re.compile(rf"(?<![\d.]){re.escape(__version__)}(?![\d.]*\d)")
    program = re.compile(r"anchorwatch|version", re.IGNORECASE)

    found = {
        name
        for name in tracked()
        if not name.startswith(("tests/", "docs/", "training/recordings/"))  # docs show examples
        and not name.endswith(".test.yml")
        for line in (ROOT / name).read_text(errors="ignore").splitlines()
        if stated.search(line) and (program.search(line) or name == "CHANGELOG.md")
    }

    assert "detector/__init__.py" in found
    assert found <= {"detector/__init__.py", *COPIES}
    assert f"ANCHORWATCH_VERSION={__version__}\n" in (ROOT / "deploy" / ".env").read_text()


def test_the_changelog_has_it():
    """Who upgrades wants to know what changed, and the script insists on it."""
    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M)


def test_the_sums_are_those_of_all_files(made):
    """Who fetches files by hand can tell that they came whole."""
    lines = (made / "SHA256SUMS").read_text().splitlines()

    sums = {name: digest for digest, name in (line.split() for line in lines)}

    assert set(sums) == {path.name for path in made.iterdir()} - {"SHA256SUMS"}
    assert len(sums) == 4
    for name, digest in sums.items():
        assert sha256((made / name).read_bytes()).hexdigest() == digest


def test_the_same_checkout_gives_the_same_bytes(made, tmp_path):
    """Whoever doubts a release can build it, and compare."""
    again = release(tmp_path / "dist")

    assert again.returncode == 0
    assert (tmp_path / "dist/SHA256SUMS").read_text() == (made / "SHA256SUMS").read_text()


def test_the_times_in_it_are_the_commit_s(tmp_path):
    """A clock in a file would make every build another one."""
    command = ["git", "log", "-1", "--format=%cI"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not said:
        pytest.skip("this is no checkout with a commit")

    done = release(tmp_path / "dist", SOURCE_DATE_EPOCH="")

    assert done.returncode == 0
    name = f"anchorwatch-{__version__}.cdx.json"
    told = json.loads((tmp_path / "dist" / name).read_text())["metadata"]["timestamp"]
    assert datetime.fromisoformat(told) == datetime.fromisoformat(said.strip())
    with tarfile.open(tmp_path / "dist" / f"anchorwatch-{__version__}.tar.gz") as archive:
        times = {member.mtime for member in archive.getmembers()}
    assert times == {datetime.fromisoformat(said.strip()).timestamp()}


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    """Files of an older release would get a sum as if they belonged to this one."""
    (tmp_path / "old.whl").touch()

    done = release(tmp_path)

    assert done.returncode == 1
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["old.whl"]


def test_what_is_not_committed_is_not_released(tmp_path):
    """A release that no commit gives can't be built again, nor looked at."""
    tree = tmp_path / "tree"
    subprocess.run(["git", "init", "--quiet", tree], check=True)
    for name in ("deploy/release.sh", "detector/__init__.py", "CHANGELOG.md"):
        (tree / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tree / name)

    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [tree / "deploy/release.sh"], env=environ, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "not committed" in done.stderr
    assert not (tree / "dist").exists()


def test_the_wheel_has_the_two_programs_and_the_demo(wheel):
    """What is missing is noticed by the first user, what is too much by nobody."""
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.partition("/")[0] for name in names}
    kinds = {Path(name).suffix for name in names if not name.startswith("anchorwatch-")}

    assert folders == {"detector", "training", f"anchorwatch-{__version__}.dist-info"}
    assert DEMO in names
    assert kinds <= {".py", ".xml", ".md", ".parquet", ".html", ".css", ".js", ".svg"}
    assert not [name for name in names if re.search(r"recordings|(^|/)test_|(^|/)tests/", name)]
    points = zipfile.ZipFile(wheel).read(f"anchorwatch-{__version__}.dist-info/entry_points.txt")
    assert b"anchorwatchd = detector.cli:main" in points
    assert b"anchorwatch = training.cli:main" in points


def test_the_source_has_what_the_wheel_is_built_from_and_what_runs_it(sdist):
    """Recordings are eight times the rest, and tests need the checkout around them."""
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]

    tops = {name.partition("/")[0] for name in names}
    assert {"detector", "training", "deploy", "docs", "pyproject.toml", "LICENSE"} <= tops
    assert {"README.md", "CHANGELOG.md", "requirements-daemon.lock"} <= tops
    assert not tops & {"tests", "build", "shared", ".ci", ".venv", "requirements.lock"}
    assert DEMO in names
    assert not [name for name in names if "recordings" in name or "__pycache__" in name]
    assert sdist.stat().st_size < 3e6


def test_the_source_gives_the_same_wheel(sdist, wheel, tmp_path):
    """A distribution that builds from the source gets what everybody else gets."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")

    subprocess.run(
        [
            Path(sys.executable).with_name("hatchling"),
            "build",
            "-t",
            "wheel",
            "-d",
            tmp_path / "d",
        ],
        cwd=tmp_path / f"anchorwatch-{__version__}",
        env=os.environ | TRIED_OUT,
        capture_output=True,
        check=True,
    )

    assert (tmp_path / "d" / wheel.name).read_bytes() == wheel.read_bytes()


def test_it_installs_where_nothing_else_is_and_works_there(wheel, bundle_path, tmp_path):
    """What works in a checkout may lean on it; users have none."""
    venv, away = tmp_path / "venv", tmp_path / "away"
    away.mkdir()
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANCHORWATCH", "PYTHON", "VIRTUAL_ENV"))
    }

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=away, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    run(sys.executable, "-m", "venv", venv)
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet"]
    wheels = daemon_wheels(f"{sys.version_info.major}.{sys.version_info.minor}")
    offline = ("--no-index", "--find-links", wheels)  # as if fetched, since others need it too
    lock = wheel.parent / f"anchorwatch-{__version__}.lock"
    run(*pip, *offline, "--require-hashes", "-r", lock)
    run(*pip, "--no-deps", "--no-index", wheel)
    run(venv / "bin/python", "-m", "pip", "check")

    assert run(venv / "bin/anchorwatchd", "--version") == f"anchorwatchd, version {__version__}\n"
    assert "replay" in run(venv / "bin/anchorwatch", "--help")
    environ["ANCHORWATCH__BUNDLE"] = str(bundle_path)
    assert "usable" in run(venv / "bin/anchorwatchd", "--check")
    shipped = "from detector.capture import SHIPPED; print(*SHIPPED.rglob('*.parquet'))"
    assert run(venv / "bin/python", "-c", shipped).startswith(str(venv))
    shutil.rmtree(venv)  # 500 MB
