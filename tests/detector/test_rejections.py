"""Rejections: what of late could not be used, whatever comes when."""

from hypothesis import given
from hypothesis import strategies as st

from detector.batch import DeadLetter
from detector.message import Rejected
from detector.rejections import Rejections
from detector.source import Message


@given(st.lists(st.tuples(st.floats(0, 400), st.sampled_from(["shape", "gaps"])), max_size=20))
def test_no_rejection_counts_for_more_than_ten_minutes_or_less_than_nine(gaps):
    """What was mended an hour ago must not look broken, nor what broke just now look well."""
    rejections, now, all_of_them = Rejections(), 0.0, []
    for gap, reason in gaps:
        now += gap
        letter = DeadLetter(Message("windows", 0, 0, b""), Rejected(b"", reason, ""))
        rejections.take([letter], now)
        all_of_them.append((now, reason))

    counts = rejections.counts(now)

    for reason in ("shape", "gaps"):
        ages = [now - at for at, of in all_of_them if of == reason]
        least, most = (sum(age < limit for age in ages) for limit in (540, 600))
        assert least <= counts.get(reason, 0) <= most
    assert 0 not in counts.values()
