"""A bundle, and the plain methods beside it, are judged on runs that training never saw."""

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from detector.capture import CaptureError, read_links
from detector.encoder import open_encoder
from tests.training.captures import (
    LEFT_OUT,
    TINY,
    listed,
    make_table,
    tiny_training,
    write,
)
from training.judging.evaluate import Judging, evaluate
from training.judging.strangers import DISCRIMINANT
from training.judging.study import ENCODER, HEAD, MEANINGS, UNSEEN, Study
from training.labelled import LabelledWindows
from training.rivals import RIVALS, RivalUnavailable
from training.watched import watch

RULE, NEIGHBOUR, LOGISTIC = [*RIVALS][:3]
CHANGES = "logistic regression on ratios, with changes"


@cache
def tiny_study():
    """Judge the tiny training once for all tests, with three of the plain methods."""
    with TemporaryDirectory() as folder:
        path = write(make_table(), Path(folder))
        return evaluate(tiny_training()[0], [path], Judging(rivals=(RULE, NEIGHBOUR, LOGISTIC)))


def judge(table, folder, bundle=None, **options):
    """Judge the tiny training on a capture, with no plain method unless told."""
    judging = Judging(**({"rivals": ()} | options))
    return evaluate(bundle or tiny_training()[0], [write(table, folder)], judging)


def judged(study):
    """Give the one validation of a study."""
    (validation,) = study.validations
    return validation


def retrained(**changes):
    """Give the tiny training as if it had been another."""
    bundle, _ = tiny_training()
    training = msgspec.structs.replace(bundle.manifest.training, **changes)
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, training=training))


def test_only_unseen_runs_are_judged(tmp_path):
    """Separation on training data proves nothing."""
    found = judged(tiny_study())

    spec = tiny_training()[0].manifest.window
    links = read_links([write(make_table(), tmp_path)], spec)
    unseen = LabelledWindows([k for k in links if k.run in LEFT_OUT], spec, tail=10)
    assert found.runs == len(LEFT_OUT)
    assert found.windows == len(unseen) == 2 * 2 * (21 + 20)  # runs, places, normal and fault
    assert (found.name, found.meaning) == (UNSEEN, MEANINGS[UNSEEN])
    for one in found.methods.values():
        assert sum(sum(row.values()) for row in one.confusion.values()) == found.windows
        assert one.changes.onsets == 4
        assert one.changes.hours == pytest.approx(4 * 50 / 3600)


def test_a_study_says_what_was_judged_and_can_be_read_again():
    """A pipeline that compares bundles reads it, and other readers know no NaN."""
    study = tiny_study()

    bundle, _ = tiny_training()
    assert study.bundle == bundle.id
    assert study.captures == bundle.manifest.training.captures
    assert study.seeds == (TINY.seed,)
    assert (study.steps, study.step_ms) == (10, 1000)
    assert study.settings["margin"] == TINY.margin
    assert msgspec.json.decode(msgspec.json.encode(study), type=Study) == study


def test_the_second_opinion_is_a_method_of_its_own():
    """Whoever turns it on wants to know what it is worth."""
    found = judged(tiny_study())

    assert [*found.methods] == [ENCODER, HEAD, NEIGHBOUR, LOGISTIC]
    assert found.methods[HEAD].lead is not None


def test_a_bundle_without_a_second_opinion_is_judged_without(tmp_path):
    """Bundles of before had none."""
    bundle, _ = tiny_training()
    manifest = msgspec.structs.replace(bundle.manifest, head=())

    found = judged(judge(make_table(), tmp_path, replace(bundle, manifest=manifest, head=None)))

    assert [*found.methods] == [ENCODER]


def test_the_capture_need_not_be_the_one_of_the_training(tmp_path):
    """The first thing somebody does with a bundle is to try it on their own traffic."""
    table = make_table()
    table["link"] = "x" + table["link"]

    found = judged(judge(table, tmp_path))

    assert found.runs == 8


def test_a_capture_of_seen_runs_only_is_refused(tmp_path):
    """A score of 1.0 on what was learnt by heart would go into a slide."""
    table = make_table()
    training = tiny_training()[0].manifest.training
    seen = table["link"].str.partition("/")[0].isin({*training.runs, *training.validation_runs})

    with pytest.raises(CaptureError, match="has seen every run of these captures"):
        judge(table[seen], tmp_path)


def test_a_capture_without_labels_is_refused(tmp_path):
    """Nothing can be right or wrong without the truth."""
    table = make_table().assign(label=None, kind=None)

    with pytest.raises(CaptureError, match="has a window of one label"):
        judge(table, tmp_path)


