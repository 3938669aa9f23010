"""Acts of naming as files: whole, never rewritten, and nobody's lost."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.naming.acts import FOLDER, Naming, NamingError, make, read, write
from training.naming.stored import episodes, stored_links

from .stores import NOON_MS, capture, life


def make_act(**changes: Any) -> Naming:
    """Make an act that rejects a minute of a link."""
    usual: dict[str, Any] = {
        "at_ms": NOON_MS,
        "who": "anna",
        "what": "reject",
        "link": "trunk-1",
        "from_ms": NOON_MS - 60_000,
        "to_ms": NOON_MS,
    }
    return make(**usual | changes)


@given(
    st.text(min_size=1).filter(str.isprintable).map(lambda text: text[:40]),
    st.integers(0, 10**13),
    st.sampled_from(("confirm", "reject", "rename")),
)
def test_an_act_is_read_as_it_was_written(tmp_path_factory, name, at_ms, what):
    """Who said what is all that there is to go by later."""
    store = tmp_path_factory.mktemp("store")
    label = "x" if what == "rename" else ""
    act = make_act(who=name, link=name, why=name, at_ms=at_ms, what=what, label=label)

    write(act, store)

    assert read([store]) == [act]


def test_people_who_name_at_once_lose_nothing(tmp_path):
    """A night's incident is named by everybody who was called."""
    acts = [make_act(who=f"person {n}", at_ms=NOON_MS + n % 3) for n in range(60)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda act: write(act, tmp_path), acts))

    assert set(read([tmp_path])) == set(acts)
    assert not [file for file in (tmp_path / FOLDER).iterdir() if file.suffix != ".json"]


def test_the_same_act_twice_is_one(tmp_path):
    """A command that is tried again after a full disk must not count twice."""
    write(make_act(), tmp_path)
    write(make_act(), tmp_path)

    assert read([tmp_path]) == [make_act()]


def test_acts_are_in_the_order_in_which_they_were_done(tmp_path):
    """The newest counts, whatever their files are called."""
    acts = [make_act(at_ms=at_ms) for at_ms in (9, 100, 20, 3)]
    for act in acts:
        write(act, tmp_path)

    assert [act.at_ms for act in read([tmp_path])] == [3, 9, 20, 100]


def test_acts_of_every_store_in_a_folder_are_read_and_each_once(tmp_path):
    """A folder of stores is one capture set; a daemon's folder has its store's labels."""
    rows = life([("normal", 20)])
    capture(rows, tmp_path / "north", daemon="a")
    capture(rows, tmp_path / "south", daemon="b")
    north, south = make_act(who="north"), make_act(who="south")
    write(north, tmp_path / "north" / "a")
    write(south, tmp_path / "south")
    write(south, tmp_path / "north")

    assert set(read([tmp_path])) == {north, south}
    assert set(read([tmp_path, tmp_path / "south"])) == {north, south}
    assert read([tmp_path / "south" / "b"]) == [south]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"v": 1}',
        make_act().file.encode(),
        b'{"v":2,"id":"a","at_ms":1,"who":"a","link":"b","from_ms":0,"to_ms":1,"what":"reject"}',
        b'{"v":1,"id":"a","at_ms":1,"who":"a","link":"b","from_ms":1,"to_ms":1,"what":"reject"}',
        b'{"v":1,"id":"a","at_ms":1,"who":"a","link":"b\\n","from_ms":0,"to_ms":1,"what":"reject"}',
        b'{"v":1,"id":"a","at_ms":1,"who":"a","link":"b","from_ms":0,"to_ms":1,"what":"rename"}',
    ],
)
def test_an_act_that_cannot_be_read_is_named_and_never_passed_over_in_silence(tmp_path, data):
    """What it unsays would be learnt from."""
    file = write(make_act(), tmp_path)
    odd = file.with_name("1-odd.json")
    odd.write_bytes(data)
    told: list[str] = []

    with pytest.raises(NamingError, match=r"1-odd\.json: not an act"):
        read([tmp_path])

    assert read([tmp_path], told.append) == [make_act()]
    assert len(told) == 1
    assert "1-odd.json" in told[0]
    with pytest.raises(NamingError, match=r"1-odd\.json"):
        stored_links([tmp_path], ("packets",), 1000)
    assert episodes([tmp_path], pass_over=told.append) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"what": "rename", "label": "unknown"}, "means something else"),
        ({"what": "rename", "label": "silent"}, "means something else"),
        ({"what": "rename", "label": "a\nb"}, "can't be printed"),
        ({"what": "rename"}, "a rename needs a name"),
        ({"label": "blocked"}, "a new name goes with a rename"),
        ({"who": ""}, "who is empty"),
        ({"link": "x" * 300}, "longer than"),
        ({"to_ms": NOON_MS - 60_000}, "is no time"),
        ({"why": "a\nb"}, "one line"),
        ({"why": "x" * 3000}, "one line"),
    ],
)
def test_what_cannot_be_said_is_refused(changes, why):
    """A label that means something to the daemon would break a training a week later."""
    with pytest.raises(NamingError, match=why):
        make_act(**changes)
