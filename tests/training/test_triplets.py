"""Miners pick what their sources say, of triplets only, and the same for the same seed."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.captures import listed
from training.triplets import MINERS, squared_distances

SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.integers(1, 8)
MARGINS = st.floats(0.05, 2)


def draw(seed, count):
    """Give points of three classes, one of which may have a single one or none."""
    rng = np.random.default_rng(seed)
    return rng.random((count, 2), np.float32), rng.integers(0, 3, count)


def mine(name, points, classes, *, margin=0.5, seed=0):
    """Give what a miner picks of a batch: a set of (anchor, positive, negative)."""
    return picked_by(MINERS[name](seed), points, classes, margin)


def picked_by(miner, points, classes, margin=0.5):
    """Give what a miner that is made already picks."""
    mask = miner(squared_distances(tf.constant(points)), tf.constant(classes), margin)
    assert mask.dtype == tf.bool
    assert mask.shape == (len(points),) * 3
    return {tuple(place) for place in np.argwhere(mask).tolist()}


def squared(a, b):
    """Give the squared distance of two points."""
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def triples(classes):
    """Give all triplets of a batch."""
    every = range(len(classes))
    return {
        (a, p, n)
        for a in every
        for p in every
        for n in every
        if a != p and classes[a] == classes[p] != classes[n]
    }


def plain_batch_all(_points, classes, _margin):
    """Every triplet there is."""
    return triples(classes)


def plain_batch_hard(points, classes, _margin):
    """Each anchor's farthest positive with its nearest negative."""
    found = set()
    for a, anchor in enumerate(points):
        mine = [(p, n) for one, p, n in triples(classes) if one == a]
        if mine:
            farthest = max({p for p, _ in mine}, key=lambda p: squared(anchor, points[p]))
            nearest = min({n for _, n in mine}, key=lambda n: squared(anchor, points[n]))
            found.add((a, farthest, nearest))
    return found


def plain_semi_hard(points, classes, margin):
    """Triplets whose negative is beyond the positive and within the margin of it."""
    return {
        (a, p, n)
        for a, p, n in triples(classes)
        if 0 < squared(points[a], points[n]) - squared(points[a], points[p]) < margin
    }


PLAIN = {
    "batch-all": plain_batch_all,
    "batch-hard": plain_batch_hard,
    "semi-hard": plain_semi_hard,
}


def test_every_miner_has_a_plain_version_or_leaves_it_to_chance():
    """A new miner is compared with a loop, or the one below is no test of it."""
    assert {*PLAIN, "random"} == {*MINERS}


@pytest.mark.parametrize("name", PLAIN)
@settings(max_examples=60)
@given(SEEDS, COUNTS, MARGINS)
def test_a_miner_picks_what_a_plain_loop_picks(name, seed, count, margin):
    """Mining is what decides what is learnt, and nothing shows when it picks something else."""
    points, classes = draw(seed, count)

    found = mine(name, points, classes, margin=margin)

    assert found == PLAIN[name](points, classes, margin)


@settings(max_examples=40)
@given(SEEDS, COUNTS)
def test_squared_distances_are_those_of_a_plain_loop(seed, count):
    """Every loss and every miner stands on them."""
    points, _ = draw(seed, count)

    found = np.asarray(squared_distances(tf.constant(points)))

    plain = [[squared(a, b) for b in points] for a in points]
    np.testing.assert_allclose(found, plain, atol=1e-6)
    assert (np.diag(found) == 0).all()


def test_distances_near_zero_are_exact():
    """By products they would be rounding, and a logarithm of them noise."""
    points = np.array([[0.9, 0.9], [0.9001, 0.9]], np.float32)

    found = np.asarray(squared_distances(tf.constant(points)))

    assert found[0, 1] == pytest.approx(squared(*points), rel=1e-5)


@pytest.mark.parametrize("name", MINERS)
@settings(max_examples=20)
@given(SEEDS, COUNTS)
def test_only_triplets_are_ever_picked(name, seed, count):
    """A window that is its own positive costs nothing and teaches nothing."""
    points, classes = draw(seed, count)

    found = mine(name, points, classes, seed=seed)

    assert found <= triples(classes)


