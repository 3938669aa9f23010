"""Explainer: what made a window resemble a fault is what differs, counts, and did so there."""

import itertools
import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.anchors import AnchorSet
from detector.encoder import open_encoder
from detector.oncall.explainer import Explainer, likeness
from detector.window import WindowSpec
from tests.detector.oncall.planting import SORTS, Planter, quiet
from tests.fakes import Clock
from tests.trained import trained_bundle, unseen_links

FEATURES = ("requests", "answers", "repeats", "resets", "wait_ms")
SPEC = WindowSpec(features=FEATURES, steps=10, step_ms=1000)
USUAL = np.array([40.0, 30.0, 0.0, 5.0, 20.0], np.float32)
PLANTED = 100  # windows of each sort
UNKNOWN = np.full_like(USUAL, np.nan)


def rows(usual=USUAL, **changes):
    """Make a window of usual rows in which features have other values in their last steps."""
    window = np.tile(usual, (SPEC.steps, 1))
    for feature, (last, value) in changes.items():
        window[-last:, FEATURES.index(feature)] = value
    return window


class MeanEmbedding:
    """Embeds a window as the mean of each feature, and counts how many it was asked for."""

    def __init__(self, clock=None, seconds=0.0):
        self.asked = []
        self.clock, self.seconds = clock, seconds

    def __call__(self, values):
        """Embed; what was not observed counts as nothing."""
        self.asked.append(len(values))
        if self.clock:
            self.clock.sleep(self.seconds)
        return np.nan_to_num(values).mean(axis=1)


def explainer(embed=None, normal=None, spec=SPEC, **changes):
    """Make an explainer whose normal reference is the usual row, unless told otherwise."""
    normal = rows()[None] if normal is None else normal
    return Explainer(spec=spec, embed=embed or MeanEmbedding(), normal=normal, **changes)


def weigh(**weights):
    """Make a score that is linear in the features' means."""
    kernel = np.array([weights.get(name, 0.0) for name in FEATURES], np.float32)
    return lambda embeddings: embeddings @ kernel


def explain(window, score, usual=USUAL, **changes):
    """Explain one window."""
    (reason,) = explainer(**changes).explain(window[None], usual[None], score)
    return reason


def shares(reason):
    """Give each part's share."""
    return {part.feature: part.share for part in reason.parts}


def test_of_a_linear_score_each_feature_counts_for_what_it_changed():
    """Where the truth is known exactly, the shares are the truth."""
    window = rows(answers=(4, 0.0), repeats=(4, 30.0))

    reason = explain(window, weigh(answers=-1, repeats=3))

    # Means fall by 30 * 0.4 and rise by 30 * 0.4; the second counts three times as much.
    assert [part.feature for part in reason.parts] == ["repeats", "answers"]
    assert shares(reason) == pytest.approx({"repeats": 0.75, "answers": 0.25})


@pytest.mark.parametrize("together", [np.min, np.max])
def test_two_features_share_what_they_only_do_together_or_each_alone(together):
    """Occlusion alone misses a change that another one covers for, insertion one that needs it."""
    window = rows(repeats=(5, 50.0), resets=(5, 55.0))

    def score(embeddings):
        return together(embeddings[:, 2:4] - [0, 5], axis=1)

    reason = explain(window, score)

    assert shares(reason) == pytest.approx({"repeats": 0.5, "resets": 0.5})


def test_what_is_as_usual_is_never_named():
    """An encoder that minds a feature most is not a reason to blame it."""
    window = rows(repeats=(5, 50.0), requests=(10, 44.0))

    reason = explain(window, weigh(requests=1000, repeats=1))

    assert shares(reason) == {"repeats": 1.0}


def test_what_speaks_against_the_fault_is_never_named():
    """A change towards normal didn't make the fault."""
    window = rows(repeats=(5, 50.0), answers=(5, 0.0))

    reason = explain(window, weigh(repeats=1, answers=1))

    assert shares(reason) == {"repeats": 1.0}


def test_where_nothing_differs_there_is_a_reason_without_parts():
    """The caller must be able to tell it from one that there was no time for."""
    reason = explain(rows(), weigh(requests=1))

    assert reason.parts == ()
    assert reason.text


@given(last=st.integers(2, 10), step_ms=st.sampled_from([500, 1000, 10_000]))
def test_values_are_per_second_and_times_count_from_the_end(last, step_ms):
    """An engineer compares them with graphs, whatever the step of the encoder is."""
    spec = WindowSpec(features=FEATURES, steps=10, step_ms=step_ms)
    seconds = step_ms / 1000

    reason = explain(rows(answers=(last, 3.0)), weigh(answers=-1), spec=spec)

    (part,) = reason.parts
    assert (part.usual, part.now) == pytest.approx((30 / seconds, 3 / seconds))
    assert (part.begun_seconds, part.over_seconds) == (last * seconds, 0)
    assert reason.step_seconds == seconds


