"""Asking: the parts of queries that more than one panel needs, in PromQL."""

J = 'job=~"$job"'
STALE_SECONDS = 60

# Daemons that can be believed: something is assigned to them, their loop goes round, and the
# broker was heard of. Of others the last thing that they said is still there, and still green.
WATCHING = (
    f"(anchorwatch_ready{{{J}}} == 1"
    f" and on (job, instance) time() - anchorwatch_progress_timestamp_seconds{{{J}}}"
    f" < {STALE_SECONDS}"
    f" and on (job, instance) time() - anchorwatch_broker_contact_timestamp_seconds{{{J}}}"
    f" < {STALE_SECONDS})"
)
BY_STATE = f"sum by (state) (anchorwatch_links{{{J}}} and on (job, instance) {WATCHING})"


def of(metric: str, *more: str, **labels: str) -> str:
    """Ask for a metric of the daemons that are chosen, with *labels* as they are said."""
    said = (f'{name}="{value}"' for name, value in labels.items())
    return f"{metric}{{{','.join((J, *more, *said))}}}"


def rate(metric: str, **labels: str) -> str:
    """Ask how much a counter grows a second."""
    return f"rate({of(metric, **labels)}[$__rate_interval])"


def quantile(share: float, histogram: str) -> str:
    """Ask below what lies a share of what a histogram counted."""
    return f"histogram_quantile({share}, sum by (le) ({rate(f'{histogram}_bucket')}))"


def or_none(expr: str, label: str, words: str, *, while_: str = "vector(0)") -> str:
    """Give one row that says so where there is nothing, as long as *while_* gives something."""
    none = f'label_replace(0 * count({while_}), "{label}", "{words}", "", "")'
    return f"({expr}) or on () {none}"


def or_never(expr: str, series: str, row: str) -> str:
    """Give *row* in place of *expr* if there was no *series* at all in the time that is shown."""
    return (
        f"{expr} or on () ({row} unless on () count(last_over_time({series}[$__range] @ end())))"
    )


def row(**labels: str) -> str:
    """Give a series of zeros that has these labels."""
    expr = "vector(0)"
    for name, value in labels.items():
        expr = f'label_replace({expr}, "{name}", "{value}", "", "")'
    return expr


def points(axis: str, *more: str, state: str = "$1") -> str:
    """Ask where links in depth lie on an axis, and where anchors do, as if they were links."""
    links = of("anchorwatch_link_point", *more, axis=axis)
    anchors = of("anchorwatch_anchor_point", axis=axis)
    links = f'label_replace({links}, "state", "{state}", "state", "(.*)")'
    named = f'label_join({anchors}, "link", ", ", "anchor", "origin")'
    named = f'label_replace({named}, "state", "anchor: $1", "label", "(.*)")'
    # By job: each has its own bundle, and so another space.
    return f"max by (job, link, source, state) ({links} or {named})"
