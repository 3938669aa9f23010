"""Words for a terminal: names, numbers and times, made to fit and safe to show.

What a daemon says holds names off the network, and what answers may not even be a daemon: all of
it is taken as text, never as markup, and what can't be printed never reaches the terminal.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from detector.state import NORMAL
from detector.status import UNSETTLED

BAD, ODD, GOOD, DIM = "bold red", "bold yellow", "green", "dim"
WIDE = 110  # columns that leave room for wider gaps
STYLES = {NORMAL: GOOD, UNSETTLED: DIM, "blocked": BAD}


class Part(NamedTuple):
    """A few words that stay together."""

    words: str
    style: str = ""


def style_of(state: str) -> str:
    """Give a state's colour; the state itself is always said in words."""
    return STYLES.get(state, ODD)


def plain(words: str) -> str:
    r"""Replace what can't be printed: control codes, bidirectional ones too, and line ends.

    >>> plain("a\nb\x1b[2J")
    'a b�[2J'
    """
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in words)


def text(words: str = "", style: str = "") -> Text:
    """Make a piece of a line that is taken as it is."""
    return Text(plain(words), style, no_wrap=True, overflow="ellipsis")


def fit(name: str, cells: int) -> str:
    """Bring a name to a width, of which a letter may take two cells.

    It is shortened in its middle, for names that are alike differ at either end.

    >>> fit("trunk-7", 9), fit("site-12/trunk-7", 9), fit("東京/trunk-7", 9)
    ('trunk-7  ', 'site…nk-7', '東京…nk-7')
    """
    name = plain(name)
    if cell_len(name) > cells:
        end = set_cell_size(name[::-1], cells // 2)[::-1]
        name = set_cell_size(name, max(0, cells - cells // 2 - 1)) + "…" + end
    return set_cell_size(name, cells)


def side_by_side(rows: Sequence[Sequence[Part]], most: Sequence[int], width: int) -> list[Text]:
    """Set rows in columns, each as wide as it must be but no wider than *most* cells.

    What is wider is cut in its middle; the last column is left as it is.
    """
    gap = text(gap_at(width))
    columns = zip(*rows, strict=True)
    longest = [max(cell_len(plain(part.words)) for part in column) for column in columns]
    sizes = [min(pair) for pair in zip(most, longest, strict=True)]
    lines = []
    for *firsts, last in rows:
        cells = zip(firsts, sizes[:-1], strict=True)
        padded = [text(fit(part.words, size), part.style) for part, size in cells]
        lines.append(gap.join([*padded, text(*last)]))
        lines[-1].rstrip()
    return lines


def gap_at(width: int) -> str:
    """Give what stands between two columns of a terminal so wide."""
    return "  " if width >= WIDE else " "


def count(number: int, noun: str) -> str:
    """Say how many.

    >>> count(1, "link"), count(1204, "link")
    ('1 link', '1,204 links')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def lasting(seconds: float) -> str:
    """Say how long.

    >>> lasting(0.42), lasting(599), lasting(600), lasting(35_000), lasting(36_000), lasting(9e5)
    ('0 s', '599 s', '10 min', '583 min', '10 h', '10 d')
    """
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 10 * size:
            return f"{seconds // size:,.0f} {unit}"
    return f"{max(0, int(seconds))} s"


def moment(at_ms: int, now_ms: int) -> str:
    """Say when something was, UTC: the time, and the day if that was another.

    >>> moment(1_700_000_000_000, 1_700_000_060_000), moment(1_700_000_000_000, 1_700_100_000_000)
    ('22:13:20', '11-14 22:13')
    """
    at, now = date(at_ms), date(now_ms)
    if at is None or now is None:
        return "?"
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%m-%d %H:%M}"


def date(at_ms: int) -> datetime | None:
    """Give the UTC date of a Unix time; None where no calendar has it."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def by_state(counts: Mapping[str, int]) -> list[Part]:
    """Give how many links are in each state: faults first, the most frequent before others."""
    calm = [state for state in (UNSETTLED, NORMAL) if counts.get(state)]
    faults = [state for state in counts if counts[state] and state not in calm]
    faults.sort(key=lambda state: (-counts[state], state))
    return [Part(f"{counts[state]:,} {state}", style_of(state)) for state in (*faults, *calm)]


def flow(
    parts: Sequence[Part], width: int, *, start: str = "", gap: str = ", ", most: int = 2
) -> list[Text]:
    """Set parts one after another, on *most* lines; those without room there are counted.

    >>> parts = [Part("3 blocked"), Part("2 silent"), Part("40 normal"), Part("1 unsettled")]
    >>> [line.plain for line in flow(parts[:3], 22, start="links: ")]
    ['links: 3 blocked,', '  2 silent, 40 normal']
    >>> [line.plain for line in flow(parts, 22, start="links: ")]
    ['links: 3 blocked,', '  2 silent, + 2 more']
    """
    lines: list[Text] = []
    left = parts
    while left and len(lines) < most:
        begin = "  " if lines else start
        line, after = _fill(left, width - len(gap.rstrip()), begin, gap)
        if after and len(lines) == most - 1:
            line, after = _fill(left, width - len(f"{gap}+ 99 more"), begin, gap)
            line.append(f"{gap}+ {len(after)} more")
        elif after:
            line.append(gap.rstrip())
        lines.append(line)
        left = after
    return lines


def _fill(parts: Sequence[Part], width: int, start: str, gap: str) -> tuple[Text, Sequence[Part]]:
    """Take as many parts as a line holds, one at least, and give the line and the others."""
    line = text(start)
    for place, part in enumerate(parts):
        more = text(gap if place else "") + text(*part)
        if place and line.cell_len + more.cell_len > width:
            return line, parts[place:]
        line.append_text(more)
    return line, []
