"""What the capture store costs the loop, what it sustains, and what a row takes on the disk.

    python -m tests.bench.store training/recordings/lab-1

Rows of real traffic, cut into windows of 15 s as if 1,024 links reported once a second. Calm: all
links are well, with the default sample. Incident: every link has a fault, so all is written. The
ceilings are what the same machine does without the store: handing a batch over to a queue, the
disk's own writing, and pandas writing the same rows.
"""

import gc
import os
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import click
import numpy as np
import pandas as pd

from detector.capture import LinkCapture, features_of, links_of, read_table
from detector.config import Store
from detector.store import CaptureStore
from detector.store.choice import Choice
from detector.verdict import Verdict
from detector.window import Window, WindowSpec

from .machine import describe, rate

LINKS, STEPS, SECONDS = 1024, 15, 120
START_MS = 1_700_000_000_000
Judged = tuple[list[Window], list[Verdict], list[int]]


def batches(links: Sequence[LinkCapture], label: str, seconds: int) -> Iterator[Judged]:
    """Make a batch for each second, of a window of each link."""
    reason = (
        "" if label == "normal" else "like lab-blocked (blocked), 0.12 away; 31 % are answered"
    )
    for second in range(seconds):
        windows, verdicts = [], []
        start_ms = START_MS + second * 1000
        for number in range(LINKS):
            values = links[number % len(links)].values
            row = (second + number * 7) % (len(values) - STEPS)
            link, source = f"link-{number}", f"probe-{number % 8}"
            end_ms = start_ms + STEPS * 1000
            windows.append(Window(link, source, start_ms, end_ms, values[row : row + STEPS]))
            verdicts.append(
                Verdict(
                    *(link, source, start_ms, end_ms, label, label, 0.1 * row, 0.2 * row),
                    anchor="lab-normal",
                    distances={"normal": 0.1 * row, "blocked": 0.5},
                    bundle="20261124-0a1b2c3d",
                    reason=reason,
                    strangeness=0.01 * row,
                )
            )
        yield windows, verdicts, [START_MS] * LINKS


def sustained(folder: Path, spec: WindowSpec, every: Sequence[Judged]) -> tuple[float, float]:
    """Push batches through a whole store as fast as it takes them: windows/s, seconds a take."""
    taking, begun = [], time.perf_counter()
    with closing(CaptureStore(Store(flush_seconds=2), spec, folder, "bench")) as store:
        for batch in every:
            before = time.perf_counter()
            store.take(*batch)
            taking.append(time.perf_counter() - before)
            while _figure(store, "store_queue_windows") > 16 * LINKS:  # or some are skipped
                time.sleep(0.001)
    count = len(every) * LINKS
    assert _figure(store, "store_windows", "skipped") == 0
    assert _figure(store, "store_windows", "lost") == 0
    return count / (time.perf_counter() - begun), float(np.median(taking))


def _figure(store: CaptureStore, name: str, *labels: str) -> float:
    return next(f.values[labels] for f in store.figures() if f.name == name)


def choosing(spec: WindowSpec, every: Sequence[Judged]) -> float:
    """Time the choice alone, without threads or files: seconds a window."""
    choice, times = Choice(Store(), spec), []
    for second, (windows, verdicts, sinces) in enumerate(every):
        begun = time.thread_time()  # others may want the core too
        for window, verdict, since in zip(windows, verdicts, sinces, strict=True):
            choice.push(window, verdict, since, float(second))
        times.append(time.thread_time() - begun)
        choice.take_fresh()
    return float(np.median(times[60:])) / LINKS


def memory_of_a_link(spec: WindowSpec, every: Sequence[Judged]) -> float:
    """Measure what waits for a change, at the default settings: bytes a link."""
    choice = Choice(Store(), spec)
    tracemalloc.start()
    for second, (windows, verdicts, sinces) in enumerate(every):
        for window, verdict, since in zip(windows[:64], verdicts, sinces, strict=False):
            fresh = float(window.start_ms % 97)  # as decoding does, each verdict has its own
            choice.push(window, _with_numbers(verdict, fresh), since + 0, float(second))
        choice.take_fresh()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / 64


