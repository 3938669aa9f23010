"""What is learnt from a store: what was named, and no more of it than does the rest good."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.training.retraining.pieces import SPEC, hours_of, piece
from training.retraining.gathered import (
    NO_LABEL,
    Limits,
    gather,
    less,
    link_hours,
    runs_by_label,
)
from training.traffic import name_of

ALL = Limits(hold_back=0.0, hours=1e6, for_each=1e6)
BASE = {"normal": {"r1", "r2", "r3", "r4"}, "blocked": {"r1", "r2", "r3"}}


def labels(links):
    """Give all labels of some links."""
    return {label for link in links for label in link.labels if label is not None}


def test_what_nobody_named_is_not_learnt_from_and_said():
    """An incident must not become the new normal by lasting; silence about it would look so."""
    stored = [piece(1, None, minute=0), piece(1, "normal", None, minute=5)]

    found = gather(stored, SPEC, BASE, ALL)

    assert [link.link for link in found.links] == ["2023-11-15T01/trunk-1@05:00"]
    assert found.passed[NO_LABEL] == f"{80 / 3600:.2f} link-hours that nobody named"
    assert set(found.links[0].labels[40:]) == {None}


@pytest.mark.parametrize("label", ["unknown", "silent"])
def test_what_only_the_daemon_says_is_no_name(label):
    """Whoever confirms that it was unknown has not said what it was."""
    stored = [piece(hour, label, "blocked") for hour in range(5)]

    found = gather(stored, SPEC, BASE, ALL)

    assert labels(found.links) == {"blocked"}
    assert "no name" in found.passed[label]


@pytest.mark.parametrize(("hours", "is_learnt"), [(2, False), (3, True)])
def test_a_label_that_only_the_store_has_needs_runs_to_learn_from_and_one_to_validate(
    hours, is_learnt
):
    """What was seen twice can be an anchor, and no training can say how well it knows it."""
    stored = [piece(hour, "lossy", "normal", link="x") for hour in range(hours)]

    found = gather(stored, SPEC, BASE, ALL)

    assert ("lossy" in labels(found.links)) == is_learnt
    assert ("lossy" in found.passed) != is_learnt
    assert "normal" in labels(found.links)  # of the same pieces
    if not is_learnt:
        assert found.passed["lossy"].startswith("2 hours, it takes 3:")
        assert "anchor enrolled under it goes on" in found.passed["lossy"]


def test_runs_of_the_base_count_too():
    """One more example of a fault that is known is worth learning from."""
    found = gather([piece(1, "blocked")], SPEC, BASE, ALL)

    assert labels(found.links) == {"blocked"}
    assert found.passed == {}


def test_a_label_that_never_fills_a_window_is_passed_over():
    """There would be nothing to be its anchor, and the training would end after minutes."""
    stored = [piece(hour, "lossy", rows=SPEC.steps - 1) for hour in range(9)]

    found = gather(stored, SPEC, BASE, ALL)

    assert found.links == []
    assert found.passed["lossy"].startswith("0 hours")


def test_what_is_held_back_is_whole_and_nowhere_else():
    """Promotion judges by it: with all its labels, and none of it learnt."""
    stored = [piece(hour, "normal", "blocked") for hour in range(60)]

    found = gather(stored, SPEC, BASE, replace(ALL, hold_back=0.2))

    held, learnt = ({link.run for link in some} for some in (found.held, found.links))
    assert 4 < len(held) < 25
    assert held.isdisjoint(learnt)
    assert len(held) + len(learnt) == 60
    assert all(labels([link]) == {"normal", "blocked"} for link in found.held)


def test_a_label_that_is_nearly_all_held_back_is_said_to_be():
    """Somebody named it five times and wonders why it is not learnt."""
    stored = [piece(hour, "lossy") for hour in range(60)]
    free, held = (
        {link.run for link in some}
        for some in (
            gather(stored, SPEC, {}, replace(ALL, hold_back=0.5)).links,
            gather(stored, SPEC, {}, replace(ALL, hold_back=0.5)).held,
        )
    )
    few = [link for link in stored if link.run in {*sorted(free)[:2], *sorted(held)[:4]}]

    found = gather(few, SPEC, {}, replace(ALL, hold_back=0.5))

    assert found.passed["lossy"].startswith("2 hours (4 more held back), it takes 3")


def test_the_store_does_not_drown_the_base():
    """Batches are drawn evenly over runs: a month of hours would be all that is learnt from."""
    stored = [piece(hour, "normal", link=f"trunk-{hour % 3}") for hour in range(200)]
    stored += [piece(hour, "blocked", minute=20) for hour in range(200)]

    found = gather(stored, SPEC, BASE, replace(ALL, for_each=2.0))

    assert len(hours_of(found.links, "normal")) == 8  # twice as many as runs of the base
    assert len(hours_of(found.links, "blocked")) == 6
    assert found.passed["normal, the rest"] == "0.09 of 2.22 link-hours are enough"


def test_a_fault_that_only_the_store_has_is_limited_by_hours_alone():
    """Nothing in the base could be drowned by it."""
    stored = [piece(hour, "lossy") for hour in range(100)]

    found = gather(stored, SPEC, BASE, replace(ALL, for_each=1.0, hours=0.5))

    assert len(found.links) == 45  # of 40 seconds each: half an hour


def test_what_is_taken_is_spread_over_links_and_hours():
    """One busy link that is sampled every minute must not be all that normal means."""
    busy = [piece(hour, "normal", minute=minute) for hour in range(8) for minute in range(40)]
    quiet = [piece(hour, "normal", link=f"quiet-{one}") for hour in range(8) for one in (1, 2, 3)]

    all_hours, half = (
        gather([*busy, *quiet], SPEC, {}, replace(ALL, hours=count * 40 / 3600)).links
        for count in (32, 16)
    )

    names = ("trunk-1", "quiet-1", "quiet-2", "quiet-3")
    assert Counter(map(name_of, all_hours)) == dict.fromkeys(names, 8)
    assert Counter(map(name_of, half)) == dict.fromkeys(names, 4)
    assert len({link.run for link in all_hours if name_of(link) == "trunk-1"}) == 8


def test_pieces_with_a_change_in_them_are_always_taken():
    """How a fault begins is what the daemon has to see, and it is rare."""
    changes = [piece(hour, "normal", "blocked", minute=50) for hour in range(30)]
    stored = [piece(hour, "normal") for hour in range(30)]

    found = gather([*stored, *changes], SPEC, BASE, replace(ALL, for_each=0.25))

    assert len([link for link in found.links if "50:00" in link.link]) == 30
    assert len(found.links) < 40


def test_the_same_seed_takes_the_same_and_another_takes_others():
    """A candidate can be made again to the byte, and another draw tells what chance did."""
    stored = [piece(hour, "normal") for hour in range(100)]
    some = replace(ALL, hours=0.2)

    one, again, other = (
        [link.link for link in gather(pieces, SPEC, {}, replace(some, seed=seed)).links]
        for pieces, seed in ((stored, 1), (stored, 1), (stored, 2))
    )

    assert one == again != other
    assert one == sorted(one)


def test_a_label_can_be_passed_over_afterwards():
    """Where no deal of the runs brings it to both sides."""
    found = gather([piece(h, "normal", "lossy") for h in range(5)], SPEC, BASE, ALL)

    fewer = less(found, "lossy", "because")

    assert labels(fewer.links) == {"normal"}
    assert fewer.passed["lossy"] == "because"
    assert labels(found.links) == {"normal", "lossy"}  # the one before is as it was


def test_hours_count_what_was_observed():
    """Rows that were never captured are no traffic, though they have a place on the grid."""
    link = piece(1, "normal", None, rows=1800)
    values = link.values.copy()
    values[:900] = np.nan

    assert link_hours([replace(link, values=values)]) == {"normal": 0.25, NO_LABEL: 0.5}


def test_runs_are_those_with_a_window_of_the_label():
    """Throughout, to be an anchor; at its end, to be validated on."""
    links = [piece(1, "normal", "lossy", rows=12), piece(2, "normal", rows=12)]
    short = [replace(links[0], labels=np.where(np.arange(24) < 20, "normal", "lossy"))]

    assert runs_by_label(links, SPEC) == {
        "normal": {"2023-11-15T01", "2023-11-15T02"},
        "lossy": {"2023-11-15T01"},
    }
    assert set(runs_by_label(short, SPEC)) == {"normal"}
    assert set(runs_by_label(short, SPEC, tail=3)) == {"normal", "lossy"}
    assert runs_by_label([], SPEC) == {}
