"""The shadow's thread: it may be slow, broken or overrun, and the loop never notices."""

import threading
import time

import pytest

from detector.config import Shadow as Section
from detector.oncall.recall import Recall, Result
from detector.shadow.report import CanaryPair, Onsets, decode, encode
from detector.shadow.shadow import (
    LEAST_LINKS,
    MOST_WAITING,
    NARROW,
    TOGETHER,
    WIDEN_SECONDS,
    Shadow,
    now,
    place_of,
)
from detector.shadow.telling import NO_SHADOW, figures
from detector.shadow.trial import Shown
from tests.fakes import WallClock

from .live import Blind, Broken, Knowing, Late, Live, Waiting, make_trial, sight


class Working(Knowing):
    """An encoder that takes time by a clock."""

    def __init__(self, clock: WallClock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def embed(self, values):
        """Let time pass, then see."""
        self.clock.sleep(self.seconds)
        return super().embed(values)


class Sleeping(Knowing):
    """An encoder that really takes time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def embed(self, values):
        """Sleep, then see."""
        time.sleep(self.seconds)
        return super().embed(values)


def make_shadow(encoder=None, clock=None, trial=None, **settings) -> Shadow:
    """Make one that works when it is told to, unless it is started."""
    return Shadow(
        trial or make_trial(encoder),
        Section(**settings),
        candidate="new",
        live="old",
        daemon="here",
        clock=clock or WallClock(),
    )


def show(shadow, batches):
    """Hand over some batches and let them be judged, one by one."""
    for shown in batches:
        shadow.take(*shown)
        while shadow.step():
            pass
        shadow.step()


def value(shadow, name, *labels):
    """Give one figure."""
    (found,) = [one for one in shadow.figures() if one.name == name]
    return found.values[labels]


def until(is_done, seconds=20.0):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_an_identical_candidate_agrees_in_everything():
    """With queue and thread between, as it will be."""
    live, shadow = Live(), make_shadow()
    show(shadow, live.day())
    report = shadow.report()

    assert report.agreement == 1.0
    assert report.all_onsets == Onsets(4, 4, 4)
    assert set(report.delays_ms) == {0}
    assert (report.candidate, report.live, report.daemon) == ("new", "old", "here")
    assert report.windows == 5 * live.second
    assert report.skipped == 0
    assert decode(encode(report)) == report


def test_batches_that_waited_together_are_judged_as_one_with_the_same_outcome():
    """It may be behind; it must not come to other verdicts by that."""
    live, shadow = Live(3), make_shadow()
    for shown in live.day(faults=2):
        shadow.take(*shown)
    while shadow.report().windows < 3 * live.second:
        shadow.step()

    assert shadow.report().agreement == 1.0
    assert shadow.report().all_onsets == Onsets(2, 2, 2)


def test_a_candidate_that_hangs_never_delays_the_loop_and_what_it_misses_is_counted():
    """The verdicts of the live bundle come first, whatever is tried beside it."""
    encoder, live = Waiting(), Live(64)
    shadow = make_shadow(encoder)
    shadow.start()
    try:
        batches = list(live.steps(200))
        shadow.take(*batches[0])
        until(encoder.is_busy.is_set)
        slowest = 0.0
        for shown in batches[1:]:
            begun = time.perf_counter()
            shadow.take(*shown)
            slowest = max(slowest, time.perf_counter() - begun)
        waiting = MOST_WAITING // 64

        assert slowest < 0.1  # a busy machine; it takes microseconds
        assert shadow.skipped == (200 - waiting) * 64
        assert value(shadow, "shadow_skipped") == shadow.skipped
        assert shadow.report().skipped == shadow.skipped
    finally:
        encoder.may_go.set()
        shadow.close()


def test_a_batch_larger_than_what_may_wait_is_taken_if_none_waits():
    """Or a daemon with large batches would try nothing."""
    live, shadow = Live(MOST_WAITING + 1), make_shadow()
    shown = live.step()
    shadow.take(*shown)
    shadow.take(*shown)

    assert shadow.skipped == MOST_WAITING + 1


def test_after_batches_were_left_out_fewer_links_are_watched_each_of_them_whole():
    """A link that is seen now and then tells nothing of delays."""
    live, shadow = Live(512), make_shadow()
    for shown in live.steps(12):
        shadow.take(*shown)  # four of them are too much
    while shadow.report().windows < MOST_WAITING:
        shadow.step()
    assert shadow.status.share == 1.0

    show(shadow, live.steps(20))

    status = shadow.status
    assert status.share == NARROW
    assert status.links == sum(place_of(name) < NARROW for name in live.is_now)
    assert status.windows == MOST_WAITING + 20 * status.links
    # Those that are no longer watched count as left out, as whole batches do.
    assert status.skipped == 4 * 512 + 20 * (512 - status.links)
    assert status.agreement == 1.0


def test_what_was_left_out_before_fewer_links_could_help_does_not_narrow_them_again():
    """Else one burst would leave hardly any link to watch."""
    live, shadow = Live(TOGETHER), make_shadow()
    batches = live.steps(100)

    def burst():
        for _ in range(MOST_WAITING // TOGETHER + 1):
            shadow.take(*next(batches))
        for _ in range(2):  # room for one, which comes after a gap, and none for another
            shadow.step()
            shadow.take(*next(batches))
            shadow.take(*next(batches))
        for _ in range(MOST_WAITING // TOGETHER):
            shadow.step()

    burst()
    assert shadow.skipped >= 3 * TOGETHER
    assert shadow.status.share == NARROW
    burst()
    assert shadow.status.share == NARROW**2


def test_some_links_are_watched_however_slow_it_is():
    """A trial of a few links is still one."""
    live, shadow = Live(TOGETHER), make_shadow(links=2 * LEAST_LINKS)
    for _ in range(8):
        for shown in live.steps(MOST_WAITING // TOGETHER + 1):
            shadow.take(*shown)
        for _ in range(MOST_WAITING // TOGETHER + 1):
            shadow.step()

    assert shadow.status.share == LEAST_LINKS


def test_links_are_watched_again_after_an_hour_without_an_overrun():
    """A daemon that caught up after an outage has time again."""
    clock, live = WallClock(), Live(512)
    shadow = make_shadow(clock=clock)
    for shown in live.steps(12):
        shadow.take(*shown)
    while shadow.report().windows < MOST_WAITING:
        shadow.step()
    show(shadow, live.steps(1))
    assert shadow.status.share == NARROW

    clock.sleep(WIDEN_SECONDS)
    show(shadow, live.steps(1))
    clock.sleep(WIDEN_SECONDS)
    show(shadow, live.steps(1))
    clock.sleep(WIDEN_SECONDS)
    show(shadow, live.steps(1))

    assert shadow.status.share == 1.0


def test_the_setting_links_chooses_the_same_links_in_every_daemon():
    """Windows of a link that moves to another daemon are watched there too, or not."""
    live, shadow = Live(400), make_shadow(links=0.25)
    show(shadow, live.steps(3))

    mine = {name for name in live.is_now if place_of(name) < 0.25}
    assert shadow.status.links == len(mine)
    assert 60 < len(mine) < 140
    assert shadow.report().windows == 3 * len(mine)
    assert shadow.report().skipped == 0  # nobody asked for the others


def test_faults_of_links_that_are_not_watched_are_nobodys_misses():
    """The candidate never saw them."""
    live, shadow = Live(40), make_shadow(links=0.25)
    show(shadow, live.steps(20))
    live.is_now = dict.fromkeys(live.is_now, "blocked")
    show(shadow, live.steps(20))

    mine = sum(place_of(name) < 0.25 for name in live.is_now)
    assert shadow.report().all_onsets == Onsets(mine, mine, mine)


def test_of_a_batch_that_is_left_out_only_what_would_have_been_watched_counts():
    """The report says what was missed of what was asked for."""
    live, shadow = Live(MOST_WAITING), make_shadow(links=0.25)
    shadow.take(*live.step())
    shadow.take(*live.step())

    assert shadow.skipped == MOST_WAITING // 4


def test_no_links_at_all_is_no_trial():
    """It is how an operator turns it off without taking the candidate away."""
    shadow = make_shadow(links=0.0)
    show(shadow, Live().steps(3))

    assert shadow.report().windows == 0
    assert shadow.skipped == 0


@pytest.mark.parametrize(("time_share", "rest"), [(0.5, 0.2), (0.25, 0.6), (1.0, 0.0)])
def test_it_rests_so_long_that_it_stays_below_its_time_share(time_share, rest):
    """The rest of the core is the live bundle's."""
    clock = WallClock()
    shadow = make_shadow(Working(clock, 0.2), clock, time_share=time_share)
    shadow.take(*Live().step())

    assert shadow.step() == pytest.approx(rest)
    assert value(shadow, "shadow_work_seconds") == pytest.approx(0.2)


def test_its_thread_does_rest():
    """A rest that nobody takes is none."""
    live = Live()
    shadow = make_shadow(Sleeping(0.05), now, time_share=0.2)
    batches, begun = list(live.steps(100)), time.monotonic()
    shadow.start()
    for shown in batches:
        shadow.take(*shown)
        time.sleep(0.01)
    shadow.close()
    elapsed = time.monotonic() - begun

    assert 0.05 < value(shadow, "shadow_work_seconds") < 0.2 * elapsed + 0.2


def test_a_candidate_that_fails_ends_the_shadow_and_nothing_else(caplog):
    """Promotion sees the figure, and the log says why."""
    live, shadow = Live(), make_shadow(Broken())
    shadow.start()
    shadow.take(*live.step())
    until(lambda: shadow.failure)
    for shown in live.steps(2 * MOST_WAITING // 5):
        shadow.take(*shown)
    shadow.close()

    assert "no such weights" in shadow.failure
    assert shadow.skipped == 0  # it is over, not late
    assert "no such weights" in shadow.status.failure
    assert [record.message for record in caplog.records] == ["candidate failed in the shadow"]
    assert value(shadow, "shadow_failed") == 1
    assert value(shadow, "shadow_running") == 0
    assert (shadow.report().windows, shadow.report().failures) == (0, 1)


def test_its_thread_judges_what_comes_and_ends_when_it_is_closed():
    """The daemon's own thread does none of it."""
    live, shadow = Live(), make_shadow(time_share=1.0)
    shadow.start()
    for shown in live.steps(30):
        shadow.take(*shown)
    until(lambda: shadow.report().windows == 150)
    shadow.close()
    shadow.close()

    assert "shadow" not in {thread.name for thread in threading.enumerate()}
    assert value(shadow, "shadow_windows") == 150


def test_live_canaries_count_from_when_the_trial_began():
    """The candidate did not have the months before."""
    recall = Recall(("blocked",))
    recall.add(Result("blocked", "trunk-1", 0, "found", 1.0))
    shadow = make_shadow()
    shadow.live_canaries(recall.scores())
    for outcome in ("found", "missed", "renamed", "void"):
        recall.add(Result("blocked", "trunk-1", 0, outcome, 1.0 if outcome == "found" else None))
    shadow.live_canaries(recall.scores())
    show(shadow, Live().steps(1))

    assert shadow.report().canaries == {"blocked": CanaryPair(1, 3, 0, 0)}
    assert value(shadow, "shadow_canary_recall", "live", "blocked") == pytest.approx(1 / 3)


def test_other_anchors_are_used_with_the_next_batch():
    """What is enrolled while a candidate is tried is enrolled to it too."""
    live, shadow = Live(), make_shadow()
    show(shadow, live.steps(20))
    shadow.use(sight(Blind()))
    live.is_now["trunk-0"] = "blocked"
    show(shadow, live.steps(20))

    assert shadow.report().all_onsets == Onsets(1, 0, 0)


def test_figures_tell_what_the_report_does():
    """An operator sees on the dashboard what promotion will decide by."""
    live, shadow = Live(encoder=Blind()), make_shadow()
    show(shadow, live.day())
    report = shadow.report()

    assert value(shadow, "shadow_windows") == report.windows
    assert value(shadow, "shadow_links") == 5
    assert value(shadow, "shadow_agreement") == report.agreement
    assert value(shadow, "shadow_onsets", "shadow") == 4
    assert value(shadow, "shadow_onsets", "live") == 0
    assert value(shadow, "shadow_onsets", "both") == 0
    assert value(shadow, "shadow_unknown", "shadow") == 0
    assert value(shadow, "shadow_running") == 1


def test_the_delay_is_told_in_seconds():
    """Prometheus has base units."""
    live, shadow = Live(), make_shadow(Late(2))
    show(shadow, live.day())

    assert value(shadow, "shadow_delay_seconds") == 2.0
    assert NO_SHADOW.delay_seconds is None


def test_without_a_candidate_all_figures_are_there():
    """A panel that is empty until the first candidate comes looks broken."""
    without = {one.name: one for one in figures()}

    assert set(without) == {one.name for one in make_shadow().figures()}
    assert without["shadow_onsets"].values == {("live",): 0, ("shadow",): 0, ("both",): 0}
    assert without["shadow_running"].values == {(): 0}
    assert all(one.meaning.endswith(".") for one in without.values())


def test_a_report_says_from_when_to_when():
    """Promotion asks for a trial that was long enough."""
    clock = WallClock()
    shadow, begun = make_shadow(clock=clock), clock().ms
    clock.sleep(60)

    assert (shadow.report().since_ms, shadow.report().until_ms) == (begun, begun + 60_000)


def test_nothing_to_do_is_nothing_done():
    """The thread looks once a second whether it is to end."""
    shadow = make_shadow()
    shadow.take([], [], [])

    assert shadow.step() == 0.0
    shadow.close()
    assert shadow.step() == 0.0
    assert Shown([], [], []).windows == []
