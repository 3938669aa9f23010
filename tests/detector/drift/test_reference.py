"""The reference: a part of a bundle, so it is checked, and a bundle may lack it."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from detector.bundle import Bundle, BundleError, load, save
from detector.drift.reference import Reference, Sample
from tests.fakes import draft_bundle

from .made import bundle_with

LOW, HIGH = np.zeros(3, np.float32), np.ones(3, np.float32)


def test_a_bundle_keeps_its_reference(tmp_path):
    """What training found is what the daemon holds traffic against."""
    bundle = bundle_with(Reference(Sample(100, 5), LOW, HIGH))
    save(bundle, tmp_path / "b")
    loaded = load(tmp_path / "b")

    assert loaded.drift.sample == Sample(100, 5)
    np.testing.assert_array_equal(loaded.drift.low, LOW)
    np.testing.assert_array_equal(loaded.drift.high, HIGH)


def test_a_bundle_without_one_is_one_still(tmp_path):
    """Those that were made before don't have it."""
    save(draft_bundle(), tmp_path / "b")

    assert load(tmp_path / "b").drift is None
    assert not (tmp_path / "b" / "drift.safetensors").exists()


def test_a_reference_that_is_described_and_missing_is_refused(tmp_path):
    """Half a bundle is none."""
    save(bundle_with(Reference(Sample(100, 5), LOW, HIGH)), tmp_path / "b")
    (tmp_path / "b" / "drift.safetensors").unlink()

    with pytest.raises(BundleError, match="drift"):
        load(tmp_path / "b")


@pytest.mark.parametrize(
    ("low", "high", "why"),
    [
        (LOW[:2], HIGH, "one for each input"),
        (LOW, HIGH[:2], "one for each input"),
        (LOW.astype(np.float64), HIGH, "float32"),
        (np.full(3, np.nan, np.float32), HIGH, "finite"),
        (LOW, np.full(3, np.inf, np.float32), "finite"),
        (HIGH, LOW, "ends before it begins"),
    ],
)
def test_ranges_that_no_window_can_be_held_against_are_refused(low, high, why):
    """Or the daemon would fail on its first window."""
    with pytest.raises(BundleError, match=why):
        bundle_with(Reference(Sample(100, 5), low, high))


def test_a_score_without_anything_known_is_refused():
    """There would be nothing to score by."""
    with pytest.raises(BundleError, match="nothing is known"):
        bundle_with(Reference(Sample(100, 5, 1.0), LOW, HIGH))


@pytest.mark.parametrize("sample", [(0, 1), (1, 0), (1, 1, 0.0), (1, 1, float("inf"))])
def test_a_sample_that_can_not_be_is_refused(sample):
    """It comes from a file."""
    with pytest.raises(ValueError, match="drift"):
        Sample(*sample)


def test_another_description_than_the_reference_is_of_is_refused():
    """A manifest that speaks of other windows was altered."""
    bundle = bundle_with(Reference(Sample(100, 5), LOW, HIGH))
    other = msgspec.structs.replace(bundle.manifest, drift=Sample(101, 5))

    with pytest.raises(BundleError, match="another drift"):
        replace(bundle, manifest=other)
    assert isinstance(bundle, Bundle)


def test_outside_is_beyond_either_end():
    """What lies on the edge was in training."""
    reference = Reference(Sample(1, 1), LOW, HIGH)

    assert reference.outside(np.array([[-0.1, 0.0, 0.5]], np.float32)).tolist() == [
        [True, False, False]
    ]
    assert reference.outside(np.array([[1.0, 1.1, 9.0]], np.float32)).tolist() == [
        [False, True, True]
    ]
