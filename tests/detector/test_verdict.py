"""Verdicts and events: what is said of a window, and when a change is news."""

import json

import msgspec
import numpy as np
import pytest

from detector.anchors import AnchorSet
from detector.bundle import Anchor
from detector.state import Steady
from detector.verdict import Judge, Verdict
from tests.fakes import NOON_MS, make_window

ANCHORS = (
    Anchor("calm", "normal", "quiet day", "lab-1", 0),
    Anchor("cable", "blocked", "cable pulled", "lab-2", 0),
    Anchor("filter", "blocked", "filter on the way", "lab-2", 0),
)
POINTS = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
PLACES = {"normal": (0.1, 0.0), "blocked": (0.0, 0.8), "cable": (0.9, 0.0)}


@pytest.fixture
def judge_all():
    """Judge windows at given places, one second apart, and give verdicts and events."""
    anchors = AnchorSet(POINTS, [anchor.label for anchor in ANCHORS])
    judge = Judge(ANCHORS, anchors.labels, Steady(2, 3), "b1")

    def give(*places, link="trunk-1", first=0, opinions=()):
        windows = [
            make_window(link, start_ms=NOON_MS + (first + row) * 1000)
            for row in range(len(places))
        ]
        embeddings = np.array([PLACES[place] for place in places], np.float32)
        return judge.judge(windows, anchors.classify(embeddings), 0.0, opinions)

    return give


def test_a_verdict_says_what_it_is_about_and_why(judge_all):
    """An engineer has to see from one line what was seen, when, and what it resembles."""
    (verdict,), events = judge_all("blocked")

    assert (verdict.link, verdict.source, verdict.bundle) == ("trunk-1", "probe-1", "b1")
    assert (verdict.start_ms, verdict.end_ms) == (NOON_MS, NOON_MS + 4000)
    assert (verdict.label, verdict.state, verdict.anchor) == ("blocked", None, "filter")
    assert verdict.distance == pytest.approx(0.2)
    assert verdict.margin == pytest.approx(0.6)
    assert verdict.distances == pytest.approx({"normal": 0.8, "blocked": 0.2})
    assert verdict.reason == "like filter (filter on the way), 0.20 away; normal is 0.80 away"
    assert events == []


def test_what_is_normal_needs_no_reason(judge_all):
    """Nobody reads a reason for nothing, a hundred times a second."""
    (verdict,), _ = judge_all("normal")

    assert verdict.label == "normal"
    assert verdict.reason == ""


def test_a_verdict_is_json_with_these_fields():
    """Others read the topic; a field that changes its name is a change of contract."""
    verdict = Verdict(
        "t", "p", 1, 2, "blocked", None, 0.25, 0.5, "cable", {"blocked": 0.25}, "b1", "like cable"
    )

    text = msgspec.json.encode(verdict)

    assert text == (
        b'{"link":"t","source":"p","start_ms":1,"end_ms":2,"label":"blocked","state":null,'
        b'"distance":0.25,"margin":0.5,"anchor":"cable","distances":{"blocked":0.25},'
        b'"bundle":"b1","reason":"like cable"}'
    )
    assert b"reason" not in msgspec.json.encode(msgspec.structs.replace(verdict, reason=""))
    # A bundle without a second opinion says nothing of one, and with one it comes last.
    with_opinion = msgspec.json.encode(msgspec.structs.replace(verdict, opinion="normal"))
    assert with_opinion == text[:-1] + b',"opinion":"normal"}'


def test_an_event_is_json_with_these_fields(judge_all):
    """An alert is made from this text by somebody else's program."""
    _, (event,) = judge_all("blocked", "blocked")

    tree = json.loads(msgspec.json.encode(event))

    assert list(tree) == ["link", "state", "previous", "at_ms", "since_ms", "verdict"]
    assert tree["verdict"]["end_ms"] == tree["at_ms"]


