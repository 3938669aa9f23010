"""Counts of links: in arrays, and the same as one would count by hand."""

from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.drift.links import FIRST, SET_BACK_MS, Links

NOON = 1_700_000_000_000


def add(links, name, share, now, end_ms=NOON):
    """Count one window."""
    links.add([(name, end_ms)], np.array([[share, 0.0]], np.float32), now)


def due(links, *windows, span_ms=4000):
    """Give which of some windows, as (link, seconds), are due."""
    names = [name for name, _ in windows]
    ends_ms = [NOON + round(second * 1000) for _, second in windows]
    return links.due(names, ends_ms, span_ms).tolist()


def test_of_a_link_one_window_in_each_length_of_a_window_is_due():
    """Others have rows in common with it, and would count the same traffic again."""
    links = Links(3600)
    assert due(links, ("a", 0), ("b", 0), ("a", 1), ("", 1)) == [0, 1]
    add(links, "a", 0.5, 0.0)

    assert due(links, ("a", 3.999), ("a", 4), ("a", 5), ("b", 1)) == [1, 3]


def test_a_link_whose_clock_was_set_back_is_due_again():
    """One wrong clock must not silence a link for ever."""
    links = Links(3600)
    add(links, "a", 0.5, 0.0, NOON)

    assert due(links, ("a", -SET_BACK_MS / 1000)) == []
    assert due(links, ("a", -SET_BACK_MS / 1000 - 1)) == [0]


def test_what_was_counted_fades():
    """What was seen a day ago is no news; what stays counts as it was weighed."""
    links = Links(100.0)
    add(links, "a", 1.0, 0.0)
    weights, sums = links.counts(50.0)

    assert weights.tolist() == pytest.approx([exp(-0.5)])
    assert sums[0].tolist() == pytest.approx([exp(-0.5), 0.0])
    add(links, "a", 0.0, 50.0)
    weights, sums = links.counts(50.0)
    assert weights.tolist() == pytest.approx([exp(-0.5) + 1])
    assert sums[0, 0] == pytest.approx(exp(-0.5))


def test_links_that_are_gone_are_forgotten_and_their_room_is_used_again():
    """Memory is that of the links that there are."""
    links = Links(1e9)
    for name in "abc":
        add(links, name, 1.0, 0.0)
    links.keep({"a", "c"})
    add(links, "d", 0.0, 0.0)

    assert len(links) == 3
    assert links.names([0, 1, 2]) == ["a", "c", "d"]
    assert links.counts(0.0)[1][:, 0].tolist() == [1.0, 1.0, 0.0]
    assert due(links, ("b", 0)) == [0]


def test_there_is_room_for_any_number():
    """It grows, and what was counted before is kept."""
    links = Links(1e9)
    for number in range(5 * FIRST):
        add(links, f"trunk-{number}", number, 0.0)

    weights, sums = links.counts(0.0)

    assert sums[:, 0].tolist() == list(range(5 * FIRST))
    assert weights.tolist() == [1.0] * (5 * FIRST)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefg"), st.floats(0, 1, width=32), st.booleans()),
        max_size=60,
    )
)
def test_it_counts_as_one_would_by_hand(windows):
    """Arrays are for speed only."""
    links, plain = Links(50.0), {}
    for now, (name, share, is_kept) in enumerate(windows):
        add(links, name, share, float(now))
        plain.setdefault(name, []).append((now, share))
        if not is_kept:
            links.keep(set(plain) - {name})
            del plain[name]
    weights, sums = links.counts(100.0)

    names = links.names(range(len(links)))

    assert set(names) == set(plain)
    for name, weight, some in zip(names, weights, sums, strict=True):
        faded = [(exp((now - 100) / 50), share) for now, share in plain[name]]
        assert weight == pytest.approx(sum(fade for fade, _ in faded))
        assert some[0] == pytest.approx(sum(fade * share for fade, share in faded), abs=1e-9)
