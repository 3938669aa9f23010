"""The roster: what is told of links over time, over restarts and over moves of partitions."""

from contextlib import suppress
from functools import partial
from itertools import chain, zip_longest

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.board import StatusBoard
from detector.config import Events, Silence
from detector.status import Status
from tests.detector.oncall.keeping import DiedError, Life, Topics
from tests.fakes import NOON_MS, WallClock

BLOCKED = ("onset", "a", "blocked")
WELL_AGAIN = ("abated", "a", "blocked")


@pytest.fixture
def topics():
    """Give topics with nothing on them."""
    return Topics()


@pytest.fixture
def live(make_service, topics):
    """Begin lives of a daemon on the test's topics."""
    return partial(Life, make_service, topics)


def test_one_event_opens_a_fault_and_one_closes_it(live, topics):
    """A pager listens to events and wants one for each end of an incident."""
    life = live()
    life.seconds(10, a="normal")
    life.seconds(20, a="blocked")
    life.seconds(10, a="normal")

    onset, end = topics.events

    assert topics.told == [BLOCKED, WELL_AGAIN]
    assert onset.episode == end.episode
    assert (onset.previous, end.state) == ("normal", "normal")
    assert end.duration_ms == pytest.approx(20_000, abs=2000)
    assert end.worst_margin >= onset.verdict.margin > 0
    assert onset.reason


def test_a_link_that_is_first_seen_and_is_well_is_no_news_and_one_that_is_ill_is(live, topics):
    """A fault that was there before the daemon must not stay unsaid."""
    live().seconds(5, a="normal", b="blocked")

    assert topics.told == [("onset", "b", "blocked")]


def test_a_fault_that_turns_into_another_ends_before_the_other_begins(live, topics):
    """Two incidents, each with both its ends."""
    life = live()
    life.seconds(10, a="blocked")
    life.seconds(40, a="capacity-limited")

    assert topics.told == [BLOCKED, WELL_AGAIN, ("onset", "a", "capacity-limited")]
    assert [event.state for event in topics.events][1:] == ["capacity-limited"] * 2


def test_a_restart_in_the_middle_of_a_fault_is_not_heard_of(live, topics):
    """An upgrade at night must not call anybody, and the end must still be told."""
    first = live()
    first.seconds(10, a="normal")
    first.seconds(10, a="blocked")
    second = live(clock=first.clock)
    second.seconds(10, a="blocked")
    assert topics.told == [BLOCKED]

    second.seconds(10, a="normal")

    assert topics.told == [BLOCKED, WELL_AGAIN]
    assert len({event.episode for event in topics.events}) == 1


@pytest.mark.parametrize("dies_at", ["before", "events", "after", "commit"])
def test_wherever_the_daemon_dies_a_fault_is_told_once(live, topics, dies_at):
    """The batch is read again after the crash; nobody may be called twice, or not at all."""
    first = live()
    first.seconds(10, a="normal")
    first.sink.dies_at = dies_at
    with pytest.raises(DiedError):
        first.seconds(5, a="blocked")

    first.clock.sleep(-1)  # what was not committed comes again
    second = live(clock=first.clock)
    second.seconds(10, a="blocked")
    assert not topics.kept[0, b"a"].waiting
    second.seconds(10, a="normal")

    assert topics.told == [BLOCKED, WELL_AGAIN]


def test_what_is_usual_is_forgotten_with_the_link(live):
    """Memory must not only grow, and a name that comes again may be another link."""
    life = live(silence=Silence(retire_seconds=60))
    life.seconds(20, a="normal", b="normal", c="normal@1")
    usual = life.service.duty.roster.usual
    assert not np.isnan(usual.of(["a", "b"])).any(axis=1).all()

    life.source.move(0, is_gained=False)
    life.second()

    assert np.isnan(usual.of(["a", "b"])).all()


def test_what_waits_for_company_when_the_daemon_dies_is_told_by_the_next(live, topics):
    """Three seconds of patience must not cost an incident."""
    events = Events(gather_seconds=60, gather_links=2)
    first = live(events=events)
    first.seconds(10, a="normal", b="normal")
    first.seconds(5, a="blocked", b="normal")
    assert topics.events == []

    second = live(clock=first.clock, events=events)
    second.seconds(65, a="blocked", b="normal")

    assert topics.told == [BLOCKED]


