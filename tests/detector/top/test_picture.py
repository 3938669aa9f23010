"""The picture, read as somebody reads it who was woken by a pager."""

from pathlib import Path
from textwrap import indent

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from detector.board import Wanted
from detector.status import LOST, CanaryStatus, LinkStatus, SourceStatus, Status, UnknownStatus
from detector.top.picture import picture
from tests.detector.top.made import NOW_MS, bad_night, make_event, make_link, make_status

GOLDEN = Path(__file__).parents[1] / "golden"
ALL = Wanted()
TEXT = st.text(max_size=30)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


def lines(status, width=140, height=None, wanted=ALL, trouble=()):
    """Give a picture's lines as they stand on a terminal without colours."""
    return [line.plain for line in picture(status, wanted, width, height, trouble)]


def line_of(status, start, **size):
    """Give the one line that begins so."""
    (line,) = (line for line in lines(status, **size) if line.startswith(start))
    return line


def rows(status, **size):
    """Give the table's rows as words."""
    shown = lines(status, **size)
    first = next(place for place, line in enumerate(shown) if line.startswith("link "))
    return [line.split() for line in shown[first + 1 : first + 1 + len(status.worst)]]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40)])
def test_a_bad_night_looks_as_it_did(width, height):
    """Where this fails and the change is meant, put the new picture into golden/."""
    shown = "\n".join(lines(bad_night(), width, height)) + "\n"

    assert shown == (GOLDEN / f"top-{width}x{height}.txt").read_text()


def test_the_picture_in_the_docs_is_a_real_one():
    """Who reads about it recognises it."""
    page = (Path(__file__).parents[3] / "docs" / "top.md").read_text()

    assert indent((GOLDEN / "top-80x24.txt").read_text(), "    ") in page


@pytest.mark.parametrize(
    ("width", "height"), [(80, 24), (79, 10), (40, 12), (20, 9), (1, 1), (109, 50), (300, 100)]
)
@pytest.mark.parametrize("trouble", [(), ("NO ANSWER for 12 s", "no daemon answers " * 9)])
def test_every_picture_fits_its_terminal(width, height, trouble):
    """A picture that is taller or wider than its terminal leaves torn lines behind."""
    status = bad_night()

    for wanted in (ALL, Wanted(states=("blocked",))):
        shown = lines(status, width, height, wanted, trouble)
        assert len(shown) <= height
        assert all(cell_len(line) <= width for line in shown)


@given(
    st.builds(
        Status,
        version=TEXT,
        bundle=TEXT,
        now_ms=st.integers(),
        engine=TEXT,
        uptime_seconds=NUMBER,
        age_seconds=NUMBER,
        ready=st.booleans(),
        contact_seconds=st.none() | NUMBER,
        lag_messages=st.integers(),
        windows_per_second=NUMBER,
        links=st.integers(),
        states=st.dictionaries(TEXT, st.integers(), max_size=3),
        flapping=st.integers(),
        worst=st.lists(
            st.builds(
                LinkStatus,
                TEXT,
                TEXT,
                st.none() | TEXT,
                st.integers(),
                st.integers(),
                st.none() | NUMBER,
                st.none() | NUMBER,
                TEXT,
                st.booleans(),
                st.none() | NUMBER,
            ),
            max_size=3,
        ).map(tuple),
        matched=st.integers(),
        searched=st.integers(),
        sources_known=st.integers(),
        sources_lost=st.integers(),
        sources=st.lists(st.builds(SourceStatus, TEXT, st.integers(), TEXT, NUMBER)).map(tuple),
        canary=st.dictionaries(TEXT, st.builds(CanaryStatus, NUMBER, NUMBER), max_size=3),
        unknown=st.builds(UnknownStatus, *[st.none() | NUMBER] * 4),
        rejected=st.dictionaries(TEXT, st.integers(), max_size=5),
        bundle_refused=st.booleans(),
        labels=st.lists(TEXT, max_size=3).map(tuple),
        events=st.lists(st.builds(make_event, link=TEXT, state=TEXT), max_size=2).map(tuple),
    ),
    st.integers(1, 200),
    st.none() | st.integers(1, 60),
)
def test_whatever_a_daemon_says_can_be_shown(status, width, height):
    """A daemon that has lost its mind is the one that somebody looks at."""
    shown = lines(status, width, height)

    assert all(line.isprintable() for line in shown)
    assert all(cell_len(line) <= width for line in shown)


