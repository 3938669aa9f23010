"""Grid: where panels lie, which variables there are, and the dashboard's JSON.

A dashboard is a list of rows; a row is a height and panels with their widths, 24 in all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .looks import Json
from .panels import SOURCE, section

COLUMNS = 24
SCHEMA = 39  # Grafana 11's; newer ones bring it up to theirs when they load it
TAG = "anchorwatch"
SOURCE_UID = "anchorwatch-prometheus"  # as in provisioning/datasources/prometheus.yaml

# Uid of each dashboard, by the name under which others link to it.
UIDS = {
    "overview": "anchorwatch-overview",
    "link": "anchorwatch-link",
    "embedding": "anchorwatch-embedding",
    "detector": "anchorwatch-detector",
    "learning": "anchorwatch-learning",
}


@dataclass(frozen=True)
class Row:
    """Panels side by side."""

    height: int  # grid units of 30 pixels
    panels: Sequence[tuple[int, Json]]  # width and panel


def headed(title: str) -> Row:
    """Begin a part of the dashboard, with a heading."""
    return Row(1, [(COLUMNS, section(title))])


def to(board: str, title: str, **values: str) -> Json:
    """Link to another dashboard: what is chosen here goes along, and *values* of the row."""
    given = "".join(f"&var-{name}={value}" for name, value in values.items())
    along = "${datasource:queryparam}&${job:queryparam}&${__url_time_range}"
    url = f"/d/{UIDS[board]}?{along}{given}"
    return {"title": title, "url": url, "targetBlank": False}


def source_variable() -> Json:
    """Let the user choose the data source."""
    return {
        "name": "datasource",
        "label": "Prometheus",
        "description": "Which Prometheus is asked",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": "anchorwatch", "value": SOURCE_UID},
        "regex": "",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "hide": 0,
        "options": [],
    }


def variable(
    name: str,
    label: str,
    says: str,
    query: str,
    *,
    regex: str = "",
    many: bool = True,
    every: str | None = ".*",
) -> Json:
    """Let the user choose among what Prometheus answers; with *many* also several, or all.

    All is *every*, a regular expression; without it, each value that there is.
    """
    chosen = {"text": ["All"], "value": ["$__all"], "selected": True}
    return {
        "name": name,
        "label": label,
        "description": says,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"qryType": 3 if query.startswith("query_result") else 1, "query": query}
        | {"refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "regex": regex,
        "refresh": 2,
        "sort": 1 if many else 0,
        "multi": many,
        "includeAll": many,
        "allValue": every if many else None,
        "current": chosen if many else {},
        "hide": 0,
        "options": [],
    }


def typed(name: str, label: str, says: str) -> Json:
    """Let the user type something."""
    empty = {"text": "", "value": "", "selected": True}
    return {
        "name": name,
        "label": label,
        "description": says,
        "type": "textbox",
        "query": "",
        "current": empty,
        "options": [empty],
        "hide": 0,
    }


# Not just any job: of `up` and of processes others have series too.
JOB = variable("job", "job", "Which daemons", "label_values(anchorwatch_ready, job)", every=None)
EXPORTER = variable(
    "source",
    "exporter",
    "Whose links",
    'label_values(anchorwatch_link_state{job=~"$job"}, source)',
)


def laid(rows: Iterable[Row]) -> list[Json]:
    """Put panels side by side and below each other, and number them."""
    panels: list[Json] = []
    y = 0
    for row in rows:
        x = 0
        for width, panel in row.panels:
            if x + width > COLUMNS:
                raise ValueError(f"{panel['title']!r}: no room for {width} columns at {x}")
            place = {"x": x, "y": y, "w": width, "h": row.height}
            panels.append({"id": len(panels) + 1, "gridPos": place, **panel})
            x += width
        y += row.height
    return panels


def dashboard(
    name: str,
    title: str,
    says: str,
    rows: Iterable[Row],
    *,
    variables: Sequence[Json] = (JOB,),
    shows: str = "1h",
    refresh: str = "10s",
) -> Json:
    """Make the dashboard *name* of `UIDS`."""
    others = {
        "type": "dashboards",
        "title": "anchorwatch",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "The other dashboards of anchorwatch",
        "url": "",
    }
    return {
        "uid": UIDS[name],
        "title": title,
        "description": says,
        "tags": [TAG],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": f"now-{shows}", "to": "now"},
        "refresh": refresh,
        "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m", "5m"]},
        "annotations": {"list": []},
        "links": [others],
        "templating": {"list": [source_variable(), *variables]},
        "panels": laid(rows),
    }