def test_what_waits_for_company_is_told_when_the_daemon_is_stopped(live, topics):
    """Nobody knows when the next one starts."""
    life = live(events=Events(gather_seconds=60, gather_links=2))
    life.seconds(10, a="normal", b="normal")
    life.seconds(5, a="blocked", b="normal")

    life.service.stop()
    life.service.run(0)

    assert topics.told == [BLOCKED]
    assert all(not record.waiting for record in topics.kept.values())


def test_many_links_of_one_exporter_that_fail_together_are_one_event(live, topics):
    """A router that dies is one call, not two hundred."""
    life = live(events=Events(gather_seconds=3, gather_links=3))
    links = {f"a{number}": "normal" for number in range(4)}
    life.seconds(10, **links)
    life.seconds(10, **dict.fromkeys(links, "blocked"))

    (event,) = topics.events

    assert event.links == ("a0", "a1", "a2", "a3")
    assert event.group == "probe-1"


def test_a_silent_link_is_told_of_with_the_reason_and_that_it_is_back(live, topics):
    """Nothing arriving is a fault with a beginning and an end as any other."""
    life = live()
    life.seconds(20, a="normal", b="normal")
    life.seconds(30, b="normal")
    life.seconds(10, a="normal", b="normal")

    onset, end = topics.events

    assert topics.told == [("onset", "a", "silent"), ("abated", "a", "silent")]
    assert "its exporter reported others" in onset.reason
    assert onset.verdict is None
    # It began with the last window that came, not when somebody noticed.
    assert onset.at_ms - onset.since_ms == pytest.approx(11_000, abs=1500)
    assert onset.episode == end.episode


def test_a_fault_that_goes_quiet_stays_that_fault(live, topics):
    """Blocked, and then nothing comes any more: that is no second incident."""
    life = live()
    life.seconds(20, a="normal", b="normal")
    life.seconds(10, a="blocked", b="normal")
    life.seconds(60, b="normal")

    assert topics.told == [BLOCKED]
    assert life.states["a"] == "blocked"


def test_a_link_that_fell_silent_while_the_daemon_was_away_is_missed(live, topics):
    """Who restarts at the wrong moment must not become blind to one link for ever."""
    first = live()
    first.seconds(20, a="normal", b="normal")
    first.clock.sleep(600)
    second = live(clock=first.clock)
    second.seconds(5, b="normal")
    assert topics.told == []

    second.seconds(20, b="normal")

    assert topics.told == [("onset", "a", "silent")]


def test_ten_minutes_without_the_daemon_make_nobody_silent(live, topics):
    """While it was away it heard nothing; that says nothing of the links."""
    first = live()
    first.seconds(20, a="normal", b="normal", z="normal")
    first.clock.sleep(600)
    second = live(clock=first.clock)
    second.seconds(60, a="normal", b="normal", z="normal")

    assert topics.told == []


def test_while_the_broker_is_away_nobody_is_silent_nor_right_after(live, topics):
    """Its clients come back one by one."""
    life = live()
    life.seconds(20, a="normal", b="normal")
    for _ in range(300):  # the loop goes on, and hears nothing of the broker
        life.clock.sleep(1)
        life.service.step(0)
    life.seconds(8, b="normal")

    assert topics.told == []


def test_a_daemon_that_is_behind_blames_nobody(live, topics):
    """What it has not read yet may be just what it misses."""
    life = live()
    life.seconds(20, a="normal", b="normal")
    life.source.is_behind = True
    life.seconds(100, b="normal")

    assert topics.told == []


def test_a_lost_exporter_is_one_event_and_none_for_its_links(live, topics):
    """A collector that died is no fault of its two hundred trunks."""
    life = live()
    life.seconds(20, a="normal", b="normal", z="normal")
    life.seconds(60, z="normal")

    (event,) = topics.events

    assert (event.type, event.link, event.source) == ("onset", "", "probe-1")
    assert event.state == "telemetry-lost"
    assert life.states == {"a": "normal", "b": "normal", "z": "normal"}


def test_a_lost_exporter_that_comes_back_is_told_of_even_after_a_restart(live, topics):
    """Both ends of the incident have to be the same one's."""
    first = live()
    first.seconds(20, a="normal", z="normal")
    first.seconds(30, z="normal")
    second = live(clock=first.clock)
    second.seconds(60, z="normal")
    assert len(topics.events) == 1

    second.seconds(3, a="normal", z="normal")

    onset, end = topics.events
    assert (end.type, end.source, end.previous) == ("abated", "probe-1", "telemetry-lost")
    assert onset.episode == end.episode
    third = live(clock=first.clock)
    third.seconds(20, a="normal", z="normal")
    assert len(topics.events) == 2


