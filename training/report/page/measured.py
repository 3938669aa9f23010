"""The section of how it was measured."""

from training.judging.study import Study
from training.report.numbers import NOTHING, changed_settings, plain
from training.report.tables import sources

from .layout import section
from .markup import Markup, join, tag
from .tables import folded


def measured(study: Study) -> Markup:
    """Say from what, with which settings, seeds and folds the numbers were made."""
    facts: list[tuple[str, Markup | str]] = [
        ("captures", _captures(study)),
        ("bundle", study.bundle or "none; the recipe was judged, not one bundle of it"),
        ("settings", _settings(study)),
        ("windows", f"{study.steps} rows of {study.step_ms} ms"),
        ("seeds", ", ".join(map(str, study.seeds)) or NOTHING),
    ]
    if study.seconds:  # a bundle was trained before: only a recipe is timed
        facts.append(("training", f"{plain(study.seconds)} s for one encoder, in the mean"))
    for validation in study.validations:
        folds = ", ".join(validation.folds) or "none"
        judged = f"Judged on {validation.runs} runs, {validation.windows} windows of one label"
        facts.append((validation.name, f"{validation.meaning} {judged}. Folds: {folds}."))
    listed = [join((tag("dt", what), tag("dd", said))) for what, said in facts]
    meaning = "What it takes to get the same numbers again."
    parts = [tag("dl", *listed, class_="how"), folded(sources(study.captures))]
    return section("measured", "How it was measured", meaning, *parts)


def _captures(study: Study) -> Markup:
    lines = [
        tag("div", name, " ", tag("code", digest, class_="soft"))
        for name, digest in study.captures.items()
    ]
    return join(lines or [NOTHING])


def _settings(study: Study) -> Markup:
    if not study.settings:
        return join([NOTHING])
    changed = changed_settings(study)
    if not changed:
        return join(["all as they are by default"])
    return join(
        tag("div", tag("code", f"{name} = {value}"), tag("span", f" instead of {default}"))
        for name, (value, default) in changed.items()
    )
