"""The board: what is asked for is what comes, whoever asks and whatever the loop is doing."""

import threading
import time
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.board import MOST_LINKS, StatusBoard, Wanted, WantedError
from detector.space.telling import LinkSpot, SpaceStatus
from detector.status import LinkStatus, Status, worst_first
from tests.fakes import Clock

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


def make_links(number=10, state="normal"):
    """Make links that settled one after another."""
    return [
        LinkStatus(f"trunk-{n}", state=state, since_ms=n, last_ms=number) for n in range(number)
    ]


def make_status(links=(), **changes):
    """Make a status of the daemon that has these links."""
    usual = {"version": "1", "bundle": "b", "now_ms": 0, "links": len(links)}
    return Status(**usual | {"worst": tuple(worst_first(links, MOST_LINKS))} | changes)


def seen(board, query=""):
    """Ask a board, and read its answer."""
    page = board.page(query)
    assert (page.status, page.content_type) == (200, "application/json"), page.body
    return msgspec.json.decode(page.body, type=Status)


def names(status):
    """Give the names that a status lists."""
    return [link.link for link in status.worst]


def test_the_newest_status_is_shown():
    """Who asks twice sees what changed between."""
    board = StatusBoard(make_status(version="first"))
    assert seen(board).version == "first"

    board.publish(make_status(version="second"))

    assert seen(board).version == "second"


def test_a_status_says_how_old_it_is():
    """A daemon whose loop stands is still asked and answered, and must not look alive."""
    clock = Clock()
    board = StatusBoard(make_status(), clock)
    clock.sleep(5)
    board.publish(make_status())
    clock.sleep(47)

    assert seen(board).age_seconds == 47


def test_a_loop_that_waits_is_told_from_one_that_stands():
    """One tries to deliver again and again, and needs a broker; the other needs a restart."""
    clock = Clock()
    board = StatusBoard(make_status(), clock, idle_seconds=lambda: 2.0)
    board.publish(make_status(uptime_seconds=60.0, contact_seconds=0.5))
    clock.sleep(47)

    shown = seen(board)

    assert (shown.age_seconds, shown.idle_seconds) == (47, 2)
    assert (shown.uptime_seconds, shown.contact_seconds) == (107, 47.5)


def test_two_hundred_links_are_listed_unless_asked():
    """A browser gets a page that it can show, a script as much as it wants up to a thousand."""
    board = StatusBoard(make_status(make_links(3000)))

    assert [len(seen(board, query).worst) for query in ("", "most=0", "most=7", "most=1000")] == [
        200,
        0,
        7,
        1000,
    ]
    assert names(seen(board, "most=2")) == ["trunk-2999", "trunk-2998"]
    assert (seen(board).matched, seen(board).searched) == (3000, 3000)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=blocked", ["b-1", "a-1"]),
        ("state=blocked&state=silent", ["b-1", "a-2", "a-1"]),
        ("state=unsettled", ["b-2"]),
        ("state=block", []),
        ("link=a-*", ["a-2", "a-1"]),
        ("link=a-*&link=b-2", ["a-2", "a-1", "b-2"]),
        ("link=%3F-1", ["b-1", "a-1"]),
        ("link=A-*", []),
        ("link=a", []),
        ("link=", []),
        ("link=a-*&state=silent", ["a-2"]),
        ("most=1&link=a-*", ["a-2"]),
    ],
)
def test_links_are_chosen_by_state_and_name(query, found):
    """In a bad night one looks at one site, or at one sort of fault."""
    links = [
        LinkStatus("a-1", state="blocked", since_ms=1),
        LinkStatus("a-2", state="silent", since_ms=2),
        LinkStatus("b-1", state="blocked", since_ms=3),
        LinkStatus("b-2"),
    ]
    board = StatusBoard(make_status())
    board.publish(make_status(links), lambda: links)

    status = seen(board, query)

    assert names(status) == found
    assert status.matched == (len(found) if "most" not in query else 2)
    assert (status.searched, status.links) == (4, 4)


def test_links_are_looked_for_among_all_of_them():
    """A link that is well is far down in the list, and found all the same."""
    links = make_links(5000)
    board = StatusBoard(make_status())
    board.publish(make_status(links), lambda: iter(links))

    status = seen(board, "link=trunk-3")

    assert (names(status), status.matched, status.searched) == (["trunk-3"], 1, 5000)


def test_without_all_links_the_answer_says_among_how_many_was_looked():
    """An empty list mustn't read as "there is no such link"."""
    board = StatusBoard(make_status(make_links(5000)))

    status = seen(board, "link=trunk-3")

    assert (names(status), status.searched, status.links) == ([], 1000, 5000)


def test_all_links_are_gone_through_only_for_who_looks_for_some():
    """A hundred thousand links cost nothing while nobody asks for certain ones."""
    asked = []

    def every():
        asked.append(1)
        return []

    board = StatusBoard(make_status())
    board.publish(make_status(), every)
    seen(board)
    seen(board, "most=9")
    assert not asked

    seen(board, "state=blocked")

    assert asked


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("most=1001", "most='1001': give a number of links up to 1000"),
        ("most=-1", "most='-1'"),
        ("most=", "most=''"),
        ("most=%D9%A1", "most='\u0661'"),
        ("most=1_0", "most='1_0'"),
        ("most=" + "9" * 5000, "most='999"),
        ("stat=blocked", "'stat': ask by most, state, link"),
        ("blocked", "not a query: bad query field: 'blocked'"),
        ("state=%ff", "not a query"),
        ("&".join(["link=a"] * 101), "not a query"),
    ],
)
def test_a_query_without_an_answer_is_refused(query, why):
    """A misspelt word must not get the answer to another question."""
    page = StatusBoard(make_status()).page(query)

    assert (page.status, page.content_type) == (400, "text/plain; charset=utf-8")
    assert page.body.decode().startswith(why)
    assert page.body.count(b"\n") == 1


