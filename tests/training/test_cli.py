"""The tool: help at once, errors in one line with the right exit code, and the whole way."""

import json
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from detector import __version__
from detector.bundle import load, save
from tests.training.captures import LEFT_OUT, TINY, make_table, tiny_training, write
from training.cli import main
from training.settings import PRESETS, Settings

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")

HEAVY = {
    "aeon",
    "kafka",
    "keras",
    "matplotlib",
    "onnxruntime",
    "pandas",
    "rich",
    "sklearn",
    "tensorflow",
}
PROGRAM = "import sys; from training.cli import main; main(prog_name='anchorwatch')"
LISTING = f"""
import sys
from training.cli import main
try:
    main(sys.argv[1:], prog_name="anchorwatch")
finally:
    print(sorted({HEAVY!r} & {{*sys.modules}}), file=sys.stderr)
"""


def call(*arguments):
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def start(code, *arguments):
    """Run a command in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def failure(done, code):
    """Give the one line with which a command failed."""
    assert done.exit_code == code, done.output
    assert isinstance(done.exception, SystemExit)  # and no other, which would be a traceback
    assert done.stdout == ""
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("anchorwatch: "))
    assert done.stderr.endswith(line + "\n")
    return line


@pytest.fixture
def capture(tmp_path):
    """Write the tiny capture."""
    return write(make_table(), tmp_path)


@pytest.fixture
def trained_bundle(tmp_path):
    """Save the tiny training's bundle."""
    save(tiny_training()[0], tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def eagerly():
    """Compile nothing: for a short epoch that takes longer than the epoch itself."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def options_of(settings):
    """Write settings as somebody would type them; what is usual need not be said."""
    for knob in fields(settings):
        value, name = getattr(settings, knob.name), knob.name.replace("_", "-")
        if value != getattr(Settings(), knob.name):
            if isinstance(value, bool):
                yield f"--{name}" if value else f"--no-{name}"
            else:
                yield from (f"--{name}={one}" for one in np.atleast_1d(value))


@pytest.mark.parametrize("command", [[], ["train"], ["evaluate"], ["replay"]])
def test_help_answers_at_once(command):
    """Who asks how to call a command doesn't wait seconds for TensorFlow."""
    done = start(LISTING, *command, "--help")

    assert done.returncode == 0
    assert done.stdout.startswith("Usage: anchorwatch")
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("command", ["train", "evaluate", "replay"])
def test_help_tells_every_option_with_its_default(command):
    """An option without a word of help is found by nobody."""
    done = call(command, "--help")

    for parameter in main.commands[command].params:
        if parameter.param_type_name == "option":
            assert parameter.opts[-1] in done.stdout
            assert parameter.help
    assert "[default: " in done.stdout


def test_the_whole_way_from_captures_to_verdicts(tmp_path, capture, trained_bundle):
    """Train, evaluate, replay: the three commands of the first hour, as somebody types them."""
    out, verdicts = tmp_path / "trained", tmp_path / "verdicts"

    kept = ["--out", out, "--trace", tmp_path / "trace.npz"]
    trained = start(PROGRAM, "train", capture, *kept, *options_of(TINY))
    judged = call("evaluate", out, capture, "--json", "--no-rivals")
    replayed = start(LISTING, "replay", out, capture, "--verdicts", verdicts)

    assert trained.returncode == 0, trained.stderr
    lines = trained.stderr.splitlines()
    epochs = [line.split(": epoch ")[1].split()[0] for line in lines]
    assert epochs[:2] == ["1/2", "2/2"]  # and nothing of TensorFlow's
    loaded = load(out)
    assert trained.stdout.startswith(f"{out}: bundle {loaded.id}; validation_loss 0.")
    assert "head_accuracy 0." in trained.stdout or "head_accuracy 1" in trained.stdout
    assert (tmp_path / "trace.npz").is_file()
    # Another process, the same captures and seed: the same bytes in every file.
    files = {file.name: file.read_bytes() for file in out.iterdir()}
    assert files == {file.name: file.read_bytes() for file in trained_bundle.iterdir()}

    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.stdout)["bundle"] == loaded.id
    assert "macro_f1" in judged.stdout

    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stderr.startswith("816 verdicts\n")
    assert "tensorflow" not in replayed.stderr
    assert len(verdicts.read_bytes().splitlines()) == 816 == 16 * 51


