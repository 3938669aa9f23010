"""What a bundle takes along against drift: of normal traffic that was recorded, and fair to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.capture import LinkCapture
from detector.drift.reference import OUTSIDE
from detector.encoder import open_encoder
from detector.inputs import Inputs, InputSpec, Level
from detector.state import NORMAL
from detector.window import WindowSpec
from tests.trained import SETTINGS, SHIPPED, normal_links, trained_bundle
from training.data import read
from training.drift import apart, reference, usual_score
from training.labelled import LabelledWindows

SPEC = WindowSpec(("packets",), steps=5, step_ms=1000)
INPUTS = Inputs(InputSpec((0.0,), (), (Level("packets", "packets"),)), SPEC)


def make_link(name, labels, values=None, start_ms=0):
    """Make a link with a row for each label."""
    labels = np.array(labels, object)
    if values is None:
        values = np.ones(len(labels), np.float32)
    rows = np.asarray(values, np.float32)[:, None]
    return LinkCapture(name, start_ms, 1000, rows, labels, labels)


def windows(*links):
    """Cut links into windows of one label throughout."""
    return LabelledWindows(links, SPEC, tail=SPEC.steps)


@given(
    st.lists(
        st.lists(st.sampled_from((NORMAL, "blocked", None)), min_size=5, max_size=60),
        min_size=1,
        max_size=4,
    )
)
def test_no_row_counts_twice_and_none_of_a_fault(labels):
    """Windows that overlap would make the same second count fifteen times."""
    links = [make_link(f"run-{place}/a", some) for place, some in enumerate(labels)]
    some = windows(*links)
    if not len(some):
        return
    rows = set()
    for place in apart(some):
        assert some.labels[place] == NORMAL
        start = some.starts[place]
        mine = set(range(start, start + SPEC.steps))
        assert rows.isdisjoint(mine)
        rows |= mine


def test_of_steady_traffic_every_row_is_taken():
    """What is left out would be a smaller sample for nothing."""
    some = windows(make_link("a", [NORMAL] * 23), make_link("b", [NORMAL] * 10))

    assert some.starts[apart(some)].tolist() == [0, 5, 10, 15, 23, 28]


def test_one_window_in_twenty_is_outside_of_each_range():
    """The test for drift is built on that number."""
    rng = np.random.default_rng(0)
    links = [make_link(f"{n}", [NORMAL] * 1000, rng.gamma(2, 50, 1000)) for n in range(20)]
    some = windows(*links)
    found = reference(some, INPUTS, 1.5)

    means = INPUTS(some.cut(apart(some))).mean(axis=1)
    assert found.outside(means).mean() == pytest.approx(OUTSIDE, abs=0.002)
    assert (found.sample.windows, found.sample.links, found.sample.score) == (4000, 20, 1.5)
    assert found.low.dtype == found.high.dtype == np.float32


def test_faults_do_not_widen_the_ranges():
    """Or traffic that is always as in a fault would count as usual."""
    usual = make_link("a", [NORMAL] * 100, np.full(100, 10.0))
    fault = make_link("b", ["blocked"] * 100, np.full(100, 1e6))

    found = reference(windows(usual, fault), INPUTS, None)

    assert found.high[0] == pytest.approx(np.log(11), abs=1e-4)
    assert found.sample.links == 1


def test_without_a_normal_window_there_is_no_reference():
    """A bundle of faults alone can't say what is usual."""
    assert reference(windows(make_link("a", ["blocked"] * 30)), INPUTS, None) is None


def test_years_of_captures_are_sampled_evenly():
    """A store of months has more windows than fit in memory at once."""
    values = np.repeat([1.0, 2.0, 3.0, 4.0], 250)
    some = windows(make_link("a", [NORMAL] * 1000, values))
    found = reference(some, INPUTS, None, most=10)

    assert found.sample.windows == 200
    assert found.low[0] == pytest.approx(np.log(2), abs=0.05)
    assert found.high[0] == pytest.approx(np.log(5), abs=0.05)


def test_the_usual_score_is_of_runs_that_were_not_learnt_from():
    """Scores of what was learnt are lower than those of any link to come."""
    data = read([SHIPPED], SETTINGS)
    score = usual_score(data, open_encoder(trained_bundle()), seed=0)

    assert 0.5 < score < 5
    assert score == usual_score(data, open_encoder(trained_bundle()), seed=0)


def test_a_trained_bundle_knows_what_normal_traffic_is_like():
    """`anchorwatch train` makes it, so that every bundle from now on can tell drift."""
    bundle = trained_bundle()
    encoder, spec = open_encoder(bundle), bundle.manifest.window

    assert bundle.drift.sample.windows > 100
    shares, strange = [], []
    for link in normal_links():
        rows = np.flatnonzero(link.usable(spec))[:: spec.steps]
        values = link.windows(spec.steps)[rows]
        shares.append(bundle.drift.outside(encoder.inputs(values).mean(axis=1)).mean())
        scores = bundle.known.scores(encoder.embed(values))
        strange.append((scores > bundle.drift.sample.score).mean())
    # Of another recording, though of the same lab: more is outside than in training, not most.
    assert 0.005 < np.mean(shares) < 0.3
    assert np.mean(strange) < 0.5


def test_scaled_up_traffic_is_outside_of_the_ranges():
    """The ranges must not be so wide that nothing is."""
    bundle = trained_bundle()
    spec, inputs = bundle.manifest.window, Inputs(bundle.manifest.inputs, bundle.manifest.window)

    def outside(times):
        shares = []
        for link in normal_links():
            rows = np.flatnonzero(link.usable(spec))[:: spec.steps]
            values = link.windows(spec.steps)[rows] * np.float32(times)
            shares.append(bundle.drift.outside(inputs(values).mean(axis=1)).mean())
        return np.mean(shares)

    assert outside(20) > 2 * outside(1)