def test_a_lost_exporter_that_left_for_good_ends_its_event_too(live, topics):
    """A host that was taken down must not leave an alarm that nobody can close."""
    life = live(silence=Silence(retire_seconds=60))
    life.seconds(20, a="normal", z="normal")
    life.seconds(90, a="normal")

    assert topics.told == [
        ("onset", "probe-2", "telemetry-lost"),
        ("abated", "probe-2", "telemetry-lost"),
    ]
    assert topics.events[-1].state == "retired"
    assert [record.link for record in topics.kept.values()] == ["a"]


def test_a_link_that_left_for_good_ends_its_fault_and_is_forgotten(live, topics):
    """An alarm that nobody can close is muted, and with it the next one."""
    life = live(silence=Silence(retire_seconds=60))
    life.seconds(20, a="normal", b="normal")
    life.seconds(10, a="blocked", b="normal")
    life.seconds(70, b="normal")

    assert topics.told == [BLOCKED, WELL_AGAIN]
    assert topics.events[-1].state == "retired"
    assert list(life.states) == ["b"]
    assert [record.link for record in topics.kept.values()] == ["b"]
    sample = life.service.metrics.registry.get_sample_value
    life.seconds(2, b="normal")
    assert (
        sample("anchorwatch_link_state", {"link": "a", "source": "probe-1", "state": "blocked"})
        is None
    )
    assert sample("anchorwatch_noticed_total", {"what": "retired"}) == 1


def test_links_of_a_partition_that_moved_away_are_the_other_daemons(live, topics):
    """Neither their states nor their silence is ours any more; their windows are judged there."""
    life = live(partitions=(0, 1))
    life.seconds(20, a="normal@1", b="normal")
    life.source.move(1, is_gained=False)
    life.second(a="blocked@1", b="normal")
    life.seconds(60, b="normal")

    assert topics.told == []
    assert list(life.states) == ["b"]


def test_the_daemon_that_takes_over_knows_what_was_told(live, topics):
    """A rebalance in the middle of an incident calls nobody."""
    one = live(partitions=(0, 1))
    one.seconds(10, a="normal@1", b="normal")
    one.seconds(10, a="blocked@1", b="normal")
    one.source.move(1, is_gained=False)
    one.second(b="normal")
    other = live(clock=one.clock, partitions=(1,))

    other.seconds(10, a="blocked@1")
    other.seconds(10, a="normal@1")

    assert topics.told == [BLOCKED, WELL_AGAIN]


def test_what_is_kept_of_a_link_that_never_changes_is_not_older_than_minutes(live, topics):
    """After a restart its pace and its usual traffic must be those of today."""
    life = live()
    life.seconds(20, a="normal", b="normal")
    early = topics.kept[0, b"a"].last_ms
    life.seconds(400, a="normal", b="normal")

    kept = topics.kept[0, b"a"]

    assert kept.last_ms - early > 100_000
    again = live(clock=life.clock)
    again.seconds(400, a="normal", b="normal")
    assert topics.kept[0, b"a"].last_ms - kept.last_ms > 100_000
    assert kept.gap == pytest.approx(1.0)
    assert max(kept.hours) > 0
    assert kept.state == "normal"


def test_the_status_says_how_everything_stands(live):
    """It is what is looked at first when the pager goes off."""
    life = live()
    life.seconds(20, a="normal", b="normal", z="normal")
    life.seconds(20, b="blocked")

    status = life.service.standing.status(life.clock(), life.source.vitals, {})

    assert status.states == {"silent": 1, "blocked": 1, "normal": 1}
    assert {link.link for link in status.worst[:2]} == {"a", "b"}
    blocked = next(link for link in status.worst if link.link == "b")
    assert blocked.state == "blocked"
    assert blocked.reason
    assert blocked.heard_seconds == pytest.approx(0, abs=1.5)
    assert (status.sources[0].name, status.sources[0].state) == ("probe-2", "lost")
    assert (status.sources_known, status.sources_lost) == (2, 1)
    assert [event.state for event in status.events][-1] == "blocked"
    assert status.contact_seconds == 0
    assert status.windows_per_second > 0


