"""Augmented traffic is what could have been recorded, and carries the right label."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.window import is_count
from tests.training.captures import START_MS, make_link
from training.augment import (
    LONGEST,
    SPARSEST,
    THINNEST,
    Augment,
    hidden,
    load_scaled,
    superposed,
    swapped,
)

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


COUNTS = np.array([is_count(name) for name in FEATURES])
SHARES = ("thin", "shift", "average", "missing", "mirror")


def draw(seed=0, count=40, steps=12):
    """Give windows of whole counts and of times, some rows and some values not observed."""
    rng = np.random.default_rng(seed)
    windows = rng.integers(1, 500, (count, steps, len(FEATURES))).astype(np.float32)
    windows[rng.random(windows.shape) < 0.1] = np.nan
    return windows


def augmented(windows, seed=0, **shares):
    """Augment windows of `FEATURES`."""
    return Augment(features=FEATURES, **shares)(windows, np.random.default_rng(seed))


def changed(before, after):
    """Tell which windows are another: (windows,)."""
    return ((before != after) & ~(np.isnan(before) & np.isnan(after))).any(axis=(1, 2))


def test_without_any_share_windows_stay_as_they_were_recorded():
    """Whoever switches all of it off learns from what there was."""
    windows = draw()

    after = augmented(windows, load_span=1.0, **dict.fromkeys(SHARES, 0.0))

    np.testing.assert_array_equal(after, windows)


@pytest.mark.parametrize("what", SHARES)
@pytest.mark.parametrize(("share", "least", "most"), [(1.0, 0.97, 1.0), (0.4, 0.33, 0.47)])
def test_the_share_is_that_of_the_windows_that_are_changed(what, share, least, most):
    """An operator who says a third must not find that half of the traffic is made up."""
    windows = draw(count=1000, steps=120)  # of a few rows chance often takes none

    is_changed = changed(windows, augmented(windows, **{what: share}))

    assert least <= is_changed.mean() <= most


@pytest.mark.parametrize("what", [*SHARES, "load_span"])
def test_augmenting_makes_a_new_batch_of_the_same_form(what):
    """The windows given may be a view of the capture, which must stay what was recorded."""
    windows = draw()
    kept = windows.copy()

    after = augmented(windows, **{what: 4.0 if what == "load_span" else 1.0})

    np.testing.assert_array_equal(windows, kept)
    assert after is not windows
    assert not np.shares_memory(after, windows)
    assert after.shape == windows.shape
    assert after.dtype == np.float32


@pytest.mark.parametrize("what", [*SHARES, "load_span"])
def test_augmenting_is_the_same_for_the_same_seed(what):
    """Without it no bundle could be made a second time."""
    windows, how = draw(), {what: 4.0 if what == "load_span" else 0.5}

    first, again, other = (augmented(windows, seed=seed, **how) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert changed(first, other).any()


@pytest.mark.parametrize("what", ["thin", "average", "load_span"])
def test_what_was_not_observed_stays_so_and_nothing_else_becomes_it(what):
    """A gap is what the exporter did; traffic that could have been has it too."""
    windows = draw()

    after = augmented(windows, **{what: 4.0 if what == "load_span" else 1.0})

    np.testing.assert_array_equal(np.isnan(after), np.isnan(windows))


@pytest.mark.parametrize("what", ["thin", "shift", "average", "load_span"])
def test_means_and_maxima_stay(what):
    """A quieter link answers as fast, and a response time is no number of events."""
    windows = draw()

    after = augmented(windows, **{what: 4.0 if what == "load_span" else 1.0})

    np.testing.assert_array_equal(after[..., ~COUNTS], windows[..., ~COUNTS])
    assert changed(windows[..., COUNTS], after[..., COUNTS]).any()


def test_loading_keeps_what_one_counter_says_of_another():
    """Half of the requests answered stays half of them, or the label would be wrong."""
    windows = draw()

    after = augmented(windows, load_span=8.0)

    one, two = windows[..., 0], windows[..., 1]
    assert changed(windows, after).any()
    np.testing.assert_allclose(after[..., 0] / after[..., 1], one / two, rtol=1e-5)


def test_thinning_leaves_whole_events_and_never_more_of_them():
    """Half a call is no call; scaling alone never shows an encoder the silence of a quiet link."""
    windows = draw(count=300)

    counts = augmented(windows, thin=1.0)[..., COUNTS]

    before = windows[..., COUNTS]
    seen = ~np.isnan(before)
    assert (counts[seen] == np.rint(counts[seen])).all()
    assert (counts[seen] >= 0).all()
    assert (counts[seen] <= before[seen]).all()
    assert (counts[seen] == 0).any()


def test_thinning_keeps_each_event_by_one_chance_for_the_whole_window():
    """A window's ratios stay but for chance, and windows are thinned apart."""
    windows = np.full((400, 20, len(FEATURES)), 10_000, np.float32)

    counts = augmented(windows, thin=1.0)[..., COUNTS]

    kept = counts.mean(axis=1) / 10_000  # of window, counter
    assert np.ptp(kept, axis=1).max() < 0.01
    assert kept.min() == pytest.approx(THINNEST, rel=0.1)
    assert kept.max() == pytest.approx(1, abs=0.05)
    # Even on a logarithmic scale: as many windows below the root of the thinnest as above it.
    assert 0.42 < (kept[:, 0] < np.sqrt(THINNEST)).mean() < 0.58


