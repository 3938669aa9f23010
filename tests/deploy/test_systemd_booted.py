"""The daemon on a machine of its own, installed as an operator does, under a real systemd.

One machine for all tests of the file; each begins with the daemon at rest and settings of its own.
The machine has none of the newer kernel's control groups: what memory and tasks it may have is
checked in the units' text alone.
"""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from detector.cli import EX_CONFIG
from tests.broker import Broker
from tests.broker.proxy import Proxy, free_port
from tests.daemon import Topics, wait_for
from tests.deploy.debian import debian_root, laid_over
from tests.deploy.machine import Machine, booted
from tests.deploy.wheels import HOME, daemon_wheels, own_wheel
from tests.docs.following import blocks_of
from tests.fakes import make_bundle, make_capture

DOCUMENT = HOME / "docs/systemd.md"
DAEMON, RETRAIN = "anchorwatchd.service", "anchorwatch-retrain.service"
SOURCE, WHEELS = "/srv/anchorwatch", "/srv/wheels"
INSTALL = f"{SOURCE}/deploy/systemd/install.sh"
BUNDLES, CAPTURES = "/var/lib/anchorwatch/bundles", "/var/lib/anchorwatch/captures"
SECRET = "kafka-secret-7f3a9c"
RELOADS = 5

# Of docs/operations.md, and where they keep it.
BACKUP, RESTORE = (block.commands for block in blocks_of("operations.md")[2:4])
KEPT = "/srv/anchorwatch-backup.tar.gz"
# All of what the daemon replays of a link.
DAY = ("--link", "a/access", "--from", "2023-11-01", "--to", "2023-12-01")

SETTINGS = """
bundle = "/var/lib/anchorwatch/bundles"
source = "captures"
sinks = ["terminal"]

[captures]
paths = ["/srv/day.parquet"]
speed = 10

[events]
gather_seconds = 0

[store]
flush_seconds = 1

[http]
port = {port}
"""

KAFKA = """
bundle = "/var/lib/anchorwatch/bundles"

[kafka]
bootstrap = "{bootstrap}"
session_seconds = 6
{topics}

[http]
port = {port}
"""


@dataclass(frozen=True)
class Installed:
    """A machine with the daemon on it."""

    machine: Machine
    wheel: str  # its path on the machine
    port: int  # where the daemon is to listen

    def install(self, *more: str, umask: str = "022") -> str:
        """Run the installer, without a network."""
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS}
        shell = ("/bin/sh", "-c", f'umask {umask}; exec "$@"', "sh")
        return self.machine.run(*shell, INSTALL, *more, **offline).stdout

    def write(self, path: str, text: str) -> None:
        """Put a file on the machine."""
        file = self.machine.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def begin(self, settings: str, **changed: str) -> None:
        """Put the daemon at rest, with *settings* and a unit that is *changed* in [Service]."""
        machine = self.machine
        machine.run("systemctl", "stop", DAEMON)
        machine.run("systemctl", "reset-failed", DAEMON, check=False)
        self.write("/etc/anchorwatch/anchorwatch.toml", settings)
        lines = "\n".join(f"{name}={value}" for name, value in changed.items())
        self.write(f"/etc/systemd/system/{DAEMON}.d/test.conf", f"[Service]\n{lines}\n")
        machine.run("systemctl", "daemon-reload")

    def start(self) -> None:
        """Start the daemon, and wait until it is ready, as `systemctl start` does."""
        self.machine.run("systemctl", "start", DAEMON)

    def show(self, name: str) -> str:
        """Give a property of the daemon's unit."""
        return self.machine.show(DAEMON, name)

    def signal(self, name: str) -> None:
        """Send the daemon's process a signal behind systemd's back."""
        self.machine.run("/bin/sh", "-c", f"kill -{name} {self.show('MainPID')}")

    def find(self, folder: str, *what: str) -> list[str]:
        """Give what is in a folder of the machine."""
        return self.machine.run("find", f"{folder}/", *what).stdout.splitlines()

    def owners(self, folder: str) -> set[str]:
        """Give whose a folder of the machine is, and all that is in it."""
        return set(self.find(folder, "-printf", "%U\n"))

    def label(self, *words: str) -> str:
        """Say what was captured, or list it, as an operator does."""
        config = ("--config", "/etc/anchorwatch/anchorwatch.toml")
        return self.machine.run("anchorwatch", "label", *words, *config).stdout

    def follow(self, commands: str) -> str:
        """Run commands of a page, in a shell of root's that ends where one fails."""
        done = self.machine.run("bash", "-euo", "pipefail", "-c", commands)
        return done.stdout + done.stderr

    @property
    def replay(self) -> str:
        """Settings of a daemon that needs no broker."""
        return SETTINGS.format(port=self.port)


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    """Boot a machine, and install the daemon on it from a wheel, as docs/systemd.md says."""
    with ExitStack() as closing:
        work = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="anchorwatch-")))
        root = closing.enter_context(laid_over(debian_root(), work))
        source = root / SOURCE.lstrip("/")
        shutil.copytree(HOME / "deploy", source / "deploy")
        shutil.copy(HOME / "requirements-daemon.lock", source)
        python = (root / "usr/bin/python3").readlink().name.removeprefix("python")
        shutil.copytree(daemon_wheels(python), root / WHEELS.lstrip("/"))
        wheel = own_wheel(source)
        make_bundle(root / "srv/bundle")
        day = {"a/access": ["normal"] * 12 + ["blocked"] * 7200, "b/access": ["normal"] * 7200}
        make_capture(root / "srv/day.parquet", day)
        machine = closing.enter_context(booted(root))
        made = Installed(machine, f"{SOURCE}/{wheel.name}", free_port())
        said = made.install("--wheel", made.wheel)
        assert "anchorwatch bundles" in said  # what to do next
        machine.run("anchorwatch", "bundles", BUNDLES, "--add", "/srv/bundle")
        yield made


