"""The report puts candidates in the right order and says honestly what searching brought."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from training.cli import _training_options
from training.search.folds import Fold
from training.search.journal import Candidate
from training.search.refining import name_of
from training.search.report import as_json, command, make_report
from training.search.search import chosen
from training.search.table import as_table
from training.settings import Settings

FOLDS = [Fold("one", frozenset()), Fold("two", frozenset())]
SEARCHED = Settings(units=(48, 48), kinds=True, head=False, loss="triplet", margin=0.123)


def candidate(number, score, settings=SEARCHED, state="ranked"):
    """Make a candidate that did somewhat better on one fold than on the other."""
    scores = {"one": score + 0.1, "two": score - 0.1}
    if state != "ranked":
        scores.pop("two")
    return Candidate(number, settings if number else Settings(), state, scores, 3.0)


def refined(one, score, seeds=(0,)):
    """Make what is noted of a candidate's whole trainings."""
    facts = {"seconds": 60.0, "parameters": 1000 + one.number, "windows_per_second": 5e4}
    return {
        name_of(one, fold, seed): {"score": score + 0.02 * seed, **facts}
        for fold in FOLDS
        for seed in seeds
    }


def report(candidates, noted=(), seeds=(0,), **facts):
    """Make a report."""
    together = {name: what for one in noted for name, what in one.items()}
    known = {"finished": True, "default": Settings(), "captures": [Path("my captures")], "seed": 7}
    return make_report(candidates, together, FOLDS, seeds, **(known | facts))


CANDIDATES = [
    candidate(0, 0.7),
    candidate(1, 0.9),
    candidate(2, 0.99, state="pruned"),
    candidate(3, 0.8),
    candidate(4, 0.6),
]


def test_whole_trainings_come_first_then_brief_ones_then_those_given_up():
    """What was measured better stands higher, and nothing is dropped silently."""
    noted = [refined(CANDIDATES[1], 0.75), refined(CANDIDATES[3], 0.85)]

    made = report(CANDIDATES, noted)

    assert [row.candidate.number for row in made.rows] == [3, 1, 0, 4, 2]
    plain = as_json(made)["candidates"]
    assert [(one["rank_before"], one["rank_after"]) for one in plain] == [
        *((2, 1), (1, 2), (3, None), (4, None), (None, None)),
    ]
    lines = as_table(made).splitlines()
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["1", "2", "3"],
        ["2", "1", "1"],
        ["-", "3", "0"],
    ]
    assert "(given up: 1 of 2 folds)" in lines[5]


def test_a_whole_training_that_lacks_a_fold_does_not_count():
    """A mean over the easy fold alone would win."""
    noted = refined(CANDIDATES[4], 0.99)
    noted.pop(name_of(CANDIDATES[4], FOLDS[1], 0))

    assert report(CANDIDATES, [noted]).winner.candidate.number == 1


def test_seeds_are_averaged_and_folds_make_the_spread():
    """Spread is about runs; seeds only calm the number."""
    (row,) = report(CANDIDATES[:1], [refined(CANDIDATES[0], 0.8, seeds=(0, 1))], (0, 1)).rows

    assert row.score == pytest.approx(0.81)
    assert row.spread == pytest.approx(0)
    assert row.candidate.spread == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("scores", "correlation"), [((0.7, 0.9, 0.8), 1.0), ((0.9, 0.7, 0.8), -1.0)]
)
def test_the_stages_are_compared_by_spearman(scores, correlation):
    """Whoever reads the table has to know what the brief ranking is worth."""
    three = [CANDIDATES[place] for place in (0, 1, 3)]
    noted = [refined(one, score) for one, score in zip(three, scores, strict=True)]

    made = report(three, noted)

    assert as_json(made)["spearman"] == pytest.approx(correlation)
    assert f"{correlation:.2f} of 3 candidates" in as_table(made)


def test_two_candidates_have_no_correlation():
    """It would be 1 or -1, whatever they are."""
    made = report(CANDIDATES[:2], [refined(one, 0.5 + one.number / 9) for one in CANDIDATES[:2]])

    assert as_json(made)["spearman"] is None
    assert "too few" in as_table(made)


def test_a_gain_within_the_spread_is_called_so():
    """A search over many always finds something that looks a little better."""
    small = [refined(one, 0.8 + 0.01 * one.number) for one in CANDIDATES[:2]]
    noted = {name: what for one in small for name, what in one.items()}
    noted[name_of(CANDIDATES[1], FOLDS[0], 0)]["score"] += 0.1

    made = as_table(report(CANDIDATES[:2], [noted]))

    assert "+0.060 over the default - less than the spread over folds" not in made
    noted[name_of(CANDIDATES[1], FOLDS[1], 0)]["score"] -= 0.1
    made = as_table(report(CANDIDATES[:2], [noted]))
    assert "+0.010 over the default - less than the spread over folds" in made


def test_it_is_said_when_the_default_is_not_beaten():
    """That is a result as well."""
    made = as_table(report([candidate(0, 0.9), candidate(1, 0.5)]))

    assert "nothing that was tried does better than the default" in made


@pytest.mark.parametrize("settings", [SEARCHED, Settings(), Settings(half_lives_seconds=(1, 5))])
def test_the_command_makes_the_winning_settings(settings):
    """It is what the user takes home."""
    words = command(report([candidate(0, 0.1), candidate(1, 0.9, settings)]))
    taken = {}

    @click.command()
    @click.argument("captures", nargs=-1)
    @click.option("--out")
    @_training_options
    def train(captures, out, **chosen):
        taken.update(chosen, where=captures, out=out)

    result = CliRunner().invoke(train, _split(words)[2:])

    assert result.exit_code == 0, result.output
    assert (taken.pop("where"), taken.pop("out")) == (("my captures",), "bundle")
    assert Settings(**taken) == settings


def test_the_default_is_refined_besides_the_best():
    """Without it there is nothing to compare with."""
    assert [one.number for one in chosen(CANDIDATES, 2)] == [1, 3, 0]
    assert [one.number for one in chosen(CANDIDATES, 3)] == [1, 3, 0]
    assert chosen(CANDIDATES, 0) == []


def _split(words):
    import shlex

    return shlex.split(words)
