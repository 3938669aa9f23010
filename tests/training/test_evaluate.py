"""A bundle, and the plain methods beside it, are judged on runs that training never saw."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from detector.capture import CaptureError, read_links
from detector.window import WindowSpec
from tests.training.captures import (
    LEFT_OUT,
    START_MS,
    TINY,
    listed,
    make_link,
    make_table,
    tiny_training,
    write,
)
from training.evaluate import ENCODER, as_json, evaluate, macro_f1, report_changes, score
from training.labelled import LabelledWindows
from training.rivals import RIVALS, RivalUnavailable

RULE, NEIGHBOUR, LOGISTIC, ROCKET = RIVALS
SPEC = WindowSpec(("truth",), 4, 1000)
NAMES = ("normal", "blocked", "limited")


@cache
def tiny_report():
    """Judge the tiny training once for all tests, with three of the plain methods."""
    with TemporaryDirectory() as folder:
        path = write(make_table(), Path(folder))
        return evaluate(tiny_training()[0], [path], rivals=(RULE, NEIGHBOUR, LOGISTIC))


def judge(table, folder, **options):
    """Judge the tiny training on a capture, with no plain method unless told."""
    options = {"rivals": ()} | options
    return evaluate(tiny_training()[0], [write(table, folder)], **options)


def test_only_unseen_runs_are_judged(tmp_path):
    """Separation on training data proves nothing."""
    report = tiny_report()

    links = read_links([write(make_table(), tmp_path)], tiny_training()[0].manifest.window)
    unseen = LabelledWindows([k for k in links if k.run in LEFT_OUT], bundle_spec(), tail=10)
    assert report.runs == LEFT_OUT
    assert report.windows == len(unseen) == 2 * 2 * (21 + 20)  # runs, places, normal and fault
    for name in report.scores:
        counts = [sum(row.values()) for row in report.scores[name].confusion.values()]
        assert sum(counts) == report.windows


def bundle_spec():
    """Give the windows that the tiny training's encoder reads."""
    return tiny_training()[0].manifest.window


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


def test_what_the_bundle_has_no_name_for_is_not_judged(tmp_path):
    """A recording may hold faults that nobody has enrolled; no answer to them is right."""
    faults = ["capacity-limited", "blocked"] * 3 + ["lossy", "blocked"]

    report = judge(make_table(faults=faults), tmp_path)

    assert set(report.scores[ENCODER].confusion) == {"normal", "blocked"}
    assert report.windows == 2 * (2 * 21 + 20)  # places; two runs' normal, one run's fault


def core_only():
    """Give the tiny training as if only core links had been learnt from."""
    bundle, _ = tiny_training()
    training = msgspec.structs.replace(bundle.manifest.training, links=("*/core",))
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, training=training))


def test_links_are_those_of_the_training_unless_others_are_named(tmp_path):
    """A bundle for access links must not be scored on core links by accident."""
    path = write(make_table(), tmp_path)

    usual, named, all_links = (
        evaluate(core_only(), [path], only=only, rivals=())
        for only in ((), ("r6/access",), ("*",))
    )

    assert usual.runs == all_links.runs == LEFT_OUT
    assert usual.windows == all_links.windows / 2 == 2 * named.windows
    assert named.runs == ("r6",)


class Spy:
    """Stands for a plain method, and remembers what it was trained on."""

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


@pytest.mark.parametrize("only", [(), ("r6/access",)])
def test_plain_methods_learn_from_the_runs_that_the_encoder_learnt_from(tmp_path, only):
    """More or other runs for them, or for it, and the comparison is worth nothing."""
    with listed(RIVALS, "spy", Spy()):
        report = judge(make_table(), tmp_path, rivals=("spy",), only=only)
        spy = RIVALS["spy"]

    manifest = tiny_training()[0].manifest
    assert set(spy.runs) == set(manifest.training.runs)
    assert len(spy.windows) == len(spy.labels) == len(manifest.training.runs) * 2 * 41
    assert (spy.features, spy.seed) == (manifest.window.features, TINY.seed)
    assert set(spy.labels) == set(manifest.labels)
    assert report.scores["spy"].macro_f1 < report.scores[ENCODER].macro_f1


def test_plain_methods_learn_from_no_other_links(tmp_path):
    """Links that the encoder was not shown would be their advantage."""
    path, spy = write(make_table(), tmp_path), Spy()

    with listed(RIVALS, "spy", spy):
        evaluate(core_only(), [path], only=("*",), rivals=("spy",))

    assert len(spy.windows) == len(set(spy.runs)) * 1 * 41


def refuse(_features, _seed):
    """Stand for a method that reads other counters."""
    raise RivalUnavailable("no such counters here")


