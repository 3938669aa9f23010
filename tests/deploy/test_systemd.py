"""The units for systemd: that systemd reads them, what they let a daemon do, whom they agree with.

What needs no machine of its own; `test_systemd_booted` runs them.
"""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from detector import kafka_source, kafka_states, reload
from detector.cli import EX_CONFIG
from detector.cli import main as daemon
from detector.config import Http, Store
from detector.loading import load
from detector.store import store_folder
from tests.deploy.units import FOLDER, read, seconds
from training.retraining.cli import retrain

HOME = Path(__file__).parents[2]
DAEMON, RETRAIN, TIMER = (
    "anchorwatchd.service",
    "anchorwatch-retrain.service",
    "anchorwatch-retrain.timer",
)
PROGRAMS = "/opt/anchorwatch/bin/"
MOST_EXPOSED = 1.5
SETTINGS = "/etc/anchorwatch/anchorwatch.toml"


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Ask systemd-analyze."""
    program = shutil.which("systemd-analyze")
    if not program:
        pytest.skip("systemd-analyze is not on the PATH")
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_reads_the_units_without_a_complaint(tmp_path):
    """Of a name that it doesn't know it only warns: what that was to protect stays open."""
    for file in FOLDER.glob("*.[st]*e*"):
        if file.suffix in (".service", ".timer"):
            # Its programs are not installed here; some that are stand for them.
            text = file.read_text().replace(PROGRAMS, "/usr/bin/env ")
            (tmp_path / file.name).write_text(text)
    units = sorted(tmp_path.iterdir())

    done = analyze("verify", "--man=no", *units)

    assert [unit.name for unit in units] == sorted([DAEMON, RETRAIN, TIMER])
    assert done.stderr == ""
    assert done.returncode == 0


def test_systemd_reads_what_the_documents_put_beside_the_unit(tmp_path):
    """Examples are copied as they are."""
    text = (HOME / "docs/systemd.md").read_text()
    examples = re.findall(r"(?m)^    \[Service\]\n((?:    .+\n)+)", text)
    unit = tmp_path / DAEMON
    unit.write_text((FOLDER / DAEMON).read_text().replace(PROGRAMS, "/usr/bin/env "))
    beside = tmp_path / f"{DAEMON}.d" / "test.conf"
    beside.parent.mkdir()

    assert len(examples) == 2  # secrets from elsewhere, a GPU
    for example in examples:
        lines = [line.strip() for line in example.splitlines()]
        beside.write_text("\n".join(["[Service]", *lines]))
        assert analyze("verify", "--man=no", unit).stderr == ""
    beside.write_text("[Service]\nMisspelt=yes\n")
    assert "Misspelt" in analyze("verify", "--man=no", unit).stderr


def test_a_name_that_systemd_does_not_know_would_be_noticed(tmp_path):
    """The partner of the test before: silence means something."""
    unit = tmp_path / DAEMON
    text = (FOLDER / DAEMON).read_text().replace(PROGRAMS, "/usr/bin/env ")
    unit.write_text(text.replace("NoNewPrivileges=", "NoNewPrivilege="))

    assert "NoNewPrivilege" in analyze("verify", "--man=no", unit).stderr


@pytest.mark.parametrize("name", [DAEMON, RETRAIN])
def test_little_is_exposed(name):
    """Whoever takes over a program that reads a network's counters has not taken the machine."""
    done = analyze("security", "--offline=true", "--no-pager", FOLDER / name)

    found = re.search(rf"Overall exposure level for {name}: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSED
    documented = re.search(rf"`{name}` \| ([0-9.]+)", (HOME / "docs/systemd.md").read_text())
    assert documented, "docs/systemd.md says how much is exposed"
    # Versions of systemd count differently.
    assert float(documented[1]) == pytest.approx(float(found[1]), abs=0.3)


def test_the_daemon_is_started_as_the_daemon_is_called():
    """A flag that is renamed, or a file that lies elsewhere, is noticed here, not on a Monday."""
    (command,) = read(DAEMON)["Service"]["ExecStart"]
    program, *arguments = shlex.split(command)

    scripts = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]["scripts"]
    assert program.removeprefix(PROGRAMS) in scripts
    context = daemon.make_context("anchorwatchd", arguments)
    assert context.params["config"] == Path(SETTINGS)
    assert context.params["check"] is False


def test_what_does_not_mend_is_not_started_again():
    """Wrong usage and settings stay wrong; all else that fails comes up again by itself."""
    service = read(DAEMON)["Service"]

    (codes,) = service["RestartPreventExitStatus"]
    assert set(map(int, codes.split())) == {2, EX_CONFIG}
    assert service["Restart"] == ["on-failure"]
    assert read(DAEMON)["Unit"]["StartLimitIntervalSec"] == ["0"]


def test_the_watchdog_is_slower_than_anything_that_the_loop_may_do():
    """A watchdog that ends a daemon at work is worse than none."""
    service = read(DAEMON)["Service"]
    (watchdog,) = map(seconds, service["WatchdogSec"])

    # Told by nothing in between, in one step at the worst: a reading that times out, and what
    # the Kafka clients may take round it.
    clients = kafka_source.CONNECT_MS + kafka_source.COMMIT_MS + kafka_source.ASK_MS
    clients += 2 * kafka_states.CONNECT_MS
    assert watchdog > kafka_states.READ_SECONDS + clients / 1000
    # /healthz says so first, and whoever asks it is warned.
    assert watchdog > Http().stalled_seconds
    (stop,) = map(seconds, service["TimeoutStopSec"])
    closing = kafka_source.CLOSE_MS + 2 * kafka_states.CLOSE_MS
    assert stop > reload.END_SECONDS + 10 + closing / 1000  # ten: captures that are written


