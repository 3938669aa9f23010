"""The embedding: links among the anchors."""

from .asking import WATCHING, J, of, or_none, points
from .grid import EXPORTER, JOB, Row, dashboard, to
from .lists import one_link, state_column
from .looks import CALM, GOOD, ODD, Json, named, override, points_by_state, thresholds
from .panels import ask_now, scatter, stat, table, text

OF_EXPORTER = 'source=~"$source"'
DEPTH = f"anchorwatch_link_strangeness{{{J},{OF_EXPORTER}}}"

READING = """\
A **dot** is the newest window of a link, in the colour of the link's state; a **square** is an
anchor, a reference window that gives its label to what lies near it.
The axes mean nothing by themselves: only what is near what does.
What is far from every square and from where links usually are is *unknown*.
An embedding of more than three dimensions is shown in the three in which known traffic lies apart
the most, so dots that look close may be far apart; distances and strangeness are of all of it.
"""


def make() -> Json:
    """Make the dashboard."""
    rows = [
        Row(15, [(12, plane("y")), (12, plane("z"))]),
        Row(9, [(9, strangest()), (8, anchors()), (7, how_many())]),
        Row(6, [(24, reading())]),
    ]
    return dashboard(
        "embedding",
        "Anchorwatch: the embedding",
        "Where the links in depth lie among the anchors, as the encoder sees them.",
        rows,
        variables=(JOB, EXPORTER),
        shows="15m",
    )


def plane(up: str) -> Json:
    """Draw the points by x and another axis."""
    drill = {"id": "links", "value": [one_link()]}
    return scatter(
        f"Links and anchors, x and {up}",
        "Dots are the newest windows of links in depth, squares are anchors, both in the colour "
        "of their state. Dots between two colours are where verdicts are least certain; a cloud "
        "away from all squares is traffic that nobody taught.",
        points("x", OF_EXPORTER),
        points(up, OF_EXPORTER),
        ("x", up),
        "state",
        overrides=[
            *points_by_state("", 7),
            override("^Value #B (?!anchor)", drill),
        ],
    )


def strangest() -> Json:
    """List the strangest links."""
    # One of a link's states: two groups, or two daemons for a moment, may each have theirs.
    states = f"topk by (link, source) (1, anchorwatch_link_state{{{J},{OF_EXPORTER}}})"
    strange = f"topk(20, max by (link, source) ({DEPTH}))"
    joined = f"{strange} * on (link, source) group_left (state) {states}"
    return table(
        "The strangest links",
        "Links in depth by how far their newest window is from everything known; above 1 it is "
        "unknown. The same few at the top for long are what to look at, and to give a name.",
        or_none(joined, "link", "no link is in depth", while_=WATCHING),
        {"link": "link", "state": "state", "Value": "strangeness"},
        sort="strangeness",
        noValue="NO DATA",
        overrides=[
            named("link", {"id": "links", "value": [one_link()]}),
            named(
                "strangeness", {"id": "decimals", "value": 2}, {"id": "custom.width", "value": 110}
            ),
            state_column(),
        ],
    )


def anchors() -> Json:
    """List the anchors."""
    each = f"count by (label, origin, anchor) ({of('anchorwatch_anchor_point', axis='x')})"
    return table(
        "Anchors",
        "The reference windows that verdicts are made of: of the training, or enrolled since. An "
        "enrolled one that nobody knows of should be looked at.",
        each,
        {"label": "label", "origin": "origin", "anchor": "anchor"},
        noValue="NO DATA",
        overrides=[named("label", {"id": "custom.width", "value": 140})],
    )


def how_many() -> Json:
    """Say how many links are shown of how many."""
    return stat(
        "Links shown here",
        "Links in depth, of all that are judged. [http] in_depth says how many there may be, "
        "links in a fault first; the others are missing from this page only.",
        "none",
        ask_now(f"count({DEPTH}) or vector(0)", "in depth"),
        ask_now(f"sum({of('anchorwatch_links')})", "judged"),
        filled=False,
        thresholds=thresholds((1, GOOD), base=ODD),
        color={"mode": "fixed", "fixedColor": CALM},
        noValue="NO DATA",
        links=[to("overview", "All links")],
    )


def reading() -> Json:
    """Say how to read the pictures."""
    return text("How to read this", "What dots, squares and axes are.", READING)
