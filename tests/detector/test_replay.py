"""Replay: which windows a capture gives, and in which order they would have come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.capture import LinkCapture
from detector.message import decode, encode
from detector.replay import SOURCE, Replay
from tests.fakes import NOON_MS, make_rows, make_spec

SPEC = make_spec()


def capture(link="run-1/access", rows=10, start_ms=NOON_MS, gaps=()):
    """Make a link's capture whose first counter is the number of its row; *gaps* are not seen."""
    values = make_rows("normal", rows)
    values[:, 0] = np.arange(rows)
    values[list(gaps)] = np.nan
    nothing = np.full(rows, None, object)
    return LinkCapture(link, start_ms, 1000, values, nothing, nothing)


def first_rows(replay):
    """Tell at which row each window starts."""
    return [(window.start_ms - NOON_MS) // 1000 for window in replay]


def test_every_window_of_a_link_comes_once():
    """What is replayed is to be what the link reported, window after window."""
    replay = Replay([capture()], SPEC, hop_ms=1000)

    windows = list(replay)

    assert len(replay) == len(windows) == 7
    assert first_rows(replay) == list(range(7))
    for row, window in enumerate(windows):
        assert (window.link, window.source) == ("run-1/access", SOURCE)
        assert window.start_ms == NOON_MS + row * 1000
        assert window.end_ms == window.start_ms + 4000 == replay.due_ms[row]
        assert window.values[:, 0].tolist() == [row, row + 1, row + 2, row + 3]


@pytest.mark.parametrize(
    ("hop_ms", "rows"), [(1, [0, 1, 2, 3, 4, 5, 6]), (2000, [0, 2, 4, 6]), (5000, [0, 5])]
)
def test_the_hop_is_the_time_from_a_window_to_the_next(hop_ms, rows):
    """A longer hop is how a small machine keeps up; none is shorter than a step."""
    replay = Replay([capture()], SPEC, hop_ms=hop_ms)

    assert first_rows(replay) == rows


def test_links_are_mixed_by_when_their_windows_are_complete():
    """Live links report side by side, not one after the other."""
    links = [capture("a/1", start_ms=NOON_MS + 500), capture("b/1"), capture("c/1")]

    replay = Replay(links, SPEC, hop_ms=1000)

    assert [window.link for window in replay][:6] == ["b/1", "c/1", "a/1"] * 2
    assert (np.diff(replay.due_ms) >= 0).all()


def test_side_by_side_every_run_begins_at_once_and_keeps_its_own_time():
    """Runs were recorded on different days; a demonstration can't wait for days."""
    tuesday_ms = NOON_MS + 86_400_000
    links = [
        capture("mon/access"),
        capture("tue/access", start_ms=tuesday_ms),
        capture("tue/core", start_ms=tuesday_ms + 2000),
    ]

    replay = Replay(links, SPEC, hop_ms=1000, side_by_side=True)
    windows = list(replay)

    assert [window.link for window in windows[:4]] == ["mon/access", "tue/access"] * 2
    assert windows[1].start_ms == tuesday_ms
    first_core = next(row for row, window in enumerate(windows) if window.link == "tue/core")
    assert replay.due_ms[first_core] - replay.due_ms[0] == 2000


def test_a_window_with_too_many_gaps_is_left_out():
    """A replay must not send what the daemon would refuse."""
    replay = Replay([capture(rows=12, gaps=(4, 5, 6))], SPEC, hop_ms=1000)

    assert first_rows(replay) == [0, 1, 2, 5, 6, 7, 8]


def test_a_link_that_is_shorter_than_a_window_gives_none():
    """A probe that was started by mistake is no reason to stop a replay of all others."""
    replay = Replay([capture("a/1", rows=3), capture("b/1", rows=4)], SPEC, hop_ms=1000)

    assert [window.link for window in replay] == ["b/1"]


@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 12))
def test_the_replay_sends_just_what_the_daemon_takes(steps, observed, needed):
    """Quality is measured on the windows of a replay; they must be those that count live."""
    observed, needed = min(observed, steps), min(needed, steps)
    spec = make_spec(steps=steps, min_observed=needed / steps, optional=())
    link = capture(rows=steps, gaps=range(observed, steps))
    link.values[:observed] = 1
    window = Replay([capture(rows=steps)], make_spec(steps=steps), hop_ms=1000)[0]
    window.values[:] = link.values

    replayed = len(Replay([link], spec, hop_ms=1000))
    taken = len(decode(encode([window], spec), spec)[0])

    assert replayed == taken == (observed >= needed)
