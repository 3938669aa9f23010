"""The report: what promotion reads, so it has to say what happened, and add up."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.shadow.report import (
    MOST_DELAYS,
    CanaryPair,
    Onsets,
    ReportError,
    ShadowReport,
    decode,
    encode,
    pooled,
    thinned,
)

COUNTS = st.integers(0, 1000)
STATES = st.sampled_from(("normal", "blocked", "unsettled", "unknown"))
ONSETS = st.builds(Onsets, COUNTS, COUNTS, COUNTS)


@st.composite
def reports(draw):
    """Draw a report of one candidate beside one live bundle."""
    rows = st.dictionaries(STATES, COUNTS, max_size=3)
    states = draw(st.dictionaries(STATES, rows, max_size=3))
    return ShadowReport(
        candidate="new",
        live="old",
        daemon=draw(st.sampled_from(("a", "b"))),
        since_ms=draw(COUNTS),
        until_ms=draw(COUNTS),
        link_seconds=float(draw(COUNTS)),
        windows=sum(sum(row.values()) for row in states.values()),
        skipped=draw(COUNTS),
        unusable=draw(COUNTS),
        states=states,
        onsets=draw(st.dictionaries(STATES, ONSETS, max_size=3)),
        unknown=draw(ONSETS),
        delays_ms=tuple(sorted(draw(st.lists(st.integers(-9000, 9000), max_size=9)))),
        canaries=draw(
            st.dictionaries(STATES, st.builds(CanaryPair, COUNTS, COUNTS, COUNTS, COUNTS))
        ),
    )


def facts(**changes):
    """Make a report of nothing."""
    usual = {"candidate": "new", "live": "old", "daemon": "a", "since_ms": 0, "until_ms": 0}
    return ShadowReport(**usual | changes)


@given(reports())
def test_a_report_survives_the_bundle_store(report):
    """Promotion decides by what was written there, maybe by another daemon, days ago."""
    assert decode(encode(report)) == report


@given(st.lists(reports(), min_size=1, max_size=4))
def test_reports_add_up_in_any_order(some):
    """Several daemons and restarts are one trial: nothing may be lost or counted twice."""
    total = pooled(some)

    assert msgspec.to_builtins(total) == msgspec.to_builtins(pooled(some[::-1]))
    assert total.windows == sum(one.windows for one in some)
    assert total.agreed == sum(one.agreed for one in some)
    assert total.skipped == sum(one.skipped for one in some)
    assert total.unusable == sum(one.unusable for one in some)
    assert total.link_seconds == sum(one.link_seconds for one in some)
    assert total.all_onsets.both == sum(one.all_onsets.both for one in some)
    assert total.unknown.shadow == sum(one.unknown.shadow for one in some)
    assert len(total.delays_ms) == sum(len(one.delays_ms) for one in some)
    found = [one.canaries.get("blocked", CanaryPair()).shadow_found for one in some]
    assert total.canaries.get("blocked", CanaryPair()).shadow_found == sum(found)
    assert total.since_ms == min(one.since_ms for one in some)
    assert total.until_ms == max(one.until_ms for one in some)


@given(reports())
def test_a_report_by_itself_is_its_own_sum(report):
    """So that one daemon's report and the sum of one are judged alike."""
    assert msgspec.to_builtins(pooled([report])) == msgspec.to_builtins(report)


def test_reports_of_another_candidate_or_live_bundle_do_not_add_up():
    """Numbers beside another live bundle say nothing of how the candidate compares to this one."""
    for other in ({"candidate": "other"}, {"live": "older"}):
        with pytest.raises(ReportError, match="one candidate beside one live bundle"):
            pooled([facts(), facts(**other)])
    with pytest.raises(ReportError, match="not none"):
        pooled([])


def test_the_daemons_of_a_sum_are_each_named_once():
    """A daemon that was started three times is one daemon."""
    total = pooled([facts(daemon="b"), facts(daemon="a"), facts(daemon="b"), facts(daemon="a,c")])

    assert total.daemon == "a,b,c"


def test_what_is_no_report_is_refused_with_the_reason():
    """Somebody else's file in the folder must not become a promotion."""
    for data in (b"", b"{}", b"\xff", b"[" * 5000, encode(facts()) + b"x"):
        with pytest.raises(ReportError, match="not a shadow report"):
            decode(data)
    with pytest.raises(ReportError, match="version 2"):
        decode(msgspec.json.encode(facts(v=2)))


def test_agreement_is_the_share_of_windows_with_the_same_state():
    """It is the first number that anybody looks at."""
    states = {"normal": {"normal": 90, "blocked": 5}, "blocked": {"blocked": 3, "normal": 2}}

    assert facts(windows=100, states=states).agreement == pytest.approx(0.93)
    assert facts().agreement is None


def test_the_middle_delay_is_told_and_none_where_nothing_was_found_by_both():
    """A mean would be that of one bad case."""
    assert facts(delays_ms=(-1000, 0, 90_000)).median_delay_ms == 0
    assert facts().median_delay_ms is None


def test_recall_is_of_what_could_be_judged():
    """A daemon that just started has no recall, rather than a bad one."""
    pair = CanaryPair(live_found=3, live_judged=4, shadow_found=1, shadow_judged=2)

    assert (pair.live_recall, pair.shadow_recall) == (0.75, 0.5)
    assert (CanaryPair().live_recall, CanaryPair().shadow_recall) == (None, None)


@given(st.lists(st.integers(-(10**6), 10**6), max_size=3 * MOST_DELAYS))
def test_delays_are_kept_evenly_and_never_more_than_stated(delays_ms):
    """A report is read by people, too; and its slowest and fastest delays matter most."""
    kept = thinned(delays_ms)

    assert len(kept) == min(len(delays_ms), MOST_DELAYS)
    if delays_ms:
        assert (kept[0], kept[-1]) == (min(delays_ms), max(delays_ms))
    assert list(kept) == sorted(kept)
