"""What a link costs a daemon: memory, time, its share of the metrics page, its record.

    python -m tests.bench.links BUNDLE training/captures [--links 10000 --links 100000]

For each number of links a process of its own runs the daemon's service on normal traffic, a
window of each every 5 s: decoding, judging, silence, what is kept and what is usual, the capture
store, the page. Kafka has no part in it; that is `tests.bench.wire`. Memory is what the system
says that the process takes, and differences of it.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec
import numpy as np

from detector.batch import Batcher
from detector.bundle import load
from detector.config import Settings, Store
from detector.encoder import open_encoder
from detector.learning import Learning
from detector.metrics import Metrics
from detector.oncall.moment import Moment
from detector.oncall.opening import Model, open_duty
from detector.oncall.record import LinkRecord, NoStates
from detector.oncall.standing import Standing
from detector.oncall.tally import Tally
from detector.service import Service
from detector.sinks import Outcome
from detector.store import CaptureStore

from .feed import HOP_MS, START_MS, Feed, normal_rows
from .judging import best
from .machine import describe, matrix_flops, rate, window_flops

BATCH, ROUNDS = 1024, 4
CAPPED = 10_000  # [http] max_links


class Cost(msgspec.Struct):
    """What so many links cost one process."""

    links: int
    base_bytes: int  # of the process, before there was any link
    judging_bytes: int  # that links added: states, silence, what is kept and usual
    store_bytes: int  # and what the capture store remembers of them
    step_us: float  # processor time of a window, from its bytes to its verdict
    look_ms: float  # of the work that is done once a second, whatever comes
    page_bytes: int  # of /metrics, with a series for every link
    page_ms: float
    capped_ms: float  # of the page with a series for 10,000 of them
    record_bytes: float  # of what is kept of a link on Kafka, on average


class Weighing:
    """A sink that only remembers how much would be kept of each link."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    def send(self, outcome: Outcome) -> None:
        """Weigh the records."""
        records: tuple[LinkRecord, ...] = (*outcome.before, *outcome.after)
        self.sizes.update((one.link, len(msgspec.json.encode(one))) for one in records)

    def close(self) -> None:
        """Nothing was opened."""


class Runner:
    """A service on a feed, with a clock that goes on by the feed's hops."""

    def __init__(self, model: Model, feed: Feed) -> None:
        self.sink, self._feed, self._now = Weighing(), feed, 1000.0
        settings, labels = Settings(bundle=""), model.bundle.manifest.labels
        duty = open_duty(settings, model, NoStates())
        self.service = Service(
            source=feed,
            batches=Batcher(feed, model.spec, windows=BATCH, wait_seconds=0),
            duty=duty,
            sinks=[self.sink],
            metrics=Metrics(labels, CAPPED),
            standing=Standing(facts=model.facts, roster=duty.roster, tally=Tally(1.0)),
            clock=self._moment,
        )

    def work(self, windows: int) -> float:
        """Judge at least so many windows, and give the processor seconds that one took."""
        begun, done = time.process_time() - self._feed.seconds, 0
        while done < windows:
            turn = self._feed.turn
            done += self.service.step(0)
            self._now += HOP_MS / 1000 * (self._feed.turn - turn)
        return (time.process_time() - self._feed.seconds - begun) / done

    def grow_a_day_older(self) -> None:
        """Let all links have been heard at every hour, and their records be written again."""
        roster = self.service.duty.roster
        for name, link in roster.silence.links.items():
            link.hours = [link.activity + hour / 7 for hour in range(len(link.hours))]
            roster.keeper.note((name, link.source))
        self.look()

    def look(self) -> None:
        """Let a second go by in which nothing comes."""
        self._feed.is_paused, self._now = True, self._now + 1
        self.service.step(0)
        self._feed.is_paused = False

    def page(self, most: int) -> tuple[int, float]:
        """Make the page of metrics with at most so many links: bytes, seconds."""
        duty = self.service.duty
        metrics = Metrics(duty.sight.bundle.manifest.labels, most)
        status = self.service.standing.status(self._moment(), self._feed.vitals, {})
        metrics.links(dict(duty.roster.steady.links), status, duty.roster.noticed)
        return len(metrics.text()), best(metrics.text, 3)

    def _moment(self) -> Moment:
        return Moment(self._now, START_MS / 1000 + self._now)


