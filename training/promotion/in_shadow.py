"""In the shadow: the checks on what daemons reported of a candidate on their live traffic."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from detector.shadow.report import CanaryPair, ReportError, ShadowReport, decode, pooled

from .checks import Check, is_more, listed
from .tolerances import Tolerances

WEEK_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Reports:
    """What is known of a candidate beside a live bundle."""

    pooled: ShadowReport | None  # None: no daemon has reported of these two
    daemons: int = 0  # whose reports they are
    others: int = 0  # reports of it beside another bundle, left aside
    unreadable: tuple[str, ...] = ()  # what is wrong with those that can't be read


def gather(candidate: str, live: str, reports: Iterable[bytes]) -> Reports:
    """Add up the reports of exactly these two."""
    mine, others, unreadable = [], 0, []
    for data in reports:
        try:
            report = decode(data)
        except ReportError as error:
            unreadable.append(str(error))
            continue
        if (report.candidate, report.live) == (candidate, live):
            mine.append(report)
        else:
            others += 1
    total = pooled(mine) if mine else None
    return Reports(total, len(mine), others, tuple(unreadable))


def shadow_checks(
    reports: Reports, allowed: Tolerances, budget_a_week: float | None
) -> list[Check]:
    """Hold a candidate to the tolerances on live traffic; no *budget* is one of none."""
    report = reports.pooled
    if report is None:
        aside = f"; {reports.others} are of it beside another bundle" if reports.others else ""
        damaged = f"; {len(reports.unreadable)} can't be read" if reports.unreadable else ""
        return [_check("reports", False, f"no daemon reports of these two{aside}{damaged}")]
    budget = budget_a_week or 0.0
    return [
        *_watched(report, reports.daemons, allowed),
        *_agreed(report, allowed),
        *_alarms(report, allowed, budget),
        *_canaries(report.canaries, allowed),
    ]


def _check(name: str, passed: bool, says: str, **numbers: float | None) -> Check:
    known = {key: float(value) for key, value in numbers.items() if value is not None}
    return Check(part="live", name=name, passed=passed, says=says, numbers=known)


def _watched(report: ShadowReport, daemons: int, allowed: Tolerances) -> Iterator[Check]:
    """Check that enough was seen."""
    yield _check(
        "failures",
        not report.failures,
        f"it failed {report.failures} time(s), and was tried no more",
        failures=report.failures,
    )
    hours = report.link_seconds / 3600
    yield _check(
        "time",
        hours >= allowed.least_hours,
        f"{hours:.2f} link-hours by {daemons} daemon(s); at least {allowed.least_hours:g}",
        hours=hours,
        windows=report.windows,
    )
    shown = report.windows + report.unusable + report.skipped
    for name, left_out, most in (
        ("skipped", report.skipped, allowed.skipped),
        ("unusable", report.unusable, allowed.unusable),
    ):
        share = left_out / shown if shown else 0.0
        what = "for want of time" if name == "skipped" else "for want of a feature"
        says = f"{share:.1%} of the windows, {what}; at most {most:.1%}"
        yield _check(name, share <= most, says, **{name: share})


def _agreed(report: ShadowReport, allowed: Tolerances) -> Iterator[Check]:
    """Check that it says what the live bundle says, and when that does."""
    agreement, onsets, delay_ms = report.agreement, report.all_onsets, report.median_delay_ms
    yield _check(
        "agreement",
        agreement is not None and agreement >= allowed.agreement,
        "no window was judged by both"
        if agreement is None
        else f"{agreement:.1%} of {report.windows} windows have the same state; at least "
        f"{allowed.agreement:.1%}",
        agreement=agreement,
    )
    share = onsets.missed / onsets.live if onsets.live else 0.0
    yield _check(
        "faults missed",
        not is_more(onsets.missed, 0, 1 / max(onsets.live, 1), allowed.missed, allowed.by_chance),
        f"{onsets.missed} of the {onsets.live} that the current one finds ({share:.1%}); at most "
        f"{allowed.missed:.1%}, or what is chance",
        missed=onsets.missed,
        live_onsets=onsets.live,
    )
    delay = None if delay_ms is None else delay_ms / 1000
    found = "no fault was found by both" if delay is None else f"median {delay:+.1f} s"
    yield _check(
        "delay",
        delay is None or delay <= allowed.delay_seconds,
        f"{found} to the same faults; at most {allowed.delay_seconds:+g} s",
        delay_seconds=delay,
    )


def _alarms(report: ShadowReport, allowed: Tolerances, budget: float) -> Iterator[Check]:
    """Check that it does not call out more often."""
    weeks = report.link_seconds / WEEK_SECONDS
    a_week = 1 / weeks if weeks else 0.0
    onsets, unknown = report.all_onsets, report.unknown
    yield _check(
        "faults",
        not is_more(onsets.shadow, onsets.live, a_week, allowed.added_a_week, allowed.by_chance),
        f"{onsets.shadow} ({onsets.shadow * a_week:.1f} a link-week), the current one finds "
        f"{onsets.live} ({onsets.live * a_week:.1f}); at most {allowed.added_a_week:g} a "
        "link-week more, or what is chance",
        onsets=onsets.shadow,
    )
    bearable = max(float(unknown.live), budget * weeks)
    yield _check(
        "unknowns",
        not is_more(unknown.shadow, bearable, a_week, allowed.unknown_a_week, allowed.by_chance),
        f"{unknown.shadow} ({unknown.shadow * a_week:.1f} a link-week), the current one has "
        f"{unknown.live} ({unknown.live * a_week:.1f}) and the budget is {budget:g}; at most "
        f"{allowed.unknown_a_week:g} a link-week more, or what is chance",
        unknown=unknown.shadow,
        live_unknown=unknown.live,
    )


def _canaries(pairs: dict[str, CanaryPair], allowed: Tolerances) -> Iterator[Check]:
    """Check that it finds the faults that are planted in copies of live windows."""
    least = allowed.least_canaries
    live = sorted(label for label, pair in pairs.items() if pair.live_judged >= least)
    if not live:
        says = f"the current one has no label with {least} judged, so nothing is asked for"
        yield _check("canaries", True, says)
    for label in live:
        pair = pairs[label]
        new, old = pair.shadow_recall, pair.live_recall or 0.0
        is_enough = pair.shadow_judged >= least
        yield _check(
            f"canaries of {label}",
            is_enough and new is not None and new >= old - allowed.canaries,
            f"{pair.shadow_found} of {pair.shadow_judged}, the current one finds "
            f"{pair.live_found} of {pair.live_judged}; at most {allowed.canaries:g} less, of at "
            f"least {least}",
            **{f"canary_recall_{label}": new, f"live_canary_recall_{label}": old},
        )


def left_aside(reports: Reports) -> str:
    """Say which reports don't count, and why; "" where all do."""
    said = []
    if reports.others:
        said.append(f"{reports.others} of it beside another bundle")
    said += [f"one that can't be read ({why})" for why in reports.unreadable]
    return f"reports left aside: {listed(said)}" if said else ""
