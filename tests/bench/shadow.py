"""What a candidate in the shadow and the test for drift cost the live bundle.

    python -m tests.bench.shadow BUNDLE training/captures

Batches of 1,024 windows, one each of as many links, go through a daemon's `Duty` in process,
first as fast as they can be judged, then at a pace that a daemon has; with nothing beside it,
with `Drift`, with a shadow of the same bundle, and with both. Ratios are to nothing beside it, in
turns, for the machine is shared. No Kafka, no sinks.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from detector.batch import Batch, Share
from detector.bundle import Bundle, load
from detector.capture import read_links
from detector.config import Settings
from detector.config import Shadow as Section
from detector.drift.drift import Drift
from detector.encoder import open_encoder
from detector.oncall.duty import Duty
from detector.oncall.moment import Moment
from detector.oncall.opening import Model, open_duty, open_view
from detector.oncall.record import NoStates
from detector.shadow.opening import open_shadow
from detector.shadow.shadow import Shadow
from detector.window import Window

from .machine import describe

LINKS, SECONDS, TURNS = 1024, 6.0, 4
NOON_MS = 1_700_000_000_000


@dataclass
class Measured:
    """What came of a way to run."""

    rates: list[float] = field(default_factory=list)  # windows a second, of each turn
    batches: list[float] = field(default_factory=list)  # seconds that each took
    handing: list[float] = field(default_factory=list)  # of those, for whoever looks on
    shown: float = 0.0  # share of the windows that the shadow judged too


class Traffic:
    """Batches of real rows, a second later each time."""

    def __init__(self, bundle: Bundle, captures: Sequence[Path]) -> None:
        self._spec = bundle.manifest.window
        links = read_links(captures, self._spec)
        self._rows = [link.values for link in links if len(link.values) > 80]
        self._second = 0

    def next(self) -> Batch:
        """Give the next second's."""
        self._second += 1
        end_ms, steps = NOON_MS + self._second * 1000, self._spec.steps
        windows = []
        for number in range(LINKS):
            rows = self._rows[number % len(self._rows)]
            start = (self._second + number * 7) % (len(rows) - steps)
            values = rows[start : start + steps]
            begin_ms = end_ms - self._spec.span_ms
            windows.append(Window(f"link-{number}", "p", begin_ms, end_ms, values))
        return Batch(LINKS, windows, [Share(b"", LINKS, ("windows", 0))])


@contextmanager
def beside(bundle: Bundle, duty: Duty, name: str) -> Iterator[tuple[Shadow | None, Drift | None]]:
    """Open what is to look on."""
    settings = Settings(bundle="", shadow=Section(time_share=0.5))
    drift = Drift(bundle, settings.drift) if "drift" in name else None
    shadow = None
    if "shadow" in name:
        candidate = open_view(settings, Model(bundle, open_encoder(bundle, threads=1))).sight
        shadow = open_shadow(settings, candidate, duty.sight, "bench")
        shadow.start()
    yield shadow, drift
    if shadow is not None:
        shadow.close()


def run(bundle: Bundle, traffic: Traffic, name: str, pace: float, into: Measured) -> None:
    """Judge for some seconds, at most *pace* batches a second; 0 = as fast as it goes."""
    duty = open_duty(Settings(bundle=""), Model(bundle, open_encoder(bundle)), NoStates())
    with beside(bundle, duty, name) as (shadow, drift):
        begun, count = time.perf_counter(), 0
        made = 0.0  # seconds that the traffic itself took
        while time.perf_counter() - begun < SECONDS:
            before = time.perf_counter()
            batch = traffic.next()
            if pace:
                time.sleep(max(0.0, begun + count / pace - time.perf_counter()))
            started = time.perf_counter()
            made += started - before
            judged = duty.take(batch, Moment(started, time.time()))
            handed = time.perf_counter()
            if shadow is not None:
                shadow.take(batch.windows, judged.verdicts, judged.turns)
            if drift is not None and judged.embeddings is not None:
                links = duty.roster.steady.links
                drift.take(batch.windows, judged.verdicts, judged.embeddings, links, started)
            ended = time.perf_counter()
            into.batches.append(ended - started)
            into.handing.append(ended - handed)
            count += 1
        into.rates.append(count * LINKS / (time.perf_counter() - begun - made))
        if shadow is not None:
            into.shown = shadow.report().windows / (count * LINKS)


NAMES = ("nothing", "drift", "shadow", "shadow and drift")


@click.command()
@click.argument("bundle", type=click.Path(exists=True, path_type=Path))
@click.argument("captures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--pace", default=4.0, show_default=True, help="Batches a second in the second part")
def main(bundle: Path, captures: tuple[Path, ...], pace: float) -> None:
    """Print throughput, and how long batches take."""
    loaded = load(bundle)
    traffic = Traffic(loaded, captures)
    print(describe())
    names = NAMES if loaded.drift else [name for name in NAMES if "drift" not in name]
    for title, speed in (("as fast as they come", 0.0), (f"{pace:g} batches a second", pace)):
        found = {name: Measured() for name in names}
        for _ in range(TURNS):
            for name in names:
                run(loaded, traffic, name, speed, found[name])
        alone = found["nothing"]
        print(
            f"\n{title}\n| beside | windows a second of work | ratio "
            "| batch, ms: median, 99 % | ratio | handed over, us | shown |\n"
            "| --- | --- | --- | --- | --- | --- | --- |"
        )
        for name, one in found.items():
            rate, usual = statistics.median(one.rates), statistics.median(one.batches)
            print(
                f"| {name} | {rate:,.0f} | {rate / statistics.median(alone.rates):.2f} "
                f"| {usual * 1e3:.1f}, {np.quantile(one.batches, 0.99) * 1e3:.1f} "
                f"| {usual / statistics.median(alone.batches):.2f} "
                f"| {statistics.median(one.handing) * 1e6:.0f} | {one.shown:.0%} |"
            )


if __name__ == "__main__":
    main()
