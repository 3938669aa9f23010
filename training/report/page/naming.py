"""The sections of how well windows are named, and how far the encoder is ahead."""

from training.judging.study import ENCODER, Study
from training.report.numbers import interval, known, places, signed, standing

from .layout import beside, drawn, methods, section, signed_tick, tick, within
from .markup import Markup
from .rows import Axis, Row, dots
from .scale import around
from .tables import EXACT, folded


def naming(study: Study) -> Markup:
    """Draw each method's macro-F1 with its interval."""
    judged = [one.macro_f1 for each in study.validations for one in each.methods.values()]
    ends = (number for one in judged for number in (one.mean, one.low, one.high))
    axis = Axis(*around(ends, always=[1]), "macro-F1", tick)
    figures = []
    for validation in study.validations:
        rows = [
            Row(
                name=name,
                place=places(study)[name],
                stands_out=name == ENCODER,
                said=within(one.macro_f1),
                value=known(one.macro_f1.mean),
                span=(known(one.macro_f1.low), known(one.macro_f1.high)),
                small=[*map(known, one.macro_f1.by_seed)],
            )
            for name, one in methods(validation)
        ]
        title = f"Macro-F1 of each method, {validation.name}"
        figures.append((validation.name, drawn(dots, title, rows, axis)))
    meaning = (
        "Macro-F1 is the mean over the labels of how well windows are named, from 0 to 1. "
        "The mark is the mean, the line its 95 % interval, "
        "the small strokes below it the single seeds."
    )
    tables = [folded(EXACT.windows(each), each.name) for each in study.validations]
    tables += [folded(EXACT.places(each), each.name) for each in study.validations]
    tables += [folded(EXACT.unavailable(each), each.name) for each in study.validations]
    return section("naming", "How well windows are named", meaning, beside(figures), *tables)


def leads(study: Study) -> Markup:
    """Draw how far the encoder is ahead of each method."""
    given = [one.lead for each in study.validations for one in each.methods.values() if one.lead]
    ends = (number for one in given for number in (one.mean, one.low, one.high))
    caption = "encoder worse  |  encoder better"
    axis = Axis(*around(ends, always=[0]), caption, signed_tick, line=0.0)
    figures = []
    for validation in study.validations:
        rows = [
            Row(
                name=name,
                place=places(study)[name],
                said=f"{signed(one.lead.mean)} {standing(one.lead)}",
                more=interval(one.lead),
                value=known(one.lead.mean),
                span=(known(one.lead.low), known(one.lead.high)),
                hollow=standing(one.lead) == "level",
                small=[*map(known, one.lead.by_seed)],
            )
            for name, one in methods(validation)
            if one.lead is not None
        ]
        title = f"The encoder's lead over each method, {validation.name}"
        figures.append((validation.name, drawn(dots, title, rows, axis)))
    meaning = (
        "The encoder's macro-F1 less that of the other method on the same runs. Right of the "
        "upright line the encoder is better. A filled mark: the interval leaves out 0, so the "
        "encoder is above or below. An open one: it holds 0, and they are level."
    )
    return section("leads", "The encoder against the others", meaning, beside(figures))
