"""Reason: one sentence that an engineer on call can read."""

import math

import pytest

from detector.oncall.reason import Part, Reason

NAN = math.nan


def part(feature="rev_2xx", usual=21.0, now=0.0, begun=9.0, over=0.0, share=0.5):
    """Make a part: answers that stopped 9 seconds ago, unless told otherwise."""
    return Part(feature, usual, now, begun, over, share)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (part(), "rev_2xx stopped (usually 21/s), last 9 s"),
        (part(now=0.4), "rev_2xx fell from 21/s to 0.4/s, last 9 s"),
        (part(now=66.66), "rev_2xx rose 3.2 times (21/s to 67/s), last 9 s"),
        (part(now=14_700.4), "rev_2xx rose from 21/s to 14,700/s, last 9 s"),
        (part(usual=0.0, now=38.8), "rev_2xx began (39/s), last 9 s"),
        (part(usual=0.01, now=38.8), "rev_2xx began (39/s), last 9 s"),
        (part(usual=NAN, now=38.8), "rev_2xx began (39/s), last 9 s"),
        (part(now=NAN), "rev_2xx was not observed any more (usually 21/s), last 9 s"),
        (
            part("fwd_response_ms", 0.14, 555.4),
            "fwd_response_ms rose from 0.14 to 555, last 9 s",
        ),
        (part("fwd_response_ms", 20.0, 0.0), "fwd_response_ms fell from 20 to 0, last 9 s"),
        (part("fwd_response_ms", 0.0, 20.0), "fwd_response_ms rose from 0 to 20, last 9 s"),
        (part("fwd_response_ms", NAN, 20.0), "fwd_response_ms began (20), last 9 s"),
        (part(begun=13.0, over=4.0), "rev_2xx stopped (usually 21/s), from 13 s to 4 s ago"),
        (part(begun=0.5), "rev_2xx stopped (usually 21/s), last 0.5 s"),
    ],
)
def test_each_kind_of_change_has_its_words(one, text):
    """Words and numbers are the reader's own: rates, and since when."""
    assert Reason((one,), 1.0).text == text


def test_changes_at_one_moment_make_one_sentence():
    """What began together, to within two steps, is one thing to an engineer."""
    parts = (
        part(),
        part("fwd_invite", 2.1, 6.7, begun=11.0),
        part("fwd_ack", 2.0, 0.0, begun=7.0),
    )

    text = Reason(parts, 1.0).text

    assert text == (
        "rev_2xx stopped (usually 21/s) while fwd_invite rose 3.2 times (2.1/s to 6.7/s)"
        " and fwd_ack stopped (usually 2/s), last 9 s"
    )


@pytest.mark.parametrize(
    ("other", "when"),
    [({"begun": 12.0}, "last 12 s"), ({"over": 3.0}, "from 9 s to 3 s ago")],
)
def test_changes_at_different_moments_are_told_apart(other, when):
    """Which came first is half the story."""
    text = Reason((part(), part("fwd_ack", **other)), 1.0).text

    assert text == (
        f"rev_2xx stopped (usually 21/s), last 9 s; fwd_ack stopped (usually 21/s), {when}"
    )


def test_two_steps_are_longer_where_steps_are():
    """A link that reports once in ten seconds can't be placed to the second."""
    parts = (part(begun=90.0), part("fwd_ack", begun=110.0))

    assert "while" in Reason(parts, 10.0).text
    assert "while" not in Reason(parts, 1.0).text


def test_three_features_are_named_at_most():
    """Nobody reads a list of twenty at night."""
    parts = tuple(part(f"feature_{number}", share=0.25) for number in range(4))

    text = Reason(parts, 1.0).text

    assert "feature_2" in text
    assert "feature_3" not in text


def test_what_hardly_counts_is_not_named():
    """Beside what made the fault, the rest is a distraction; alone it is all there is."""
    small = part("fwd_ack", share=0.09)

    assert "fwd_ack" not in Reason((part(share=0.9), small), 1.0).text
    assert "fwd_ack" in Reason((small,), 1.0).text


def test_a_comparison_with_the_reference_is_called_one():
    """Then the usual values are not the link's own."""
    text = Reason((part(),), 1.0, by_reference=True).text

    assert text == ("rev_2xx stopped (usually 21/s), last 9 s, compared with the normal reference")


def test_without_parts_the_sentence_says_so():
    """An empty reason would look like a mistake."""
    assert Reason((), 1.0).text == "no feature by itself is far from usual"