class Choosy:
    """Stands for a method that wants longer windows."""

    def fit(self, windows, labels, runs):
        """Refuse the windows."""
        raise ValueError(f"{windows.shape[1]} steps are too few")


def test_methods_that_cannot_read_a_capture_are_listed_with_why(tmp_path):
    """A gap in a table is taken for a method that was forgotten, or worse, that lost."""
    with listed(RIVALS, "picky", refuse), listed(RIVALS, "choosy", lambda *_: Choosy()):
        report = judge(make_table(), tmp_path, rivals=("picky", "choosy", LOGISTIC))

    assert report.unavailable == {
        "picky": "no such counters here",
        "choosy": "10 steps are too few",
    }
    assert [*report.scores] == [ENCODER, LOGISTIC]


def test_without_the_runs_that_were_learnt_from_there_is_no_plain_method(tmp_path):
    """The encoder can still be judged on a capture of its own, and the report says what lacks."""
    table = make_table()

    only = table[table["link"].str.startswith(LEFT_OUT)]
    report = judge(only, tmp_path, rivals=(NEIGHBOUR, LOGISTIC))

    assert [*report.scores] == [ENCODER]
    assert [*report.unavailable] == [NEIGHBOUR, LOGISTIC]
    assert "don't hold the runs" in report.unavailable[LOGISTIC]


def test_judging_needs_no_tensorflow():
    """The daemon's engine embeds, and where bundles are compared nobody has to train."""
    code = "import sys, training.evaluate; print({'keras', 'tensorflow'} & {*sys.modules})"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_progress_names_each_method_as_its_turn_comes(tmp_path):
    """Minutes without a sign look like a hang."""
    told = []

    judge(make_table(), tmp_path, rivals=(LOGISTIC, NEIGHBOUR), progress=told.append)

    assert told == [ENCODER, LOGISTIC, NEIGHBOUR]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1))
def test_macro_f1_is_scikit_learns(pairs):
    """Everybody else's numbers are made with it; labels that are never true don't count."""
    truth, said = (np.array(side) for side in zip(*pairs, strict=True))

    found = macro_f1(truth, said)

    labels = sorted(set(truth))
    usual = f1_score(truth, said, labels=labels, average="macro", zero_division=0)
    assert found == pytest.approx(usual)


def known_link(labels, name="run/place", **options):
    """Make a link whose only feature says which label is true in each row."""
    codes = [NAMES.index(label) if label else 9 for label in labels]
    return make_link(labels, np.array(codes, np.float32)[:, None], name=name, **options)


def last_row(windows):
    """Name windows as somebody would who knows the truth of their last row."""
    return [NAMES[int(code)] if code < 9 else "normal" for code in windows[:, -1, 0]]


def always(label):
    """Give a method that always says the same."""
    return lambda windows: [label] * len(windows)


def scored(predict, *links, agree=2, of=3):
    """Score a method on links of the small spec."""
    return score(predict, LabelledWindows(links, SPEC, tail=4), SPEC, agree, of)


TROUBLE = ["normal"] * 10 + [None] * 2 + ["blocked"] * 10 + ["normal"] * 8


def test_a_perfect_method_scores_1_and_is_late_only_by_the_agreement():
    """No method can be told from a better one if the best doesn't get the full score."""
    found = scored(last_row, known_link(TROUBLE))

    assert found.macro_f1 == 1
    assert found.confusion == {
        "blocked": {"blocked": 7, "normal": 0},
        "normal": {"blocked": 0, "normal": 7 + 5},
    }
    assert found.changes.onsets == found.changes.found == 2
    # The second of two windows that agree ends two seconds after the first row, and blocked
    # counts from the two rows without a label in which it came about.
    assert found.changes.delays_seconds == {"blocked": [4.0], "normal": [2.0]}
    assert found.changes.false == found.changes.missed == []
    assert found.changes.watched_seconds == 30 - 4


@pytest.mark.parametrize(("agree", "of", "delay"), [(1, 1, 3.0), (3, 4, 5.0), (4, 5, 6.0)])
def test_the_agreement_that_is_asked_for_is_waited_for(agree, of, delay):
    """Evaluation must wait as the daemon does, or its delays are not the daemon's."""
    found = scored(last_row, known_link(TROUBLE), agree=agree, of=of)

    assert found.changes.delays_seconds["blocked"] == [delay]


def test_a_method_that_always_says_normal_misses_every_change():
    """It is right most of the time, and useless."""
    links = [known_link(TROUBLE, name=f"run{n}/a") for n in range(3)]

    found = scored(always("normal"), *links)

    assert found.confusion["blocked"] == {"blocked": 0, "normal": 21}
    assert found.macro_f1 == pytest.approx(0.5 * (2 * 36 / (36 + 57)))  # of normal, and 0
    assert found.changes.onsets == 6
    assert found.changes.found == 0
    assert [change.label for change in found.changes.missed] == ["blocked", "normal"] * 3
    assert found.changes.false == []


