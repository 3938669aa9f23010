"""The head: a second opinion, which names what it learnt and says how much it believes it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.head import Head

LABELS = ("blocked", "limited", "normal")
SEEDS = st.integers(0, 2**32 - 1)


def make_head(seed=0, size=4, scale=1.0):
    """Draw a head for embeddings of *size* numbers."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(0, scale, (size, len(LABELS))).astype(np.float32)
    return Head(LABELS, kernel, rng.normal(0, scale, len(LABELS)).astype(np.float32))


def points(seed=0, batch=5, size=4):
    """Draw embeddings."""
    return np.random.default_rng(seed).random((batch, size), np.float32)


@given(SEEDS, st.integers(0, 9), st.integers(1, 6))
def test_shares_are_the_softmax_of_a_plain_loop(seed, batch, size):
    """What is believed has to be what training fitted."""
    head, embeddings = make_head(seed, size), points(seed, batch, size)

    found = head.shares(embeddings)

    assert found.shape == (batch, 3)
    assert found.dtype == np.float32
    for point, shares in zip(embeddings, found, strict=True):
        scores = [
            sum(float(x) * float(w) for x, w in zip(point, column, strict=True)) + float(offset)
            for column, offset in zip(head.kernel.T, head.bias, strict=True)
        ]
        whole = sum(math.exp(score) for score in scores)
        np.testing.assert_allclose(shares, [math.exp(s) / whole for s in scores], atol=1e-5)


@given(SEEDS, st.sampled_from([0.01, 1, 100, 1e4, 1e8]))
def test_the_shares_of_a_window_sum_to_1_however_sure_the_head_is(seed, scale):
    """An exponent that overflows would make a NaN, and a NaN the first label there is."""
    shares = make_head(seed, scale=scale).shares(points(seed))

    assert np.isfinite(shares).all()
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


@given(SEEDS)
def test_a_window_is_named_by_what_is_believed_most(seed):
    """The name goes into the verdict; how sure it was does not."""
    head, embeddings = make_head(seed), points(seed)

    names = head.name(embeddings)

    largest = [max(zip(row.tolist(), LABELS, strict=True))[1] for row in head.shares(embeddings)]
    assert names == largest


def test_asking_twice_gives_the_same_and_changes_nothing():
    """One head serves every batch for months."""
    head, embeddings = make_head(), points()
    kernel, bias, kept = head.kernel.copy(), head.bias.copy(), embeddings.copy()

    first, again = head.shares(embeddings), head.shares(embeddings)

    np.testing.assert_array_equal(first, again)
    for now, before in ((head.kernel, kernel), (head.bias, bias), (embeddings, kept)):
        np.testing.assert_array_equal(now, before)


def test_its_own_weights_fit():
    """The refusals below mean something only if the right weights pass."""
    make_head(size=4).check(4)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kernel": np.zeros((3, 3), np.float32)}, r"shapes \(\(3, 3\), \(3,\)\)"),
        ({"kernel": np.zeros((4, 2), np.float32)}, "shapes"),
        ({"bias": np.zeros(4, np.float32)}, "shapes"),
        ({"bias": np.zeros((3, 1), np.float32)}, "shapes"),
        ({"labels": LABELS[:2]}, "shapes"),
        ({"kernel": np.zeros((4, 3))}, "not finite float32"),
        ({"bias": np.zeros(3, np.float16)}, "not finite float32"),
        ({"kernel": np.full((4, 3), np.nan, np.float32)}, "not finite float32"),
        ({"bias": np.full(3, -np.inf, np.float32)}, "not finite float32"),
    ],
)
def test_weights_that_can_not_name_an_embedding_are_refused(change, why):
    """At the door, and not when the first window comes."""
    head = make_head(size=4)
    parts = {"labels": LABELS, "kernel": head.kernel, "bias": head.bias} | change

    with pytest.raises(ValueError, match=why):
        Head(**parts).check(4)
