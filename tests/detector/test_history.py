"""The history: nothing is lost of it, and the way back that it gives is the way that was gone."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.bundle import BundleError
from detector.history import Entry, came_true, note, read, stack


def make_entry(action="promoted", bundle="a", was=None, **facts):
    """Make an entry."""
    return Entry(at_ms=1, who="me", action=action, bundle=bundle, was=was, **facts)


def test_what_was_noted_is_read_in_order(tmp_path):
    """Months later somebody asks who put this bundle there."""
    file = tmp_path / "history.jsonl"
    entries = [
        make_entry("added"),
        make_entry("refused", was="b", why="trying", numbers={"f1": 0.5}, failed=("live: no",)),
        make_entry("forced", why="two\nlines", failed=("a", "b")),
    ]

    for entry in entries:
        note(file, entry)

    assert read(file) == (tuple(entries), 0)
    assert len(file.read_text().splitlines()) == 3
    assert json.loads(file.read_text().splitlines()[1])["numbers"] == {"f1": 0.5}


def test_there_is_nothing_before_the_first_note(tmp_path):
    """A store that was copied without its history still works."""
    assert read(tmp_path / "history.jsonl") == ((), 0)


def test_a_history_that_can_not_be_read_is_named(tmp_path):
    """Whoever runs the tool as another user is told which file it is."""
    (tmp_path / "history.jsonl").mkdir()

    with pytest.raises(BundleError, match=r"history\.jsonl: Is a directory"):
        read(tmp_path / "history.jsonl")


def test_a_line_torn_anywhere_is_left_aside_and_takes_no_other_with_it(tmp_path):
    """The power may fail in the middle of a line; what comes after it must not be lost too."""
    file = tmp_path / "history.jsonl"
    first, second, third = (make_entry(bundle=name, why="why") for name in "abc")
    note(file, first)
    begun = file.stat().st_size
    note(file, second)
    whole = file.read_bytes()
    for size in range(begun, len(whole) + 1):
        file.write_bytes(whole[:size])
        is_there = size >= len(whole) - 1  # all but the end of the line is enough
        is_torn = begun < size and not is_there

        torn = read(file)
        note(file, third)
        after = read(file)

        assert torn == ((first, second) if is_there else (first,), int(is_torn))
        assert after == ((*torn.entries, third), int(is_torn))


@given(st.binary(max_size=200))
def test_any_bytes_are_entries_or_unreadable_lines(tmp_path_factory, data):
    """A disk may return anything."""
    file = tmp_path_factory.mktemp("history") / "history.jsonl"
    file.write_bytes(data)

    found = read(file)

    assert len(found.entries) + found.unreadable == sum(map(bool, data.split(b"\n")))


MOVES = st.lists(st.sampled_from(["promote", "back", "cut short"]), max_size=30)


@settings(max_examples=500)
@given(MOVES, st.lists(st.integers(0, 2), min_size=30, max_size=30))
def test_going_back_leads_the_way_that_was_gone(moves, choices):
    """Step by step back, whatever else was tried, as who keeps a list of it by hand would."""
    way, entries = [], []
    for move, choice in zip(moves, choices, strict=False):
        current, chosen = way[-1] if way else None, "abc"[choice]
        if move == "promote" and chosen != current:
            entries.append(make_entry("promoted", chosen, current))
            way.append(chosen)
        elif move == "back" and len(way) > 1:
            entries.append(make_entry("rolled-back", way[-2], current))
            way.pop()
        elif move == "cut short" and chosen != current:  # noted, and then the power failed
            entries.append(make_entry("promoted", chosen, current))
        entries.append(make_entry("added", chosen, current))

    assert stack(entries, way[-1] if way else None) == way


def test_what_was_made_current_by_hand_is_on_the_way_too():
    """Somebody set the link with `ln`: going back leads there, since it was in use."""
    entries = [make_entry(bundle="a"), make_entry(bundle="b", was="by hand")]

    assert stack(entries, "b") == ["by hand", "b"]


def test_a_switch_that_was_only_noted_never_came_true():
    """A tool that was killed between the note and the deed has changed nothing."""
    first, second = make_entry(bundle="a"), make_entry(bundle="b", was="a")

    assert came_true([first, second], "a") == [first]
    assert came_true([first, second], "b") == [first, second]
