"""`anchorwatchd` as a process: what it prints, and with which code it ends."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from detector import __version__
from tests.fakes import make_bundle, make_capture

PROGRAM = [sys.executable, "-c", "from detector.cli import main; main(prog_name='anchorwatchd')"]
HEAVY = {"tensorflow", "keras", "kafka", "pandas", "matplotlib", "onnxruntime", "onnx", "rich"}
PATIENCE_SECONDS = 60.0  # a wait longer than this is a failure, not a slow machine
LABELS = ["normal"] * 8 + ["blocked"] * 8


def environ(**settings):
    """Give the environment of a daemon with these settings and no others."""
    inherited = {key: text for key, text in os.environ.items() if "ANCHORWATCH" not in key}
    return inherited | {f"ANCHORWATCH__{key}": str(text) for key, text in settings.items()}


def run(*arguments, **settings):
    """Run the program to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=environ(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def modules_after(code):
    """Run Python code in a process of its own, and give the packages that it imported."""
    listing = "; import json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code + listing],
        env=environ(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def replay(tmp_path, **settings):
    """Give the settings of a daemon that replays a small capture to the terminal."""
    make_bundle(tmp_path / "bundle")
    capture = make_capture(tmp_path / "a.parquet", {"run-1/access": LABELS, "run-1/core": LABELS})
    return {
        "BUNDLE": tmp_path / "bundle",
        "SOURCE": "captures",
        "SINKS": "terminal",
        "CAPTURES__PATHS": capture,
        "CAPTURES__SPEED": 1e6,
        "ENGINE__NAME": "onnxruntime",
        "ENGINE__THREADS": 1,
        "HTTP__PORT": 0,
    } | settings


def only_line(done):
    """Give the one line that a program wrote to stderr, having written nothing else."""
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_help_answers_at_once():
    """Whoever asks what the flags are does not wait ten seconds for TensorFlow."""
    code = "from detector.cli import main; main(['--help'], standalone_mode=False)"

    packages = modules_after(code)

    assert "click" in packages
    assert packages & HEAVY == set()
    assert "numpy" not in packages


def test_help_and_version_say_what_they_should():
    """The flags and the exit codes are all that an operator has to know of the command line."""
    text, version = run("--help"), run("--version")

    assert (text.returncode, version.returncode) == (0, 0)
    for word in ("--config", "--check", "78", "ANCHORWATCH__TABLE__SETTING"):
        assert word in text.stdout
    assert version.stdout == f"anchorwatchd, version {__version__}\n"


def test_a_daemon_on_kafka_carries_nothing_of_the_bench(tmp_path):
    """TensorFlow and pandas are six hundred megabytes of memory that a daemon has no use for."""
    make_bundle(tmp_path / "b")
    code = f"""
import threading
from detector.assembly import assemble
from detector.loading import load
from detector.metrics import Metrics
from detector.oncall.opening import open_model
settings = load(None, {{"ANCHORWATCH__BUNDLE": {str(tmp_path / "b")!r},
                        "ANCHORWATCH__ENGINE__NAME": "onnxruntime"}})
model = open_model(settings)
assemble(settings, model, Metrics(("normal",), 10), threading.Event(), "")"""

    packages = modules_after(code)

    assert {"kafka", "onnxruntime"} <= packages
    assert packages & {"tensorflow", "keras", "pandas", "matplotlib", "rich", "training"} == set()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "missing required field `bundle`"),
        ({"BUNDLE": "/nowhere"}, "bundle /nowhere: manifest.json: No such file or directory"),
        ({"BUNDLE": "b", "BUNDEL": "b"}, "unknown field `bundel`"),
        ({"BUNDLE": "b", "HTTP__PROT": "1"}, "unknown field `prot`"),
        ({"BUNDLE": "b", "STATE__AGREE": "2"}, "unknown field `agree` - at `$.state`"),
        ({"BUNDLE": "b", "STATE__EVIDENCE": "0"}, "$.state.evidence"),
        ({"BUNDLE": "b", "EVENTS__GROUP": "(a)(b)"}, "[events] group '(a)(b)' has 2 capturing"),
        ({"BUNDLE": "b", "HTTP__PORT": "http"}, "$.http.port"),
    ],
)
def test_settings_that_can_not_be_used_end_with_78_and_one_line(settings, words):
    """On 78 the unit file does not restart; the line is all that somebody at night will read."""
    done = run(**settings)

    assert done.returncode == 78
    assert only_line(done).startswith("anchorwatchd: ")
    assert words in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bundle = ", "not TOML"),
        ("bundle = 'b'\n[kakfa]\n", "unknown field `kakfa`"),
        (None, "No such file"),
    ],
)
def test_a_settings_file_that_can_not_be_used_ends_with_78_and_is_named(tmp_path, text, words):
    """The path is in the line, since a unit file and a shell seldom mean the same one."""
    file = tmp_path / "anchorwatch.toml"
    if text is not None:
        file.write_text(text)

    done = run("--config", file)

    assert done.returncode == 78
    assert only_line(done).startswith(f"anchorwatchd: {file}: ")
    assert words in done.stderr


