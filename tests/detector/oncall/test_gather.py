"""Gathering: laws that hold for any events at any times, and what a gathered event says."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.events import abated, onset
from detector.oncall.gather import MOST, Gather
from detector.oncall.groups import Groups
from detector.verdict import Verdict

SECONDS = 3.0
MANY = 3  # links in a gathered event at least, in these tests


def make_onset(link="a", state="blocked", *, since_ms=0, source="probe-1", **changes):
    """Make the event of a link's fault."""
    usual = {"previous": "normal", "at_ms": since_ms + 15_000}
    return onset(link=link, source=source, state=state, since_ms=since_ms, **usual | changes)


def make_abated(link="a", previous="blocked", *, since_ms=60_000, source="probe-1", **changes):
    """Make the event of the end of a link's fault."""
    usual = {"state": "normal", "at_ms": since_ms + 15_000, "began_ms": 0}
    return abated(
        link=link, source=source, previous=previous, since_ms=since_ms, **usual | changes
    )


def make_verdict(link, margin):
    """Make the verdict of a window that settled a state."""
    return Verdict(
        link, "probe-1", 0, 15_000, "blocked", "blocked", 0.2, margin, "cable", {}, "b1"
    )


class Crowd(Groups):
    """Groups of which each has as many links as a test says, and notes who was asked for."""

    def __init__(self, known, pattern=""):
        super().__init__(pattern)
        self.known, self.asked = known, set()

    def size(self, group):
        """Say how many there are, which may be drawn anew."""
        self.asked.add(group)
        return self.known() if callable(self.known) else self.known


def make_gather(known=100, group="", **changes):
    """Make one in which every group has *known* links."""
    return Gather(Crowd(known, group), **{"seconds": SECONDS, "links": MANY} | changes)


def push_all(gather, events, now=0.0):
    """Push events that come at once."""
    for event in events:
        gather.push(event, now)


def names(events):
    """Give the links of each event."""
    return [event.links or event.link for event in events]


@st.composite
def streams(draw):
    """Draw events of a few links, each with the seconds that passed before it came.

    Every event is another, but links, states and exporters come again and again, in any order,
    so that much may be gathered and much may not.
    """
    stream = []
    for number in range(draw(st.integers(0, 40))):
        link = draw(st.sampled_from("abcdef"))
        source = draw(st.sampled_from(["probe-1", "probe-1", "probe-2"]))
        state = draw(st.sampled_from(["blocked", "silent"]))
        if draw(st.booleans()):
            event = make_onset(link, state, since_ms=number, source=source)
        else:
            event = make_abated(link, state, began_ms=number, source=source)
        stream.append((draw(st.sampled_from([0.0, 0.0, 0.1, 1.0, 2.5, 4.0])), event))
    return stream


def tell(told):
    """List what was told of each link, in the order in which it was told."""
    by_link = defaultdict(list)
    for event in told:
        for link in event.links or (event.link,):
            by_link[link].append((event.type, event.fault))
    return by_link


@given(streams(), st.sampled_from([0.5, 1.0, 7.0]), st.sampled_from([2, 100]), st.data())
def test_what_goes_in_comes_out_once_and_in_the_order_of_its_link(stream, every, known, data):
    """No fault is unsaid, none is said twice, and no alarm closes before it opens.

    A known number of links that changes is a link that came or retired meanwhile.
    """
    gather = make_gather(lambda: data.draw(st.sampled_from([known, 100])))
    told, now, asked = [], 0.0, 0.0

    for passed, event in stream:
        now += passed
        gather.push(event, now)
        if now >= asked + every:
            told += gather.due(now)
            asked = now
    told += gather.flush()

    assert tell(told) == tell(event for _, event in stream)
    assert gather.pending() == ()


@given(streams())
def test_nothing_waits_longer_than_told(stream):
    """A pager that rings late for the sake of a tidy list is not wanted."""
    gather, came, now = make_gather(), {}, 0.0

    for passed, event in stream:
        now += passed
        gather.push(event, now)
        came[event.id] = now
        gather.due(now)

        assert all(now - came[held.id] < SECONDS for held in gather.pending())


