"""A recipe is trained without some runs, judged on those, and never twice for the same answer."""

from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
import tensorflow as tf

from detector.capture import CaptureError
from tests.training.captures import TINY, EnoughError, listed, make_table, write
from training.judging.bench import REFERENCES
from training.judging.design import Design
from training.judging.study import ENCODER, HEAD, KINDS, MIXES, RUNS, STATISTICS
from training.judging.validation import validate
from training.rivals import RIVALS, RivalUnavailable

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")

FAULTS = ["capacity-limited", "blocked"] * 4 + ["lossy"]
QUICK = replace(  # not made to learn much: what is tested is who is asked what
    TINY,
    leave_out=(),
    superpose=False,
    load_span=1.0,
    units=(),
    statistics=True,
    batch=12,
    batches=2,
    epochs=1,
    head=False,
)
USUAL = Design(settings=QUICK, seeds=(3,), folds=2, mixes=("r0,r[12]",), unseen=("blocked*",))
ONE = replace(USUAL, folds=0, unseen=(), rivals=())  # one cell


class Spy:
    """Stands for a plain method, and remembers what it was trained and judged on."""

    partial = False

    def __init__(self):
        self.made = []  # (features, seed)
        self.fitted, self.asked, self.runs = [], [], []  # of each training

    def __call__(self, features, seed):
        """Be made."""
        self.made.append((features, seed))
        return self

    def fit(self, windows, labels, runs):
        """Learn nothing."""
        self.fitted.append({window.tobytes() for window in windows})
        self.asked.append(set())
        self.runs.append(set(runs))

    def predict(self, windows):
        """Say the same of all."""
        self.asked[-1] |= {window.tobytes() for window in windows}
        return ["normal"] * len(windows)


def refuse(_features, _seed):
    """Stand for a method that reads other counters."""
    raise RivalUnavailable("no such counters here")


