"""What is usual on a link: learnt slowly, from what is well, and forgotten with the link."""

import numpy as np
import pytest

from detector.oncall.usual import EVERY_MS, Usual


def rows(*values, steps=3):
    """Make windows of even rows: (windows, steps, 2)."""
    return np.array([[[value, value / 2]] * steps for value in values], np.float32)


def test_the_first_window_of_a_link_is_what_is_usual():
    """After a start a reason has to be told against something."""
    usual = Usual(("a", "b"))

    usual.learn(["a"], [0], rows(16.0))

    np.testing.assert_allclose(usual.of(["a", "b"]), [[16, 8], [np.nan, np.nan]])


def test_it_follows_what_lasts_and_forgives_what_passes():
    """A new level of traffic becomes usual within a minute or two, a burst does not."""
    usual = Usual(("a",))
    usual.learn(["a"], [0], rows(100.0)[:, :, :1])
    usual.learn(["a"], [1], rows(10_000.0)[:, :, :1])
    burst = usual.of(["a"])[0, 0]
    for number in range(20):
        usual.learn(["a"], [number], rows(400.0)[:, :, :1])

    assert burst < 1000  # a plain mean would say 2,080
    assert usual.of(["a"])[0, 0] == pytest.approx(400, rel=0.1)


def test_what_was_not_observed_leaves_what_is_usual_as_it_was():
    """A gap is not a zero."""
    usual = Usual(("a", "b"))
    usual.learn(["a"], [0], rows(16.0))
    gap = rows(4.0)
    gap[:, :, 1] = np.nan

    usual.learn(["a"], [1], gap)

    first, second = usual.of(["a"])[0]
    assert first < 16
    assert second == pytest.approx(8)


def test_many_links_each_have_their_own():
    """One link's usual must never be told of another."""
    usual = Usual(("a", "b"))
    names = [f"link-{number}" for number in range(100)]

    usual.learn(names, [0] * 100, rows(*range(1, 101)))
    usual.forget("link-7")
    usual.learn(["new"], [0], rows(1000.0))

    found = usual.of([*names, "new"])[:, 0]
    assert np.isnan(found[7])
    np.testing.assert_allclose(
        np.delete(found, 7), [*(n for n in range(1, 101) if n != 8), 1000], rtol=1e-4
    )


def test_a_link_is_learnt_from_only_so_often():
    """A thousand windows a second must not cost as much again as judging them."""
    usual = Usual(("a", "b"))
    usual.learn(["a"], [0], rows(1.0))

    due = [usual.is_due("a", end_ms) for end_ms in (1000, EVERY_MS - 1, EVERY_MS)]

    assert due == [False, False, True]
    assert usual.is_due("b", 0)
    # A clock that was set back must not stop it for ever.
    assert usual.is_due("a", -10 * EVERY_MS)


def test_after_a_new_feature_all_is_learnt_anew():
    """A gap in what is known of a link would say that it never had that."""
    usual = Usual(("a", "b"))
    usual.learn(["trunk-1"], [60_000], np.full((1, 3, 2), 4, np.float32))
    assert not usual.is_due("trunk-1", 60_000)

    usual.use(("b",))
    assert usual.of(["trunk-1"]).tolist() == [[4.0]]
    usual.use(("b", "c"))

    assert np.isnan(usual.of(["trunk-1"])).all()
    assert usual.is_due("trunk-1", 60_000)