@given(streams())
def test_what_is_gathered_came_within_the_time_and_says_the_same(stream):
    """A list of links that have nothing to do with each other sends people to the wrong place."""
    gather, told, came, now = make_gather(), [], defaultdict(list), 0.0

    for passed, event in stream:
        now += passed
        gather.push(event, now)
        came[event.link, event.type, event.fault, event.source].append(now)
        told += [(now, each) for each in gather.due(now)]

    for when, event in told:
        if event.links:
            assert len(set(event.links)) == len(event.links) >= MANY
            assert list(event.links) == sorted(event.links)
            assert event.source == event.group
            times = [came[link, event.type, event.fault, event.source] for link in event.links]
            assert all(any(time <= when for time in each) for each in times)
            # Each has one that lies within the time of one of another link.
            firsts = [time for each in times for time in each]
            assert any(
                all(any(0 <= time - first < SECONDS for time in each) for each in times)
                for first in firsts
            )


@given(st.lists(st.tuples(st.floats(0, 2), st.sampled_from(["blocked", "silent"])), max_size=40))
def test_it_agrees_with_the_plain_way(comings):
    """Each state's events, all of other links, are cut where one comes too late for the first."""
    gather, told, now = make_gather(), [], 0.0
    plain = defaultdict(list)  # state: lists of the links that came together
    first = {}
    for number, (passed, state) in enumerate(comings):
        now += passed
        link = f"{number:02}"
        if now - first.get(state, -100.0) >= SECONDS:
            first[state] = now
            plain[state].append([])
        plain[state][-1].append(link)

        told += gather.due(now)
        gather.push(make_onset(link, state), now)
    told += gather.flush()

    expected = defaultdict(list)
    for state, together in plain.items():
        for links in together:
            expected[state] += [tuple(links)] if len(links) >= MANY else links
    found = defaultdict(list)
    for event in told:
        found[event.state].append(event.links or event.link)
    assert found == expected


@given(streams(), st.integers(0, 40))
def test_what_is_held_goes_on_waiting_after_a_restart(stream, cut):
    """The daemon that ends in the very second of an outage must not swallow it."""
    gather, told, now = make_gather(), [], 0.0
    for passed, event in stream[:cut]:
        now += passed
        gather.push(event, now)
        told += gather.due(now)

    fresh, now = make_gather(), 0.0  # another process's clock begins anew
    push_all(fresh, gather.pending())
    for passed, event in stream[cut:]:
        now += passed
        fresh.push(event, now)
        told += fresh.due(now)
    told += fresh.flush()

    assert tell(told) == tell(event for _, event in stream)


@given(streams(), st.sampled_from([2, 100]))
def test_pushing_again_what_is_held_changes_nothing(stream, known):
    """Restored from a topic and judged anew, the same event comes twice."""
    gather, now = make_gather(known), 0.0

    for passed, event in stream:
        now += passed
        gather.push(event, now)
        before = gather.pending()
        push_all(gather, before, now)
        assert gather.pending() == before

        gather.due(now)
        after = gather.pending()
        push_all(gather, after, now)
        assert gather.pending() == after


def test_what_was_gathered_but_not_taken_yet_is_not_gathered_again():
    """Between push and due lies a moment in which the daemon may end, too."""
    groups = Crowd(100)
    gather = Gather(groups, seconds=SECONDS, links=MANY)
    push_all(gather, map(make_onset, "abc"))
    groups.known = 2  # two links retired, so the next event doesn't wait, and the others go first
    gather.push(make_abated("a"), 0.0)
    held = gather.pending()

    push_all(gather, held)
    fresh = make_gather()
    push_all(fresh, held)

    assert names(held) == [("a", "b", "c"), "a"]
    assert gather.due(0.0) == list(held)
    assert fresh.flush() == list(held)