def test_a_method_that_always_says_blocked_is_wrong_once_a_link():
    """One false alarm for each link, and no more: the state stays."""
    links = [known_link(["normal"] * 12, name=f"run{n}/a") for n in range(3)]

    found = scored(always("blocked"), *links)

    assert found.macro_f1 == 0
    assert [(change.link, change.label) for change in found.changes.false] == [
        (f"run{n}/a", "blocked") for n in range(3)
    ]
    assert found.changes.onsets == 0


def test_a_link_that_begins_well_has_not_changed():
    """A link that is first seen and is well is no news."""
    changes = report_changes(last_row, known_link(["normal"] * 9), SPEC, 2, 3)

    assert changes == []


def test_a_link_that_begins_blocked_is_reported():
    """An alarm at the first sight of a link is one."""
    (change,) = report_changes(last_row, known_link(["blocked"] * 9), SPEC, 2, 3)

    assert (change.label, change.at_ms) == ("blocked", START_MS + 5000)


def test_windows_that_the_daemon_would_refuse_are_not_judged():
    """Lost telemetry is no alarm there, so it is no false alarm here."""
    link = known_link(["normal"] * 20)
    link.values[6:14] = np.nan

    def alarm(windows):
        return ["blocked" if np.isnan(w).mean() > 0.5 else "normal" for w in windows]

    changes = report_changes(alarm, link, SPEC, 2, 3)

    assert np.isnan(link.windows(4)).mean(axis=1).max() == 1
    assert changes == []


def test_a_link_shorter_than_a_window_reports_nothing():
    """It is no reason to end the evaluation either."""
    assert report_changes(last_row, known_link(["blocked"] * 3), SPEC, 2, 3) == []


def test_recall_is_given_for_each_kind():
    """A mechanism that is never found hides well in a good average."""
    labels, kinds = ["blocked"] * 24, ["filter"] * 8 + ["carrier"] * 8 + ["filter"] * 8
    link = known_link(labels, kinds=kinds)

    def partly(windows):
        return ["blocked" if number < 5 else "normal" for number in range(len(windows))]

    found = scored(partly, link)

    assert found.kind_recall == {"carrier": 0.0, "filter": pytest.approx(5 / 13)}


def test_windows_without_a_kind_count_as_their_label():
    """Captures need no kinds, and none called None may appear."""
    link = known_link(TROUBLE, kinds=[None] * 30)

    found = scored(last_row, link)

    assert found.kind_recall == {"blocked": 1.0, "normal": 1.0}


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=4))
def test_the_confusion_counts_windows_by_truth_and_by_what_was_said(pairs):
    """It is where an engineer looks for what is taken for what."""
    truth, said = zip(*pairs, strict=True)
    spec = WindowSpec(("row",), 1, 1000)
    windows = LabelledWindows([make_link(truth)], spec, tail=1)

    found = score(lambda tile: [said[int(row)] for row in tile[:, 0, 0]], windows, spec, 1, 1)

    counts = Counter(zip(truth, said, strict=True))
    assert found.confusion == {
        true: {label: counts[true, label] for label in sorted({*truth, *said})}
        for true in sorted(set(truth))
    }


def test_the_json_form_is_valid_json_and_holds_the_numbers():
    """A pipeline that compares bundles reads it, and other readers know no NaN."""
    report = tiny_report()

    text = json.dumps(as_json(report), allow_nan=False)

    data = json.loads(text)
    assert data["runs"] == [*LEFT_OUT]
    assert data["windows"] == report.windows
    assert data["unavailable"] == report.unavailable
    assert [*data["scores"]] == [ENCODER, NEIGHBOUR, LOGISTIC]
    for name, found in report.scores.items():
        plain = data["scores"][name]
        assert plain["macro_f1"] == pytest.approx(found.macro_f1, abs=1e-4)
        assert plain["confusion"] == found.confusion
        assert plain["onsets"] == found.changes.onsets == 4
        assert plain["found"] == found.changes.found
        assert plain["false_changes"] == len(found.changes.false)
        assert plain["watched_hours"] == pytest.approx(4 * 50 / 3600, abs=1e-3)
        assert plain["kind_recall"] == pytest.approx(found.kind_recall, abs=1e-4)
        for label, waits in found.changes.delays_seconds.items():
            middle = {"median": float(np.median(waits)), "worst": max(waits)}
            assert plain["delay_seconds"][label] == pytest.approx(middle, abs=0.06)
