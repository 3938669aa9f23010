"""The tables of a study say in the terminal all that a person decides by."""

import re

import msgspec
import pytest

from tests.training.report.studies import make_study
from training.judging.study import ENCODER, Delay, Estimate, Study
from training.report.numbers import changed_settings, kinds, rejections, share
from training.report.text import WIDTH, as_text
from training.settings import Settings

NAN = float("nan")


def tables(text, title):
    """Give the lines of each table with a title, without its head and what is below it."""
    blocks = [block for block in text.split("\n\n") if block.startswith(title.upper() + "\n")]
    return [block.split("-----\n")[-1].splitlines() for block in blocks]


def cells(lines, start):
    """Give the cells of the line that begins with *start*."""
    (line,) = (line for line in lines if line.startswith(start))
    return re.split(r"\s{2,}", line.strip())


def small(**changes):
    """Make a study with one validation of two methods that have short names."""
    study = make_study()
    one = study.validations[0]
    methods = {ENCODER: one.methods[ENCODER], "rule": one.methods["answer-ratio rule"]}
    validation = msgspec.structs.replace(one, methods=methods, **changes)
    return msgspec.structs.replace(study, validations=(validation,))


def with_judged(study, method, **changes):
    """Change what one method of a study with one validation did."""
    (one,) = study.validations
    judged = msgspec.structs.replace(one.methods[method], **changes)
    validation = msgspec.structs.replace(one, methods=one.methods | {method: judged})
    return msgspec.structs.replace(study, validations=(validation,))


def test_a_study_as_large_as_a_real_one_fits_a_terminal():
    """Who reads it over ssh has 120 columns, and tables that wrap can't be read."""
    lines = as_text(make_study()).splitlines()

    assert max(map(len, lines)) <= WIDTH
    assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.01, 0.03, "above"), (-0.03, -0.01, "below"), (-0.01, 0.03, "level"), (0.0, 0.1, "level")],
)
def test_the_encoder_is_above_only_where_the_interval_leaves_out_0(low, high, word):
    """The word is what goes into reports, so it must not say more than the numbers."""
    study = with_judged(small(), "rule", lead=Estimate(0.012, low, high))

    (lines,) = tables(as_text(study), "naming windows")

    assert cells(lines, "rule")[-1] == word
    assert cells(lines, "rule")[-3] == "+.012"
    assert cells(lines, ENCODER)[-3:] == ["-", "-", "-"]


def test_a_line_on_naming_has_number_interval_and_spread_over_seeds():
    """A mean without its spread says nothing about the next training."""
    f1 = Estimate(0.9136, 0.9, 0.9321, (0.91, 0.935, 0.8966))
    study = with_judged(small(), "rule", macro_f1=f1, balanced=Estimate(0.92, 0.91, 1.0))

    (lines,) = tables(as_text(study), "naming windows")

    assert cells(lines, "rule")[:6] == [
        *("rule", ".914", ".900 to .932", ".897 to .935"),
        *(".920", ".910 to 1.000"),
    ]


def test_false_changes_are_counted_as_one_link_makes_them_in_a_day():
    """Counts of studies of different length can't be compared, rates can."""
    changes = small().validations[0].methods["rule"].changes
    changes = msgspec.structs.replace(
        changes,
        onsets=40,
        found=37,
        false=30,
        hours=48.0,
        false_in_normal=3,
        normal_hours=36.0,
        delays={"blocked": Delay(6.5, 41, 37), "lossy": Delay(12, 13, 3)},
    )
    study = with_judged(with_judged(small(), "rule", changes=changes), ENCODER, changes=changes)

    (lines,) = tables(as_text(study), "following changes")

    assert cells(lines, "rule") == ["rule", "37 of 40", "2.0", "15.0", "6.5", "12"]


def test_kinds_come_with_the_encoders_worst_first():
    """What it can't do is what somebody has to work on."""
    study = small()

    (lines,) = tables(as_text(study), "recall by kind")

    recalls = study.validations[0].methods[ENCODER].kinds
    shown = [re.split(r"\s{2,}", line)[0] for line in lines if not line.startswith(" ")]
    assert shown == sorted(recalls, key=lambda kind: (recalls[kind], kind))
    assert shown == kinds(study.validations[0])


