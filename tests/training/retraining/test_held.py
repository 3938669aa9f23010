"""What is held back stays held back, or no candidate could ever be judged by it."""

from hypothesis import given
from hypothesis import strategies as st

from tests.training.retraining.pieces import piece
from training.retraining.held import is_held_back, parted

DAYS = [f"2026-{month:02}-{day:02}" for month in (3, 4) for day in range(1, 29)]
HOURS = [f"{day}T{hour:02}" for day in DAYS for hour in range(24)]


def test_about_the_share_that_was_asked_for_is_held_back():
    """Too few can't judge, and too many are missing where they would be learnt from."""
    for share in (0.05, 0.15, 0.5):
        held = sum(is_held_back(hour, share) for hour in HOURS)
        assert abs(held / len(HOURS) - share) < 0.04


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_back_all_that_a_smaller_one_does(run, one, other):
    """Whoever turns the share up must not let go of what was never learnt from so far."""
    if is_held_back(run, min(one, other)):
        assert is_held_back(run, max(one, other))


def test_nothing_but_the_name_decides():
    """A run that is learnt from by one retraining can't judge the bundle of the next."""
    assert [hour for hour in HOURS if is_held_back(hour, 0.15)][:3] == [
        "2026-03-01T04",
        "2026-03-01T11",
        "2026-03-01T20",
    ]


def test_an_hour_is_on_one_side_with_all_its_links():
    """What happened on the network within an hour was seen on many links."""
    links = [piece(hour, "normal", link=f"trunk-{one}") for hour in range(40) for one in (1, 2)]

    free, held = parted(links, 0.3)

    assert {link.run for link in free}.isdisjoint(link.run for link in held)
    assert len(free) + len(held) == len(links)
    assert held


def test_a_share_of_none_and_of_all():
    """The ends of the range are what they say."""
    links = [piece(hour, "normal") for hour in range(20)]

    assert parted(links, 0.0) == (links, [])
    assert parted(links, 1.0) == ([], links)