@pytest.mark.parametrize(
    ("states", "why"),
    [
        (("bloked",), "there is no state 'bloked', perhaps 'blocked'"),
        (("blocked", "Silent"), "there is no state 'Silent', perhaps 'silent'"),
        (("zzz",), "there is no state 'zzz'"),
        (("blocked", "normal", "silent", "unknown", "unsettled", "removed"), ""),
        ((), ""),
    ],
)
def test_a_state_that_no_link_can_be_in_is_pointed_out(states, why):
    """A misspelt state must not read as "all is well": nothing ever matches it."""
    status = make_status(labels=("normal", "blocked"), states={"removed": 1})

    assert Wanted(states=states).misspelt(status) == why


def test_of_a_daemon_that_does_not_say_its_labels_any_state_may_be_one():
    """An older daemon, or one that has only begun, may know the label all the same."""
    assert Wanted(states=("bloked",)).misspelt(make_status(states={"normal": 3})) == ""


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)) | TEXT.map("link={}".format))
def test_any_query_is_answered_or_refused(query):
    """Nothing in an address makes the page fail."""
    board = StatusBoard(make_status())
    board.publish(make_status(make_links()), make_links)

    assert board.page(query).status in (200, 400)


@given(st.builds(Wanted, st.integers(0, 1000), *[st.lists(TEXT, max_size=4).map(tuple)] * 2))
def test_a_wish_survives_its_query(wanted):
    """Whatever a link is called, it can be asked for."""
    assert Wanted.read(wanted.query) == wanted


@given(st.lists(TEXT, min_size=1, max_size=5), TEXT)
def test_a_name_is_its_own_pattern(links, name):
    """A link whose name has the signs of a pattern can be found by quoting them."""
    chosen = Wanted(names=("".join(f"[{c}]" if c in "*?[" else c for c in name),))

    found = chosen.choose([LinkStatus(link) for link in [*links, name]])

    assert [link.link for link in found] == [link for link in [*links, name] if link == name]


def test_a_query_that_is_wrong_says_so_to_who_reads_it():
    """Also outside of a page."""
    with pytest.raises(WantedError, match="most"):
        Wanted.read("most=x")


@pytest.mark.parametrize(
    "query", ["", "most=1000", "state=normal", "link=*7&link=" + quote("*[89]")]
)
def test_a_hundred_thousand_links_are_answered_at_once(query):
    """Somebody who watches a large network costs its daemon some milliseconds a second."""
    links = make_links(100_000)
    board = StatusBoard(make_status())
    board.publish(make_status(links), lambda: links)
    began = time.perf_counter()

    status = seen(board, query)

    assert time.perf_counter() - began < 0.5  # 1 to 25 ms; a machine may be busy
    assert len(status.worst) in (200, 1000)


def test_a_picture_is_never_half_old_and_half_new():
    """What one thread publishes, another sees whole."""
    board = StatusBoard(make_status(version="0"))
    stopping = threading.Event()

    def publish():
        n = 0
        while not stopping.is_set():
            n += 1
            links = [LinkStatus("a", reason=str(n)), LinkStatus("b", reason=str(n))]
            board.publish(make_status(links, version=str(n)), lambda links=links: links)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        pictures = [seen(board, query) for _ in range(500) for query in ("", "link=*")]
    finally:
        stopping.set()
        thread.join()

    assert int(pictures[-1].version) > 1
    for picture in pictures:
        assert {link.reason for link in picture.worst} <= {picture.version}


def make_spots(count):
    """Make links that lie somewhere."""
    return tuple(
        LinkSpot(f"trunk-{n}", "probe-1", "normal", (0.0, 0.5, n / 10), {"normal": 0.1}, 0.2, n)
        for n in range(count)
    )


def test_where_links_lie_is_answered_as_it_was_published():
    """Whoever draws it polls, and must get what belongs together."""
    board = StatusBoard(make_status())
    before = msgspec.json.decode(board.space_page().body, type=SpaceStatus)
    space = SpaceStatus(bundle="b", dimensions=16, kept=0.9, links=make_spots(5), most=10)

    board.publish(make_status(), space=space)
    page = board.space_page()

    assert before.links == ()
    assert (page.status, page.content_type) == (200, "application/json")
    assert msgspec.json.decode(page.body, type=SpaceStatus) == space


def test_of_the_links_that_lie_somewhere_those_asked_for_are_given():
    """One link in depth doesn't need two hundred others."""
    board = StatusBoard(make_status())
    board.publish(
        make_status(), space=SpaceStatus(bundle="b", dimensions=3, kept=1.0, links=make_spots(5))
    )

    def asked(query):
        answer = msgspec.json.decode(board.space_page(query).body, type=SpaceStatus)
        return [spot.link for spot in answer.links]

    assert asked("link=trunk-3&link=trunk-1") == ["trunk-1", "trunk-3"]
    assert asked("most=2") == ["trunk-0", "trunk-1"]
    assert asked("state=blocked") == []
    assert board.space_page("colour=red").status == 400
