"""Silence: who is silent, whose exporter is lost, and who is neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import Silence as Settings
from detector.oncall.presence import HOURS, Heard, Presence
from detector.oncall.silence import Silence

PLACE = ("windows", 0)
NOON_MS = 1_700_000_000_000 // 86_400_000 * 86_400_000 + 12 * 3_600_000
HOUR_MS = 3_600_000


def everything(places):
    """Everything was read."""
    return places


def nothing(_places):
    """Nobody can say whether there is more to read."""
    return ()


class Network:
    """Links that report once a second, each as long as it is told to."""

    def __init__(self, links, **settings):
        self.silence = Silence(Settings(**settings))
        self.links = dict(links)  # link to exporter
        self.places = {}  # link to partition, if another than 0
        self.traffic = dict.fromkeys(links, 100.0)
        self.now, self.hour = 0.0, 12
        self.noticed = []  # (what, who), without those that appeared

    def pass_time(self, seconds, reach=everything, without=()):
        """Let time pass, while all links but those *without* report."""
        for _ in range(seconds):
            self.now += 1
            self._note(self.silence.hear(self._reports(without), self.now))
            self._note(self.silence.tick(self.now, self.hour, reach))

    def told(self):
        """Give what was noticed since this was last asked."""
        noticed, self.noticed = self.noticed, []
        return noticed

    def _reports(self, without):
        end_ms = NOON_MS + (self.hour - 12) * HOUR_MS + round(self.now * 1000)
        return [
            Heard(link, source, self.places.get(link, PLACE), end_ms, self.traffic[link])
            for link, source in self.links.items()
            if link not in without and source not in without
        ]

    def _note(self, noticed):
        self.noticed += [
            (one.what, one.link or one.source) for one in noticed if one.what != "appeared"
        ]


def two_exporters(**settings):
    """Make a network of two exporters, with three links and one."""
    links = {"a": "probe-1", "b": "probe-1", "c": "probe-1", "z": "probe-2"}
    network = Network(links, **settings)
    network.pass_time(60)
    assert network.told() == []
    return network


def test_a_link_is_silent_while_its_exporter_reports_others():
    """Nothing arriving is what many a block looks like."""
    network = two_exporters()

    network.pass_time(30, without="a")

    assert network.told() == [("silent", "a")]


def test_an_exporter_of_which_nothing_comes_is_lost_and_its_links_are_not_blamed():
    """A collector that died is no fault of two hundred trunks."""
    network = two_exporters()

    network.pass_time(120, without=["probe-1"])

    assert network.told() == [("lost", "probe-1")]


def test_an_exporter_of_one_link_can_only_be_lost():
    """Nobody else says that it lives; an alarm for the link would be a guess."""
    network = two_exporters()

    network.pass_time(60, without="z")

    assert network.told() == [("lost", "probe-2")]


@given(st.permutations("abc"), st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_an_exporter_that_dies_is_lost_in_whatever_order_its_links_reported_last(order, gaps):
    """Its links fall silent one after the other, within seconds: that must blame none of them."""
    network = two_exporters()
    gone = []
    for link, seconds in zip(order, gaps, strict=True):
        gone.append(link)
        network.pass_time(seconds, without=gone)
    network.pass_time(60, without=gone)

    assert network.told() == [("lost", "probe-1")]


def test_a_lost_exporter_is_back_with_its_first_window():
    """What opened must close, at once."""
    network = two_exporters()
    network.pass_time(30, without=["probe-1"])
    network.told()

    network.pass_time(1)

    assert network.told() == [("back", "probe-1")]
    network.pass_time(30, without=["probe-1"])
    assert network.told() == [("lost", "probe-1")]


@pytest.mark.parametrize("away", [8, 60])
def test_links_that_come_back_after_their_exporter_have_time_to(away):
    """A collector that starts again reports its links one by one, over some seconds."""
    network = two_exporters()
    network.pass_time(away, without=["probe-1"])
    network.told()

    network.pass_time(8, without="bc")
    network.pass_time(20)

    assert [one for one in network.told() if one[0] == "silent"] == []


def test_nobody_is_silent_while_the_broker_may_have_more_to_read():
    """Behind is not silent: the daemon has not read yet what was reported."""
    network = two_exporters()

    network.pass_time(100, reach=nothing, without=["a", "probe-2"])
    assert network.told() == []

    network.pass_time(3, without=["a", "probe-2"])
    assert sorted(network.told()) == [("lost", "probe-2"), ("silent", "a")]


def test_only_the_partition_of_the_link_has_to_be_read():
    """One partition that lags for good must not hide the silence of links on others."""
    network = Network({"a": "probe-1", "b": "probe-1", "c": "probe-1", "d": "probe-1"})
    network.places = {"b": ("windows", 1)}
    network.pass_time(60)

    def only_first(places):
        return [place for place in places if place == PLACE]

    network.pass_time(40, reach=only_first, without="ab")

    assert network.told() == [("silent", "a")]


def test_a_link_that_comes_back_can_fall_silent_again():
    """Each time is an incident of its own."""
    network = two_exporters()
    network.pass_time(30, without="a")
    network.pass_time(30)
    network.pass_time(90, without="a")

    assert network.told() == [("silent", "a"), ("silent", "a")]


def test_a_link_that_reports_seldom_is_given_more_time():
    """A meter that is read once a minute is not silent after ten seconds."""
    network = Network({"a": "probe-1", "b": "probe-1"})
    for minute in range(10):
        network.pass_time(1)
        network.pass_time(59, without="a")
        if minute > 4:
            assert network.told() == []
        network.told()

    network.pass_time(200, without="a")
    early = network.told()
    network.pass_time(200, without="a")

    assert (early, network.told()) == ([], [("silent", "a")])


def test_an_idle_link_at_an_idle_hour_is_excused():
    """A branch office that sleeps at night is no incident at two o'clock."""
    network = two_exporters()
    for hour in (13, 2):
        network.hour = hour
        network.traffic["a"] = 100.0 if hour == 13 else 1.0
        network.pass_time(120)

    network.pass_time(300, without="a")

    assert network.told() == []
    assert network.silence.links["a"].is_excused


