"""Anchors: the matrix form gives what two nested loops give, at any size."""

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.anchors import AnchorSet


def plain_distances(points, labels, embedding):
    """Give one embedding's distance to the nearest anchor of each label, by plain loops."""
    by_label = dict.fromkeys(sorted(set(labels)), math.inf)
    for point, label in zip(points, labels, strict=True):
        total = sum((float(a) - float(b)) ** 2 for a, b in zip(point, embedding, strict=True))
        by_label[label] = min(by_label[label], math.sqrt(total))
    return by_label


def check_against_loops(points, labels, embeddings):
    """Hold every number of a classification against the plain loops."""
    found = AnchorSet(points, labels).classify(embeddings)

    for row, embedding in enumerate(embeddings):
        by_label = plain_distances(points, labels, embedding)
        nearest, *others = sorted(by_label.values())
        anchor = found.anchor[row]
        own = plain_distances(points[[anchor]], [labels[anchor]], embedding)[labels[anchor]]
        assert found.distances[row] == pytest.approx(list(by_label.values()), abs=1e-3)
        assert own == pytest.approx(nearest, abs=1e-3)
        assert list(by_label)[found.label[row]] == labels[anchor]
        assert found.margin[row] == pytest.approx(others[0] - nearest if others else 0, abs=2e-3)
        both = nearest + (others[0] if others else nearest)
        if both > 0.1:  # below, what rounding does to the distances is seen in their shares
            shares = [distance / both for distance in by_label.values()]
            assert found.shares[row] == pytest.approx(shares, rel=0.02, abs=0.02)


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=12),
    st.integers(0, 6),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)
def test_classifying_agrees_with_the_plain_loop(labels, batch, size, seed):
    """Every verdict stands on this comparison."""
    rng = np.random.default_rng(seed)
    points = rng.random((len(labels), size), np.float32)

    check_against_loops(points, labels, rng.random((batch, size), np.float32))


def test_nearly_fifteen_hundred_anchors_are_compared_at_once():
    """An operator who enrols incidents for years ends up with as many."""
    rng = np.random.default_rng(0)
    labels = [f"fault-{number}" for number in rng.integers(0, 70, 1491)]
    points = rng.random((1491, 16), np.float32)

    check_against_loops(points, labels, rng.random((5, 16), np.float32))


def test_an_anchor_is_at_no_distance_from_itself():
    """Rounding must not make a root of less than nothing, which is NaN."""
    points = np.random.default_rng(1).random((200, 8), np.float32)
    labels = [f"{number:03}" for number in range(200)]

    found = AnchorSet(points, labels).classify(points)

    assert found.anchor.tolist() == list(range(200))
    assert np.diag(found.distances).max() < 1e-3


def test_the_order_in_which_anchors_are_given_does_not_matter():
    """Enrolling one more incident must not rename what was named before."""
    rng = np.random.default_rng(2)
    points, queries = rng.random((30, 4), np.float32), rng.random((50, 4), np.float32)
    labels = [("normal", "blocked", "limited")[number % 3] for number in range(30)]
    order = rng.permutation(30)

    found = AnchorSet(points, labels).classify(queries)
    other = AnchorSet(points[order], [labels[place] for place in order]).classify(queries)

    assert (found.label == other.label).all()
    assert (found.anchor == order[other.anchor]).all()


def test_with_one_label_there_is_no_runner_up():
    """A bundle that knows only what is normal is no reason to fail."""
    found = AnchorSet(np.eye(2, dtype=np.float32), ["normal", "normal"]).classify(
        np.ones((3, 2), np.float32)
    )

    assert found.margin.tolist() == [0, 0, 0]
    assert found.shares.ravel().tolist() == [0.5, 0.5, 0.5]


def test_a_window_that_is_on_the_anchors_of_two_labels_has_shares_that_are_numbers():
    """The evidence for a state is added up from them, and NaN would stay in it for ever."""
    found = AnchorSet(np.zeros((2, 3), np.float32), ["blocked", "normal"]).classify(
        np.zeros((1, 3), np.float32)
    )

    assert np.isfinite(found.shares).all()
    assert (found.shares <= 1).all()


@pytest.mark.parametrize("which", [slice(3), slice(3, None), slice(2, 2)])
def test_a_part_of_a_batch_is_what_the_part_alone_would_be(which):
    """Planted faults share a batch with real windows, and no number may go to the other's."""
    rng = np.random.default_rng(3)
    points, queries = rng.random((9, 4), np.float32), rng.random((7, 4), np.float32)
    anchors = AnchorSet(points, [("normal", "blocked", "limited")[n % 3] for n in range(9)])

    part, alone = anchors.classify(queries).part(which), anchors.classify(queries[which])

    for field in fields(part):
        left, right = getattr(part, field.name), getattr(alone, field.name)
        np.testing.assert_allclose(left, right, atol=1e-3)


@pytest.mark.parametrize("labels", [[], ["normal"], ["normal"] * 3])
def test_each_anchor_needs_its_label(labels):
    """Labels that slipped by one would name every fault by its neighbour."""
    with pytest.raises(ValueError, match="2 anchors but"):
        AnchorSet(np.eye(2, dtype=np.float32), labels)


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=6),
    st.lists(st.sampled_from("abxy"), min_size=1, max_size=6),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
)
def test_an_enrolled_anchor_claims_only_what_is_nearer_to_it_than_to_all_that_is_known(
    trained, enrolled, batch, seed
):
    """One example must not take all that lies beyond another label's one reference."""
    rng = np.random.default_rng(seed)
    points = rng.random((len(trained) + len(enrolled), 3), np.float32)
    embeddings, known = rng.random((batch, 3), np.float32), rng.random(batch, np.float32)
    reaches = rng.choice([0.5, 1.0, 2.0], len(enrolled))
    anchors = AnchorSet(points, [*trained, *enrolled], reaches)
    plain = AnchorSet(points[: len(trained)], trained)

    found, without = anchors.classify(embeddings, known), plain.classify(embeddings)

    for row, embedding in enumerate(embeddings):
        away = np.linalg.norm(points - embedding, axis=1)
        farthest = [np.inf] * len(trained) + (reaches * known[row]).tolist()
        claims = {k for k, d in enumerate(away) if k >= len(trained) and d <= farthest[k]}
        allowed = [*range(len(trained)), *claims]
        assert away[found.anchor[row]] == pytest.approx(away[allowed].min(), abs=1e-3)
        name = anchors.labels[found.label[row]]
        if not claims:
            assert name == plain.labels[without.label[row]]
            if len(set(trained)) > 1:
                assert found.margin[row] == pytest.approx(without.margin[row], abs=1e-3)
        assert np.isfinite(found.distances[row]).all()
        assert np.isfinite(found.shares[row]).all()


def test_an_anchor_set_needs_one_that_training_made():
    """Enrolled ones alone know nothing of normal traffic."""
    with pytest.raises(ValueError, match="2 of 2 anchors can't be enrolled"):
        AnchorSet(np.eye(2, dtype=np.float32), "ab", [1.0, 1.0])
