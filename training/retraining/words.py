"""What a retraining says when it is done: what was learnt from, what wasn't, and how it scores."""

from collections.abc import Mapping, Sequence

import msgspec

from detector.bundle import Bundle
from detector.capture import LinkCapture

from .beside import Beside
from .gathered import NO_LABEL, link_hours
from .retrain import Retrained


class Learnt(msgspec.Struct, frozen=True):
    """How much of a label was learnt from, in link-hours."""

    label: str
    base_hours: float
    store_hours: float
    store_runs: int  # hours of the day
    held_hours: float  # of the store, held back for promotion


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a retraining."""

    bundle: str
    running: str
    start: str  # what the weights began as
    learnt: tuple[Learnt, ...]
    passed: dict[str, str]  # what was passed over, and why
    gone: int  # runs that the running bundle learnt from, and nobody has any more
    scores: dict[str, float]  # of the candidate, on its validation runs
    running_scores: dict[str, float]  # of the running one, on its own
    beside: Beside | None
    next: str  # the command to go on with


def report(running: Bundle, bundle_id: str, made: Retrained, following: str) -> Report:
    """Put together what is to be said."""
    training = made.bundle.manifest.training
    return Report(
        bundle=bundle_id,
        running=running.id,
        start=training.start,
        learnt=_learnt(made),
        passed=made.gathered.passed,
        gone=made.gone,
        scores=training.scores,
        running_scores=running.manifest.training.scores,
        beside=made.beside,
        next=following,
    )


def as_text(said: Report) -> str:
    """Write it for people."""
    lines = [f"bundle {said.bundle}, from {_begun(said)}", "", "learnt from, link-hours:"]
    head = ("", "base", "store", "hours", "held back")
    rows = [
        (
            one.label,
            f"{one.base_hours:.2f}",
            f"{one.store_hours:.2f}",
            str(one.store_runs),
            f"{one.held_hours:.2f}",
        )
        for one in said.learnt
    ]
    lines += _table([head, *rows])
    lines += [f"passed over: {what}: {why}" for what, why in said.passed.items()]
    if said.gone:
        lines.append(
            f"{said.gone} runs that {said.running} learnt from are no more there: what only they "
            "had is forgotten, unless the base captures are given"
        )
    return "\n".join([*lines, "", *_scores(said), "", f"next: {said.next}"])


def _begun(said: Report) -> str:
    weights = "its weights" if said.start == "parent" else "scratch"
    return f"{weights} by the recipe of {said.running}"


def _scores(said: Report) -> list[str]:
    names = [*dict.fromkeys((*said.running_scores, *said.scores))]
    sides = (said.running_scores, said.scores)
    rows = [(name, *(_number(side.get(name)) for side in sides)) for name in names]
    lines = _table([("on its own validation runs", "running", "candidate"), *rows])
    lines.append("These were other runs for each: how they compare is what follows.")
    if said.beside is None:
        return [*lines, "", "No run is left that neither has seen: nothing compares them."]
    both = said.beside
    head = (f"on {both.runs} runs that neither has seen", "running", "candidate")
    labels = [
        (label, _number(both.running.by_label[label]), _number(share))
        for label, share in both.candidate.by_label.items()
    ]
    mean = ("mean over labels", _number(both.running.balanced), _number(both.candidate.balanced))
    return [*lines, "", *_table([head, *labels, mean])]


def _learnt(made: Retrained) -> tuple[Learnt, ...]:
    base, store = link_hours(made.base), link_hours(made.gathered.links)
    held = link_hours(made.gathered.held)
    runs = _runs(made.gathered.links)
    labels = sorted({*base, *store, *held} - {NO_LABEL})
    return tuple(
        Learnt(
            label,
            round(base.get(label, 0.0), 3),
            round(store.get(label, 0.0), 3),
            runs.get(label, 0),
            round(held.get(label, 0.0), 3),
        )
        for label in labels
    )


def _runs(links: Sequence[LinkCapture]) -> Mapping[str, int]:
    found: dict[str, set[str]] = {}
    for link in links:
        for label in set(link.labels) - {None}:
            found.setdefault(str(label), set()).add(link.run)
    return {label: len(runs) for label, runs in found.items()}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    first = max(len(row[0]) for row in rows)
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[1:]]
    return [
        "  ".join(
            [f"  {row[0]:<{first}}", *(f"{c:>{w}}" for c, w in zip(row[1:], widths, strict=True))]
        )
        for row in rows
    ]
