"""What the judging over time is worth, on runs that training never saw.

    python -m tests.bench.oncall training/captures training/recordings --work build/oncall

For each seed and fold a bundle is trained and calibrated as `anchorwatch train` does, without the
fold's runs; those are then watched. States by the daemon's rule stand beside 3 of 5 and 5 of 7
windows; the unknown is held against several budgets. Intervals of rates are exact for a Poisson
count; two places of one run count as two links.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.bundle import Bundle, load, save
from detector.capture import LinkCapture, read_links
from detector.config import State
from detector.encoder import open_encoder
from detector.oncall.rates import least_events, most_events
from detector.state import NORMAL, UNKNOWN
from detector.truth import Change, compare
from training.data import pool
from training.judging.majority import majority
from training.settings import Settings
from training.split import Fold, mix_folds, run_folds
from training.stated import by_the_rule
from training.train import train

LABELS = ("normal", "blocked", "capacity-limited")
MIXES = (
    "s1_A_*,*_A[0-9]*,s1_T_*,*_siptcp*",
    "s1_B_*,*_B[0-9]*,s1_L_*",
    "s1_C_*,*_C[0-9]*,s1_H_*,*_http*",
    "s1_D_*,*_D[0-9]*,s1_X_*",
)
BUDGETS = (1.0, 7.0, 70.0)  # a link-week
LONG_ENOUGH = 20  # rows of an episode of something that nobody taught

States = Sequence[str | None]


@dataclass(frozen=True)
class Watched:
    """One link of a run that was left out, embedded by a bundle that has not seen it."""

    link: LinkCapture  # with the labels that the bundle knows
    recorded: LinkCapture  # with all
    ends_ms: NDArray[np.int64]
    points: NDArray[np.float32]
    bundle: Bundle

    @property
    def is_calm(self) -> bool:
        """Whether the run is normal throughout."""
        return not {*self.recorded.labels} - {NORMAL, None}

    @property
    def hours(self) -> float:
        """How long it was watched."""
        return len(self.ends_ms) * self.recorded.step_ms / 3_600_000


Rule = Callable[[Watched], States]


def by_majority(agree: int, of: int) -> Rule:
    """Make the plain rule."""

    def states(watched: Watched) -> States:
        anchors = AnchorSet(watched.bundle.anchor_embeddings, watched.bundle.labels)
        said = [anchors.labels[place] for place in anchors.classify(watched.points).label]
        return list(majority(said, agree, of))

    return states


def by_evidence(budget: float | None = None, **rule: float) -> Rule:
    """Make the daemon's rule, with a budget for the unknown."""

    def states(watched: Watched) -> States:
        bundle = watched.bundle
        anchors = AnchorSet(bundle.anchor_embeddings, bundle.labels)
        strangeness = bundle.strangeness(budget) if budget else None
        span_ms = bundle.manifest.window.span_ms
        make = by_the_rule(anchors, span_ms, State(**rule), strangeness)  # type: ignore[arg-type]
        return make(watched.points, watched.ends_ms)

    return states


def changes(watched: Watched, states: States) -> Iterator[Change]:
    """List changes of state, but for what a row has lost its label of."""
    now: str = NORMAL
    for at_ms, state in zip(watched.ends_ms.tolist(), states, strict=True):
        if (state or now) == now:
            continue
        now = state or now
        row = (at_ms - watched.recorded.start_ms) // watched.recorded.step_ms - 1
        if watched.link.labels[row] is None and watched.recorded.labels[row] is not None:
            continue
        yield Change(watched.link.link, at_ms, now)


def cells(captures: Sequence[Path], work: Path, seeds: int) -> Iterator[tuple[str, list[Watched]]]:
    """Train what is not trained yet, and watch what each bundle has not seen."""
    everything = pool(captures, Settings(labels=LABELS))
    for seed in range(seeds):
        folds = [("runs", fold) for fold in run_folds(everything.links, 4, seed)]
        folds += [("mixes", fold) for fold in mix_folds(everything.links, MIXES)]
        for kind, fold in folds:
            path = work / f"{kind}-{seed}-{fold.name.replace('*', '').replace(',', '+')[:12]}"
            if not (path / "manifest.json").exists():
                click.echo(f"training {path.name}", err=True)
                settings = Settings(labels=LABELS, leave_out=tuple(sorted(fold.runs)), seed=seed)
                save(train(captures, settings, lambda *_: None), path)
            yield kind, watch(load(path), captures, fold)


def watch(bundle: Bundle, captures: Sequence[Path], fold: Fold) -> list[Watched]:
    """Embed every window of the fold's links."""
    encoder, spec = open_encoder(bundle), bundle.manifest.window
    found = []
    for link in read_links(captures, spec):
        rows = np.flatnonzero(link.usable(spec))
        if link.run in fold.runs and len(rows):
            points = encoder.embed(link.windows(spec.steps)[rows])
            ends_ms = link.start_ms + spec.span_ms + rows * link.step_ms
            found.append(Watched(link.only(LABELS), link, ends_ms, points, bundle))
    return found


