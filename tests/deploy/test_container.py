"""The daemon's image: what is in it, what is not, and that it runs with nothing but a volume."""

import os
import re
import shutil
import socket
import stat
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from detector import __version__
from detector.bundle import load
from detector.window import Window, WindowSpec
from tests.daemon import Producer, Reader, Topics, wait_for
from tests.deploy.image import Image

ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "deploy" / "container"
USER = 10001
SETTINGS = "/etc/anchorwatch/anchorwatch.toml"
PACKAGES = "opt/anchorwatch/lib/python3.*/site-packages"
BOUND_MB = 350  # of what we put on the base image, 10**6 bytes; docs/containers.md says how much
COMPILERS = {"as", "c++", "cc", "clang", "g++", "gcc", "gfortran", "go", "ld", "make", "rustc"}
INSTALLERS = {"pip", "pip3", "uv", "conda"}


@pytest.fixture
def state(tmp_path, bundle_path) -> Path:
    """Give a folder for the image's volume, its user's, with a bundle in it."""
    folder = tmp_path / "state"
    shutil.copytree(bundle_path, folder / "bundles")
    for path in (folder, folder / "bundles", *(folder / "bundles").iterdir()):
        shutil.chown(path, USER, USER)
    folder.chmod(0o750)
    return folder


@pytest.fixture
def spec(bundle_path) -> WindowSpec:
    """Give what the bundle reads."""
    return load(bundle_path).manifest.window


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def locked(lock: str) -> set[str]:
    """Give the names of the packages that a lock pins."""
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / lock).read_text(), re.MULTILINE))


def files(image: Image) -> Iterator[tuple[Path, os.stat_result]]:
    """Give every file and folder of an image with what is known of it; follow no links."""
    for folder, folders, names in os.walk(image.root):
        for name in (*folders, *names):
            path = Path(folder, name)
            yield path, path.lstat()


def is_open(at: os.stat_result) -> bool:
    """Tell whether anybody, or the daemon's user, may change it and what is in it."""
    lasting = stat.S_ISREG(at.st_mode) or stat.S_ISDIR(at.st_mode)
    everybody = at.st_mode & stat.S_IWOTH and not at.st_mode & stat.S_ISVTX
    return bool(lasting and (everybody or USER in (at.st_uid, at.st_gid)))


def test_it_says_how_it_is_run(image):
    """An engine, and whoever looks at it, reads this and nothing else."""
    config = image.config

    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["anchorwatchd"]
    assert config["Cmd"] == ["--config", SETTINGS]
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["ExposedPorts"]) == ["9469/tcp"]
    assert list(config["Volumes"]) == ["/var/lib/anchorwatch"]
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Labels"]["org.opencontainers.image.title"] == "anchorwatch"
    check = config["Healthcheck"]
    assert check["Test"] == ["CMD", "anchorwatchd", "--healthy", "--config", SETTINGS]
    assert check["Timeout"] > 3e9  # nanoseconds: the command's own patience is 3 s


def test_its_user_may_read_the_settings(image):
    """Where the checkout was made with umask 077 nobody else might, and it would not start."""
    file = image.root / SETTINGS.lstrip("/")

    assert file.stat().st_mode & stat.S_IROTH


def test_it_has_the_packages_of_the_lock_and_no_others(image):
    """A package that nobody asked for is one more to patch; a missing one ends the daemon."""
    (packages,) = image.root.glob(PACKAGES)

    installed = {
        folder.name.partition("-")[0].replace("_", "-").lower()
        for folder in packages.glob("*.dist-info")
    }

    assert installed == locked("requirements-daemon.lock") | {"anchorwatch"}
    training = {"tensorflow", "keras", "matplotlib", "scikit-learn", "aeon", "optuna"}
    assert training <= locked("requirements-train.lock")
    assert not training & installed


def test_nothing_in_it_compiles_or_installs(image):
    """Who breaks in is to find no tools to go on with."""
    places = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "opt/anchorwatch/bin")
    found = {path.name for place in places for path in (image.root / place).glob("*")}

    ours = {path.name for path in (image.root / places[-1]).iterdir()}

    assert {"sh", "python3"} <= found
    assert not found & (COMPILERS | INSTALLERS)
    assert {name for name in ours if not name.startswith("python")} == {
        "anchorwatch",
        "anchorwatchd",
    }
    pips = [path for path, _ in files(image) if path.name in ("pip", "ensurepip")]
    assert pips == []


