"""HTML from names and numbers, escaped here and nowhere else."""

from collections.abc import Iterable
from html import escape
from math import isfinite

from training.report.numbers import printable

Value = str | int | float


class Markup(str):
    """Text that is HTML already; any other text is escaped before it gets onto the page."""

    __slots__ = ()


EMPTY = Markup("")
_ALONE = {"meta"}  # elements without an end


def tag(name: str, /, *children: Value, **attributes: Value | None) -> Markup:
    """Make an element; an attribute that is None is left out, `class_` is written `class`.

    >>> tag("p", "a < b", tag("b", 1.50), class_='"x"')
    '<p class="&quot;x&quot;">a &lt; b<b>1.5</b></p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _ALONE:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[Value]) -> Markup:
    """Put parts behind each other."""
    return Markup(
        "".join(part if isinstance(part, Markup) else _escaped(_plain(part)) for part in children)
    )


def _plain(value: Value) -> str:
    """Write a value; of a number two places, which is less than a pixel."""
    if isinstance(value, str):
        return str(value)
    if not isfinite(value):
        raise ValueError(f"{value} can't be drawn")
    written = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written


def _escaped(text: str) -> str:
    return escape(printable(text), quote=True)
