"""The daemon judges recorded traffic, a real Prometheus scrapes it, and every panel has data.

No Grafana is run: what is checked is what it would ask Prometheus, and what comes back.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.acceptance.prometheus import PROGRAM
from tests.broker import Broker
from tests.broker.proxy import Proxy
from tests.daemon import wait_for
from tests.deploy.alerts import RECORDS
from tests.deploy.dashboards import boards, filled, queries, variables
from tests.deploy.drawn import troubles
from tests.deploy.watching import Seen, present, watched


@pytest.fixture(scope="module")
def seen(
    proxied: tuple[Broker, Proxy], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seen]:
    """Run everything once; all tests look at it at the same point."""
    if PROGRAM is None:
        pytest.skip("prometheus is not installed (Debian's package of that name has it)")
    with watched(proxied[0], tmp_path_factory.mktemp("observed")) as seen:
        yield seen


def test_every_panel_has_data_that_makes_sense(seen):
    """A dashboard with an empty panel is worse than none: nobody knows whether that is well."""
    wrong = [f"{query.where}\n    {each}" for query in queries() for each in troubles(seen, query)]

    assert len([*queries()]) > 80
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("expr", "trouble"),
    [
        ('sum by (state) (anchorwatch_lonks{job=~"$job"})', "no data"),
        ('sum by (stat) (anchorwatch_links{job=~"$job"})', "its legend wants 'state'"),
        ('-1 - sum by (state) (anchorwatch_links{job=~"$job"})', "can't be"),
        ("0 * sum by (state) (anchorwatch_links) / 0", "no number"),
        ("sum by (state) (anchorwatch_links", "unclosed left parenthesis"),
    ],
)
def test_a_query_that_is_wrong_is_noticed(seen, expr, trouble):
    """The test of the test: what passes for the wrong reason would pass for ever."""
    query = next(each for each in queries() if each.legend == "{{state}}" and not each.is_range)

    found = [*troubles(seen, replace(query, expr=expr))]

    assert any(trouble in each for each in found), found


def test_every_rule_is_evaluated_without_an_error(seen):
    """A rule that fails takes the alert with it, and says so only on a page that nobody reads."""
    wait_for("all rules", lambda: all(one["health"] != "unknown" for one in rules(seen)))

    assert len(rules(seen)) > 30
    assert [one for one in rules(seen) if one["health"] != "ok" or one.get("lastError")] == []


def rules(seen: Seen) -> list[Any]:
    """Give all rules as Prometheus knows them."""
    groups = seen.prometheus.get("rules")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_what_is_recorded_has_a_value(seen):
    """A recording rule that gives nothing leaves the alerts that are made of it blind."""
    names = [rule["name"] for rule in rules(seen) if rule["type"] == "recording"]

    assert {*names} == RECORDS.keys()
    for name in names:
        # Some are there only while a link is in a fault, and in this run links were.
        for one in wait_for(name, lambda name=name: seen.prometheus.now(f"{name}[10m]")):
            assert any(math.isfinite(float(value)) for _, value in one["values"]), one


def test_variables_offer_what_there_is(seen):
    """What can't be chosen can't be looked at."""
    for board in boards():
        for name, one in variables(board).items():
            if one["type"] == "query":
                assert seen.offers(one), f"{board['uid']}: {name}"
    link = next(variables(board)["link"] for board in boards() if "link" in variables(board))
    assert {*seen.offers(link)} == {each["link"] for each in seen.status["worst"]}


def test_the_wall_says_what_the_daemon_says(seen):
    """Two places that differ: nobody believes either."""
    counted = seen.rows("overview", "Links by state")
    assert present({labels["state"]: value for labels, value in counted}) == present(
        seen.status["states"]
    )
    assert sum(value for _, value in counted) == len(seen.status["worst"]) == 5


def test_the_worst_links_are_listed_with_since_and_why(seen):
    """What a NOC does next hangs on these two."""
    onsets = [one for one in seen.status["events"] if one["type"] == "onset"]
    told = {(one["link"], one["at_ms"]): one for one in onsets}
    faults = {one["link"]: one for one in seen.status["worst"] if one["state"] != "normal"}

    listed = {
        labels["link"]: (labels, value)
        for labels, value in seen.rows("overview", "The worst links")
    }

    assert {*listed} == {*faults} != set()
    for link, (labels, value) in listed.items():
        assert labels["state"] == faults[link]["state"]
        event = told[link, round(value)]
        assert event["state"] == labels["state"]
        assert event["reason"].startswith(labels["reason"])
        assert labels["reason"]


def test_an_alert_that_fires_is_on_the_wall(seen):
    """The wall is where it is seen first."""

    def listed() -> set[str]:
        return {labels["alertname"] for labels, _ in seen.rows("overview", "Alerts that fire")}

    wait_for("the alert", lambda: "AnchorwatchLinkBlocked" in listed())
    ((_, count),) = seen.rows("overview", "Active alerts")
    assert count >= 1


def test_the_page_of_a_link_tells_its_events_with_their_reasons(seen):
    """Why, and since when: what whoever was woken asks first."""
    link = seen.values["link"]
    told = [one for one in seen.status["events"] if one["link"] == link]
    query = next(q for q in queries() if q.panel["title"] == "Events")

    listed = {
        (float(value), series["metric"]["type"], series["metric"]["state"]): series["metric"]
        for series in seen.answer(query)
        for _, value in series["values"]
    }

    assert len(told) > 1
    for one in told:
        labels = listed[float(one["at_ms"]), one["type"], one["state"]]
        assert one["reason"].startswith(labels.get("reason", ""))
        assert labels.get("reason") or one["type"] == "abated"


def test_points_have_all_their_coordinates_and_anchors_are_among_them(seen):
    """The two tables of a picture are joined by their labels: what is in one only is not drawn."""
    for title in ("Links and anchors, x and y", "Links and anchors, x and z"):
        x, y = (
            {tuple(sorted(labels.items())) for labels, _ in seen.rows("embedding", title, number)}
            for number in (0, 1)
        )

        assert x == y
        links = {dict(labels)["link"] for labels in x if "source" in dict(labels)}
        assert links == {one["link"] for one in seen.status["worst"]}
        anchors = {dict(labels)["state"] for labels in x if "source" not in dict(labels)}
        assert anchors == {"anchor: normal", "anchor: blocked", "anchor: capacity-limited"}


def test_the_nearest_anchor_s_label_is_what_the_link_is_called(seen):
    """Of a link that is well, or plainly not."""
    space = json.loads(seen.daemon.get("/space")[1])
    (spot,) = [one for one in space["links"] if one["link"] == seen.values["link"]]

    drawn = {
        labels["label"]: value
        for labels, value in seen.rows("link", "Distance to the nearest anchor of each label")
    }

    assert drawn == pytest.approx(spot["distances"])


def test_the_strangest_links_are_listed_with_their_states(seen):
    """The list by which somebody finds what nobody taught."""
    links = json.loads(seen.daemon.get("/space")[1])["links"]

    listed = {
        (labels["link"], labels["state"]): value
        for labels, value in seen.rows("embedding", "The strangest links")
    }

    assert listed == pytest.approx(
        {(one["link"], one["state"]): one["strangeness"] for one in links}
    )


def test_a_wall_goes_dark_when_the_loop_stands(seen):
    """A daemon that hangs still answers /metrics with what it knew last: green, and wrong."""
    by_state = next(q for q in queries() if q.panel["title"] == "Links by state")
    detector = next(q for q in queries() if q.panel["title"] == "Detector")
    # Prometheus remembers for five minutes what it scraped; time alone goes on.
    later = {"in_seconds": 75.0}

    assert seen.prometheus.now(filled("anchorwatch_links", seen.values), **later)
    assert seen.prometheus.now(filled(by_state.expr, seen.values)) != []
    assert seen.prometheus.now(filled(by_state.expr, seen.values), **later) == []
    (nobody,) = seen.prometheus.now(filled(detector.expr, seen.values), **later)
    assert nobody["value"][1] == "0"


def test_a_wall_goes_dark_when_the_daemon_is_gone(seen):
    """The last test here, for it ends the daemon."""
    seen.daemon.kill()
    wait_for("it is missed", lambda: seen.rows("overview", "Daemons down") == [({}, 1)])

    assert seen.rows("overview", "Detector") == [({}, 0)]
    assert seen.rows("overview", "Links by state") == []
    assert seen.rows("overview", "The worst links") == []
    assert seen.rows("overview", "Windows judged") == [({}, 0)]
