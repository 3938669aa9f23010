"""The page as somebody sees it: in a real browser, against the daemon's own board and server."""

import pytest

from detector.drift.telling import DriftStatus
from detector.shadow.report import Onsets
from detector.shadow.telling import ShadowStatus
from detector.status import CanaryStatus, UnknownStatus
from detector.top.words import by_state
from tests.daemon import wait_for
from tests.detector.page.browser import SHOWS
from tests.detector.page.made import daemon, publish
from tests.detector.top.made import bad_night, make_event, make_link, make_status


def test_it_loads_without_a_complaint_and_asks_nobody_else(browser):
    """It works on an island, and an engineer's console stays empty."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url)
        browser.wait("return performance.getEntriesByType('resource').length > 18")

        requests = browser.requests()
        assert browser.complaints() == []
    assert {url.removeprefix(server.url).partition("?")[0] for url in requests} >= {
        "/",
        "/page/page.js",
        "/page/page.css",
        "/status",
        "/space",
    }
    assert [url for url in requests if not url.startswith(f"{server.url}/")] == []


def test_what_the_policy_forbids_is_noticed_here(browser):
    """The test above would find a breach, and the browser does stop one."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url)
        browser.run("""
            const own = document.createElement("script");
            own.textContent = "document.title = 'caught'";
            document.body.append(own);
            const image = new Image();
            image.src = "https://198.51.100.7/x.png";
        """)
        complaints = wait_for("complaints", browser.complaints)

        assert browser.run("return document.title") != "caught"
    assert any("Content Security Policy" in words for words in complaints)


def test_it_shows_how_the_daemon_is(browser):
    """The first look says whether what is below can be believed."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url)

        head = browser.text("#identity") + browser.text("#facts")
        for told in (
            "9f2c1e5a77b0 (onnxruntime)",
            "0.1.0",
            "15 d",
            "ready",
            "heard 0.4 s ago",
            "1,200 /s",
            "12 messages",
            "1 LOST of 62",
            "probe-31 for 190 s (48 links)",
            "capacity-limited LOW 0.75 in 9 s (18 of 24)",
            "dead-peer NONE YET",
            "blocked 1.00 in 5 s",
            "too early to say",
            "0.42 a link-week (0.11 to 1.20)",
            "nothing compared yet",
        ):
            assert told in head, told
        assert "2026-07-14 03:33:20 UTC" in browser.text("#pulse")
        assert browser.driver.title == "4 faults · anchorwatch"
        counts = browser.texts("#counts button")
    assert counts == [part.words.replace(" ", "", 1) for part in by_state(bad_night().states)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ready": False}, "NOT READY"),
        ({"ready": False, "refused": "wrong password"}, "REFUSED: wrong password"),
        ({"contact_seconds": None}, "brokernone"),
        ({"contact_seconds": 95.0}, "NOT HEARD for 95 s"),
        ({"contact_seconds": 95.0, "uptime_seconds": 90.0}, "NEVER HEARD"),
        ({"canary": {}}, "none sent"),
        ({"canary": {"blocked": CanaryStatus(None, None, 1, 1)}}, "blocked TOO FEW YET (1 of 2)"),
        ({"unknown": UnknownStatus(1.0, 7.0, 4.0, 9.0, 10)}, "OVER BUDGET"),
        ({"unknown": UnknownStatus(1.0, 7.0, 0.5, 9.0, 10)}, "above budget, may be chance"),
        ({"unknown": UnknownStatus()}, "no rate yet"),
        ({"peers": 2, "enrolled": 1}, "2 other daemons1 enrolled anchor"),
        (
            {
                "drift": DriftStatus(
                    windows=900,
                    links=3,
                    shares={"inputs": 0.02, "embedding": 0.2},
                    limits={"inputs": 0.1, "embedding": 0.1},
                    drifting={"inputs": 0, "embedding": 3},
                    is_wanted=True,
                )
            },
            "▲ NEW TRAINING WANTED△ 3 links DRIFTING△ embedding 20.0 % outside, limit 10.0 % EXC",
        ),
        (
            {
                "drift": DriftStatus(
                    windows=9, shares={"inputs": 0.2}, limits={"inputs": 0.1}, links=0
                )
            },
            "driftinputs 20.0 % outside, limit 10.0 %",
        ),
        (
            {
                "shadow": ShadowStatus(
                    candidate="aa11", live="9f", agreement=0.987, onsets=Onsets(9, 8, 7)
                )
            },
            "candidate aa11agrees 98.7 %onsets 7 both, 2 live only, 1 its own",
        ),
        ({"shadow": ShadowStatus(candidate="aa11", failure="no head")}, "FAILED: no head"),
        (
            {"rejected": {"gaps": 2, "shape": 4, "time": 3, "undecodable": 1300}},
            "windows▲ REJECTED 1,309 in 10 min (undecodable 1,300, shape 4, time 3, ...)1,200 /s",
        ),
        ({"bundle_refused": True}, "daemon▲ BUNDLE REFUSEDready"),
        ({"bundle_refused": True, "ready": False}, "daemon▲ NOT READY▲ BUNDLE REFUSED"),
    ],
)
def test_what_is_wrong_is_said_in_words(browser, changes, told):
    """Colour is never needed to see that the daemon itself is in trouble."""
    with daemon(make_status(**changes)) as (_, server):
        browser.open(server.url)

        assert told in browser.text("#facts")


def test_what_is_refused_is_said_until_it_is_over(browser):
    """Marked as bad while it lasts; and what was mended doesn't stay on the screen."""
    bad = "return [...document.querySelectorAll('#facts span.bad')].map(one => one.textContent)"
    refused = make_status(rejected={"shape": 31}, bundle_refused=True)
    with daemon(refused) as (board, server):
        browser.open(server.url)
        during = browser.run(bad)
        publish(board, make_status())
        browser.wait("return !document.querySelector('#facts').textContent.includes('REFUSED')")

        assert during == ["▲ BUNDLE REFUSED", "▲ REJECTED 31 in 10 min (shape 31)"]
        assert browser.run(bad) == []
        assert "REJECTED" not in browser.text("#facts")
        assert browser.complaints() == []