def record_of(folder, capture, *options):
    """Train for one short epoch, and give what the manifest says."""
    quick = ["--steps=10", "--units=2", "--batches=1", "--epochs=1", "--batch=8", "--no-refit"]
    done = call("train", capture, "--out", folder / "new", "--replace", *quick, *options)
    assert done.exit_code == 0, done.output
    return load(folder / "new").manifest


@pytest.mark.usefixtures("eagerly")
def test_a_preset_is_where_a_recipe_begins_and_options_change_it(tmp_path, capture):
    """Whoever wants the origin with one thing different types that one thing."""
    origin = record_of(tmp_path, capture, "--preset=origin")
    changed = record_of(
        tmp_path, capture, "--embedding=4", "--preset=origin", "--drop=0.3", "--superpose"
    )

    assert (origin.architecture.embedding, origin.architecture.activation) == (3, "sigmoid")
    assert origin.head == ()
    for knob, value in PRESETS["origin"].items():
        assert origin.training.settings.get(knob, value) == value
    assert changed.architecture.embedding == 4
    # What is given counts as given, be it the default or not.
    assert changed.training.settings["drop"] == Settings().drop == 0.3
    assert changed.training.settings["superpose"] is Settings().superpose is True
    assert changed.training.settings["margin"] == PRESETS["origin"]["margin"]


def verdicts_of(bundle, capture, *options):
    """Replay a capture and give the verdicts."""
    done = call("replay", bundle, capture, "--verdicts=-", *options)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_replay_needs_the_evidence_that_was_asked_for(trained_bundle, capture):
    """An alarm after two windows and an alarm after twenty are two different tools."""
    usual = verdicts_of(trained_bundle, capture)
    asked = verdicts_of(trained_bundle, capture, "--evidence=1e6")

    assert {verdict["state"] for verdict in asked} == {None}
    assert [verdict["state"] for verdict in usual].count(None) < 16 * 6
    assert [verdict["label"] for verdict in asked] == [verdict["label"] for verdict in usual]


def test_replay_calls_as_much_unknown_as_was_asked_for(trained_bundle, capture):
    """A budget that is turned up until everything is unknown shows where the budget is."""
    strangeness = [
        np.mean([one["strangeness"] for one in verdicts_of(trained_bundle, capture, option)])
        for option in ("--false-alarms=1e-6", "--false-alarms=1", "--false-alarms=1e6")
    ]

    # In thresholds: the more alarms are allowed, the lower the threshold.
    assert strangeness[0] < strangeness[1] < strangeness[2]


def test_verdicts_can_go_to_stdout(trained_bundle, capture):
    """They go through a pipe into jq, and the count must not be among them."""
    done = call(
        "replay", trained_bundle, capture, "--verdicts", "-", "--links", "r1/*", "--hop", 5
    )

    assert done.exit_code == 0, done.output
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(verdicts) == 2 * 11
    assert done.stderr == "22 verdicts\n"


