"""What is learnt from a store: what people named, as much of it as does the rest no harm.

A store grows by the week and the base captures don't. Batches are drawn evenly over runs, and
an hour of a store is a run, so without a limit the site's own hours would soon be all that is
learnt from, and a fault that never happened there would be forgotten.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from detector.capture import LinkCapture
from detector.state import RESERVED
from detector.window import WindowSpec
from training.labelled import LabelledWindows
from training.traffic import name_of

from .held import SHARE, parted

LEAST_RUNS = 3  # of a label, or it is passed over: two to learn from, one to validate on
NO_LABEL = "no label"
HOUR_MS = 3_600_000

Runs = Mapping[str, Collection[str]]  # runs, by the label that windows of theirs have


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of a store is learnt from."""

    hours: float = 24.0  # link-hours of each label, at most
    for_each: float = 1.0  # hours of the day with a label, for each run of it in the base
    hold_back: float = SHARE  # share of the runs that is kept to judge by
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What of a store is learnt from, what is held back, and what was passed over."""

    links: list[LinkCapture]
    held: list[LinkCapture]
    passed: dict[str, str] = field(default_factory=dict)  # what, and why


def gather(
    stored: Sequence[LinkCapture], spec: WindowSpec, base: Runs, limits: Limits
) -> Gathered:
    """Choose what is learnt from parts of links, as a store gives them with their labels."""
    passed: dict[str, str] = {}
    if bare := link_hours(stored).get(NO_LABEL):
        passed[NO_LABEL] = f"{bare:.2f} link-hours that nobody named"
    in_order = sorted(stored, key=lambda link: link.link)  # or chance would hang on the files
    named = [_nameable(link, passed) for link in in_order]
    named = [link for link in named if labels_of(link)]
    free, held = parted(named, limits.hold_back)
    mine = runs_by_label(free, spec)
    few = {label for label in _labels(named) if _is_few(label, mine, base)}
    for label in sorted(few):
        passed[label] = _too_few(len(mine.get(label, ())), label, held)
    kept = _labels(free) - few
    chosen = thinned(_only(free, kept), base, limits, passed)
    return Gathered(links=chosen, held=held, passed=passed)


def less(gathered: Gathered, label: str, why: str) -> Gathered:
    """Pass over a label that was to be learnt."""
    links = _only(gathered.links, _labels(gathered.links) - {label})
    return replace(gathered, links=links, passed=gathered.passed | {label: why})


def runs_by_label(
    links: Sequence[LinkCapture], spec: WindowSpec, tail: int = 0
) -> dict[str, set[str]]:
    """Give the runs that have a window of a label throughout, or in its *tail*, by label."""
    found: dict[str, set[str]] = {}
    if links:
        windows = LabelledWindows(links, spec, tail=tail or spec.steps)
        for label, run in {*zip(windows.labels.tolist(), windows.runs.tolist(), strict=True)}:
            found.setdefault(label, set()).add(run)
    return found


def link_hours(links: Sequence[LinkCapture]) -> dict[str, float]:
    """Give how long links were recorded under each label, hours."""
    hours: dict[str, float] = {}
    for link in links:
        names = [NO_LABEL if label is None else str(label) for label in link.labels]
        observed = ~np.isnan(link.values).all(axis=1)
        for label, count in Counter(np.array(names)[observed].tolist()).items():
            hours[label] = hours.get(label, 0.0) + count * link.step_ms / HOUR_MS
    return hours


def labels_of(link: LinkCapture) -> set[str]:
    """Give all labels of a link's rows."""
    return {str(label) for label in link.labels if label is not None}


def thinned(
    links: Sequence[LinkCapture], base: Runs, limits: Limits, passed: dict[str, str]
) -> list[LinkCapture]:
    """Take of each label as much as the limits allow, evenly over links and hours.

    A part in which a label changes to another is always taken: there is nothing like it.
    """
    sorts: dict[str, list[LinkCapture]] = {}
    taken: list[LinkCapture] = []
    for link in links:
        labels = labels_of(link)
        if len(labels) > 1:
            taken.append(link)
        else:
            sorts.setdefault(labels.pop(), []).append(link)
    for place, label in enumerate(sorted(sorts)):
        most_runs = round(limits.for_each * len(base.get(label, ()))) or len(sorts[label])
        some = _evenly(sorts[label], limits.hours, most_runs, (limits.seed, place))
        if len(some) < len(sorts[label]):
            left, hours = (sum(link_hours(part).values()) for part in (some, sorts[label]))
            passed[f"{label}, the rest"] = f"{left:.2f} of {hours:.2f} link-hours are enough"
        taken += some
    return sorted(taken, key=lambda link: link.link)


def _evenly(
    links: Sequence[LinkCapture], most_hours: float, most_runs: int, seed: tuple[int, int]
) -> list[LinkCapture]:
    """Take links in turns, of each first one hour and then the next, up to the limits."""
    order = [links[place] for place in np.random.default_rng(seed).permutation(len(links))]
    order = _in_turns(order, [(name_of(link), link.run) for link in order])
    order = _in_turns(order, [name_of(link) for link in order])
    taken: list[LinkCapture] = []
    runs: set[str] = set()
    left_ms = round(most_hours * HOUR_MS)
    for link in order:
        more_ms = len(link.labels) * link.step_ms
        is_room = link.run in runs or len(runs) < most_runs
        if is_room and (more_ms <= left_ms or not taken):
            taken.append(link)
            runs.add(link.run)
            left_ms -= more_ms
    return taken


def _in_turns(links: Sequence[LinkCapture], keys: Sequence[object]) -> list[LinkCapture]:
    """Bring the first of each key to the front, then the second of each, and so on."""
    seen: Counter[object] = Counter()
    turns = []
    for key in keys:
        turns.append(seen[key])
        seen[key] += 1
    return [links[place] for place in np.argsort(turns, kind="stable")]


def _nameable(link: LinkCapture, passed: dict[str, str]) -> LinkCapture:
    """Take away the labels that only the daemon gives: that it did not know is not a name."""
    for label in sorted(labels_of(link) & set(RESERVED)):
        passed[label] = "confirmed, but that is no name: `anchorwatch label` renames it"
    return link.only(labels_of(link) - set(RESERVED))


def _is_few(label: str, mine: Runs, base: Runs) -> bool:
    return len({*mine.get(label, ()), *base.get(label, ())}) < LEAST_RUNS


def _too_few(runs: int, label: str, held: Sequence[LinkCapture]) -> str:
    beside = len({link.run for link in held if label in labels_of(link)})
    more = f" ({beside} more held back)" if beside else ""
    return (
        f"{runs} hours{more}, it takes {LEAST_RUNS}: two to learn from, one to validate on; an "
        "anchor enrolled under it goes on working"
    )


def _labels(links: Sequence[LinkCapture]) -> set[str]:
    return {label for link in links for label in labels_of(link)}


def _only(links: Sequence[LinkCapture], labels: Collection[str]) -> list[LinkCapture]:
    kept = [link.only(labels) for link in links]
    return [link for link in kept if labels_of(link)]
