"""One link in depth: what it was called, how far it was from what, and why."""

from .asking import J, or_never, points, row
from .grid import EXPORTER, JOB, Row, dashboard, to, typed, variable
from .lists import NEVER, state_column
from .looks import (
    BAD,
    CALM,
    GOOD,
    ODD,
    STATES,
    Json,
    coloured_states,
    fixed,
    from_on,
    named,
    override,
    points_by_state,
    says,
    thresholds,
)
from .panels import ask, ask_now, lines, scatter, stat, table, timeline

MOST = 500  # links that the list offers at once
THIS = f'{J},link="$link"'
STATE, DEPTH = f"anchorwatch_link_state{{{THIS}}}", f"anchorwatch_link_strangeness{{{THIS}}}"
EVENTS = f"anchorwatch_event_timestamp_seconds{{{THIS}}}"
UNKNOWN = row(state="NOT KNOWN")
FIND = typed("find", "find", "Part of a link's name: the list of links offers those that have it")


def listed() -> Json:
    """Let the user choose among links, those in a fault first; never among 10,000."""
    fits = f'{J},source=~"$source",link=~".*$find.*"'
    faults = f'2 * max by (link) (anchorwatch_link_state{{{fits},state!~"normal|unsettled"}})'
    every = f"max by (link) (anchorwatch_link_state{{{fits}}})"
    return variable(
        "link",
        "link",
        f"The first {MOST} that fit, links in a fault before others; any name can be typed",
        f"query_result(topk({MOST}, {faults} or {every}))",
        regex=r'/link="((?:[^"\\]|\\.)*)"/',
        many=False,
    )


def make() -> Json:
    """Make the dashboard."""
    rows = [
        Row(4, [(6, now()), (6, strange_now()), (6, since()), (6, in_depth())]),
        Row(6, [(24, states())]),
        Row(9, [(12, distances()), (12, strangeness())]),
        Row(11, [(13, events()), (11, among_anchors())]),
    ]
    return dashboard(
        "link",
        "Anchorwatch: one link in depth",
        "What one link was called over time, how far it was from each anchor, and why.",
        rows,
        variables=(JOB, EXPORTER, FIND, listed()),
    )


def now() -> Json:
    """Say the state."""
    return stat(
        "State",
        "What the link's windows have said long and clearly enough. NOT KNOWN: no daemon exports "
        "this link; it retired, is beyond max_links, or nobody is watching.",
        "none",
        ask_now(f"max by (state) ({STATE}) or on () {UNKNOWN}", "{{state}}"),
        size=1,
        color={"mode": "fixed", "fixedColor": CALM},
        noValue="NO DATA",
        overrides=[
            *[override(f"^{state}$", fixed(colour)) for state, colour in STATES.items()],
            override("^NOT KNOWN$", fixed(BAD)),
        ],
        links=[to("overview", "All links")],
    ) | {"options": name_only()}


def name_only() -> Json:
    """Show the series' name, not its value, which is 1."""
    return {
        "colorMode": "background_solid",
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "auto",
        "textMode": "name",
        "wideLayout": True,
        "showPercentChange": False,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }


def strange_now() -> Json:
    """Say how strange the newest window is."""
    return stat(
        "Strangeness",
        "How far the newest window is from everything known, in thresholds: above 1 it is like "
        "nothing known. A dash where the link is not in depth.",
        "none",
        ask_now(f"max({DEPTH}) or on () vector(-1)"),
        decimals=2,
        mappings=says(minus1=("—", CALM)),
        thresholds=thresholds((0, GOOD), (0.8, ODD), (1, STATES["unknown"]), base=CALM),
        noValue="NO DATA",
    )


def since() -> Json:
    """Say when something was last told of it."""
    newest = f"1000 * max(last_over_time({EVENTS}[1d])) or on () vector(0)"
    return stat(
        "Last event",
        "When something was last told of this link by its name. A dash: nothing within a day, or "
        "it was told of its whole group.",
        "dateTimeFromNow",
        ask_now(newest),
        filled=False,
        mappings=says(_0=("—", CALM)),
        thresholds=thresholds(base=CALM),
        noValue="NO DATA",
    )


def in_depth() -> Json:
    """Say whether there is more than the state."""
    return stat(
        "In depth",
        "Distances, strangeness and the point in the embedding are exported for so many links as "
        "[http] in_depth says, links in a fault first. If this one isn't among them its state is "
        "still right.",
        "none",
        ask_now(f"count({DEPTH}) or on () vector(0)"),
        mappings=[
            *says(_0=("not among the links in depth", ODD)),
            from_on(1, "in depth", GOOD),
        ],
        thresholds=thresholds((1, GOOD), base=ODD),
        noValue="NO DATA",
    )


def states() -> Json:
    """Draw which state it was in when."""
    return timeline(
        "State over time",
        "A row for each state that the link was in, filled while it was. A gap in all rows: the "
        "link was not heard of, or nobody was watching.",
        ask(f"max by (state) ({STATE}) or on () {UNKNOWN}", "{{state}}"),
        overrides=[*coloured_states(), override("^NOT KNOWN$", fixed(CALM))],
    )


def distances() -> Json:
    """Draw how far it was from each label's anchors."""
    far = f"anchorwatch_link_distance{{{THIS}}}"
    drawn = or_never(f"max by (label) ({far})", far, row(label="not in depth"))
    return lines(
        "Distance to the nearest anchor of each label",
        "The lowest line names the window. Lines that meet: it could be either. All of them far "
        "up: it is like nothing known, which strangeness says better.",
        "none",
        ask(drawn, "{{label}}"),
        axis="distance in the embedding",
        min=0,
        overrides=coloured_states(),
    )


def strangeness() -> Json:
    """Draw how strange it was."""
    return lines(
        "Strangeness over time",
        "How far the newest window was from everything known, in thresholds. Above the line the "
        "window is unknown; a link that stays there is called so.",
        "none",
        ask(or_never(f"max({DEPTH})", DEPTH, "vector(0)"), "strangeness"),
        axis="thresholds",
        limit=True,
        min=0,
        thresholds=thresholds((1, STATES["unknown"])),
        overrides=[named("strangeness", fixed(STATES["capacity-limited"]))],
    )


def events() -> Json:
    """List what was told of it."""
    told = f"1000 * max by (type, state, reason, group) ({EVENTS})"
    none = row(reason="nothing was told of it in this time")
    columns = {"Value": "when", "type": "what", "state": "state", "reason": "reason"}
    return table(
        "Events",
        "What was told of this link in the time that is shown, the newest first. Prometheus sees "
        "the newest 20 events of a daemon at each scrape: in a storm some are missing here, all "
        "are on the events' topic.",
        or_never(told, EVENTS, none),
        columns | {"group": "group"},
        sort="when",
        over_time=True,
        noValue="NO DATA",
        overrides=[
            named(
                "when",
                {"id": "unit", "value": "dateTimeAsIso"},
                {"id": "custom.width", "value": 170},
                NEVER,
            ),
            named("what", {"id": "custom.width", "value": 80}),
            state_column(),
        ],
    )


def among_anchors() -> Json:
    """Draw the link among the anchors."""
    this, shown = 'link="$link"', "this link, $1"
    return scatter(
        "Where it lies among the anchors",
        "The newest window (large dot) and the anchors (squares), in two of the three dimensions "
        "that are shown. Without a dot the link is not in depth. How the third looks: the status "
        "page of the daemon, where the view can be turned.",
        points("x", this, state=shown),
        points("y", this, state=shown),
        ("x", "y"),
        "state",
        overrides=points_by_state("this link, ", 16),
    )