@pytest.mark.parametrize(
    "options",
    [
        ["--steps=0"],
        ["--step-ms=0"],
        ["--tail-seconds=-1"],
        ["--half-lives-seconds=-1"],
        ["--units=0"],
        ["--units=5000"],
        ["--embedding=0"],
        ["--embedding=5000"],
        ["--margin=0"],
        ["--learning-rate=-0.1"],
        ["--batches=0"],
        ["--epochs=0"],
        ["--inputs=pictures"],
        ["--activation=relu"],
        ["--loss=tripplet"],
        ["--miner=hardest"],
        ["--preset=newest"],
        ["--load-span=0.5"],
        ["--thin=1.1"],
        ["--mirror=-0.1"],
        ["--normal-share=1"],
        ["--recovery-share=1.5"],
        ["--batch=3"],
        ["--validation-share=0"],
        ["--validation-share=0.6"],
        ["--seed=-1"],
        ["--drop=1"],
        ["--drop=-0.1"],
        ["--steps=many"],
        ["--anchor=normal"],
        ["--anchor=normal=r2/core"],
        ["--colour=red"],
    ],
    ids=" ".join,
)
def test_a_training_that_cannot_be_is_wrong_usage(tmp_path, capture, options):
    """Exit code 2 tells a script that the call is wrong, and not the data."""
    done = call("train", capture, "--out", tmp_path / "new", *options)

    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit)
    assert options[0].partition("=")[0] in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ["--leave-out=r6", "--leave-out=r99*"],
            "--leave-out 'r99*' matches no run; there is r0,",
        ),
        (["--links=r9/*"], "--links 'r9/*' matches no link; there is r"),
        (["--labels=blokced"], "matches no label; there is blocked, capacity-limited, normal"),
        (["--leave-kinds=bloked*"], "--leave-kinds 'bloked*' matches no kind; there is blocked"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_slip_in_what_to_learn_from_is_wrong_usage(tmp_path, capture, options, why):
    """It ends the call before hours of training on other runs than were meant."""
    done = call("train", capture, "--out", tmp_path / "new", *options)

    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit)
    assert why in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["train"], "Missing argument 'CAPTURES...'"),
        (["train", "capture.parquet"], "Missing option '--out'"),
        (["train", "nowhere", "--out=new"], "'nowhere' does not exist"),
        (["train", "capture.parquet", "--out=bundle"], "bundle is there; --replace replaces"),
        (["evaluate", "bundle"], "Missing argument 'CAPTURES...'"),
        (["evaluate", "nowhere", "capture.parquet"], "'nowhere' does not exist"),
        (["evaluate", "bundle", "capture.parquet", "--agree=2", "--of=4"], "more than half"),
        (["evaluate", "bundle", "capture.parquet", "--agree=6"], "no more than it"),
        (["evaluate", "bundle", "capture.parquet", "--agree=0"], "--agree"),
        (["replay", "bundle", "capture.parquet"], "give one of --verdicts, --kafka and --diff"),
        (
            ["replay", "bundle", "capture.parquet", "--verdicts=v", "--kafka=a:1"],
            "give one of --verdicts, --kafka and --diff",
        ),
        (["replay", "bundle", "capture.parquet", "--verdicts=bundle"], "is a directory"),
        (["replay", "bundle", "capture.parquet", "--verdicts=v", "--hop=0"], "--hop"),
        (["replay", "bundle", "capture.parquet", "--verdicts=v", "--evidence=0"], "--evidence"),
        (["replay", "bundle", "capture.parquet", "--verdicts=v", "--evidence=-1"], "--evidence"),
        (["replay", "bundle", "capture.parquet", "--verdicts=v", "--agree=4"], "--agree"),
        (
            ["replay", "bundle", "capture.parquet", "--verdicts=v", "--false-alarms=0"],
            "--false-alarms",
        ),
        (["replay", "bundle", "capture.parquet", "--kafka=a:1", "--speed=-1"], "--speed"),
        (["replay", "bundle", "capture.parquet", "--kafka=a:1", "--many=0"], "--many"),
        (["judge"], "No such command 'judge'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("trained_bundle", "capture")
def test_wrong_usage_is_said_and_ends_with_2(tmp_path, arguments, why, monkeypatch):
    """The message names what to change, before any work is done."""
    monkeypatch.chdir(tmp_path)

    done = call(*arguments)

    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit)
    assert " ".join(why.split()) in " ".join(done.stderr.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "capture.parquet"]


def damage(bundle):
    """Alter one byte of the weights."""
    file = bundle / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def disagree(bundle):
    """Make a bundle that is whole, but whose golden embeddings no engine can give."""
    made = load(bundle)
    save(replace(made, golden_embeddings=made.golden_embeddings + 0.5), bundle, replace=True)


def outdate(bundle):
    """Make a bundle of a format to come."""
    file = bundle / "manifest.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 99'))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (damage, "weights.safetensors is not the file that the manifest lists"),
        (disagree, "self-test"),
        (outdate, "format 99"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "replay"])
def test_an_unusable_bundle_ends_with_78(tmp_path, capture, trained_bundle, command, spoil, why):
    """Trying again doesn't mend it, and whatever starts the tool can tell by the code."""
    spoil(trained_bundle)

    more = ["--verdicts", tmp_path / "verdicts"] if command == "replay" else []
    done = call(command, trained_bundle, capture, *more)

    assert why in failure(done, 78)