def test_all_have_one_user_and_one_state():
    """Two users would lock each other out: systemd gives the folder to whoever starts."""
    alike = ("DynamicUser", "User", "StateDirectory", "StateDirectoryMode", "UMask")
    service, retraining = read(DAEMON)["Service"], read(RETRAIN)["Service"]
    command = (FOLDER / "anchorwatch").read_text()

    for name in alike:
        (value,) = service[name]
        assert retraining[name] == [value]
        assert f"--property={name}={value}" in command


def test_settings_and_units_mean_the_same_folders():
    """The daemon writes below its state and nowhere else, or it could not write at all."""
    (name,) = read(DAEMON)["Service"]["StateDirectory"]
    state = f"/var/lib/{name}"
    shipped = load(HOME / "deploy" / "anchorwatch.toml", {})

    assert Path(shipped.bundle) == Path(state, "bundles")
    assert store_folder(shipped.store, {"STATE_DIRECTORY": state}) == Path(state, "captures")
    assert shipped.store == Store()
    condition = read(RETRAIN)["Unit"]["ConditionPathIsSymbolicLink"]
    assert condition == [f"{shipped.bundle}/current"]


def test_a_secret_that_is_not_there_is_no_failure():
    """One unit for a broker without a login and for one with: a path would make it a must."""
    loaded = read(DAEMON)["Service"]["LoadCredential"]
    command = (FOLDER / "anchorwatch").read_text()

    assert len(loaded) == 5
    for name in loaded:
        assert re.fullmatch("anchorwatch.kafka-[a-z-]+", name)
        assert name.removeprefix("anchorwatch.kafka-") in command
        assert f"`{name}`" in (HOME / "docs/systemd.md").read_text()


def test_nobody_is_told_that_the_daemon_runs():
    """ONNX Runtime sends its maker word of each machine, unless it is told not to."""
    for text in (FOLDER / DAEMON, FOLDER / RETRAIN, FOLDER / "anchorwatch"):
        assert "ORT_DISABLE_TELEMETRY=1" in text.read_text()


def test_the_retraining_says_what_the_tool_takes(tmp_path):
    """With all that retrain.env could say, as systemd takes its lines apart."""
    (command,) = read(RETRAIN)["Service"]["ExecStart"]
    (file,) = read(RETRAIN)["Service"]["EnvironmentFile"]
    lines = re.findall(r"(?m)^#?([A-Z_]+)=(.*)$", (FOLDER / "retrain.env").read_text())
    program, name, *words = shlex.split(command)

    arguments = [part for word in words for part in _words(word, dict(lines))]
    settings = tmp_path / "anchorwatch.toml"
    settings.write_text('bundle = "b"')
    base = tmp_path / "base"
    base.mkdir()
    given = {SETTINGS: str(settings), "/srv/anchorwatch/base": str(base)}
    context = retrain.make_context(name, [given.get(word, word) for word in arguments])

    assert file == "/etc/anchorwatch/retrain.env"
    assert (program, name) == (f"{PROGRAMS}anchorwatch", "retrain")
    assert {f"${name}" for name, _ in lines} == {word for word in words if word[0] == "$"}
    assert context.params["is_tried"] is True
    assert context.params["asked"] == (f"127.0.0.1:{Http().port}",)
    assert context.params["captures"] == (base,)
    assert not {"--force", "promote"} & set(arguments)


def _words(word: str, environ: dict[str, str]) -> list[str]:
    return environ[word[1:]].split() if word.startswith("$") else [word]


def test_the_retraining_gets_what_others_leave():
    """It runs beside a daemon that must not fall behind for it."""
    service = read(RETRAIN)["Service"]

    assert service["Nice"] == ["19"]
    assert service["CPUWeight"] == ["10"]
    assert service["IOSchedulingClass"] == ["idle"]
    assert service["MemoryMax"] == ["8G"]
    # TensorFlow makes code while it runs.
    assert "MemoryDenyWriteExecute" not in service
    assert read(DAEMON)["Service"]["MemoryDenyWriteExecute"] == ["yes"]


def test_the_timer_is_of_the_night_and_of_no_hour_that_all_have():
    """And a night that was missed is made up for."""
    timer = read(TIMER)["Timer"]

    (when,) = timer["OnCalendar"]
    assert "03:00:00" in analyze("calendar", when).stdout
    assert seconds(timer["RandomizedDelaySec"][0]) == 3600
    assert timer["Persistent"] == ["yes"]
    assert read(TIMER)["Install"]["WantedBy"] == ["timers.target"]


@pytest.mark.parametrize("name", ["install.sh", "anchorwatch"])
def test_the_scripts_are_programs(name):
    """A checkout keeps who may run them; their shell finds no mistake in them."""
    script = FOLDER / name
    shell = "bash" if name.endswith(".sh") else "sh"

    assert script.stat().st_mode & 0o111
    subprocess.run([shell, "-n", script], check=True)


def test_the_installer_says_how_it_is_called_and_needs_root_only_for_the_rest():
    """Whoever mistypes a flag reads the two lines, and nothing is changed."""
    done = subprocess.run(
        [FOLDER / "install.sh", "--misspelt"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert [line.split()[1] for line in done.stderr.splitlines()] == [
        "deploy/systemd/install.sh"
    ] * 2


def test_defaults_that_the_documents_name_are_the_units():
    """What an operator reads is what runs."""
    text = (HOME / "docs/systemd.md").read_text()
    service = read(DAEMON)["Service"]

    for name in ("WatchdogSec", "TimeoutStartSec", "TimeoutStopSec", "MemoryMax", "RestartSec"):
        (value,) = service[name]
        assert f"`{name}={value}`" in text
