"""Cells become a study: the same counts, whoever adds them up, and intervals around them."""

import statistics
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tests.training.report.pages import Page
from training.judging.cell import Cell
from training.judging.pooling import Facts, study
from training.judging.study import (
    ENCODER,
    KINDS,
    MEANINGS,
    MIXES,
    RUNS,
    Delay,
    Enrolment,
    Estimate,
    Rejection,
    Study,
)
from training.judging.watching import Count, Findings, Following
from training.report.page import as_html
from training.report.text import as_text

FACTS = Facts(captures={"a.parquet": "00"}, settings={"steps": 4}, steps=4, step_ms=1000)
RIVAL = "rule"
LABELS = ("normal", "blocked", "lossy")
TRUTHS = (("normal", 12), ("blocked", 8))  # of each run: label, windows
RECALLS = (0.5, 0.75, 0.25, 0.75)  # of a method that is not perfect, by run
SOME = Estimate(0.5, 0.4, 0.6)


def counts(run, recall=1.0, truths=TRUTHS, place="access"):
    """Count what a method that is right so often said of a run."""
    found = []
    for truth, windows in truths:
        right, wrong = round(windows * recall), "lossy" if truth == "normal" else "normal"
        found.append(Count(run, place, truth, f"{truth} kind", truth, right))
        found.append(Count(run, place, truth, f"{truth} kind", wrong, windows - right))
    return [count for count in found if count.windows]


def findings(counted, **following):
    """Make what a method said of some runs."""
    return Findings([*counted], Following(**following))


def cell(validation=RUNS, fold="1 of 1", seed=0, seconds=1.0, **methods):
    """Make a cell; methods are given as lists of counts."""
    made = Cell(validation, fold, seed, seconds)
    made.findings = {name: findings(counted) for name, counted in methods.items()}
    return made


def four_runs(*seeds):
    """Judge a perfect encoder and a rival on four runs in two folds, with every seed."""
    return [
        cell(
            fold=f"{fold} of 2",
            seed=seed,
            encoder=[one for run in runs for one in counts(f"r{run}")],
            rule=[one for run in runs for one in counts(f"r{run}", RECALLS[run])],
        )
        for seed in seeds
        for fold, runs in ((1, (0, 1)), (2, (2, 3)))
    ]


def test_a_perfect_method_has_a_macro_f1_of_1_whatever_runs_are_drawn():
    """If the best can't get it, nobody knows what 1 means."""
    (found,) = study(four_runs(0, 1), FACTS).validations

    encoder = found.methods[ENCODER]
    assert encoder.macro_f1 == encoder.balanced == Estimate(1.0, 1.0, 1.0, (1.0, 1.0))
    assert encoder.lead is None
    assert encoder.kinds == {"normal kind": 1.0, "blocked kind": 1.0}
    assert encoder.places == {"access": 1.0}


def test_the_lead_is_the_difference_and_lies_in_its_interval():
    """The word that goes into reports hangs on where this interval ends."""
    (found,) = study(four_runs(0, 1), FACTS).validations

    rival = found.methods[RIVAL]
    assert rival.lead.mean == pytest.approx(1 - rival.macro_f1.mean)
    assert 0 < rival.lead.low < rival.lead.mean < rival.lead.high
    assert rival.macro_f1.low < rival.macro_f1.mean < rival.macro_f1.high < 1
    assert rival.balanced.mean == pytest.approx(np.mean(RECALLS))


def test_folds_of_a_seed_are_one_judgement_of_all_runs():
    """Macro-F1 of a fold with few windows of a label is chance, and a mean of such is too."""
    (found,) = study(four_runs(0, 1), FACTS).validations

    assert found.name == RUNS
    assert found.meaning == MEANINGS[RUNS]
    assert found.folds == ("1 of 2", "2 of 2")
    assert found.runs == 4
    assert found.windows == 4 * 20
    normal, blocked = 4 * 12, 4 * 8
    hits = [12 * sum(RECALLS), 8 * sum(RECALLS)]
    said = [hits[0] + blocked - hits[1], hits[1]]
    plain = np.mean([2 * hits[0] / (normal + said[0]), 2 * hits[1] / (blocked + said[1])])
    assert found.methods[RIVAL].macro_f1.by_seed == pytest.approx([plain] * 2)


