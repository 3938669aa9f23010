"""An evaluation as a text that people read."""

from collections.abc import Sequence

from .evaluate import ENCODER, Report, Score, delays


def as_text(report: Report) -> str:
    """Lay out a report as tables, the encoder's own details below the comparison."""
    parts = [
        _head(report),
        _comparison(report),
        *(f"{name}: not run: {why}" for name, why in report.unavailable.items()),
        _confusion(report.scores[ENCODER]),
        _kinds(report),
        _changes(report.scores[ENCODER]),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(report: Report) -> str:
    unseen = f"{len(report.runs)} runs that its training did not see"
    return f"bundle {report.bundle}, judged on {unseen}, {report.windows} windows of one label"


def _comparison(report: Report) -> str:
    rows = [["method", "macro-F1", "changes found", "false", "delay s (median, worst)"]]
    for name, score in report.scores.items():
        found = f"{score.changes.found} of {score.changes.onsets}"
        waits = ", ".join(
            f"{label} {delay['median']:g} {delay['worst']:g}"
            for label, delay in delays(score.changes.delays_seconds).items()
        )
        rows.append([name, f"{score.macro_f1:.3f}", found, str(len(score.changes.false)), waits])
    return _table(rows)


def _confusion(score: Score) -> str:
    labels = sorted({label for row in score.confusion.values() for label in row})
    rows = [["encoder: truth, then said", *labels]]
    rows += [
        [true, *(str(row.get(label, 0)) for label in labels)]
        for true, row in score.confusion.items()
    ]
    return _table(rows)


def _kinds(report: Report) -> str:
    names = list(report.scores)
    rows = [["recall by kind", *names]]
    for kind in report.scores[ENCODER].kind_recall:
        shares = [
            f"{report.scores[name].kind_recall.get(kind, float('nan')):.3f}" for name in names
        ]
        rows.append([kind, *shares])
    return _table(rows)


def _changes(score: Score) -> str:
    changes = score.changes
    lines = [f"encoder: {changes.watched_seconds / 3600:.2f} link-hours watched"]
    lines += [f"missed: {one.link} {one.label} at {one.at_ms}" for one in changes.missed]
    lines += [f"false:  {one.link} {one.label} at {one.at_ms}" for one in changes.false]
    return "\n".join(lines)


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
