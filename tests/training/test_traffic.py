"""Traffic: captures and stores are read by one function, and an operator's names come back."""

import pytest

from detector.capture import CaptureError
from tests.training.captures import make_table, write
from tests.training.retraining.pieces import SPEC, capture, piece
from training.traffic import is_store, name_of, plain, read


def test_a_store_and_a_capture_are_told_apart(tmp_path):
    """A store's links are cut into pieces; a capture's are whole."""
    base, store = tmp_path / "base", tmp_path / "store"
    base.mkdir()
    file = write(make_table(), base)
    capture([piece(1, "normal")], store)
    (tmp_path / "empty").mkdir()

    assert is_store(store)
    assert is_store(store / "host-a")
    for path in (base, file, tmp_path / "empty", tmp_path / "gone"):
        assert not is_store(path)


def test_both_are_read_and_sorted_by_name(tmp_path):
    """So that the order in which they are given changes nothing."""
    base, store = tmp_path / "base", tmp_path / "store"
    base.mkdir()
    write(make_table(runs=2), base)
    capture([piece(1, "normal", link="b"), piece(1, "blocked", link="a")], store)

    both = read([base, store], SPEC)

    assert [link.link for link in both] == [
        "2023-11-15T01/a@00:00",
        "2023-11-15T01/b@00:00",
        *("r0/access", "r0/core", "r1/access", "r1/core"),
    ]
    assert [link.link for link in read([store, base], SPEC)] == [link.link for link in both]
    assert set(both[0].labels) == {"blocked"}


def test_links_are_chosen_by_their_own_names(tmp_path):
    """Nobody knows the pieces of a store by heart."""
    capture([piece(1, "normal", link="b"), piece(2, "blocked", link="a/7")], tmp_path)

    (found,) = read([tmp_path], SPEC, ["a/*"])

    assert name_of(found) == "a/7"
    with pytest.raises(CaptureError, match="no link matches c"):
        read([tmp_path], SPEC, ["c"])


@pytest.mark.parametrize("name", ["trunk-7", "a/b", "100%", "a%2Fb", "x@y", "2026-11-24"])
def test_names_come_back_as_they_were(tmp_path, name):
    """An event's link is looked up in an inventory."""
    capture([piece(1, "normal", link=name)], tmp_path)

    (found,) = read([tmp_path], SPEC)

    assert name_of(found) == name
    assert plain(name) == name


def test_an_act_that_can_not_be_read_is_an_error_of_the_capture(tmp_path):
    """One sort of error for what is on disk."""
    capture([piece(1, "normal")], tmp_path)
    next((tmp_path / "labels").iterdir()).write_bytes(b"{")

    with pytest.raises(CaptureError):
        read([tmp_path], SPEC)


def test_a_damaged_file_is_no_store_and_is_named_when_read(tmp_path):
    """Whoever looks first must not be the one to guess."""
    (tmp_path / "x.parquet").write_bytes(b"PAR1")

    assert not is_store(tmp_path)
    with pytest.raises(CaptureError, match="not readable"):
        read([tmp_path], SPEC)