def test_an_excused_link_is_missed_when_its_busy_hour_comes():
    """If the office opens and still nothing comes, that is an incident."""
    network = two_exporters()
    for hour in (8, 2):
        network.hour = hour
        network.traffic["a"] = 100.0 if hour == 8 else 1.0
        network.pass_time(120)
    network.pass_time(300, without="a")
    assert network.told() == []

    network.hour = 8
    network.pass_time(120, without="a")

    assert network.told() == [("silent", "a")]


def test_a_busy_link_is_missed_at_its_idle_hour_too():
    """What was carrying calls a second ago has no excuse."""
    network = two_exporters()
    network.hour, network.traffic["a"] = 2, 1.0
    network.pass_time(120)
    network.traffic["a"] = 100.0
    network.pass_time(5)

    network.pass_time(60, without="a")

    assert network.told() == [("silent", "a")]


def test_a_link_that_has_left_for_good_is_retired_and_forgotten():
    """Links come and go for years; neither memory nor metrics may only grow."""
    network = two_exporters(retire_seconds=300)
    network.pass_time(290, without="a")
    assert network.told() == [("silent", "a")]

    network.pass_time(30, without="a")

    assert network.told() == [("retired", "a")]
    assert "a" not in network.silence.links
    assert network.silence.groups.size("probe-1") == 2


def test_with_the_last_link_the_exporter_is_forgotten_too():
    """A host that was taken down must not stay lost for ever."""
    network = two_exporters(retire_seconds=100)

    network.pass_time(150, without="z")

    assert network.told() == [("lost", "probe-2"), ("retired", "z")]
    assert list(network.silence.exporters) == ["probe-1"]


def test_new_links_are_noticed_once():
    """A link that nobody announced may be a mistake, or an intruder."""
    silence = Silence(Settings())
    heard = [Heard("a", "probe-1", PLACE, NOON_MS, 1.0)] * 2

    first, again = silence.hear(heard, 1.0), silence.hear(heard, 2.0)

    assert [(one.what, one.link, one.place) for one in first] == [("appeared", "a", PLACE)]
    assert again == []


def test_links_of_a_partition_that_went_to_another_daemon_are_not_missed():
    """They are heard there; here they must not be called silent."""
    network = two_exporters()
    network.places = {"a": ("windows", 1)}
    network.pass_time(5)

    gone = network.silence.drop(("windows", 1))
    network.pass_time(60, without="a")

    assert (gone, network.told()) == (["a"], [])


def test_a_link_that_another_exporter_takes_over_is_not_missed_under_the_old_one():
    """Probes are replaced; the link goes on."""
    network = two_exporters()
    network.links["z"] = "probe-1"

    network.pass_time(60)

    assert network.told() == []
    assert list(network.silence.exporters) == ["probe-1"]


