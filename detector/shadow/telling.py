"""Telling: how a candidate does in the shadow, for people and for Prometheus."""

from collections.abc import Iterable

import msgspec

from detector.figures import Figure

from .report import CanaryPair, Onsets, ShadowReport

SIDES = ("live", "shadow", "both")


class ShadowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the candidate in the shadow does; "" and 0 where there is none."""

    candidate: str = ""
    live: str = ""
    failure: str = ""  # why it is no longer tried
    since_ms: int = 0  # Unix time
    links: int = 0  # watched now
    share: float = 0.0  # of the links, that is watched
    link_seconds: float = 0.0
    windows: int = 0
    skipped: int = 0
    unusable: int = 0
    agreement: float | None = None  # share of windows with the same state; None: no window yet
    onsets: Onsets = Onsets()
    unknown: Onsets = Onsets()
    delay_seconds: float | None = None  # median; None: there is no fault that both found
    canaries: dict[str, CanaryPair] = {}


NO_SHADOW = ShadowStatus()


def told(report: ShadowReport, links: int, share: float, failure: str) -> ShadowStatus:
    """Put a report into fewer words."""
    delay_ms = report.median_delay_ms
    return ShadowStatus(
        candidate=report.candidate,
        live=report.live,
        failure=failure,
        since_ms=report.since_ms,
        links=links,
        share=share,
        link_seconds=report.link_seconds,
        windows=report.windows,
        skipped=report.skipped,
        unusable=report.unusable,
        agreement=report.agreement,
        onsets=report.all_onsets,
        unknown=report.unknown,
        delay_seconds=None if delay_ms is None else delay_ms / 1000,
        canaries=report.canaries,
    )


def figures(status: ShadowStatus = NO_SHADOW, worked_seconds: float = 0.0) -> list[Figure]:
    """Give the figures; of a daemon without a candidate all are there too, and 0."""
    return [*_works(status, worked_seconds), *_found(status)]


def _works(status: ShadowStatus, worked_seconds: float) -> Iterable[Figure]:
    yield Figure(
        "shadow_running",
        "1 while a candidate is tried on the live traffic.",
        {(): float(bool(status.candidate) and not status.failure)},
    )
    yield Figure(
        "shadow_failed",
        "1 if the candidate can't be tried any longer, for it failed.",
        {(): float(bool(status.failure))},
    )
    yield Figure("shadow_links", "Links that the candidate is shown.", {(): float(status.links)})
    counted = (
        ("shadow_windows", "Windows that the candidate judged too.", status.windows),
        ("shadow_skipped", "Windows that the candidate had no time for.", status.skipped),
        (
            "shadow_unusable",
            "Windows that lack a feature which the candidate needs.",
            status.unusable,
        ),
        ("shadow_work_seconds", "Time that the candidate took, seconds.", worked_seconds),
    )
    for name, meaning, count in counted:
        yield Figure(name, meaning, {(): float(count)}, kind="counter")


def _found(status: ShadowStatus) -> Iterable[Figure]:
    yield Figure(
        "shadow_agreement",
        "Share of the windows with which the candidate's state of the link is the live one.",
        {(): status.agreement or 0.0},
    )
    for name, what, onsets in (
        ("shadow_onsets", "Faults that began", status.onsets),
        ("shadow_unknown", "Links that turned to unknown", status.unknown),
    ):
        yield Figure(
            name,
            f"{what}, by whether the live bundle or the candidate found them, or both the same.",
            {(side,): float(getattr(onsets, side)) for side in SIDES},
            ("side",),
            "counter",
        )
    yield Figure(
        "shadow_delay_seconds",
        "How much later the candidate found faults that both found, median, seconds.",
        {(): status.delay_seconds or 0.0},
    )
    yield Figure(
        "shadow_canary_recall",
        "Share of the planted faults that the live bundle and the candidate found.",
        {
            (side, label): recall
            for label, pair in status.canaries.items()
            for side, recall in (("live", pair.live_recall), ("shadow", pair.shadow_recall))
            if recall is not None
        },
        ("side", "label"),
    )