def test_a_study_tells_what_it_was_made_of():
    """Numbers without their captures and settings can't be compared with any others."""
    cells = [*four_runs(3, 5), cell(MIXES, "quiet", 3, 6.0, encoder=counts("r0"))]

    made = study(cells, facts(bundle="b"))

    assert (made.captures, made.settings, made.steps, made.step_ms) == (
        *({"a.parquet": "00"}, {"steps": 4}, 4, 1000),
    )
    assert made.seeds == (3, 5)
    assert made.bundle == "b"
    assert made.seconds == 2.0  # four of one second and one of six
    assert [one.name for one in made.validations] == [RUNS, MIXES]


def facts(**changes):
    """Give the facts with changes."""
    plain = {"captures": FACTS.captures, "settings": FACTS.settings, "steps": 4, "step_ms": 1000}
    return Facts(**(plain | changes))


WORDS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("ab"), *[st.sampled_from(LABELS)] * 2),
    min_size=1,
    max_size=40,
)


@given(WORDS, st.integers(1, 3))
def test_pooled_counts_are_those_of_a_plain_loop(windows, folds):
    """Every window counts once for each seed, whatever fold its run was dealt to."""
    cells = []
    for seed in (0, 1):
        for fold in range(folds):
            mine = [one for one in windows if (one[0] + seed) % folds == fold]
            counted = [
                Count(f"r{run}", place, truth, truth, said, number)
                for (run, place, truth, said), number in Counter(mine).items()
            ]
            cells.append(cell(fold=str(fold), seed=seed, encoder=counted))

    (found,) = study(cells, FACTS).validations

    judged = found.methods[ENCODER]
    table = Counter((truth, said) for _, _, truth, said in windows)
    assert {
        (truth, said): number
        for truth, row in judged.confusion.items()
        for said, number in row.items()
        if number
    } == {pair: 2 * number for pair, number in table.items()}
    assert found.windows == len(windows)
    assert found.runs == len({run for run, *_ in windows})
    for kind, recall in judged.kinds.items():
        hits = [truth == said for _, _, truth, said in windows if truth == kind]
        assert recall == pytest.approx(np.mean(hits))
    assert judged.macro_f1.mean == pytest.approx(usual_f1(windows))
    for place in {place for _, place, _, _ in windows}:
        there = [one for one in windows if one[1] == place]
        assert judged.places[place] == pytest.approx(usual_f1(there))


def usual_f1(windows):
    """Score windows as everybody else does."""
    truth, said = [one[2] for one in windows], [one[3] for one in windows]
    labels = sorted(set(truth))
    return f1_score(truth, said, labels=labels, average="macro", zero_division=0)


def test_changes_are_added_up_and_delays_are_of_all():
    """A median of medians is of nothing."""
    cells = [
        cell(seed=seed, fold=str(fold), encoder=counts(f"r{fold}"))
        for seed in (0, 1)
        for fold in (0, 1)
    ]
    waits = ([2.0, 9.0], [3.0], [], [4.0, 5.0])
    for one, seconds in zip(cells, waits, strict=True):
        one.findings[ENCODER].following = Following(
            onsets=3,
            delays_seconds={"blocked": seconds} if seconds else {},
            false=2,
            false_in_normal=1,
            hours=1.5,
            normal_hours=0.5,
        )

    changes = study(cells, FACTS).validations[0].methods[ENCODER].changes

    assert (changes.onsets, changes.found, changes.false, changes.false_in_normal) == (12, 5, 8, 4)
    assert (changes.hours, changes.normal_hours) == (6.0, 2.0)
    assert changes.delays == {"blocked": Delay(4.0, 9.0, 5)}
    assert statistics.median([2, 9, 3, 4, 5]) == 4


