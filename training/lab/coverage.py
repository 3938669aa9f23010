"""Which faults a plan makes under which families of traffic, and what it has too little of."""

from collections import Counter
from collections.abc import Collection, Iterable

from .draw import sorts
from .plan import Fault, Kind, Plan, Run
from .truth import NORMAL, kind_of, name_of

ENOUGH = 6  # runs of a fault: some to learn from, some to judge by, and of different traffic


def coverage(plan: Plan) -> dict[str, Counter[str]]:
    """Count each kind's runs by family; "normal" are the runs without faults.

    Faults at once are a kind of their own, `block_fwd+loss_rev`, as in captures; they come last.
    """
    found: dict[str, Counter[str]] = {}
    for run in plan.runs:
        for kind in _kinds(run) or {NORMAL}:
            found.setdefault(kind, Counter())[run.family] += 1
    singles = [kind for kind in (NORMAL, *_names(Kind)) if kind in found]
    return {kind: found[kind] for kind in [*singles, *sorted(found.keys() - set(singles))]}


def gaps(plan: Plan, kinds: Collection[Kind] = tuple(Kind)) -> list[str]:
    """Name the faults of these kinds that fewer than six of the runs have by themselves."""
    found = coverage(plan)
    runs = {name: found.get(name, Counter()).total() for name in _names(kinds)}
    return [
        f"{name}: {number} of {ENOUGH} runs" for name, number in runs.items() if number < ENOUGH
    ]


def as_text(plan: Plan) -> str:
    """Lay out how much a plan holds, and its runs by kind and family."""
    families = sorted({run.family for run in plan.runs})
    rows = [["runs with", *families, "all"]]
    for kind, counts in coverage(plan).items():
        cells = [counts[family] for family in families]
        rows.append([kind, *(str(cell or "-") for cell in [*cells, counts.total()])])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "\n".join([_head(plan), "", *lines])


def _head(plan: Plan) -> str:
    faulty = [run for run in plan.runs if _kinds(run)]
    hours = sum(run.seconds for run in plan.runs) / 3600
    faulty_hours = sum(run.seconds for run in faulty) / 3600
    return (
        f"{plan.name}: {len(plan.runs)} runs, {hours:.1f} h; "
        f"{len(faulty)} of them with faults, {faulty_hours:.1f} h"
    )


def _kinds(run: Run) -> set[str]:
    return {kind_of(phase.faults) for phase in run.phases if phase.faults}


def _names(kinds: Iterable[Kind]) -> list[str]:
    return [name_of(Fault(kind, direction)) for kind, direction in sorts(set(kinds))]
