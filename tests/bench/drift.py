"""What the test for drift is worth: how often it cries wolf, and what it finds.

    python -m tests.bench.drift training/captures training/recordings --work build/drift

For each fold of runs, and each mix of traffic left out, a bundle is trained as `anchorwatch
train` does. The normal links that it has not learnt from are then watched by the daemon's own
`Drift`: as they were recorded, as if they went on like that for a day (their windows again and
again: no link of a network is so much the same, so this is the worst case), and changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from detector.bundle import Bundle, load, save
from detector.capture import LinkCapture, links_of, read_links, read_table
from detector.config import Drift as Settings
from detector.drift.drift import ALIKE, Drift
from detector.drift.telling import EMBEDDING, INPUTS, DriftStatus
from detector.encoder import Encoder, open_encoder
from detector.inputs import Inputs
from detector.state import NORMAL
from detector.verdict import Verdict
from detector.window import Window, WindowSpec
from training.data import pool
from training.settings import Settings as Recipe
from training.split import Fold, mix_folds, run_folds
from training.train import train

from .changes import CHANGES, Change, Windows, as_it_is
from .oncall import LABELS, MIXES

DAY_SECONDS = 86_400
LEAST = 20  # windows of a link, a span apart, that is watched
PORTS = {"in": "fwd", "out": "rev"}  # of the router, to ours


@dataclass(frozen=True)
class Watched:
    """One normal link that a bundle has not learnt from: its windows, a span apart."""

    name: str
    values: Windows


def bundles(
    captures: Sequence[Path], work: Path, *, refit: bool
) -> Iterator[tuple[str, Bundle, Fold]]:
    """Train what is not trained yet."""
    everything = pool(captures, Recipe(labels=LABELS))
    folds = [("runs", fold) for fold in run_folds(everything.links, 4, 0)]
    folds += [("mix", fold) for fold in mix_folds(everything.links, MIXES)]
    for number, (kind, fold) in enumerate(folds):
        path = work / f"{kind}-{number}"
        if not path.exists():
            click.echo(f"training {path.name}", err=True)
            out = tuple(sorted(fold.runs))
            recipe = Recipe(labels=LABELS, leave_out=out, refit=refit)
            save(train(captures, recipe, lambda *_: None), path)
        yield kind, load(path), fold


def watched(links: Sequence[LinkCapture], spec: WindowSpec) -> list[Watched]:
    """Cut normal links into windows, a span apart."""
    found = []
    for link in links:
        if {*link.labels} - {NORMAL, None}:
            continue
        rows = np.flatnonzero(link.usable(spec))
        taken, free = [], 0
        for row in rows.tolist():
            if row >= free:
                taken.append(row)
                free = row + spec.steps
        if len(taken) >= LEAST:
            found.append(Watched(link.link, link.windows(spec.steps)[taken]))
    return found


def watch(
    bundle: Bundle, encoder: Encoder, links: Sequence[Watched], change: Change, steps: int = 0
) -> DriftStatus:
    """Let the daemon's test see links for some steps of a span; 0 = for as long as they last."""
    spec, drift = bundle.manifest.window, Drift(bundle, Settings())
    values = [change(link.values, spec) for link in links]
    points = [encoder.embed(some) for some in values]
    names = {link.name for link in links}
    status, last = drift.status, steps or max(len(some) for some in values)
    for step in range(last):
        there = [at for at, some in enumerate(values) if steps or step < len(some)]
        end_ms = (step + 1) * spec.span_ms
        windows = [
            Window(links[at].name, "", end_ms - spec.span_ms, end_ms, one[step % len(one)])
            for at, one in ((at, values[at]) for at in there)
        ]
        verdicts = [
            Verdict(one.link, "", one.start_ms, end_ms, NORMAL, NORMAL, 0, 0, "", {}, "")
            for one in windows
        ]
        embedded = np.stack([points[at][step % len(points[at])] for at in there])
        drift.take(windows, verdicts, embedded, names, step * spec.span_ms / 1000)
        status = drift.status
    return status