@pytest.mark.parametrize(
    "name",
    [
        "[red]x[/red]",
        "[/]",
        ":warning:",
        "[link=http://x]y",
        "λίνκ",
        "東京-大阪",
        "קישור-7",
        "🚨🚨x",
    ],
)
def test_names_are_shown_as_they_are(name):
    """A link can be named anything printable; that must not style, hide or break a line."""
    link = make_link(name, "blocked", 5, source=name, reason=name)
    status = make_status(
        worst=[link, make_link("plain", "blocked", 6)], events=[make_event(link=name)]
    )

    shown = lines(status)

    assert sum(line.count(name) for line in shown) == 4  # link, source, why; and the event
    first, second = (line for line in shown if line.startswith((name, "plain")))
    assert cell_len(first.partition("blocked")[0]) == cell_len(second.partition("blocked")[0])
    assert not any(
        span.style == "red" for line in picture(status, ALL, 140) for span in line.spans
    )


@pytest.mark.parametrize(
    "hidden", ["\x1b[2J\x1b]0;gotcha\x07", "a\nb", "\u202egnp.exe", "\x9b31m", "\r"]
)
def test_codes_never_reach_the_terminal(hidden):
    """Who answers may be no daemon at all, and wish the terminal ill."""
    link = make_link(hidden, hidden, 5, source=hidden, reason=hidden)
    status = make_status(
        worst=[link],
        version=hidden,
        bundle=hidden,
        engine=hidden,
        sources_known=1,
        sources_lost=1,
        sources=[SourceStatus(hidden, 1, LOST)],
        canary={hidden: CanaryStatus()},
        events=[
            make_event(link=hidden, state=hidden, previous=hidden, reason=hidden, type=hidden)
        ],
    )

    shown = lines(status, 200, None, ALL, (hidden,))

    assert all(line.isprintable() for line in shown)


def test_long_names_differ_in_what_is_left_of_them():
    """Names that are alike differ at either end."""
    long = [f"{n}-" + "x" * 190 + f"-{n}" for n in range(3)]

    shown = rows(
        make_status(worst=[make_link(name, "blocked") for name in long]), width=80, height=24
    )

    assert [row[0][0] + row[0][-1] for row in shown] == ["00", "11", "22"]
    assert all("…" in row[0] for row in shown)


def test_a_link_is_shown_with_all_that_tells_how_bad_it_is():
    """One line answers where, what, since when, how sure, how strange, and why."""
    link = make_link("trunk-7", "blocked", 750, margin=0.625, strangeness=0.5, reason="no answers")

    assert rows(make_status(worst=[link])) == [
        ["trunk-7", "probe-1", "blocked", "12", "min", "0.62", "0.50", "no", "answers"]
    ]


def test_a_link_that_is_not_settled_says_so():
    """Its state isn't known, and neither is since when."""
    link = LinkStatus("trunk-7", "probe-1", last_ms=NOW_MS)

    assert rows(make_status(worst=[link])) == [["trunk-7", "probe-1", "unsettled"]]


def test_times_are_by_the_daemons_clock():
    """The engineer's laptop may be minutes off; the picture of a made-up day is right."""
    status = make_status(worst=[make_link("trunk-7", "blocked", 20)], events=[make_event(20)])
    later = msgspec.structs.replace(status, now_ms=NOW_MS + 30_000)

    assert rows(status)[0][3:5] == ["20", "s"]
    assert rows(later)[0][3:5] == ["50", "s"]
    assert lines(later)[0].startswith("2026-07-14 03:33:50 UTC")
    assert any(line.startswith("03:33:00  trunk-7") for line in lines(later))


def test_a_state_of_which_nothing_new_came_is_as_old_as_its_last_window():
    """What isn't reported may have changed: the picture doesn't claim to know."""
    link = make_link("trunk-7", "blocked", 1000, last_ms=NOW_MS - 300_000, reason="no answers")

    (row,) = rows(make_status(worst=[link]))

    assert row[3:] == [
        *"700 s 0.50 last heard 300 s ago; no answers".replace("700 s", "11 min").split()
    ]


def test_silence_lasts_until_now():
    """Of a silent link nothing comes; that is what its state is about."""
    link = make_link(
        "trunk-7", "silent", 1000, last_ms=NOW_MS - 1_000_000, margin=None, reason="why"
    )

    assert rows(make_status(worst=[link]))[0][2:] == ["silent", "16", "min", "why"]


def test_captures_may_be_of_any_day():
    """A replay of last year's traffic isn't a year of silence."""
    year_ms = 365 * 86_400_000
    link = make_link("a", "blocked", last_ms=NOW_MS - year_ms, since_ms=NOW_MS - year_ms - 20_000)

    status = make_status(worst=[link], contact_seconds=None)

    assert rows(status)[0][2:] == ["blocked", "20", "s", "0.50"]
    assert "no broker" in lines(status)[1]


