"""Losses do what their sources say, and every listed one obeys the same laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.captures import listed
from training.losses import LOSSES, of_concatenated, squared_distance, triplet

SIZES = st.integers(1, 5)
BATCHES = st.integers(1, 7)
SEEDS = st.integers(0, 2**32 - 1)
MARGINS = st.floats(0.01, 4)


def embeddings(seed, batch, size):
    """Give anchors, positives and negatives as a sigmoid would: (3, batch, size)."""
    return np.random.default_rng(seed).random((3, batch, size), np.float32)


@given(SEEDS, BATCHES, SIZES, MARGINS)
def test_the_triplet_loss_is_facenets_equation(seed, batch, size, margin):
    """A published result can only be compared with if the loss is the published one."""
    anchor, positive, negative = embeddings(seed, batch, size)

    fast = np.asarray(triplet(anchor, positive, negative, margin=margin))

    slow = []
    for a, p, n in zip(anchor.tolist(), positive.tolist(), negative.tolist(), strict=True):
        to_positive = sum((x - y) ** 2 for x, y in zip(a, p, strict=True))
        to_negative = sum((x - y) ** 2 for x, y in zip(a, n, strict=True))
        slow.append(max(0.0, to_positive - to_negative + margin))
    np.testing.assert_allclose(fast, slow, atol=1e-5)


@given(SEEDS, BATCHES, SIZES)
def test_the_squared_distance_is_one_number_for_each_pair(seed, batch, size):
    """A sum over the whole batch would train just as well to look at, and be wrong."""
    one, two, _ = embeddings(seed, batch, size)

    found = np.asarray(squared_distance(one, two))

    plain = [np.linalg.norm(a - b) ** 2 for a, b in zip(one, two, strict=True)]
    np.testing.assert_allclose(found, plain, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@given(SEEDS, BATCHES, SIZES, MARGINS)
def test_concatenated_embeddings_are_cut_at_the_embedding_size(name, seed, batch, size, margin):
    """Keras hands over one tensor; cut elsewhere, an anchor would hold a part of its positive."""
    parts = embeddings(seed, batch, size)
    joined = np.concatenate(parts, axis=1)

    found = of_concatenated(name, size, margin)(np.zeros((batch, 1)), joined)

    assert found.shape == (batch,)
    np.testing.assert_array_equal(found, LOSSES[name](*parts, margin=margin))


@pytest.mark.parametrize("name", LOSSES)
@given(SEEDS, BATCHES, SIZES, MARGINS)
def test_every_loss_is_finite_and_not_below_zero(name, seed, batch, size, margin):
    """One number that is not a number ends a training without a word."""
    found = np.asarray(LOSSES[name](*embeddings(seed, batch, size), margin=margin))

    assert found.shape == (batch,)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("name", LOSSES)
@given(SEEDS, BATCHES, SIZES)
def test_every_loss_is_least_for_what_is_wanted(name, seed, batch, size):
    """Positive at the anchor and negative in the far corner must never lose to another place."""
    wanted = np.zeros((3, batch, size), np.float32)
    wanted[2] = 1
    anything = embeddings(seed, batch, size)

    best, other = (np.asarray(LOSSES[name](*some, margin=0.5)) for some in (wanted, anything))

    assert (best <= other).all()


@pytest.mark.parametrize("name", LOSSES)
@given(SEEDS, SIZES)
def test_no_triplet_of_a_batch_changes_anothers_loss(name, seed, size):
    """A loss sees a batch, and what it says of a triplet must not depend on the others."""
    parts = embeddings(seed, 5, size)

    together = np.asarray(LOSSES[name](*parts, margin=0.5))

    alone = [np.asarray(LOSSES[name](*parts[:, row : row + 1], margin=0.5))[0] for row in range(5)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_says_where_it_comes_from(name):
    """A formula without a source cannot be checked."""
    assert "Source: " in LOSSES[name].__doc__


@pytest.mark.parametrize("size", range(1, 6))
def test_the_triplet_loss_is_zero_once_the_negative_is_far_enough(size):
    """What is well apart must not be pushed farther, or nothing is ever learnt to the end."""
    anchor = np.zeros((3, size), np.float32)
    negative = np.zeros((3, size), np.float32)
    negative[:, 0] = np.sqrt([0.4, 0.5, 0.6])  # squared: nearer than, at and beyond the margin

    found = np.asarray(triplet(anchor, anchor, negative, margin=0.5))

    np.testing.assert_allclose(found, [0.1, 0, 0], atol=1e-6)


def test_a_listed_loss_is_used_by_its_name():
    """A new loss is a function and a line, and nothing else has to be told of it."""
    joined = np.zeros((2, 9), np.float32)

    with listed(LOSSES, "constant", lambda anchor, *_, margin: anchor[:, 0] + margin):
        found = of_concatenated("constant", 3, 7.0)(None, joined)

    assert found.tolist() == [7.0, 7.0]
