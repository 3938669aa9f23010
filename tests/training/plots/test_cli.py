"""`anchorwatch plot`: the picture that was asked for is there, or one line says why not."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner
from PIL import Image

from detector.bundle import save
from tests.fakes import make_bundle, make_capture
from tests.training.test_trace import make_trace
from training.plots import animation
from training.plots.cli import MOST_LINKS, plot

DAY = [*["normal"] * 20, None, *["blocked"] * 20, *["capacity-limited"] * 20]
HEAVY = {"keras", "matplotlib", "onnxruntime", "pandas", "PIL", "tensorflow"}
LISTING = f"""
import sys
from training.plots.cli import plot
try:
    plot(sys.argv[1:], prog_name="plot")
finally:
    print(sorted({HEAVY!r} & {{*sys.modules}}), file=sys.stderr)
"""


def call(*arguments):
    """Run a command in this process."""
    return CliRunner().invoke(plot, [str(argument) for argument in arguments])


def failure(done, code=1):
    """Give the one line with which a command failed."""
    assert done.exit_code == code, done.output
    assert isinstance(done.exception, SystemExit)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("anchorwatch: ")
    return line


@pytest.fixture
def trace(tmp_path):
    """Save a small trace."""
    make_trace(size=2, epochs=2).save(tmp_path / "trace.npz")
    return tmp_path / "trace.npz"


@pytest.fixture
def capture(tmp_path):
    """Write a capture of two runs that the small bundle has not seen, and one that it has."""
    links = {"new/access": DAY, "new/core": DAY, "other/core": DAY, "lab-1/access": DAY}
    return make_capture(tmp_path / "capture.parquet", links)


@pytest.mark.parametrize("command", [None, *plot.commands])
def test_help_answers_at_once(command):
    """Who asks how to call a command doesn't wait for matplotlib."""
    arguments = [command] if command else []

    done = subprocess.run(
        [sys.executable, "-c", LISTING, *arguments, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0
    assert done.stdout.startswith("Usage: plot")
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("command", plot.commands)
def test_help_tells_every_option(command):
    """An option without a word of help is found by nobody."""
    done = call(command, "--help")

    for parameter in plot.commands[command].params:
        if parameter.param_type_name == "option":
            assert parameter.opts[-1] in done.stdout
            assert parameter.help


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("command", plot.commands)
def test_every_command_draws_what_its_files_name_says(
    tmp_path, trace, bundle_path, capture, command, kind
):
    """The path comes last and alone, so that a script can take it."""
    given = [trace] if command in ("training", "loss") else [bundle_path, capture]
    out = tmp_path / f"picture.{kind.upper()}"
    out.write_text("older")

    done = call(command, *given, "--out", out)

    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}\n"
    assert done.stderr == ""
    if kind == "svg":
        assert out.read_bytes().startswith(b"<?xml")
        assert b"<svg" in out.read_bytes()
    else:
        with Image.open(out) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 300
    assert not list(tmp_path.glob(".*"))


def test_a_film_tells_how_far_it_is(tmp_path, trace):
    """Some take a minute."""
    done = call("training", trace, "--out", tmp_path / "film.gif")

    assert done.exit_code == 0, done.output
    frames = animation.BETWEEN + 1
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == frames
    assert done.stderr.splitlines()[-1] == f"drawing: frame {frames}/{frames}"
    assert len(done.stderr.splitlines()) == 10


def test_an_embedding_of_three_numbers_turns(tmp_path, bundle_path, capture):
    """One whole turn."""
    out = tmp_path / "turn.gif"

    done = call("embedding", bundle_path, capture, "--count=30", "--out", out)

    assert done.exit_code == 0, done.output
    with Image.open(out) as film:
        assert film.n_frames == animation.ROUND


def test_only_runs_that_training_did_not_see_are_judged(tmp_path, bundle_path, capture):
    """The small bundle learnt from lab-1."""
    out = tmp_path / "picture.svg"
    seen = call("embedding", bundle_path, capture, "--link=lab-1/*", "--out", out)
    fresh = call("confusion", bundle_path, capture, "--link=new/*", "--out", out)

    assert "has seen every run" in failure(seen)
    assert fresh.exit_code == 0


def test_what_is_drawn_follows_the_options(tmp_path, bundle_path, capture):
    """Each option changes the picture, and the same options give the same one."""

    def drawn(command, *options):
        out = tmp_path / "picture.png"
        done = call(command, bundle_path, capture, *options, "--out", out)
        assert done.exit_code == 0, done.output
        return out.read_bytes()

    for command, options in {
        "embedding": (["--count=20"], ["--count=20", "--seed=1"], ["--link=new/core"]),
        "confusion": (["--link=new/core"],),
        "run": (["--evidence=10"], ["--evidence=30"], ["--link=new/core"]),
    }.items():
        usual = drawn(command)
        assert drawn(command) == usual
        pictures = [drawn(command, *more) for more in options]
        assert len({usual, *pictures}) == len(pictures) + 1


def test_links_beyond_the_sixth_are_named_and_left_out(tmp_path, bundle_path):
    """A picture of forty panels shows nothing, and silence about it would mislead."""
    links = {f"r{number}/core": DAY for number in range(MOST_LINKS + 2)}
    capture = make_capture(tmp_path / "capture.parquet", links)

    done = call("run", bundle_path, capture, "--out", tmp_path / "run.png")

    assert done.exit_code == 0, done.output
    assert done.stderr == "left out, 6 links are drawn at most: 'r6/core', 'r7/core'\n"


def test_captures_without_labels_are_drawn(tmp_path, bundle_path):
    """On the day it matters nobody has labelled anything yet; only confusion needs the truth."""
    capture = make_capture(tmp_path / "capture.parquet", {"new/core": [None] * 40})
    out = tmp_path / "picture.png"

    for command in ("run", "embedding"):
        done = call(command, bundle_path, capture, "--out", out)
        assert done.exit_code == 0, done.output
        out.unlink()

    assert "has a window of one label" in failure(
        call("confusion", bundle_path, capture, "--out", out)
    )
    assert not out.exists()


@pytest.mark.parametrize(
    ("command", "out", "why"),
    [
        ("training", "film.mp4", "doesn't end in .gif, .png, .svg"),
        ("loss", "loss.gif", "doesn't end in .png, .svg"),
        ("loss", "loss", "doesn't end in .png, .svg"),
        ("run", "run.pdf", "doesn't end in .png, .svg"),
        ("loss", "nowhere/loss.png", "is no folder"),
        ("loss", "folder.png", "is a directory"),
        ("loss", None, "Missing option '--out'"),
    ],
)
def test_a_file_that_cannot_be_is_wrong_usage(
    tmp_path, trace, bundle_path, capture, command, out, why
):
    """It is said before the work, not after it."""
    (tmp_path / "folder.png").mkdir()
    given = [bundle_path, capture] if command == "run" else [trace]

    done = call(command, *given, *(["--out", tmp_path / out] if out else []))

    assert done.exit_code == 2, done.output
    assert why in " ".join(done.stderr.split())


@pytest.mark.parametrize("option", ["--evidence=0", "--evidence=-1", "--evidence=much"])
def test_evidence_that_cannot_be_is_wrong_usage(tmp_path, bundle_path, capture, option):
    """As with replay."""
    done = call("run", bundle_path, capture, option, "--out", tmp_path / "run.png")

    assert done.exit_code == 2
    assert "--evidence" in done.stderr
    assert not (tmp_path / "run.png").exists()


@pytest.mark.parametrize("command", ["training", "loss"])
def test_a_file_that_is_no_trace_ends_with_1(tmp_path, capture, command):
    """Any file may be named by mistake."""
    done = call(command, capture, "--out", tmp_path / "picture.png")

    assert f"{capture}: not a trace" in failure(done)
    assert not (tmp_path / "picture.png").exists()


@pytest.mark.parametrize("command", ["run", "confusion", "embedding"])
def test_what_cannot_be_read_ends_with_the_right_code(tmp_path, bundle_path, capture, command):
    """78 for a bundle, 1 for a capture or a link that isn't there."""
    out = ["--out", tmp_path / "picture.png"]
    broken = tmp_path / "broken"
    made = make_bundle(broken)
    save(replace(made, golden_embeddings=made.golden_embeddings + 0.5), broken, replace=True)

    assert "manifest.json" in failure(call(command, tmp_path, capture, *out), 78)
    assert "self-test" in failure(call(command, broken, capture, *out), 78)
    nobody = call(command, bundle_path, capture, "--link=nobody", *out)
    assert "no link matches nobody" in failure(nobody)
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    assert "has no column" in failure(call(command, bundle_path, tmp_path / "odd.csv", *out))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_ends_with_1(tmp_path, trace):
    """One line, no traceback."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)

    assert "locked" in failure(call("loss", trace, "--out", folder / "loss.png"))
