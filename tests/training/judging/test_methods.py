"""Every method keeps the contract by which it is judged."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from detector.inputs import Inputs, InputSpec, Level
from detector.window import WindowSpec
from tests.training.captures import tiny_training
from training.judging.methods import Bank, EncoderMethod, LinearDiscriminant, Summary, statistics

SPEC = WindowSpec(("a", "b"), 6, 1000)
INPUTS = Inputs(InputSpec((0.0,), (), (Level("a", "a"), Level("b", "b"))), SPEC)
CENTRES = {"low": (2, 2), "high": (200, 2), "new": (2, 200)}


class Mean:
    """Embeds a window as the logarithm of its mean."""

    def embed(self, values):
        """Give (windows, features)."""
        return np.log1p(values.mean(axis=1))


def windows_of(label, count, seed=0):
    """Give windows about a label's centre."""
    rng = np.random.default_rng((seed, [*CENTRES].index(label)))
    return rng.poisson(CENTRES[label], (count, 6, 2)).astype(np.float32)


def learnt():
    """Give windows of the two labels that are known, and their labels."""
    windows = np.concatenate([windows_of("low", 40), windows_of("high", 40)])
    return windows, ["low"] * 40 + ["high"] * 40


def encoder(**options):
    """Give an encoder's method with an anchor of each known label."""
    points = np.log1p(np.array([CENTRES["low"], CENTRES["high"]], np.float32))
    return EncoderMethod(encoder=Mean(), points=points, labels=("low", "high"), **options)


METHODS = {
    "encoder": encoder,
    "encoder with a bank": lambda: encoder(bank=Bank(points=Mean().embed(learnt()[0]))),
    "discriminant": lambda: LinearDiscriminant.fit(INPUTS, *learnt()),
}


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_known_windows_get_their_names(make):
    """That is what a method is for."""
    method = make()

    found = method.name(np.concatenate([windows_of("high", 5, 1), windows_of("low", 5, 1)]))

    assert found == ["high"] * 5 + ["low"] * 5
    assert method.name(np.empty((0, 6, 2), np.float32)) == []


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_what_is_not_known_is_stranger(make):
    """It is all that rejection has to go by."""
    method = make()

    known = method.strangeness(
        np.concatenate([windows_of("low", 20, 1), windows_of("high", 20, 1)])
    )
    unknown = method.strangeness(windows_of("new", 20, 1))

    assert known.shape == (40,)
    assert known.max() < unknown.min()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_a_few_references_make_a_label_known(make, count):
    """Without training, and without a change to the method that was asked."""
    method = make()

    more = method.with_references("new", windows_of("new", count, 1))

    windows = np.concatenate([windows_of("new", 9, 2), windows_of("low", 9, 2)])
    assert more.name(windows) == ["new"] * 9 + ["low"] * 9
    assert more.strangeness(windows)[:9].max() < method.strangeness(windows)[:9].min()
    assert "new" not in method.name(windows)


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_a_window_is_judged_alike_alone_and_among_many(make):
    """Many windows are worked on in parts, and the parts are joined in order."""
    method = make()
    windows = np.concatenate([windows_of(label, 900, 3) for label in CENTRES])
    windows = windows[np.random.default_rng(0).permutation(len(windows))]

    together = method.strangeness(windows)

    names = method.name(windows)
    for row in (0, 1023, 1024, 2699):
        one = windows[row : row + 1]
        assert method.name(one) == [names[row]]
        assert method.strangeness(one)[0] == pytest.approx(together[row], rel=1e-3, abs=1e-3)


def test_each_reference_is_an_anchor():
    """A label with two faces has an anchor at each, and not one between them."""
    faces = np.concatenate([windows_of("new", 1), 50 * windows_of("high", 1)])

    method = encoder().with_references("new", faces)

    assert method.name(faces) == ["new", "new"]
    assert method.strangeness(faces) == pytest.approx([0, 0], abs=1e-2)


def test_a_discriminants_reference_is_the_mean():
    """It has one mean a label, wherever its windows lie."""
    method = LinearDiscriminant.fit(INPUTS, *learnt())
    windows = windows_of("new", 4)

    together = method.with_references("new", windows)

    alone = [method.with_references("new", windows[row : row + 1]).means[-1] for row in range(4)]
    assert together.means[-1] == pytest.approx(np.mean(alone, axis=0), abs=1e-3)


