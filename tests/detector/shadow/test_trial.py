"""The trial: the comparison has to be fair to both sides, and nobody may be told of it."""

import numpy as np
import pytest

from detector.config import State
from detector.enrolment import Act, enrol
from detector.shadow.report import CanaryPair, Onsets
from detector.shadow.trial import FORGET_SECONDS, Shown
from detector.sight import Sight
from detector.state import NORMAL, SILENT
from tests.fakes import make_spec

from .live import (
    FAULTS,
    SPEC,
    Blind,
    Counting,
    Knowing,
    Late,
    Live,
    canaries,
    facts,
    make_trial,
    sight,
)


def run(trial, live, batches):
    """Show batches, a second apart."""
    for shown in batches:
        trial.take(shown, float(live.second))
    return trial.report(**facts())


def test_an_identical_candidate_agrees_in_everything_without_delay():
    """Whatever an identical one differs in is an error of the comparison."""
    live = Live()
    report = run(make_trial(), live, live.day())

    assert report.agreement == 1.0
    assert report.onsets == {"blocked": Onsets(2, 2, 2), "capacity-limited": Onsets(2, 2, 2)}
    assert report.delays_ms == (0, 0, 0, 0)
    assert report.unknown == Onsets()
    assert (
        report.windows
        == 5 * live.second
        == sum(map(sum, map(dict.values, report.states.values())))
    )


def test_one_that_comes_in_late_begins_where_the_live_one_is():
    """A daemon watches for weeks before a candidate comes: its faults are no new findings."""
    live = Live({"trunk-0": NORMAL, "trunk-1": "blocked"})
    for _ in live.steps(30):
        pass
    report = run(make_trial(), live, live.steps(30))

    assert report.agreement == 1.0
    assert report.onsets == {}
    assert report.states["blocked"] == {"blocked": 30}


def test_a_change_with_the_very_first_window_is_one_for_both():
    """The live state after it would make the candidate begin with the answer."""
    live = Live(1)
    for _ in live.steps(20):
        pass
    live.is_now["trunk-0"] = "blocked"
    shown = live.step()
    while not shown.turns:
        shown = live.step()
    trial = make_trial()
    report = run(trial, live, [shown, *live.steps(10)])

    assert report.onsets["blocked"] == Onsets(1, 1, 1)
    assert report.states["blocked"][NORMAL] > 0  # it had to find it by itself


def test_a_blind_candidate_shows_in_everything():
    """The shadow is there for this."""
    live = Live()
    trial = make_trial(Blind(), canaries=canaries(sight(Blind())))
    report = run(trial, live, live.day())

    assert report.agreement < 0.95
    assert report.states["blocked"] == {NORMAL: report.states["blocked"][NORMAL]}
    assert report.onsets["blocked"] == Onsets(2, 0, 0)
    assert report.all_onsets.missed == 4
    assert report.delays_ms == ()
    for label in FAULTS:
        assert report.canaries[label].shadow_found == 0
        assert report.canaries[label].shadow_judged > 0


def test_a_candidate_that_sees_late_has_the_delay_that_it_has():
    """Accuracy on whole windows would hide it."""
    live = Live()
    report = run(make_trial(Late(2)), live, live.day())

    assert report.delays_ms == (2000, 2000, 2000, 2000)
    assert report.all_onsets == Onsets(4, 4, 4)
    assert 0.9 < report.agreement < 1.0


def test_a_candidate_that_sees_sooner_has_a_delay_below_0():
    """Better is possible, and a late live onset has its match waiting."""
    live = Live(encoder=Late(2))
    report = run(make_trial(), live, live.day())

    assert report.delays_ms == (-2000, -2000, -2000, -2000)


def test_alarms_of_the_candidate_alone_are_counted_as_its_own():
    """They are what false alarms will show as."""
    live = Live(encoder=Blind())
    report = run(make_trial(), live, live.day())

    assert report.all_onsets == Onsets(0, 4, 0)
    assert report.states[NORMAL]["blocked"] > 0


