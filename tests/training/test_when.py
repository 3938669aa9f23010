"""Times as people type them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.events import LAST_MS
from training.when import TimeError, as_text, parse

NOW_MS = 1_700_000_000_000  # 22:13:20 of a Tuesday
DAY_MS = 86_400_000
TIMES = st.integers(0, LAST_MS)


@given(TIMES, TIMES)
def test_what_is_printed_is_read_as_the_same_time(at_ms, now_ms):
    """Whoever copies a time from a table means that one."""
    assert parse(as_text(at_ms), now_ms) == at_ms


@given(st.integers(0, 86_399), TIMES)
def test_a_time_of_day_is_of_today(second, now_ms):
    """Nobody types the date of something that is going on."""
    text = f"{second // 3600}:{second // 60 % 60:02}:{second % 60:02}"

    assert parse(text, now_ms) == now_ms // DAY_MS * DAY_MS + second * 1000


@given(st.integers(0, 1000), st.sampled_from("smhd"))
def test_a_while_ago_is_so_long_before_now(number, unit):
    """The last quarter of an hour is what most people want."""
    size_ms = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}[unit]

    assert parse(f"-{number}{unit}", NOW_MS) == NOW_MS - number * size_ms


@given(st.text(max_size=12) | st.from_regex(r"-?\d{1,20}[:smhdT.-]?\d{0,4}", fullmatch=True))
def test_any_text_is_a_time_or_a_time_error(text):
    """A slip of the finger must not end in a traceback."""
    with contextlib.suppress(TimeError):
        assert 0 <= parse(text, NOW_MS) <= LAST_MS


@pytest.mark.parametrize(
    "text", ["", "25:00", "-15", "15m", "-9999999d", "2026-13-01", "\u0661\u0660:00"]
)
def test_what_is_no_time_is_refused_with_what_would_be_one(text):
    """`-15` may be meant as minutes or as hours."""
    with pytest.raises(TimeError, match=r"is no time|not between"):
        parse(text, NOW_MS)
