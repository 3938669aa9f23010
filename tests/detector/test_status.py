"""What the daemon shows of itself: its order, its counts, and what readers may rely on."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.events import Event, abated, onset
from detector.status import (
    LOST,
    REPORTING,
    CanaryStatus,
    EventStatus,
    LinkStatus,
    Pace,
    SourceStatus,
    Status,
    UnknownStatus,
    lost_first,
    worst_first,
)

GOLDEN = Path(__file__).parent / "golden" / "status.json"
STATES = ("blocked", "capacity-limited", "unknown", "silent", "normal", None)
LINKS = st.lists(
    st.builds(
        LinkStatus,
        link=st.sampled_from("abcdef"),
        state=st.sampled_from(STATES),
        since_ms=st.integers(0, 5),
        flapping=st.booleans(),
    ),
    max_size=30,
)
SOURCES = st.lists(
    st.builds(
        SourceStatus,
        name=st.sampled_from("abcdef"),
        state=st.sampled_from((REPORTING, LOST)),
        seen_seconds=st.integers(0, 5),
    ),
    max_size=30,
)


def whole() -> Status:
    """Make a status that says something in every field."""
    return Status(
        version="0.1.0",
        bundle="9f2c1e5a77b0",
        now_ms=1_700_000_100_000,
        engine="onnxruntime",
        uptime_seconds=90.5,
        age_seconds=0.25,
        idle_seconds=0.125,
        ready=True,
        contact_seconds=0.5,
        lag_messages=3,
        windows_per_second=2.5,
        links=2,
        states={"blocked": 1, "unsettled": 1},
        flapping=1,
        worst=(
            LinkStatus(
                "trunk-7",
                "probe-1",
                "blocked",
                1_700_000_010_000,
                1_700_000_099_000,
                0.5,
                0.25,
                "no answers to 340 requests",
                True,
                0.75,
            ),
            LinkStatus("trunk-8", "probe-1"),
        ),
        matched=2,
        searched=2,
        sources_known=1,
        sources_lost=1,
        sources=(SourceStatus("probe-1", 2, LOST, 61.5),),
        canary={"blocked": CanaryStatus(0.75, 6.5, 3, 1), "capacity-limited": CanaryStatus()},
        unknown=UnknownStatus(1.0, 0.5, 0.25, 0.75, 1000),
        events=(
            EventStatus(
                1_700_000_016_000,
                "onset",
                "trunk-7",
                "probe-1",
                "",
                1,
                "blocked",
                "normal",
                "no answers to 340 requests",
            ),
        ),
        rejected={"undecodable": 13, "shape": 4},
        bundle_refused=True,
        labels=("blocked", "capacity-limited", "normal"),
    )


def test_the_document_is_as_it_was():
    """Scripts and an older `top` read it.

    Where this fails and the change is meant, put the new text into golden/status.json, and the
    change into the changelog.
    """
    text = msgspec.json.format(msgspec.json.encode(whole()), indent=2)

    assert text + b"\n" == GOLDEN.read_bytes()


def test_a_document_comes_back_as_it_went():
    """The view shows what the daemon meant."""
    status = whole()

    assert msgspec.json.decode(msgspec.json.encode(status), type=Status) == status


def test_a_reader_passes_over_what_it_does_not_know():
    """A daemon that was updated first is still seen by the engineer's old tool."""
    tree = msgspec.to_builtins(whole())
    tree["mood"] = {"of": ["the", "daemon"]}
    for part in (tree["worst"][0], tree["sources"][0], tree["unknown"], tree["events"][0]):
        part["mood"] = "new"
    tree["canary"]["blocked"]["mood"] = None

    assert msgspec.json.decode(msgspec.json.encode(tree), type=Status) == whole()


def test_a_reader_gets_along_without_what_an_older_daemon_does_not_say():
    """Nothing but who speaks and when is needed."""
    status = msgspec.json.decode(b'{"version":"0.0.9","bundle":"b","now_ms":5}', type=Status)

    assert status == Status(version="0.0.9", bundle="b", now_ms=5)
    assert (status.ready, status.links, status.worst) == (False, 0, ())


@pytest.mark.parametrize("missing", ["version", "bundle", "now_ms"])
def test_a_document_that_says_nothing_of_a_daemon_is_none(missing):
    """Some other program's `{"ok": true}` must not look like a daemon without links."""
    tree = msgspec.to_builtins(whole())
    del tree[missing]

    with pytest.raises(msgspec.ValidationError, match=missing):
        msgspec.convert(tree, Status)