def test_canaries_are_planted_in_the_shadow_too_and_stand_beside_the_live_ones():
    """The self-test needs no fault to happen in the days of the trial."""
    live = Live(20)
    trial = make_trial(canaries=canaries(sight()))
    trial.live_canaries({"blocked": (3, 4), "other": (1, 1)})
    report = run(trial, live, live.steps(120))

    blocked = report.canaries["blocked"]
    assert (blocked.live_found, blocked.live_judged) == (3, 4)
    assert blocked.shadow_found == blocked.shadow_judged > 3
    assert report.canaries["other"] == CanaryPair(1, 1, 0, 0)
    # Planted faults are nobody's: not one is in the comparison.
    assert report.onsets == {}
    assert report.agreement == 1.0


def test_the_live_windows_stay_as_they_are():
    """They are the live bundle's; the store is writing them meanwhile."""
    live = Live(20)
    trial = make_trial(canaries=canaries(sight()))
    for shown in live.steps(60):
        before = [window.values.copy() for window in shown.windows]
        trial.take(shown, float(live.second))
        for window, was in zip(shown.windows, before, strict=True):
            np.testing.assert_array_equal(window.values, was)


def test_a_silent_link_is_silent_to_both_until_it_is_heard():
    """No window says so, so the candidate can neither find it nor be blamed for it."""
    live = Live(2)
    trial = make_trial()
    run(trial, live, live.steps(20))
    state = live.steady.link("trunk-0")
    # The daemon notices that nothing comes, and then it does.
    live.steady.turn(state, SILENT, state.last_ms + 12_000, state.last_ms)
    live.steady.take_turns()
    live.second += 15
    report = run(trial, live, live.steps(20))

    assert report.states[SILENT] == {SILENT: report.states[SILENT][SILENT]}
    assert report.agreement == 1.0
    assert report.onsets == {}


def test_a_candidate_may_hear_a_link_again_before_the_live_bundle_does():
    """It begins in silence once, not with every window until the other is sure."""
    live = Live(1, rule=State(evidence=20.0))
    trial = make_trial()
    run(trial, live, live.steps(60))
    state = live.steady.link("trunk-0")
    live.steady.turn(state, SILENT, state.last_ms + 12_000, state.last_ms)
    live.steady.take_turns()
    live.second += 15
    report = run(trial, live, live.steps(60))

    assert report.states[SILENT][NORMAL] > report.states[SILENT][SILENT] > 0


def test_a_link_that_was_just_repaired_has_no_canary():
    """What is held back comes then: the live bundle plants nothing there either."""
    live = Live({"trunk-0": "blocked"})
    for _ in live.steps(20):
        pass
    live.is_now["trunk-0"] = NORMAL
    while live.steady.link("trunk-0").label != NORMAL:
        live.step()
    planting = canaries(sight())
    trial = make_trial(canaries=planting)

    run(trial, live, live.steps(20))
    assert len(planting) == 0
    run(trial, live, live.steps(30))
    assert len(planting) == 1


def test_a_candidate_that_needs_more_counts_what_it_can_not_use():
    """Live these would be dead letters, so promotion must know."""
    strict = make_spec(optional=())  # blocked links have no response time
    live = Live()
    trial = make_trial(spec=strict)
    report = run(trial, live, live.day())

    assert report.unusable > 0
    assert report.windows + report.unusable == 5 * live.second


def test_link_time_is_what_both_watched():
    """Rates a link-week are over it; a gap counts as no more than a window covers."""
    live = Live(2)
    trial = make_trial()
    run(trial, live, live.steps(11))
    live.second += 3600
    report = run(trial, live, live.steps(1))

    assert report.link_seconds == 2 * (10 + SPEC.steps)


def test_the_rule_is_the_daemons():
    """By another one delays would be the rule's, not the candidate's."""
    slow = run(make_trial(rule=State(evidence=20.0)), live := Live(), live.day())

    assert min(slow.delays_ms) > 0


