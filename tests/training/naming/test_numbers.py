"""Groups keep their numbers, whoever looks and whatever comes."""

import fcntl
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.naming.acts import FOLDER, NamingError
from training.naming.numbers import FILE, Entry, choose, members, numbered, remembered


def test_a_group_keeps_its_number_when_more_comes_and_old_ones_go(tmp_path):
    """Who was told of unknown-1 finds the same under it next week."""
    assert numbered(tmp_path, [["a", "b"], ["c"]]) == [1, 2]

    assert numbered(tmp_path, [["z"], ["c", "d"], ["a", "b", "e"]]) == [3, 2, 1]
    assert numbered(tmp_path, [["e", "f"], ["d"]]) == [1, 2]
    assert members([tmp_path], "unknown-1", {"e", "f", "d"}) == ["e", "f"]


def test_people_who_look_at_once_see_the_same_numbers(tmp_path):
    """They talk to each other about unknown-3."""
    groups = [[f"{group}-{n}" for n in range(5)] for group in range(20)]

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda n: numbered(tmp_path, groups[: n + 1]), range(20)))

    for one in seen:
        for other in seen:
            assert all(a == b for a, b in zip(one, other, strict=False))
    assert sorted(seen[-1]) == list(range(1, 21))


def test_who_looks_waits_for_whoever_is_writing(tmp_path):
    """Two who number at once would give one number to two groups."""
    numbered(tmp_path, [["a"]])
    with (tmp_path / FOLDER / FILE).open("ab") as file, ThreadPoolExecutor(1) as pool:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = pool.submit(numbered, tmp_path, [["b"]])
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        file.write(msgspec.json.encode(Entry("b", 7)) + b"\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_UN)

        assert waiting.result(30) == [7]


def test_what_was_noted_first_counts(tmp_path):
    """A number that somebody was told is not given away."""
    numbered(tmp_path, [["a"], ["b"]])
    with (tmp_path / FOLDER / FILE).open("ab") as file:
        file.write(msgspec.json.encode(Entry("a", 9)) + b"\n")

    assert remembered([tmp_path]) == {"a": 1, "b": 2}


def test_a_line_that_was_torn_is_as_if_nobody_had_looked(tmp_path):
    """The power may fail while it is written."""
    numbered(tmp_path, [["a"], ["b"]])
    file = tmp_path / FOLDER / FILE
    file.write_bytes(file.read_bytes()[:-5])

    assert numbered(tmp_path, [["a"], ["b"]]) == [1, 2]
    assert remembered([tmp_path]) == {"a": 1, "b": 2}


@given(
    st.dictionaries(st.integers(0, 30).map(str), st.integers(1, 9)),
    st.lists(st.integers(0, 6), max_size=31),
)
def test_every_group_has_a_number_of_its_own(known, owners):
    """Two groups of one name would be named as one."""
    groups = [
        [str(n) for n, owner in enumerate(owners) if owner == group] for group in set(owners)
    ]

    numbers = choose(known, groups)

    assert len(set(numbers)) == len(groups)
    for group, number in zip(groups, numbers, strict=True):
        had = {known[one] for one in group if one in known}
        assert number in had or number not in known.values()


def test_a_group_that_nobody_was_shown_is_an_error(tmp_path):
    """A typing error must not name nothing in silence."""
    numbered(tmp_path, [["a"]])

    with pytest.raises(NamingError, match="no group is called 'unknown-2'"):
        members([tmp_path], "unknown-2", {"a"})
    with pytest.raises(NamingError, match="nothing is captured any more"):
        members([tmp_path], "unknown-1", {"b"})
