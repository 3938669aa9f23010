"""What a study says, in sentences made from its numbers; the bad news as well as the good."""

from collections.abc import Callable, Iterable
from math import isfinite

from training.judging.study import ENCODER, Enrolment, Estimate, Judged, Study, Validation
from training.report.numbers import (
    NOTHING,
    each_day,
    interval,
    kinds,
    known,
    percent,
    plain,
    rate,
    share,
    signed,
    standing,
    with_interval,
)

WEAK = 0.9  # recall below which a kind is worth a word
WORST = 3  # kinds that are named


def sentences(validation: Validation) -> list[str]:
    """Say how the encoder did; nothing where it was not judged."""
    encoder = validation.methods.get(ENCODER)
    if encoder is None:
        return []
    made = (
        _naming(encoder),
        _leads(validation),
        _changes(encoder),
        _quieter(validation, encoder),
        _weak(validation, encoder),
    )
    return [sentence for sentence in made if sentence]


def _naming(encoder: Judged) -> str:
    if not isfinite(known(encoder.macro_f1.mean)):
        return ""
    said = (
        f"On runs that it has not seen, the encoder's macro-F1 is {share(encoder.macro_f1.mean)}"
    )
    if interval(encoder.macro_f1) != NOTHING:
        said += f" ({interval(encoder.macro_f1)})"
    if isfinite(known(encoder.balanced.mean)):
        named = percent(encoder.balanced.mean)
        said += f"; it names {named} of the windows rightly, in the mean over the labels"
    return said + "."


def _leads(validation: Validation) -> str:
    """Say whom the encoder is below, level with and above, in this order."""
    leads = {name: one.lead for name, one in validation.methods.items() if one.lead is not None}
    parts = [
        _those("below", leads, lambda lead: f"by {share(-known(lead.mean))} ({_turned(lead)})"),
        _those("level with", leads, lambda lead: f"({signed(lead.mean)}, {interval(lead)})"),
        _those("above", leads, lambda lead: f"by {with_interval(lead)}"),
    ]
    found = [part for part in parts if part]
    return f"It is {'; '.join(found)}." if found else ""


def _turned(lead: Estimate) -> str:
    return f"{share(-known(lead.high))} to {share(-known(lead.low))}"


def _those(where: str, leads: dict[str, Estimate], write: Callable[[Estimate], str]) -> str:
    chosen = {name: one for name, one in leads.items() if standing(one) == where.split()[0]}
    ranked = sorted(chosen.items(), key=lambda item: (-abs(known(item[1].mean)), item[0]))
    if where == "level with":
        ranked.reverse()
    names = _listed(f"{name} {write(one)}" for name, one in ranked)
    return f"{where} {names}" if names else ""


def _listed(parts: Iterable[str]) -> str:
    """Put parts into a row.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    *firsts, last = [*parts] or [""]
    return f"{', '.join(firsts)} and {last}" if firsts else last


def _changes(encoder: Judged) -> str:
    changes = encoder.changes
    if not changes.onsets:
        return ""
    share_found = percent(changes.found / changes.onsets)
    said = f"It finds {changes.found} of {changes.onsets} changes of state ({share_found})"
    waits = [f"{plain(one.median)} s to {label}" for label, one in sorted(changes.delays.items())]
    if waits:
        said += f", with a median delay of {_listed(waits)}"
    if changes.hours > 0:
        said += f"; it makes {rate(changes.false, changes.hours)} false changes a link-day"
        if changes.normal_hours > 0:
            normal = rate(changes.false_in_normal, changes.normal_hours)
            said += f", {normal} in runs that are normal throughout"
    return said + "."


def _quieter(validation: Validation, encoder: Judged) -> str:
    """Name the methods that cry wolf less often."""
    own = _wolf(encoder)
    fewer = {name: _wolf(one) for name, one in validation.methods.items() if _wolf(one) < own}
    if not fewer:
        return ""
    ranked = sorted(fewer.items(), key=lambda item: (item[1], item[0]))
    names = _listed(f"{name} ({a_day:.1f} a link-day)" for name, a_day in ranked)
    return f"Fewer false changes in normal runs than the encoder: {names}."


def _wolf(judged: Judged) -> float:
    return each_day(judged.changes.false_in_normal, judged.changes.normal_hours)


def _weak(validation: Validation, encoder: Judged) -> str:
    weak = [
        f"{kind} ({percent(encoder.kinds[kind])})"
        for kind in kinds(validation)
        if encoder.kinds.get(kind, 1.0) < WEAK
    ]
    if not weak:
        return ""
    more = f"; {len(weak)} kinds are below {percent(WEAK)}" if len(weak) > WORST else ""
    return f"It recognises these kinds the least: {_listed(weak[:WORST])}{more}."


def enrolment_sentences(study: Study) -> list[str]:
    """Say what the encoder makes of a label that it was shown in a few windows."""
    best: dict[str, Enrolment] = {}
    for one in study.enrolments:
        if one.method != ENCODER or not isfinite(known(one.recall.mean)):
            continue
        if one.unseen not in best or one.references > best[one.unseen].references:
            best[one.unseen] = one
    return [_enrolment(one) for one in best.values()]


def _enrolment(one: Enrolment) -> str:
    windows = "window" if one.references == 1 else "windows"
    said = (
        f"Shown {one.references} {windows} of {one.unseen}, which it never learnt, the encoder "
        f"recognises {percent(one.recall.mean)} of its windows in other runs"
    )
    if isfinite(known(one.ceiling)):
        said += f" (a classifier that learnt it: {percent(one.ceiling)})"
    return (
        f"{said}; it takes {percent(one.captured.mean)} of the windows of other faults "
        f"and {percent(one.captured_normal.mean)} of the normal ones for it."
    )
