"""The text form of an evaluation tells a person all that the report knows."""

import re

from detector.truth import Change, Found
from training.evaluate import ENCODER, Report, Score
from training.report import as_text


def make_score(f1, recall=0.854, **found):
    """Make a score with a small confusion."""
    confusion = {"blocked": {"blocked": 41, "normal": 7}, "normal": {"blocked": 3, "normal": 59}}
    return Score(f1, confusion, {"filter": recall}, Found(watched_seconds=5400, **found))


def make_report(**scores):
    """Make a report of the encoder and one plain method."""
    late = make_score(
        0.9136,
        onsets=4,
        delays_seconds={"blocked": [5.0, 9.5, 6.0]},
        missed=[Change("r6/core", 1234, "normal")],
        false=[Change("r7/access", 5678, "blocked")],
    )
    return Report(
        bundle="0123456789ab",
        runs=("r6", "r7"),
        windows=110,
        scores={ENCODER: late, "plain method": make_score(0.5, 0.31, onsets=4)} | scores,
        unavailable={"rule": "lacks fwd_invite"},
    )


def cells(text, start):
    """Give the cells of the line that begins with *start*."""
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    return re.split(r"\s{2,}", line.strip())


def test_the_head_says_what_was_judged_on_what():
    """A number without its bundle and its runs can't be had again."""
    head = as_text(make_report()).splitlines()[0]

    assert "0123456789ab" in head
    assert "2 runs that its training did not see" in head
    assert "110 windows" in head


def test_all_methods_stand_in_one_table():
    """An encoder that does not beat the plain methods has no argument."""
    text = as_text(make_report())

    assert cells(text, ENCODER + " ") == [ENCODER, "0.914", "3 of 4", "1", "blocked 6 9.5"]
    assert cells(text, "plain method") == ["plain method", "0.500", "0 of 4", "0"]
    assert "rule: not run: lacks fwd_invite" in text


def test_the_encoders_confusion_and_kinds_are_shown():
    """The average says that something is wrong, and these say what."""
    text = as_text(make_report())

    assert cells(text, "encoder: truth") == ["encoder: truth, then said", "blocked", "normal"]
    assert cells(text, "blocked ") == ["blocked", "41", "7"]
    assert cells(text, "normal ") == ["normal", "3", "59"]
    assert cells(text, "filter") == ["filter", "0.854", "0.310"]


def test_what_was_missed_and_what_was_false_can_be_looked_up():
    """Each one is a link and a time to open the capture at."""
    text = as_text(make_report())

    assert "encoder: 1.50 link-hours watched" in text
    assert "missed: r6/core normal at 1234" in text
    assert re.search(r"false: +r7/access blocked at 5678", text)


def test_columns_stand_under_their_heads():
    """A table that doesn't line up is read wrongly."""
    text = as_text(make_report(**{"a method with a rather long name": make_score(0.25)}))

    lines = text.splitlines()
    (head,) = (line for line in lines if line.startswith("method"))
    rows = lines[lines.index(head) + 1 :][:3]
    assert [row[head.index("macro-F1") :][:5] for row in rows] == ["0.914", "0.500", "0.250"]
