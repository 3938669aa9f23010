"""Lists: links in a fault, alerts that fire, exporters that are lost; and columns of lists."""

from .asking import WATCHING, J, of, or_none
from .grid import to
from .looks import CALM, SEVERITIES, STATES, Json, named, override, says, words
from .panels import table

FAULTS = f'anchorwatch_link_state{{{J},source=~"$source",state!~"normal|unsettled"}}'
ONSETS = of("anchorwatch_event_timestamp_seconds", 'source=~"$source"', 'type="onset"', 'link!=""')
SECONDS = "dateTimeFromNow"
SINCE: list[Json] = [{"id": "unit", "value": SECONDS}, {"id": "custom.width", "value": 150}]
NEVER = {"id": "mappings", "value": says(_0=("—", CALM))}


def worst() -> Json:
    """List links that are in a fault, newest first."""
    newest = (
        f"(topk by (link, source, state) (1, last_over_time({ONSETS}[1d]))"
        f" and on (link, source, state) {FAULTS})"
    )
    told = (
        f"max by (link, source, state, reason) ({newest} or on (link, source, state) 0 * {FAULTS})"
    )
    columns = {"link": "link", "source": "exporter", "state": "state"}
    columns |= {"Value": "since", "reason": "reason"}
    milliseconds = f"1000 * topk(100, {told})"
    return table(
        "The worst links",
        "Links in a fault, the newest first, 100 at most; each leads to all that is known of it. "
        "Since and reason are of events of the last day: a dash where there was none, for the "
        "fault is older or was told of a whole group.",
        or_none(milliseconds, "link", "no link is in a fault", while_=WATCHING),
        columns,
        sort="since",
        noValue="NO DATA",
        overrides=[
            named("since", *SINCE, NEVER),
            named(
                "link",
                {"id": "custom.width", "value": 320},
                {"id": "links", "value": [one_link()]},
            ),
            named("exporter", {"id": "custom.width", "value": 160}),
            state_column(),
        ],
    )


def one_link() -> Json:
    """Lead from a row to its link."""
    return to(
        "link",
        "This link in depth",
        link="${__data.fields.link:percentencode}",
        source="$__all",
    )


def state_column() -> Json:
    """Colour the column of states."""
    return named(
        "state",
        {"id": "custom.width", "value": 150},
        {"id": "mappings", "value": words(STATES)},
        {"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}},
    )


def alerts() -> Json:
    """List alerts that fire."""
    firing = (
        'topk(100, 1000 * (ALERTS_FOR_STATE{alertname=~"Anchorwatch.*"}'
        ' and ignoring (alertstate) ALERTS{alertname=~"Anchorwatch.*",alertstate="firing"}))'
    )
    none = or_none(firing, "alertname", "no alert", while_="job_state:anchorwatch_links:count")
    loud = or_none(none, "alertname", "THE RULES ARE NOT LOADED, or have nothing to go by")
    columns = {"alertname": "alert", "severity": "severity", "Value": "since", "link": "link"}
    columns |= {"source": "exporter", "instance": "daemon"}
    return table(
        "Alerts that fire",
        "What to do about each is in docs/runbooks.md, under its name. The rules are those of "
        "deploy/prometheus; it is said here if Prometheus has not loaded them.",
        loud,
        columns,
        sort="since",
        noValue="NO DATA",
        overrides=[
            named("since", *SINCE, NEVER),
            named("alert", {"id": "custom.width", "value": 260}),
            named(
                "severity",
                {"id": "custom.width", "value": 90},
                {"id": "mappings", "value": words(SEVERITIES)},
                {"id": "custom.cellOptions", "value": {"type": "color-text"}},
            ),
        ],
    )


def exporters() -> Json:
    """List exporters of which nothing comes."""
    gone = f"max by (source) ({of('anchorwatch_exporter_lost')} == 1)"
    return table(
        "Exporters of which nothing comes",
        "Look whether the probe runs and reaches the broker. What its links are called is what "
        "they were when it was last heard.",
        or_none(gone, "source", "none is lost", while_=WATCHING),
        {"source": "exporter"},
        noValue="NO DATA",
        overrides=[override("^exporter$", {"id": "custom.width", "value": 300})],
    )