def test_it_is_ready_once_it_has_something_to_read_from_and_says_how_it_stands(installed):
    """`systemctl start` that comes back means that links are watched."""
    installed.begin(installed.replay)

    installed.start()

    assert installed.show("ActiveState") == "active"
    line = r"2 links(, \d+ [a-z-]+)*; \d+ windows/s; bundle [0-9a-f]{12}"
    wait_for("a status", lambda: re.fullmatch(line, installed.show("StatusText")))
    wait_for("the fault", lambda: ", 1 blocked;" in installed.show("StatusText"))


def test_it_runs_with_few_rights(installed):
    """What systemd-analyze says of the unit is true of the process, and the encoder runs."""
    installed.begin(installed.replay)
    installed.start()

    pid = installed.show("MainPID")
    status = dict(
        line.split(":", 1)
        for line in installed.machine.run("cat", f"/proc/{pid}/status").stdout.splitlines()
    )

    assert int(status["Uid"].split()[0]) >= 61184  # of those that systemd lends
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    assert "engine=onnxruntime" in installed.machine.journal(DAEMON)


def test_a_hangup_is_a_reload_that_systemctl_waits_for(installed):
    """A script that reloads and goes on must not find the old bundle in use."""
    installed.begin(installed.replay)
    installed.start()
    pid, since = installed.show("MainPID"), installed.machine.cursor()

    installed.machine.run("systemctl", "reload", DAEMON)

    said = installed.machine.journal(DAEMON, since)
    assert "bundle is the one in use" in said
    assert (installed.show("MainPID"), installed.show("ActiveState")) == (pid, "active")

    installed.signal("HUP")  # past systemctl
    said = wait_for("it again", lambda: _twice(installed.machine.journal(DAEMON, since)))
    assert said
    assert installed.show("ActiveState") == "active"


def _twice(journal: str) -> bool:
    return journal.count("bundle is the one in use") == 2


def test_a_reload_waits_also_for_a_daemon_that_hears_of_it_late(installed):
    """Had it said nothing when the reload's command ends, systemd would take that for done."""
    installed.begin(installed.replay)
    installed.start()
    pid, since = installed.show("MainPID"), installed.machine.cursor()

    for _ in range(RELOADS):
        late = f"kill -STOP {pid}; systemctl reload {DAEMON} & sleep 0.4; kill -CONT {pid}; wait"
        installed.machine.run("/bin/sh", "-c", late)

    told = {"bundle is the one in use": "looked", "Reloaded anchorwatchd": "back"}
    said = installed.machine.journal(DAEMON, since)
    order = [told[part] for part in re.findall("|".join(told), said)]
    assert order == ["looked", "back"] * RELOADS


