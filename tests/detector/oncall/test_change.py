"""Change: what is not noise, nor load, nor a little, and since when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.oncall.change import changes, noise_of

FEATURES = (*(f"{way}_{name}" for way in ("fwd", "rev") for name in ("calls", "bytes", "acks")),)
NAMES = (*FEATURES, "resets", "wait_ms")
STEPS = 15
USUAL = np.array([20, 9000, 20, 20, 9000, 20, 0, 30], np.float32)
RESETS, WAIT = NAMES.index("resets"), NAMES.index("wait_ms")


def noisy(rng, count=1, usual=USUAL, steps=STEPS):
    """Make windows as events that come by themselves make them, 450 bytes each."""
    size = np.array([1, 450, 1, 1, 450, 1, 1, 1])
    windows = rng.poisson(usual / size, (count, steps, len(usual))) * size
    windows = windows.astype(np.float32)
    windows[..., WAIT] = usual[WAIT] * np.exp(rng.normal(0, 0.4, windows.shape[:2]))
    return windows


NORMAL = noisy(np.random.default_rng(0), 4)
NOISE = noise_of(NAMES, NORMAL)


def find(window, usual=USUAL):
    """Find what changed in one window: each changed feature's first step and step after last."""
    found = changes(window[None], usual[None], NOISE)
    places = np.flatnonzero(found.changed[0])
    return {NAMES[at]: (found.start[0, at], found.end[0, at]) for at in places}


@pytest.mark.parametrize("last", [2, 4, 9, 15])
@pytest.mark.parametrize(
    ("feature", "factor"), [("fwd_calls", 0), ("rev_bytes", 0.1), ("rev_acks", 4), ("wait_ms", 9)]
)
def test_a_change_is_found_with_its_beginning(feature, factor, last):
    """Falls and rises, of counters, bytes and means, from a few steps to all of them."""
    window = noisy(np.random.default_rng(3))[0]
    window[-last:, NAMES.index(feature)] *= factor

    found = find(window)

    assert list(found) == [feature]
    assert abs(found[feature][0] - (STEPS - last)) <= 1
    assert found[feature][1] == STEPS


def test_noise_is_no_change():
    """A feature that is blamed for its noise hides the one that broke."""
    windows = noisy(np.random.default_rng(1), 300)

    found = changes(windows, np.tile(USUAL, (300, 1)), NOISE)

    assert found.changed.mean() < 0.001


def test_bytes_are_not_counted_as_events():
    """They come a packet at a time: as single events, a step without a packet would be news."""
    usual = USUAL.copy()
    usual[1] = 900  # two packets a second
    windows = noisy(np.random.default_rng(1), 300, usual)
    usual = np.tile(usual, (300, 1))
    singly = noise_of(NAMES, np.tile(USUAL, (1, STEPS, 1)))

    assert changes(windows, usual, singly).changed[:, 1].mean() > 0.5
    assert changes(windows, usual, NOISE).changed[:, 1].mean() < 0.05
    assert NOISE.burst[1] == pytest.approx(450, rel=0.5)


@given(
    usual=st.lists(st.floats(0, 1e9, width=32), min_size=len(NAMES), max_size=len(NAMES)),
    steps=st.integers(1, 40),
)
def test_what_is_exactly_as_usual_has_not_changed(usual, steps):
    """At any level, however rare or large, and in windows of any length."""
    row = np.array(usual, np.float32)

    found = changes(np.tile(row, (1, steps, 1)), row[None], NOISE)

    assert not found.changed.any()


@given(st.floats(1 / 1.45, 1.45))
def test_a_little_is_no_change(factor):
    """No link is so steady that a third down or up would be news."""
    window = np.tile(USUAL, (STEPS, 1))
    window[:, [0, WAIT]] *= factor

    assert find(window) == {}


@pytest.mark.parametrize("load", [0.2, 3.0, 6.0])
def test_a_busier_or_quieter_link_has_not_changed(load):
    """Nights and mornings are no faults; only what doesn't go along is one."""
    window = noisy(np.random.default_rng(4))[0]
    window[:, [0, 1, 2, 3, 4]] *= load

    found = changes(window[None], USUAL[None], NOISE)

    assert [NAMES[at] for at in np.flatnonzero(found.changed[0])] == ["rev_acks"]
    assert found.usual[0, 0] == pytest.approx(USUAL[0] * load, rel=0.3)
    assert found.usual[0, WAIT] == USUAL[WAIT]


@pytest.mark.parametrize("now", [0.0, 0.3])
def test_half_of_the_counters_are_no_load(now):
    """One direction that stops or falls is a fault, and the other one is as usual."""
    window = noisy(np.random.default_rng(4))[0]
    window[:, :3] *= now

    assert list(find(window)) == ["fwd_calls", "fwd_bytes", "fwd_acks"]


def test_means_and_rare_events_say_nothing_of_the_load():
    """A time that halves is no traffic, and of two events instead of three nothing follows."""
    usual = USUAL.copy()
    usual[RESETS] = 0.2
    window = np.tile(usual, (STEPS, 1))
    window[:, [0, 1, 2, RESETS, WAIT]] *= 0.3

    np.testing.assert_allclose(changes(window[None], usual[None], NOISE).usual[0], usual)


