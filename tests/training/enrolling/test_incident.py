"""Which windows of an incident become anchors."""

import numpy as np
import pytest

from tests.fakes import NOON_MS
from training.enrolling.errors import EnrollingError
from training.enrolling.incident import absent, choose, cut, fitted
from training.enrolling.traffic import wide

from .made import a_piece

LATER = 2**52


def at(row):
    """Give when a row begins."""
    return NOON_MS + row * 1000


@pytest.fixture
def pieces():
    """Give traffic of a link with an incident, and of another link."""
    incident = ("normal", 20), ("chatter", 30), ("normal", 20)
    return [a_piece("trunk-1", *incident), a_piece("trunk-2", ("normal", 70))]


def test_all_windows_are_taken_that_lie_wholly_in_the_time(pieces, spec):
    """A window that reaches beyond it shows what came before or after."""
    found = cut(pieces, spec, "trunk-1", at(20), at(50))

    assert found.starts_ms == tuple(at(row) for row in range(20, 47))
    assert (found.values[:, :, 2] == 300).all()
    assert (found.from_ms, found.to_ms) == (at(20), at(50))


def test_how_far_it_reaches_is_what_was_captured_of_it(pieces, spec):
    """Who points at a whole day means what was seen of that day."""
    found = cut(pieces, spec, "trunk-1", 0, LATER)

    assert (found.from_ms, found.to_ms) == (at(0), at(70))


def test_windows_of_several_pieces_come_in_the_order_of_their_times(spec):
    """A store's pieces are cut wherever rows are missing."""
    late = a_piece("trunk-1", ("chatter", 6), start_ms=at(100))
    found = cut([late, a_piece("trunk-1", ("chatter", 6))], spec, "trunk-1", 0, LATER)

    assert found.starts_ms == tuple(at(row) for row in (0, 1, 2, 100, 101, 102))


def test_the_windows_are_spread_evenly_and_one_is_from_the_middle(pieces, sight, spec):
    """The first and the last seconds of a fault are the least like it."""
    found = cut(pieces, spec, "trunk-1", at(20), at(50))

    assert choose(found, sight, spec, 1).starts_ms == (at(33),)
    assert choose(found, sight, spec, 3).starts_ms == (at(20), at(33), at(46))
    assert choose(found, sight, spec, 64).starts_ms == found.starts_ms


def test_windows_that_look_normal_are_left_out(pieces, sight, spec):
    """An anchor of a quiet second would call every quiet link faulty."""
    found = cut(pieces, spec, "trunk-1", at(0), at(70))

    chosen = choose(found, sight, spec, 64)

    assert at(0) not in chosen.starts_ms
    assert at(66) not in chosen.starts_ms
    assert set(range(at(20), at(47), 1000)) <= set(chosen.starts_ms)


def test_of_an_incident_that_looks_normal_throughout_there_is_one(sight, spec):
    """The preview says what that would do; refusing is not this one's business."""
    found = cut([a_piece("trunk-1", ("normal", 30))], spec, "trunk-1", 0, LATER)

    assert len(choose(found, sight, spec, 8).values) == 1


def test_a_link_that_was_not_captured_is_named_beside_those_that_were(pieces, spec):
    """It is usually a misspelt one."""
    with pytest.raises(EnrollingError, match=r"'trunk-3'; there is trunk-1, trunk-2"):
        cut(pieces, spec, "trunk-3", 0, LATER)


def test_a_misspelt_link_gets_those_that_it_may_be_a_slip_of():
    """Among hundreds the first few of the alphabet help nobody."""
    known = ["ahead5h", "behind5h", "extra", "fmore", "future1y", "trunk-1", "trunk-12"]

    said = absent("trnk-1", known)

    assert "; there is trunk-1, trunk-12, ahead5h," in said
    assert said.endswith("and 2 more")
    assert "there is core-9/sip, a, b" in absent("core9/sip", ["a", "b", "core-9/sip"])


def test_a_pattern_is_told_from_a_link_and_gets_the_links_that_it_matches():
    """Other commands take patterns, an incident is of one link."""
    known = ["core-1", *(f"trunk-{number}" for number in range(7))]

    said = absent("trunk-*", known)

    assert "of one link, not of a pattern; there is trunk-0, trunk-1" in said
    assert said.endswith("and 2 more")
    assert absent("[x]", ["a"]).endswith("there is a")
    assert absent("a", []).endswith("'a'; there is no other")


def test_too_short_a_time_says_how_much_there_is_and_how_much_is_needed(pieces, spec):
    """Both are what somebody can do something about."""
    with pytest.raises(
        EnrollingError, match=r"of 4 s .* has 3 s; .* between 2023-11-14T22:13:20Z"
    ):
        cut(pieces, spec, "trunk-1", at(20), at(23))
    with pytest.raises(EnrollingError, match="has 0 s"):
        cut(pieces, spec, "trunk-1", at(500), at(600))


def test_features_that_no_bundle_reads_yet_are_kept(spec):
    """The next encoder may."""
    both = wide(spec, ("spare", "requests"))

    assert both.features == (*spec.features, "spare")
    assert both.optional == ("response_ms", "spare")
    values = np.ones((1, 4, 5), np.float32)
    assert fitted(values, both, spec).shape == (1, 4, 4)
    assert np.isnan(fitted(values[:, :, :4], spec, both)[0, :, 4]).all()
