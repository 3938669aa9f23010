"""Enrolments: raw windows that any encoder can embed, and nothing that could do harm."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.enrolment import (
    MOST_ACTS,
    MOST_WINDOWS,
    Enrolment,
    EnrolmentError,
    check,
    enrol,
    identify,
)
from detector.window import WindowSpec
from tests.detector.enrolments.samples import an_act, an_enrolment, changed
from tests.fakes import FEATURES, NOON_MS, make_rows, make_spec

SPEC = make_spec()


def test_the_windows_come_out_as_they_went_in():
    """What an encoder embeds years later is what was seen, gaps included."""
    values = np.random.default_rng(0).random((3, *SPEC.shape), np.float32)
    values[0, 1, 3] = np.nan

    made = an_enrolment(values=values)

    np.testing.assert_array_equal(made.values, values)
    np.testing.assert_array_equal(made.fitted(SPEC), values)


def test_the_same_windows_under_the_same_label_are_the_same_enrolment():
    """Enrolled twice, by two people or at two sites, it is one."""
    one = an_enrolment()

    assert an_enrolment(act=an_act(who="bob"), kind="x").id == one.id
    assert an_enrolment(label="other").id != one.id
    assert an_enrolment(load=50.0).id != one.id
    assert identify("ab", b"c") != identify("a", b"bc")


def test_a_verdict_names_an_anchor_by_label_link_and_the_beginning_of_its_id():
    """Who reads a verdict finds the anchor with `anchorwatch anchors`."""
    made = an_enrolment()

    assert made.name == f"fibre-bend/trunk-9#{made.id[:6]}"


def test_features_are_found_by_name_and_those_not_recorded_are_not_observed():
    """A later encoder may read other features, in another order."""
    made = an_enrolment()
    other = WindowSpec(("answers", "temperature", "requests"), 4, 1000, ("temperature",))

    fitted = made.fitted(other)

    np.testing.assert_array_equal(fitted[0, :, 0], made.values[0, :, 1])
    np.testing.assert_array_equal(fitted[0, :, 2], made.values[0, :, 0])
    assert np.isnan(fitted[0, :, 1]).all()


def test_of_longer_windows_the_last_steps_are_taken():
    """A window is labelled by its end."""
    long = make_spec(steps=6)
    values = np.arange(6 * len(FEATURES), dtype=np.float32).reshape(1, 6, -1)
    made = an_enrolment(spec=long, values=values)

    np.testing.assert_array_equal(made.fitted(SPEC), values[:, 2:])


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (make_spec(steps=5), "4 steps of 1000 ms"),
        (make_spec(step_ms=500), "4 steps of 1000 ms"),
        (make_spec(features=(*FEATURES, "more")), "'more'"),
    ],
)
def test_a_bundle_that_needs_what_was_not_recorded_is_told_what_lacks(spec, why):
    """The daemon says why it does not use an anchor, and does not guess."""
    with pytest.raises(EnrolmentError, match=why):
        an_enrolment().fitted(spec)


def test_windows_that_lack_what_the_model_needs_are_not_enrolled():
    """An anchor of nothing would be near to every link of which nothing is known."""
    values = np.full((1, *SPEC.shape), np.nan, np.float32)

    with pytest.raises(EnrolmentError, match="was not observed"):
        an_enrolment(values=values)


def test_an_anchor_is_used_while_it_is_active_and_has_not_expired():
    """Disabling and expiry take effect without anybody deleting anything."""
    made = an_enrolment(expires_ms=NOON_MS + 1000)

    assert made.is_used(NOON_MS + 999)
    assert not made.is_used(NOON_MS + 1000)
    assert an_enrolment().is_used(2**52)
    assert not changed(an_enrolment(), "disabled", status="disabled").is_used(NOON_MS)
    assert not an_enrolment(expires_ms=0).is_used(NOON_MS)


def test_a_removed_one_needs_no_windows():
    """What was removed takes no room, and its history stays."""
    removed = changed(an_enrolment(), "removed", status="removed", windows=b"")

    check(removed)

    assert not removed.is_used(NOON_MS)
    with pytest.raises(EnrolmentError, match="were removed"):
        removed.fitted(SPEC)


def damaged(**changes):
    """Give an enrolment in which something is off."""
    return msgspec.structs.replace(an_enrolment(), **changes)


@pytest.mark.parametrize(
    "enrolment",
    [
        damaged(v=2),
        damaged(id="../../../../x"),
        damaged(id="0" * 12),
        damaged(label="other"),
        damaged(label="unknown", id=identify("unknown", an_enrolment().windows)),
        damaged(link="a\nb"),
        damaged(link=""),
        damaged(kind="\x1b[2J"),
        damaged(features=("a", "a", "b", "c")),
        damaged(features=("a", "b", "c", "\n")),
        damaged(features=FEATURES[:3]),
        damaged(shape=(1, 4, 3)),
        damaged(shape=(2, 4, 4)),
        damaged(shape=(-1, -4, 4)),
        damaged(shape=(0, 4, 4)),
        damaged(shape=(MOST_WINDOWS + 1, 4, 4)),
        damaged(shape=(1, 2**40, 4)),
        damaged(windows=b""),
        damaged(status="disabled", windows=b""),
        damaged(step_ms=0),
        damaged(start_ms=-1),
        damaged(start_ms=2**60),
        damaged(expires_ms=2**60),
        damaged(reach=0.0),
        damaged(reach=float("nan")),
        damaged(reach=float("inf")),
        damaged(history=(an_act(who="a\nb"),)),
        damaged(history=(an_act(why="a\nb"),)),
        damaged(history=(an_act(why="a" * 501),)),
        damaged(history=(an_act(at_ms=-5),)),
        damaged(history=(an_act(),) * (MOST_ACTS + 1)),
    ],
)
def test_what_came_from_outside_and_is_off_is_refused(enrolment):
    """Whoever may write to the topic must not reach a log, a terminal, a file or the memory."""
    with pytest.raises(EnrolmentError):
        check(enrolment)


@pytest.mark.parametrize("number", [np.inf, -np.inf, 2e30])
def test_numbers_that_no_counter_has_are_refused(number):
    """One of them would carry the anchor to wherever it likes."""
    values = np.stack([make_rows("normal", 4)])
    values[0, 0, 0] = number

    with pytest.raises(EnrolmentError, match="infinite, or beyond"):
        an_enrolment(values=values)


def test_more_windows_than_anybody_needs_are_refused():
    """A daemon embeds all of them when it starts."""
    an_enrolment(windows=MOST_WINDOWS)

    with pytest.raises(EnrolmentError, match="no shape"):
        an_enrolment(windows=MOST_WINDOWS + 1)


@given(
    st.sampled_from(Enrolment.__struct_fields__),
    st.none() | st.text(max_size=3) | st.integers() | st.binary(max_size=4),
)
def test_any_value_of_any_field_is_a_usable_enrolment_or_an_error(name, value):
    """Nothing that decodes can end the daemon with another error."""
    plain = msgspec.to_builtins(an_enrolment(), builtin_types=(bytes,))
    try:
        found = msgspec.convert(plain | {name: value}, Enrolment)
    except msgspec.ValidationError:
        return
    try:
        check(found)
        fitted = found.fitted(SPEC)
    except EnrolmentError:
        return
    assert fitted.shape[1:] == SPEC.shape


def test_normal_is_no_fault_to_enrol_wherever_it_comes_from():
    """One such anchor, by a slip or on the topic, would mute an alarm on every link."""
    forged = damaged(label="normal", id=identify("normal", an_enrolment().windows))

    with pytest.raises(EnrolmentError, match="anchorwatch label reject"):
        check(forged)
    with pytest.raises(EnrolmentError, match="anchorwatch label reject"):
        an_enrolment(label="normal")


def test_an_enrolment_is_checked_when_it_is_made():
    """The one who enrols hears what is wrong, not the daemon's log."""
    with pytest.raises(EnrolmentError, match="means something else"):
        enrol(
            label="silent",
            link="a",
            start_ms=NOON_MS,
            spec=SPEC,
            values=np.stack([make_rows("normal", 4)]),
            act=an_act(),
        )
