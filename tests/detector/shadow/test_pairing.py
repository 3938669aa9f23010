"""Pairing: which faults both sides found, without which no delay and no miss can be told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.shadow.pairing import MOST_OPEN, OPEN_SECONDS, SOON_SECONDS, Pairing
from detector.shadow.report import MOST_DELAYS, Onsets
from detector.state import NORMAL, RETIRED, SILENT, TELEMETRY_LOST, UNKNOWN

from .live import turn

NOON = 1_700_000_000_000


def test_the_same_fault_of_the_same_link_is_one():
    """And the delay is the shadow's, so that a better candidate has one below 0."""
    pairing = Pairing()
    pairing.add("live", turn(NOON), 0.0)
    pairing.add("shadow", turn(NOON + 2000), 2.0)
    pairing.add("shadow", turn(NOON, link="trunk-2"), 2.0)
    pairing.add("live", turn(NOON + 5000, link="trunk-2"), 5.0)

    assert pairing.onsets == {"blocked": Onsets(2, 2, 2)}
    assert pairing.delays_ms == (-5000, 2000)
    assert len(pairing) == 0


@pytest.mark.parametrize(
    "other",
    [{"link": "trunk-2"}, {"state": "capacity-limited"}, {"since_ms": NOON + 30_001 - 3000}],
)
def test_another_link_fault_or_time_is_another_event(other):
    """Two faults that merely look alike would hide that each side missed one."""
    pairing = Pairing()
    pairing.add("live", turn(NOON), 0.0)
    pairing.add("shadow", turn(NOON, **other), 0.0)

    assert sum(one.both for one in pairing.onsets.values()) == 0
    assert sum(one.missed for one in pairing.onsets.values()) == 1
    assert sum(one.added for one in pairing.onsets.values()) == 1


def test_beginnings_half_a_minute_apart_are_still_the_same():
    """A fault that comes on slowly is noticed from another row on by each."""
    pairing = Pairing()
    pairing.add("live", turn(NOON), 0.0)
    pairing.add("shadow", turn(NOON + 90_000, since_ms=NOON - 3000 + 30_000), 90.0)

    assert pairing.onsets["blocked"].both == 1
    assert pairing.delays_ms == (90_000,)


def test_each_finding_is_matched_once_and_with_the_nearest():
    """A flapping candidate must not be right twice about one fault."""
    pairing = Pairing()
    pairing.add("live", turn(NOON), 0.0)
    pairing.add("live", turn(NOON + 20_000), 20.0)
    pairing.add("shadow", turn(NOON + 19_000), 21.0)
    pairing.add("shadow", turn(NOON + 21_000), 22.0)
    pairing.add("shadow", turn(NOON + 22_000), 23.0)

    assert pairing.onsets["blocked"] == Onsets(2, 3, 2)
    assert -1000 in pairing.delays_ms


@pytest.mark.parametrize("state", [NORMAL, SILENT, RETIRED, TELEMETRY_LOST])
def test_what_no_window_leads_to_is_no_finding(state):
    """Silence is found by the daemon, not by a bundle."""
    pairing = Pairing()
    pairing.add("live", turn(NOON, state=state), 0.0)

    assert pairing.onsets == {}


def test_unknown_is_a_finding():
    """Promotion holds its rate against the budget."""
    pairing = Pairing()
    pairing.add("shadow", turn(NOON, state=UNKNOWN), 0.0)

    assert pairing.onsets == {UNKNOWN: Onsets(0, 1, 0)}


def test_what_has_waited_too_long_is_given_up_and_stays_a_miss():
    """Memory is bounded, and the count keeps what it knows."""
    pairing = Pairing()
    pairing.add("live", turn(NOON), 0.0)
    pairing.expire(OPEN_SECONDS)
    assert len(pairing) == 1

    pairing.expire(OPEN_SECONDS + 1)

    assert len(pairing) == 0
    pairing.add("shadow", turn(NOON), OPEN_SECONDS + 2)
    assert pairing.onsets["blocked"] == Onsets(1, 1, 0)


def test_no_more_than_stated_wait_and_the_newest_stay():
    """A storm on a hundred thousand links must not fill the memory."""
    pairing = Pairing()
    for number in range(MOST_OPEN + 5):
        pairing.add("live", turn(NOON, link=f"trunk-{number}"), float(number) / 1e6)
    pairing.expire(1.0)
    assert len(pairing) == MOST_OPEN

    pairing.add("shadow", turn(NOON, link="trunk-4"), 1.0)
    pairing.add("shadow", turn(NOON, link="trunk-5"), 1.0)

    assert pairing.onsets["blocked"].both == 1


def test_after_a_gap_what_still_waits_is_taken_back_but_no_old_miss():
    """Whether the other side would have found it nobody can tell any more."""
    pairing = Pairing()
    pairing.add("live", turn(NOON), 0.0)
    pairing.add("shadow", turn(NOON, link="trunk-2"), SOON_SECONDS)

    pairing.void(SOON_SECONDS + 1)

    assert pairing.onsets["blocked"] == Onsets(1, 0, 0)
    assert len(pairing) == 0


def test_delays_stay_bounded_over_years():
    """A daemon that runs for a year has seen more than a report holds."""
    pairing = Pairing()
    for number in range(3 * MOST_DELAYS):
        at_ms = NOON + number * 100_000
        pairing.add("live", turn(at_ms), 0.0)
        pairing.add("shadow", turn(at_ms + 7), 0.0)

    assert pairing.onsets["blocked"].both == 3 * MOST_DELAYS
    assert set(pairing.delays_ms) == {7}
    assert len(pairing.delays_ms) <= MOST_DELAYS


@given(st.lists(st.tuples(st.sampled_from(("live", "shadow")), st.integers(0, 200)), max_size=40))
def test_no_finding_is_lost_or_matched_twice(findings):
    """Whatever the order, each is counted once, and pairs never exceed either side."""
    pairing = Pairing()
    for place, (side, second) in enumerate(findings):
        pairing.add(side, turn(NOON + second * 1000), float(place))

    found = pairing.onsets.get("blocked", Onsets())

    assert found.live == sum(side == "live" for side, _ in findings)
    assert found.shadow == sum(side == "shadow" for side, _ in findings)
    assert found.both <= min(found.live, found.shadow)
    assert len(pairing) == found.live + found.shadow - 2 * found.both