@pytest.fixture(autouse=True)
def _eagerly():
    """Compile nothing: for a short epoch that takes longer than the epoch itself."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def tried(design=ONE, table=None, work=None, told=None):
    """Validate a design on a small capture; what was told goes into a list."""
    with TemporaryDirectory() as folder:
        path = write(make_table(9, faults=FAULTS) if table is None else table, Path(folder))
        return validate([path], design, work, (lambda _: None) if told is None else told)


@cache
def usual():
    """Validate the usual design once for all tests, with a spy: study, spy, what was told."""
    spy, told = Spy(), []
    with ExitStack() as stack:
        stack.enter_context(listed(RIVALS, "spy", spy))
        stack.enter_context(listed(RIVALS, "picky", refuse))
        design = replace(USUAL, rivals=("spy", "picky"))
        return tried(design, told=told.append), spy, told


def validation(way):
    """Give one of the usual validations."""
    (found,) = (one for one in usual()[0].validations if one.name == way)
    return found


def test_each_way_of_leaving_runs_out_stands_on_its_own():
    """Other runs of what was learnt, and traffic that was not, are two questions."""
    study, _, _ = usual()

    assert [one.name for one in study.validations] == [RUNS, MIXES, KINDS]
    assert validation(RUNS).folds == ("1 of 2", "2 of 2")
    assert validation(MIXES).folds == ("r0,r[12]",)
    assert validation(KINDS).folds == ("blocked*",)
    assert study.seeds == (3,)
    assert (study.steps, study.step_ms, study.bundle) == (10, 1000, "")
    assert study.settings["units"] == ""
    assert study.seconds > 0
    assert [*study.captures] == ["capture.parquet"]


def test_every_run_is_judged_once():
    """Folds together are one judgement of all there is."""
    found = validation(RUNS)

    # 21 windows of 30 normal rows and 20 of 29 rows of a fault, at two places of each run. Nobody
    # can learn what only one run has.
    assert (found.runs, found.windows) == (9, 2 * (9 * 21 + 8 * 20))
    assert set(found.methods[ENCODER].confusion) == {"normal", "blocked", "capacity-limited"}
    assert set(found.methods[ENCODER].places) == {"access", "core"}
    assert (validation(MIXES).runs, validation(MIXES).windows) == (3, 2 * 3 * (21 + 20))


def test_no_window_is_on_both_sides():
    """Windows of one run resemble each other, and the best memory would win."""
    _, spy, _ = usual()

    every = {f"r{run}" for run in range(9)}
    assert len(spy.fitted) == 3  # two folds of runs, and a mix
    for learnt, judged in zip(spy.fitted, spy.asked, strict=True):
        assert len(learnt) > 300
        assert len(judged) > 300
        assert not learnt & judged
    assert spy.runs[0] & spy.runs[1] == set()
    assert spy.runs[0] | spy.runs[1] == every
    assert spy.runs[2] == every - {"r0", "r1", "r2"}


def test_rivals_are_seeded_and_read_the_same_features():
    """Where they differ in anything else, the comparison is of that."""
    _, spy, _ = usual()

    assert {seed for _, seed in spy.made} == {3}
    assert {len(features) for features, _ in spy.made} == {5}


def test_methods_that_cannot_read_a_capture_are_listed_with_why():
    """A gap in a table is taken for a method that was forgotten, or worse, that lost."""
    for way in (RUNS, MIXES):
        assert validation(way).unavailable == {"picky": "no such counters here"}
        assert [*validation(way).methods] == [ENCODER, STATISTICS, "spy"]
    assert validation(MIXES).methods["spy"].lead.mean == pytest.approx(
        validation(MIXES).methods[ENCODER].macro_f1.mean
        - validation(MIXES).methods["spy"].macro_f1.mean
    )


def test_what_was_left_out_as_unseen_is_no_right_answer():
    """Nobody was taught it, so nobody is asked for its name."""
    found = validation(KINDS)

    assert set(found.methods[ENCODER].confusion) == {"normal"}
    assert [*found.methods] == [ENCODER]
    assert (found.runs, found.windows) == (4, 2 * 4 * 21)
    # All of these runs had the fault, and it is no false change to see something there.
    assert found.methods[ENCODER].changes.normal_hours == 0
    assert found.methods[ENCODER].changes.false_in_normal == 0


def test_strangers_are_flagged_and_then_shown():
    """An unseen label is what an operator meets one day."""
    study, _, _ = usual()

    rejected = validation(KINDS).methods[ENCODER].rejections
    assert [one.unseen for one in rejected] == ["blocked", "blocked kind"]
    assert {one.episodes for one in rejected} == {8}
    # The one run with its label is a stranger to whoever was to learn from the others.
    assert [one.unseen for one in validation(RUNS).methods[ENCODER].rejections] == ["lossy"]
    assert {one.unseen for one in study.enrolments} == {"blocked kind"}
    assert len({one.method for one in study.enrolments}) == 2


def test_other_references_are_tried_in_every_validation():
    """One window of each label is all that somebody may have."""
    study, _, _ = usual()

    assert [*study.reference_spread] == [RUNS, MIXES, KINDS]
    assert REFERENCES > 1
    for found in study.reference_spread.values():
        assert 0 < found.low <= found.mean <= found.high <= 1


def test_every_step_is_told_with_how_many_there_are():
    """Hours without a sign look like a hang."""
    _, _, told = usual()

    assert told[0] == "1 of 4: runs, 1 of 2, seed 3: encoder"
    assert told[-1] == "4 of 4: kinds, blocked*, seed 3: what nobody taught it"
    assert "3 of 4: mixes, r0,r[12], seed 3: spy" in told


def test_one_kind_of_a_label_can_be_unseen_and_the_others_known():
    """What is left out is the mechanism; the label is learnt from the others."""
    table = make_table(8)
    is_cut = (table["label"] == "blocked") & table["link"].str.startswith(("r1", "r3"))
    table.loc[is_cut, "kind"] = "cut"
    # Another fault follows in the same run, whose label is known all the same.
    last = table.groupby("link").cumcount() >= 48
    table.loc[last & table["link"].str.startswith("r1"), ["label", "kind"]] = ["blocked", "pulled"]

    study = tried(replace(ONE, mixes=(), unseen=("cut",)), table)

    (found,) = study.validations
    assert found.runs == 2
    assert set(found.methods[ENCODER].kinds) == {"normal kind", "pulled"}
    assert set(found.methods[ENCODER].confusion) == {"normal", "blocked"}
    assert [one.unseen for one in found.methods[ENCODER].rejections] == ["cut"]


def test_the_head_and_only_some_links_are_judged_when_asked_for():
    """The second opinion is a method of its own; a bundle may be meant for one end."""
    settings = replace(QUICK, head=True)

    study = tried(replace(ONE, settings=settings, judge=("*/core",)))

    (found,) = study.validations
    assert [*found.methods] == [ENCODER, HEAD, STATISTICS]
    assert [*found.methods[HEAD].places] == ["core"]
    assert found.windows == validation(MIXES).windows / 2
    assert found.methods[HEAD].lead is not None


def test_the_same_seed_gives_the_same_numbers(tmp_path):
    """A result that can't be had again is none."""
    first, again = tried(), tried(work=tmp_path / "work")

    assert again.validations == first.validations
    assert again.reference_spread == first.reference_spread


