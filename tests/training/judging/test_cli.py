"""What somebody sees who judges a bundle or its recipe: tables, JSON, a page, one-line errors."""

import subprocess
import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from detector.bundle import load, save
from tests.training.captures import LEFT_OUT, TINY, make_table, tiny_training, write
from tests.training.report.pages import Page, embedded
from training.cli import main
from training.judging.cli import RIVALS as NAMES
from training.judging.study import ENCODER, HEAD, KINDS, MIXES, STATISTICS, UNSEEN, Study
from training.rivals import RIVALS

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")

NEIGHBOUR = "nearest neighbour (one reference)"
ALONE = "--no-rivals"
WITHOUT_TENSORFLOW = """
import sys
sys.modules["keras"] = None
from tests.training.report.pages import Page, embedded
from training.cli import main
main(sys.argv[1:], prog_name="anchorwatch")
"""


def call(*arguments):
    """Judge in this process."""
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def read(done):
    """Give the study that a command printed, after it ended well."""
    assert done.exit_code == 0, done.output
    return msgspec.json.decode(done.stdout, type=Study)


def failure(done, code):
    """Give the one line with which a command failed."""
    assert done.exit_code == code, done.output
    assert isinstance(done.exception, SystemExit)  # and no other, which would be a traceback
    assert done.stdout == ""
    return done.stderr.splitlines()[-1]


@pytest.fixture
def capture(tmp_path):
    """Write the tiny capture."""
    return write(make_table(), tmp_path)


