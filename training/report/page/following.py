"""The section of how the state of links follows changes."""

from training.judging.study import ENCODER, Study, Validation
from training.report.numbers import delayed_labels, places, plain

from .layout import beside, drawn, methods, section
from .markup import Markup
from .rows import Axis, Row, dots
from .scale import around
from .tables import EXACT, SHORT, folded, shown


def changes(study: Study) -> Markup:
    """Draw how long after a change the state follows."""
    parts = [shown(SHORT.changes(validation), validation.name) for validation in study.validations]
    waits = [
        delay.worst
        for each in study.validations
        for one in each.methods.values()
        for delay in one.changes.delays.values()
    ]
    axis = Axis(*around(waits, always=[0]), "seconds after the change", plain)
    for validation in study.validations:
        figures = [
            (f"{validation.name}: to {label}", _delays(study, validation, label, axis))
            for label in delayed_labels(validation)
        ]
        parts.append(beside(figures))
    parts += [folded(EXACT.changes(each), each.name) for each in study.validations]
    parts += [folded(EXACT.delays(each), each.name) for each in study.validations]
    meaning = (
        "How the steady state of a link, not the single window, follows whole runs. A change is "
        "found when the state becomes its label before the next change; false changes wake "
        "somebody for nothing, so they are counted as one link would cause them in a day. "
        "Below, the seconds from a change to the state: the filled mark is the median of those "
        "that were found, the open mark the worst."
    )
    return section("changes", "How changes are followed", meaning, *parts)


def _delays(study: Study, validation: Validation, label: str, axis: Axis) -> Markup:
    rows = []
    for name, one in methods(validation):
        delay = one.changes.delays.get(label)
        if delay is not None:
            written = f"{plain(delay.median)} s, worst {plain(delay.worst)} s"
            row = Row(
                name,
                places(study)[name],
                written,
                delay.median,
                end=delay.worst,
                stands_out=name == ENCODER,
            )
            rows.append(row)
    return drawn(dots, f"Delay of changes to {label}, {validation.name}", rows, axis)