def found_only(what):
    """Let a study go on only with what was done before."""
    if not what.endswith("found, done before"):
        raise EnoughError


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Do the one cell once, and give the folder where it is kept."""
    work = tmp_path_factory.mktemp("work")
    tf.config.run_functions_eagerly(True)
    return work, tried(work=work)


def test_what_was_done_is_not_done_again(done):
    """A study of half a day is run again for one more rival of ten minutes."""
    work, study = done
    (kept,) = work.iterdir()
    before = kept.read_bytes()

    assert tried(work=work, told=found_only) == study
    assert kept.read_bytes() == before


def one_row_more():
    """Give the capture as it is after somebody went on recording."""
    table = make_table(9, faults=FAULTS)
    table.loc[0, "fwd_packets"] += 1
    return table


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": replace(QUICK, margin=0.3)},
        {"seeds": (4,)},
        {"mixes": ("r0,r[13]",)},
        {"mixes": (), "folds": 9},
        {"mixes": (), "unseen": ("blocked kind",)},
        {"judge": ("*/core",)},
        {"rivals": ("nearest neighbour (one reference)",)},
        {"agree": 4},
        {"of": 4},
        {"table": one_row_more},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_what_is_another_question_is_done_anew(done, changes):
    """An answer to another question in the right place is worse than none."""
    work, _ = done
    changes = dict(changes)
    make = changes.pop("table", lambda: None)

    with pytest.raises(EnoughError):
        tried(replace(ONE, **changes), make(), work, found_only)

    assert len([*work.iterdir()]) == 1


def test_a_study_that_was_broken_off_goes_on_where_it_was(tmp_path):
    """Machines are needed for something else, and power fails."""
    design = replace(ONE, mixes=("r0", "r1"))
    told = []

    def until_the_second(what):
        if what.startswith("2 of 2"):
            raise EnoughError

    with pytest.raises(EnoughError):
        tried(design, work=tmp_path / "new" / "work", told=until_the_second)
    kept = [*(tmp_path / "new" / "work").iterdir()]
    study = tried(design, work=tmp_path / "new" / "work", told=told.append)

    assert len(kept) == 1
    assert msgspec.json.decode(kept[0].read_bytes())["fold"] == "r0"
    assert told[0] == "1 of 2: mixes, r0, seed 3: found, done before"
    assert told[1] == "2 of 2: mixes, r1, seed 3: encoder"
    assert study.validations[0].folds == ("r0", "r1")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mixes": ()}, "nothing to judge"),
        ({"folds": 1}, "without the runs of '1 of 1' there is nothing to learn from"),
        ({"folds": 10}, "9 runs can't be dealt to 10 folds"),
        ({"mixes": ("r0", "r*")}, r"without the runs of 'r\*' there is nothing"),
        ({"mixes": ("r0", "x*")}, "no run belongs to the mix 'x"),
        ({"unseen": ("carrier",)}, "no row is of the kind or label 'carrier'"),
        ({"judge": ("r5/*",)}, "no link to judge on is in the runs of 'r0,r"),
        ({"settings": replace(QUICK, links=("x*",))}, "no link matches"),
        ({"settings": replace(QUICK, labels=("normal",))}, "need two labels"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_design_that_cannot_be_tried_is_refused(changes, why):
    """The message says what to change, before hours of training."""

    def never(what):
        assert why == "need two labels", f"began with {what}"

    with pytest.raises(CaptureError, match=why):
        tried(replace(ONE, **changes), told=never)
