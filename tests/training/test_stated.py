"""What states the daemon's rule gives a link, by whoever asks with embeddings alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.anchors import AnchorSet
from detector.bundle import Anchor
from detector.config import State
from detector.oncall.strangeness import Calibration, Known, Strangeness, Tail
from detector.state import Steady
from detector.verdict import Judge
from tests.fakes import NOON_MS, make_window
from training.stated import by_the_rule

LABELS = ("blocked", "limited", "normal")
POINTS = np.eye(3, dtype=np.float32)
ANCHORS = AnchorSet(POINTS, LABELS)
SPAN_MS = 4000
KNOWN = Known(POINTS, Calibration(1.0, Tail(0.5, 1, 168.0, 0.5), {}, neighbours=1))
STRANGENESS = Strangeness(KNOWN, LABELS, 5.0)
PLACES = st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 3), max_size=40)


def points_of(*labels):
    """Give embeddings that lie on the anchors of these labels."""
    return POINTS[[LABELS.index(label) for label in labels]]


def seconds(count):
    """Give the ends of so many windows, a second apart."""
    return NOON_MS + SPAN_MS + 1000 * np.arange(count)


@given(PLACES, st.sampled_from([State(), State(evidence=8.0), State(hold_seconds=0, doubt=0.3)]))
@pytest.mark.parametrize("strangeness", [None, STRANGENESS])
def test_states_are_those_of_the_verdicts_on_the_same_windows(strangeness, places, rule):
    """What a rule is worth is measured with this, and what it does is done with the other."""
    points = np.array(places, np.float32).reshape(-1, 3)

    states = by_the_rule(ANCHORS, SPAN_MS, rule, strangeness)(points, seconds(len(points)))

    named = [Anchor(label, label, label, "lab", 0) for label in LABELS]
    judge = Judge(named, ANCHORS.labels, Steady(ANCHORS.labels, rule), "b1")
    windows = [make_window(start_ms=NOON_MS + n * 1000) for n in range(len(points))]
    verdicts = []
    if windows:
        nearest = ANCHORS.classify(points)
        strange = strangeness(points, nearest.label) if strangeness else None
        verdicts, _ = judge.judge(windows, nearest, strange)
    assert states == [verdict.state for verdict in verdicts]


def test_each_link_begins_anew():
    """One function serves all links of a recording, and none of them inherits another's fault."""
    states = by_the_rule(ANCHORS, SPAN_MS, State(hold_seconds=0))
    ill, well = points_of(*["blocked"] * 9), points_of(*["normal"] * 9)

    told = [states(points, seconds(9)) for points in (ill, well, ill)]

    assert told[0] == told[2] == [None] + ["blocked"] * 8
    assert told[1] == [None] + ["normal"] * 8


def test_of_no_windows_there_are_no_states():
    """A link that is shorter than a window is no error."""
    assert by_the_rule(ANCHORS, SPAN_MS)(np.empty((0, 3), np.float32), seconds(0)) == []


def test_what_is_strange_is_unknown():
    """A picture of a link shows the unknown as the daemon would call it."""
    points = np.concatenate([points_of(*["normal"] * 9), np.full((9, 3), 5.0, np.float32)])

    blind, seeing = (
        by_the_rule(ANCHORS, SPAN_MS, State(), strangeness)(points, seconds(18))
        for strangeness in (None, STRANGENESS)
    )

    assert "unknown" not in blind
    assert seeing[-1] == "unknown"


def test_time_counts_and_not_windows():
    """A recording with a window every ten seconds is judged as a link that reports so seldom."""
    points = points_of(*["normal"] * 6, *["blocked"] * 6)
    rule = State(evidence=20.0, hold_seconds=0)

    often, seldom = (
        by_the_rule(ANCHORS, SPAN_MS, rule)(points, NOON_MS + step_ms * np.arange(12))
        for step_ms in (1000, 3000)
    )

    assert often.count("blocked") < seldom.count("blocked")
