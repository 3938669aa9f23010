"""What an enrolment would have done, before anybody is woken by it."""

from dataclasses import replace

import numpy as np
import pytest

from detector.oncall.rates import most_events
from detector.sight import Sight
from tests.fakes import NOON_MS
from training.enrolling.incident import cut
from training.enrolling.preview import MOST_TAKEN, Preview, chosen, previews, tallied
from training.enrolling.separation import Separation
from training.enrolling.traffic import Unnamed
from training.enrolling.words import as_plain, preview_lines

from .made import a_piece

INCIDENT = a_piece("trunk-9", ("normal", 20), ("chatter", 30), ("normal", 20))
CALM = a_piece("calm", ("normal", 200))


@pytest.fixture
def look(bundle, encoder, spec, sight, show):
    """Preview what is shown of `INCIDENT`, on some traffic."""

    def give(*traffic, enrolled=(), used=(), seconds=(20, 50), **changes) -> Preview:
        begin_ms, end_ms = (NOON_MS + second * 1000 for second in seconds)
        incident = cut([INCIDENT], spec, "trunk-9", begin_ms, end_ms)
        shown = enrolled or [show()]
        before = Sight.of(bundle, encoder, used) if used else sight
        after = Sight.of(bundle, encoder, [*used, *shown])
        (found,) = previews(before, {1.0: after}, incident, shown[0].label, traffic, **changes)
        return found

    return give


def test_it_says_where_and_when_it_would_have_fired(look):
    """Those are the links to look at before it is published."""
    other = a_piece("trunk-2", ("normal", 20), ("chatter", 20), ("normal", 20), labelled=False)

    found = look(other, CALM)

    (firing,) = found.firings
    assert firing.link == "trunk-2"
    assert NOON_MS + 20_000 < firing.at_ms <= NOON_MS + 25_000
    assert NOON_MS + 40_000 < firing.until_ms <= NOON_MS + 50_000
    assert firing.truth is None
    assert tallied(found.firings) == {str(firing.instead_of): 1}


def test_the_incident_itself_is_no_firing_but_is_looked_for(look):
    """What does not even find itself is not worth publishing."""
    found = look(INCIDENT, CALM)

    assert found.firings == ()
    assert 0 < found.finds_itself_ms <= 5000
    assert look(CALM).finds_itself_ms is None


def test_who_points_at_the_middle_of_an_incident_means_all_of_it(look):
    """Its beginning is no other incident, and what it was called is not taken from anybody."""
    found = look(INCIDENT, CALM, seconds=(38, 46))

    assert found.firings == ()
    assert found.finds_itself_ms == 0
    assert sum(one.lost for one in found.separations) == 0


def test_a_firing_in_traffic_that_was_captured_as_normal_is_a_false_alarm(look):
    """Somebody named it normal; whoever is called for it mutes the tool."""
    wrong = a_piece("trunk-3", ("normal", 30), ("chatter", 30))
    named = replace(wrong, rows=replace(wrong.rows, labels=np.array(["normal"] * 60, object)))

    found = look(named, CALM)

    assert [one.truth for one in found.false] == ["normal"]
    hours = (57 + 197) / 3600
    assert found.normal_hours == pytest.approx(hours, rel=0.05)
    assert found.rate_a_week == pytest.approx(168 / found.normal_hours)
    assert found.most_a_week == pytest.approx(most_events(1) * 168 / found.normal_hours)
    assert found.verdict == "over"


def test_seconds_after_a_fault_tell_of_no_false_alarm(look):
    """The state ends later than the fault does; that is lateness, not falsehood."""
    short = a_piece("trunk-4", ("normal", 20), ("chatter", 3), ("normal", 1))

    assert look(short).false == ()