def test_a_method_that_failed_in_one_cell_stands_in_no_table():
    """Its mean would be of other runs than everybody else's."""
    cells = four_runs(0)
    del cells[1].findings[RIVAL]
    cells[1].unavailable = {RIVAL: "needs two labels"}

    (found,) = study(cells, FACTS).validations

    assert [*found.methods] == [ENCODER]
    assert found.unavailable == {RIVAL: "needs two labels"}


def test_of_a_label_that_one_seed_could_not_learn_all_seeds_are_judged_without():
    """Runs of a rare label may all be in one fold of one seed, and not of another."""
    rare = counts("r9", 0.5, (("lossy", 4),))
    cells = four_runs(0, 1)
    cells[0].findings[ENCODER].counts += rare
    cells[0].findings[RIVAL].counts += rare

    (found,) = study(cells, FACTS).validations

    assert found.methods[ENCODER].macro_f1.by_seed == (1.0, 1.0)
    (without,) = study(four_runs(0, 1), FACTS).validations
    assert found.methods[RIVAL].lead == without.methods[RIVAL].lead
    assert found.methods[RIVAL].places == without.methods[RIVAL].places
    assert found.methods[ENCODER].confusion["lossy"] == {"blocked": 0, "lossy": 2, "normal": 2}


def test_of_a_single_run_nobody_knows_the_interval():
    """None is what JSON can hold, and what can be read again."""
    made = study([cell(encoder=counts("r0"), rule=counts("r0", 0.5))], FACTS)

    encoder, rival = made.validations[0].methods.values()
    assert encoder.macro_f1 == Estimate(1.0, None, None, (1.0,))
    assert (rival.lead.low, rival.lead.high) == (None, None)
    assert readable(made)
    page = Page(as_html(made, "a title"))
    assert len(page.all("g", "row", within=page.charts("Macro-F1")[0])) == 2
    assert page.all("line", "interval") == []


def readable(made):
    """Tell whether a study is the same once it was written and read, and can be shown."""
    again = msgspec.json.decode(msgspec.json.encode(made), type=Study)
    text, html = as_text(made), as_html(made, "a title")
    for shown in (text, html.partition("<script")[0]):
        assert not {"nan", "None", "inf"} & {*shown.replace(">", " ").replace("<", " ").split()}
    return again == made


def test_where_no_window_could_be_judged_there_are_no_numbers():
    """A study that took hours must not end in a traceback for one of its parts."""
    kinds = cell(KINDS, "carrier", encoder=[], rule=[])

    made = study([*four_runs(0), kinds], FACTS)

    nothing = made.validations[1].methods[RIVAL]
    assert nothing.macro_f1 == nothing.balanced == Estimate(None, None, None)
    assert nothing.lead is None
    assert (nothing.kinds, nothing.places, nothing.confusion) == ({}, {}, {})
    assert made.validations[1].windows == 0
    assert readable(made)
    assert "-" in as_text(made).partition("validation kinds")[2].partition("FOLLOWING")[0]


def rejection(unseen="lossy", auroc=0.5, episodes=1, **changes):
    """Make what a cell found of something unseen."""
    plain = {"auroc_normal": 0.5, "false_at_95": 0.5, "flagged": 0.5, "budget": 1.0}
    plain |= {"normal_hours": 2.0}
    return Rejection(unseen=unseen, auroc=auroc, episodes=episodes, **(plain | changes))


