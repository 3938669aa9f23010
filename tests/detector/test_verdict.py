"""Verdicts: what is said of a window, and when a change that it makes is news."""

import msgspec
import numpy as np
import pytest

from detector.anchors import AnchorSet
from detector.bundle import Anchor
from detector.config import State
from detector.oncall.roster import events_of
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
    """Judge windows at given places, one second apart: verdicts, turns, and events of these."""
    anchors = AnchorSet(POINTS, [anchor.label for anchor in ANCHORS])
    judge = Judge(ANCHORS, anchors.labels, Steady(anchors.labels, State(hold_seconds=0)), "b1")

    def give(*places, first=0, links=(), seconds=(), strangeness=None, opinions=()):
        links = links or ["trunk-1"] * len(places)
        seconds = seconds or range(first, first + len(places))
        windows = [
            make_window(link, start_ms=NOON_MS + second * 1000)
            for link, second in zip(links, seconds, strict=True)
        ]
        embeddings = np.array([PLACES[place] for place in places], np.float32)
        strange = None if strangeness is None else np.array(strangeness, np.float32)
        verdicts, turns = judge.judge(windows, anchors.classify(embeddings), strange, opinions)
        events = [
            event
            for place, some in turns.items()
            for turn in some
            for event in events_of(turn, verdicts[place], verdicts[place].reason)
        ]
        return verdicts, turns, events

    return give


def test_a_verdict_says_what_it_is_about_and_why(judge_all):
    """An engineer has to see from one line what was seen, when, and what it resembles."""
    (verdict,), turns, events = judge_all("blocked")

    assert (verdict.link, verdict.source, verdict.bundle) == ("trunk-1", "probe-1", "b1")
    assert (verdict.start_ms, verdict.end_ms) == (NOON_MS, NOON_MS + 4000)
    assert (verdict.label, verdict.state, verdict.anchor) == ("blocked", None, "filter")
    assert verdict.distance == pytest.approx(0.2)
    assert verdict.margin == pytest.approx(0.6)
    assert verdict.distances == pytest.approx({"normal": 0.8, "blocked": 0.2})
    assert verdict.reason == "like filter (filter on the way), 0.20 away; normal is 0.80 away"
    assert verdict.strangeness == 0
    assert (turns, events) == ({}, [])


def test_what_is_normal_needs_no_reason(judge_all):
    """Nobody reads a reason for nothing, a hundred times a second."""
    (verdict,), _, _ = judge_all("normal")

    assert verdict.label == "normal"
    assert verdict.reason == ""


@pytest.mark.parametrize(
    ("strangeness", "label"),
    [(0.99, "blocked"), (1.0, "blocked"), (1.01, "unknown"), (50.0, "unknown")],
)
def test_what_is_too_strange_is_unknown_and_not_what_it_is_nearest_to(
    judge_all, strangeness, label
):
    """The nearest of three faults is no diagnosis where all three are far."""
    (verdict,), _, _ = judge_all("blocked", strangeness=[strangeness])

    assert verdict.label == label
    assert verdict.strangeness == pytest.approx(strangeness)
    # What it is nearest to is said all the same: it may be where to begin.
    assert (verdict.anchor, verdict.distance) == ("filter", pytest.approx(0.2))
    assert verdict.distances == pytest.approx({"normal": 0.8, "blocked": 0.2})


@pytest.mark.parametrize(
    ("place", "most"),
    [
        ("blocked", "like filter (filter on the way), 0.20 away; normal is 0.80 away"),
        ("normal", "like calm (quiet day), 0.10 away; blocked is 0.90 away"),
    ],
)
def test_what_is_unknown_says_how_strange_it_is_and_what_it_is_most_like(judge_all, place, most):
    """Also where that is normal: a link that is well needs no reason, an unknown one does."""
    (verdict,), _, _ = judge_all(place, strangeness=[1.5])

    far = "unlike anything known, 1.50 times as far as allowed; most "
    assert verdict.reason == far + most


def test_each_verdict_has_the_strangeness_of_its_own_window(judge_all):
    """One that slipped by a place would be another link's alarm."""
    verdicts, _, _ = judge_all("blocked", "normal", "cable", strangeness=[0.5, 2.0, 0.25])

    assert [verdict.strangeness for verdict in verdicts] == [0.5, 2.0, 0.25]
    assert [verdict.label for verdict in verdicts] == ["blocked", "unknown", "blocked"]


def test_what_stays_strange_is_an_unknown_fault_that_ends(judge_all):
    """Nobody has a name for it yet, and still somebody has to look."""
    strangeness = [0.3] * 3 + [2.0] * 3 + [0.3] * 3

    verdicts, _, (onset, end) = judge_all(*["normal"] * 9, strangeness=strangeness)

    assert [verdict.state for verdict in verdicts] == [
        *(None, "normal", "normal", "normal", "unknown", "unknown", "unknown", "normal", "normal"),
    ]
    assert (onset.type, onset.state, onset.previous) == ("onset", "unknown", "normal")
    assert onset.reason.startswith("unlike anything known")
    assert (end.type, end.state, end.previous) == ("abated", "normal", "unknown")


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
    # Nor does one that can't tell how strange a window is say that it is not.
    strange = msgspec.json.encode(
        msgspec.structs.replace(verdict, opinion="normal", strangeness=1.5)
    )
    assert strange == with_opinion[:-1] + b',"strangeness":1.5}'


def test_a_change_carries_the_window_that_settled_it(judge_all):
    """Whoever is called sees what was seen last, and not what was seen first."""
    verdicts, turns, (event,) = judge_all("blocked", "cable", "blocked")

    (turn,) = turns[1]
    assert list(turns) == [1]
    assert (turn.link, turn.source, turn.state) == ("trunk-1", "probe-1", "blocked")
    assert event.verdict == verdicts[1]
    assert event.verdict.end_ms == event.at_ms == turn.at_ms
    assert event.reason == verdicts[1].reason != ""