def both(one, other, count, ours, theirs):
    """Let two daemons live side by side."""
    for _ in range(count):
        one.clock.sleep(-1)  # they share it
        one.second(**ours)
        other.second(**theirs)


def held_up(delays):
    """Say of each second whether words lie on their way in it."""
    return [late for delay in delays for late in [True] * delay + [False]]


def test_after_a_restart_numbers_of_no_window_yet_are_not_shown_as_numbers(live):
    """A margin of 0.00 says that the verdict is a guess, which nobody has made."""
    first = live()
    first.seconds(10, a="normal", b="normal")
    second = live(clock=first.clock)
    board = second.service.board = StatusBoard(Status(version="", bundle="", now_ms=0))
    second.seconds(2, b="normal")

    status = msgspec.json.decode(board.page().body, type=Status)

    shown = {link.link: (link.state, link.margin, link.strangeness) for link in status.worst}
    assert shown["a"] == ("normal", None, None)
    assert shown["b"][1] > 0


def test_an_exporter_that_another_daemon_hears_is_not_lost(live, topics):
    """Its links are spread over the daemons of the group."""
    clock = WallClock()
    one, other = live(clock=clock, partitions=(0,)), live(clock=clock, partitions=(1,))
    both(one, other, 30, {"a": "normal"}, {"b": "normal@1"})

    both(one, other, 60, {}, {"b": "normal@1"})

    # One hears nothing of the exporter but a word from the other: so its link is to blame.
    assert topics.told == [("onset", "a", "silent")]


def test_an_exporter_that_nobody_hears_is_told_of_by_one_daemon_alone(live, topics):
    """Ten daemons that all call about one dead collector are worse than none."""
    clock = WallClock()
    one, other = live(clock=clock, partitions=(0,)), live(clock=clock, partitions=(1,))
    both(one, other, 30, {"a": "normal"}, {"b": "normal@1"})

    both(one, other, 60, {}, {})
    assert topics.told == [("onset", "probe-1", "telemetry-lost")]

    both(one, other, 5, {"a": "normal"}, {"b": "normal@1"})
    assert topics.told[1:] == [("abated", "probe-1", "telemetry-lost")]


def test_a_daemon_that_gave_partitions_away_is_not_behind_with_them(live, topics):
    """Or after the first rebalance no exporter would ever be lost again."""
    clock = WallClock()
    one, other = live(clock=clock, partitions=(0, 1)), live(clock=clock, partitions=())
    both(one, other, 10, {"a": "normal", "b": "normal@1"}, {})
    one.source.move(0, is_gained=False)
    other.source.move(0, is_gained=True)
    both(one, other, 20, {"b": "normal@1"}, {"a": "normal"})

    both(one, other, 40, {}, {})

    assert topics.told == [("onset", "probe-1", "telemetry-lost")]


def test_while_another_daemon_is_behind_no_exporter_is_lost(live, topics):
    """What it has not read may be the exporter's."""
    clock = WallClock()
    one, other = live(clock=clock, partitions=(0,)), live(clock=clock, partitions=(1,))
    both(one, other, 30, {"a": "normal"}, {"b": "normal@1"})
    other.source.is_behind = True

    both(one, other, 60, {}, {})

    assert topics.told == []


def test_a_daemon_that_died_while_it_was_behind_holds_nobody_up(live, topics):
    """Its partitions are dealt out again; until then its last word must not count for ever."""
    clock = WallClock()
    one, other = live(clock=clock, partitions=(0,)), live(clock=clock, partitions=(1,))
    both(one, other, 30, {"a": "normal"}, {"b": "normal@1"})
    other.source.is_behind = True
    both(one, other, 10, {"a": "normal"}, {"b": "normal@1"})

    one.seconds(60)

    assert topics.told == [("onset", "probe-1", "telemetry-lost")]


@pytest.mark.parametrize("known", range(4))
@pytest.mark.parametrize("late", [4, 9, 14])
def test_words_that_are_late_are_waited_for_before_an_exporter_is_lost(live, topics, known, late):
    """What one of them says would bring it back, only to be lost again: two calls for nothing."""
    clock, quick = WallClock(), Silence(least_seconds=3, missed_windows=2)
    one = live(clock=clock, partitions=[0], silence=quick)
    other = live(clock=clock, partitions=[1], silence=quick)
    both(one, other, 10, {"a": "normal"}, {"b": "normal@1"})
    both(one, other, known, {}, {})

    one.kept.is_held_up = other.kept.is_held_up = True
    both(one, other, late, {}, {})
    one.kept.is_held_up = other.kept.is_held_up = False
    both(one, other, 20, {}, {})

    told = [told for told in topics.told if told[2] == "telemetry-lost"]
    assert told == [("onset", "probe-1", "telemetry-lost")]


