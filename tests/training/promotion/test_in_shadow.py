"""The checks in the shadow: reports of exactly these two, and what little time can't show."""

import pytest

from detector.shadow.report import CanaryPair, Onsets, encode
from tests.training.promotion.made import make_report
from training.promotion.in_shadow import Reports, gather, left_aside, shadow_checks
from training.promotion.tolerances import Tolerances

CANDIDATE, LIVE = "c" * 12, "a" * 12


def failed(budget=1.0, **changes):
    """Name the checks that were not passed."""
    found = Reports(make_report(**changes), 1)
    return [one.name for one in shadow_checks(found, Tolerances(), budget) if not one.passed]


def test_reports_of_all_daemons_count_together():
    """Each watches some of the links."""
    reports = [encode(make_report(daemon=name)) for name in ("a", "b", "c")]

    found = gather(CANDIDATE, LIVE, reports)

    assert found.daemons == 3
    assert found.pooled is not None
    assert found.pooled.windows == 3000
    assert left_aside(found) == ""


def test_reports_beside_another_bundle_are_left_aside():
    """What was current last week is not what the candidate is to replace."""
    reports = [
        encode(make_report()),
        encode(make_report(live="b" * 12)),
        encode(make_report(candidate="d" * 12)),
    ]

    found = gather(CANDIDATE, LIVE, reports)

    assert found.pooled == make_report()
    assert (found.daemons, found.others) == (1, 2)
    assert left_aside(found) == "reports left aside: 2 of it beside another bundle"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"v": 2}', b"\xff", b"null"])
def test_a_report_that_can_not_be_read_is_left_aside_and_said(data):
    """One damaged file must not keep a tool from telling what the others say."""
    found = gather(CANDIDATE, LIVE, [data, encode(make_report())])

    assert found.pooled == make_report()
    assert len(found.unreadable) == 1
    assert "one that can't be read (not a shadow report" in left_aside(found)


def test_without_a_report_nothing_is_proved():
    """No news is not good news."""
    reports = gather(CANDIDATE, LIVE, [encode(make_report(live="b" * 12)), b""])

    (check,) = shadow_checks(reports, Tolerances(), 1.0)

    assert not check.passed
    assert check.says == (
        "no daemon reports of these two; 1 are of it beside another bundle; 1 can't be read"
    )


def test_a_report_of_no_window_proves_nothing():
    """The daemon has just begun."""
    found = failed(windows=0, states={}, onsets={}, delays_ms=(), canaries={}, link_seconds=0.0)

    assert found == ["time", "agreement"]


def test_two_faults_missed_are_chance_and_three_are_not():
    """Of a few faults nobody can tell a share."""
    assert failed(onsets={"blocked": Onsets(3, 1, 1)}) == []
    assert failed(onsets={"blocked": Onsets(3, 0, 0)}) == ["faults missed"]


def test_faults_under_another_name_are_missed_and_added():
    """A candidate that calls every blocked link lossy is no replacement."""
    onsets = {"blocked": Onsets(20, 0, 0), "lossy": Onsets(0, 20, 0)}

    assert failed(onsets=onsets) == ["faults missed"]
    assert failed(onsets=onsets | {"lossy": Onsets(0, 33, 0)}) == ["faults missed", "faults"]


def test_unknowns_within_the_budget_are_bearable():
    """The budget says how many there may be, whatever the live bundle has."""
    many = Onsets(0, 10, 0)

    assert failed(unknown=many) == ["unknowns"]
    assert failed(budget=10.0, unknown=many) == []
    assert failed(budget=None, unknown=many) == ["unknowns"]
    assert failed(unknown=Onsets(10, 10, 0)) == []


def test_a_candidate_without_canaries_can_not_take_over_the_self_test():
    """The live bundle's tell whether the daemon still sees; so must its successor's."""
    assert failed(canaries={"blocked": CanaryPair(90, 100, 0, 0)}) == ["canaries of blocked"]


def test_canaries_that_the_live_bundle_has_not_either_are_not_asked_for():
    """Bundles without recorded faults plant none."""
    assert failed(canaries={}) == []
    assert failed(canaries={"blocked": CanaryPair(0, 0, 0, 100)}) == []


def test_a_candidate_that_is_sooner_passes():
    """Nobody is refused for being better."""
    assert failed(delays_ms=(-9000,) * 9, canaries={"blocked": CanaryPair(50, 100, 99, 99)}) == []


def test_a_candidate_that_failed_in_the_shadow_fails_the_gate():
    """What ended a thread there would end the daemon here."""
    assert failed() == []
    assert failed(failures=1) == ["failures"]