@pytest.mark.parametrize("wrong_seconds", [-86_400, -300, 0, 300])
def test_an_exporters_clock_may_be_wrong(wrong_seconds):
    """What comes every second isn't called quiet for the time that stands in it."""
    last_ms = NOW_MS + wrong_seconds * 1000
    times = {"last_ms": last_ms, "since_ms": last_ms - 20_000}
    heard = make_link("a", "blocked", heard_seconds=1.0, **times)
    quiet = make_link("a", "blocked", heard_seconds=300.0, **times)
    silent = make_link("a", "silent", heard_seconds=300.0, **times)

    assert " ".join(rows(make_status(worst=[heard]))[0][3:]) == "21 s 0.50"
    assert " ".join(rows(make_status(worst=[quiet]))[0][3:]) == "20 s 0.50 last heard 300 s ago"
    assert " ".join(rows(make_status(worst=[silent]))[0][3:]) == "320 s 0.50"


def test_flapping_is_said_in_words():
    """Nobody should take its state of this second for the truth."""
    link = make_link("trunk-7", flapping=True)
    status = make_status(worst=[link], flapping=1)

    assert rows(status)[0][-1] == "flapping"
    assert line_of(status, "1 link") == "1 link, 1 FLAPPING: 1 normal"


def test_what_does_not_fit_is_counted():
    """A short terminal must not hide that there are more faults than it shows."""
    links = [make_link(f"trunk-{n}", "blocked", n) for n in range(30)]
    status = make_status(
        worst=links, links=1030, matched=1030, states={"blocked": 30, "normal": 1000}
    )

    assert line_of(status, "and ", height=24).startswith(
        "and 1,017 more: 17 blocked, 1,000 normal"
    )
    assert line_of(status, "and ", height=None) == "and 1,000 more, all normal"


def test_all_links_are_listed_where_they_fit():
    """No line is spent on saying that nothing is left out."""
    status = make_status(worst=[make_link(f"trunk-{n}", seconds=n) for n in range(5)])

    assert not any(line.startswith("and ") for line in lines(status, 80, 24))
    assert len([line for line in lines(status, 80, 24) if line.startswith("trunk-")]) == 5


def test_a_choice_says_how_many_match():
    """Who looks for a site must know whether he sees all of it."""
    status = make_status(worst=[make_link(f"a-{n}") for n in range(9)], links=5000, searched=5000)
    some = msgspec.structs.replace(status, matched=40)
    among = msgspec.structs.replace(some, searched=1000)
    none = msgspec.structs.replace(status, worst=(), matched=0)
    wanted = Wanted(names=("a-*",))

    assert "9 of 40 links that match" in lines(some, wanted=wanted)
    assert "9 of 40 links that match, looked for among the 1,000 worst of 5,000" in lines(
        among, wanted=wanted
    )
    assert "no link matches" in lines(none, wanted=wanted)
    assert "no links yet" in lines(none)


def test_a_misspelt_state_is_pointed_out_where_links_would_be():
    """`no link matches` alone would read as "nothing is blocked"."""
    daemon = make_status(worst=[make_link("a", "blocked")], labels=("normal", "blocked"))
    none = msgspec.structs.replace(daemon, worst=(), matched=0)
    typed, both = Wanted(states=("bloked",)), Wanted(states=("blocked", "silemt"))

    assert "no link matches: there is no state 'bloked', perhaps 'blocked'" in lines(
        none, wanted=typed
    )
    assert "1 of 1 link that match: there is no state 'silemt', perhaps 'silent'" in lines(
        daemon, wanted=both
    )
    assert "no link matches" in lines(none, wanted=Wanted(states=("silent",)))