@pytest.mark.parametrize(
    ("heard", "at", "is_lost"),
    [
        ("nowhere", 0.0, True),
        ("elsewhere", 101.0, True),
        ("elsewhere", 120.0, False),
        ("here", 101.0, True),
        ("here", 120.0, False),
    ],
)
def test_that_an_exporter_is_lost_is_believed_unless_it_was_heard_since(heard, at, is_lost):
    """Whoever has its links for a moment only must not tell of it a second time."""
    silence = Silence(Settings())
    silence.remember("a", Presence("probe-1", PLACE, 90.0))
    if heard == "elsewhere":
        silence.sighted("probe-1", at, 10.0)
    elif heard == "here":
        silence.hear([Heard("a", "probe-1", PLACE, NOON_MS, 50.0)], at)

    silence.believe_lost("probe-1", 100.0)
    silence.believe_lost("probe-2", 100.0)  # of which there is no link here

    assert silence.exporters["probe-1"].is_lost == is_lost


def test_whoever_comes_and_goes_is_looked_at_once():
    """Or every pause of a link would be looked at for a day, and a million would be for ever."""
    network = two_exporters()
    for _ in range(20):
        network.pass_time(70, without="a")
        network.pass_time(20)
    for _ in range(50):  # two exporters report one link
        network.links["z"] = "probe-1"
        network.pass_time(1)
        network.links["z"] = "probe-2"
        network.pass_time(1)

    silence = network.silence
    assert len(silence._wheel) <= len(silence.links) + len(silence.exporters)


def test_what_another_daemon_hears_keeps_an_exporter_from_being_lost():
    """Its links are spread over the daemons of the group, and ours may all be idle."""
    network = two_exporters()
    for _ in range(60):
        network.pass_time(1, without=["probe-2"])
        network.silence.sighted("probe-2", network.now - 0.5, 10.0)

    # z is the only link here, but elsewhere the exporter reports others: z itself is silent.
    assert network.told() == [("silent", "z")]


def test_a_link_that_is_known_from_before_a_restart_has_time_to_report():
    """After a start everybody is quiet for a moment."""
    silence = Silence(Settings())
    for name in "ab":
        silence.remember(name, Presence("probe-1", PLACE, 100.0, hours=[50.0] * HOURS))

    noticed = []
    for second in range(101, 140):
        noticed += silence.hear([Heard("b", "probe-1", PLACE, NOON_MS, 50.0)], float(second))
        noticed += [(second, one.what, one.link) for one in silence.tick(second, 12, everything)]

    assert len(noticed) == 1
    second, what, link = noticed[0]
    assert (what, link) == ("silent", "a")
    assert 110 < second <= 115


KNOBS = {
    "missed_windows": (5.0, 40.0),
    "least_seconds": (10.0, 30.0),
}


@pytest.mark.parametrize("name", KNOBS)
def test_turning_a_knob_changes_when_silence_is_noticed(name):
    """Who has jittery exporters waits longer, and has to be able to."""
    waits = []
    for value in KNOBS[name]:
        network = two_exporters(**{name: value})
        while not network.told():
            network.pass_time(1, without="a")
        waits.append(network.now)

    assert waits[0] + 10 < waits[1]


@pytest.mark.parametrize(("share", "told"), [(0.0, [("silent", "a")]), (0.5, [])])
def test_what_counts_as_idle_is_a_setting(share, told):
    """On some networks a tenth of the day's traffic still means that people are working."""
    network = two_exporters(idle_share=share)
    network.hour, network.traffic["a"] = 2, 10.0
    network.pass_time(120)

    network.pass_time(60, without="a")

    assert network.told() == told


def test_turned_off_nobody_is_silent_but_links_still_retire():
    """Who feeds windows only when there is traffic wants no alarm for the rest."""
    network = two_exporters(enabled=False, retire_seconds=100)

    network.pass_time(150, without=["a", "probe-2"])

    assert sorted(network.told()) == [("retired", "a"), ("retired", "z")]


def test_a_hundred_thousand_links_cost_little_when_all_report():
    """Looking once a second at every link would leave no time to judge them."""
    silence = Silence(Settings())
    asked = []
    for number in range(2000):
        silence.hear([Heard(f"l{number}", "p", PLACE, NOON_MS, 1.0)], 0.0)
    for second in range(1, 40):
        heard = [Heard(f"l{number}", "p", PLACE, NOON_MS, 1.0) for number in range(2000)]
        silence.hear(heard, float(second))
        silence.tick(float(second), 12, lambda places: asked.append(places) or places)

    # Nobody was late, so the broker was never asked.
    assert asked == []
