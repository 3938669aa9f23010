"""A report as a table that people read, and what they should know of it."""

from collections.abc import Sequence

import numpy as np

from .pin import as_text
from .report import Report, Row, command, other

HEAD = (
    *("rank", "before", "candidate", "F1", "spread", "brief F1", "spread"),
    *("train s", "parameters", "windows/s", "other than the default"),
)


def as_table(report: Report) -> str:
    """Lay out a report for people."""
    rows = [list(HEAD)]
    ranks = iter(range(1, len(report.rows) + 1))
    for row in report.rows:
        rank = str(next(ranks)) if row.score is not None else "-"
        rows.append([rank, *_cells(row, report)])
    return "\n".join([_aligned(_told(rows)), "", *_remarks(report)])


def _cells(row: Row, report: Report) -> list[str]:
    one = row.candidate
    changed = other(one.settings, report.default)
    said = " ".join(f"{name}={as_text(value)}" for name, value in changed.items()) or "the default"
    if row.before is None:
        what = "given up" if one.state == "pruned" else "begun"
        said = f"({what}: {len(one.scores)} of {len(report.folds)} folds) {said}"
    return [
        str(row.before or "-"),
        str(one.number),
        *_numbers(".3f", row.score, row.spread, one.score, one.spread),
        *_numbers(".0f", row.seconds, row.parameters, row.windows_per_second),
        said,
    ]


def _remarks(report: Report) -> list[str]:
    scored = f"F1: macro-F1, mean over {len(report.folds)} folds ({', '.join(report.folds)});"
    lines = [f"{scored} spread: standard deviation over them; seed {report.seed}"]
    whole = [row for row in report.rows if row.score is not None]
    if report.correlation is not None:
        lines.append(
            f"rank correlation of brief and whole trainings (Spearman): {report.correlation:.2f} "
            f"of {len(whole)} candidates"
        )
    elif whole:
        lines.append("too few candidates, or too alike, for a rank correlation of the stages")
    winner = report.winner
    if winner is None:
        return [*lines, "no candidate is ranked yet"]
    lines += [_verdict(report, winner), command(report)]
    return lines


def _verdict(report: Report, winner: Row) -> str:
    """Say what searching brought, by the default's own row."""
    if winner.candidate.number == 0:
        return "nothing that was tried does better than the default"
    default = next((row for row in report.rows if row.candidate.number == 0), None)
    text = f"candidate {winner.candidate.number} does best"
    ours, theirs = winner.score, default.score if default else None
    if default and winner.score is None:
        ours, theirs = winner.candidate.score, default.candidate.score
        text += " when trained briefly"
    if ours is None or theirs is None:
        return text
    spread = winner.candidate.spread if winner.score is None else winner.spread or 0.0
    chance = " - less than the spread over folds" if ours - theirs < spread else ""
    return f"{text}: {ours - theirs:+.3f} over the default{chance}"


def _numbers(form: str, *values: float | None) -> list[str]:
    return ["-" if value is None or np.isnan(value) else format(value, form) for value in values]


def _told(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Leave out the columns in which nothing is told."""
    places = [p for p in range(len(rows[0])) if len(rows) < 2 or {r[p] for r in rows[1:]} != {"-"}]
    return [[row[place] for place in places] for row in rows]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == len(widths) - 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