def test_the_watchdog_ends_a_daemon_that_hangs_and_only_such_a_one(installed):
    """A process that is there and judges nothing is the fault that nobody notices."""
    installed.begin(installed.replay, WatchdogSec="3", RestartSec="0.1")
    installed.start()
    pid, since = installed.show("MainPID"), installed.machine.cursor()
    hours = "WatchdogTimestampMonotonic"
    first = int(installed.show(hours))
    wait_for("three watchdog's times", lambda: int(installed.show(hours)) > first + 9_000_000)
    assert installed.show("MainPID") == pid

    installed.signal("STOP")
    wait_for("another daemon", lambda: installed.show("MainPID") not in (pid, "0"))
    wait_for("it ready", lambda: installed.show("ActiveState") == "active")

    said = installed.machine.journal(DAEMON, since)
    assert "Watchdog timeout" in said
    assert "Failed with result 'watchdog'" in said
    assert "in step" in said  # where it hung
    assert installed.show("NRestarts") == "1"


def test_settings_that_can_not_be_used_are_tried_once(installed):
    """They don't mend by starting again, and a log full of it hides why."""
    installed.begin(installed.replay + "misspelt = 1\n", RestartSec="0.1")

    started = installed.machine.run("systemctl", "start", DAEMON, check=False)
    # The partner: an end that may mend is followed by a start.
    state = installed.show("ActiveState"), installed.show("ExecMainStatus")
    restarts = installed.show("NRestarts")
    installed.begin(installed.replay, RestartSec="0.1")
    installed.start()
    installed.signal("KILL")
    wait_for("a restart", lambda: installed.show("NRestarts") == "1")

    assert started.returncode != 0
    assert state == ("failed", str(EX_CONFIG))
    assert restarts == "0"
    assert "misspelt" in installed.machine.journal(DAEMON)


def test_it_stops_within_seconds_and_keeps_what_it_captured(installed):
    """An upgrade takes as long."""
    installed.begin(installed.replay)
    installed.start()
    wait_for("the fault", lambda: ", 1 blocked;" in installed.show("StatusText"))
    since = installed.machine.cursor()

    installed.machine.run("systemctl", "stop", DAEMON, seconds=10)

    assert installed.show("ActiveState") == "inactive"
    assert (installed.show("Result"), installed.show("ExecMainStatus")) == ("success", "0")
    assert "detector.cli: stopped" in installed.machine.journal(DAEMON, since)
    captures = installed.machine.run("find", f"{CAPTURES}/", "-name", "*.parquet").stdout
    assert "/fault/" in captures


def test_an_operator_says_what_was_captured(installed):
    """The state belongs to a user whose number nobody chose: the command runs as that one."""
    installed.begin(installed.replay)
    installed.start()
    config = ("--config", "/etc/anchorwatch/anchorwatch.toml")
    label = ("anchorwatch", "label")
    wait_for(
        "an episode",
        lambda: "blocked" in installed.machine.run(*label, "list", *config, check=False).stdout,
    )

    what = ("--link", "a/access", "--from", "2023-11-01", "--to", "2023-12-01")
    installed.machine.run(*label, "confirm", *what, *config, SUDO_USER="mara")

    history = installed.machine.run(*label, "history", *config).stdout
    # As docs/systemd.md says for other programs, on one line.
    (backup,) = re.findall(
        r"(?m)^    sudo (systemd-run [^>]*?)>", DOCUMENT.read_text().replace("\\\n", " ")
    )
    kept = installed.machine.run("/bin/sh", "-c", f"{backup} | tar tz").stdout

    assert "mara" in history
    assert "./bundles/history.jsonl" in kept
    owners = installed.machine.run("find", f"{CAPTURES}/", "-printf", "%u %U\n").stdout
    assert len(set(owners.splitlines())) == 1  # the daemon's, the labels too
    installed.machine.run("systemctl", "restart", DAEMON)  # which goes on writing there