def test_a_mean_is_not_per_second():
    """A response time of 20 ms is one in a step of any length."""
    spec = WindowSpec(features=FEATURES, steps=10, step_ms=10_000)

    reason = explain(rows(wait_ms=(5, 900.0)), weigh(wait_ms=1), spec=spec)

    assert (reason.parts[0].usual, reason.parts[0].now) == (20, 900)


def test_a_burst_that_is_over_is_placed_where_it_was():
    """The engineer must not look for it now."""
    window = rows()
    window[3:7, FEATURES.index("repeats")] = 40

    reason = explain(window, weigh(repeats=1))

    assert (reason.parts[0].begun_seconds, reason.parts[0].over_seconds) == (7, 3)


def test_what_is_not_observed_any_more_can_be_the_reason():
    """That no response time is seen any more says as much as a long one."""
    reason = explain(rows(wait_ms=(6, np.nan)), weigh(wait_ms=-1))

    assert shares(reason) == {"wait_ms": 1.0}
    assert np.isnan(reason.parts[0].now)
    assert reason.parts[0].usual == 20


def test_what_was_never_observed_before_can_be_the_reason():
    """Answers where a link had none are news."""
    usual = USUAL.copy()
    usual[4] = np.nan

    reason = explain(rows(usual, wait_ms=(6, 500.0)), weigh(wait_ms=1), usual)

    assert shares(reason) == {"wait_ms": 1.0}
    assert np.isnan(reason.parts[0].usual)
    assert reason.parts[0].now == 500


def test_a_new_link_is_compared_with_the_normal_reference_at_its_load():
    """Nothing is known of a link that is faulty from the start; the text must say so."""
    busy = USUAL * [10, 10, 10, 10, 1]

    reason = explain(rows(busy, repeats=(5, 100.0)), weigh(repeats=1, requests=1), UNKNOWN)

    assert shares(reason) == {"repeats": 1.0}
    assert reason.text.endswith("compared with the normal reference")


def test_of_several_references_the_one_of_most_like_traffic_is_taken():
    """A link of nothing but resets isn't measured against one with calls."""
    resets = np.array([0.0, 0.0, 0.0, 80.0, 20.0], np.float32)
    normal = np.stack([rows(), rows(resets)])

    reason = explain(
        rows(resets, repeats=(5, 60.0)), weigh(requests=-1, repeats=1), UNKNOWN, normal=normal
    )

    assert shares(reason) == {"repeats": 1.0}


def test_a_known_link_is_not_compared_with_the_reference():
    """What is usual elsewhere is no measure where the own past is known."""
    resets = np.array([0.0, 0.0, 0.0, 80.0, 20.0], np.float32)

    reason = explain(rows(resets), weigh(requests=-1), resets)

    assert reason.parts == ()
    assert not reason.by_reference


def test_only_new_links_of_a_batch_are_compared_with_the_reference():
    """One link that just started must not cast doubt on what is said of the others."""
    windows = np.stack([rows(repeats=(5, 60.0))] * 2)

    new, known = explainer().explain(windows, np.stack([UNKNOWN, USUAL]), weigh(repeats=1))

    assert new.by_reference
    assert not known.by_reference


def test_each_window_has_its_own_score_and_its_place():
    """Windows of one batch may be of different faults."""
    window = rows(answers=(4, 0.0), repeats=(4, 30.0))
    windows = np.stack([window, rows(), window] * 5)
    usual = np.tile(USUAL, (len(windows), 1))
    scores = [weigh(answers=-1), weigh(answers=-1), weigh(repeats=1)] * 5

    reasons = explainer().explain(windows, usual, scores)

    found = [tuple(shares(reason)) for reason in reasons]
    assert found == [("answers",), (), ("repeats",)] * 5


def test_beyond_the_time_allowed_windows_get_no_reason():
    """A storm of faults must not hold up the daemon, and what is left out must be countable."""
    clock = Clock()
    embed = MeanEmbedding(clock, seconds=0.4)
    windows = np.tile(rows(repeats=(4, 30.0)), (40, 1, 1))
    usual = np.tile(USUAL, (40, 1))

    reasons = explainer(embed, seconds=1.0, clock=clock).explain(windows, usual, weigh(repeats=1))

    assert len(reasons) == 40
    assert [reason is not None for reason in reasons] == [True] * 24 + [False] * 16