def test_many_links_at_once_are_one_event_after_the_time():
    """One call at night for one router: what gathering is for."""
    gather = make_gather()
    push_all(gather, map(make_onset, "cab"))

    early = gather.due(SECONDS - 0.001)
    late = gather.due(SECONDS)

    assert early == []
    assert names(late) == [("a", "b", "c")]


def test_fewer_than_many_stay_what_they_are():
    """Two trunks that fail in one minute are two tickets."""
    gather = make_gather()
    events = [make_onset("b"), make_onset("a")]
    push_all(gather, events)

    assert gather.due(SECONDS - 0.001) == []
    assert gather.due(SECONDS) == events


@pytest.mark.parametrize(("known", "waits"), [(MANY - 1, False), (MANY, True)])
def test_where_there_can_be_no_company_nobody_waits(known, waits):
    """An exporter of two links would be told of each fault three seconds late, for nothing."""
    gather = make_gather(known)
    gather.push(make_onset(), 0.0)

    assert gather.due(0.0) == ([] if waits else [make_onset()])


def test_it_can_be_turned_off():
    """Somebody who pages by link wants each event, at once."""
    gather = make_gather(seconds=0)
    events = [make_onset(link) for link in "abcdef"]
    push_all(gather, events)

    assert gather.due(0.0) == events


def test_what_comes_too_late_begins_anew():
    """Else a fault that spreads slowly would be told at its end."""
    gather = make_gather()
    for now, link in enumerate("abcdef"):
        gather.push(make_onset(link), float(now))

    told = gather.due(3.0) + gather.due(5.9) + gather.due(6.0)

    assert names(told) == [("a", "b", "c"), ("d", "e", "f")]


@pytest.mark.parametrize(
    "other",
    [
        make_onset("c", "silent"),
        make_onset("c", source="probe-2"),
        make_abated("c", previous="blocked", state="blocked"),
    ],
)
def test_another_change_is_not_the_same(other):
    """Beginning and end, two faults, two exporters: each has its own cause."""
    gather = make_gather()
    push_all(gather, [*map(make_onset, "ab"), other])

    assert names(gather.flush()) == ["a", "b", "c"]


def test_ends_of_different_faults_are_not_the_same():
    """An abated event closes what `previous` says."""
    gather = make_gather()
    push_all(gather, [make_abated("a"), make_abated("b"), make_abated("c", "silent")])

    assert names(gather.flush()) == ["a", "b", "c"]


def test_what_links_were_before_parts_no_onsets():
    """Whether a link was limited before its router died is of no interest at that moment."""
    gather = make_gather()
    push_all(
        gather,
        [make_onset("a"), make_onset("b", previous=None), make_onset("c", previous="limited")],
    )

    (event,) = gather.flush()

    assert event.links == ("a", "b", "c")
    assert event.previous is None


def test_lost_telemetry_never_waits():
    """It is one event for many links already."""
    gather = make_gather()
    events = [make_onset("", "telemetry-lost", source=f"probe-{n}") for n in range(5)]
    push_all(gather, events)

    assert gather.due(0.0) == events


def test_an_end_does_not_overtake_its_beginning():
    """A receiver that hears of the end first keeps the alarm open for ever."""
    gather = make_gather()
    push_all(gather, map(make_onset, "abc"))
    push_all(gather, map(make_abated, "abc"), now=1.0)

    first, second = gather.due(SECONDS), gather.due(1.0 + SECONDS)

    assert [(event.type, event.links) for event in first + second] == [
        ("onset", ("a", "b", "c")),
        ("abated", ("a", "b", "c")),
    ]


def test_an_end_is_not_put_with_ends_that_go_out_before_its_beginning():
    """A list that others had begun earlier would carry it past its own onset."""
    gather = make_gather()
    push_all(gather, map(make_abated, "xy"), now=0.0)
    push_all(gather, map(make_onset, "abc"), now=1.0)
    push_all(gather, map(make_abated, "abc"), now=2.0)

    told = gather.due(SECONDS) + gather.due(100.0)

    assert [(event.type, event.links or event.link) for event in told] == [
        ("abated", "x"),
        ("abated", "y"),
        ("onset", ("a", "b", "c")),
        ("abated", ("a", "b", "c")),
    ]