def test_onset_and_end_of_a_fault_are_an_event_each(judge_all):
    """One alert goes up and comes down again, however many windows there were between."""
    labels = ["normal", "normal", "blocked", "cable", "blocked", "normal", "normal", "normal"]

    verdicts, turns, (onset, end) = judge_all(*labels)

    states = [None, "normal", "normal", "blocked", "blocked", "blocked", "normal", "normal"]
    assert [verdict.state for verdict in verdicts] == states
    assert list(turns) == [1, 3, 6]
    assert (onset.type, onset.link, onset.source) == ("onset", "trunk-1", "probe-1")
    assert (onset.state, onset.previous) == ("blocked", "normal")
    assert (onset.since_ms, onset.at_ms) == (NOON_MS + 6000, NOON_MS + 7000)
    assert onset.verdict == verdicts[3]
    assert (end.type, end.link, end.source) == ("abated", "trunk-1", "probe-1")
    assert (end.state, end.previous) == ("normal", "blocked")
    assert (end.since_ms, end.at_ms) == (NOON_MS + 9000, NOON_MS + 10_000)
    assert end.episode == onset.episode
    assert end.duration_ms == 3000
    assert end.worst_margin == pytest.approx(0.8)  # of the cable
    assert end.verdict == verdicts[6]


def test_a_link_that_is_first_seen_and_is_well_is_no_news(judge_all):
    """A restart must not send an event for each of ten thousand links."""
    verdicts, turns, events = judge_all("normal", "normal", "normal")

    assert verdicts[-1].state == "normal"
    assert [turn.state for some in turns.values() for turn in some] == ["normal"]
    assert events == []


def test_a_link_that_is_first_seen_and_is_ill_is_news(judge_all):
    """A fault that was there before the daemon must not stay unsaid."""
    _, _, (event,) = judge_all("blocked", "blocked", "blocked")

    assert (event.type, event.state, event.previous) == ("onset", "blocked", None)


def test_a_change_between_batches_is_found_as_well(judge_all):
    """Where a batch ends says nothing of the link."""
    _, _, before = judge_all("normal", "normal", "blocked")
    _, turns, after = judge_all("blocked", first=3)

    assert before == []
    assert list(turns) == [0]
    assert [(event.state, event.previous) for event in after] == [("blocked", "normal")]


def test_a_repeat_is_judged_but_is_no_event_again(judge_all):
    """After a crash a batch is read twice, and a pager must not ring twice."""
    judge_all("normal", "normal", "blocked", "blocked")

    verdicts, turns, events = judge_all("normal", "normal", "blocked", "blocked")

    assert [verdict.label for verdict in verdicts] == ["normal", "normal", "blocked", "blocked"]
    assert {verdict.state for verdict in verdicts} == {"blocked"}
    assert (turns, events) == ({}, [])


def test_links_of_one_batch_turn_each_by_itself(judge_all):
    """One cable takes many links down in one second, and each of them is to be told."""
    labels = ["normal"] * 4 + ["blocked", "cable"] * 2
    seconds = [0, 0, 1, 1, 2, 2, 3, 3]

    verdicts, turns, events = judge_all(*labels, links="ab" * 4, seconds=seconds)

    assert [verdict.link for verdict in verdicts] == [*"ab" * 4]
    turned = {place: [turn.link for turn in some] for place, some in turns.items()}
    assert turned == {2: ["a"], 3: ["b"], 6: ["a"], 7: ["b"]}
    assert [(event.link, event.verdict.anchor) for event in events] == [
        *(("a", "filter"), ("b", "cable")),
    ]


def test_verdicts_come_in_the_order_of_the_windows(judge_all):
    """A verdict that goes to another window's link is the worst mistake of all."""
    labels = ["blocked", "normal", "cable", "normal"]

    verdicts, _, _ = judge_all(*labels)

    assert [verdict.anchor for verdict in verdicts] == ["filter", "calm", "cable", "calm"]
    assert [verdict.start_ms for verdict in verdicts] == [NOON_MS + n * 1000 for n in range(4)]


def test_each_verdict_has_the_second_opinion_of_its_own_window(judge_all):
    """Where both answer, that they agree says more than either alone."""
    places, opinions = ["blocked", "normal", "cable"], ["normal", "limited", "blocked"]

    verdicts, _, _ = judge_all(*places, opinions=opinions)

    assert [verdict.opinion for verdict in verdicts] == opinions
    assert [verdict.label for verdict in verdicts] == ["blocked", "normal", "blocked"]


def test_a_second_opinion_decides_nothing(judge_all):
    """It knows no anchor that was enrolled since, so neither label nor state may follow it."""
    (verdict, _), _, (event,) = judge_all("blocked", "blocked", opinions=["normal", "normal"])

    assert verdict.label == event.state == "blocked"
    assert verdict.reason.startswith("like filter")


def test_without_a_second_opinion_there_is_none(judge_all):
    """An empty one would read as a label of no name."""
    (verdict,), _, _ = judge_all("blocked")

    assert verdict.opinion == ""
    assert b"opinion" not in msgspec.json.encode(verdict)


def test_opinions_of_another_number_of_windows_are_refused(judge_all):
    """One that slipped by a place would be another window's."""
    with pytest.raises(ValueError, match="zip"):
        judge_all("blocked", "normal", opinions=["normal"])
    with pytest.raises(ValueError, match="zip"):
        judge_all("blocked", "normal", strangeness=[0.5])
