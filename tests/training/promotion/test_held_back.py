"""The checks on unseen runs: what little data can't show is not taken for good."""

import pytest

from tests.training.promotion.made import make_held_back
from training.promotion.held_back import held_back_checks
from training.promotion.tolerances import Tolerances


def failed(found, **allowed):
    """Name the checks that were not passed."""
    return [one.name for one in held_back_checks(found, Tolerances(**allowed)) if not one.passed]


def test_runs_of_one_label_show_nothing():
    """Whoever only ever says normal is always right there."""
    assert failed(make_held_back(labels=("normal",))) == ["runs"]


def test_a_bundle_that_finds_nothing_has_no_delay_to_compare():
    """The changes it does not find are what fails it."""
    found = make_held_back({"found": 0, "delay_seconds": None})

    assert failed(found) == ["changes found"]


def test_without_a_true_change_there_is_none_to_be_lost():
    """Captures may be normal but for a fault that lasted."""
    side = {"found": 0, "delay_seconds": None}

    assert failed(make_held_back(side, onsets=0)) == []


@pytest.mark.parametrize("hours", [0.0, 0.1])
def test_two_false_changes_more_in_an_hour_are_chance(hours):
    """A rate of them is hundreds a day, and says nothing."""
    assert failed(make_held_back({"false": 5}, hours=hours)) == []


def test_five_more_in_an_hour_are_not():
    """Or nothing short could ever fail."""
    assert failed(make_held_back({"false": 8}, hours=1.0)) == ["false changes"]


def test_a_better_bundle_passes():
    """Nobody is refused for being better."""
    better = {"macro_f1": 0.99, "found": 100, "delay_seconds": 1.0, "false": 0}

    assert failed(make_held_back(better, lead=0.09, lead_low=0.05, lead_high=0.1)) == []


def test_what_was_found_is_said_in_numbers():
    """The history keeps them, and who reads the refusal sees by how much."""
    found = make_held_back({"macro_f1": 0.5}, lead=-0.4, lead_low=-0.6, lead_high=-0.2)

    checks = {one.name: one for one in held_back_checks(found, Tolerances())}

    assert checks["macro-F1"].says == ("0.500, the current one has 0.900; -0.400, at least -0.020")
    assert checks["macro-F1"].numbers == {
        "macro_f1": 0.5,
        "live_macro_f1": 0.9,
        "macro_f1_lead": -0.4,
    }
    assert checks["macro-F1 with other runs"].says.startswith("-0.600 to -0.200 (95 %)")