def test_onset_and_end_of_a_fault_are_an_event_each(judge_all):
    """One alert goes up and comes down again, however many windows there were between."""
    labels = ["normal", "normal", "blocked", "cable", "blocked", "normal", "normal", "normal"]

    verdicts, (onset, end) = judge_all(*labels)

    states = [None, "normal", "normal", "blocked", "blocked", "blocked", "normal", "normal"]
    assert [verdict.state for verdict in verdicts] == states
    assert (onset.link, onset.state, onset.previous) == ("trunk-1", "blocked", "normal")
    assert (onset.since_ms, onset.at_ms) == (NOON_MS + 6000, NOON_MS + 7000)
    assert onset.verdict == verdicts[3]
    assert (end.state, end.previous) == ("normal", "blocked")
    assert (end.since_ms, end.at_ms) == (NOON_MS + 9000, NOON_MS + 10_000)


def test_a_link_that_is_first_seen_and_is_well_is_no_news(judge_all):
    """A restart must not send an event for each of ten thousand links."""
    verdicts, events = judge_all("normal", "normal", "normal")

    assert verdicts[-1].state == "normal"
    assert events == []


def test_a_link_that_is_first_seen_and_is_ill_is_news(judge_all):
    """A fault that was there before the daemon must not stay unsaid."""
    _, (event,) = judge_all("blocked", "blocked", "blocked")

    assert (event.state, event.previous) == ("blocked", None)


def test_a_change_between_batches_is_found_as_well(judge_all):
    """Where a batch ends says nothing of the link."""
    _, before = judge_all("normal", "normal", "blocked")
    _, after = judge_all("blocked", first=3)

    assert before == []
    assert [(event.state, event.previous) for event in after] == [("blocked", "normal")]


def test_a_repeat_is_judged_but_is_no_event_again(judge_all):
    """After a crash a batch is read twice, and a pager must not ring twice."""
    judge_all("normal", "normal", "blocked", "blocked")

    verdicts, events = judge_all("normal", "normal", "blocked", "blocked")

    assert [verdict.label for verdict in verdicts] == ["normal", "normal", "blocked", "blocked"]
    assert {verdict.state for verdict in verdicts} == {"blocked"}
    assert events == []


def test_verdicts_come_in_the_order_of_the_windows(judge_all):
    """A verdict that goes to another window's link is the worst mistake of all."""
    labels = ["blocked", "normal", "cable", "normal"]

    verdicts, _ = judge_all(*labels)

    assert [verdict.anchor for verdict in verdicts] == ["filter", "calm", "cable", "calm"]
    assert [verdict.start_ms for verdict in verdicts] == [NOON_MS + n * 1000 for n in range(4)]


def test_each_verdict_has_the_second_opinion_of_its_own_window(judge_all):
    """Where both answer, that they agree says more than either alone."""
    places, opinions = ["blocked", "normal", "cable"], ["normal", "limited", "blocked"]

    verdicts, _ = judge_all(*places, opinions=opinions)

    assert [verdict.opinion for verdict in verdicts] == opinions
    assert [verdict.label for verdict in verdicts] == ["blocked", "normal", "blocked"]


def test_a_second_opinion_decides_nothing(judge_all):
    """It knows no anchor that was enrolled since, so neither label nor state may follow it."""
    (verdict, _), (event,) = judge_all("blocked", "blocked", opinions=["normal", "normal"])

    assert verdict.label == event.state == "blocked"
    assert verdict.reason.startswith("like filter")


def test_without_a_second_opinion_there_is_none(judge_all):
    """An empty one would read as a label of no name."""
    (verdict,), _ = judge_all("blocked")

    assert verdict.opinion == ""
    assert b"opinion" not in msgspec.json.encode(verdict)


def test_opinions_of_another_number_of_windows_are_refused(judge_all):
    """One that slipped by a place would be another window's."""
    with pytest.raises(ValueError, match="zip"):
        judge_all("blocked", "normal", opinions=["normal"])