@pytest.mark.parametrize("name", ["batch-hard", "random"])
@settings(max_examples=20)
@given(SEEDS, COUNTS)
def test_each_window_with_both_sides_is_the_anchor_of_exactly_one_triplet(name, seed, count):
    """None is left out, and none counts twice."""
    points, classes = draw(seed, count)

    found = mine(name, points, classes, seed=seed)

    assert sorted(a for a, *_ in found) == sorted({a for a, *_ in triples(classes)})


@pytest.mark.parametrize("name", ["batch-hard", "random"])
def test_equal_distances_still_give_one_triplet_each(name):
    """A collapsed encoder puts all windows at one point, and must find its way out."""
    classes = np.array([0, 0, 0, 1, 1, 1])

    found = mine(name, np.zeros((6, 2), np.float32), classes)

    assert len(found) == 6
    assert found <= triples(classes)


@pytest.mark.parametrize("name", MINERS)
@pytest.mark.parametrize("classes", [[0, 1, 2, 3], [0, 0, 0, 0], [0]])
def test_without_a_positive_or_a_negative_there_is_no_triplet(name, classes):
    """A class with a single window in the batch is nobody's anchor."""
    points, _ = draw(0, len(classes))

    assert mine(name, points, np.array(classes)) == set()


def test_the_single_window_of_a_class_is_still_a_negative():
    """It is what the others must keep away from."""
    found = mine("batch-all", draw(0, 3)[0], np.array([0, 0, 1]))

    assert found == {(0, 1, 2), (1, 0, 2)}


def test_the_random_miner_draws_each_pair_as_often():
    """Neither the first window of a class nor the nearest may be preferred."""
    points, _ = draw(0, 7)
    classes = np.array([0, 0, 0, 0, 1, 1, 1])
    miner, drawn = MINERS["random"](1), []

    for _ in range(600):
        drawn += [(p, n) for a, p, n in picked_by(miner, points, classes) if a == 0]

    assert len(drawn) == 600
    counts = [drawn.count((p, n)) for p in (1, 2, 3) for n in (4, 5, 6)]
    assert sum(counts) == 600
    # Chi-squared with 8 degrees of freedom is above 26 once in a thousand.
    assert sum((count - 600 / 9) ** 2 / (600 / 9) for count in counts) < 26


def test_the_random_miner_draws_the_same_for_the_same_seed_and_goes_on_drawing():
    """Without the first no bundle could be made again; without the second there is no chance."""
    points, classes = draw(3, 8)

    def sequence(seed):
        miner = MINERS["random"](seed)
        return [frozenset(picked_by(miner, points, classes)) for _ in range(4)]

    first, again, other = sequence(5), sequence(5), sequence(6)

    assert first == again
    assert first != other
    assert len(set(first)) > 1


@pytest.mark.parametrize("name", ["batch-all", "batch-hard", "semi-hard"])
def test_other_miners_leave_nothing_to_chance(name):
    """Their sources name the very triplets."""
    points, classes = draw(3, 8)

    assert mine(name, points, classes, seed=1) == mine(name, points, classes, seed=2)


def test_semi_hard_triplets_depend_on_the_margin_and_leave_out_both_ends():
    """Negatives nearer than the positive can collapse a training; those far off teach nothing."""
    points = np.array([[0.0], [0.5], [0.3], [0.6], [0.9]], np.float32)
    classes = np.array([0, 0, 1, 1, 1])

    narrow, wide = (
        {n for a, _, n in mine("semi-hard", points, classes, margin=margin) if a == 0}
        for margin in (0.2, 0.7)
    )

    assert narrow == {3}
    assert wide == {3, 4}


@pytest.mark.parametrize("name", ["batch-all", "batch-hard", "semi-hard"])
def test_every_miner_says_where_it_comes_from(name):
    """A choice without a source cannot be checked."""
    assert "Source: " in MINERS[name](0).__doc__


def test_a_listed_miner_is_found_by_its_name():
    """A new miner is a function and a line."""
    points, classes = draw(0, 4)

    with listed(MINERS, "none", lambda _seed: lambda d, *_: tf.zeros((len(d),) * 3, tf.bool)):
        found = mine("none", points, classes)

    assert found == set()
