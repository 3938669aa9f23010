"""Runs are dealt so that what is new is both learnt and validated, or nothing is trained."""

import pytest

from detector.capture import CaptureError
from tests.training.retraining.pieces import SPEC, hours_of, piece
from training.data import Pool
from training.retraining.dealing import DEALS, Dealing
from training.settings import Settings
from training.split import split_runs

SETTINGS = Settings(steps=10, validation_share=0.2, tail_seconds=3.0)


def dealing(links, *, unfit=(), settings=SETTINGS):
    """Deal links of a store."""
    pool = Pool(spec=SPEC, settings=settings, everywhere=(), links=links, captures={})
    return Dealing.of(pool, unfit)


def base():
    """Give twenty hours of what is known."""
    return [piece(hour, ("normal", "blocked")[hour % 2]) for hour in range(20)]


def test_where_nothing_is_new_runs_are_dealt_as_in_any_training():
    """Scores stay comparable from one retraining of the same captures to the next."""
    rest, kept = dealing(base()).sides(())

    plain_rest, plain_kept = split_runs(base(), 0.2, SETTINGS.seed)
    assert [link.link for link in kept] == [link.link for link in plain_kept]
    assert [link.link for link in rest] == [link.link for link in plain_rest]


@pytest.mark.parametrize("blocked", range(10, 15))
def test_a_new_label_is_learnt_from_two_runs_and_validated_on_one(blocked):
    """Whatever places its runs have in the order; a seed alone would not move them."""
    known = [piece(hour, "blocked") for hour in range(blocked)]
    known += [piece(hour, "normal") for hour in range(20, 30)]
    links = [*known, *(piece(hour, "lossy") for hour in range(40, 43))]

    rest, kept = dealing(links).sides({"lossy"})

    assert len(hours_of(rest, "lossy")) == 2
    assert len(hours_of(kept, "lossy")) == 1
    assert {link.run for link in rest}.isdisjoint(link.run for link in kept)
    assert len(rest) + len(kept) == len(links)


def test_what_no_deal_brings_to_both_sides_is_told_apart():
    """The caller passes the label over, and says so."""
    links = [*base(), piece(30, "lossy"), piece(31, "lossy")]

    assert dealing(links).sides({"lossy"}) is None
    assert dealing(links).sides(()) is not None  # as long as it is not validated on


def test_a_label_is_never_validated_that_is_not_learnt():
    """It would have no anchor, and every window of it would count as wrong."""
    links = [*base(), *(piece(hour, "lossy") for hour in range(40, 42))]

    rest, kept = dealing(links).sides(())

    assert {label for link in kept for label in link.labels} <= {
        label for link in rest for label in link.labels
    }


def test_what_the_parent_has_learnt_is_not_validated_on():
    """Its weights know those runs: a score on them would be no score."""
    links = base()
    unfit = {link.run for link in links[:12]}

    rest, kept = dealing(links, unfit=unfit).sides(())

    assert {link.run for link in kept}.isdisjoint(unfit)
    assert unfit <= {link.run for link in rest}
    assert len(kept) == 2  # a fifth of what is new


def test_too_little_that_is_new_is_said_and_what_to_do():
    """A candidate that nobody can validate is not made."""
    links = base()

    few = dealing(links, unfit={link.run for link in links[1:]})
    none = dealing([piece(1, "normal")])

    with pytest.raises(CaptureError, match=r"new to the running encoder .* use --from-scratch"):
        few.sides(())
    with pytest.raises(CaptureError, match="two labels are learnt and validated"):
        none.sides(())


def test_new_runs_of_one_label_only_can_not_be_validated_on():
    """That normal is normal says nothing of whether faults are found."""
    links = base()

    found = dealing(links, unfit={link.run for link in links if "blocked" in set(link.labels)})

    assert found.sides(()) is None
    assert DEALS > 5
