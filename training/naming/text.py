"""Episodes, acts and what was done, in words."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from training.when import as_text

if TYPE_CHECKING:
    from .acts import Naming
    from .groups import Group
    from .naming import Effect
    from .stored import Episode

GAP = "  "
FEW = 4  # names that are listed in a sentence
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
DONE = {"confirm": "confirmed", "reject": "rejected", "rename": "renamed"}


def counted(number: int, what: str) -> str:
    """Say how many there are.

    >>> counted(1, "row"), counted(3, "episode")
    ('1 row', '3 episodes')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """List a few names.

    >>> listed(["a", "b"]), listed(list("abcdefg"))
    ('a, b', 'a, b, c, d and 3 more')
    """
    more = len(names) - FEW
    return ", ".join(names[:FEW]) + (f" and {more} more" if more > 0 else "")


def lasted(ms: int) -> str:
    """Say how long something took.

    >>> lasted(45_000), lasted(125_000), lasted(3_660_000), lasted(200_000_000)
    ('45 s', '2 m 5 s', '1 h 1 m', '2 d 7 h')
    """
    seconds = ms // 1000
    for unit, size, next_unit, next_size in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if seconds >= size:
            rest = seconds % size // next_size
            return f"{seconds // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{seconds} s"


def said(act: "Naming | None", *, is_whole: bool) -> str:
    """Say how something was named."""
    if act is None:
        return ""
    what = f"{act.label} (renamed)" if act.what == "rename" else DONE[act.what]
    return f"{what} by {act.who}" + ("" if is_whole else ", in part")


def episodes_table(episodes: "Sequence[Episode]") -> str:
    """Show episodes for people; a plus says that nobody saw the end."""
    head = ("ID", "LINK", "STATE", "SINCE", "LASTED", "ROWS", "NAMED", "REASON")
    rows = [
        (
            one.id,
            one.link,
            one.state,
            as_text(one.since_ms - one.since_ms % 1000),
            lasted(max(0, one.until_ms - one.since_ms)) + (" +" if one.is_open else ""),
            str(one.rows),
            said(one.naming, is_whole=one.is_named),
            one.reason,
        )
        for one in episodes
    ]
    return table([head, *rows])


def acts_table(acts: "Sequence[Naming]") -> str:
    """Show acts for people."""
    head = ("AT", "WHO", "WHAT", "LINK", "FROM", "TO", "EPISODE", "WHY")
    rows = [
        (
            as_text(act.at_ms - act.at_ms % 1000),
            act.who,
            f"{act.what} {act.label}".strip(),
            act.link,
            as_text(act.from_ms),
            as_text(act.to_ms),
            act.episode,
            act.why,
        )
        for act in acts
    ]
    return table([head, *rows])


def outcome(what: str, done: "Effect") -> str:
    """Say what acts did."""
    parts = [counted(done.rows, "row")]
    if done.episodes:
        parts.append(f"of {counted(len(done.episodes), 'episode')}")
    parts.append(f"on {counted(len(done.links), 'link')} ({listed(done.links)})")
    labels = [
        f"{rows} {_are(rows)} {label or 'not to be learnt from'}"
        for label, rows in sorted(done.labels.items(), key=lambda item: -item[1])
    ]
    if done.left:
        labels[-1] += f"; {done.left} more {_are(done.left)} not to be learnt from"
    return f"{DONE[what]}: {' '.join(parts)}: {', '.join(labels)}"


def group_as_text(name: str, group: "Group", span_ms: int, places: Sequence[str] = ()) -> str:
    """Say what a group is, and how its most typical window can be enrolled.

    *places* are options of that command: where bundles and captures are.
    """
    often, links = _words(len(group.episodes), "times"), _words(len(group.links), "links")
    head = f"{name}: {often} on {links} ({listed(group.links)})"
    if group.regularity is not None:
        head += f", {group.regularity.text}"
        if group.regularity.occasions < group.regularity.of:
            head += f" ({group.regularity.occasions} of {group.regularity.of} occasions)"
    head += f"; last {as_text(max(one.since_ms for one in group.episodes) // 1000 * 1000)}"
    named = [f"{count} named {label}" for label, count in sorted(group.labels.items())]
    start_ms = group.typical.start_ms
    times = ("--from", as_text(start_ms), "--to", as_text(start_ms + span_ms))
    what = ("--label", "NAME", "--link", group.typical.episode.link, *times)
    command = f"  {shlex.join(['anchorwatch', 'enroll', *places, *what])}"
    return "\n".join([f"{head}; {', '.join(named)}" if named else head, command])


def group_as_data(name: str, group: "Group", span_ms: int) -> dict[str, Any]:
    """Give plain data of a group."""
    start_ms = group.typical.start_ms
    return {
        "name": name,
        "episodes": [one.id for one in group.episodes],
        "links": group.links,
        "onsets_ms": [one.since_ms for one in group.episodes],
        "regularity": group.regularity,
        "labels": group.labels,
        "named": group.is_named,
        "typical": {
            "episode": group.typical.episode.id,
            "link": group.typical.episode.link,
            "from_ms": start_ms,
            "to_ms": start_ms + span_ms,
        },
    }


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _words(number: int, what: str) -> str:
    if number == 1:
        return {"times": "once", "links": "one link"}[what]
    if (number, what) == (2, "times"):
        return "twice"
    return f"{NUMBERS[number] if number < len(NUMBERS) else number} {what}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows in columns, the last as long as it is."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        GAP.join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def _width(text: str) -> int:
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)
