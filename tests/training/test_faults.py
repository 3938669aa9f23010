"""Which faults of two bundles are one event: what is listed as different rests on it."""

from hypothesis import given
from hypothesis import strategies as st

from detector.state import Turn
from training.faults import Fault, faults_of, pairs

STATES = ("blocked", "capacity-limited", "unknown")


def fault(state, since, until, at=None):
    """Make a fault from one second to another."""
    found = since + 3 if at is None else at
    return Fault(state, since * 1000, found * 1000, until * 1000)


def turn(previous, state, since, at=None):
    """Make a change of state."""
    return Turn(
        "x", "probe", previous, state, (at or since + 3) * 1000, since * 1000, 0, 0.0, False
    )


def said(old, new, **options):
    """Say what became of which: what, and the two states."""
    found = pairs(old, new, **options)
    return [(one.what, one.old and one.old.state, one.new and one.new.state) for one in found]


def test_faults_are_what_lies_between_changes_of_state():
    """From when it began to when the next state did, not to when anybody noticed."""
    turns = [
        turn(None, "normal", 10),
        turn("normal", "blocked", 20, at=24),
        turn("blocked", "unknown", 40),
        turn("unknown", "normal", 50),
        turn("normal", "blocked", 90),
    ]

    assert faults_of(turns, 100_000) == [
        fault("blocked", 20, 40, at=24),
        fault("unknown", 40, 50),
        fault("blocked", 90, 100),
    ]
    assert faults_of([], 100_000) == []


def test_a_fault_that_is_there_from_the_start_is_one():
    """A capture may begin in the middle of it."""
    assert faults_of([turn(None, "blocked", 5)], 9_000) == [fault("blocked", 5, 9)]


def test_what_overlaps_under_one_name_is_the_same():
    """However different its ends are."""
    old, new = [fault("blocked", 10, 30)], [fault("blocked", 25, 90, at=13)]

    assert said(old, new) == [("same", "blocked", "blocked")]


def test_when_it_was_noticed_makes_it_later_or_sooner():
    """Less than what was asked for is no difference."""
    old = [fault("blocked", 10, 60, at=14)]

    for seconds, what in ((-3, "sooner"), (-2, "same"), (0, "same"), (2, "same"), (3, "later")):
        new = [fault("blocked", 10, 60, at=14 + seconds)]
        (pair,) = pairs(old, new, least_delay_ms=3000)
        assert pair.what == what
        assert pair.delay_ms == seconds * 1000


def test_faults_that_begin_within_half_a_minute_are_one_event():
    """A short one may be over for one bundle before the other has noticed it."""
    old = [fault("blocked", 10, 15)]

    assert said(old, [fault("blocked", 40, 44)]) == [("later", "blocked", "blocked")]
    assert said(old, [fault("blocked", 41, 44)]) == [
        ("gone", "blocked", None),
        ("new", None, "blocked"),
    ]


def test_another_name_for_it_is_a_renaming():
    """One line says so, not two."""
    old, new = [fault("blocked", 10, 60)], [fault("unknown", 12, 50)]

    assert said(old, new) == [("renamed", "blocked", "unknown")]


def test_one_name_goes_before_two():
    """What both call blocked belongs together, though another was there from the start."""
    old = [fault("blocked", 10, 100)]
    new = [fault("unknown", 10, 90), fault("blocked", 90, 110)]

    assert said(old, new) == [("later", "blocked", "blocked"), ("renamed", "blocked", "unknown")]


def test_what_happened_at_one_time_goes_before_what_is_called_alike():
    """Two faults in a row under each other's names are two that were renamed."""
    old = [fault("unknown", 10, 12), fault("blocked", 12, 40)]
    new = [fault("blocked", 10, 12), fault("unknown", 12, 40)]

    assert said(old, new) == [("renamed", "unknown", "blocked"), ("renamed", "blocked", "unknown")]


def test_a_fault_in_two_pieces_is_said_to_be():
    """A bundle that says normal in between has not found a fault more."""
    whole = [fault("blocked", 10, 100)]
    pieces = [fault("blocked", 10, 40), fault("blocked", 60, 100)]

    assert said(whole, pieces) == [("same", "blocked", "blocked"), ("split", "blocked", "blocked")]
    assert [what for what, *_ in said(pieces, whole)] == ["same", "joined"]
    assert pairs(whole, pieces)[0].delay_ms == 0  # that of the piece that came first


FAULTS = st.lists(
    st.tuples(st.integers(0, 500), st.integers(1, 80), st.sampled_from(STATES)),
    max_size=6,
).map(
    lambda drawn: [
        fault(state, since, since + length)
        for since, length, state in sorted(drawn)
    ]
)  # fmt: skip


def apart(faults):
    """Keep the faults that don't overlap: a link has one state at a time."""
    kept = []
    for one in faults:
        if not kept or one.since_ms >= kept[-1].until_ms:
            kept.append(one)
    return kept


@given(FAULTS.map(apart))
def test_a_bundle_never_differs_from_itself(faults):
    """The one thing that must hold before any difference means anything."""
    assert [one.what for one in pairs(faults, faults)] == ["same"] * len(faults)


@given(FAULTS.map(apart), FAULTS.map(apart))
def test_every_fault_is_told_and_in_time(old, new):
    """What is not listed is believed to be the same."""
    found = pairs(old, new)

    own = [one for one in found if one.what != "split"]
    assert {one.old for one in own if one.old} >= {*old}
    assert {one.new for one in found if one.new} >= {*new}
    sames = [one for one in found if one.what in ("same", "later", "sooner")]
    assert len({one.old for one in sames}) == len({one.new for one in sames}) == len(sames)
    assert [one.since_ms for one in found] == sorted(one.since_ms for one in found)


@given(FAULTS.map(apart), FAULTS.map(apart))
def test_the_other_way_round_it_is_the_other_way_round(old, new):
    """Which of the two is called OLD must not change what there is on one side alone."""
    there, back = (
        [(one.what, one.old, one.new) for one in pairs(*sides)]
        for sides in ((old, new), (new, old))
    )

    gone = [one for what, one, _ in there if what == "gone"]
    assert gone == [one for what, _, one in back if what == "new"]
