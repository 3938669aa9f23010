"""Charts with a row for each method: dots with intervals, and bars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from .markup import EMPTY, Markup, Value, join, tag
from .picture import WIDTH, breadth, colour, fit, line, mark, svg, text
from .scale import Scale

ROW = 36  # height
EDGE = 12  # kept free at the left and at the right
FOOT = 38  # for the numbers of the axis and what they are


@dataclass(frozen=True, slots=True)
class Row:
    """A method's number, what is written beside its name, and what is drawn around it."""

    name: str
    place: int  # among the methods; the encoder's is 0
    said: str
    value: float  # NaN: nothing is drawn
    span: tuple[float, float] | None = None  # a line behind the mark
    hollow: bool = False
    small: Sequence[float] = ()  # strokes: the numbers that the mark is the mean of
    end: float | None = None  # a second, open mark
    second: float | None = None  # a second bar
    stands_out: bool = False
    more: str = ""  # what is shown besides when somebody points at it


@dataclass(frozen=True, slots=True)
class Axis:
    """From where to where a chart goes, and what is written below it."""

    low: float
    high: float
    caption: str
    write: Callable[[float], str]
    line: float | None = None  # a number that is marked over the whole height

    @property
    def scale(self) -> Scale:
        """Give where the numbers stand in a chart."""
        return Scale(self.low, self.high, EDGE, WIDTH - EDGE)


Draw = Callable[[Row, Scale, float], Markup]


def dots(title: str, description: str, rows: Sequence[Row], axis: Axis) -> Markup:
    """Draw a mark with its interval for each row."""
    return _chart(title, description, rows, axis, _dot)


def bars(title: str, description: str, rows: Sequence[Row], axis: Axis) -> Markup:
    """Draw a bar for each row, and a narrow one below it where there is a second number."""
    return _chart(title, description, rows, axis, _bar)


def _chart(title: str, description: str, rows: Sequence[Row], axis: Axis, draw: Draw) -> Markup:
    bottom = len(rows) * ROW + 4
    parts = [_axis(axis, bottom)]
    for number, row in enumerate(rows):
        parts.append(_row(row, axis.scale, number * ROW, draw))
    return svg(title, description, WIDTH, bottom + FOOT, *parts)


def _axis(axis: Axis, bottom: float) -> Markup:
    scale = axis.scale
    parts: list[Value] = []
    for tick in scale.ticks():
        x = scale.at(tick)
        parts += [line(x, 0, x, bottom, "grid")]
        parts += [text(axis.write(tick), x, bottom + 14, "small", _anchor(x))]
    if axis.line is not None:
        x = scale.at(axis.line)
        parts.append(line(x, 0, x, bottom, "zero"))
    parts.append(text(axis.caption, WIDTH / 2, bottom + 31, "small", "middle"))
    return tag("g", *parts, class_="axis")


def _anchor(x: float) -> str:
    """Keep what is written at the ends of an axis inside the picture."""
    if x < 2 * EDGE:
        return "start"
    return "end" if x > WIDTH - 2 * EDGE else "middle"


def _row(row: Row, scale: Scale, top: float, draw: Draw) -> Markup:
    band = tag("rect", x=0, y=top + 1, width=WIDTH, height=ROW - 1, rx=4, class_="band")
    room = WIDTH - EDGE - 6 - breadth(row.said) - 8
    return tag(
        "g",
        tag("title", " ".join((f"{row.name}:", row.said, row.more)).rstrip()),
        band if row.stands_out else EMPTY,
        text(fit(row.name, room), 6, top + 14, "name"),
        text(row.said, WIDTH - 6, top + 14, "number", "end"),
        draw(row, scale, top + 26) if isfinite(row.value) else EMPTY,
        class_=f"row {colour(row.place)}" + (" encoder" if row.stands_out else ""),
    )


def _dot(row: Row, scale: Scale, y: float) -> Markup:
    x = scale.at(row.value)
    parts: list[Value] = []
    if row.span is not None and all(map(isfinite, row.span)):
        left, right = (scale.at(end) for end in row.span)
        parts.append(line(left, y, right, y, "interval"))
        parts += [line(end, y - 4, end, y + 4, "interval-end") for end in (left, right)]
    for one in filter(isfinite, row.small):
        parts.append(line(scale.at(one), y + 5, scale.at(one), y + 9, "seed"))
    if row.end is not None and isfinite(row.end):
        parts.append(line(x, y, scale.at(row.end), y, "reach"))
        parts.append(mark(row.place, scale.at(row.end), y, "end"))
    parts.append(mark(row.place, x, y, "dot hollow" if row.hollow else "dot"))
    return join(parts)


def _bar(row: Row, scale: Scale, y: float) -> Markup:
    left = scale.at(scale.low)
    parts = [_rect(left, y - 7, scale.at(row.value) - left, 7, "bar")]
    if row.second is not None and isfinite(row.second):
        parts.append(_rect(left, y + 2, scale.at(row.second) - left, 4, "second"))
    return join(parts)


def _rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    return tag("rect", x=x, y=y, width=width, height=height, class_=class_)
