"""What the commands print: versions, history, checks, and what daemons report of a candidate."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from detector.history import SWITCHES, History
from detector.shadow.report import ShadowReport
from training.report.numbers import printable

from .checks import Judgement, listed
from .listing import Listed, Listing

WEEK_SECONDS = 7 * 24 * 3600
NOTHING = "-"


def versions_text(found: Listing) -> str:
    """Write the versions one below the other."""
    lines = [line for one in found.versions for line in _version(one)]
    if not lines:
        return "no version; add one with --add BUNDLE"
    if found.current is None:
        lines.append("no version is current")
    if found.unreadable:
        lines.append(torn(found.unreadable))
    return "\n".join(lines)


def history_text(history: History) -> str:
    """Write what was done, a line each, and below it the checks that failed."""
    lines = []
    for entry in history.entries:
        was = f", was {entry.was}" if entry.was and entry.action in SWITCHES else ""
        why = f": {entry.why}" if entry.why else ""
        did = f"{entry.action} {entry.bundle}{was}, {entry.who}{why}"
        lines.append(f"{_when(entry.at_ms)}  {printable(did)}")
        lines += [f"    {printable(check)}" for check in entry.failed]
    if history.unreadable:
        lines.append(torn(history.unreadable))
    return "\n".join(lines) or "nothing was done yet"


def torn(lines: int) -> str:
    """Say that the history has lines which can't be read."""
    return f"{lines} line(s) of the history can't be read; a tool was killed while it wrote"


def checks_text(judgement: Judgement) -> str:
    """Write all checks as a table."""
    rows = [
        ("ok" if check.passed else "FAILED", check.part, check.name, check.says)
        for check in judgement.checks
    ]
    return "\n".join(_laid_out(rows))


def shadow_text(report: ShadowReport, daemons: int) -> str:
    """Write what came of a candidate beside the current version."""
    parts = [_watched(report, daemons), _states(report), _events(report)]
    if report.canaries:
        parts.append(_canaries(report))
    return "\n\n".join("\n".join(part) for part in parts)


def _version(one: Listed) -> Iterator[str]:
    marks = [name for name in ("current", "shadow", "previous") if getattr(one, name)]
    by = f" by {one.added_by}" if one.added_by else ""
    yield f"{one.id}  {', '.join(marks) or NOTHING}, added {_when(one.added_ms)}{by}"
    if one.failure:
        yield f"    can't be used: {one.failure}"
        return
    yield f"    labels   {listed(one.labels)}"
    yield f"    scores   {listed([f'{name} {score:g}' for name, score in one.scores.items()])}"
    start = f"the weights of {one.parent}" if one.start == "parent" else "scratch"
    after = f", after {one.parent}" if one.parent and one.start == "scratch" else ""
    yield f"    lineage  from {start}{after}; learnt from {listed(one.captures)}"
    yield f"    size     {one.bytes / 1e6:.2f} MB"


def _watched(report: ShadowReport, daemons: int) -> list[str]:
    shown, delay = report.windows + report.skipped + report.unusable, report.median_delay_ms
    later = "no fault was found by both" if delay is None else f"median {delay / 1000:+.1f} s"
    left_out = _share(report.skipped, shown), _share(report.unusable, shown)
    rows = [
        ("watched", f"{report.link_seconds / 3600:.2f} link-hours, {report.windows} windows"),
        ("left out", "{} for want of time, {} for want of a feature".format(*left_out)),
        ("agreement", f"{_share(report.agreed, report.windows)} of them have the same state"),
        ("delay", f"{later} to the same faults"),
    ]
    when = f"{_when(report.since_ms)} to {_when(report.until_ms)}"
    title = f"{report.candidate} beside {report.live}: {daemons} daemon(s), {when}"
    return [title, *_laid_out(rows)]


def _states(report: ShadowReport) -> list[str]:
    columns = sorted({state for row in report.states.values() for state in row})
    rows = [
        (live, *(str(report.states[live].get(state, 0)) for state in columns))
        for live in sorted(report.states)
    ]
    head = ("current \\ candidate", *columns)
    return ["WINDOWS BY THE STATE OF THEIR LINK", *_laid_out([head, *rows])]


def _events(report: ShadowReport) -> list[str]:
    weeks = report.link_seconds / WEEK_SECONDS
    head = ("", "current", "candidate", "both", "current a link-week", "candidate a link-week")
    rows = [
        (
            name,
            *map(str, (one.live, one.shadow, one.both)),
            *(f"{count / weeks:.1f}" if weeks else NOTHING for count in (one.live, one.shadow)),
        )
        for name, one in [*sorted(report.onsets.items()), ("unknown", report.unknown)]
    ]
    return ["FAULTS THAT BEGAN", *_laid_out([head, *rows])]


def _canaries(report: ShadowReport) -> list[str]:
    rows = [
        (
            label,
            f"{_share(pair.live_found, pair.live_judged)} of {pair.live_judged}",
            f"{_share(pair.shadow_found, pair.shadow_judged)} of {pair.shadow_judged}",
        )
        for label, pair in sorted(report.canaries.items())
    ]
    return ["PLANTED FAULTS FOUND", *_laid_out([("", "current", "candidate"), *rows])]


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else NOTHING


def _when(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _laid_out(rows: Iterable[Sequence[str]]) -> list[str]:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
