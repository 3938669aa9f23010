"""Validation: a recipe trained again and again without some runs, and judged on those.

Two ways of leaving runs out stand side by side: other runs of what was learnt, and whole mixes
of traffic that were not. A third leaves out kinds of faults, to be shown them a window at a
time. Every cell (a way, a fold, a seed) is kept in a work folder under a hash of all that it
depends on, so an interrupted study goes on where it was.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from detector import __version__, durable
from detector.capture import CaptureError
from training.data import Pool, pool
from training.settings import plain
from training.split import Fold, kind_folds, mix_folds, run_folds

from .bench import Bench, Progress, links_to_judge
from .cell import Cell
from .design import Design
from .pooling import Facts, study
from .study import KINDS, MIXES, RUNS, Study


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Makes cells, or finds them made."""

    design: Design
    pool: Pool
    work: Path | None  # where cells are kept; None = nowhere
    progress: Progress

    @classmethod
    def of(
        cls, paths: Sequence[Path], design: Design, work: Path | None, progress: Progress
    ) -> "Workshop":
        """Read the captures that *design* is to be tried on.

        Raises:
            CaptureError: if they can't be read.
        """
        return cls(design=design, pool=pool(paths, design.settings), work=work, progress=progress)

    def cells(self) -> Iterator[Cell]:
        """Give all cells, made or found.

        Raises:
            CaptureError: if runs can't be left out as the design says, or nothing can be learnt.
        """
        tasks = list(self._tasks())
        if not tasks:
            raise CaptureError("no runs are to be left out, so there is nothing to judge")
        for place, (validation, fold, seed) in enumerate(tasks):
            where = f"{place + 1} of {len(tasks)}: {validation}, {fold.name}, seed {seed}"
            path = self._path(validation, fold, seed)
            if path and path.exists():
                self.progress(f"{where}: found, done before")
                yield msgspec.json.decode(path.read_bytes(), type=Cell)
            else:
                yield self._made(validation, fold, seed, where, path)

    def _tasks(self) -> Iterator[tuple[str, Fold, int]]:
        design, links = self.design, self.pool.links
        for seed in design.seeds:
            ways = {
                RUNS: run_folds(links, design.folds, seed) if design.folds else [],
                MIXES: mix_folds(links, design.mixes),
                KINDS: kind_folds(links, design.unseen),
            }
            for validation, folds in ways.items():
                for fold in folds:
                    self._check(fold)
                    yield validation, fold, seed

    def _check(self, fold: Fold) -> None:
        if {link.run for link in self.pool.links} <= fold.runs:
            raise CaptureError(f"without the runs of {fold.name!r} there is nothing to learn from")
        if not links_to_judge(self.pool, self.design, fold):
            raise CaptureError(f"no link to judge on is in the runs of {fold.name!r}")

    def _made(self, validation: str, fold: Fold, seed: int, where: str, path: Path | None) -> Cell:
        def tell(what: str) -> None:
            self.progress(f"{where}: {what}")

        cell = Bench(self.pool, self.design, fold, seed, tell).cell(validation)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.write(path, msgspec.json.encode(cell))
        return cell

    def _path(self, validation: str, fold: Fold, seed: int) -> Path | None:
        if self.work is None:
            return None
        design = self.design
        asked = {
            "version": __version__,
            "captures": self.pool.captures,
            "settings": asdict(design.settings),
            "judge": (design.judge, design.rivals, design.agree, design.of),
            "cell": (validation, fold.name, sorted(fold.runs), fold.unseen, seed),
        }
        digest = hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:16]
        return self.work / f"{validation}-{digest}.json"


def validate(
    paths: Sequence[Path], design: Design, work: Path | None, progress: Progress
) -> Study:
    """Train a recipe as often as *design* says, and judge it and the plain methods.

    Cells that lie in *work* are taken from there.

    Raises:
        CaptureError: if the captures can't be read, or not be left out as the design says.
    """
    workshop = Workshop.of(paths, design, work, progress)
    cells = list(workshop.cells())
    facts = Facts(
        captures=workshop.pool.captures,
        settings=plain(design.settings),
        steps=design.settings.steps,
        step_ms=design.settings.step_ms,
    )
    return study(cells, facts)