def test_an_end_that_does_not_wait_takes_all_of_its_beginnings_list_along():
    """Told in half, a list would be told in two."""
    groups = Crowd(100)
    gather = Gather(groups, seconds=SECONDS, links=MANY)
    push_all(gather, [*map(make_onset, "abc"), make_onset("z", "silent")])
    groups.known = 1

    gather.push(make_abated("b"), 0.5)

    assert names(gather.due(0.5)) == [("a", "b", "c"), "b"]
    assert names(gather.pending()) == ["z"]


def test_a_mass_of_changes_from_fault_to_fault_is_two_events():
    """Limited, then cut: of forty links that makes two calls, not eighty."""
    gather = make_gather()
    for link in "abcd":
        gather.push(make_abated(link, "limited", state="blocked"), 0.0)
        gather.push(make_onset(link, "blocked", previous="limited"), 0.0)

    told = gather.due(SECONDS)

    assert [(event.type, event.fault, event.links) for event in told] == [
        ("abated", "limited", tuple("abcd")),
        ("onset", "blocked", tuple("abcd")),
    ]


def test_a_link_is_named_once_though_it_fails_twice():
    """In, out and in again within the time: three events of one link, in this order."""
    gather = make_gather()
    push_all(gather, [make_onset("a"), make_abated("a"), make_onset("a", since_ms=70_000)])
    push_all(gather, map(make_onset, "bc"))

    told = gather.flush()

    assert [(event.type, event.links or event.link) for event in told] == [
        ("onset", "a"),
        ("abated", "a"),
        ("onset", ("a", "b", "c")),
    ]


def test_a_list_goes_on_though_an_older_one_of_its_like_goes_out():
    """A link that flaps begins a second list, and the first must not end that with itself."""
    gather = make_gather()
    push_all(gather, [make_onset("a"), make_abated("a")])
    push_all(gather, [make_onset("a", since_ms=70_000), make_onset("b")], now=2.0)
    first = gather.due(SECONDS)
    gather.push(make_onset("c"), SECONDS)

    second = gather.due(2.0 + SECONDS)

    assert [(event.type, event.link) for event in first] == [("onset", "a"), ("abated", "a")]
    assert names(second) == [("a", "b", "c")]


@pytest.mark.parametrize(
    ("group", "links", "groups"),
    [
        ("", ["s7/a", "s7/b", "s8/a"], ["probe-1"]),
        ("^([^/]+)/", ["s7/a", "s7/b", "s7/c", "s8/a", "s8/b", "s8/c"], ["s7", "s8"]),
        ("/([^/]+)$", ["s7/a", "s8/a", "s9/a"], ["a"]),
    ],
)
def test_who_belongs_together_is_for_the_groups_to_say(group, links, groups):
    """What fails together is a site here and a card there."""
    crowd = Crowd(100, group)
    gather = Gather(crowd, seconds=SECONDS, links=MANY)
    push_all(gather, map(make_onset, links))

    told = gather.flush()

    assert [event.group for event in told] == groups
    assert sorted(link for event in told for link in event.links) == sorted(links)
    assert crowd.asked == set(groups)


def test_it_counts_the_links_that_the_groups_know():
    """A link that retired, or is another exporter's, is no company."""
    groups = Groups()
    gather = Gather(groups, seconds=SECONDS, links=MANY)
    for link in "abc":
        groups.add(link, "probe-1")
        groups.add(link * 2, "probe-2")

    gather.push(make_onset("a"), 0.0)
    waits = gather.due(0.0)
    groups.remove("b", "probe-1")
    gather.push(make_onset("c"), 0.0)
    alone = gather.due(0.0)

    assert (waits, alone) == ([], [make_onset("c")])


