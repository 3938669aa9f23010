"""Rejection is judged by windows, by episodes, and by what it costs in false events."""

import json

import numpy as np
import pytest

from detector.window import WindowSpec
from tests.training.captures import START_MS, make_link
from training.judging.alarms import Rule
from training.judging.episodes import EpisodeError
from training.judging.rejection import judge_rejection

SPEC = WindowSpec(("strange",), 4, 1000)
KNOWN = ("normal", "blocked")
RULE = Rule(windows=2, hold=5)


class LastRow:
    """Says that a window is as strange as its last row."""

    def name(self, windows):
        """Know nothing else."""
        return ["normal"] * len(windows)

    def strangeness(self, windows):
        """Read it off."""
        return np.nan_to_num(windows[:, -1, 0]).astype(float)


def link(number, *parts, place="a"):
    """Give a link: for each (label, strangeness, rows) that many rows; strange may be a list."""
    labels = [label for label, _, rows in parts for _ in range(rows)]
    values = np.concatenate([np.broadcast_to(strange, rows) for _, strange, rows in parts])
    return make_link(
        labels,
        values.astype(np.float32)[:, None],
        name=f"run {number}/{place}",
        start_ms=START_MS + number * 3_600_000,
    )


def runs(strange, normal=0.0, blocked=1.0, count=4):
    """Give runs: ten normal minutes, then a fault that is known, then one that is not."""
    return [
        link(
            n,
            ("normal", normal, 600),
            ("blocked", blocked, 20),
            (None, 0, 1),
            ("odd", strange, 20),
        )
        for n in range(count)
    ]


def judge(links, **options):
    """Judge the last row's strangeness."""
    options = {"unknown": ["odd"], "known": KNOWN, "rule": RULE} | options
    return judge_rejection(LastRow(), links, SPEC, **options)


def test_what_is_stranger_than_all_that_is_known_is_always_told():
    """The best that there is gets the full score."""
    found = judge(runs(strange=5))

    assert found.auroc.value == found.auroc_normal.value == found.auroc_faults.value == 1
    assert found.false_positives == found.false_positives_normal == 0
    assert (found.unknown_windows, found.unknown_runs) == (4 * 17, 4)
    for one in found.flagged:
        assert (one.episodes, one.flagged, one.share) == (4, 4, 1)
        assert one.false_events == 0


def test_known_faults_and_normal_traffic_are_told_apart():
    """What looks like a known fault passes among them, however unlike the normal it is."""
    found = judge(runs(strange=1, blocked=1))

    assert found.auroc_normal.value == 1
    assert found.auroc_faults.value == 0.5
    assert found.false_positives_normal == 0
    assert found.false_positives == pytest.approx(17 / (597 + 17))
    assert found.auroc.value == pytest.approx((597 + 17 / 2) / (597 + 17))


def test_without_a_known_fault_there_is_no_area_against_them():
    """A capture of normal runs and one incident is enough for all else."""
    links = [link(n, ("normal", 0, 60), ("odd", 1, 20)) for n in range(3)]

    found = judge(links)

    assert found.auroc_faults is None
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["auroc_faults"] is None


def test_what_has_no_name_and_is_not_asked_for_counts_nowhere():
    """A third fault is neither known nor the unknown one."""
    links = runs(strange=5)
    third = [*links, link(9, ("flapping", 99, 60), place="a")]

    one, other = judge(links), judge(third)

    assert one.auroc == other.auroc
    assert one.flagged == other.flagged


def test_an_episode_is_flagged_by_as_many_strange_windows_as_an_event_needs():
    """One wild window in twenty is no event, and two that are apart are none either."""
    wild = np.zeros(20)
    wild[[5, 9]] = 9
    pair = np.zeros(20)
    pair[[5, 6]] = 9
    links = [link(n, ("normal", 0, 600), ("odd", part, 20)) for n, part in enumerate((wild, pair))]

    found = judge(links)

    assert [(one.episodes, one.flagged) for one in found.flagged] == [(2, 1)] * 3


def test_each_stretch_is_an_episode():
    """A link that fails twice can be missed once."""
    parts = [("normal", 0, 100), ("odd", 5, 10), ("normal", 0, 100), ("odd", 0, 10)]
    links = [link(0, *parts), link(1, ("normal", 0, 100), ("odd", 5, 10))]

    found = judge(links)

    assert (found.flagged[0].episodes, found.flagged[0].flagged) == (3, 2)


def test_an_episode_counts_from_its_first_window_to_its_last():
    """A window that contains the change is judged too, and none that ends before or after it."""
    early, late = np.zeros(100), np.zeros(100)
    early[-2:] = late[:2] = 3
    links = [
        link(0, ("normal", early, 100), ("odd", 0, 10)),
        link(1, ("odd", 0, 10), ("normal", late, 100)),
        link(2, ("normal", 0, 100), ("odd", np.repeat([9, 0], [2, 8]), 10)),
    ]

    found = judge(links, budgets_a_day=[1e6])

    assert (found.flagged[0].episodes, found.flagged[0].flagged) == (3, 1)


def test_a_budget_buys_episodes():
    """Normal traffic is as strange as the fault at times: who finds the one, hears the other."""
    normal = np.zeros(600)
    normal[300:303] = 7
    few, many = judge(runs(strange=5, normal=normal), budgets_a_day=[1, 1e4]).flagged

    assert (few.threshold, few.flagged, few.false_events) == (7, 0, 0)
    assert (many.threshold, many.flagged) == (1 - 1, 4)
    assert many.false_events == 4
    assert few.normal_hours == many.normal_hours == pytest.approx(4 * 597 / 3600)
    assert many.crossed_a_day == pytest.approx(4 / (4 * 597 / 86_400))
    assert many.crossed_at_most > many.crossed_a_day


def test_no_false_event_in_an_hour_is_no_promise_for_a_day():
    """Three in that hour would have been as well possible."""
    one = judge(runs(strange=5)).flagged[0]

    assert one.crossed_a_day == 0
    assert one.crossed_at_most == pytest.approx(3.0 * 24 / one.normal_hours, rel=0.01)


def test_windows_that_the_daemon_would_refuse_are_not_judged():
    """Lost telemetry is not strange, and the time is not watched."""
    links = runs(strange=5)
    links[0].values[100:200] = np.nan

    found = judge(links)

    assert found.flagged[0].normal_hours < 4 * 597 / 3600
    assert np.isfinite(found.auroc.value)


def test_a_link_shorter_than_a_window_is_no_reason_to_end():
    """Captures hold what they hold."""
    found = judge([*runs(strange=5), link(8, ("odd", 5, 3)), link(9, ("normal", 5, 2))])

    assert found.flagged[0].episodes == 4


@pytest.mark.parametrize(("unknown", "known"), [(["nothing"], KNOWN), (["odd"], ("blocked",))])
def test_there_must_be_something_unknown_and_something_normal(unknown, known):
    """The message says what lacks."""
    with pytest.raises(EpisodeError, match="no window of"):
        judge(runs(strange=5), unknown=unknown, known=known)


def test_the_json_form_holds_the_numbers():
    """A pipeline reads it, and knows no NaN."""
    found = judge(runs(strange=5))

    data = json.loads(json.dumps(found.as_json(), allow_nan=False))

    assert data["auroc"]["value"] == 1
    assert [one["budget_a_day"] for one in data["flagged"]] == [0.1, 1.0, 10.0]
    assert data["flagged"][0]["share"] == 1
    assert data["unknown_runs"] == 4