def resident_bytes() -> int:
    """Say how much memory this process takes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def weigh(bundle: Path, rows: Path, links: int) -> Cost:
    """Let a service judge some rounds of so many links, and see what that took."""
    loaded = load(bundle)
    spec = loaded.manifest.window
    runner = Runner(Model(loaded, open_encoder(loaded)), Feed(spec, np.load(rows), links))
    runner.work(4 * BATCH)  # what is made once is made
    base = resident_bytes()
    step = runner.work(ROUNDS * links)
    runner.grow_a_day_older()
    judged = resident_bytes()
    look = best(runner.look, 5)
    capped, whole = runner.page(CAPPED), runner.page(links)
    before = resident_bytes()
    with tempfile.TemporaryDirectory() as folder:
        store = CaptureStore(Store(), spec, Path(folder))
        runner.service.learning = Learning(store=store)
        runner.work(2 * links)
        stored = resident_bytes() - before
        store.close()
    return Cost(
        links=links,
        base_bytes=base,
        judging_bytes=judged - base,
        store_bytes=stored,
        step_us=step * 1e6,
        look_ms=look * 1000,
        page_bytes=whole[0],
        page_ms=whole[1] * 1000,
        capped_ms=capped[1] * 1000,
        record_bytes=sum(runner.sink.sizes.values()) / len(runner.sink.sizes),
    )


def in_a_process(bundle: Path, rows: Path, links: int) -> Cost:
    """Weigh in a process of its own, whose memory nothing else was in."""
    command = [sys.executable, "-m", "tests.bench.links", str(bundle), str(rows)]
    done = subprocess.run([*command, "--only", str(links)], stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Cost)


def embedding(bundle: Path) -> tuple[float, float]:
    """Time embedding alone, on one thread: microseconds a window, and that at the ceiling."""
    loaded = load(bundle)
    encoder, spec = open_encoder(loaded, "onnxruntime", 1), loaded.manifest.window
    values = np.random.default_rng(0).uniform(0, 100, (BATCH, *spec.shape)).astype(np.float32)
    ceiling = matrix_flops() / window_flops(loaded.manifest.architecture, spec.steps)
    return 1e6 / rate(lambda: encoder.embed(values), BATCH), 1e6 / ceiling


def told(cost: Cost, alone_us: float) -> str:
    """Put into words what so many links cost."""
    count = cost.links
    return f"""{count:,} links, {cost.base_bytes / 1e6:.0f} MB before there is any:
  judging      {cost.judging_bytes / 1e3 / count:8.2f} kB a link
  store        {cost.store_bytes / 1e3 / count:8.2f} kB a link
  a window     {cost.step_us:8.1f} us of a core ({cost.step_us / alone_us:.1f} times embedding)
  every second {cost.look_ms:8.1f} ms ({cost.look_ms / count * 1000:.2f} us a link)
  page         {cost.page_bytes / 1e6:8.2f} MB, {cost.page_ms:.0f} ms, capped {cost.capped_ms:.0f}
  record       {cost.record_bytes:8.0f} bytes of JSON"""


@click.command()
@click.argument("bundle", type=click.Path(exists=True, path_type=Path))
@click.argument("captures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--links", "counts", multiple=True, default=(10_000, 100_000), help="How many")
@click.option("--only", type=int, help="Weigh so many here, on rows in a file, and print JSON")
def main(bundle: Path, captures: tuple[Path, ...], counts: tuple[int, ...], only: int) -> None:
    """Print what links cost."""
    if only:
        print(msgspec.json.encode(weigh(bundle, captures[0], only)).decode())
        return
    spec = load(bundle).manifest.window
    alone_us, ceiling_us = embedding(bundle)
    print(f"{describe()}; windows of {spec.steps} x {len(spec.features)}")
    print(f"embedding, one thread: {alone_us:.1f} us a window", end="")
    print(f"; its matrix products on all cores at the ceiling: {ceiling_us:.1f} us")
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.npy"
        np.save(rows, normal_rows(captures, spec))
        for count in counts:
            print(told(in_a_process(bundle, rows, count), alone_us), flush=True)


if __name__ == "__main__":
    main()