@pytest.fixture
def bundle(tmp_path):
    """Save the tiny training's bundle."""
    save(tiny_training()[0], tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Save a bundle whose recipe is trained in no time."""
    from training.train import train

    folder = tmp_path_factory.mktemp("quick")
    settings = replace(TINY, units=(), statistics=True, batches=2, epochs=1, batch=12, head=False)
    tf.config.run_functions_eagerly(True)
    save(train([write(make_table(), folder)], settings, lambda *_: None), folder / "bundle")
    tf.config.run_functions_eagerly(False)
    return folder / "bundle"


@pytest.fixture
def _eagerly():
    """Compile nothing: for a short epoch that takes longer than the epoch itself."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_the_methods_that_can_be_named_are_those_that_there_are():
    """They are listed twice so that `--help` needs no scikit-learn."""
    assert sorted(NAMES) == sorted(RIVALS)


def test_tables_are_for_people_and_progress_is_not_among_them(bundle, capture):
    """They are copied into reports, and piped into files."""
    done = call(bundle, capture, "--rival", NEIGHBOUR)

    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("bundle ")
    assert f"validation {UNSEEN}: " in done.stdout
    for title in ("NAMING WINDOWS", "FOLLOWING CHANGES", "RECALL BY KIND"):
        assert done.stdout.count(title) == 1
    for name in (ENCODER, HEAD):
        assert f"\n{name} " in done.stdout
    assert "judging" not in done.stdout
    assert done.stderr.splitlines()[:2] == [f"judging: {ENCODER}", f"judging: {NEIGHBOUR}"]


def test_json_is_a_study_and_the_page_holds_the_same(tmp_path, bundle, capture):
    """Programs read what people see."""
    page = tmp_path / "page.html"

    done = call(bundle, capture, "--rival", NEIGHBOUR, "--json", "--page", page)

    study = read(done)
    assert study.bundle == load(bundle).id
    assert [*study.validations[0].methods] == [ENCODER, HEAD, NEIGHBOUR]
    assert study.validations[0].runs == len(LEFT_OUT)
    shown = Page(page.read_text())
    assert embedded(shown) == study
    assert shown.all("h1")[0][1] == "anchorwatch: bundle"
    assert str(page) in done.stderr.splitlines()


def test_a_study_with_numbers_that_are_none_is_read_back(tmp_path, bundle):
    """Of a single run there is no interval, and JSON has no NaN."""
    table = make_table()
    one = write(table[~table["link"].str.startswith("r7")], tmp_path)

    study = read(call(bundle, one, "--json", ALONE, "--page", tmp_path / "page.html"))

    found = study.validations[0].methods[ENCODER].macro_f1
    assert (found.low, found.high) == (None, None)
    assert found.mean is not None
    assert " None" not in call(bundle, one, ALONE).stdout


def test_all_plain_methods_stand_beside_the_encoder_unless_told(bundle, capture):
    """Nobody should have to remember their names."""
    study = read(call(bundle, capture, "--json"))

    (found,) = study.validations
    assert {*found.methods, *found.unavailable} == {ENCODER, HEAD, *NAMES}
    assert "answer-ratio rule" in found.unavailable  # this capture lacks its counters
    alone = read(call(bundle, capture, "--json", ALONE))
    assert [*alone.validations[0].methods] == [ENCODER, HEAD]


def median_delay(study, method):
    """Give the mean over labels of the median delay of a method's changes."""
    delays = study.validations[0].methods[method].changes.delays
    return np.mean([one.median for one in delays.values()])


def test_links_and_agreement_are_those_that_were_asked_for(bundle, capture):
    """A bundle may have been trained on more than somebody watches."""
    usual = read(call(bundle, capture, "--json", ALONE, "--links=*/core"))
    every = read(call(bundle, capture, "--json", ALONE))
    other = read(call(bundle, capture, "--json", ALONE, "--links=*/core", "--agree=7", "--of=7"))

    assert usual.validations[0].windows == every.validations[0].windows / 2
    assert other.validations[0].windows == usual.validations[0].windows
    # The head only names windows, and the encoder has the daemon's own rule.
    assert median_delay(other, HEAD) > median_delay(usual, HEAD)
    assert median_delay(other, ENCODER) == median_delay(usual, ENCODER)


@pytest.mark.usefixtures("_eagerly")
def test_a_recipe_is_trained_anew_and_not_twice(tmp_path, capture, quick):
    """Half a day of trainings goes on where it was."""
    asked = ["--recipe", "--folds=0", "--seeds=1", "--mix=r0,r1", "--unseen=blocked*", "--json"]
    asked += [ALONE, "--work", tmp_path / "work", "--page", tmp_path / "page.html"]

    first = call(quick, capture, *asked)
    again = call(quick, capture, *asked)

    study = read(first)
    assert [one.name for one in study.validations] == [MIXES, KINDS]
    assert [*study.validations[0].methods] == [ENCODER, STATISTICS]
    assert study.validations[0].runs == 2
    assert study.enrolments
    assert (study.bundle, study.seeds, study.settings["batches"]) == ("", (0,), 2)
    assert study.settings["leave_out"] == ""
    assert again.stdout == first.stdout
    assert "judging: 1 of 2: mixes, r0,r1, seed 0: encoder" in first.stderr
    assert [line for line in again.stderr.splitlines() if line.startswith("judging")] == [
        "judging: 1 of 2: mixes, r0,r1, seed 0: found, done before",
        "judging: 2 of 2: kinds, blocked*, seed 0: found, done before",
    ]
    assert len([*(tmp_path / "work").iterdir()]) == 2
    assert "<svg" in (tmp_path / "page.html").read_text()


@pytest.mark.usefixtures("_eagerly")
def test_a_recipe_is_judged_with_as_many_seeds_and_folds_as_asked_for(capture, quick):
    """One training says little of the next."""
    asked = ["--recipe", "--folds=2", "--seeds=2", ALONE, "--links=*/core"]

    done = call(quick, capture, *asked)

    assert done.exit_code == 0, done.output
    assert "seeds 0, 1" in done.stdout
    assert "folds: 1 of 2, 2 of 2" in done.stdout
    places = done.stdout.partition("BY PLACE")[2].splitlines()
    assert places[1].split() == ["method", "core"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--recipe", "--folds=9"], "8 runs can't be dealt to 9 folds"),
        (["--recipe", "--folds=1"], "there is nothing to learn from"),
        (["--recipe", "--folds=0", "--mix=x*"], "no run belongs to the mix 'x*'"),
        (["--recipe", "--folds=0", "--unseen=carrier"], "no row is of the kind or label"),
        (["--recipe", "--links=x*"], "no link to judge on"),
        (["--links=x*"], "no link matches x*"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_judged_ends_with_1(capture, quick, options, why):
    """One line that says what to change, and no traceback."""
    done = call(quick, capture, ALONE, *options)

    line = failure(done, 1)
    assert line.startswith("anchorwatch: ")
    assert why in line


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--recipe", "--folds=0"], "--folds 0 leaves nothing to do without --mix or --unseen"),
        (["--recipe", "--seeds=0"], "--seeds"),
        (["--folds=-1"], "--folds"),
        (["--rival=guessing"], "--rival"),
        (["--agree=2", "--of=4"], "more than half"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_ends_with_2(capture, quick, options, why):
    """The call is wrong, and not the data."""
    done = call(quick, capture, *options)

    assert done.exit_code == 2, done.output
    assert why in " ".join(done.stderr.split())


def test_a_folder_that_is_no_bundle_ends_with_78(tmp_path, capture):
    """Trying again doesn't mend it, and whatever starts the tool can tell by the code."""
    assert "manifest.json" in failure(call(tmp_path, capture), 78)


def test_a_page_that_cannot_be_written_ends_with_1(tmp_path, bundle, capture):
    """A wrong folder is said in one line."""
    (tmp_path / "file").write_text("")

    done = call(bundle, capture, ALONE, "--page", tmp_path / "file" / "page.html")

    assert str(tmp_path / "file") in failure(done, 1)


def test_a_recipe_without_what_trains_it_says_what_to_install(quick, capture):
    """Judging a bundle needs no TensorFlow, so it may not be there."""
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, "evaluate", str(quick), str(capture)]

    done = subprocess.run([*command, "--recipe"], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "anchorwatch: --recipe needs keras: pip install 'anchorwatch[train]'"
    ]