def test_what_the_bundle_has_no_name_for_is_not_judged_but_flagged(tmp_path):
    """A recording may hold faults that nobody has enrolled; no answer to them is right."""
    faults = ["capacity-limited", "blocked"] * 3 + ["lossy", "blocked"]

    found = judged(judge(make_table(faults=faults), tmp_path))

    encoder = found.methods[ENCODER]
    assert set(encoder.confusion) == {"normal", "blocked"}
    assert found.windows == 2 * (2 * 21 + 20)  # places; two runs' normal, one run's fault
    assert encoder.changes.onsets == 2
    assert encoder.changes.normal_hours == 0  # neither run was normal throughout
    (lossy,) = encoder.rejections
    assert (lossy.unseen, lossy.episodes) == ("lossy", 2)


def test_without_anything_unknown_nothing_is_flagged():
    """There is no stranger in this capture."""
    assert all(one.rejections == () for one in judged(tiny_study()).methods.values())


def test_the_plain_rival_is_asked_for_strangers_too(tmp_path):
    """What it does as well, nobody needs an encoder for."""
    faults = ["capacity-limited", "blocked"] * 3 + ["lossy", "blocked"]

    found = judged(judge(make_table(faults=faults), tmp_path, rivals=(DISCRIMINANT,)))

    assert [one.unseen for one in found.methods[DISCRIMINANT].rejections] == ["lossy"]


def test_links_are_those_of_the_training_unless_others_are_named(tmp_path):
    """A bundle for access links must not be scored on core links by accident."""
    core_only = retrained(links=("*/core",))

    usual, named, every = (
        judged(judge(make_table(), tmp_path, core_only, only=only))
        for only in ((), ("r6/access",), ("*",))
    )

    assert usual.runs == every.runs == len(LEFT_OUT)
    assert usual.windows == every.windows / 2 == 2 * named.windows
    assert [*usual.methods[ENCODER].places] == ["core"]
    assert [*named.methods[ENCODER].places] == ["access"]


@pytest.mark.parametrize(("agree", "of"), [(1, 1), (6, 7)])
def test_the_agreement_that_is_asked_for_is_waited_for(tmp_path, agree, of):
    """Evaluation must wait as the daemon does, or its delays are not the daemon's."""
    with listed(RIVALS, "oracle", lambda features, _seed: Oracle(features)):
        found = judged(judge(make_table(), tmp_path, rivals=("oracle",), agree=agree, of=of))

    # The row without a label, in which the change came about, shows it already.
    waits = found.methods["oracle"].changes.delays
    assert {(one.median, one.found) for one in waits.values()} == {(agree, 2)}


def test_the_encoder_is_followed_by_the_daemons_own_rule(tmp_path):
    """How many windows have to agree is for methods that have nothing to say but a name."""
    quick, slow = (
        judged(judge(make_table(), tmp_path, agree=agree, of=agree)).methods for agree in (1, 9)
    )

    bundle, _ = tiny_training()
    spec = bundle.manifest.window
    links = [
        link for link in read_links([write(make_table(), tmp_path)], spec) if link.run in LEFT_OUT
    ]
    watched = [watch(bundle, open_encoder(bundle, "onnxruntime"), link) for link in links]
    found = quick[ENCODER].changes
    assert found.found == sum(len(one.found_minutes) for one in watched) > 0
    assert found.false == sum(len(one.false_minutes) for one in watched)
    assert found == slow[ENCODER].changes
    assert quick[HEAD].changes != slow[HEAD].changes


class Oracle:
    """Stands for a method that tells faults by the share of answers in the last row."""

    partial = False

    def __init__(self, features):
        self.places = features.index("fwd_packets"), features.index("rev_packets")

    def fit(self, windows, labels, runs):
        """Learn nothing."""

    def predict(self, windows):
        """Name the last row."""
        asked, answered = (windows[:, -1, place] for place in self.places)
        share = answered / asked
        return [
            "blocked" if s < 0.1 else "normal" if s > 0.9 else "capacity-limited" for s in share
        ]


class Spy:
    """Stands for a plain method, and remembers what it was trained on."""

    def __init__(self, partial=False):
        self.partial = partial

    def __call__(self, features, seed):
        """Be made."""
        self.features, self.seed = features, seed
        return self

    def fit(self, windows, labels, runs):
        """Learn nothing."""
        self.windows, self.labels, self.runs = windows, labels, runs

    def predict(self, windows):
        """Say the same of all."""
        return ["normal"] * len(windows)