@pytest.mark.parametrize("command", ["evaluate", "replay"])
def test_a_folder_that_is_no_bundle_ends_with_78(tmp_path, capture, command):
    """A path was mistyped, and the message says which."""
    more = ["--verdicts", tmp_path / "verdicts"] if command == "replay" else []
    done = call(command, tmp_path, capture, *more)

    assert f"bundle {tmp_path}: manifest.json" in failure(done, 78)


@pytest.mark.parametrize("command", ["train", "evaluate", "replay"])
def test_a_missing_feature_is_one_clear_line(tmp_path, trained_bundle, command):
    """Counters are renamed by every other update of an exporter."""
    capture = write(make_table().drop(columns="fwd_invite"), tmp_path, "less.parquet")

    done = call(
        *{
            "train": ["train", capture, "--out", tmp_path / "new", "--features", "fwd_invite"],
            "evaluate": ["evaluate", trained_bundle, capture],
            "replay": ["replay", trained_bundle, capture, "--verdicts", tmp_path / "verdicts"],
        }[command]
    )

    assert "'fwd_invite'" in failure(done, 1)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--links=r7/*", "--leave-out=r7"], "no link matches"),
        (["--leave-out=*"], "all runs are left out"),
        (["--leave-out=r[1-7]"], "one run can't be parted"),
        (["--step-ms=10"], "a row every 1000 ms"),
        (["--anchor=odd=r2/core@1", "--steps=10"], "an anchor is given for 'odd'"),
        (["--steps=10", "--loss=lossless", "--activation=unit"], "needs sigmoid outputs"),
        (["--steps=10", "--preset=origin", "--loss=multi-similarity"], "needs unit outputs"),
        (["--leave-kinds=[bc]*"], "need two labels, they have normal"),
        (["--features=rev_2xx", "--features=rev_2xx", "--leave-out=*"], "no link matches"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_capture_that_cannot_be_learnt_from_ends_with_1(tmp_path, capture, options, why):
    """One line that says what to change, and no traceback."""
    done = call("train", capture, "--out", tmp_path / "new", *options)

    assert why in failure(done, 1)
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_no_capture_ends_with_1(tmp_path, trained_bundle):
    """Any file may lie in the folder that somebody names."""
    file = tmp_path / "notes.parquet"
    file.write_text("nothing")

    done = call("evaluate", trained_bundle, file)

    assert f"{file}: not readable as a capture" in failure(done, 1)


def test_a_bundle_whose_training_saw_all_runs_ends_with_1(trained_bundle, tmp_path):
    """A score on what was learnt by heart is no score."""
    table = make_table()
    capture = write(table[~table["link"].str.startswith(LEFT_OUT)], tmp_path)

    assert "has seen every run" in failure(call("evaluate", trained_bundle, capture), 1)


def test_a_place_that_cannot_be_written_ends_with_1(tmp_path, trained_bundle, capture):
    """A full disk or a wrong folder is said in one line."""
    (tmp_path / "file").write_text("")

    done = call("replay", trained_bundle, capture, "--verdicts", tmp_path / "file" / "verdicts")

    assert "file/verdicts" in failure(done, 1)


def test_only_bundles_are_ever_replaced(tmp_path, capture):
    """A slip of the pen must not cost somebody a folder, nor an hour of training."""
    (tmp_path / "precious").mkdir()

    done = call("train", capture, "--out", tmp_path / "precious", "--replace")

    assert done.exit_code == 2
    assert "--replace replaces bundles" in " ".join(done.stderr.split())
    assert (tmp_path / "precious").is_dir()


def test_the_version_is_the_packages():
    """A report of a fault begins with it."""
    done = call("--version")

    assert done.exit_code == 0
    assert done.stdout == f"anchorwatch, version {__version__}\n"


def test_a_replay_to_where_no_broker_is_says_so_in_one_line(trained_bundle, capture):
    """It is usually a misspelt port."""
    done = call("replay", trained_bundle, capture, "--kafka", "127.0.0.1:1", "--speed", "0")

    assert failure(done, 1) == "anchorwatch: no broker answers at 127.0.0.1:1: connection refused"
    assert done.stderr.startswith("asking 127.0.0.1:1 ...\n")