@pytest.mark.parametrize(
    ("false", "hours", "verdict"),
    [
        (0, 600.0, "within"),
        (0, 100.0, "unsure"),
        (0, 0.0, "unjudged"),
        (1, 168.1, "unsure"),
        (1, 167.9, "over"),
        (3, 2000.0, "within"),
    ],
)
def test_the_budget_is_held_against_what_was_counted_and_what_may_be(look, false, hours, verdict):
    """Nothing seen in an hour promises nothing for a week; two in an hour promise too many."""
    wrong = a_piece("trunk-3", ("normal", 30), ("chatter", 30))
    named = replace(wrong, rows=replace(wrong.rows, labels=np.array(["normal"] * 60, object)))
    (firing,) = look(named).false

    found = replace(look(CALM), firings=(firing,) * false, normal_hours=hours)

    assert found.verdict == verdict


def test_what_it_would_take_from_a_label_is_its_separation(look, show):
    """An anchor of a blocked link takes the blocked ones; that has to be seen."""
    blocked = [a_piece(f"b{n}", ("normal", 10), ("blocked", 20)) for n in range(3)]

    found = look(*blocked, CALM, enrolled=[show("blocked", "fibre-bend")])
    harmless = look(*blocked, CALM)

    by_label = {one.label: one for one in found.separations}
    assert found.separations[0].label == "blocked"
    assert by_label["blocked"].value < 0.2
    assert by_label["blocked"].groups == 3
    assert by_label["normal"].value > 0.9
    assert {one.label: one.lost for one in harmless.separations}["blocked"] == 0


def test_windows_of_the_incident_itself_are_not_missed(look):
    """They are to be called otherwise; that is the point."""
    found = look(INCIDENT)

    assert sum(one.lost for one in found.separations) == 0
    assert sum(one.windows for one in found.separations) > 0


def test_no_lost_window_of_few_links_promises_little(look):
    """Of one link nothing is known of the next."""
    one = look(a_piece("a", ("normal", 50))).separations[0]
    many = look(*(a_piece(f"l{n}", ("normal", 50)) for n in range(40))).separations[0]

    assert (one.value, one.lost, one.low) == (1.0, 0, 0.025)
    assert many.low == pytest.approx(0.025 ** (1 / 40))
    assert Separation("x", 10, 1, 2, 0, 1).value == 0.9


def test_unnamed_unknowns_that_would_have_had_the_name_are_listed(look):
    """That is what an operator hopes for: this explains the others."""
    traffic = a_piece("trunk-2", ("normal", 20), ("chatter", 20), ("normal", 40), labelled=False)
    same = Unnamed("e1", "trunk-2", NOON_MS + 21_000, NOON_MS + 38_000)
    elsewhere = Unnamed("e2", "trunk-3", NOON_MS + 21_000, NOON_MS + 38_000)
    later = Unnamed("e3", "trunk-2", NOON_MS + 60_000, NOON_MS + 70_000)

    found = look(traffic, unnamed=(same, elsewhere, later))

    assert found.named == (same,)
    assert found.unnamed == 3


def test_what_others_enrolled_already_is_in_use_in_both(look, show):
    """A second anchor of a label adds nothing where the first fires already."""
    traffic = a_piece("trunk-2", ("normal", 20), ("chatter", 20), ("normal", 20))

    found = look(traffic, used=[show(load=90.0)], enrolled=[show()])

    assert found.firings == ()


def test_of_too_much_traffic_some_is_drawn_and_the_rest_is_counted(look):
    """A store of a month must not keep anybody waiting for an hour."""
    traffic = [a_piece(f"l{n}", ("normal", 54)) for n in range(10)]
    told = []

    found = look(*traffic, most=150, progress=lambda done, of: told.append((done, of)))
    again = look(*traffic, most=150)

    assert found.left_out == 10 * 51 - 2 * 51
    assert found.links == 2
    assert found.hours == pytest.approx(2 * 51 / 3600)
    assert told[-1] == (102, 102)
    assert again == found
    assert look(*traffic, most=1).links == 1  # never nothing at all


