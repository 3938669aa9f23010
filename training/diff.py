"""What `anchorwatch replay --diff` says of the differences, and how it comes to them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from detector.bundle import load

from .differences import Comparing, Difference, Differences, Tell, compare
from .faults import Fault

MEANS = {
    "renamed": "under another name",
    "gone": "by OLD alone",
    "new": "by NEW alone",
    "later": "noticed later by NEW",
    "sooner": "noticed sooner by NEW",
    "joined": "part of one that NEW has in one piece",
    "split": "part of one that OLD has in one piece",
}
HEADINGS = ("link", "since (UTC)", "OLD", "NEW", "delay", "truth", "learnt by")


def diff(
    old: Path, new: Path, captures: Sequence[Path], how: Comparing, tell: Tell, *, as_data: bool
) -> str:
    """Compare two bundles on captures or stores, and give what is to be printed.

    Raises:
        BundleError: if one of the bundles can't be used.
        CaptureError: if the captures can't be read.
    """
    found = compare(load(old), load(new), captures, how, tell)
    if as_data:
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    return as_text(found)


def as_text(found: Differences) -> str:
    """Write the differences for people: a table, then what it comes to."""
    lines = [f"OLD {found.old}, NEW {found.new}: {found.links} links, {_counts(found)}", ""]
    if found.differences:
        lines += [*_table([HEADINGS, *map(_row, found.differences)]), ""]
    else:
        lines.append("No fault is judged differently.")
    lines += [f"{count:>6} {MEANS[what]}" for what, count in found.totals.items()]
    lines.append(f"{found.same:>6} the same")
    if found.better or found.worse:
        lines.append(
            f"By what is known of the truth, {found.better} are better and {found.worse} worse."
        )
    if found.median_delay_ms:
        delay = _seconds(found.median_delay_ms)
        lines.append(f"Of what both give one name, NEW notices half {delay} or more later.")
    if any(one.learnt for one in found.differences):
        lines.append("What a bundle has learnt from it knows by heart: judge by the other runs.")
    return "\n".join(lines)


def _counts(found: Differences) -> str:
    windows = [f"{count:,}" for count in found.windows]
    many = windows[0] if len(set(windows)) == 1 else " and ".join(windows)
    return f"{many} windows; {found.faults[0]} faults by OLD, {found.faults[1]} by NEW"


def _row(one: Difference) -> tuple[str, ...]:
    first = min(fault.since_ms for fault in (one.old, one.new) if fault)
    when = datetime.fromtimestamp(first / 1000, UTC)
    delay = "" if one.delay_ms is None else _seconds(one.delay_ms)
    learnt = " and ".join(name.upper() for name in one.learnt)
    return (
        one.link,
        f"{when:%Y-%m-%d %H:%M:%S}",
        _said(one.old),
        _said(one.new),
        delay,
        one.truth,
        learnt,
    )


def _said(fault: Fault | None) -> str:
    if fault is None:
        return "-"
    return f"{fault.state} {(fault.until_ms - fault.since_ms) / 1000:.0f} s"


def _seconds(ms: float) -> str:
    return f"{ms / 1000:+.1f} s"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