def _with_numbers(verdict: Verdict, number: float) -> Verdict:
    values = {name: getattr(verdict, name) for name in verdict.__struct_fields__}
    numbers = {"distance": number + 0.1, "margin": number + 0.2, "strangeness": number + 0.3}
    return Verdict(**values | numbers)


def disk_rate(folder: Path, size: int = 64_000_000) -> float:
    """Measure plain writing, brought to the disk: bytes/s."""
    data = os.urandom(size)

    def write() -> None:
        with (folder / "plain").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    return rate(write, size)


def disk_bytes(folder: Path, kind: str = "*") -> tuple[int, int]:
    """Count the bytes and rows of a store's files."""
    files = list(folder.glob(f"bench/{kind}/*/*.parquet"))
    rows = sum(len(pd.read_parquet(file, columns=["t_ms"])) for file in files)
    return sum(file.stat().st_size for file in files), rows


def plain_pandas(folder: Path, every: Sequence[Judged], spec: WindowSpec) -> tuple[float, float]:
    """Write an incident's newest rows as pandas does by itself: rows/s, bytes a row."""
    windows = [window for batch in every for window in batch[0]]
    said = [verdict for batch in every for verdict in batch[1]]
    begun = time.perf_counter()
    table = pd.DataFrame(np.stack([w.values[-1] for w in windows]), columns=list(spec.features))
    table = table.assign(link=[w.link for w in windows], t_ms=[w.end_ms for w in windows])
    for name in ("label", "state", "reason", "bundle", "anchor", "distance", "margin"):
        table[f"verdict_{name}"] = [getattr(verdict, name) for verdict in said]
    file = folder / "plain.parquet"
    table.to_parquet(file)
    return len(table) / (time.perf_counter() - begun), file.stat().st_size / len(table)


def queue_seconds(every: Sequence[Judged]) -> float:
    """Time nothing but a queue: seconds a batch."""
    queue: SimpleQueue[Judged] = SimpleQueue()
    return 1 / rate(lambda: [queue.put(batch) for batch in every], len(every), 0.5)


@click.command()
@click.argument("captures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(captures: tuple[Path, ...]) -> None:
    """Measure the store on rows of CAPTURES."""
    table = read_table(captures)
    spec = WindowSpec(features=features_of(table), steps=STEPS, step_ms=1000)
    links = [link for link in links_of(table, spec.features, 1000) if len(link.values) > 200]
    calm, incident = (list(batches(links, label, SECONDS)) for label in ("normal", "blocked"))
    gc.collect()
    gc.freeze()  # a daemon doesn't hold two minutes of windows that are searched again and again
    click.echo(f"{describe()}; {len(spec.features)} features, {STEPS} steps, {LINKS} links")
    bare = queue_seconds(calm)
    for name, every in (("calm", calm), ("incident", incident)):
        with tempfile.TemporaryDirectory() as folder:
            windows_s, taking = sustained(Path(folder), spec, every)
            size, rows = disk_bytes(Path(folder))
        alone = choosing(spec, every)
        click.echo(f"{name}:")
        click.echo(
            f"  take                {taking * 1e6:>10.1f} us a batch of {LINKS} windows"
            f"   (putting it into a bare queue: {bare * 1e6:.1f})"
        )
        click.echo(f"  choice              {alone * 1e6:>10.1f} us a window")
        click.echo(
            f"  sustained           {windows_s:>10,.0f} windows/s"
            f"   ({windows_s * alone:.0%} of the choice alone)"
        )
        click.echo(
            f"  on disk             {size / max(rows, 1):>10.1f} bytes a row, {rows:,} rows"
        )
    click.echo(f"memory                {memory_of_a_link(spec, calm) / 1000:>10.1f} kB a link")
    with tempfile.TemporaryDirectory() as folder:
        rows_s, row_size = plain_pandas(Path(folder), incident, spec)
        disk = disk_rate(Path(folder))
    click.echo(f"pandas by itself      {rows_s:>10,.0f} rows/s, {row_size:.1f} bytes a row")
    click.echo(f"the disk, plain       {disk / 1e6:>10,.0f} MB/s")


if __name__ == "__main__":
    main()
