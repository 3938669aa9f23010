"""A study as a text that people read in a terminal."""

import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from unicodedata import east_asian_width

from training.judging.study import Study, Validation

from .numbers import changed_settings, plain, printable
from .tables import Table, Tables, sources

WIDTH = 120  # columns that a table is fitted into, where it can be
LEAST = 8  # columns that a cell keeps whatever the width
GAP = "  "


def as_text(study: Study) -> str:
    """Lay out a study as tables, each with a line on what its numbers mean."""
    parts = [_head(study)]
    for validation in study.validations:
        parts.append(_about(validation))
        parts += [_lay_out(table) for table in Tables().of_validation(validation)]
    parts += [_lay_out(table) for table in Tables().of_study(study)]
    parts += [_lay_out(table) for table in (sources(study.captures),) if table]
    return "\n\n".join(parts)


def _head(study: Study) -> str:
    seeds = ", ".join(map(str, study.seeds))
    windows = f"windows of {study.steps} rows of {study.step_ms} ms"
    lines = [f"bundle {printable(study.bundle)}"] if study.bundle else []
    # A bundle was trained before: only a recipe is timed.
    training = f"; {plain(study.seconds)} s for one training of the encoder"
    lines += [f"{windows}; seeds {seeds}{training if study.seconds else ''}"]
    lines += [
        f"setting {printable(name)} = {printable(value)} (default {default})"
        for name, (value, default) in changed_settings(study).items()
    ]
    return "\n".join(lines)


def _about(validation: Validation) -> str:
    name = f"validation {printable(validation.name)}"
    lines = textwrap.wrap(f"{name}: {printable(validation.meaning)}", WIDTH)
    folds = ", ".join(map(printable, validation.folds))
    of = f"{validation.runs} runs, {validation.windows} windows of one label; folds: {folds}"
    return "\n".join([*lines, "=" * min(WIDTH, len(name)), *textwrap.wrap(of, WIDTH)])


def _lay_out(table: Table) -> str:
    """Fit a table into the width by wrapping its widest columns."""
    rows = [[printable(cell) for cell in row] for row in (table.head, *table.rows)]
    widths = _widths(rows)
    head, *body = (_row(row, widths) for row in rows)
    rule = "-" * min(WIDTH, sum(widths) + len(GAP) * (len(widths) - 1))
    note = textwrap.wrap(table.note, WIDTH, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(
        [table.title.upper(), *head, rule, *(line for row in body for line in row), *note]
    )


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Give each column what its cells need, its head by words; then take from the widest."""
    head, *body = rows
    widths = [
        max(
            *(_columns(word) for word in textwrap.wrap(name, 1, break_long_words=False) or [""]),
            *(_columns(row[place]) for row in body),
        )
        for place, name in enumerate(head)
    ]
    room = WIDTH - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > LEAST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    columns = [_wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    return [
        GAP.join(
            line + " " * (width - _columns(line))
            for line, width in zip(lines, widths, strict=True)
        ).rstrip()
        for lines in zip_longest(*columns, fillvalue="")
    ]


def _wrapped(cell: str, width: int) -> list[str]:
    """Break a cell at its words; one of wide signs at half as many, so that it fits."""
    wide = _columns(cell) > len(cell)
    return textwrap.wrap(cell, max(1, width // 2) if wide else width) or [""]


def _columns(text: str) -> int:
    """Give how many columns of a terminal a text takes; Chinese and the like take two a sign."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)
