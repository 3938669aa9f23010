"""How the numbers and names of a study are written, in the terminal and on the page alike."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from math import isfinite

from training.judging.study import ENCODER, Estimate, Judged, Number, Rejection, Study, Validation
from training.settings import Settings

NOTHING = "-"  # stands where there is no number
DAY_HOURS = 24


def printable(text: str) -> str:
    r"""Give a name on one line, with nothing in it that steers a terminal or turns the writing.

    >>> printable("two\nlines \x1b[31mred")
    'two\\x0alines \\x1b[31mred'
    """
    return "".join(sign if sign.isprintable() else _code(ord(sign)) for sign in text)


def _code(sign: int) -> str:
    return f"\\x{sign:02x}" if sign < 0x100 else f"\\u{sign:04x}"


def known(value: Number) -> float:
    """Give a number to reckon and to draw with: NaN where there is none."""
    return float("nan") if value is None else value


def share(value: Number, digits: int = 3) -> str:
    """Write a number between 0 and 1, or a difference of two.

    >>> share(0.9136), share(1), share(-0.0104), share(-0.0001), share(None)
    ('.914', '1.000', '-.010', '.000', '-')
    """
    if value is None or not isfinite(value):
        return NOTHING
    written = f"{value:.{digits}f}"
    if float(written) == 0:
        written = written.lstrip("-")
    return re.sub(r"^(-?)0\.", r"\1.", written)


def signed(value: Number, digits: int = 3) -> str:
    """Write a difference with its sign.

    >>> signed(0.021), signed(-0.5), signed(0)
    ('+.021', '-.500', '.000')
    """
    written = share(value, digits)
    return f"+{written}" if known(value) > 0 and float(written) else written


def interval(estimate: Estimate, digits: int = 3) -> str:
    """Write from where to where an estimate's interval goes."""
    if not (isfinite(known(estimate.low)) and isfinite(known(estimate.high))):
        return NOTHING
    return f"{share(estimate.low, digits)} to {share(estimate.high, digits)}"


def with_interval(estimate: Estimate) -> str:
    """Write a number and its interval."""
    return f"{share(estimate.mean)} ({interval(estimate)})"


def spread(estimate: Estimate, digits: int = 3) -> str:
    """Write the least and the greatest number that a seed gave."""
    found = [value for value in map(known, estimate.by_seed) if isfinite(value)]
    if not found:
        return NOTHING
    return f"{share(min(found), digits)} to {share(max(found), digits)}"


def percent(value: Number) -> str:
    """Write a share for a sentence.

    >>> percent(0.9708), percent(None)
    ('97.1 %', '-')
    """
    return NOTHING if value is None or not isfinite(value) else f"{100 * value:.1f} %"


def plain(value: float) -> str:
    """Write a number of seconds, hours or a day's events, three places at most.

    >>> plain(6.5), plain(41.0), plain(1234567.0), plain(float("nan"))
    ('6.5', '41', '1234567', '-')
    """
    if not isfinite(value):
        return NOTHING
    written = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written


def each_day(events: int, hours: float) -> float:
    """Give how many events there were a link-day; NaN when nothing was watched."""
    return events / hours * DAY_HOURS if hours > 0 else float("nan")


def rate(events: int, hours: float) -> str:
    """Write how many events there were a link-day."""
    a_day = each_day(events, hours)
    return f"{a_day:.1f}" if isfinite(a_day) else NOTHING


def standing(lead: Estimate | None) -> str:
    """Say where the encoder stands: level unless the interval of its lead excludes 0.

    >>> standing(Estimate(0.02, 0.01, 0.03)), standing(Estimate(-0.02, -0.05, 0.0))
    ('above', 'level')
    """
    if lead is None or interval(lead) == NOTHING:
        return NOTHING
    if known(lead.low) > 0:
        return "above"
    return "below" if known(lead.high) < 0 else "level"


def places(study: Study) -> dict[str, int]:
    """Give every method its place, the same everywhere: the encoder has 0, in whatever order."""
    judged = (name for validation in study.validations for name in validation.methods)
    enrolled = (one.method for one in study.enrolments)
    return {name: place for place, name in enumerate(dict.fromkeys((ENCODER, *judged, *enrolled)))}


def ordered(methods: Iterable[str]) -> list[str]:
    """Put the encoder first, and leave the others in their order.

    >>> ordered(["rule", "encoder", "regression"])
    ['encoder', 'rule', 'regression']
    """
    return sorted(methods, key=lambda name: name != ENCODER)


def kinds(validation: Validation) -> list[str]:
    """List the kinds, those first of which the encoder recognises the least."""
    of_encoder = _of_encoder(validation)
    names = dict.fromkeys(kind for one in validation.methods.values() for kind in one.kinds)
    return sorted(names, key=lambda kind: (_last_if_unknown(of_encoder.get(kind)), kind))


def _of_encoder(validation: Validation) -> Mapping[str, float]:
    encoder = validation.methods.get(ENCODER)
    return encoder.kinds if encoder else {}


def _last_if_unknown(value: float | None) -> float:
    return value if value is not None and isfinite(value) else float("inf")


def said(confusion: Mapping[str, Mapping[str, int]]) -> list[str]:
    """List what was said: the labels that are true of some window, then the others."""
    others = sorted({label for row in confusion.values() for label in row} - {*confusion})
    return [*confusion, *others]


def delayed_labels(validation: Validation) -> list[str]:
    """List the labels that the state of some link changed to."""
    return sorted({label for one in validation.methods.values() for label in one.changes.delays})


def rejections(validation: Validation) -> list[tuple[str, str, Rejection]]:
    """List what is unseen, the method and how it did, unseen by unseen."""
    found = [
        (one.unseen, name, one)
        for name in ordered(validation.methods)
        for one in validation.methods[name].rejections
    ]
    order = list(dict.fromkeys(unseen for unseen, _, _ in found))
    return sorted(found, key=lambda row: order.index(row[0]))


def has_leads(judged: Iterable[Judged]) -> bool:
    """Tell whether the encoder was compared with any of these."""
    return any(one.lead is not None for one in judged)


def changed_settings(study: Study) -> dict[str, tuple[str, str]]:
    """List the settings that aren't the default: what they are, and the default.

    A setting of several values is a text in a study, so only the values are compared.
    """
    defaults = {
        one.name: one.default_factory() if one.default_factory is not MISSING else one.default
        for one in fields(Settings)
    }
    return {
        name: (str(value) or NOTHING, _written(defaults.get(name, NOTHING)))
        for name, value in study.settings.items()
        if _values(value) != _values(defaults.get(name, ""))
    }


def _values(value: object) -> list[str]:
    """Give the single values of a setting, numbers written in one way."""
    found = re.split(r"[\s,()\[\]{}'\"]+", str(value))
    return [_number(one) for one in found if one]


def _number(text: str) -> str:
    try:
        return repr(float(text))
    except ValueError:
        return text.lower()


def _written(default: object) -> str:
    if isinstance(default, tuple | dict):
        return ", ".join(str(one) for one in default) or NOTHING
    return str(default) or NOTHING