def test_a_backup_of_the_first_day_takes_nothing_from_the_daemon(installed):
    """It is made before anything was named or enrolled, and by root, who may write everywhere."""
    installed.begin(installed.replay)
    installed.start()
    installed.machine.run("rm", "-rf", f"{CAPTURES}/labels")
    wait_for("a fault", lambda: "blocked" in installed.label("list"))
    owner = installed.owners(CAPTURES)

    said = installed.follow(BACKUP)
    first = installed.machine.run("tar", "tzf", KEPT).stdout
    owners = installed.owners(CAPTURES)
    installed.label("confirm", *DAY)
    installed.follow(BACKUP)
    second = installed.machine.run("tar", "tzf", KEPT).stdout

    assert "0 anchors: nothing is enrolled" in said
    assert ("bundles/current" in first, "captures" in first) == (True, False)
    assert "captures/labels/" in second
    assert owners == owner  # a folder of root's would be closed to whoever names things


def test_a_backup_is_restored_on_a_new_machine_and_the_daemon_goes_on(installed):
    """Word for word as docs/operations.md has it: whoever restores has had a bad day already."""
    installed.begin(installed.replay)
    installed.start()
    wait_for("a fault", lambda: "blocked" in installed.label("list"))
    installed.label("confirm", *DAY)
    installed.follow(BACKUP)
    history, since = installed.label("history"), installed.machine.cursor()
    installed.machine.run("systemctl", "stop", DAEMON)
    installed.machine.run("rm", "-rf", "/var/lib/private/anchorwatch", "/var/lib/anchorwatch")

    said = installed.follow(RESTORE)
    installed.start()
    wait_for("captures", lambda: installed.find(CAPTURES, "-path", "*/fault/*.parquet"))

    assert "usable" in said
    assert "0 imported" in said
    assert installed.label("history") == history
    assert len(installed.owners("/var/lib/anchorwatch")) == 1
    assert "captures can't be written" not in installed.machine.journal(DAEMON, since)
    installed.label("reject", *DAY)  # who names things may go on too


def test_who_is_not_root_is_told_how(installed):
    """Rather than that a folder isn't there."""
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

    told = installed.machine.run(*nobody, "anchorwatch", "label", "list", check=False)

    assert told.returncode == 1
    assert "sudo anchorwatch" in told.stderr


def test_a_secret_is_the_daemons_alone(installed):
    """It comes from a file that is root's, and is seen by nobody else on the machine."""
    secret = "etc/credstore/anchorwatch.kafka-password"
    login = '[kafka.sasl]\nmechanism = "SCRAM-SHA-512"\nusername = "anchorwatch"\n'
    login += 'password_file = "anchorwatch.kafka-password"\n'
    away = KAFKA.format(bootstrap=f"127.0.0.1:{free_port()}", topics="", port=installed.port)
    installed.begin(away + login)
    without = installed.machine.run("systemctl", "start", DAEMON, check=False)
    state = installed.show("ExecMainStatus")
    since = installed.machine.cursor()

    installed.write(secret, f"{SECRET}\n")
    (installed.machine.root / secret).chmod(0o600)
    installed.begin(away + login)
    installed.machine.run("systemctl", "start", "--no-block", DAEMON)
    wait_for("it has read it", lambda: "waiting" in installed.show("StatusText"))
    config = ("--config", "/etc/anchorwatch/anchorwatch.toml")
    checked = installed.machine.run("anchorwatchd", "--check", *config)

    assert without.returncode != 0
    assert state == str(EX_CONFIG)
    place = f"/run/credentials/{DAEMON}/anchorwatch.kafka-password"
    pid = installed.show("MainPID")
    user = re.findall(r"Uid:\s+(\d+)", installed.machine.run("cat", f"/proc/{pid}/status").stdout)
    owner = installed.machine.run("stat", "--format=%u %a", place).stdout.split()
    assert owner == [user[0], "400"]
    assert "usable" in checked.stdout
    assert SECRET not in checked.stdout + checked.stderr
    assert SECRET not in installed.machine.journal(DAEMON, since)
    assert SECRET not in installed.machine.run("systemctl", "status", DAEMON, check=False).stdout


def test_without_a_broker_it_is_neither_ready_nor_killed(installed):
    """A broker that is away all night is no reason to give up, nor to say that all is well."""
    away = KAFKA.format(bootstrap=f"127.0.0.1:{free_port()}", topics="", port=installed.port)
    installed.begin(away, TimeoutStartSec="5", WatchdogSec="6", RestartSec="0.1")
    installed.machine.run("systemctl", "start", "--no-block", DAEMON)
    wait_for("a status", lambda: "waiting for the broker" in installed.show("StatusText"))
    pid, began = installed.show("MainPID"), time.monotonic()

    wait_for("longer than a start may take", lambda: time.monotonic() - began > 8)
    waited = installed.show("MainPID"), installed.show("ActiveState")
    line = installed.show("StatusText")
    installed.signal("STOP")
    wait_for("another", lambda: installed.show("MainPID") not in (pid, "0"))

    assert waited == (pid, "activating")
    assert line.startswith("waiting for the broker 127.0.0.1:")
    assert "start operation timed out" in installed.machine.journal(DAEMON)


