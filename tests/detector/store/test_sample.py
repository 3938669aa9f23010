"""The sample: minutes of normal traffic, the same for everyone."""

from hypothesis import given
from hypothesis import strategies as st

from detector.store.sample import is_chosen

MINUTES = range(30_000_000, 30_010_000)
GOLDEN = [1906, 2728, 7393, 8452, 8633, 8733, 9097, 9105, 9194]


def test_the_sample_is_the_same_in_every_version():
    """After an update the sample goes on, and a day's minutes are not half of two samples."""
    chosen = [minute - MINUTES[0] for minute in MINUTES if is_chosen("trunk-7", minute, 0.001)]

    assert chosen == GOLDEN


@given(st.text(max_size=20), st.integers(0, 2**40))
def test_all_or_nothing_is_all_or_nothing(link, minute):
    """The ends of the setting have to mean what they say."""
    assert is_chosen(link, minute, 1.0)
    assert not is_chosen(link, minute, 0.0)


@given(st.text(max_size=20), st.integers(0, 2**40), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_the_smaller_one(link, minute, one, other):
    """Whoever turns the share up adds minutes, and does not get others."""
    small, large = sorted([one, other])

    assert is_chosen(link, minute, large) or not is_chosen(link, minute, small)


def test_links_have_minutes_of_their_own():
    """Or the sample would be the same two hours of a week for all links."""
    shares = [
        sum(is_chosen(f"trunk-{link}", minute, 0.1) for minute in MINUTES) / len(MINUTES)
        for link in range(5)
    ]
    both = sum(
        is_chosen("trunk-1", minute, 0.1) and is_chosen("trunk-2", minute, 0.1)
        for minute in MINUTES
    )

    assert all(0.08 < share < 0.12 for share in shares)
    assert 60 < both < 140