def test_confusion_counts_what_the_encoder_said_that_is_no_true_label():
    """`unknown` is an answer too."""
    study = with_judged(small(), ENCODER, confusion={"blocked": {"blocked": 41, "unknown": 7}})

    text = as_text(study)

    (lines,) = tables(text, "what the encoder takes for what")
    assert re.search(r"truth +blocked +unknown", text)
    assert cells(lines, "blocked") == ["blocked", "41", "7"]


def test_every_rejection_and_every_enrolment_has_its_line():
    """Two tables that are long and easily lose a line."""
    study = small()

    text = as_text(study)

    (unseen,) = tables(text, "labels that were never learnt")
    (learnt,) = tables(text, "learning a label from a few windows")
    assert sum(ENCODER in line for line in unseen) == len(rejections(study.validations[0]))
    first = study.enrolments[0]
    rows = [line for line in learnt if not line.startswith("  ")]
    assert len(rows) == len(study.enrolments)
    row = cells(rows, rows[0])
    assert row[:4] == [first.unseen, first.method, "1", share(first.recall.mean)]
    assert row[-3:] == [share(first.known_before), share(first.known_after), share(first.ceiling)]


def test_methods_that_could_not_run_say_why():
    """A method that is missing from a table without a word looks forgotten."""
    study = small(unavailable={"rocket": "needs aeon"})

    (lines,) = tables(as_text(study), "could not run")

    assert cells(lines, "rocket") == ["rocket", "needs aeon"]


def test_what_there_is_nothing_for_has_no_table():
    """An empty table is a question."""
    study = small(unavailable={})
    for method in (ENCODER, "rule"):
        nothing = {"lead": None, "kinds": {}, "places": {}, "confusion": {}, "rejections": ()}
        study = with_judged(study, method, **nothing)
    study = msgspec.structs.replace(study, enrolments=(), reference_spread={})

    text = as_text(study)

    titles = re.findall(r"^[A-Z][A-Z -]+$", text, re.MULTILINE)
    assert [title.lower() for title in titles] == [
        *("naming windows", "following changes", "captures"),
    ]
    assert "lead" not in text


def test_a_study_of_nothing_is_a_text_too():
    """A run that is broken off can still be looked at."""
    text = as_text(Study({}, {}, 15, 1000, (), "", NAN, ()))

    assert text.startswith("windows of 15 rows")


def test_numbers_that_are_none_are_a_dash():
    """`nan` in a table makes people ask whether something broke."""
    nothing = Estimate(NAN, NAN, NAN, (NAN,))
    study = with_judged(small(), "rule", macro_f1=nothing, balanced=nothing, lead=nothing)

    text = as_text(study)

    (lines,) = tables(text, "naming windows")
    assert set(cells(lines, "rule")[1:]) == {"-"}
    assert "nan" not in text.lower().split()


def test_names_can_neither_steer_a_terminal_nor_break_a_table():
    """Labels and capture names come from elsewhere."""
    evil = "x\x1b[2J\n\u202ey" + "\u4e16" * 200
    study = with_judged(small(), ENCODER, kinds={evil: 0.5})
    study = msgspec.structs.replace(study, captures={evil: "00"})

    text = as_text(study)

    assert not [sign for sign in text if not (sign.isprintable() or sign == "\n")]
    assert "\\x1b[2J\\x0a\\u202ey" in text.replace("\n", "")


def test_only_settings_that_were_changed_are_shown():
    """Of forty settings one or two make a study what it is."""
    usual = Settings()
    same = {name: str(getattr(usual, name)) for name in ("units", "links", "anchors", "loss")}
    same |= {"half_lives_seconds": ", ".join(f"{each:g}" for each in usual.half_lives_seconds)}
    same |= {"margin": usual.margin, "epochs": float(usual.epochs)}
    settings = same | {"steps": usual.steps + 1, "refit": not usual.refit, "of_tomorrow": 3}
    study = msgspec.structs.replace(make_study(), settings=settings)

    assert changed_settings(study) == {
        "steps": (str(usual.steps + 1), str(usual.steps)),
        "refit": (str(not usual.refit), str(usual.refit)),
        "of_tomorrow": ("3", "-"),
    }
    assert f"setting steps = {usual.steps + 1} (default {usual.steps})" in as_text(study)


def test_only_a_recipe_is_timed():
    """A bundle that is judged was trained before; "0 s" would be a boast."""
    timed = make_study()

    untimed = msgspec.structs.replace(timed, seconds=0.0)

    assert "for one training" in as_text(timed)
    assert "for one training" not in as_text(untimed)
