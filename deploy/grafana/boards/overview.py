"""The overview: what a wall shows. It must never look well because nobody is watching."""

from . import lists
from .asking import BY_STATE, WATCHING, J, of, rate
from .grid import EXPORTER, JOB, Row, dashboard, to
from .looks import (
    BAD,
    GOOD,
    ODD,
    Json,
    coloured_states,
    counted_states,
    from_on,
    says,
    thresholds,
)
from .panels import ask, ask_now, lines, stat


def make() -> Json:
    """Make the dashboard."""
    rows = [
        Row(
            4,
            [
                (6, watching()),
                (4, judged()),
                (4, down()),
                (4, alerting()),
                (3, lost()),
                (3, unlisted()),
            ],
        ),
        Row(6, [(24, links_by_state())]),
        Row(9, [(14, over_time()), (10, changes())]),
        Row(10, [(24, lists.worst())]),
        Row(8, [(14, lists.alerts()), (10, lists.exporters())]),
    ]
    return dashboard(
        "overview",
        "Anchorwatch: overview",
        "All links at a glance, and whether somebody is watching them. Made for a wall.",
        rows,
        variables=(JOB, EXPORTER),
        shows="3h",
        refresh="5s",
    )


def watching() -> Json:
    """Say whether anybody is watching at all."""
    return stat(
        "Detector",
        "Daemons that have links to judge, whose loop goes round and that hear of the broker, "
        "within the last minute. Red: what the rest of this page says is old. See the runbook "
        "on no progress.",
        "none",
        ask_now(f"count({WATCHING}) or vector(0)"),
        size=40,
        mappings=[*says(_0=("NOBODY IS WATCHING", BAD)), from_on(1, "watching", GOOD)],
        thresholds=thresholds((1, GOOD), base=BAD),
        noValue="NO DATA",
        links=[to("detector", "How the detector does")],
    )


def judged() -> Json:
    """Say how much is judged."""
    judged = rate("anchorwatch_windows_total")
    return stat(
        "Windows judged",
        "How many windows get a verdict each second. None at all: no exporter sends anything, or "
        "the daemons don't read it.",
        "suffix: /s",
        ask(f"sum({judged} and on (job, instance) {WATCHING}) or vector(0)", "windows"),
        graph=True,
        filled=False,
        decimals=1,
        thresholds=thresholds((0.001, GOOD), base=BAD),
        noValue="NO DATA",
        links=[to("detector", "How the detector does")],
    )


def down() -> Json:
    """Say how many daemons can't be scraped."""
    return stat(
        "Daemons down",
        "Daemons that Prometheus knows of and can't reach. The others take over their links "
        "within a minute; with none left nothing is judged.",
        "none",
        ask_now(f"sum(up{{{J}}} == bool 0) or vector(1)"),
        thresholds=thresholds((1, BAD), base="transparent"),
        noValue="NO DATA",
        links=[to("detector", "How the detector does")],
    )


def alerting() -> Json:
    """Count alerts."""
    firing = 'alertname=~"Anchorwatch.*",alertstate="firing",severity!="info"'
    return stat(
        "Active alerts",
        "Alerts of anchorwatch that fire and are worth somebody's time (critical or warning), of "
        "all jobs. Which they are is listed below.",
        "none",
        ask_now(f"count(ALERTS{{{firing}}}) or vector(0)"),
        thresholds=thresholds((1, ODD), base="transparent"),
        noValue="NO DATA",
    )


def lost() -> Json:
    """Count exporters of which nothing comes."""
    return stat(
        "Exporters lost",
        "Exporters of which nothing comes any more. Their links are not judged and keep the state "
        "that they had, so their green is worth nothing.",
        "none",
        ask_now(f"sum({of('anchorwatch_exporters', state='lost')})"),
        thresholds=thresholds((1, BAD), base="transparent"),
        noValue="NO DATA",
    )


def unlisted() -> Json:
    """Count links without a series."""
    return stat(
        "Links unlisted",
        "Links that are judged and counted, but of which no series is exported, as there are more "
        "than max_links. They are in no table here; events tell of them as of any other.",
        "none",
        ask_now(f"sum({of('anchorwatch_links_unlisted')})"),
        thresholds=thresholds((1, ODD), base="transparent"),
        noValue="NO DATA",
    )


def links_by_state() -> Json:
    """Count links in each state, large."""
    return stat(
        "Links by state",
        "How many links are in each state now, of daemons that are watching. Unsettled: heard of, "
        "but too little to say. NO DATA: nobody is watching.",
        "none",
        ask_now(BY_STATE, "{{state}}"),
        size=72,
        noValue="NO DATA",
        # Below none is nothing at all: red. A label of your own is orange.
        thresholds=thresholds((0, "transparent"), (1, ODD), base=BAD),
        overrides=counted_states(),
        links=[to("embedding", "Where they lie")],
    )


def over_time() -> Json:
    """Draw links in each state over time."""
    return lines(
        "States over time",
        "The same over time, on top of each other. A gap: nobody was watching. A step of the "
        "whole: links came, retired, or moved from a daemon that was lost.",
        "none",
        ask(BY_STATE, "{{state}}"),
        axis="links",
        stacked=True,
        decimals=0,
        overrides=coloured_states(),
    )


def changes() -> Json:
    """Draw how often faults begin and end."""

    def told(kind: str) -> str:
        return f"60 * sum by (state) ({rate('anchorwatch_events_total', type=kind)})"

    return lines(
        "Changes",
        "Links whose fault began (up) or ended (down), each minute. Many at once are one cause "
        "more often than many.",
        "suffix: /min",
        ask(told("onset"), "{{state}}"),
        ask(f"-{told('abated')}", "{{state}} ended"),
        axis="began above, ended below",
        bars=True,
        overrides=[*coloured_states(), *coloured_states(after=" ended")],
    )
