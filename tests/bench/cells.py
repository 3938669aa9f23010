"""A closer look at an evaluation: some runs, some places, from the cells that it kept.

    python -m tests.bench.cells WORK --validation mixes --runs 'd*' --place access

`anchorwatch evaluate --recipe --work WORK` pools all runs and places; this pools those asked for.
"""

from fnmatch import fnmatchcase
from pathlib import Path

import click
import msgspec

from training.judging.cell import Cell
from training.judging.intervals import bootstrap, difference
from training.judging.pooling import tallies
from training.judging.study import ENCODER


@click.command()
@click.argument("work", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--validation", default="runs", show_default=True)
@click.option("--runs", default="*", help="Pattern of runs")
@click.option("--place", default="*", help="Pattern of places")
def main(work: Path, validation: str, runs: str, place: str) -> None:
    """Print macro-F1 of each method, its interval, and the encoder's lead."""
    cells = [
        cell
        for path in sorted(work.glob(f"{validation}-*.json"))
        for cell in [msgspec.json.decode(path.read_bytes(), type=Cell)]
    ]
    cells.sort(key=lambda cell: (cell.seed, cell.fold))
    for cell in cells:
        for findings in cell.findings.values():
            findings.counts = [
                count
                for count in findings.counts
                if fnmatchcase(count.run, runs) and fnmatchcase(count.place, place)
            ]
    encoder = tallies(cells, ENCODER)
    seeds = len({cell.seed for cell in cells})
    print(f"{len(encoder[0].runs)} runs, {seeds} seeds, {len(cells)} trainings")
    for name in cells[0].findings:
        mine = tallies(cells, name)
        score, lead = bootstrap(mine), difference(encoder, mine)
        print(
            f"{name:46} {score.value:.3f} ({score.low:.3f}-{score.high:.3f})  seeds "
            + " ".join(f"{one:.3f}" for one in score.seeds)
            + f"  lead {lead.value:+.3f} ({lead.low:+.3f} to {lead.high:+.3f})"
        )


if __name__ == "__main__":
    main()