def test_the_newest_fault_is_explained_in_full_where_the_table_has_no_room():
    """On 80 columns sixteen letters of a reason say nothing."""
    reason = "no 2xx to 118 requests; like peer-dead, 0.08 away"
    status = make_status(worst=[make_link("trunk-7", "blocked", reason=reason)])

    assert f"trunk-7: {reason}" in lines(status, 80, 24)
    assert f"trunk-7: {reason}" not in lines(status, 140, 40)
    calm = make_status(worst=[make_link("trunk-7", reason=reason)])
    assert f"trunk-7: {reason}" not in lines(calm, 80, 24)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "ready   broker heard 0.4 s ago   1,200 windows/s   lag 0 messages"),
        ({"lag_messages": 1}, "ready   broker heard 0.4 s ago   1,200 windows/s   lag 1 message"),
        (
            {"ready": False},
            "NOT READY   broker heard 0.4 s ago   1,200 windows/s   lag 0 messages",
        ),
        (
            {"ready": False, "refused": "wrong password"},
            "REFUSED: wrong password   broker heard 0.4 s ago   1,200 windows/s   lag 0 messages",
        ),
        (
            {"age_seconds": 9.0, "contact_seconds": None, "windows_per_second": 0.0},
            "WAITING for 9 s to finish a step   no broker   0 windows/s   lag 0 messages",
        ),
        (
            {"age_seconds": 47.0, "idle_seconds": 47.0, "contact_seconds": 31.0},
            "STALLED for 47 s   BROKER NOT HEARD for 31 s   1,200 windows/s   lag 0 messages",
        ),
        (
            {"contact_seconds": 1.7e9},
            "BROKER NEVER HEARD   ready   1,200 windows/s   lag 0 messages",
        ),
    ],
)
def test_the_daemons_own_health_is_said_with_the_worst_first(changes, line):
    """A daemon that is blind looks like a network that is well."""
    assert lines(make_status(**changes))[1] == line


def test_a_status_of_a_second_or_two_ago_is_no_alarm():
    """It is made once a second, and a long batch takes another."""
    assert lines(make_status(age_seconds=4.0, idle_seconds=4.0))[1].startswith("ready")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "none yet"),
        ({"sources_known": 1200}, "all 1,200 reporting"),
        (
            {
                "sources_known": 3,
                "sources_lost": 2,
                "sources": [
                    SourceStatus("b", 1, LOST, 61),
                    SourceStatus("a", 48, LOST, 700),
                    SourceStatus("c", 5),
                ],
            },
            "2 LOST of 3, b for 61 s (1 link), a for 11 min (48 links)",
        ),
    ],
)
def test_lost_exporters_are_named(changes, line):
    """Their links are not to blame, and whoever runs the exporter is to be called."""
    assert line_of(make_status(**changes), "exporters: ") == f"exporters: {line}"


@pytest.mark.parametrize(
    ("canary", "words"),
    [
        (CanaryStatus(1.0, 5.2, 24, 0), "blocked 1.00 in 5 s"),
        (CanaryStatus(0.8, 9.6, 4, 1), "blocked 0.80 in 10 s"),
        (CanaryStatus(0.796, 9.6, 4, 1), "blocked 0.80 in 10 s"),
        (CanaryStatus(0.79, 9.6, 79, 21), "blocked LOW 0.79 in 10 s (79 of 100)"),
        (CanaryStatus(0.0, None, 0, 3), "blocked LOW 0.00 (0 of 3)"),
        (CanaryStatus(), "blocked NONE YET"),
        (CanaryStatus(None, 5.0, 3, 1), "blocked TOO FEW YET (3 of 4)"),
    ],
)
def test_canaries_that_are_not_found_are_marked(canary, words):
    """A self-test that fails means that silence about faults means nothing."""
    status = make_status(canary={"blocked": canary})

    assert line_of(status, "canaries: ") == f"canaries: {words}"


def test_bad_canaries_come_first_and_none_at_all_is_said():
    """What is cut off on a narrow terminal is what is well."""
    good, low = CanaryStatus(1.0, 5, 9, 0), CanaryStatus(0.5, 5, 1, 1)
    many = {f"label-{n}": good for n in range(30)} | {"new": CanaryStatus(), "bad": low}

    first = line_of(make_status(canary=many), "canaries: ", width=80)

    assert first.startswith("canaries: bad LOW 0.50 in 5 s (1 of 2), new NONE YET, label-0 1.00")
    assert any(line.endswith("+ 26 more") for line in lines(make_status(canary=many), 80))
    assert line_of(make_status(canary={}), "canaries: ") == "canaries: none sent"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rejected": {"shape": 1}}, ["REJECTED 1 in 10 min (shape 1)"]),
        (
            {"rejected": {"gaps": 2, "shape": 4, "time": 3, "undecodable": 1300}},
            ["REJECTED 1,309 in 10 min (undecodable 1,300, shape 4, time 3, ...)"],
        ),
        ({"bundle_refused": True}, ["BUNDLE REFUSED"]),
        (
            {"bundle_refused": True, "rejected": {"version": 7}},
            ["BUNDLE REFUSED   REJECTED 7 in 10 min (version 7)"],
        ),
        ({}, []),
    ],
)
def test_what_the_daemon_can_not_use_has_a_line_of_its_own(changes, words):
    """With all records refused it is ready, has no lag, and judges nothing."""
    status = make_status(**changes)
    plain = lines(make_status(), 80)

    shown = lines(status, 80)

    assert shown == [*plain[:2], *words, *plain[2:]]
    marked = [line for line in picture(status, ALL, 80) if line.plain in words]
    assert [str(span.style) for line in marked for span in line.spans if span.style != ""] == [
        "bold red"
    ] * sum(line.plain.count("   ") + 1 for line in marked)