def plain_order(links: Sequence[LinkStatus]) -> list[LinkStatus]:
    """Sort links as `worst_first` promises, the slow way."""
    calm = (None, "normal")
    return sorted(links, key=lambda one: (one.state in calm, not one.flapping, -one.since_ms))


@given(LINKS, st.integers(0, 40))
def test_the_worst_links_come_first(links, limit):
    """The top of the list is what an engineer looks at: new faults, then what flaps."""
    settled = [
        link for link in links if not (link.flapping and link.state not in (None, "normal"))
    ]

    assert worst_first(settled, limit) == plain_order(settled)[:limit]


@given(LINKS)
def test_a_fault_that_flaps_is_a_fault_like_others(links):
    """Flapping moves no fault up or down: the newest is what counts."""
    calm = (None, "normal")

    faults = [link for link in worst_first(links, 99) if link.state not in calm]

    assert worst_first(links, 99)[: len(faults)] == faults
    assert faults == sorted(faults, key=lambda link: -link.since_ms)


@given(LINKS, st.integers(0, 40), st.integers(0, 40))
def test_a_shorter_list_is_the_beginning_of_a_longer_one(links, one, other):
    """A taller terminal shows more, and nothing else."""
    fewer, more = sorted((one, other))

    assert worst_first(links, more)[:fewer] == worst_first(links, fewer)


@pytest.mark.parametrize("faulty", [0.001, 0.5, 1.0])
def test_the_worst_of_a_hundred_thousand_links_are_found_at_once(faulty):
    """The daemon's loop does this every second, and windows wait meanwhile."""
    links = [
        LinkStatus(
            f"trunk-{n}", state="blocked" if n < faulty * 1e5 else "normal", since_ms=n % 997
        )
        for n in range(100_000)
    ]
    began = time.perf_counter()

    worst = worst_first(links, 1000)

    assert time.perf_counter() - began < 0.25  # 2 to 10 ms; a machine may be busy
    assert worst == plain_order(links)[:1000]


@given(SOURCES, st.integers(0, 40))
def test_lost_exporters_come_first(sources, limit):
    """Of the lost ones the one lost last, of the others the one unheard of for longest."""

    def order(one: SourceStatus) -> tuple[bool, float]:
        return one.state != LOST, one.seen_seconds * (1 if one.state == LOST else -1)

    assert lost_first(sources, limit) == sorted(sources, key=order)[:limit]


def test_an_exporter_list_is_bounded():
    """A thousand exporters don't make a page of a megabyte."""
    assert len(lost_first(SourceStatus(f"probe-{n}") for n in range(1000))) == 200


@given(st.lists(st.tuples(st.floats(0.1, 5), st.integers(0, 99)), min_size=2))
def test_a_pace_is_that_of_the_last_seconds(steps):
    """A daemon that stopped half a minute ago doesn't look busy."""
    pace, now, total, marks = Pace(seconds=10), 0.0, 0, []
    for seconds, more in steps:
        now, total = now + seconds, total + more
        marks.append((now, total))
        shown = pace.note(now, total)

    covering = [mark for mark in marks[:-1] if mark[0] <= now - 10] or marks[:1]
    began, before = covering[-1]
    assert shown == pytest.approx((total - before) / (now - began))


def test_a_pace_needs_two_looks():
    """Nothing is known of a speed at its first moment, nor when a clock stands."""
    pace = Pace()

    assert [pace.note(5, 100), pace.note(5, 200)] == [0.0, 0.0]


FAULT = {"link": "trunk-7", "source": "probe-1", "at_ms": 16_000, "since_ms": 9_000}


def test_an_event_is_told_in_short():
    """The last lines of the view say what was sent to the pager."""
    begun = onset(**FAULT, state="blocked", previous="normal", reason="no answers")
    over = abated(**FAULT, state="normal", previous="blocked", began_ms=5_000)

    assert EventStatus.of(begun) == EventStatus(
        16_000, "onset", "trunk-7", "probe-1", "", 1, "blocked", "normal", "no answers"
    )
    assert EventStatus.of(over) == EventStatus(
        16_000, "abated", "trunk-7", "probe-1", "", 1, "normal", "blocked"
    )


def test_an_event_of_many_links_says_how_many():
    """Two hundred names have no room on a line."""
    begun = onset(**FAULT | {"link": ""}, state="blocked", previous="normal")
    many: Event = msgspec.structs.replace(begun, links=("a", "b", "c"), group="site-9")

    told = EventStatus.of(many)

    assert (told.link, told.group, told.links) == ("", "site-9", 3)
