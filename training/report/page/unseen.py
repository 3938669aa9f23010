"""The sections of labels that were not learnt: flagged as unknown, or shown in a few windows."""

from math import isfinite

from training.judging.study import ENCODER, Enrolment, Estimate, Study
from training.report.numbers import known, percent, places, rejections, share, with_interval

from .layout import beside, drawn, section, tick, within
from .markup import EMPTY, Markup
from .rows import Axis, Row, bars, dots
from .scale import around
from .scatter import Course, Point, scatter
from .tables import EXACT, folded


def rejected(study: Study) -> Markup:
    """Draw how windows of labels that nobody learnt stand out."""
    axis = Axis(0, 1, "AUROC (broad bar), flagged (narrow bar)", tick, line=0.5)
    figures, tables = [], []
    for validation in study.validations:
        found = rejections(validation)
        for unseen in dict.fromkeys(unseen for unseen, _, _ in found):
            rows = [
                Row(
                    name=name,
                    place=places(study)[name],
                    stands_out=name == ENCODER,
                    said=f"{share(one.auroc)}, flagged {percent(one.flagged)}",
                    value=known(one.auroc),
                    second=known(one.flagged),
                )
                for about, name, one in found
                if about == unseen
            ]
            title = f"How {unseen} stands out when it was not learnt, {validation.name}"
            figures.append((f"{validation.name}: {unseen}", drawn(bars, title, rows, axis)))
        tables.append(folded(EXACT.rejections(validation), validation.name))
    meaning = (
        "Whether windows of a label that was left out of training stand out as unknown. "
        "Broad bar: AUROC against all known windows, where the upright line at .5 is chance. "
        "Narrow bar: share of the unseen episodes that are flagged within the budget of false "
        "events."
    )
    charts = beside(figures)
    return section("unknown", "Labels that were never learnt", meaning, charts, *tables)


def references(study: Study) -> Markup:
    """Draw how much hangs on the choice of reference windows."""
    found = study.reference_spread
    ends = (number for one in found.values() for number in (one.mean, one.low, one.high))
    axis = Axis(*around(ends, always=[1]), "macro-F1 of the encoder", tick)
    rows = [
        Row(name, 0, within(one), known(one.mean), _ends(one), small=[*map(known, one.by_seed)])
        for name, one in found.items()
    ]
    chart = drawn(dots, "The encoder with other references, by validation", rows, axis)
    meaning = "The encoder's macro-F1 when other windows are its references."
    parts = [beside([("by validation", chart)]), folded(EXACT.reference_spread(study))]
    return section("references", "What the choice of references does", meaning, *parts)


def enrolled(study: Study) -> Markup:
    """Draw what a few reference windows of a label are worth."""
    found = study.enrolments
    reach = around((end for one in found for end in (one.captured.mean, one.captured.high)), [0])
    figures = [
        (unseen, _courses(study, unseen, min(1.0, reach[1])))
        for unseen in dict.fromkeys(one.unseen for one in found)
    ]
    meaning = (
        "Each method is shown a few windows of a label that its training did not have (their "
        "number stands at the mark). Upwards: how much of the label it then recognises in other "
        "runs. To the right: how much of other faults it takes for it by mistake, so high and "
        "left is good. Broken line: a classifier that learnt the label from all runs but one."
    )
    parts = [beside(figures), folded(EXACT.enrolments(study))]
    return section("enrolment", "Learning a label from a few windows", meaning, *parts)


def _courses(study: Study, unseen: str, most: float) -> Markup:
    about = [one for one in study.enrolments if one.unseen == unseen]
    drawable = [
        one
        for one in about
        if isfinite(known(one.recall.mean)) and isfinite(known(one.captured.mean))
    ]
    if not drawable:
        return EMPTY
    order = places(study)
    names = sorted({one.method for one in drawable}, key=lambda name: order[name])
    courses = [
        Course(name, order[name], [_point(one) for one in drawable if one.method == name])
        for name in names
    ]
    ceilings = sorted({known(one.ceiling) for one in about if isfinite(known(one.ceiling))})
    return scatter(
        f"Learning {unseen} from a few windows",
        "; ".join(
            f"{one.method} with {one.references}: recall {with_interval(one.recall)}, "
            f"captured {with_interval(one.captured)}"
            for one in drawable
        ),
        courses,
        most,
        [(height, f"ceiling {percent(height)}") for height in ceilings],
        ("other faults taken for it", "recognised"),
    )


def _point(one: Enrolment) -> Point:
    across, upright = one.captured, one.recall
    return Point(
        known(across.mean),
        known(upright.mean),
        _ends(across),
        _ends(upright),
        str(one.references),
    )


def _ends(estimate: Estimate) -> tuple[float, float]:
    return known(estimate.low), known(estimate.high)