def test_nothing_in_it_gives_rights_or_can_be_changed_by_the_daemon(image):
    """A daemon that was taken over is to stay what it was: a user that owns one folder."""
    seen = list(files(image))

    raised = [path for path, at in seen if stat.S_ISREG(at.st_mode) and at.st_mode & 0o6000]
    changeable = [str(path.relative_to(image.root)) for path, at in seen if is_open(at)]

    assert len(seen) > 5000
    assert raised == []
    assert changeable == ["var/lib/anchorwatch"]


def test_nothing_of_the_machine_that_built_it_is_in_it(image):
    """Mirrors, proxies and their certificates are an organisation's own business."""
    lent = [line for line in image.lent.splitlines() if line != "[global]"]

    texts = [
        path.read_text(errors="ignore")
        for path, at in files(image)
        if stat.S_ISREG(at.st_mode) and path.suffix in (".conf", ".cfg", ".ini", ".toml", ".pth")
    ]
    environ = "\n".join(image.config["Env"])

    assert "lent-to-the-build" in lent[0]
    assert "Successfully installed" in image.said  # so the build had what it needed
    assert not (image.root / "etc" / "pip.conf").exists()
    assert not [path for path in image.root.glob("run/secrets/**/*") if path.is_file()]
    assert len(texts) > 10
    assert not any("lent-to-the-build" in text for text in texts)
    assert not any(line in image.history + environ for line in lent)
    assert not re.search(r"PIP_|PROXY|CERT|INDEX", environ, re.IGNORECASE)


def test_it_is_no_larger_than_the_docs_say(image):
    """It is fetched by every node that a daemon moves to."""
    done = subprocess.run(
        ["du", "--bytes", "--summarize", str(image.root / "opt" / "anchorwatch")],
        capture_output=True,
        text=True,
        check=True,
    )

    size_mb = int(done.stdout.split()[0]) / 1e6

    assert BOUND_MB / 2 < size_mb < BOUND_MB
    assert f"less than {BOUND_MB} MB" in (ROOT / "docs" / "containers.md").read_text()


def test_it_tells_its_version_and_needs_nothing_for_it(image):
    """What a script asks first. Nothing is mounted, not even a folder for temporary files."""
    done = image.container("--version").run()

    assert (done.returncode, done.stdout) == (0, f"anchorwatchd, version {__version__}\n")


def test_without_a_bundle_it_ends_with_78(image):
    """An engine that starts it again and again is to be told, in one line, what is missing."""
    done = image.container(name="empty").run()

    assert done.returncode == 78
    assert done.stderr.startswith("anchorwatchd: bundle /var/lib/anchorwatch/bundles: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_bundle_on_its_volume_can_be_checked(image, state):
    """What has to be asked before it takes over; all that judges has to be in the image."""
    done = image.container("--check", "--config", SETTINGS, name="check", state=state).run()

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("settings and bundle are usable: ")


def test_it_watches_links_and_stops_when_told(image, state, broker, spec):
    """The whole of a container's life: start, become well, judge, keep captures, stop with 0."""
    topics, port = Topics().create(broker), free_port()
    settings = topics.settings | {
        "ANCHORWATCH__KAFKA__BOOTSTRAP": broker.bootstrap,
        "ANCHORWATCH__HTTP__HOST": "127.0.0.1",  # for it is the host's network here
        "ANCHORWATCH__HTTP__PORT": str(port),
        "ANCHORWATCH__STORE__NORMAL_SHARE": "1",
        "ANCHORWATCH__STORE__FLUSH_SECONDS": "1",
    }
    health = image.config["Healthcheck"]["Test"][1:]
    ready = ["anchorwatchd", "--ready", "--config", SETTINGS]

    with image.container(name="daemon", state=state, environ=settings).running() as daemon:
        wait_for("health", lambda: daemon.execute(*health).returncode == 0)
        wait_for("ready", lambda: daemon.execute(*ready).stdout == "ready\n")
        with Producer(broker.direct, topics.windows, spec) as producer:
            producer.send([make(spec, number) for number in range(60)])
        verdicts = Reader(broker.direct, f"{topics.name}.verdicts")
        wait_for("verdicts", lambda: len(verdicts.ids()) == 60)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            page = answer.read().decode()
        kept = wait_for("captures", lambda: list(state.glob("captures/**/*.parquet")))
        assert daemon.stop() == 0, daemon.log()

    assert "anchorwatch_windows_total" in page
    assert {path.stat().st_uid for path in kept} == {USER}
    assert "Traceback" not in daemon.log()


def make(spec: WindowSpec, number: int) -> Window:
    """Make window *number* of a link, of this minute."""
    values = np.random.default_rng(number).uniform(0, 50, spec.shape).astype(np.float32)
    start_ms = (int(time.time()) // 60 * 60 + number) * 1000
    return Window("trunk-1", "probe-1", start_ms, start_ms + spec.span_ms, values)
