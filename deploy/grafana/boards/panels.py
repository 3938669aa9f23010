"""Panels: one function for each kind of picture, in the words of Grafana's JSON.

What every panel has to have is an argument without a default: a title, what it says and when to
worry, its unit ("none" where there is none), its queries.
"""

from collections.abc import Sequence
from typing import Any

from .looks import CALM, Json, thresholds

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Whose options these are. Grafana takes a panel that doesn't say so for one of long ago, and
# changes what it finds; an XY chart it would empty.
VERSION = "11.6.0"
PLAIN = thresholds(base=CALM)
REFS = "ABCDEFGH"
HIDDEN = ("Time", "__name__", "job", "instance", "Value")  # columns, unless asked for


def ask(expr: str, legend: str = "") -> Json:
    """Ask over the time that is shown."""
    return {"expr": expr, "legendFormat": legend or "__auto", "range": True, "instant": False}


def ask_now(expr: str, legend: str = "") -> Json:
    """Ask how it is at the end of the time that is shown."""
    return {"expr": expr, "legendFormat": legend or "__auto", "range": False, "instant": True}


def ask_table(expr: str) -> Json:
    """Ask how it is at the end of the time that is shown, as a table with labels as columns."""
    return {**ask_now(expr), "format": "table"}


def _panel(
    kind: str, title: str, says: str, unit: str, queries: Sequence[Json], **parts: Any
) -> Json:
    """Make a panel; *parts* are defaults of its fields, and `custom`, `options`, ..."""
    panel: Json = {name: parts.pop(name) for name in ("transformations", "links") if name in parts}
    options, overrides = parts.pop("options", {}), parts.pop("overrides", [])
    defaults = {"unit": unit, "color": {"mode": "palette-classic-by-name"}, "mappings": []}
    defaults |= {"thresholds": PLAIN, "custom": {}} | parts
    targets = [
        {"refId": REFS[at], "datasource": SOURCE, "editorMode": "code", **query}
        for at, query in enumerate(queries)
    ]
    return {
        "type": kind,
        "pluginVersion": VERSION,
        "title": title,
        "description": says,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": options,
        "targets": targets,
        **panel,
    }


def stat(
    title: str,
    says: str,
    unit: str,
    *queries: Json,
    size: int = 0,
    graph: bool = False,
    filled: bool = True,
    **parts: Any,
) -> Json:
    """Show the newest value of each series as a large number, in its colour by thresholds."""
    options: Json = {
        "colorMode": "background_solid" if filled else "value",
        "graphMode": "area" if graph else "none",
        "justifyMode": "center",
        "orientation": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    if size:
        options["text"] = {"valueSize": size}
    parts = {"color": {"mode": "thresholds"}} | parts
    return _panel("stat", title, says, unit, queries, options=options, **parts)


def lines(
    title: str,
    says: str,
    unit: str,
    *queries: Json,
    axis: str = "",
    stacked: bool = False,
    bars: bool = False,
    limit: bool = False,
    **parts: Any,
) -> Json:
    """Draw series over time; with *limit* the thresholds are lines."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineInterpolation": "stepAfter" if stacked else "linear",
        "lineWidth": 0 if bars else 1 if stacked else 2,
        "fillOpacity": 80 if stacked or bars else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stacked or bars else "none"},
        "thresholdsStyle": {"mode": "line" if limit else "off"},
        "axisLabel": axis,
        "axisPlacement": "auto",
    }
    options = {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel(
        "timeseries", title, says, unit, queries, custom=custom, options=options, **parts
    )


def timeline(title: str, says: str, *queries: Json, **parts: Any) -> Json:
    """Draw a bar for as long as each series is there."""
    options = {
        "mergeValues": True,
        "showValue": "never",
        "alignValue": "left",
        "rowHeight": 0.8,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 90, "lineWidth": 0, "spanNulls": False}
    return _panel(
        "state-timeline", title, says, "none", queries, custom=custom, options=options, **parts
    )


def table(
    title: str,
    says: str,
    expr: str,
    columns: dict[str, str],
    *,
    sort: str = "",
    over_time: bool = False,
    **parts: Any,
) -> Json:
    """List what is asked for: *columns* are the labels that are shown, with their headings.

    With *over_time* each row that was there at any moment of the time that is shown is listed.
    """
    order = {name: at for at, name in enumerate(columns)}
    hidden = {name: True for name in HIDDEN if name not in columns}
    arranged = {"excludeByName": hidden, "indexByName": order, "renameByName": columns}
    options: Json = {
        "showHeader": True,
        "cellHeight": "sm",
        "footer": {"show": False, "reducer": ["sum"], "countRows": False, "fields": ""},
        "sortBy": [{"displayName": sort, "desc": True}] if sort else [],
    }
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}
    query = {**ask(expr), "format": "table"} if over_time else ask_table(expr)
    once = {name: {"operation": "groupby", "aggregations": []} for name in columns}
    transformations = [
        *([{"id": "groupBy", "options": {"fields": once}}] if over_time else []),
        {"id": "organize", "options": arranged},
    ]
    return _panel(
        "table",
        title,
        says,
        "none",
        [query],
        **{"custom": custom, "options": options, "transformations": transformations} | parts,
    )


def scatter(
    title: str, says: str, x: str, y: str, axes: tuple[str, str], by: str, **parts: Any
) -> Json:
    """Draw a point for each row of two tables that are joined, a series for each value of *by*."""
    # Grafana names the value columns of several tables after their queries.
    shown, held = "Value #B", "Value #A"
    labelled = [
        {
            "matcher": {"id": "byRegexp", "options": f"/^{field}/"},
            "properties": [{"id": "custom.axisLabel", "value": axis}],
        }
        for field, axis in zip((held, shown), axes, strict=True)
    ]
    parts["overrides"] = [*labelled, *parts.get("overrides", [])]
    options = {
        "mapping": "auto",
        "series": [
            {
                "x": {"matcher": {"id": "byName", "options": held}},
                "y": {"matcher": {"id": "byName", "options": shown}},
            }
        ],
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    parted = {"fields": [by], "keepFields": True, "naming": {"asLabels": True}}
    transformations = [
        {"id": "merge", "options": {}},
        {"id": "partitionByValues", "options": parted},
    ]
    custom = {
        "show": "points",
        "pointSize": {"fixed": 8},
        "pointShape": "circle",
        "fillOpacity": 80,
        "axisPlacement": "auto",
    }
    return _panel(
        "xychart",
        title,
        says,
        "none",
        [ask_table(x), ask_table(y)],
        # An XY chart knows no palette by name.
        **{"custom": custom, "options": options, "transformations": transformations}
        | {"color": {"mode": "palette-classic"}}
        | parts,
    )


def text(title: str, says: str, content: str) -> Json:
    """Say something in words."""
    return {
        "type": "text",
        "pluginVersion": VERSION,
        "title": title,
        "description": says,
        "options": {"mode": "markdown", "content": content},
    }


def section(title: str) -> Json:
    """Begin a part of the dashboard."""
    return {"type": "row", "title": title, "collapsed": False, "panels": []}
