"""The dashboards: they are what the generator makes, and ask for what there is."""

import re
import subprocess
import sys

import pytest
import yaml

from tests.deploy.dashboards import (
    GRAFANA,
    boards,
    panels,
    queries,
    used,
    variables,
)

OF_GRAFANA = {"__rate_interval", "__range", "__url_time_range", "__data", "__all"}
KINDS = {"row", "timeseries", "stat", "table", "state-timeline", "xychart", "text"}  # core panels
EVERY = [pytest.param(board, id=board["uid"]) for board in boards()]


def provisioned(path):
    """Read a file of the provisioning."""
    return yaml.safe_load((GRAFANA / "provisioning" / path).read_text())


def texts(tree):
    """Give every text in a tree."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list):
        for each in tree.values() if isinstance(tree, dict) else tree:
            yield from texts(each)


def test_what_ships_is_what_the_generator_makes(tmp_path):
    """Who changes one and not the other would lose it at the next change."""
    subprocess.run([sys.executable, GRAFANA / "generate.py", tmp_path / "made"], check=True)

    made = {file.name: file.read_text() for file in (tmp_path / "made").iterdir()}
    shipped = {file.name: file.read_text() for file in (GRAFANA / "dashboards").iterdir()}
    assert made == shipped, "run `python deploy/grafana/generate.py`"


def test_the_generator_needs_nothing_but_python(tmp_path):
    """Whoever wants a colour changed should not have to install TensorFlow first."""
    command = [sys.executable, "-I", "-S", GRAFANA / "generate.py", tmp_path / "made"]
    script = "import runpy, sys; sys.path.insert(0, sys.argv[1]); sys.argv = sys.argv[2:]; "
    script += "runpy.run_path(sys.argv[0], run_name='__main__')"
    subprocess.run([*command[:3], "-c", script, GRAFANA, *command[3:]], check=True)

    assert len([*(tmp_path / "made").iterdir()]) == len(boards())


def test_uids_and_titles_are_each_board_s_own():
    """Grafana keeps one of two dashboards with the same uid, and does not say which."""
    assert len({board["uid"] for board in boards()}) == len(boards()) == 5
    assert len({board["title"] for board in boards()}) == len(boards())
    assert all(re.fullmatch(r"[a-z-]{1,40}", board["uid"]) for board in boards())
    assert all(board["description"] for board in boards())


@pytest.mark.parametrize("board", EVERY)
def test_panels_lie_side_by_side(board):
    """Of panels that overlap Grafana pushes one down, and the wall is another than was drawn."""
    taken = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']!r} lies on {taken[x, y]!r}"
                taken[x, y] = panel["title"]

    ids = [panel["id"] for panel in board["panels"]]
    assert len({*ids}) == len(ids)


@pytest.mark.parametrize("board", EVERY)
def test_every_panel_says_what_it_is(board):
    """Whoever looks at it at night has not read the docs."""
    for panel in board["panels"]:
        assert panel["type"] in KINDS
        assert panel["title"]
    for panel in panels(board):
        assert 20 < len(panel["description"]) < 400, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
    titles = [panel["title"] for panel in panels(board)]
    assert len({*titles}) == len(titles)


@pytest.mark.parametrize("board", EVERY)
def test_every_panel_has_a_unit_and_asks_the_chosen_source(board):
    """A number without a unit is read wrongly; a panel with a source of its own shows nothing."""
    for panel in panels(board):
        # Or Grafana takes its options for those of years ago, and changes them.
        assert panel["pluginVersion"] >= "11.1", panel["title"]
        if panel["type"] == "text":
            continue
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        for asking in (panel, *panel["targets"]):
            assert asking["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        refs = [target["refId"] for target in panel["targets"]]
        assert len({*refs}) == len(refs)


@pytest.mark.parametrize("board", EVERY)
def test_the_source_that_is_chosen_first_is_the_one_provisioned(board):
    """Or the dashboards of a new installation are empty until somebody chooses."""
    (source,) = provisioned("datasources/prometheus.yaml")["datasources"]

    chosen = variables(board)["datasource"]

    assert chosen["current"]["value"] == source["uid"]
    assert (chosen["type"], chosen["query"]) == ("datasource", source["type"])


def test_the_address_comes_from_the_environment():
    """One file for every installation."""
    (source,) = provisioned("datasources/prometheus.yaml")["datasources"]

    assert re.fullmatch(r"\$[A-Z_]+", source["url"])


@pytest.mark.parametrize("board", EVERY)
def test_variables_that_are_used_are_there(board):
    """Grafana leaves an unknown variable as it stands, and Prometheus finds nothing."""
    there = {*variables(board)} | OF_GRAFANA
    for text in texts(board):
        assert used(text) <= there, text


@pytest.mark.parametrize("board", EVERY)
def test_variables_that_are_there_are_used(board):
    """A choice that changes nothing is a lie."""
    shown = " ".join(texts(board["panels"]))
    chosen = " ".join(texts([one.get("definition", "") for one in board["templating"]["list"]]))
    for name in variables(board):
        assert re.search(rf"\${{?{name}\b", f"{shown} {chosen}"), name


@pytest.mark.parametrize("board", EVERY)
def test_links_lead_to_dashboards_that_are_there_and_take_the_choice_along(board):
    """A link into nothing, or to the wrong network, is followed once."""
    by_uid = {each["uid"]: each for each in boards()}
    found = [one for one in texts(board["panels"]) if one.startswith("/d/")]
    for url in found:
        path, _, query = url.partition("?")
        target = variables(by_uid[path.removeprefix("/d/")])
        given = set(re.findall(r"var-(\w+)=", query)) | set(
            re.findall(r"\{(\w+):queryparam", query)
        )
        assert given <= {*target}, url
        assert {"datasource", "job"} <= given, url
        assert all(re.match(r"var-|\$\{", part) for part in query.split("&")), url
        assert "link" in given or not path.endswith("-link"), url
        assert "${__url_time_range}" in query, url
    others = board["links"]
    assert [(one["type"], one["includeVars"], one["keepTime"]) for one in others] == [
        ("dashboards", True, True)
    ]
    assert {*others[0]["tags"]} <= {*board["tags"]}


def test_every_dashboard_can_be_reached_by_a_panel_or_is_one_that_leads_on():
    """From the wall to the reason in one step."""
    urls = {url.split("?")[0] for board in boards() for url in texts(board) if "/d/" in url}

    assert {"/d/anchorwatch-link", "/d/anchorwatch-detector", "/d/anchorwatch-embedding"} <= urls


def test_a_wall_is_not_green_because_nobody_watches():
    """States are those of daemons whose loop goes round and that hear the broker."""
    overview = next(board for board in boards() if board["uid"] == "anchorwatch-overview")
    for panel in panels(overview):
        assert panel["fieldConfig"]["defaults"].get("noValue") or panel["type"] == "timeseries"
    counted = [
        q for q in queries() if q.board == "anchorwatch-overview" and "by (state)" in q.expr
    ]
    of_links = [q for q in counted if "anchorwatch_links{" in q.expr]
    assert len(of_links) == 2
    for query in of_links:
        assert "anchorwatch_progress_timestamp_seconds" in query.expr
        assert "anchorwatch_broker_contact_timestamp_seconds" in query.expr


def test_a_state_has_the_same_colour_everywhere():
    """Red must not mean blocked here and silent there."""
    colours = {}
    for board in boards():
        for panel in panels(board):
            for each in panel.get("fieldConfig", {}).get("overrides", ()):
                state = re.fullmatch(
                    r"/\^(?:[^/]*?)(blocked|silent|unknown|normal)\$/", each["matcher"]["options"]
                )
                if not state:
                    continue
                found = re.findall(r"#[0-9A-F]{6}", str(each["properties"]))
                colours.setdefault(state[1], set()).update(found)

    assert {*colours} == {"blocked", "silent", "unknown", "normal"}
    assert all(len(each) == 1 for each in colours.values()), colours
    assert len(set.union(*colours.values())) == 4