def row(name: str, statuses: Sequence[DriftStatus]) -> str:
    """Make a row of a table: all bundles' links together."""
    links = sum(one.links for one in statuses)

    def mean(what: str) -> float:
        return sum(one.shares[what] * one.links for one in statuses) / max(links, 1)

    def drifting(what: str) -> float:
        return sum(one.drifting[what] for one in statuses) / max(links, 1)

    wanted = sum(one.is_wanted for one in statuses)
    return (
        f"| {name} | {links} | {mean(INPUTS):.1%} | {drifting(INPUTS):.0%} "
        f"| {mean(EMBEDDING):.1%} | {drifting(EMBEDDING):.0%} | {wanted} of {len(statuses)} |"
    )


def alike(bundle: Bundle, encoder: Encoder, links: Sequence[Watched]) -> dict[str, float]:
    """Tell how many windows in a row say as much as one that stands alone, by what is counted.

    It is the variance of a link's mean over that of as many windows drawn apart: one and twice
    the sum of the correlations up to three windows, the mean over links. Each is lower by about
    one over the windows than it should be, for the series' own mean was taken away.
    """
    inputs, reference = Inputs(bundle.manifest.inputs, bundle.manifest.window), bundle.drift
    if reference is None or bundle.known is None:
        return {}
    found: dict[str, list[float]] = {INPUTS: [], EMBEDDING: []}
    for link in links:
        outside = reference.outside(inputs(link.values).mean(axis=1)).mean(axis=1)
        scores = bundle.known.scores(encoder.embed(link.values))
        for what, series in (
            (INPUTS, outside),
            (EMBEDDING, (scores > (reference.sample.score or 0)).astype(float)),
        ):
            series = series - series.mean()
            if len(series) > 40 and series.any():
                lags = [(series[:-k] * series[k:]).mean() for k in range(1, 4)]
                missing = 3 / len(series)
                found[what].append(float(1 + 2 * (sum(lags) / np.square(series).mean() + missing)))
    return {what: float(np.mean(some)) for what, some in found.items() if some}


def ports(path: Path, spec: WindowSpec) -> list[Watched]:
    """Read a router's ports in the captures' words; what they don't report is 0, or absent."""
    table = read_table([path])
    for theirs, ours in PORTS.items():
        table[f"{ours}_packets"] = table[f"{theirs}_packets_per_second"]
        table[f"{ours}_bytes"] = table[f"{theirs}_bits_per_second"] / 8
    for name in set(spec.features) - set(table.columns):
        table[name] = np.nan if name in spec.optional else 0.0
    table["t_ms"] = table.groupby("link").cumcount() * spec.step_ms
    return watched(links_of(table, spec.features, spec.step_ms), spec)


HEAD = (
    "| traffic | links | inputs outside | links drift | embedding outside | links drift "
    "| a training wanted |\n| --- | --- | --- | --- | --- | --- | --- |"
)


@click.command()
@click.argument("captures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Keeps the bundles")
@click.option("--refit/--no-refit", default=True, help="As a bundle is made, or in half the time")
@click.option("--ports", "router", type=click.Path(exists=True, path_type=Path), help="A router's")
def main(captures: tuple[Path, ...], work: Path, refit: bool, router: Path | None) -> None:
    """Count false alarms and what is found, on links that no bundle has learnt from."""
    rows: dict[str, list[DriftStatus]] = {}
    factors: list[dict[str, float]] = []
    for kind, bundle, fold in bundles(captures, work, refit=refit):
        encoder, spec = open_encoder(bundle), bundle.manifest.window
        links = [link for link in read_links(captures, spec) if link.run in fold.runs]
        mine, day = watched(links, spec), DAY_SECONDS * 1000 // spec.span_ms
        if kind == "mix":
            name = f"another mix: {fold.name}"
            rows.setdefault(name, []).append(watch(bundle, encoder, mine, as_it_is, day))
            continue
        factors.append(alike(bundle, encoder, mine))
        rows.setdefault("as recorded, 20 minutes", []).append(
            watch(bundle, encoder, mine, as_it_is)
        )
        for name, change in CHANGES.items():
            rows.setdefault(f"{name}, a day", []).append(watch(bundle, encoder, mine, change, day))
        if router:
            rows.setdefault("a router's ports, 45 minutes", []).append(
                watch(bundle, encoder, ports(router, spec), as_it_is)
            )
    click.echo(HEAD)
    for name, statuses in rows.items():
        click.echo(row(name, statuses))
    for what in (INPUTS, EMBEDDING):
        factor = np.mean([one[what] for one in factors if what in one])
        click.echo(f"\n{what}: {factor:.2f} windows in a row are one (the test takes {ALIKE})")


if __name__ == "__main__":
    main()
