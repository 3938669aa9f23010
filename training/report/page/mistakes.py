"""The sections of what is taken for what, and of which kinds are recognised."""

from training.judging.study import ENCODER, Judged, Study, Validation
from training.report.numbers import kinds, ordered, percent, said, share

from .heat import Cell, heat_map
from .layout import section, wide
from .markup import EMPTY, Markup, tag
from .tables import EXACT, folded


def confusion(study: Study) -> Markup:
    """Draw what the encoder takes for what."""
    parts = []
    for validation in study.validations:
        encoder = validation.methods.get(ENCODER)
        if encoder and encoder.confusion:
            title = f"What the encoder takes for what, {validation.name}"
            rows = [(true, _counted(true, encoder)) for true in encoder.confusion]
            what = "A line for each true label, a column for what the encoder said."
            drawn = heat_map(title, what, said(encoder.confusion), rows, ramp="cold", wide=57)
            parts.append(wide(validation.name, title, drawn))
    meaning = (
        "Lines: the true label. Columns: what the encoder said. In each cell the share of the "
        "line and below it the windows; the stronger the shade, the greater the share."
    )
    tables = [folded(EXACT.confusion(each), each.name) for each in study.validations]
    grid = tag("div", *parts, class_="beside") if parts else EMPTY
    return section("confusion", "What is taken for what", meaning, grid, *tables)


def _counted(true: str, encoder: Judged) -> list[Cell]:
    row = encoder.confusion[true]
    windows = sum(row.values())
    cells = []
    for label in said(encoder.confusion):
        count = row.get(label, 0)
        of_row = count / windows if windows else float("nan")
        meaning = f"{count} of {windows} windows of {true} were called {label}"
        cells.append(Cell((percent(of_row), str(count)), of_row, meaning))
    return cells


def recall(study: Study) -> Markup:
    """Draw which kinds are recognised by which method."""
    parts = []
    for validation in study.validations:
        names, listed = ordered(validation.methods), kinds(validation)
        if listed:
            title = f"Recall of each kind, {validation.name}"
            rows = [
                (kind, [_recalled(validation, kind, name) for name in names]) for kind in listed
            ]
            what = "A line for each kind, the encoder's worst first; a column for each method."
            drawn = heat_map(title, what, names, rows, ramp="warm", first_stands_out=True)
            parts.append(wide(validation.name, title, drawn))
            parts.append(folded(EXACT.kinds(validation), validation.name))
    meaning = (
        "Share of the windows of each kind that got the kind's label; those first that the "
        "encoder recognises the least. The stronger the shade, the more is missed."
    )
    return section("kinds", "Recall by kind", meaning, *parts)


def _recalled(validation: Validation, kind: str, name: str) -> Cell:
    value = validation.methods[name].kinds.get(kind, float("nan"))
    return Cell((share(value),), 1 - value, f"{name} recognises {percent(value)} of {kind}")