def spied(table, folder, spy=None, bundle=None, **options):
    """Give a spy that was trained and judged beside a bundle, and what the study says."""
    spy = spy or Spy()
    with listed(RIVALS, "spy", spy):
        found = judged(judge(table, folder, bundle, rivals=("spy",), **options))
    return spy, found


@pytest.mark.parametrize("only", [(), ("r6/access",)])
def test_plain_methods_learn_from_the_runs_that_the_encoder_learnt_from(tmp_path, only):
    """More or other runs for them, or for it, and the comparison is worth nothing."""
    spy, found = spied(make_table(), tmp_path, only=only)

    manifest = tiny_training()[0].manifest
    assert set(spy.runs) == set(manifest.training.runs)
    assert len(spy.windows) == len(spy.labels) == len(manifest.training.runs) * 2 * 41
    assert (spy.features, spy.seed) == (manifest.window.features, TINY.seed)
    assert set(spy.labels) == set(manifest.labels)
    assert found.methods["spy"].macro_f1.mean < found.methods[ENCODER].macro_f1.mean


def test_plain_methods_learn_from_no_other_links(tmp_path):
    """Links that the encoder was not shown would be their advantage."""
    spy, _ = spied(make_table(), tmp_path, bundle=retrained(links=("*/core",)), only=("*",))

    assert len(spy.windows) == len(set(spy.runs)) * 1 * 41


def test_plain_methods_learn_nothing_that_the_encoder_was_not_to_learn(tmp_path):
    """A kind that was left out of the training is as new to them as to the encoder."""
    settings = tiny_training()[0].manifest.training.settings | {"leave_kinds": "blocked*,odd"}

    spy, _ = spied(make_table(), tmp_path, bundle=retrained(settings=settings))

    assert set(spy.labels) == {"normal", "capacity-limited"}


def test_methods_that_learn_changes_get_windows_with_changes(tmp_path):
    """A window's label is then that of its last seconds, as the encoder's is."""
    table = make_table()
    table["label"] = table.groupby("link")["label"].bfill()  # no row between is without

    pure, partial = (spied(table, tmp_path, Spy(partial))[0] for partial in (False, True))

    links = len(set(pure.runs)) * 2
    assert len(pure.windows) == links * (21 + 21)
    assert len(partial.windows) == links * (51 - 2)  # two windows end within 3 s of the change


def refuse(_features, _seed):
    """Stand for a method that reads other counters."""
    raise RivalUnavailable("no such counters here")


class Choosy:
    """Stands for a method that wants longer windows."""

    partial = False

    def fit(self, windows, labels, runs):
        """Refuse the windows."""
        raise ValueError(f"{windows.shape[1]} steps are too few")


def test_methods_that_cannot_read_a_capture_are_listed_with_why(tmp_path):
    """A gap in a table is taken for a method that was forgotten, or worse, that lost."""
    with listed(RIVALS, "picky", refuse), listed(RIVALS, "choosy", lambda *_: Choosy()):
        found = judged(judge(make_table(), tmp_path, rivals=("picky", "choosy", LOGISTIC)))

    assert found.unavailable == {
        "picky": "no such counters here",
        "choosy": "10 steps are too few",
    }
    assert [*found.methods] == [ENCODER, HEAD, LOGISTIC]


def test_without_the_runs_that_were_learnt_from_there_is_no_plain_method(tmp_path):
    """The encoder can still be judged on a capture of its own, and the study says what lacks."""
    table = make_table()

    only = table[table["link"].str.startswith(LEFT_OUT)]
    found = judged(judge(only, tmp_path, rivals=(NEIGHBOUR, LOGISTIC)))

    assert [*found.methods] == [ENCODER, HEAD]
    assert [*found.unavailable] == [NEIGHBOUR, LOGISTIC]
    assert "don't hold the runs" in found.unavailable[LOGISTIC]


def test_judging_needs_no_tensorflow():
    """The daemon's engine embeds, and where bundles are compared nobody has to train."""
    code = "import sys, training.judging.evaluate; print({'keras', 'tensorflow'} & {*sys.modules})"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_progress_names_each_method_as_its_turn_comes(tmp_path):
    """Minutes without a sign look like a hang."""
    told, path = [], write(make_table(), tmp_path)

    evaluate(tiny_training()[0], [path], Judging(rivals=(LOGISTIC, NEIGHBOUR)), told.append)

    assert told == [ENCODER, LOGISTIC, NEIGHBOUR, "what it has no name for"]
