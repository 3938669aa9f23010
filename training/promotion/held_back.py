"""Held back: the checks on runs that neither bundle has learnt from."""

from collections.abc import Iterator
from math import isnan

from .checks import Check, is_more, listed
from .tolerances import Tolerances
from .unseen import HeldBack

DAY_HOURS = 24


def held_back_checks(found: HeldBack, allowed: Tolerances) -> list[Check]:
    """Hold a candidate to the tolerances on unseen runs."""
    return [*_named(found, allowed), *_followed(found, allowed)]


def _check(name: str, passed: bool, says: str, **numbers: float | None) -> Check:
    known = {key: float(value) for key, value in numbers.items() if value is not None}
    return Check(part="held back", name=name, passed=passed, says=says, numbers=known)


def _named(found: HeldBack, allowed: Tolerances) -> Iterator[Check]:
    """Check how windows are named."""
    yield _check(
        "runs",
        found.runs >= allowed.least_runs and len(found.labels) > 1,
        f"{found.runs} that neither bundle has seen, of {listed(found.labels)}; "
        f"at least {allowed.least_runs}, of two labels",
        runs=found.runs,
    )
    lead, low = found.lead, found.lead_low
    both = f"{found.candidate.macro_f1:.3f}, the current one has {found.live.macro_f1:.3f}"
    yield _check(
        "macro-F1",
        lead >= -allowed.f1,
        f"{both}; {lead:+.3f}, at least {-allowed.f1:+.3f}",
        macro_f1=found.candidate.macro_f1,
        live_macro_f1=found.live.macro_f1,
        macro_f1_lead=lead,
    )
    interval = "unknown, of one run" if isnan(low) else f"{low:+.3f} to {found.lead_high:+.3f}"
    yield _check(
        "macro-F1 with other runs",
        low >= -allowed.f1_doubt,  # not so if it is NaN
        f"{interval} (95 %); at least {-allowed.f1_doubt:+.3f}",
        macro_f1_lead_low=None if isnan(low) else low,
        macro_f1_lead_high=None if isnan(low) else found.lead_high,
    )


def _followed(found: HeldBack, allowed: Tolerances) -> Iterator[Check]:
    """Check how states follow the truth."""
    new, old = found.candidate, found.live
    lost = (old.found - new.found) / found.onsets if found.onsets else 0.0
    yield _check(
        "changes found",
        lost <= allowed.found,
        f"{new.found} of {found.onsets}, the current one finds {old.found}; "
        f"at most {allowed.found:g} of them less",
        found=new.found,
        live_found=old.found,
        onsets=found.onsets,
    )
    later = _later(new.delay_seconds, old.delay_seconds)
    yield _check(
        "delay",
        later is None or later <= allowed.delay_seconds,
        f"median {_seconds(new.delay_seconds)}, the current one's is "
        f"{_seconds(old.delay_seconds)}; at most {allowed.delay_seconds:g} s more",
        delay_seconds=new.delay_seconds,
        live_delay_seconds=old.delay_seconds,
    )
    a_day = DAY_HOURS / found.hours if found.hours else 0.0
    yield _check(
        "false changes",
        not is_more(new.false, old.false, a_day, allowed.false_a_day, allowed.by_chance),
        f"{new.false} in {found.hours:.1f} link-hours ({new.false * a_day:.1f} a link-day), the "
        f"current one has {old.false} ({old.false * a_day:.1f}); at most {allowed.false_a_day:g} "
        "a link-day more, or what is chance",
        false=new.false,
        live_false=old.false,
        hours=found.hours,
    )


def _later(new: float | None, old: float | None) -> float | None:
    return None if new is None or old is None else new - old


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} s"
