"""Regularity is claimed where chance would hardly do that, and not elsewhere."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.naming.regular import DAY_MS, HOUR_MS, LUCK, MONDAY_MS, WEEK_MS, regularity

MINUTE_MS = 60_000


def test_times_by_chance_are_hardly_ever_called_regular():
    """Who is told of Tuesdays plans by it."""
    rng = np.random.default_rng(1)
    claims = 0
    for _ in range(3000):
        onsets = rng.integers(0, 8 * WEEK_MS, rng.integers(3, 12))
        claims += regularity(onsets.tolist()) is not None

    assert claims <= LUCK * 3000


@given(st.integers(0, 6), st.integers(0, 23), st.integers(3, 8), st.randoms())
def test_what_comes_every_week_is_found(day, hour, weeks, random):
    """A backup on Tuesday nights is a backup."""
    at_ms = MONDAY_MS + day * DAY_MS + hour * HOUR_MS + 30 * MINUTE_MS
    onsets = [
        at_ms + week * WEEK_MS + random.randint(-10, 10) * MINUTE_MS for week in range(weeks)
    ]

    found = regularity(onsets)

    assert found is not None
    assert found.occasions == found.of == weeks
    name = ("Mon", "Tues", "Wednes", "Thurs", "Fri", "Satur", "Sun")[day]
    assert found.text.startswith(f"{name}days {hour:02}:")


def test_many_links_at_once_are_one_occasion():
    """A common cause makes no habit: three links on one Tuesday say nothing of Tuesdays."""
    assert regularity([0, MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS]) is None


def test_a_link_that_flaps_for_a_day_is_one_occasion():
    """What comes every half an hour comes at no hour."""
    assert regularity([n * 30 * MINUTE_MS for n in range(48)]) is None


def test_most_is_enough_and_said_so():
    """One odd occasion does not hide a habit."""
    tuesdays = [MONDAY_MS + DAY_MS + week * WEEK_MS for week in range(5)]

    found = regularity([*tuesdays, MONDAY_MS + 4 * DAY_MS + 7 * HOUR_MS])

    assert found is not None
    assert (found.text, found.occasions, found.of) == ("Tuesdays 00:00", 5, 6)


def test_every_day_is_said_once_and_not_by_the_week():
    """What is true of more is said."""
    found = regularity([day * DAY_MS + 23 * HOUR_MS + 55 * MINUTE_MS for day in range(21)])

    assert found is not None
    assert found.text == "daily 00:00"