def test_without_time_nothing_is_asked():
    """Zero seconds switch explanations off."""
    embed = MeanEmbedding()
    window = rows(repeats=(4, 30.0))[None]

    assert explainer(embed, seconds=0).explain(window, USUAL[None], weigh(repeats=1)) == [None]
    assert embed.asked == []


def test_no_window_needs_no_reason():
    """Most batches hold no change."""
    none = np.empty((0, *SPEC.shape), np.float32)

    assert explainer().explain(none, np.empty((0, 5), np.float32), weigh()) == []


def test_what_is_embedded_is_bounded_by_the_features():
    """The worst window, in which everything changed, costs twice as many as it has features."""
    embed = MeanEmbedding()
    window = rows(USUAL + 10, **dict.fromkeys(FEATURES, (5, 900.0)))

    explain(window, weigh(repeats=1), embed=embed)

    assert embed.asked == [2 + 2 * len(FEATURES)]


def test_the_windows_given_are_left_alone():
    """They are what the verdict and its evidence are about."""
    window = rows(repeats=(4, 30.0))
    given = window.copy()
    usual = UNKNOWN.copy()

    explain(window, weigh(repeats=1), usual)

    np.testing.assert_array_equal(window, given)
    assert np.isnan(usual).all()


@pytest.mark.parametrize("shape", [(0, 10, 5), (1, 9, 5), (1, 10, 4)])
def test_a_reference_of_another_shape_is_refused(shape):
    """Better at the start than with the first fault."""
    with pytest.raises(ValueError, match="normal windows are"):
        explainer(normal=np.zeros(shape, np.float32))


def test_likeness_is_how_much_farther_normal_is():
    """It grows the more a window is this fault and the less it is normal."""
    anchors = AnchorSet(np.array([[0, 0], [3, 0], [0, 8]], np.float32), ("normal", "a", "b"))
    embeddings = np.array([[0, 0], [3, 0], [3, 4]], np.float32)

    assert likeness(anchors, "a")(embeddings).tolist() == [-3, 3, 1]


@cache
def planted(*, as_seen):
    """Plant every sort in windows of links that a real encoder hasn't learnt from.

    Gives for each sort whether what was planted comes first, and whether also with its stretch:
    (planted, 2).
    """
    bundle = trained_bundle()
    spec, anchors = bundle.manifest.window, AnchorSet(bundle.anchor_embeddings, bundle.labels)
    encoder = open_encoder(bundle, "onnxruntime")
    normal = bundle.anchor_windows[[label == "normal" for label in bundle.labels]]
    real = Explainer(spec=spec, embed=encoder.embed, normal=normal, seconds=math.inf)
    windows = quiet(unseen_links(), spec, encoder, anchors, as_seen=as_seen)
    planter = Planter(spec, encoder, anchors, windows)
    results = {}
    for sort in SORTS:
        some = list(itertools.islice(planter.plant(sort, seed=5, tries=3000), PLANTED))
        reasons = real.explain(
            np.stack([one.values for one in some]),
            np.stack([one.usual for one in some]),
            [one.score for one in some],
        )
        pairs = zip(reasons, some, strict=True)
        results[sort] = np.array([agrees(reason, one.stretches, spec) for reason, one in pairs])
    return results


def agrees(reason, stretches, spec):
    """Tell whether what was planted comes first, and with its stretch to within two steps."""
    parts = reason.parts[: len(stretches)]
    comes_first = {part.feature for part in parts} == set(stretches)
    if not comes_first:
        return False, False
    begun = [spec.span_ms / 1000 - part.begun_seconds for part in parts]
    over = [spec.span_ms / 1000 - part.over_seconds for part in parts]
    truth = [stretches[part.feature] for part in parts]
    apart = np.abs(np.array([begun, over]).T * 1000 / spec.step_ms - truth)
    return True, apart.max() <= 2


@pytest.mark.parametrize("as_seen", [False, True])
def test_what_was_planted_comes_first_with_its_stretch_in_nine_of_ten(as_seen):
    """A reason that is wrong sends an engineer to the wrong place at night."""
    found = np.concatenate(list(planted(as_seen=as_seen).values()))

    comes_first, fits = found.mean(axis=0)

    assert len(found) == PLANTED * len(SORTS)
    assert comes_first >= 0.9
    assert fits >= 0.9


@pytest.mark.parametrize("sort", SORTS)
def test_every_sort_of_change_is_found(sort):
    """No sort may hide behind the others."""
    comes_first, _ = planted(as_seen=False)[sort].mean(axis=0)

    assert comes_first >= 0.8