def test_a_bundle_that_was_altered_ends_with_78_and_one_line(tmp_path):
    """A half copied model must not judge a single window."""
    make_bundle(tmp_path / "b")
    with (tmp_path / "b" / "weights.safetensors").open("ab") as file:
        file.write(b"?")

    done = run(BUNDLE=tmp_path / "b")

    assert done.returncode == 78
    assert "weights.safetensors is not the file that the manifest lists" in only_line(done)


def test_captures_that_can_not_be_replayed_end_with_78_and_one_line(tmp_path):
    """A wrong path in the settings is a mistake in the settings."""
    done = run(**replay(tmp_path, CAPTURES__PATHS="/nowhere.csv"))

    assert done.returncode == 78
    assert only_line(done).startswith("anchorwatchd: [captures] /nowhere.csv: ")


def test_an_engine_that_is_not_installed_ends_with_78_and_one_line(tmp_path):
    """Keras comes with an extra; a traceback of forty lines would not say so."""
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "keras.py").write_text("raise ModuleNotFoundError('No module keras')")
    path = os.pathsep.join([str(tmp_path / "absent"), os.environ.get("PYTHONPATH", "")])
    settings = environ(**replay(tmp_path, ENGINE__NAME="keras")) | {"PYTHONPATH": path}

    done = subprocess.run(PROGRAM, env=settings, capture_output=True, text=True, check=False)

    assert done.returncode == 78
    assert "[engine] name = 'keras' can't run here: No module keras" in only_line(done)


@pytest.mark.parametrize(
    "arguments", [["--konfig", "x"], ["more"], ["--config"], ["--config", "/"]]
)
def test_wrong_usage_ends_with_2(arguments):
    """A script that misspells a flag must not run a daemon with defaults."""
    done = run(*arguments, BUNDLE="b")

    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_is_taken_ends_with_1_and_one_line(tmp_path):
    """A restart mends that once the other one is gone, so it is not 78."""
    settings = replay(tmp_path, CAPTURES__SPEED=1)
    with start(settings) as first:
        port = first.url.rpartition(":")[2]

        done = run(**settings | {"HTTP__PORT": port, "LOG__LEVEL": "error"})

    assert done.returncode == 1
    assert f"port {port}" in only_line(done)


def test_check_says_what_would_run_and_ends(tmp_path):
    """A deployment asks first, and restarts only then."""
    bundle = make_bundle(tmp_path / "b")
    (tmp_path / "anchorwatch.toml").write_text(f"bundle = '{tmp_path / 'b'}'\n")

    done = run("--check", "--config", tmp_path / "anchorwatch.toml", ENGINE__NAME="onnxruntime")

    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout == (
        "settings and bundle are usable: "
        f"version {__version__} bundle {bundle.id} engine onnxruntime\n"
    )


def test_check_finds_what_running_would_find(tmp_path):
    """A check that passes and a daemon that then ends with 78 would be worse than none."""
    done = run("--check", BUNDLE=tmp_path / "gone")

    assert done.returncode == 78
    assert "gone" in only_line(done)


def test_a_replay_ends_with_0_when_it_is_over(tmp_path):
    """The whole daemon, from the settings to the last line, is what a newcomer runs first."""
    settings = replay(tmp_path)

    done = run(**settings)

    assert done.returncode == 0, done.stderr
    assert "blocked" in done.stdout
    lines = done.stderr.splitlines()
    assert [re.search(r"detector\.\w+: (\w+)", line)[1] for line in lines] == [
        "started",
        "stopped",
    ]
    assert "engine=onnxruntime" in lines[0]


def test_the_log_level_decides_what_is_written(tmp_path):
    """Who ships logs by the gigabyte wants only what someone has to act on."""
    done = run(**replay(tmp_path, LOG__LEVEL="error"))

    assert done.returncode == 0
    assert done.stderr == ""


class Started:
    """A daemon that runs until it is told to stop."""

    def __init__(self, settings):
        self.process = subprocess.Popen(
            PROGRAM,
            env=environ(**settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = ""

    def __enter__(self):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.url:
            ready, _, _ = select.select([self.process.stderr], [], [], PATIENCE_SECONDS)
            assert ready, "nothing was written"
            assert time.monotonic() < deadline, "it never started"
            line = self.process.stderr.readline()
            assert line, "it ended"
            found = re.search(r"url='?(http://[^' ]+)", line)
            self.url = found[1] if found else ""
        return self

    def __exit__(self, *_error):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


def start(settings):
    """Start a daemon, and wait until it says where it listens."""
    return Started(settings)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_in_the_middle_it_ends_with_0(tmp_path, number):
    """A restart, and Ctrl-C, are no failures, and nobody is to be called for them."""
    with start(replay(tmp_path, CAPTURES__SPEED=0.01)) as daemon:  # for twenty minutes
        with urllib.request.urlopen(f"{daemon.url}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        was_running = daemon.process.poll() is None

        daemon.process.send_signal(number)
        code = daemon.process.wait(PATIENCE_SECONDS)
        rest = daemon.process.stderr.read()

    assert was_running
    assert 'engine="onnxruntime"' in page
    assert code == 0
    assert rest.endswith("stopped\n")


@pytest.mark.parametrize("asked", ["--healthy", "--ready"])
def test_looking_at_settings_and_asking_a_daemon_are_two_things(asked):
    """Of two questions at once one would go unanswered, without a word."""
    done = run("--check", asked)

    assert done.returncode == 2
    assert "--check" in done.stderr
