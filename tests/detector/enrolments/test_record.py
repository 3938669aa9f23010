"""An enrolment as bytes, which may come from anybody."""

import logging

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.enrolment import EnrolmentError
from detector.enrolments.record import Unreadable, decode, encode

from .samples import an_enrolment, changed

KEY = an_enrolment().id


def test_an_enrolment_comes_back_as_it_was():
    """Windows, history and status."""
    one = changed(
        an_enrolment(windows=3, kind="bent", expires_ms=7), "disabled", status="disabled"
    )

    assert decode(encode(one), one.id) == one


def test_a_field_of_a_later_version_is_passed_over():
    """Daemons and tools needn't be updated at once."""
    plain = msgspec.to_builtins(an_enrolment(), builtin_types=(bytes,)) | {"colour": "red"}

    assert decode(msgspec.msgpack.encode(plain), KEY) == an_enrolment()


def test_what_lies_under_another_key_is_none():
    """Or a disabled anchor would be in use under a second name."""
    with pytest.raises(EnrolmentError, match="lies under 'other'"):
        decode(encode(an_enrolment()), "other")


@given(st.binary() | st.tuples(st.integers(0, 300), st.integers(0, 255)))
def test_any_bytes_are_an_enrolment_or_an_error(data):
    """Also one with a single byte changed."""
    if isinstance(data, tuple):
        bytes_ = bytearray(encode(an_enrolment()))
        bytes_[data[0] % len(bytes_)] = data[1]
        data = bytes(bytes_)
    try:
        found = decode(data, KEY)
    except EnrolmentError:
        return
    assert found.id == KEY


def test_the_same_place_is_counted_and_logged_once(caplog):
    """A damaged record is read again with every new connection."""
    unreadable = Unreadable()

    with caplog.at_level(logging.WARNING):
        for offset in (4, 4, 5):
            unreadable.note(("anchors", 0, offset), "damaged")

    assert len(unreadable) == 2
    assert [record.where for record in caplog.records] == ["anchors 0 4", "anchors 0 5"]
