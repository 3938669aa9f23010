"""Trial: how a candidate does in the shadow, beside the bundle in use."""

from .asking import J, of, or_never, rate, row
from .looks import BAD, CALM, GOOD, ODD, Json, fixed, named, says, thresholds
from .panels import ask, lines, stat

NO_CANDIDATE = says(minus1=("no candidate", CALM))
TRIED = f"anchorwatch_shadow_running{{{J}}} == 1"


def agreement() -> Json:
    """Say how often the candidate agrees."""
    agrees = f"min({of('anchorwatch_shadow_agreement')} and on (job, instance) {TRIED})"
    return stat(
        "Agreement",
        "Share of windows with which the candidate has the link in the same state as the live "
        "bundle. Below 0.98 the gate asks for a reason: look at what they judge differently.",
        "percentunit",
        ask(f"{agrees} or on () vector(-1)", "agreement"),
        decimals=1,
        mappings=NO_CANDIDATE,
        thresholds=thresholds((0, BAD), (0.9, ODD), (0.98, GOOD), base=CALM),
        noValue="NO DATA",
    )


def onsets() -> Json:
    """Draw who found which faults."""
    faults = f"sum by (side) ({of('anchorwatch_shadow_onsets_total')})"
    strange = f"sum by (side) ({of('anchorwatch_shadow_unknown_total')})"
    return lines(
        "Faults and unknowns, by who found them",
        "Since the trial began: by both, by the live bundle alone, by the candidate alone. What "
        "one alone finds is either what the other misses or a false alarm. 0 without a candidate.",
        "none",
        ask(faults, "faults: {{side}}"),
        ask(strange, "unknown: {{side}}"),
        min=0,
    )


def shadow_recall() -> Json:
    """Draw how many planted faults either finds."""
    each = of("anchorwatch_shadow_canary_recall")
    none = row(side="no", label="candidate")
    return lines(
        "Planted faults found",
        "Share of the faults planted in copies of live windows that the live bundle and the "
        "candidate find. A candidate below the live bundle is worse.",
        "percentunit",
        ask(or_never(f"min by (side, label) ({each})", each, none), "{{side}} {{label}}"),
        min=0,
        max=1,
    )


def shadow_delay() -> Json:
    """Draw how much later the candidate is."""
    return lines(
        "How much later the candidate is",
        "Median over faults that both found; below 0 the candidate is sooner. 0 without one.",
        "s",
        ask(f"max({of('anchorwatch_shadow_delay_seconds')})", "later"),
    )


def shadow_work() -> Json:
    """Draw what the trial costs."""
    return lines(
        "Work for the candidate",
        "Cores that the trial takes, and links that the candidate is shown. It stays below "
        "[shadow] time_share of a core; fewer links are shown where that is not enough.",
        "none",
        ask(f"sum({rate('anchorwatch_shadow_work_seconds_total')})", "cores"),
        ask(f"sum({of('anchorwatch_shadow_links')})", "links"),
        min=0,
        overrides=[named("links", {"id": "custom.axisPlacement", "value": "right"})],
    )


def shadow_left_out() -> Json:
    """Draw what the candidate did not judge."""
    return lines(
        "Windows that the candidate judged, and left out",
        "Each second. Skipped: there was no time; unusable: they lack a feature that it needs, "
        "and would be dead letters if it were in use.",
        "suffix: /s",
        ask(f"sum({rate('anchorwatch_shadow_windows_total')})", "judged"),
        ask(f"sum({rate('anchorwatch_shadow_skipped_total')})", "skipped"),
        ask(f"sum({rate('anchorwatch_shadow_unusable_total')})", "unusable"),
        min=0,
        overrides=[named("skipped", fixed(ODD)), named("unusable", fixed(BAD))],
    )
