"""Recall: what is counted, and what is left out."""

import pytest

from detector.oncall.recall import FEWEST, OUTCOMES, REMEMBERED, Recall, Result


def add(recall, *outcomes, label="blocked", delay=6.0):
    """Add outcomes, each found after the same time."""
    for outcome in outcomes:
        recall.add(Result(label, "trunk-1", 0, outcome, delay if outcome == "found" else None))


def test_all_labels_and_outcomes_are_there_from_the_start():
    """A counter that appears with the first miss has no rate when it matters."""
    scores = Recall(("blocked", "capacity-limited")).scores()

    assert list(scores) == ["blocked", "capacity-limited"]
    assert scores["blocked"].outcomes == dict.fromkeys(OUTCOMES, 0)
    assert scores["blocked"].recall is None
    assert scores["blocked"].delay_seconds is None


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["found"] * FEWEST, 1.0),
        (["found"] * (FEWEST - 1), None),
        (["found"] * 4 + ["missed"], 0.8),
        (["found"] * 4 + ["renamed"], 0.8),
        (["found"] * 4 + ["void"] * 9, None),
        (["found"] * 5 + ["void"] * 9, 1.0),
        (["missed"] * REMEMBERED + ["found"] * REMEMBERED, 1.0),
        (["found"] * REMEMBERED + ["missed"] * 5, 1 - 5 / REMEMBERED),
    ],
)
def test_recall_is_the_share_found_of_the_last_that_could_be(outcomes, expected):
    """A link that goes away says nothing of the encoder; an hour-old success neither."""
    recall = Recall(("blocked",))

    add(recall, *outcomes)

    assert recall.scores()["blocked"].recall == expected
    assert sum(recall.scores()["blocked"].outcomes.values()) == len(outcomes)


def test_the_delay_is_the_median_of_those_found():
    """One that was missed has no delay, and is no zero."""
    recall = Recall(("blocked",))

    for delay in (4.0, 20.0, 6.0):
        add(recall, "found", "missed", delay=delay)

    assert recall.scores()["blocked"].delay_seconds == 6.0


def test_labels_are_counted_apart():
    """A detector may be blind to one fault only."""
    recall = Recall(("blocked", "capacity-limited"))

    add(recall, *["missed"] * 5)
    add(recall, *["found"] * 5, label="capacity-limited")

    assert [score.recall for score in recall.scores().values()] == [0.0, 1.0]