def test_rejections_are_averaged_by_the_episodes_that_each_cell_had():
    """A fold with one episode says less than one with three."""
    cells = four_runs(0)
    cells[0].rejections = {ENCODER: [rejection(auroc=0.9, episodes=3), rejection("carrier", 0.7)]}
    cells[1].rejections = {ENCODER: [rejection(auroc=0.5, auroc_normal=None)]}

    made = study(cells, FACTS)

    carrier, lossy = made.validations[0].methods[ENCODER].rejections
    assert (carrier.unseen, lossy.unseen) == ("carrier", "lossy")
    assert lossy.auroc == pytest.approx(0.8)
    assert lossy.auroc_normal == 0.5  # the other could not be measured
    assert (lossy.episodes, lossy.normal_hours, lossy.budget) == (4, 4.0, 1.0)
    assert carrier.auroc == 0.7
    assert made.validations[0].methods[RIVAL].rejections == ()
    assert readable(made)


def test_what_no_cell_could_measure_of_something_unseen_is_none():
    """There may be no normal window beside it in any run."""
    cells = four_runs(0)
    lacks = rejection(auroc_normal=None, false_at_95=None, flagged=None)
    cells[0].rejections = {ENCODER: [lacks]}

    made = study(cells, FACTS)

    (found,) = made.validations[0].methods[ENCODER].rejections
    assert (found.auroc, found.auroc_normal, found.flagged) == (0.5, None, None)
    assert readable(made)
    row = next(line for line in as_text(made).splitlines() if line.startswith("lossy  "))
    assert row.split()[:5] == ["lossy", "encoder", ".500", "-", "-"]


def enrolment(recall, references=1, **changes):
    """Make what a method did with a few references."""
    plain = {"unseen": "carrier", "method": ENCODER, "captured": SOME, "captured_normal": SOME}
    plain |= {"known_before": 0.9, "known_after": 0.8, "ceiling": 0.7, "draws": 20}
    return Enrolment(recall=recall, references=references, **(plain | changes))


def test_enrolments_are_put_together_over_seeds():
    """How many references were shown is another question each time."""
    cells = [cell(KINDS, "carrier", seed, encoder=counts("r0")) for seed in (0, 1)]
    cells[0].enrolments = [
        enrolment(Estimate(0.4, 0.2, 0.6)),
        enrolment(SOME, 3, captured=Estimate(None, None, None), known_before=None),
    ]
    cells[1].enrolments = [enrolment(Estimate(0.8, 0.6, 1.0), known_after=0.6)]

    made = study(cells, FACTS)

    one, three = made.enrolments
    assert one.recall == Estimate(
        pytest.approx(0.6), pytest.approx(0.4), pytest.approx(0.8), (0.4, 0.8)
    )
    assert (one.references, one.draws) == (1, 40)
    assert one.known_after == pytest.approx(0.7)
    assert three.captured == Estimate(None, None, None, (None,))
    assert (three.references, three.known_before, three.known_after) == (3, None, 0.8)
    assert readable(made)


def test_other_references_give_a_spread_for_each_validation():
    """It tells whether the medoid was luck."""
    cells = four_runs(0, 1)
    draws = ([0.6, 0.8], [], [0.9, 1.0], [0.7, 0.8])
    for one, values in zip(cells, draws, strict=True):
        one.other_references = values

    found = study([*cells, cell(MIXES, "quiet", encoder=counts("r0"))], FACTS).reference_spread

    assert [*found] == [RUNS]
    flat = [value for values in draws for value in values]
    assert found[RUNS].mean == pytest.approx(np.mean(flat))
    assert found[RUNS].by_seed == pytest.approx((0.7, 0.85))
    assert min(flat) <= found[RUNS].low <= found[RUNS].high <= max(flat)


def test_a_cell_with_numbers_that_are_none_can_be_kept_and_read():
    """Half a study done again because of one gap is half a day lost."""
    made = four_runs(0)[0]
    made.rejections = {ENCODER: [rejection(auroc_normal=None)]}
    made.enrolments = [enrolment(Estimate(None, None, None), known_before=None)]

    assert msgspec.json.decode(msgspec.json.encode(made), type=Cell) == made
