"""The section of what was found, in sentences and a few large numbers."""

from training.judging.study import ENCODER, Judged, Study
from training.report.numbers import each_day, percent, share

from .layout import section
from .markup import EMPTY, Markup, tag
from .summary import enrolment_sentences, sentences


def findings(study: Study) -> Markup:
    """Say what was found, in sentences."""
    boxes = []
    for number, validation in enumerate(study.validations):
        lines = sentences(validation)
        if lines:
            tiles = _tiles(validation.methods[ENCODER]) if number == 0 else EMPTY
            boxes.append(_box(f"{validation.name}: {validation.meaning}", tiles, lines))
    lines = enrolment_sentences(study)
    if lines:
        boxes.append(_box("Labels learnt from a few windows", EMPTY, lines))
    meaning = (
        "All numbers are of runs that the training had not seen. In brackets: the interval into "
        "which 95 of 100 resamplings of the runs (for labels learnt from a few windows, draws of "
        "the windows) fall. The encoder is said to be above or below another method only where "
        "the interval of the difference leaves out 0."
    )
    return section("summary", "What was found", meaning, *boxes)


def _box(heading: str, tiles: Markup, lines: list[str]) -> Markup:
    listed = tag("ul", *(tag("li", sentence) for sentence in lines))
    return tag("div", tag("h3", heading), tiles, listed, class_="found")


def _tiles(encoder: Judged) -> Markup:
    changes = encoder.changes
    facts = {"macro-F1 of the encoder, from 0 to 1": share(encoder.macro_f1.mean)}
    facts["of the windows named rightly, mean over the labels"] = percent(encoder.balanced.mean)
    if changes.onsets:
        facts["changes of state found"] = f"{changes.found} of {changes.onsets}"
    if changes.normal_hours > 0:
        a_day = each_day(changes.false_in_normal, changes.normal_hours)
        facts["false changes a link-day in normal runs"] = f"{a_day:.1f}"
    tiles = [tag("div", tag("dt", what), tag("dd", number)) for what, number in facts.items()]
    return tag("dl", *tiles, class_="tiles")