# Seconds for which words lie on their way, again and again.
DELAYS = st.lists(st.integers(0, 3), max_size=10)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(0, 3), st.integers(0, 5), DELAYS, DELAYS)
def test_however_late_words_come_a_lost_exporter_is_told_of_once(
    make_service, start, alone, ours, theirs
):
    """On a busy machine a word lies on its way for seconds; then it is no sign of life."""
    topics, clock = Topics(), WallClock()
    quick = Silence(least_seconds=3, missed_windows=2)
    one = Life(make_service, topics, clock=clock, partitions=[0], silence=quick)
    other = Life(make_service, topics, clock=clock, partitions=[1], silence=quick)
    both(one, other, 10 + start, {"a": "normal"}, {"b": "normal@1"})
    both(one, other, alone, {}, {"b": "normal@1"})

    late = zip_longest(held_up(ours), held_up(theirs), fillvalue=False)
    for one.kept.is_held_up, other.kept.is_held_up in chain(late, [(False, False)] * 20):
        both(one, other, 1, {}, {})

    lost = [told for told in topics.told if told[2] == "telemetry-lost"]
    assert lost == [("onset", "probe-1", "telemetry-lost")]


# Links of one exporter by partition, for daemons between which partitions move.
SPREAD = {"a": 0, "b": 1, "c": 1}
WELL = dict.fromkeys(SPREAD, "normal")
LOST = ("onset", "probe-1", "telemetry-lost")
BACK = ("abated", "probe-1", "telemetry-lost")


def together(seconds, lives, labels):
    """Let daemons live side by side; each link reports to whoever has its partition."""
    for _ in range(seconds):
        Life.together(lives, labels, SPREAD)


def move(partition, old, new):
    """Let a partition go from one daemon to another."""
    old.source.move(partition, is_gained=False)
    new.source.move(partition, is_gained=True)


def test_a_spare_daemon_keeps_nobody_from_telling_of_a_lost_exporter(live, topics):
    """It has no partition, so nothing that it did not read; and it is there for good."""
    one = live(partitions=(0, 1))
    spare = live(clock=one.clock, partitions=())
    spare.source.vitals.is_assigned = False
    together(30, [one, spare], WELL)

    together(60, [one, spare], {})

    assert topics.told == [LOST]


def test_a_link_that_was_silent_once_retires_like_any_other(live, topics):
    """Decommissioning must not end the daemon, whatever the link's past is."""
    life = live(silence=Silence(retire_seconds=100))
    life.seconds(20, a="normal", b="normal")
    life.seconds(30, b="normal")
    life.seconds(60, a="normal", b="normal")

    life.seconds(200, b="normal")

    assert topics.told == [("onset", "a", "silent"), ("abated", "a", "silent")] * 2
    assert life.states == {"b": "normal"}


@pytest.mark.parametrize("partition", [0, 1])
def test_a_lost_exporter_whose_links_move_is_told_of_once(live, topics, partition):
    """Nor are its links blamed by whoever takes them: upgrades go on while a collector is dead."""
    one = live(partitions=(0, 1))
    together(60, [one], WELL)
    together(60, [one], {})
    two = live(clock=one.clock, partitions=())
    together(6, [one, two], {})
    move(partition, one, two)

    together(60, [one, two], {})
    assert topics.told == [LOST]

    together(10, [one, two], WELL)
    assert topics.told == [LOST, BACK]


def test_a_daemon_that_takes_all_of_a_lost_exporter_blames_no_link(live, topics):
    """The other was stopped for an upgrade, and comes back."""
    one = live(partitions=(0,))
    two = live(clock=one.clock, partitions=(1,))
    together(60, [one, two], WELL)
    together(60, [one, two], {})
    one.source.move(1, is_gained=True)
    together(40, [one], {})
    two = live(clock=one.clock, partitions=())
    move(1, one, two)
    together(60, [one, two], {})
    together(10, [one, two], WELL)

    assert topics.told == [LOST, BACK]