def test_a_gathered_event_says_the_utmost_of_all():
    """The first and the last time, and the window that leaves the least doubt."""
    gather = make_gather()
    push_all(
        gather,
        [
            make_onset("c", since_ms=5000, verdict=make_verdict("c", 0.1), reason="so"),
            make_onset("a", since_ms=3000),
            make_onset("b", since_ms=9000, verdict=make_verdict("b", 0.7), reason="clearly so"),
        ],
    )

    (event,) = gather.flush()

    assert (event.link, event.links, event.group) == ("", ("a", "b", "c"), "probe-1")
    assert (event.type, event.state, event.previous) == ("onset", "blocked", "normal")
    assert (event.since_ms, event.at_ms) == (3000, 24_000)
    assert (event.verdict, event.reason) == (make_verdict("b", 0.7), "clearly so")
    assert (event.duration_ms, event.worst_margin) == (None, None)


def test_a_gathered_end_says_how_long_it_lasted_at_most():
    """What a report adds up is the outage, from the first link down."""
    gather = make_gather()
    push_all(
        gather,
        [
            make_abated("a", began_ms=10_000, worst_margin=0.2),
            make_abated("b", began_ms=2000, worst_margin=0.6),
            make_abated("c", began_ms=20_000),
        ],
    )

    (event,) = gather.flush()

    assert (event.state, event.previous) == ("normal", "blocked")
    assert (event.duration_ms, event.worst_margin) == (58_000, 0.6)


@pytest.mark.parametrize(("last", "flapping"), [(True, True), (False, False)])
def test_one_that_does_not_flap_is_not_muted_with_those_that_do(last, flapping):
    """Who filters flapping links out must still hear of the others."""
    gather = make_gather()
    push_all(gather, [make_onset("a", flapping=True), make_onset("b", flapping=True)])
    gather.push(make_onset("c", flapping=last), 0.0)

    (event,) = gather.flush()

    assert event.flapping is flapping


@pytest.mark.parametrize("make", [make_onset, make_abated])
def test_links_of_several_exporters_have_no_source(make):
    """Naming one of two would send people to the wrong machine."""
    gather = make_gather(group="^([^/]+)/")
    push_all(gather, [make(f"s7/{n}", source=f"probe-{n}") for n in range(3)])

    (event,) = gather.flush()

    assert (event.source, event.group) == ("", "s7")


def test_links_that_fail_and_mend_together_have_one_episode():
    """The alarm of a router that died is closed when it is back."""
    gather = make_gather()
    push_all(gather, [make_onset(link, since_ms=n) for n, link in enumerate("abc", 7)])
    push_all(gather, [make_abated(link, began_ms=n) for n, link in enumerate("abc", 7)])

    began, ended = gather.flush()

    assert began.episode == ended.episode
    assert began.id != ended.id
    assert began.episode not in {make_onset(link, since_ms=7).episode for link in "abc"}


@given(streams())
def test_whatever_was_pushed_is_told_by_its_own_id_and_episode(stream):
    """A daemon that starts anew looks for these ids, and would tell again what it does not find.

    A receiver that closes an alarm by its episode finds it in the list, gathered or not.
    """
    gather, told, now = make_gather(), [], 0.0

    for passed, event in stream:
        now += passed
        gather.push(event, now)
        told += gather.due(now)
    told += gather.flush()

    pushed = sorted((event.id, event.link, event.episode) for _, event in stream)
    assert sorted(one for event in told for one in event.told) == [id_ for id_, _, _ in pushed]
    parts = [one for event in told for one in event.each()]
    assert sorted((one.id, one.link, one.episode) for one in parts) == pushed
    assert all(len(event.episodes) == len(event.links) for event in told)


def test_each_link_of_a_list_keeps_the_episode_that_it_has_alone():
    """In the order of the links, or every alarm but the first would be closed under another's."""
    gather = make_gather()
    events = {link: make_onset(link, since_ms=n) for n, link in enumerate("cab")}
    push_all(gather, events.values())

    (event,) = gather.flush()

    assert event.links == ("a", "b", "c")
    assert event.episodes == tuple(events[link].episode for link in "abc")
    assert event.episode not in event.episodes


