"""Accuracy on left-out runs: the encoder and the plain methods, over folds and seeds.

    python -m tests.bench.accuracy [--steps 30] [--seeds 3] [--folds 4] [--set NAME=VALUE ...]

In each fold a quarter of the runs, of every sort, is left out with all its probes; the encoder is
trained on the others by `training.train`, and judged on the left-out ones by `training.evaluate`,
which trains the plain methods on the same runs. The interval is over (seed, fold).
"""

import ast
import math
import statistics
import time
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import click

from detector.capture import SHIPPED, features_of, links_of, read_links, read_table
from training.data import read
from training.evaluate import ENCODER, Report, evaluate, score
from training.labelled import LabelledWindows
from training.rivals import RIVALS
from training.settings import Settings
from training.split import folds as deal
from training.train import train

T95 = {3: 4.303, 4: 3.182, 6: 2.571, 8: 2.365, 9: 2.306, 12: 2.201, 16: 2.131, 20: 2.093}


@click.command()
@click.option("--captures", type=click.Path(path_type=Path), default=SHIPPED)
@click.option("--links", default="*/access")
@click.option("--judge", default="", help="Links to judge on; none = the same")
@click.option("--seeds", default=3)
@click.option("--folds", default=4)
@click.option("--rivals/--no-rivals", default=True)
@click.option("--encoder/--no-encoder", default=True, help="Without: the plain methods alone")
@click.option("--set", "chosen", multiple=True, metavar="NAME=VALUE", help="A training setting")
def main(
    captures: Path,
    links: str,
    judge: str,
    seeds: int,
    folds: int,
    rivals: bool,
    encoder: bool,
    chosen: tuple[str, ...],
) -> None:
    """Print the table."""
    settings = {name: _value(text) for name, _, text in (one.partition("=") for one in chosen)}
    reports = []
    for seed in range(seeds):
        for fold, runs in enumerate(_left_out(captures, links, folds, seed)):
            begun = time.monotonic()
            options = Settings(links=(links,), leave_out=runs, seed=seed, **settings)
            if not encoder:
                reports.append(_plain(captures, options, judge or links))
                continue
            bundle = train([captures], options, lambda *_: None)
            trained = time.monotonic() - begun
            names = tuple(RIVALS) if rivals else ()
            report = evaluate(bundle, [captures], only=(judge or links,), rivals=names)
            reports.append(report)
            click.echo(
                f"seed {seed} fold {fold}: {report.scores[ENCODER].macro_f1:.3f}, "
                f"trained in {trained:.0f} s, {bundle.manifest.training.scores}; "
                f"wrong: {_worst(report)}",
                err=True,
            )
    _print(reports)


def _plain(captures: Path, options: Settings, judge: str) -> Report:
    """Train the plain methods on the links of *options*, and judge them on the left-out runs."""
    data = read([captures], options)
    learnt, spec = data.whole.recorded, data.spec
    links = read_links([captures], spec, (judge,))
    unseen = [link for link in links if link.run in options.leave_out]
    windows = LabelledWindows(unseen, spec, tail=spec.steps)
    scores = {}
    for name, make in RIVALS.items():
        rival = make(spec.features, options.seed)
        rival.fit(learnt.cut(slice(None)), list(learnt.labels), list(learnt.runs))
        scores[name] = score(rival.predict, windows, spec, agree=3, of=5)
    return Report("", options.leave_out, len(windows), scores, {})


def _value(text: str) -> object:
    return ast.literal_eval(text)


def _left_out(captures: Path, links: str, folds: int, seed: int) -> list[tuple[str, ...]]:
    table = read_table([captures])
    every = links_of(table, features_of(table), 1000)
    dealt = deal([one for one in every if fnmatchcase(one.link, links)], folds, seed)
    return [tuple(run for run, place in dealt.items() if place == n) for n in range(folds)]


def _worst(report: Report) -> str:
    recall = report.scores[ENCODER].kind_recall
    return ", ".join(f"{kind} {share:.2f}" for kind, share in recall.items() if share < 0.9) or "-"


def _print(reports: list[Report]) -> None:
    names = list(reports[0].scores)
    print(f"\n{'method':36}{'macro-F1':>9}  {'95 % interval':15}{'found':>9}{'false':>6}  delay s")
    for name in names:
        found = [report.scores[name].changes for report in reports]
        values = [report.scores[name].macro_f1 for report in reports]
        mean, half = statistics.mean(values), _half_width(values)
        waits: dict[str, list[float]] = {}
        for label, some in (pair for one in found for pair in one.delays_seconds.items()):
            waits.setdefault(label, []).extend(some)
        delays = ", ".join(f"{one} {statistics.median(waits[one]):g}" for one in sorted(waits))
        interval = f"{mean - half:.3f}-{min(1, mean + half):.3f}"
        hits = f"{sum(one.found for one in found)}/{sum(one.onsets for one in found)}"
        false = sum(len(one.false) for one in found)
        print(f"{name:36}{mean:9.3f}  {interval:15}{hits:>9}{false:>6}  {delays}")
    hours = sum(one.watched_seconds for one in found) / 3600
    print(f"{hours:.1f} link-hours watched for each, median delays, {len(reports)} trainings")
    if ENCODER not in names:
        return
    wrong: Counter[str] = Counter()
    for report in reports:
        for kind, share in report.scores[ENCODER].kind_recall.items():
            wrong[kind] += round(100 * (1 - share))
    print("encoder, sum of percentage points lost by kind:", dict(wrong.most_common(6)))


def _half_width(values: list[float]) -> float:
    if len(values) < 2:
        return math.nan
    return T95.get(len(values), 2.0) * statistics.stdev(values) / math.sqrt(len(values))


if __name__ == "__main__":
    main()