def test_one_counter_that_falls_does_not_make_a_link_quiet():
    """Nor does it pull the others' usual values down with it, even a little."""
    window = np.tile(USUAL, (STEPS, 1))
    window[:, 0] *= 0.55

    np.testing.assert_allclose(changes(window[None], USUAL[None], NOISE).usual[0], USUAL)


@pytest.mark.parametrize("last", range(2, STEPS + 1))
def test_a_link_on_which_everything_stops_is_not_just_quiet(last):
    """Nothing at all is never a matter of load, wherever in the window it begins."""
    window = np.tile(USUAL, (STEPS, 1))
    window[-last:, :6] = 0

    assert find(window) == dict.fromkeys(FEATURES, (STEPS - last, STEPS))
    np.testing.assert_allclose(changes(window[None], USUAL[None], NOISE).usual[0], USUAL)


def test_one_event_of_what_never_comes_is_no_change_and_some_are():
    """A single reset in a quarter of a minute wakes nobody."""
    window = np.tile(USUAL, (STEPS, 1))
    window[-1, RESETS] = 1
    more = window.copy()
    more[-3:, RESETS] = 1

    assert find(window) == {}
    assert find(more) == {"resets": (STEPS - 3, STEPS)}


@pytest.mark.parametrize("start", [0, 4, 8])
def test_a_burst_that_is_over_is_found_where_it_was(start):
    """What is over must not be looked for now."""
    window = noisy(np.random.default_rng(5))[0]
    window[start : start + 5, RESETS] = 12

    assert find(window) == {"resets": (start, start + 5)}


def test_one_quiet_second_does_not_end_a_change():
    """Faulty traffic is noisy too; that it is over must be more than chance."""
    window = np.tile(USUAL, (STEPS, 1))
    window[-8:-1, RESETS] = 3
    later = window.copy()
    later[-4:, RESETS] = 0

    assert find(window) == {"resets": (STEPS - 8, STEPS)}
    assert find(later) == {"resets": (STEPS - 8, STEPS - 4)}


def test_a_rise_in_bursts_is_one_rise():
    """The stretch is the rise, not its tallest piece."""
    window = np.tile(USUAL, (STEPS, 1))
    window[-10:, 0] = [90, 70, 260, 240, 60, 80, 50, 70, 90, 60]

    assert find(window) == {"fwd_calls": (5, 15)}


@pytest.mark.parametrize(("steps", "is_changed"), [(2, False), (4, True), (15, True)])
def test_what_is_not_observed_any_more_has_changed(steps, is_changed):
    """A mean that is missing now and then is nothing; one that stays away is."""
    window = np.tile(USUAL, (STEPS, 1))
    window[-steps:, WAIT] = np.nan

    assert find(window) == ({"wait_ms": (STEPS - steps, STEPS)} if is_changed else {})


def test_what_is_usually_not_observed_changes_by_being_observed():
    """And by nothing else."""
    usual = USUAL.copy()
    usual[WAIT] = np.nan
    window = np.tile(usual, (STEPS, 1))
    other = window.copy()
    other[-5:, WAIT] = 30

    assert find(window, usual) == {}
    assert find(other, usual) == {"wait_ms": (STEPS - 5, STEPS)}


def test_missing_rows_are_no_change_and_stay_missing():
    """That an exporter skipped a row says nothing of any feature."""
    window = np.tile(USUAL, (STEPS, 1))
    window[-9:, 0] = 0
    window[[7, 8, 9, 10]] = np.nan

    found = changes(window[None], USUAL[None], NOISE)

    assert find(window) == {"fwd_calls": (STEPS - 9, STEPS)}
    assert np.isnan(found.undone(window[None])[0, 7:11]).all()


def test_undone_puts_back_the_stretch_of_what_changed_and_nothing_else():
    """What is as it was keeps its own noise: an encoder may mind a flat line."""
    window = noisy(np.random.default_rng(6))[0]
    window[-6:, 0] = 0

    undone = changes(window[None], USUAL[None], NOISE).undone(window[None])[0]

    assert (undone[-6:, 0] > 10).all()
    np.testing.assert_array_equal(undone[:-6], window[:-6])
    np.testing.assert_array_equal(undone[:, 1:], window[:, 1:])


@given(st.integers(0, 2**32 - 1), st.permutations(range(5)))
def test_windows_and_features_do_not_touch_each_other(seed, order):
    """What is found of one doesn't depend on what else is asked, nor on the order."""
    rng = np.random.default_rng(seed)
    windows = noisy(rng, 5)
    windows[:, -7:, rng.integers(len(NAMES))] *= 5
    usual = np.tile(USUAL, (5, 1)) * rng.uniform(0.5, 2, (5, 1)).astype(np.float32)
    places = list(order)

    together = changes(windows, usual, NOISE)
    moved = changes(windows[places], usual[places], NOISE)

    for name in ("usual", "start", "end", "evidence"):
        np.testing.assert_array_equal(getattr(together, name)[places], getattr(moved, name))


def test_long_windows_are_searched_coarsely_for_what_is_over_only():
    """Sixty steps have 1,830 stretches; a change that goes on is still placed exactly."""
    rng = np.random.default_rng(7)
    window = noisy(rng, steps=60)[0]
    window[-23:, 0] = 0
    window[20:36, RESETS] = 12

    assert find(window) == {"fwd_calls": (37, 60), "resets": (20, 36)}
