"""Three dimensions of an embedding: the same for everybody, and as much of it as there can be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.space.projection import Projection


def cloud(size, seed=0, count=50):
    """Make points that lie apart by less in each further dimension."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, size)) / (1 + np.arange(size))).astype(np.float32)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_fits_is_shown_as_it_is(size):
    """The corners of the cube that the labels were taught are what an operator looks for."""
    points = cloud(size)

    shown = Projection.of(points)

    assert shown.kept == 1.0
    np.testing.assert_array_equal(shown(points)[:, :size], points)
    assert not shown(points)[:, size:].any()


@given(st.integers(4, 20), st.integers(0, 2**32 - 1))
def test_no_other_three_directions_show_more(size, seed):
    """Held against random views of the same points; the share that is told is what is shown."""
    points = cloud(size, seed)
    other = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, 3)))[0]

    shown = Projection.of(points)

    spread = np.var(shown(points), axis=0).sum()
    assert spread >= np.var(points @ other, axis=0).sum() - 1e-4
    assert spread / np.var(points, axis=0).sum() == pytest.approx(shown.kept, abs=1e-3)


def test_the_same_points_give_the_same_view_whichever_way_round_the_algebra_has_it():
    """A dashboard that is mirrored after a restart would make people doubt the network."""
    points = cloud(8)

    here, mirrored = Projection.of(points), Projection.of(points[::-1])

    np.testing.assert_allclose(here.axes, mirrored.axes, atol=1e-4)
    assert (here.axes[np.abs(here.axes).argmax(axis=0), range(3)] > 0).all()


def test_few_points_and_points_all_alike_have_a_view():
    """A bundle with two anchors and nothing else is a bundle."""
    two, alike = cloud(6, count=2), np.ones((4, 6), np.float32)

    assert Projection.of(two).kept == pytest.approx(1.0)
    assert Projection.of(two)(two).shape == (2, 3)
    assert Projection.of(alike).kept == 1.0
    assert np.isfinite(Projection.of(alike)(alike)).all()
