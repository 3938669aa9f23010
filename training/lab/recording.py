"""A recording: a folder with the rows of all runs of a plan, labelled, and how they came about.

    rows.parquet      a capture: both probes of every run, with label and kind
    timelines.json    what was done to each run when
    manifest.json     plan, machine, repeats, kernel drops; SHA-256 of the other files
    plan.toml         the plan itself
    runs/             while it is made: each finished run's rows and timeline
    logs/, pcaps/     what the programs said; packets, if asked for

A recording that was interrupted goes on where it stopped: runs that are there aren't repeated.
"""

import hashlib
import platform
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from detector import __version__
from detector.probe.features import PACKET_FEATURES, names

from . import plan as plans
from . import timeline as timelines
from .plan import Plan
from .timeline import Timeline
from .truth import truth
from .watch import STEP_MS

FEATURES = names(PACKET_FEATURES)
SCHEMA = pa.schema(
    [("link", pa.string()), ("t_ms", pa.int64())]
    + [(name, pa.float32()) for name in FEATURES]
    + [("label", pa.string()), ("kind", pa.string())]
)
FILES = ("rows.parquet", "timelines.json", "plan.toml")


class RecordingError(ValueError):
    """A recording can't be written or gone on with; the message says why."""


class RunNote(msgspec.Struct, frozen=True):
    """How one run went."""

    repeats: int  # times that it had to be begun again
    restarts: int  # programs of its load that didn't come up at once
    packets: int
    kernel_dropped: int
    late: int  # packets that came after their row was given out


class RunRows:
    """The rows of one run, as they come."""

    def __init__(self, links: Sequence[str]) -> None:
        self.links = tuple(links)
        self._times: list[int] = []
        self._values: list[NDArray[np.float32]] = []

    def take(self, start_ms: int, values: NDArray[np.float32]) -> None:
        """Take one second of both probes."""
        self._times.append(start_ms)
        self._values.append(values)

    @property
    def last_ms(self) -> int:
        """When the latest row began; 0 before the first."""
        return self._times[-1] if self._times else 0

    def table(self, timeline: Timeline) -> pa.Table:
        """Label the rows by what was done; those outside of the phases are left out."""
        t_ms = np.array(self._times, np.int64)
        labels, kinds = truth(timeline, t_ms, STEP_MS)
        inside = np.flatnonzero([kind is not None for kind in kinds])
        if not len(inside):
            raise RecordingError(f"run {timeline.run!r} is too short: no whole row lies in it")
        parts = []
        for place, link in enumerate(self.links):
            values = np.stack([self._values[row][place] for row in inside])
            columns = [pa.array([link] * len(inside)), pa.array(t_ms[inside])]
            columns += [pa.array(column) for column in np.ascontiguousarray(values.T)]
            columns += [pa.array(texts[inside].tolist(), pa.string()) for texts in (labels, kinds)]
            parts.append(pa.Table.from_arrays(columns, schema=SCHEMA))
        return pa.concat_tables(parts)


class Recording:
    """The folder of a recording."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """Begin a recording, or go on with one of the same plan.

        Raises:
            RecordingError: if the folder holds anything else.
        """
        self.folder, self.plan = folder, plan
        self._runs = folder / "runs"
        text = plans.as_toml(plan)
        kept = folder / "plan.toml"
        if kept.exists() and kept.read_text() != text:
            raise RecordingError(f"{folder}: holds a recording of another plan")
        if not kept.exists() and folder.exists() and any(folder.iterdir()):
            raise RecordingError(f"{folder}: is not empty, and no recording")
        if self.is_whole:
            shutil.rmtree(self._runs, ignore_errors=True)  # it was killed while it did that
            return
        self._runs.mkdir(parents=True, exist_ok=True)
        kept.write_text(text)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to do."""
        return (self.folder / "manifest.json").exists()

    def missing(self) -> list[plans.Run]:
        """List the runs that aren't there yet, the longest first."""
        if self.is_whole:
            return []
        runs = [run for run in self.plan.runs if not self._part(run.name, "json").exists()]
        return sorted(runs, key=lambda run: -run.seconds)

    def _part(self, run: str, form: str) -> Path:
        return self._runs / f"{run}.{form}"

    def add(self, rows: RunRows, timeline: Timeline, note: RunNote) -> None:
        """Keep a finished run."""
        table = rows.table(timeline)
        with _whole(self._part(timeline.run, "parquet")) as path:
            pa.parquet.write_table(table, path)
        self._part(timeline.run, "note").write_bytes(msgspec.json.encode(note))
        with _whole(self._part(timeline.run, "json")) as path:  # last: now the run is there
            timelines.write([timeline], path)

    def finish(self) -> None:
        """Put the runs together and write the manifest."""
        if self.is_whole:
            return
        done = [run.name for run in self.plan.runs if self._part(run.name, "json").exists()]
        if not done:
            raise RecordingError("no run could be recorded")
        tables = (pa.parquet.read_table(self._part(run, "parquet")) for run in done)
        with _whole(self.folder / "rows.parquet") as path:
            write_rows(tables, path)
        timelines.write(
            [timelines.read(self._part(run, "json"))[0] for run in done],
            self.folder / "timelines.json",
        )
        notes = {
            run: msgspec.json.decode(self._part(run, "note").read_bytes(), type=RunNote)
            for run in done
        }
        manifest = {
            "plan": self.plan.name,
            "seed": self.plan.seed,
            "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
            "anchorwatch": __version__,
            "kernel": f"{platform.system()} {platform.release()}",
            "runs": notes,
            "left_out": [run.name for run in self.plan.runs if run.name not in done],
            "files": {name: _sum(self.folder / name) for name in FILES},
        }
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        with _whole(self.folder / "manifest.json") as path:
            path.write_bytes(text + b"\n")
        shutil.rmtree(self._runs)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give another name to write under; the file has its own only once it is whole."""
    part = path.with_name(path.name + ".part")
    yield part
    part.replace(path)


def write_rows(tables: Iterable[pa.Table], path: Path) -> None:
    """Write rows as small as they get: a capture that is to be kept."""
    table = pa.concat_tables(tables)
    pa.parquet.write_table(
        table, path, compression="zstd", compression_level=19, row_group_size=1 << 20
    )


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
