"""What each part of the judging costs, on windows of real traffic.

    python -m tests.bench.judging BUNDLE training/captures

Batches of 1,024 windows, one each of as many links, go through a daemon's `Duty` in process, again
and again a second later. Each part is timed by itself on the same batches; embedding, the part
that all else is held against, stands first. No Kafka, no sinks.
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from detector.anchors import AnchorSet
from detector.batch import Batch, Share
from detector.bundle import load
from detector.capture import read_links
from detector.config import Settings
from detector.encoder import open_encoder
from detector.oncall.moment import Moment
from detector.oncall.opening import Model, open_duty
from detector.oncall.record import NoStates
from detector.state import Steady, sayings
from detector.verdict import Judge
from detector.window import Window

from .machine import matrix_flops

LINKS, ROUNDS = 1024, 40


def best(work: Callable[[], object], rounds: int = 7) -> float:
    """Give the fastest of some rounds, seconds."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


@click.command()
@click.argument("bundle", type=click.Path(exists=True, path_type=Path))
@click.argument("captures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(bundle: Path, captures: tuple[Path, ...]) -> None:
    """Time the parts."""
    loaded = load(bundle)
    spec, encoder = loaded.manifest.window, open_encoder(loaded)
    duty = open_duty(Settings(bundle=""), Model(loaded, encoder), NoStates())
    rows = [link.values for link in read_links(captures, spec) if len(link.values) > 80]
    batches = []
    for second in range(ROUNDS):
        end_ms = 1_700_000_000_000 + second * 1000
        windows = []
        for number in range(LINKS):
            some = rows[number % len(rows)]
            start = (second + number * 7) % (len(some) - spec.steps)
            values = some[start : start + spec.steps]
            windows.append(Window(f"link-{number}", "p", end_ms - spec.span_ms, end_ms, values))
        batches.append(Batch(LINKS, windows, [Share(b"", LINKS, ("windows", 0))]))

    values = np.stack([window.values for window in batches[0].windows])
    points = encoder.embed(values)
    anchors = AnchorSet(loaded.anchor_embeddings, loaded.labels)
    nearest = anchors.classify(points)
    ends_ms = [window.end_ms for window in batches[0].windows]
    alone = best(lambda: encoder.embed(values))

    clock = iter(range(10**9))

    def whole() -> None:
        second = next(clock)
        batch = batches[second % ROUNDS]
        moved = [
            Window(
                w.link,
                w.source,
                w.start_ms + second // ROUNDS * 10**6,
                w.end_ms + second // ROUNDS * 10**6,
                w.values,
            )
            for w in batch.windows
        ]
        duty.take(Batch(LINKS, moved, batch.shares), Moment(float(second), 1.7e9 + second))

    judge = Judge(loaded.manifest.anchors, anchors.labels, Steady(anchors.labels), loaded.id)
    moving = iter(range(10**9))

    def states() -> None:
        steady, shift = judge.steady, next(moving) * 1000
        for number, said in enumerate(
            sayings(nearest, [end + shift for end in ends_ms], spec.span_ms)
        ):
            steady.push(f"link-{number}", said)

    parts = {
        "comparing with anchors": lambda: anchors.classify(points),
        "strangeness": lambda: (
            duty.sight.strangeness and duty.sight.strangeness(points, nearest.label)
        ),
        "second opinion": lambda: loaded.head and loaded.head.name(points),
        "states by evidence": states,
        "verdicts and states": lambda: judge.judge(batches[0].windows, nearest),
        "who was heard": lambda: duty._heard(batches[0], values),
        "silence": lambda: duty.roster.hear(duty._heard(batches[0], values), Moment(0.0, 1.7e9)),
        "what is usual, all links": lambda: duty.roster.usual.learn(
            [w.link for w in batches[0].windows], ends_ms, values
        ),
        "a look at who is silent": lambda: duty.roster.silence.tick(1.0, 12, lambda _: ()),
    }
    click.echo(f"matrix product: {matrix_flops() / 1e9:.0f} GFLOP/s in float32")
    click.echo(f"{'embedding alone':<28} {LINKS / alone:>10,.0f} windows/s")
    for name, work in parts.items():
        seconds = best(work)
        click.echo(f"{name:<28} {LINKS / seconds:>10,.0f} windows/s  {seconds / alone:>6.1%}")
    for _ in range(ROUNDS):
        whole()
    seconds = best(whole, 20)
    click.echo(f"{'all of it, canaries too':<28} {LINKS / seconds:>10,.0f} windows/s")
    click.echo(f"{'':<28} {alone / seconds:>10.0%} of embedding alone")


if __name__ == "__main__":
    main()