@pytest.mark.parametrize(
    ("unknown", "words"),
    [
        (UnknownStatus(), "no rate yet"),
        (UnknownStatus(1.0), "no rate yet, budget 1.00"),
        (
            UnknownStatus(1.0, 0.42, 0.11, 1.2),
            "too early to say, 0.42 a link-week (0.11 to 1.20), budget 1.00",
        ),
        (
            UnknownStatus(1.0, 0.0, 0.0, 14_166.33),
            "too early to say, 0.00 a link-week (0.00 to 14,166.33), budget 1.00",
        ),
        (
            UnknownStatus(1.0, 0.42, 0.11, 1.0),
            "within budget, 0.42 a link-week (0.11 to 1.00), budget 1.00",
        ),
        (
            UnknownStatus(1.0, 1.3, 0.9, 1.7),
            "above budget, may be chance, 1.30 a link-week (0.90 to 1.70), budget 1.00",
        ),
        (
            UnknownStatus(1.0, 1234.5, 1000, 1500),
            "OVER BUDGET, 1,234.50 a link-week (1,000.00 to 1,500.00), budget 1.00",
        ),
        (UnknownStatus(0.01, 0.0, None, None), "within budget, 0.00 a link-week, budget 0.01"),
        (UnknownStatus(None, 2.0), "2.00 a link-week"),
        (UnknownStatus(1.0, 2.0), "OVER BUDGET, 2.00 a link-week, budget 1.00"),
    ],
)
def test_the_rate_of_unknowns_is_held_against_its_budget(unknown, words):
    """A promise that can be checked at a glance, with how sure it is."""
    assert line_of(make_status(unknown=unknown), "unknown: ") == f"unknown: {words}"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({}, "trunk-7  blocked, was normal"),
        ({"previous": None}, "trunk-7  blocked"),
        ({"reason": "no answers"}, "trunk-7  blocked, was normal  no answers"),
        ({"type": "abated", "state": "normal", "previous": "blocked"}, "trunk-7  blocked is over"),
        (
            {"type": "abated", "state": "silent", "previous": "blocked"},
            "trunk-7  blocked is over, now silent",
        ),
        ({"type": "abated", "state": "normal", "previous": None}, "trunk-7  over"),
        (
            {"link": "", "state": "telemetry-lost", "previous": None},
            "exporter probe-1  telemetry-lost",
        ),
        ({"link": "", "group": "site-9", "links": 48}, "48 links of site-9  blocked, was normal"),
        ({"link": "", "links": 48}, "48 links of probe-1  blocked, was normal"),
    ],
)
def test_an_event_is_a_sentence(event, words):
    """What began, what is over, where, and why."""
    status = make_status(events=[make_event(60, **event)])

    assert f"03:32:20  {words}" in lines(status)


def test_an_event_of_another_day_has_its_date():
    """Yesterday's half past two is not today's."""
    status = make_status(events=[make_event(90_000)])

    assert any(line.startswith("07-13 02:33  trunk-7") for line in lines(status))
    assert "no events yet" in lines(make_status())


def test_trouble_is_said_above_all_else():
    """What is below is old, and the first line says so."""
    first, second, third, *_ = lines(
        make_status(), 80, 24, trouble=("NO ANSWER for 12 s", "x" * 70)
    )

    assert (first, second.strip(), third[:10]) == ("NO ANSWER for 12 s", "x" * 70, "2026-07-14")
    old, new = (picture(bad_night(), ALL, 80, 24, trouble) for trouble in (("GONE",), ()))
    assert all(any("dim" in str(span.style) for span in line.spans) for line in old[1:] if line)
    assert not all(any("dim" in str(span.style) for span in line.spans) for line in new if line)


def test_no_colour_is_needed():
    """A printed picture, or a pair of eyes without red, tells all the same."""
    shown = "\n".join(lines(bad_night(), 80, 24))

    for word in ("LOST", "LOW", "NONE YET", "FLAPPING", "blocked", "silent"):
        assert word in shown


@pytest.mark.parametrize("state", ["blocked", "capacity-limited", "unknown", "silent", "my-fault"])
def test_a_fault_stands_out(state):
    """Of whatever sort, also of one that an operator has named."""
    (row,) = (
        line
        for line in picture(make_status(worst=[make_link("a", state)]), ALL, 140)
        if line.plain.startswith("a ")
    )

    assert any("bold" in str(span.style) for span in row.spans)
