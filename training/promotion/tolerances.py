"""By how much a candidate may be worse than the bundle in use, and on how much that is judged.

A tolerance is one line here: its default, what it means and why it is so. The options of
`anchorwatch promote` are made from these lines.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import click


def _tolerance(default: float, meaning: str, reason: str, most: float | None = None) -> Any:
    """Declare a tolerance from 0 to *most*."""
    return field(default=default, metadata={"meaning": meaning, "reason": reason, "most": most})


def _share(default: float, meaning: str, reason: str) -> Any:
    return _tolerance(default, meaning, reason, 1.0)


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """What a candidate may be worse by."""

    # On runs that neither bundle has seen.
    least_runs: int = _tolerance(
        5, "Unseen runs, at least", "of fewer nobody can say how far a score is chance"
    )
    f1: float = _share(
        0.02,
        "Macro-F1 that may be lost",
        "trainings that only differ in the seed differ by nearly as much",
    )
    f1_doubt: float = _share(
        0.05,
        "Macro-F1 that may be lost at the low end of the 95 % interval over runs",
        "it may have been luck, but not as much luck",
    )
    found: float = _share(
        0.05, "Share of the true changes that may be lost", "one of twenty may be hard to see"
    )
    delay_seconds: float = _tolerance(
        1.0, "Seconds by which the median delay may grow", "a second is one step of most traffic"
    )
    false_a_day: float = _tolerance(
        1.0, "False changes that may be added, a link-day", "who is on call can live with it"
    )
    # On the live traffic, in the shadow.
    least_hours: float = _tolerance(
        1.0, "Link-hours in the shadow, at least", "less has neither a fault nor enough canaries"
    )
    skipped: float = _share(
        0.5, "Share of the windows that daemons had no time to show it", "the rest says enough"
    )
    unusable: float = _share(
        0.01,
        "Share of the windows that lack a feature it needs",
        "what it can't read it would leave unwatched",
    )
    agreement: float = _share(
        0.95,
        "Share of the windows with the same state, at least",
        "traffic is nearly always normal, so another state means something",
    )
    missed: float = _share(
        0.05, "Share of the live bundle's faults that may be missed", "as of true changes"
    )
    added_a_week: float = _tolerance(
        1.0, "Faults that may be added, a link-week", "as many as the budget of unknowns allows"
    )
    unknown_a_week: float = _tolerance(
        0.0,
        "Unknowns a link-week above the live bundle's and above the budget",
        "the budget says what is bearable already",
    )
    least_canaries: int = _tolerance(
        50,
        "Canaries judged of a label, at least, for its recall to count",
        "of fewer it is chance",
    )
    canaries: float = _share(
        0.1,
        "Recall of a label's canaries that may be lost",
        "with 50 of each, chance is half of it",
    )
    # On both.
    by_chance: float = _tolerance(
        1.5,
        "Standard deviations by which counts of events may differ",
        "two more than none, or ten more than twenty, are no rate yet",
    )


def tolerance_options(command: Any) -> Any:
    """Give a command an option for each tolerance."""
    for one in reversed(fields(Tolerances)):
        facts = one.metadata
        kind: Callable[..., Any] = (
            click.IntRange if isinstance(one.default, int) else click.FloatRange
        )
        command = click.option(
            f"--{one.name.replace('_', '-')}",
            one.name,
            type=kind(0, facts["most"]),
            default=one.default,
            help=f"{facts['meaning']}; {facts['reason']}",
        )(command)
    return command


def taken_from(chosen: dict[str, Any]) -> Tolerances:
    """Take the tolerances out of a command's arguments."""
    return Tolerances(**{one.name: chosen.pop(one.name) for one in fields(Tolerances)})
