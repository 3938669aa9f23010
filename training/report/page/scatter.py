"""The chart of enrolments: what is recognised against what is taken for it by mistake."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from .markup import Markup, Value, tag
from .picture import WIDTH, colour, fit, line, mark, svg, text
from .scale import Scale

LEFT, RIGHT, TOP, BOTTOM = 38, WIDTH - 14, 26, 226
KEY = 19  # height of a line of the key


@dataclass(frozen=True, slots=True)
class Point:
    """Two numbers with their intervals, and what is written at the mark."""

    x: float
    y: float
    across: tuple[float, float]
    upright: tuple[float, float]
    written: str


@dataclass(frozen=True, slots=True)
class Course:
    """The points of one method, in the order in which a line joins them."""

    name: str
    place: int
    points: Sequence[Point]


def scatter(
    title: str,
    description: str,
    courses: Sequence[Course],
    most: float,
    ceilings: Sequence[tuple[float, str]],
    captions: tuple[str, str],
) -> Markup:
    """Draw courses over 0 to *most* and 0 to 1, with *ceilings* across; names are below."""
    across, upright = Scale(0, most, LEFT, RIGHT), Scale(0, 1, BOTTOM, TOP)
    parts: list[Value] = [_grid(across, upright, captions)]
    for height, words in ceilings:
        y = upright.at(height)
        parts.append(line(LEFT, y, RIGHT, y, "ceiling"))
        parts.append(text(words, RIGHT, y - 5, "ceiling-name", "end"))
    parts += [_course(course, across, upright) for course in courses]
    below = BOTTOM + 40
    for number, course in enumerate(courses):
        parts.append(_key(course, below + 14 + number * KEY))
    return svg(title, description, WIDTH, below + len(courses) * KEY + 8, *parts)


def _grid(across: Scale, upright: Scale, captions: tuple[str, str]) -> Markup:
    parts: list[Value] = []
    for tick in across.ticks():
        x = across.at(tick)
        parts += [line(x, TOP, x, BOTTOM, "grid")]
        parts += [text(f"{100 * tick:g} %", x, BOTTOM + 15, "small", "middle")]
    for tick in upright.ticks():
        y = upright.at(tick)
        parts += [line(LEFT, y, RIGHT, y, "grid")]
        parts += [text(f"{100 * tick:g} %", LEFT - 5, y + 4, "small", "end")]
    parts.append(text(captions[0], (LEFT + RIGHT) / 2, BOTTOM + 32, "small", "middle"))
    parts.append(text(captions[1], 2, 11, "small"))
    return tag("g", *parts, class_="axis")


def _course(course: Course, across: Scale, upright: Scale) -> Markup:
    drawn = [one for one in course.points if isfinite(one.x) and isfinite(one.y)]
    at = [(across.at(one.x), upright.at(one.y)) for one in drawn]
    parts: list[Value] = []
    if len(at) > 1:
        way = " ".join(f"{x:.2f},{y:.2f}" for x, y in at)
        parts.append(tag("polyline", points=way, class_="course"))
    for one, (x, y) in zip(drawn, at, strict=True):
        if all(map(isfinite, one.across)):
            parts.append(line(*(across.at(one.across[0]), y, across.at(one.across[1]), y), "thin"))
        if all(map(isfinite, one.upright)):
            low, high = (upright.at(end) for end in one.upright)
            parts.append(line(x, low, x, high, "thin"))
        words = tag("title", f"{course.name}, {one.written}: {one.y:.3f} against {one.x:.3f}")
        parts.append(tag("g", words, mark(course.place, x, y)))
        parts.append(text(one.written, x + 8, y - 6, "small strong"))
    return tag("g", *parts, class_=f"course {colour(course.place)}")


def _key(course: Course, y: float) -> Markup:
    return tag(
        "g",
        mark(course.place, LEFT, y - 4, "key"),
        text(fit(course.name, WIDTH - LEFT - 20), LEFT + 12, y, "name"),
        class_=colour(course.place) + (" encoder" if course.place == 0 else ""),
    )