def test_a_loss_that_was_left_to_a_daemon_that_gave_it_away_is_told_all_the_same(live, topics):
    """Whoever only took note of it, since it was for another to tell, looks at it anew."""
    one = live(partitions=(0,))
    two = live(clock=one.clock, partitions=(1,))
    together(60, [one, two], WELL)
    together(9, [one, two], {})
    one = live(clock=one.clock, partitions=(0,))  # again, and so its links have time anew
    together(7, [one, two], {})
    assert two.service.duty.roster.silence.exporters["probe-1"].is_lost
    assert topics.told == []
    move(0, one, two)

    together(30, [two], {})

    assert topics.told == [LOST]


def test_a_lost_exporter_whose_links_another_one_reports_is_lost_no_more(live, topics):
    """A probe is replaced: what opened must close, or it stands on the wall for ever."""
    life = live()
    life.seconds(30, a="normal")
    life.seconds(30)
    assert topics.told == [LOST]

    for _ in range(5):
        life.clock.sleep(1)
        second = round(life.clock.wall - NOON_MS / 1000)
        life.source.put("a", "normal", second, 0, "probe-9")
        life.source.vitals.contact = life.clock.wall
        life.service.step(0)

    assert topics.told == [LOST, BACK]
    assert topics.events[-1].state == "retired"


def test_events_that_wait_for_company_go_with_their_links(live, topics):
    """Told by the old daemon and by the new one, they would be two calls under two names."""
    events = Events(gather_seconds=3, gather_links=2)
    one = live(partitions=(0, 1), events=events)
    together(20, [one], WELL)
    two = live(clock=one.clock, partitions=(), events=events)
    ill = dict.fromkeys(SPREAD, "blocked")
    while not any(record.waiting for record in topics.kept.values()):
        together(1, [one, two], ill)
    move(1, one, two)

    together(15, [one, two], ill)

    told = [each.link for event in topics.events for each in event.each()]
    assert sorted(told) == ["a", "b", "c"]


def test_records_of_a_link_that_comes_and_goes_are_written_as_often_as_others(live):
    """Partitions that move to and fro for an hour must not make one link's rounds endless."""
    one = live(partitions=(0, 1))
    two = live(clock=one.clock, partitions=())
    for _ in range(5):
        together(3, [one, two], WELL)
        move(1, one, two)
        together(3, [one, two], WELL)
        move(1, two, one)

    together(3, [one, two], WELL)

    assert sorted(one.service.duty.roster.keeper._rounds) == ["a", "b", "c"]


LABELS = st.sampled_from(["normal", "blocked", "capacity-limited"])
STRETCHES = st.lists(st.tuples(LABELS, LABELS, st.integers(1, 8)), min_size=1, max_size=6)
ENDINGS = st.lists(st.sampled_from(["before", "events", "after", "commit", "stop"]), max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(STRETCHES, ENDINGS, st.sampled_from([0.0, 3.0]))
def test_over_any_lives_each_fault_has_one_beginning_and_one_end(
    make_service, stretches, endings, gather
):
    """Whatever happens to daemons, an alarm system stays consistent: this is what it is for."""
    topics, clock = Topics(), WallClock()
    events = Events(gather_seconds=gather, gather_links=2)
    life = Life(make_service, topics, clock=clock, events=events)
    for first, second, count in stretches:
        for _ in range(count):
            try:
                life.second(a=first, b=second)
            except DiedError:
                clock.sleep(-1)  # not committed, so it comes again
                life = Life(make_service, topics, clock=clock, events=events)
                life.second(a=first, b=second)
        if endings:
            ending = endings.pop()
            if ending == "stop":
                life.service.stop()
                with suppress(DiedError):  # it may die of what it has to tell yet
                    life.service.run(0)
                life = Life(make_service, topics, clock=clock, events=events)
            else:
                life.sink.dies_at = ending
    life.sink.dies_at = ""
    life.seconds(30, a="normal", b="normal")

    ids = [one for event in topics.events for one in event.told]
    assert len(ids) == len(set(ids))
    for link in "ab":
        told = [one for one in topics.told if one[1] == link]
        assert [kind for kind, _, _ in told] == ["onset", "abated"] * (len(told) // 2)
        assert [state for _, _, state in told[::2]] == [state for _, _, state in told[1::2]]