@pytest.mark.parametrize(("times", "is_same"), [((7, 20, 30), True), ((6, 8, 9), False)])
def test_the_first_link_to_fail_makes_the_episode(times, is_same):
    """How many followed it is not known yet when it fails, and may differ when judged again."""
    episodes = []
    for began in ((7, 8, 9), times):
        gather = make_gather()
        push_all(
            gather, [make_onset(link, since_ms=ms) for link, ms in zip("bac", began, strict=True)]
        )
        episodes += [event.episode for event in gather.flush()]

    assert (episodes[0] == episodes[1]) is is_same


def test_the_same_links_gathered_again_have_the_same_id_in_whatever_order_they_came():
    """After a crash they are judged again, and a batch is not in the order of names."""
    told = []
    for links in ("abc", "cba"):
        gather = make_gather()
        push_all(gather, [make_onset(link, verdict=make_verdict(link, 0.5)) for link in links])
        told += gather.flush()

    assert told[0] == told[1]


def test_a_group_that_is_called_like_a_link_is_not_that_link():
    """A switch may report the links of others, and one of its own under its own name."""
    single = make_onset("probe-1")
    gather = make_gather()
    push_all(gather, map(make_onset, "abc"))

    (event,) = gather.flush()

    assert event.group == single.link
    assert event.episode != single.episode


def test_too_many_links_for_a_record_are_some_events():
    """A broker refuses what is over 1 MB; of one episode they are still."""
    links = [f"{number:05}" for number in range(2 * MOST + 1)]
    gather = make_gather()
    push_all(gather, [make_onset(link, since_ms=n) for n, link in enumerate(reversed(links))])

    told = gather.flush()

    assert [len(event.links) for event in told] == [MOST, MOST, 1]
    assert [link for event in told for link in event.links] == links
    assert len({episode for event in told for episode in event.episodes}) == len(links)
    assert [len(event.episodes) for event in told] == [MOST, MOST, 1]
    assert len({event.id for event in told}) == 3
    assert len({(event.episode, event.group) for event in told}) == 1
    assert all(event.link == "" for event in told)


def test_exactly_as_many_as_a_record_takes_are_one():
    """The limit is where it is said to be."""
    gather = make_gather()
    push_all(gather, [make_onset(f"{number:05}") for number in range(MOST)])

    assert len(gather.flush()) == 1


def test_gatherings_go_out_in_the_order_of_their_beginnings():
    """What is read from the top should be what happened first."""
    gather = make_gather()
    push_all(gather, [make_onset("a"), make_onset("b", "silent"), make_onset("c")])

    times = [event.link for event in gather.flush()]

    assert times == ["a", "c", "b"]


def test_an_event_that_went_out_may_come_again():
    """Only what is held is known; of what was told, the receiver knows by its id."""
    gather = make_gather()
    gather.push(make_onset(), 0.0)
    first = gather.due(SECONDS)

    gather.push(make_onset(), SECONDS)

    assert gather.due(2 * SECONDS) == first == [make_onset()]


@pytest.mark.parametrize("known", [0, 100])  # so that they go out at once, or wait
def test_what_is_dropped_is_told_by_others_and_may_come_again(known):
    """A link that went to another daemon is that one's to tell of, until it comes back."""
    gather = make_gather(known)
    push_all(gather, [make_onset("a"), make_onset("b"), make_abated("a")])

    gather.drop({"a", "z"})

    assert [event.link for event in gather.pending()] == ["b"]
    assert [event.link for event in gather.due(SECONDS)] == ["b"]
    push_all(gather, [make_onset("a")], now=10.0)
    assert [event.link for event in gather.due(10.0 + SECONDS)] == ["a"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seconds": -0.1}, "can't wait -0.1 seconds"),
        ({"seconds": float("nan")}, "can't wait nan seconds"),
        ({"links": 1}, "1 links are not many"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, why):
    """A typing error would else gather nothing, and nobody would know until the outage."""
    with pytest.raises(ValueError, match=why):
        make_gather(**changes)
