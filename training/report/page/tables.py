"""The tables as HTML, folded away below the pictures that show them."""

from collections.abc import Sequence

from training.judging.study import ENCODER
from training.report.tables import Table, Tables

from .markup import EMPTY, Markup, tag

SHORT = Tables()
EXACT = Tables(digits=4, full=True)
LONG = 30  # signs from which on a cell is a text that is broken anywhere


def folded(table: Table | None, about: str = "") -> Markup:
    """Fold a table under its name and what it is *about*; nothing when there is no table."""
    if table is None:
        return EMPTY
    name = f"Table: {table.title}, {about}" if about else f"Table: {table.title}"
    return tag(
        "details", tag("summary", name), _cells(table, name), tag("p", table.note, class_="note")
    )


def shown(table: Table | None, about: str) -> Markup:
    """Show a table that no picture stands for."""
    if table is None:
        return EMPTY
    name = f"{about}: {table.title}"
    caption = tag("figcaption", name)
    return tag("figure", caption, _cells(table, name))


def _cells(table: Table, name: str) -> Markup:
    head = tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in table.head)))
    rows = [_row(table, row) for row in table.rows]
    return scrolled(tag("table", head, tag("tbody", *rows)), name)


def scrolled(wide: Markup, name: str) -> Markup:
    """Let something wide be moved sideways on a narrow screen, by keyboard too."""
    return tag("div", wide, class_="wide", role="region", aria_label=name, tabindex="0")


def _row(table: Table, row: Sequence[str]) -> Markup:
    first, *others = row
    is_encoder = any(
        head == "method" and cell == ENCODER for head, cell in zip(table.head, row, strict=True)
    )
    cells = (tag("td", cell, class_="long" if len(cell) > LONG else None) for cell in others)
    return tag(
        "tr", tag("th", first, scope="row"), *cells, class_="encoder" if is_encoder else None
    )