def test_strangeness_is_the_mean_distance_to_the_nearest_neighbours():
    """The fast way gives what a sorted list gives."""
    rng = np.random.default_rng(0)
    known, points = rng.random((50, 3), np.float32), rng.random((7, 3), np.float32)

    for neighbours in (1, 5, 50):
        found = Bank(points=known, neighbours=neighbours).distances(points)

        plain = np.sort(np.linalg.norm(points[:, None] - known, axis=2), axis=1)[:, :neighbours]
        np.testing.assert_allclose(found, plain.mean(axis=1), atol=1e-3)


def test_a_bank_must_hold_as_many_as_are_asked_for():
    """Or the mean would be of fewer, without a word."""
    with pytest.raises(ValueError, match="5 neighbours of 3 known windows"):
        Bank(points=np.zeros((3, 2), np.float32))


def test_a_bundle_makes_a_method():
    """Its own anchors are what it knows best."""
    bundle = tiny_training()[0]

    method = EncoderMethod.of(bundle)

    assert method.name(bundle.anchor_windows) == [*bundle.labels]
    assert method.strangeness(bundle.anchor_windows) == pytest.approx(0, abs=1e-2)
    banked = EncoderMethod.of(bundle, bundle.golden_windows, neighbours=1)
    assert banked.strangeness(bundle.golden_windows) == pytest.approx(0, abs=1e-2)
    assert banked.strangeness(bundle.anchor_windows).max() > 0


def test_the_discriminant_is_scikit_learns():
    """With enough windows, what shrinkage there is hardly matters: the same names."""
    rng = np.random.default_rng(0)
    means = {"x": (9, 9), "y": (14, 9), "z": (9, 14)}
    windows = np.concatenate([rng.poisson(m, (400, 6, 2)) for m in means.values()])
    windows, labels = windows.astype(np.float32), [name for name in means for _ in range(400)]

    found = LinearDiscriminant.fit(INPUTS, windows, labels).name(windows)

    usual = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    points = Summary(INPUTS)(windows)
    said = usual.fit((points - points.mean(axis=0)) / points.std(axis=0), labels).predict(
        (points - points.mean(axis=0)) / points.std(axis=0)
    )
    assert np.mean(np.array(found) == said) > 0.99


def test_what_scatters_within_the_labels_weighs_less():
    """The nearer mean by the ruler need not be the likelier one."""
    rng = np.random.default_rng(0)
    wild = rng.lognormal(3, 2, (400, 1)).repeat(6, axis=1)
    steady = np.repeat([30.0, 36.0], 200)[:, None].repeat(6, axis=1) + rng.random((400, 6))
    windows = np.stack([wild, steady], axis=2).astype(np.float32)
    labels = ["few"] * 200 + ["more"] * 200

    method = LinearDiscriminant.fit(INPUTS, windows[::2], labels[::2])

    assert np.mean(np.array(method.name(windows[1::2])) == labels[1::2]) > 0.95


def test_kinds_of_a_label_may_have_means_of_their_own():
    """Two mechanisms with one name leave nothing at their middle."""
    low, high = windows_of("low", 40), windows_of("high", 40)
    middle = np.random.default_rng(0).poisson((22, 2), (40, 6, 2)).astype(np.float32)
    windows = np.concatenate([low, high, middle])
    labels, kinds = ["bad"] * 80 + ["fine"] * 40, ["l"] * 40 + ["h"] * 40 + ["n"] * 40

    whole = LinearDiscriminant.fit(INPUTS, windows, labels)
    parted = LinearDiscriminant.fit(INPUTS, windows, labels, kinds)

    assert parted.labels == ("bad", "bad", "fine")
    assert whole.labels == ("bad", "fine")
    right = [np.mean(np.array(one.name(windows)) == labels) for one in (whole, parted)]
    assert right[0] < 0.9
    assert right[1] > 0.95


def test_an_input_that_never_moved_is_left_out():
    """What it does later can't have been learnt from."""
    windows, labels = learnt()
    windows[:, :, 1] = 7
    method = LinearDiscriminant.fit(INPUTS, windows, labels)
    wild = windows.copy()
    wild[:, :, 1] = 1e6

    assert method.name(wild) == method.name(windows) == labels
    assert np.isfinite(method.strangeness(wild)).all()


def test_statistics_are_five_for_each_input():
    """Mean, deviation, least, most and last, in that order."""
    inputs = np.array([[[1, 5], [3, 5], [2, 5]]], np.float32)

    found = statistics(inputs)

    expected = [[2, 5, np.std([1, 3, 2]), 0, 1, 5, 3, 5, 2, 5]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
