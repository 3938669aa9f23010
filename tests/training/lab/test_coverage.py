"""What a plan holds is counted by kind and family, and what it lacks is named."""

import pytest

from training.lab.coverage import as_text, coverage, gaps
from training.lab.draw import draw
from training.lab.plan import Direction, Fault, Kind, Load, Phase, Plan, Rate, Run, Traffic

BLOCK = Fault(Kind.BLOCK, Direction.FORWARD)
LOSS = Fault(Kind.LOSS, level=0.1)


def make_plan(*runs):
    """Give a plan of (family, faults of each phase) runs; phases take 900 s."""
    load = (Load(Traffic.CALL, Rate(1.0)),)
    return Plan(
        "p",
        tuple(
            Run(str(place), load, tuple(Phase(900.0, tuple(faults)) for faults in phases), family)
            for place, (family, phases) in enumerate(runs)
        ),
    )


PLAN = make_plan(
    ("A", [[]]),
    ("A", [[], [LOSS], [], [LOSS]]),
    ("B", [[], [LOSS], [LOSS, BLOCK]]),
    ("B", [[BLOCK]]),
)


def test_a_run_counts_once_for_each_kind_that_it_has():
    """Twice the same fault in one run is one load under which it was met."""
    assert coverage(PLAN) == {
        "normal": {"A": 1},
        "block_fwd": {"B": 1},
        "loss_both": {"A": 1, "B": 1},
        "block_fwd+loss_both": {"B": 1},
    }


def test_the_table_is_in_the_order_of_the_kinds():
    """Two plans can be laid side by side."""
    assert (
        as_text(PLAN)
        == """\
p: 4 runs, 2.2 h; 3 of them with faults, 2.0 h

runs with            A  B  all
normal               1  -    1
block_fwd            -  1    1
loss_both            1  1    2
block_fwd+loss_both  -  1    1"""
    )


def test_gaps_are_faults_that_too_few_runs_have_by_themselves():
    """Together with others is another picture."""
    many = make_plan(*[("A", [[LOSS]])] * 6, *[("A", [[BLOCK]])] * 5, ("A", [[LOSS, BLOCK]]))

    assert gaps(many, [Kind.LOSS, Kind.BLOCK]) == [
        "block_both: 0 of 6 runs",
        "block_fwd: 5 of 6 runs",
        "block_rev: 0 of 6 runs",
        "loss_fwd: 0 of 6 runs",
        "loss_rev: 0 of 6 runs",
    ]


@pytest.mark.parametrize(("hours", "number"), [(6, 0), (0.1, 21)])
def test_six_hours_have_no_gaps_and_six_minutes_have_all(hours, number):
    """That much it takes."""
    assert len(gaps(draw("p", 0, hours_normal=0, hours_faults=hours))) == number
