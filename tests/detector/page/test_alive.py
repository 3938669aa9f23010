"""What is old looks old, in a real browser: a daemon that died, hangs or is none."""

import msgspec

from tests.daemon import wait_for
from tests.detector.page.browser import IS_OLD, SHOWS
from tests.detector.page.made import daemon, publish
from tests.detector.top.made import bad_night, make_link, make_status
from tests.fakes import Clock


def test_a_daemon_that_died_is_seen_at_once_and_so_is_its_return(browser):
    """A page that looks alive while the daemon is dead would be a lie."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url)
        assert not browser.one("#trouble").is_displayed()

    browser.wait(SHOWS, "#trouble", "No answer.")
    browser.wait(IS_OLD)
    browser.wait(SHOWS, "#trouble-age", "old")
    assert browser.one("#trouble").is_displayed()
    assert "OLD" in browser.text("#pulse")
    assert browser.driver.title == "OLD · 4 faults · anchorwatch"
    assert (
        browser.run("return getComputedStyle(document.querySelector('.shown')).filter") != "none"
    )

    with daemon(make_status(worst=[make_link("back")]), server.port):
        browser.one("#again").click()
        browser.wait(f"{IS_OLD} === false", seconds=5)
        browser.wait(SHOWS, "#rows", "back")

        assert not browser.one("#trouble").is_displayed()
        assert browser.driver.title == "anchorwatch"


def test_it_comes_back_without_anybody_touching_it(browser):
    """Nobody stands beside a wall to press a button."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url)
    browser.wait(SHOWS, "#trouble", "No answer.")

    with daemon(bad_night(), server.port):
        browser.wait("return document.querySelector('#trouble').hidden", seconds=30)


def test_a_daemon_whose_loop_stands_is_not_taken_for_one_that_works(browser):
    """It still answers, and everything in its answer is old."""
    clock = Clock()
    with daemon(bad_night(), clock=clock) as (_, server):
        browser.open(server.url)
        clock.sleep(47)
        browser.wait(SHOWS, "#trouble", "STALLED")

        browser.wait(IS_OLD)
        assert "STALLED for 47 s" in browser.text("#facts")


def test_a_daemon_that_waits_for_its_broker_is_not_said_to_hang(browser):
    """Starting it anew would help nothing."""
    clock = Clock()
    with daemon(bad_night(), clock=clock, idle_seconds=lambda: 2.0) as (_, server):
        browser.open(server.url)
        clock.sleep(47)
        browser.wait(SHOWS, "#trouble", "WAITING")

        browser.wait(IS_OLD)
        assert "WAITING for 47 s" in browser.text("#facts")
        assert "NOT HEARD for 47 s" in browser.text("#facts")


def test_the_page_says_so_itself_when_its_script_has_stopped(browser):
    """Whatever stops the script, an engineer isn't left looking at an old picture."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url)
        assert not browser.one(".stopped").is_displayed()
        browser.run("window.fetch = () => new Promise(() => {})")
        browser.run("document.querySelector('.stopped').getAnimations()[0].currentTime = 19000")
        assert not browser.one(".stopped").is_displayed()

        wait_for("the page to say so", browser.one(".stopped").is_displayed)


def test_what_answers_may_be_no_daemon(browser):
    """A proxy's own page is no status, and must not look like one."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url)
        answers = {
            "<html>log in</html>": "What answers is no daemon.",
            "[]": "What answers is no daemon's status.",
        }
        for body, told in answers.items():
            browser.run("window.fetch = async () => new Response(arguments[0])", body)
            browser.wait(SHOWS, "#trouble", told)
        browser.run("window.fetch = async () => new Response('bad <b>gateway', { status: 502 })")
        browser.wait(SHOWS, "#trouble", "The answer is 502: bad <b>gateway")


def test_an_upgraded_daemon_brings_its_own_page(browser):
    """The page on the wall was made for the version before, and must not misread the new one."""
    with daemon(bad_night()) as (board, server):
        browser.open(server.url)
        browser.run("window.isOld = true")

        publish(board, msgspec.structs.replace(bad_night(), version="0.2.0"))

        browser.wait("return !window.isOld && !document.body.matches('.old')")
        assert "0.2.0" in browser.text("#identity")