def test_other_anchors_of_the_candidate_are_used_from_then_on():
    """What is enrolled meanwhile is enrolled to the candidate too."""
    trial, live = make_trial(), Live()
    run(trial, live, live.steps(20))

    trial.use(sight(Blind()))
    live.is_now["trunk-0"] = "blocked"
    report = run(trial, live, live.steps(20))

    assert report.onsets["blocked"] == Onsets(1, 0, 0)


def test_after_windows_were_left_out_links_begin_as_they_are_live():
    """What happened in the gap nobody saw, so it is no difference."""
    trial, live = make_trial(), Live(2)
    run(trial, live, live.steps(20))
    live.is_now["trunk-0"] = "blocked"
    for _ in live.steps(20):
        pass  # of which the candidate saw nothing
    trial.begin_anew(40.0)
    report = run(trial, live, live.steps(20))

    assert report.agreement == 1.0
    assert report.onsets == {}


def test_what_one_side_had_found_before_the_gap_is_no_miss_of_the_other():
    """It was about to find it too, maybe."""
    trial, live = make_trial(Late(2)), Live(1)
    run(trial, live, live.steps(20))
    live.is_now["trunk-0"] = "blocked"
    while not (shown := live.step()).turns:
        trial.take(shown, float(live.second))
    report = run(trial, live, [shown])
    assert report.onsets["blocked"] == Onsets(1, 0, 0)

    trial.begin_anew(float(live.second))

    assert trial.report(**facts()).all_onsets == Onsets()


def test_a_finding_that_waited_too_long_is_not_matched():
    """What is kept for it is bounded, whatever links' clocks say."""
    trial, live = make_trial(Late(2)), Live(1)
    run(trial, live, live.steps(20))
    live.is_now["trunk-0"] = "blocked"
    while not (shown := live.step()).turns:
        trial.take(shown, float(live.second))
    trial.take(shown, float(live.second))
    for _ in range(10):
        trial.take(live.step(), 10_000.0)

    assert trial.report(**facts()).onsets["blocked"] == Onsets(1, 1, 0)


def test_a_label_that_was_enrolled_meanwhile_is_named():
    """Or the candidate would seem to miss what nobody had taught it."""
    live, trial = Live(1, Counting()), make_trial(Counting())
    live.load = 2000.0
    window = live.step().windows[0].values[None]
    act = Act(at_ms=0, who="me", what="enrolled")
    flood = enrol(label="flood", link="x", start_ms=0, spec=SPEC, values=window, act=act)
    live.load = 100.0
    run(trial, live, live.steps(20))

    trial.use(Sight.of(sight().bundle, Counting(), [flood]))
    live.load = 2000.0
    report = run(trial, live, live.steps(20))

    assert report.onsets["flood"] == Onsets(0, 1, 0)


def test_links_that_went_away_are_forgotten():
    """A daemon sees many come and go."""
    trial, live = make_trial(), Live(5)
    run(trial, live, live.steps(5))
    assert trial.links == 5

    for name in ("trunk-0", "trunk-1"):
        del live.is_now[name]
    for when in (1.0, 2.0):
        trial.take(live.step(), when * FORGET_SECONDS + 10)

    assert trial.links == 3


def test_others_get_a_turn_between_handfuls_of_windows():
    """The verdicts' thread waits for Python's lock no longer than a handful takes."""
    breaths = []
    trial, live = make_trial(breathe=lambda: breaths.append(1)), Live(200)

    trial.take(live.step(), 0.0)

    assert len(breaths) == 3


def test_nothing_at_all_is_nothing():
    """A batch may have no window of a link that is watched."""
    trial = make_trial()
    trial.take(Shown([], [], []), 0.0)

    assert trial.report(**facts()).windows == 0


def test_knowing_and_blind_are_what_they_are_called():
    """Or these tests would show nothing."""
    live = Live({"trunk-0": "blocked"})
    window = live.step().windows[0].values[None]

    assert Knowing().embed(window).argmax() == 0
    assert Blind().embed(window).argmax() == 2


def test_a_candidate_with_other_windows_is_refused():
    """Whoever opens it has to say so."""
    with pytest.raises(ValueError, match="5 steps"):
        make_trial(spec=make_spec(steps=5))
