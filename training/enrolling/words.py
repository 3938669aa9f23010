"""Words: a preview and the book of enrolments as people and programs read them."""

from collections.abc import Iterator, Sequence
from typing import Any

from detector.bundle import Bundle
from training.when import as_text

from .book import moment
from .preview import UNJUDGED_REACH, Preview, tallied
from .watching import Firing

SHOWN = 10  # firings, at most, beyond which they are only counted
VERDICTS = {
    "within": "within the budget",
    "unsure": "within the budget as far as can be told",
    "over": "OVER THE BUDGET",
    "unjudged": "nobody can tell, no traffic was captured as normal",
}


def preview_lines(found: Preview, others: Sequence[Preview]) -> Iterator[str]:
    """Say what an enrolment would have done, and at other reaches."""
    yield (
        f"{found.label}: {found.windows} windows would be anchors, reach {found.reach:g}; "
        f"judged on {found.hours:.1f} link-hours of {found.links} links"
    )
    if found.left_out:
        yield f"  {found.left_out} windows were left out, drawn by chance; --most judges more"
    yield _itself(found)
    yield ""
    yield from _firings(found)
    yield ""
    yield from _separations(found)
    yield ""
    yield from _false(found)
    yield from _unknowns(found)
    if len(others) > 1:
        yield ""
        yield from _reaches(found, others)


def as_plain(found: Preview, others: Sequence[Preview]) -> dict[str, Any]:
    """Give a preview as plain data, and what it comes to at other reaches."""
    return {
        "label": found.label,
        "reach": found.reach,
        "reaches": [
            {
                "reach": one.reach,
                "firings": len(one.firings),
                "false_alarms": len(one.false),
                "taken": round(one.taken_share, 4),
                "unknowns_named": len(one.named),
                "verdict": one.verdict,
            }
            for one in others
        ],
        "windows": found.windows,
        "link_hours": round(found.hours, 3),
        "links": found.links,
        "left_out": found.left_out,
        "finds_itself_ms": found.finds_itself_ms,
        "firings": [
            {
                "link": one.link,
                "at_ms": one.at_ms,
                "until_ms": one.until_ms,
                "instead_of": one.instead_of,
                "truth": one.truth,
            }
            for one in found.firings
        ],
        "separation": [
            {
                "label": one.label,
                "share": round(one.value, 4),
                "low": round(one.low, 4),
                "high": round(one.high, 4),
                "windows": one.windows,
                "lost": one.lost,
                "groups": one.groups,
            }
            for one in found.separations
        ],
        "false_alarms": {
            "counted": len(found.false),
            "link_hours_normal": round(found.normal_hours, 3),
            "a_link_week": round(found.rate_a_week, 3),
            "at_most": round(found.most_a_week, 3) if found.normal_hours else None,
            "budget": found.budget_a_week,
            "verdict": found.verdict,
        },
        "unknowns_named": [one.id for one in found.named],
        "unknowns": found.unnamed,
    }


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lay out enrolments as `book.listed` gives them."""
    heads = ("id", "label", "kind", "link", "recorded", "enrolled", "by", "status", "expires")
    cells = [heads, *(_cells(row) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(heads))]
    for row in cells:
        yield "  ".join(
            text.ljust(width) for text, width in zip(row, widths, strict=True)
        ).rstrip()


def trained(bundle: Bundle) -> list[dict[str, Any]]:
    """Give a bundle's own anchors as enrolments are given."""
    return [
        {
            "id": None,
            "label": anchor.label,
            "kind": anchor.kind,
            "link": anchor.link,
            "start_ms": anchor.start_ms,
            "windows": 1,
            "enrolled_ms": None,
            "who": f"bundle {bundle.id}",
            "status": "trained",
            "expires_ms": None,
        }
        for anchor in bundle.manifest.anchors
    ]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    enrolled, expires = row["enrolled_ms"], row["expires_ms"]
    return (
        row["id"] or "-",
        row["label"],
        row["kind"] or "-",
        row["link"],
        moment(row["start_ms"]),
        "-" if enrolled is None else moment(enrolled),
        row["who"],
        row["status"],
        "-" if expires is None else moment(expires),
    )


def _itself(found: Preview) -> str:
    if found.finds_itself_ms is None:
        return (
            "  the incident itself would not have been found: too short, or like something known"
        )
    return (
        f"  the incident itself would have been found after {found.finds_itself_ms / 1000:.0f} s"
    )


def _firings(found: Preview) -> Iterator[str]:
    links = len({one.link for one in found.firings})
    if not found.firings:
        yield "elsewhere it would not have fired"
        return
    instead = ", ".join(f"{state} {count}" for state, count in tallied(found.firings).items())
    yield f"elsewhere it would have fired {len(found.firings)} times on {links} links"
    yield f"  where the state was: {instead}"
    for one in found.firings[:SHOWN]:
        yield _firing(one)
    if len(found.firings) > SHOWN:
        yield f"  and {len(found.firings) - SHOWN} more; --json has all"


def _firing(one: Firing) -> str:
    seconds = (one.until_ms - one.at_ms) / 1000
    truth = f", named {one.truth}" if one.truth else ""
    state = one.instead_of or "not known yet"
    return f"  {as_text(one.at_ms)}  {one.link}  for {seconds:.0f} s  (was {state}{truth})"


def _separations(found: Preview) -> Iterator[str]:
    yield "windows that would stay what they are called, share (95 % over links or runs)"
    for one in found.separations:
        name = "none" if one.lost == 0 else str(one.lost)
        yield (
            f"  {one.label:<20} {one.value:.3f} ({one.low:.3f}-{one.high:.3f})  "
            f"{name} of {one.windows} lost, {one.groups} links or runs"
        )
    if not found.separations:
        yield "  nothing was captured of any other label"


def _false(found: Preview) -> Iterator[str]:
    budget = f"budget {found.budget_a_week:g} a link-week"
    if found.verdict == "unjudged":
        yield f"false alarms: {VERDICTS[found.verdict]}; {budget}"
        return
    yield (
        f"false alarms: {len(found.false)} in {found.normal_hours:.1f} link-hours of normal "
        f"traffic, {found.rate_a_week:.2g} a link-week (at most {found.most_a_week:.2g}, 95 %); "
        f"{budget}: {VERDICTS[found.verdict]}"
    )


def _reaches(found: Preview, others: Sequence[Preview]) -> Iterator[str]:
    is_judged = found.verdict != "unjudged"
    unless = "" if is_judged else f", and without normal traffic {UNJUDGED_REACH:g} at most"
    yield f"how far it reaches, chosen as far as the budget and other faults allow{unless}"
    yield "  reach  fires  false alarms  of other faults  unknowns named"
    for one in others:
        mark = "  <- this" if one is found else ""
        yield (
            f"  {one.reach:<5g}  {len(one.firings):>5}  {len(one.false):>12}  "
            f"{one.taken_share:>15.3f}  {len(one.named):>14}{mark}"
        )
    yield f"  of other faults: share of {found.faulty} windows whose fault is known"


def _unknowns(found: Preview) -> Iterator[str]:
    if not found.unnamed:
        return
    yield f"unknowns that would have had a name: {len(found.named)} of {found.unnamed}"
    for one in found.named[:SHOWN]:
        yield f"  {one.id}  {as_text(one.since_ms)}  {one.link}"
