"""Spans: of which stretches of a link's time the rows are stored."""

from hypothesis import given
from hypothesis import strategies as st

from detector.store.spans import MOST, Spans

STEP_MS = 1000
STARTS = st.integers(-20, 20)


@given(st.lists(st.tuples(STARTS, st.integers(1, 6)), max_size=MOST), STARTS, st.integers(1, 8))
def test_missing_are_the_steps_that_no_stretch_holds(stretches, start, steps):
    """A row that is called stored and isn't is a fault's row lost."""
    spans = Spans(STEP_MS)
    held = set()
    for begin, length in stretches:
        spans.add(begin * STEP_MS, (begin + length) * STEP_MS)
        held |= set(range(begin, begin + length))

    missing = spans.missing(start * STEP_MS, steps)

    assert missing == [place for place in range(steps) if start + place not in held]


@given(st.lists(st.integers(-499, 499), min_size=2, max_size=30))
def test_jitter_below_half_a_step_makes_no_row_new(jitter):
    """No exporter reports on the very millisecond, and each second is to be kept once."""
    spans = Spans(STEP_MS)
    new = 0
    for second, off_ms in enumerate(jitter):
        start_ms = second * STEP_MS + off_ms // 2  # two windows differ by less than half a step
        new += len(spans.missing(start_ms, 4))
        spans.add(start_ms, start_ms + 4 * STEP_MS)

    assert new == 4 + len(jitter) - 1


def test_only_the_newest_stretches_are_remembered():
    """A link that reports with gaps for a year must not cost more each day."""
    spans = Spans(STEP_MS)
    for number in range(MOST + 1):
        spans.add(number * 10_000, number * 10_000 + 4000)

    assert spans.missing(0, 4) == [0, 1, 2, 3]
    assert spans.missing(10_000, 4) == []
