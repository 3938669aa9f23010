"""What the dashboards ask: metrics, labels and rules that are there."""

import json
import re
import shutil
import subprocess
from itertools import product

import pytest

from tests.deploy.alerts import ALERTS
from tests.deploy.dashboards import boards, filled, labels_of, metrics_in, queries, used, variables

JOBS, INSTANCES = ("day", "night"), ("a:9469", "b:9469")
GRAFANA_S = {"__interval": "1m", "__rate_interval": "5m", "__range": "1h", "job": ".+"}


def test_every_metric_that_is_asked_for_is_exported_or_recorded():
    """A panel about a metric that was renamed is empty for ever."""
    asked = {query.where: metrics_in(query.expr) for query in queries()}
    for board in boards():
        for name, one in variables(board).items():
            if one["type"] == "query":
                asked[f"{board['uid']}: ${name}"] = metrics_of_a_variable(one["definition"])

    assert all(asked.values()), [where for where, names in asked.items() if not names]
    for where, names in asked.items():
        assert names <= labels_of().keys(), f"{where}: {names - labels_of().keys()}"


def metrics_of_a_variable(definition):
    """Name the metrics of `label_values(EXPR, label)` or `query_result(EXPR)`."""
    (inner,) = re.findall(r"^\w+\((.*)\)$", definition)
    return metrics_in(re.sub(r", \w+$", "", inner))


def test_a_metric_that_nobody_exports_is_noticed():
    """The test of the test."""
    found = metrics_in('sum by (state) (rate(anchorwatch_lonks{job=~"$job"}[5m])) or vector(0)')

    assert found == {"anchorwatch_lonks"}
    assert not found <= labels_of().keys()


def test_labels_that_are_asked_for_are_there():
    """A misspelt label matches nothing, and says nothing."""
    for query in queries():
        for metric, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", query.expr):
            labels = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', matchers))
            assert labels <= labels_of()[metric], query.where


def test_legends_and_columns_name_labels_that_are_there():
    """Or every series of the legend is called the same: nothing."""
    for query in queries():
        made = set(re.findall(r'label_(?:replace|join)\(.*?, "(\w+)", "', query.expr))
        labels = made.union(*(labels_of()[name] for name in metrics_in(query.expr)))
        named = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
        for step in query.panel.get("transformations", ()) if query.is_table else ():
            named |= {*step["options"].get("renameByName", {})}
            named |= {*step["options"].get("fields", ())}
        assert named - {"Value"} <= labels, query.where


def test_queries_hold_where_two_groups_judge_the_same_links(tmp_path):
    """A trial beside production, or a link that moves: daemons differ over a state."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian's package `prometheus` has it)")
    asked = [
        filled(one.expr, dict.fromkeys(used(one.expr), "one") | GRAFANA_S) for one in queries()
    ]
    told = [
        {"series": f"{metric}{series(metric, job, instance, row)}", "values": "1+1x60"}
        for metric in labels_of()
        for job, instance, row in product(JOBS, INSTANCES, ("one", "two"))
    ]
    tests = [{"expr": expr, "eval_time": "60m", "exp_samples": []} for expr in asked]
    group = {"interval": "1m", "input_series": told, "promql_expr_test": tests}
    file = tmp_path / "two.test.yml"
    file.write_text(json.dumps({"tests": [group]}))

    done = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True, check=False
    )

    # What the answers are is another test's.
    assert "exp:" in done.stderr + done.stdout
    assert not re.findall(r".*(?:execution|duplicate|many-to|multiple|parse).*", done.stderr)


def series(metric, job, instance, row):
    """Give labels: of a daemon's rows, whose states and labels are the daemon's own."""
    fixed = {"job": job, "instance": instance, "le": "1", "axis": "x"}
    own = dict.fromkeys(("state", "label"), f"of {instance}")
    labels = {name: (fixed | own).get(name, row) for name in sorted(labels_of()[metric])}
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def test_rates_are_over_an_interval_that_grafana_chooses():
    """A fixed one is empty where the scrape interval is longer, or smooths what one zooms into."""
    for query in queries():
        assert re.findall(r"\brate\([^[]*\[([^]]*)\]", query.expr) in (
            [],
            ["$__rate_interval"] * query.expr.count("rate("),
        )


def test_the_line_of_a_panel_is_the_one_that_its_alert_has():
    """Below the line and no alert, or an alert and above the line: nobody knows who is right."""
    (blind,) = [alert.rule["expr"] for alert in ALERTS if alert.name == "AnchorwatchCanaryBlind"]
    query = next(q for q in queries() if q.panel["title"] == "Canary recall")

    steps = query.panel["fieldConfig"]["defaults"]["thresholds"]["steps"]

    assert float(blind.rpartition("<")[2]) == steps[1]["value"]
