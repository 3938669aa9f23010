"""Augmented traffic is what could have been recorded, and carries the right label."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.capture import is_count
from tests.training.captures import START_MS, make_link
from training.augment import load_scaled, superposed

FEATURES = ("fwd_calls", "rev_calls", "fwd_response_ms", "rev_response_ms", "fwd_only", "drops")
MIRRORED = ("rev_calls", "fwd_calls", "rev_response_ms", "fwd_response_ms", "fwd_only", "drops")


def place(name, seed, rows=8, start_ms=START_MS):
    """Give one place's rows: random counters, some of them not observed."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 99, (rows, len(FEATURES))).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    labels = rng.choice(["normal", "blocked"], rows).tolist()
    return make_link(labels, values, name=name, start_ms=start_ms)


def plain_sum(near, far, name):
    """Lay one number over another, as the slower side or both together would show."""
    if is_count(name):
        return near + far
    return near if np.isnan(far) or near > far else far


@given(st.integers(0, 2**32 - 1))
def test_superposed_traffic_is_that_of_a_plain_loop(seed):
    """What is learnt from made-up traffic is only true if the traffic could have been."""
    near, far = place("run/access", seed), place("run/core", seed + 1)

    (made,) = superposed([near], [near, far], FEATURES)

    for row in range(len(near.values)):
        for column, name in enumerate(FEATURES):
            one = near.values[row, column]
            two = far.values[row, FEATURES.index(MIRRORED[column])]
            np.testing.assert_equal(made.values[row, column], plain_sum(one, two, name))
    assert made.values.dtype == np.float32


def test_superposed_traffic_keeps_label_run_and_time():
    """The near side's truth holds, and no made-up link may slip into another run."""
    near, far = place("run/access", 1), place("run/core", 2)

    (made,) = superposed([near], [near, far], FEATURES)

    assert made.link == "run/access+core"
    assert made.run == near.run
    assert (made.start_ms, made.step_ms) == (near.start_ms, near.step_ms)
    assert made.labels.tolist() == near.labels.tolist()
    assert made.kinds.tolist() == near.kinds.tolist()


def test_every_other_place_of_the_run_is_laid_over_each_link():
    """Both ends of a link become a near side once, and no link is laid over itself."""
    links = [place(f"{run}/{where}", 0) for run in "ab" for where in ("access", "core", "third")]

    made = superposed(links[:2], links, FEATURES)

    assert [link.link for link in made] == [
        "a/access+core",
        "a/access+third",
        "a/core+access",
        "a/core+third",
    ]


@pytest.mark.parametrize(
    "other",
    [
        place("run/core", 2, start_ms=START_MS + 1000),
        place("run/core", 2, rows=7),
        place("elsewhere/core", 2),
        place("run/access", 2),
    ],
    ids=["later", "shorter", "another run", "itself"],
)
def test_what_was_not_beside_it_at_the_time_is_left_out(other):
    """Counters of another moment would make traffic that never was."""
    near = place("run/access", 1)

    assert superposed([near], [near, other], FEATURES) == []


@pytest.mark.parametrize("features", [("calls", "drops"), ("fwd_calls", "fwd_drops"), ()])
def test_nothing_is_made_where_features_name_no_two_directions(features):
    """Without directions the sum would be twice the same traffic."""
    near, far = place("run/access", 1), place("run/core", 2)

    assert superposed([near], [near, far], features) == []


@pytest.mark.parametrize(("here", "there"), [("in_", "out_"), ("rx_", "tx_"), ("fwd_", "rev_")])
def test_directions_are_known_by_their_usual_names(here, there):
    """Interface counters say in and out, or rx and tx, and mean the same."""
    features = (here + "octets", there + "octets")
    near = make_link(["normal"], np.array([[1, 2]], np.float32), name="run/a")
    far = make_link(["normal"], np.array([[10, 20]], np.float32), name="run/b")

    (made,) = superposed([near], [near, far], features)

    assert made.values.tolist() == [[21, 12]]


@given(st.integers(0, 2**32 - 1), st.floats(1.5, 30))
def test_a_loaded_window_is_a_plain_multiple(seed, span):
    """One factor for a whole window: its shape is the evidence and must stay."""
    counts = np.array([True, False, True])
    windows = np.random.default_rng(seed).random((40, 5, 3), np.float32) + 1
    windows[3, 2, 0] = np.nan

    loaded = load_scaled(windows, counts, span, np.random.default_rng(seed))

    for before, after in zip(windows, loaded, strict=True):
        factor = after[0, 0] / before[0, 0]
        assert 1 / span - 1e-5 < factor < span + 1e-4
        np.testing.assert_allclose(after[:, counts], before[:, counts] * factor, rtol=1e-5)
        np.testing.assert_array_equal(after[:, ~counts], before[:, ~counts])
    assert loaded.dtype == np.float32


def test_half_of_the_windows_are_loaded_up_as_often_as_down():
    """The traffic as it was recorded must stay the commonest."""
    windows = np.ones((4000, 1, 1), np.float32)

    loaded = load_scaled(windows, np.array([True]), 8.0, np.random.default_rng(0)).ravel()

    assert 0.46 < (loaded == 1).mean() < 0.54
    assert 0.22 < (loaded > 1).mean() < 0.28
    assert 0.10 < (loaded > np.sqrt(8)).mean() < 0.15  # even on a logarithmic scale
    assert windows.max() == 1  # the capture's own rows are not written to