def delays(found: dict[str, list[float]]) -> str:
    """Say the median delays, seconds."""
    order = ("blocked", "capacity-limited", NORMAL)
    return ", ".join(f"{np.median(found[label]):.0f}" for label in order if found.get(label))


def rate(count: int, hours: float, per: float) -> str:
    """Say a rate with the interval that a count leaves (5 % on either side)."""
    low, high = least_events(count) / hours * per, most_events(count) / hours * per
    return f"{count / hours * per:.1f} ({low:.1f}-{high:.1f})"


def row(name: str, watched: Sequence[Watched], rule: Rule) -> str:
    """Make a row of the table of rules."""
    all_changes = {one.link.link: list(changes(one, rule(one))) for one in watched}
    everywhere = [change for some in all_changes.values() for change in some]
    span_ms = watched[0].bundle.manifest.window.span_ms
    found = compare([one.link for one in watched], everywhere, span_ms)
    calm = [one for one in watched if one.is_calm]
    quiet = compare([one.link for one in calm], everywhere, span_ms)
    hours, calm_hours = found.watched_seconds / 3600, quiet.watched_seconds / 3600
    return (
        f"| {name} | {found.found} of {found.onsets} | {rate(len(found.false), hours, 24)} "
        f"| {rate(len(quiet.false), calm_hours, 24)} | {delays(found.delays_seconds)} |"
    )


def unknown_row(watched: Sequence[Watched], budget: float) -> str:
    """Make a row of the table of budgets."""
    rule = by_evidence(budget)
    false, hours, episodes, flagged, noticed = 0, 0.0, 0, 0, 0
    known_hours, rejected = 0.0, 0
    for one in watched:
        states = rule(one)
        turned = Counter(change.label for change in changes(one, states))
        if one.is_calm:
            false, hours = false + turned[UNKNOWN], hours + one.hours
        else:
            rejected, known_hours = rejected + turned[UNKNOWN], known_hours + one.hours
        for start, end in lossy(one.recorded):
            inside = [s for at, s in zip(one.ends_ms, states, strict=True) if start < at <= end]
            episodes += 1
            flagged += UNKNOWN in inside
            noticed += any(state not in (None, NORMAL) for state in inside)
    return (
        f"| {budget:g} | {rate(false, hours, 168)} | {false} in {hours:.0f} h "
        f"| {rejected} in {known_hours:.0f} h | {flagged}, {noticed} of {episodes} |"
    )


def lossy(link: LinkCapture) -> Iterator[tuple[int, int]]:
    """List stretches of what nobody taught, Unix milliseconds."""
    inside = np.array([0, *(label == "lossy" for label in link.labels), 0], int)
    edges = np.diff(inside)
    for begin, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        if end - begin >= LONG_ENOUGH:
            yield link.start_ms + begin * link.step_ms, link.start_ms + end * link.step_ms


@click.command()
@click.argument("captures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Keeps the bundles")
@click.option("--seeds", default=3, show_default=True)
def main(captures: tuple[Path, ...], work: Path, seeds: int) -> None:
    """Compare the rules, and hold the unknown against its budget."""
    by_kind: dict[str, list[Watched]] = {}
    for kind, watched in cells(captures, work, seeds):
        by_kind.setdefault(kind, []).extend(watched)
    rules = {
        "3 of 5 windows": by_majority(3, 5),
        "5 of 7 windows": by_majority(5, 7),
        "evidence": by_evidence(),
        "evidence, no recovery": by_evidence(recovery_evidence=1.0),
        "evidence 1.5": by_evidence(evidence=1.5),
        "evidence, unknown within 1 a link-week": by_evidence(1.0),
    }
    for kind, watched in by_kind.items():
        calm = sum(one.hours for one in watched if one.is_calm)
        click.echo(f"\nleft-out {kind}: {len(watched)} links, {calm:.0f} link-hours normal runs\n")
        click.echo(
            "| rule | changes found | false changes a link-day | of these in normal runs "
            "| median delay, s: blocked, limited, normal |\n| --- | --- | --- | --- | --- |"
        )
        for name, rule in rules.items():
            click.echo(row(name, watched, rule))
        click.echo(
            "\n| budget, false alarms a link-week | realised in normal runs | counted "
            "| in runs with faults | random loss: called unknown, noticed at all |\n"
            "| --- | --- | --- | --- | --- |"
        )
        for budget in BUDGETS:
            click.echo(unknown_row(watched, budget))


if __name__ == "__main__":
    main()