def test_thinning_takes_counters_of_any_size():
    """Octets of a fast link pass two thousand million a second, and a ratio of them must stay."""
    windows = np.empty((200, 4, len(FEATURES)), np.float32)
    windows[..., 0], windows[..., 1:] = 4e12, 1e12

    counts = augmented(windows, thin=1.0)

    np.testing.assert_allclose(counts[..., 0] / counts[..., 1], 4, rtol=0.01)
    assert counts[..., 0].max() > 2e12


def test_a_shifted_step_lies_between_itself_and_the_one_before():
    """The events are the same, but another clock has put them into steps."""
    windows = np.nan_to_num(draw(count=200), nan=7)

    counts = augmented(windows, shift=1.0)[..., COUNTS]

    here = windows[..., COUNTS]
    before = np.concatenate([here[:, :1], here[:, :-1]], axis=1)
    np.testing.assert_array_equal(counts[:, 0], here[:, 0])
    part = (counts - here)[:, 1:] / np.where(before == here, np.nan, before - here)[:, 1:]
    each = np.nanmean(part, axis=(1, 2))
    assert np.nanmax(np.abs(part - each[:, None, None])) < 0.02  # one clock for a whole window
    assert 0 <= each.min() < 0.1
    assert 0.9 < each.max() <= 1


def test_averaging_keeps_the_total_of_what_was_observed():
    """The exporter that measures less often counts the same events."""
    windows = draw(count=200)

    after = augmented(windows, average=1.0)

    np.testing.assert_allclose(
        np.nansum(after, axis=1)[:, COUNTS], np.nansum(windows, axis=1)[:, COUNTS], rtol=1e-5
    )


def test_averaged_steps_are_the_means_of_whole_blocks():
    """Blocks of one length through a window, from two steps to five, beginning anywhere."""
    rows = np.arange(20, dtype=np.float32) ** 2  # no two blocks have the same mean
    windows = np.broadcast_to(rows[:, None], (300, 20, len(FEATURES))).copy()

    after = augmented(windows, average=1.0)[..., 0]

    lengths = set()
    for window in after:
        cuts = np.flatnonzero(np.diff(window)) + 1
        blocks = np.split(np.arange(20), cuts)
        for block in blocks:
            np.testing.assert_allclose(window[block], rows[block].mean(), rtol=1e-5)
        inner = {len(block) for block in blocks[1:-1]}
        assert len(inner) == 1
        assert {len(blocks[0]), len(blocks[-1])} <= {*range(1, max(inner) + 1)}
        lengths |= inner
    assert lengths == {*range(2, LONGEST + 1)}


def test_missing_rows_are_missing_whole_and_never_the_newest():
    """The newest row is what the window was sent for."""
    windows = np.nan_to_num(draw(count=500), nan=7)

    after = augmented(windows, missing=1.0)

    gone = np.isnan(after)
    assert (gone == gone[..., :1]).all()
    assert not gone[:, -1].any()
    np.testing.assert_array_equal(after[~gone], windows[~gone])
    assert gone[:, :-1, 0].mean() == pytest.approx(SPARSEST / 2, abs=0.03)


def test_a_mirrored_window_has_its_directions_exchanged_and_nothing_else():
    """Which end is called forward is chance, and the other end saw the very same."""
    windows = draw()

    after = augmented(windows, mirror=1.0)

    for column, name in enumerate(MIRRORED):
        np.testing.assert_array_equal(after[..., column], windows[..., FEATURES.index(name)])
    np.testing.assert_array_equal(augmented(after, mirror=1.0), windows)


def test_without_two_directions_nothing_is_mirrored():
    """There is nothing to exchange."""
    windows = draw()[..., :2]

    after = Augment(features=("calls", "drops"), mirror=1.0)(windows, np.random.default_rng(0))

    np.testing.assert_array_equal(after, windows)
    assert swapped(("calls", "drops")) is None


def test_all_of_it_at_once_still_makes_traffic():
    """Nobody can try every mixture of shares before an encoder learns from it."""
    windows = draw(count=200)

    after = augmented(windows, load_span=8.0, **dict.fromkeys(SHARES, 0.5))

    assert after.shape == windows.shape
    assert after.dtype == np.float32
    assert changed(windows, after).mean() > 0.9
    assert (after[~np.isnan(after)] >= 0).all()
    assert not np.isinf(after).any()


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_hidden_inputs_are_hidden_in_all_steps_of_a_window(share):
    """An exporter that lacks a counter lacks it in every row."""
    inputs = np.random.default_rng(0).standard_normal((500, 6, 8)).astype(np.float32) + 10

    after = hidden(inputs, share, np.random.default_rng(1))

    gone = after == 0
    assert (gone == gone[:, :1]).all()
    assert gone.mean() == pytest.approx(share, abs=0.03)
    np.testing.assert_array_equal(after[~gone], inputs[~gone])
    assert after.dtype == np.float32
    assert inputs.min() > 0  # the batch given is not written to
