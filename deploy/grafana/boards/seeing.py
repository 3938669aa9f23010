"""Seeing: does the detector still find faults, and does it call too much unknown."""

from .asking import of, rate
from .looks import BAD, CALM, GOOD, ODD, STATES, Json, fixed, named, override, thresholds
from .panels import ask, lines

SYMLOG = {"type": "symlog", "log": 10, "linearThreshold": 1}
BLIND = 0.7  # as in the alert AnchorwatchCanaryBlind


def recall() -> Json:
    """Draw whether planted faults are found."""
    return lines(
        "Canary recall",
        "Share of the last 20 faults planted in copies of live windows that were found, of the "
        "daemon that finds the fewest. Below the line the detector is blind to that fault: real "
        "ones are missed too.",
        "percentunit",
        ask(f"min by (label) ({of('anchorwatch_canary_recall')})", "{{label}}"),
        min=0,
        max=1,
        limit=True,
        thresholds=thresholds((BLIND, GOOD), base=BAD),
        overrides=[override(f"^{state}$", fixed(colour)) for state, colour in STATES.items()],
    )


def canary_delay() -> Json:
    """Draw how soon planted faults are found."""
    return lines(
        "Canary delay",
        "Median time until planted faults were found, in the time of the traffic. As long as real "
        "faults go unnoticed at least.",
        "s",
        ask(f"max by (label) ({of('anchorwatch_canary_delay_seconds')})", "{{label}}"),
        min=0,
        overrides=[override(f"^{state}$", fixed(colour)) for state, colour in STATES.items()],
    )


def canaries() -> Json:
    """Draw what became of planted faults."""
    return lines(
        "Canaries",
        "Planted faults that came to an end, each minute, by what became of them: found, given "
        "another name, missed, or void because the link itself changed. None for long: the "
        "detector no longer tests itself.",
        "suffix: /min",
        ask(f"60 * sum by (outcome) ({rate('anchorwatch_canaries_total')})", "{{outcome}}"),
        bars=True,
        min=0,
        overrides=[
            named("found", fixed(GOOD)),
            named("renamed", fixed(ODD)),
            named("missed", fixed(BAD)),
            named("void", fixed(CALM)),
        ],
    )


def unknown() -> Json:
    """Draw how often links are called unknown, and how often they may be."""
    measured = f"max by (bound) ({of('anchorwatch_unknown_per_link_week')})"
    return lines(
        "Unknown, for each week of a link",
        "How often a link was called unknown, with the interval in which the rate lies, and how "
        "often it may be. Low above the budget: something new is there, or the bundle does not "
        "fit the traffic.",
        "none",
        ask(measured, "{{bound}}"),
        ask(f"max({of('anchorwatch_unknown_budget_per_link_week')})", "budget"),
        min=0,
        overrides=[
            # Of the first hours little is known: high is a thousand times the budget.
            override(".", {"id": "custom.scaleDistribution", "value": SYMLOG}),
            named("rate", fixed(STATES["unknown"])),
            override("^(low|high)$", fixed(CALM)),
            named("budget", fixed(BAD), {"id": "custom.lineStyle", "value": {"fill": "dash"}}),
        ],
    )


def opinions() -> Json:
    """Draw how often the second opinion agrees."""
    yes = f"sum({rate('anchorwatch_second_opinions_total', agrees='yes')})"
    every = f"sum({rate('anchorwatch_second_opinions_total')})"
    return lines(
        "Second opinions that agree",
        "Share of windows of which another method on the same embedding says the same; 1 where a "
        "bundle has none. A fall that lasts is traffic near the border between labels.",
        "percentunit",
        ask(f"({yes} / ({every} > 0)) or on () vector(1)", "agree"),
        min=0,
        max=1,
    )


def noticed() -> Json:
    """Draw what came and went."""
    return lines(
        "Noticed",
        "Links that appeared, fell silent or retired, and exporters that were lost or came back, "
        "each minute; and links that flap now.",
        "none",
        ask(f"60 * sum by (what) ({rate('anchorwatch_noticed_total')})", "{{what}} a minute"),
        ask(f"sum({of('anchorwatch_links_flapping')})", "flapping now"),
        min=0,
    )
