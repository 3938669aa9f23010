"""Fitting: a candidate with other features is shown what it would be shown if it were live."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.shadow.fitting import Fitting
from detector.window import Window, WindowSpec
from tests.fakes import make_spec, make_window

LIVE = make_spec()


@given(st.permutations(LIVE.features), st.integers(1, len(LIVE.features)))
def test_features_are_found_by_name_wherever_they_are(order, count):
    """Retraining may drop features or bring them in another order."""
    spec = WindowSpec(tuple(order[:count]), LIVE.steps, LIVE.step_ms)
    window = make_window(label="capacity-limited")

    (fitted,) = Fitting(LIVE, spec)([window])

    for place, name in enumerate(spec.features):
        live = window.values[:, LIVE.features.index(name)]
        np.testing.assert_array_equal(fitted.values[:, place], live)
    assert (fitted.link, fitted.source) == (window.link, window.source)
    assert (fitted.start_ms, fitted.end_ms) == (window.start_ms, window.end_ms)


def test_windows_of_the_same_shape_are_handed_through():
    """The usual case costs nothing."""
    window = make_window()

    assert Fitting(LIVE, make_spec())([window])[0] is window
    assert Fitting(LIVE, make_spec())([]) == []


def test_what_live_windows_do_not_have_is_not_observed():
    """An optional feature that exporters don't send yet is what it will be: absent."""
    spec = WindowSpec(("answers", "jitter_ms"), LIVE.steps, LIVE.step_ms, ("jitter_ms",))

    (fitted,) = Fitting(LIVE, spec)([make_window()])

    assert np.isnan(fitted.values[:, 1]).all()
    assert not np.isnan(fitted.values[:, 0]).any()


def test_a_window_without_what_the_candidate_needs_is_unusable_to_it():
    """Live it would be a dead letter: in the shadow that must show, not be guessed at."""
    strict = make_spec(optional=())
    lacking = make_window("trunk-2", "blocked")  # has no response time

    fitted = Fitting(LIVE, strict)([make_window("trunk-1"), lacking])

    assert isinstance(fitted[0], Window)
    assert fitted[1] is None


@pytest.mark.parametrize("changes", [{"steps": 5}, {"step_ms": 500}])
def test_a_candidate_with_windows_of_another_length_is_refused(changes):
    """What comes can't be turned into them."""
    with pytest.raises(ValueError, match="those that come have 4 of 1000"):
        Fitting(LIVE, make_spec(**changes))