def test_the_rule_of_the_daemons_settings_decides(look):
    """A daemon that wants more evidence fires less often."""
    from detector.config import State

    traffic = a_piece("trunk-2", ("normal", 20), ("chatter", 6), ("normal", 20))

    assert len(look(traffic).firings) == 1
    assert len(look(traffic, rule=State(evidence=50.0)).firings) == 0


def test_windows_that_are_known_to_be_of_other_faults_are_counted(look, show):
    """By what people or captures say they are, whatever the bundle called them."""
    blocked = a_piece("b", ("normal", 10), ("blocked", 24), ("normal", 10))

    found = look(blocked, enrolled=[show("blocked", "fibre-bend")])

    assert found.faulty == 24 - 5
    assert found.taken / found.faulty > 0.8
    assert found.taken_share == found.taken / found.faulty
    assert look(CALM).taken_share == 0.0
    assert look(blocked, enrolled=[show("blocked", "blocked")]).faulty == 0


def test_the_widest_reach_is_chosen_that_keeps_the_budget_and_takes_little(look):
    """The budget is what an operator signed; within it more is found than lost."""
    base = look(CALM)
    wrong = a_piece("trunk-3", ("normal", 30), ("chatter", 30))
    named = replace(wrong, rows=replace(wrong.rows, labels=np.array(["normal"] * 60, object)))
    false = look(named).firings
    assert false

    def at(reach, *firings, taken=0.0):
        return replace(
            base,
            reach=reach,
            firings=firings,
            normal_hours=1.0,
            faulty=1000,
            taken=int(1000 * taken),
        )

    good = [at(0.5), at(1.0, taken=MOST_TAKEN), at(1.5, taken=MOST_TAKEN + 0.01), at(2.0, *false)]

    assert chosen(good).reach == 1.0
    assert chosen(good[::-1]).reach == 1.0
    assert chosen(good[2:]).reach == 1.5
    assert chosen([at(2.0, *false), at(0.25, *false)]).reach == 0.25


def test_without_normal_traffic_no_wide_reach_is_chosen(look):
    """What nothing was held against must not claim the most."""
    base = replace(look(CALM), normal_hours=0.0, faulty=1000)
    wide = [replace(base, reach=reach) for reach in (0.5, 1.0, 1.5, 2.0)]
    greedy = replace(base, reach=1.0, taken=900)

    assert chosen(wide).reach == 1.0
    assert chosen([wide[0], greedy, wide[3]]).reach == 0.5
    lines = "\n".join(preview_lines(wide[1], wide))
    assert "false alarms: nobody can tell, no traffic was captured as normal" in lines
    assert "without normal traffic 1 at most" in lines
    assert "of other faults: share of 1000 windows whose fault is known" in lines
    assert as_plain(wide[1], wide)["false_alarms"]["verdict"] == "unjudged"


def test_all_reaches_at_once_are_what_each_is_by_itself(learned, encoder, spec, show):
    """What is spared, since a narrower reach claims no more, changes nothing."""
    lives = [("normal", 20), ("chatter", 20), ("capacity-limited", 20), ("normal", 20)]
    traffic = [a_piece("trunk-2", *lives), a_piece("trunk-3", *lives[::-1]), CALM]
    incident = cut([INCIDENT], spec, "trunk-9", NOON_MS + 20_000, NOON_MS + 50_000)
    before = Sight.of(learned, encoder)
    sights = {
        reach: Sight.of(learned, encoder, [show(load=70.0, reach=reach)])
        for reach in (0.02, 0.3, 1.0, 3.0)
    }

    together = previews(before, sights, incident, "chatter", traffic)

    alone = [
        previews(before, {reach: sight}, incident, "chatter", traffic)[0]
        for reach, sight in sights.items()
    ]
    assert together == alone
    assert [one.reach for one in together] == [*sights]
    fired = [len(one.firings) for one in together]
    assert fired == sorted(fired)
    assert fired[0] < fired[-1]
