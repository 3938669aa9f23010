"""Heat maps: a shade and a number in every cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

from .markup import EMPTY, Markup, Value, tag
from .picture import breadth, broken, fit, svg, text

SHADES = 7  # `q0` to `q6` of the style sheet
CELL = 84  # width, when there is no need to save
MOST = 168  # width for the names of the rows
LETTERS = 11.5  # height of the writing of the names


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell says, and how strong its shade is, from 0 to 1; NaN: not at all."""

    lines: Sequence[str]
    shade: float
    meaning: str  # what is shown when somebody points at it


def heat_map(
    title: str,
    description: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Cell]]],
    *,
    ramp: str,
    wide: float = CELL,
    first_stands_out: bool = False,
) -> Markup:
    """Draw rows of cells, each so *wide*, in the shades of a *ramp*: "cold" or "warm"."""
    names = [fit(name, MOST, LETTERS) for name, _ in rows]
    left = max((breadth(name, LETTERS) for name in names), default=0) + 12
    heads = [broken(name, wide - 2, LETTERS, 4) for name in columns]
    top = max(map(len, heads), default=0) * 13 + 8
    parts: list[Value] = []
    for number, (column, lines) in enumerate(zip(columns, heads, strict=True)):
        strong = " strong" if first_stands_out and number == 0 else ""
        x, y = left + (number + 0.5) * wide, top - 6 - 13 * (len(lines) - 1)
        words = [
            text(each, x, y + 13 * at, "head" + strong, "middle") for at, each in enumerate(lines)
        ]
        parts.append(tag("g", tag("title", column), *words))
    height = max((4 + 14 * len(cell.lines) for _, cells in rows for cell in cells), default=18)
    for number, ((name, cells), short) in enumerate(zip(rows, names, strict=True)):
        y = top + number * (height + 4)
        parts.append(text(short, left - 8, y + height / 2 + 4, "head", "end"))
        drawn = [
            _cell(cell, (left + at * wide, y, wide, height), ramp) for at, cell in enumerate(cells)
        ]
        parts.append(tag("g", tag("title", name), *drawn, class_="line"))
    width = left + len(columns) * wide + 4
    return svg(title, description, width, top + len(rows) * (height + 4) + 4, *parts)


def _cell(cell: Cell, place: tuple[float, float, float, float], ramp: str) -> Markup:
    x, y, width, height = place
    lines = [
        text(words, x + width / 2, y + 13 + 14 * at, "cell" if at == 0 else "cell less", "middle")
        for at, words in enumerate(cell.lines)
    ]
    shade = shade_of(cell.shade)
    return tag(
        "g",
        tag("title", cell.meaning) if cell.meaning else EMPTY,
        tag("rect", x=x + 1, y=y, width=width - 2, height=height, rx=2),
        *lines,
        class_="none" if shade is None else f"{ramp} q{shade}",
    )


def shade_of(share: float) -> int | None:
    """Give the shade for a share; it grows with the root, so that few are seen too.

    >>> [shade_of(share) for share in (0, 0.03, 0.3, 1, float("nan"))]
    [0, 1, 3, 6, None]
    """
    if not isfinite(share):
        return None
    return min(SHADES - 1, int(SHADES * sqrt(max(0.0, share))))