def test_links_are_listed_as_the_daemon_ordered_them(browser):
    """The newest fault is what an engineer sees first."""
    status = bad_night()
    with daemon(status) as (_, server):
        browser.open(server.url)

        assert browser.cells("link") == [link.link for link in status.worst]
        assert browser.cells("state")[:5] == [
            "blocked",
            "unknown",
            "capacity-limited",
            "silent",
            "normal",
        ]
        assert browser.cells("for")[:4] == ["14 s", "95 s", "12 min", "66 min"]
        assert browser.cells("since")[0] == "03:33:06"
        assert browser.cells("why")[0] == status.worst[0].reason
        why = dict(zip(browser.cells("link"), browser.cells("why"), strict=True))
        assert why["site-20/trunk-2"] == "flapping"
        assert why["site-31/trunk-1"] == "last heard 190 s ago"
        assert browser.text("#links-count") == "47 of 1,204 links"


def test_what_is_not_known_is_a_dash_and_not_a_nought(browser):
    """A margin of 0.00 would say that two labels are as near; here nobody knows yet."""
    links = (make_link("new", None, margin=None, strangeness=None), make_link("old", margin=0.0))
    with daemon(make_status(worst=links)) as (_, server):
        browser.open(server.url)

        shown = [browser.cells(name) for name in ("margin", "strange", "for", "since")]
    assert [column[0] for column in shown] == ["\N{EN DASH}"] * 4
    assert shown[0][1] == "0.00"


def test_events_tell_what_happened_to_whom_and_why(browser):
    """What happened while nobody looked is there, with its reason."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url)

        assert browser.texts("#events li") == [
            "03:33:06site-12/trunk-7blocked, was normalno 2xx to 118",
            "03:30:10exporter probe-31telemetry-lostnothing of 48 links for 60 s",
            "03:20:58site-03/uplink-frankfurt-primarycapacity-limited, was blocked",
            "03:20:58site-03/uplink-frankfurt-primaryblocked is over, now capacity-limited",
            "02:10:0030 links of site-20blocked, was normal",
            "07-13 02:33trunk-7blocked is over",
        ]


def test_it_changes_when_the_daemon_says_something_else(browser):
    """Nobody has to reload a page on a wall."""
    links = [make_link("a", "normal"), make_link("b", "normal"), make_link("c", "normal")]
    with daemon(make_status(worst=links)) as (board, server):
        browser.open(server.url)
        assert browser.cells("state") == ["normal"] * 3
        assert browser.texts("#events li") == []

        links = [make_link("c", "blocked", 3, reason="no answers"), *links[:1], make_link("d")]
        event = make_event(3, link="c", reason="no answers")
        publish(board, make_status(worst=links, events=(event,)), seed=1)

        browser.wait(SHOWS, "#rows", "no answers")
        assert browser.cells("link") == ["c", "a", "d"]
        assert browser.cells("state") == ["blocked", "normal", "normal"]
        assert browser.texts("#counts button") == ["1blocked", "2normal"]
        assert browser.texts("#events li") == ["03:33:17cblocked, was normalno answers"]
        assert browser.driver.title == "1 fault · anchorwatch"
        assert browser.complaints() == []
