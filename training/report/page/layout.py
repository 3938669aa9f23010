"""How a section is put together, whatever it shows."""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite

from training.judging.study import Estimate, Judged, Validation
from training.report.numbers import interval, known, ordered, share, signed

from .markup import EMPTY, Markup, tag
from .rows import Axis, Row
from .tables import scrolled

Chart = Callable[[str, str, Sequence[Row], Axis], Markup]


def section(name: str, heading: str, meaning: str, *parts: Markup) -> Markup:
    """Make a section; nothing when it has no parts."""
    if not any(parts):
        return EMPTY
    head = tag("h2", heading)
    return tag("section", head, tag("p", meaning, class_="soft"), *parts, id=name)


def beside(figures: Iterable[tuple[str, Markup]]) -> Markup:
    """Put pictures with their captions beside each other, as many as there is room for."""
    drawn = [tag("figure", tag("figcaption", caption), svg) for caption, svg in figures if svg]
    return tag("div", *drawn, class_="beside") if drawn else EMPTY


def drawn(chart: Chart, title: str, rows: list[Row], axis: Axis) -> Markup:
    """Draw a chart when some row has a number; its description says the numbers."""
    if not any(isfinite(row.value) for row in rows):
        return EMPTY
    return chart(
        title,
        "; ".join(" ".join((row.name, row.said, row.more)).rstrip() for row in rows),
        rows,
        axis,
    )


def wide(caption: str, title: str, drawn: Markup) -> Markup:
    """Show a picture that is moved sideways where the screen is narrow."""
    return tag("figure", tag("figcaption", caption), scrolled(drawn, title))


def methods(validation: Validation) -> list[tuple[str, Judged]]:
    """Give each method with its name, the encoder first."""
    return [(name, validation.methods[name]) for name in ordered(validation.methods)]


def tick(value: float) -> str:
    """Write a share at an axis."""
    return share(value, 2) if 0 < value < 1 else f"{value:g}"


def signed_tick(value: float) -> str:
    """Write a difference at an axis."""
    return signed(value, 2) if value else "0"


def within(estimate: Estimate) -> str:
    """Write a number and its interval where there is little room."""
    ends = interval(estimate).replace(" to ", "\u2013" if known(estimate.low) >= 0 else " to ")
    return f"{share(estimate.mean)} ({ends})"