def test_with_a_broker_it_is_ready_once_partitions_are_its_own(
    installed, broker: Broker, proxy: Proxy
):
    """The first assignment, not the first connection: until then nobody watches the links."""
    topics = Topics().create(broker)
    named = "\n".join(
        f'{key.rpartition("__")[2].lower()} = "{name}"' for key, name in topics.settings.items()
    )
    proxy.cut()
    settings = KAFKA.format(bootstrap=broker.bootstrap, topics=named, port=installed.port)
    installed.begin(settings)
    installed.machine.run("systemctl", "start", "--no-block", DAEMON)
    wait_for("it waits", lambda: "waiting for the broker" in installed.show("StatusText"))
    before = installed.show("ActiveState")

    proxy.resume()
    wait_for("ready", lambda: installed.show("ActiveState") == "active")

    assert before == "activating"
    assert re.match("0 links; 0 windows/s, lag 0; bundle", installed.show("StatusText"))
    proxy.cut()
    wait_for("said", lambda: "nothing of the broker" in installed.show("StatusText"), 60)
    assert installed.show("ActiveState") == "active"


def test_a_night_without_drift_is_green(installed):
    """The timer's service asks the daemon, and promotes nothing in any case."""
    installed.begin(installed.replay)
    installed.start()
    # Of what training needs there is nothing here; it is asked for last, and only if it drifts.
    packages = next(
        (installed.machine.root / "opt/anchorwatch/lib").glob("python3*/site-packages")
    )
    (packages / "keras").mkdir()
    drift = f"IF_DRIFT=--if-drift 127.0.0.1:{installed.port}\n"
    installed.write("/etc/anchorwatch/retrain.env", drift)

    installed.machine.run("systemctl", "start", RETRAIN)
    installed.machine.run("systemctl", "enable", "--now", "anchorwatch-retrain.timer")

    assert "no drift: none of 1 daemons" in installed.machine.journal(RETRAIN)
    timers = json.loads(
        installed.machine.run("systemctl", "list-timers", "--output=json", "--all").stdout
    )
    (timer,) = [one for one in timers if one["activates"] == RETRAIN]
    assert timer["next"]


def test_it_runs_whatever_umask_it_was_installed_with(installed):
    """Where root's files are root's alone, the daemon's user could not run a program of root's."""
    installed.begin(installed.replay)
    # As such an umask left it once: installing again mends it.
    installed.machine.run("chmod", "-R", "go=", "/opt/anchorwatch")

    installed.install("--wheel", installed.wheel, umask="077")

    installed.start()
    closed = ("!", "-type", "l", "!", "-perm", "-o=r")
    assert installed.find("/opt/anchorwatch", *closed) == []


def test_another_version_takes_over_and_settings_and_state_stay(installed):
    """To install is to upgrade; and to take it away leaves what nobody can make again."""
    installed.begin(installed.replay)
    installed.start()
    pid = installed.show("MainPID")
    machine = installed.machine

    again = installed.install("--wheel", installed.wheel)
    wait_for("the new one", lambda: installed.show("MainPID") not in (pid, "0"))
    wait_for("it ready", lambda: installed.show("ActiveState") == "active")
    settings = machine.run("cat", "/etc/anchorwatch/anchorwatch.toml").stdout
    gone = installed.install("--uninstall")

    assert "anchorwatch bundles" not in again  # there is a store
    assert settings == installed.replay
    assert "/var/lib/private/anchorwatch" in gone
    left = machine.run("ls", "/var/lib/private/anchorwatch", "/etc/anchorwatch").stdout.split()
    assert {"bundles", "captures", "anchorwatch.toml", "retrain.env"} <= set(left)
    assert machine.run("systemctl", "cat", DAEMON, check=False).returncode != 0
    assert not (machine.root / "opt/anchorwatch").exists()
