"""Who reads the page, in a real browser: on a phone, at night, or beside the terminal."""

import pytest

from detector.top import words
from tests.detector.page.made import daemon, make_many
from tests.detector.top.made import NOW_MS, bad_night, make_link, make_status

READ = """
    const { lasting, moment } = await import("./page/words.js");
    const [seconds, moments, now] = args;
    return [seconds.map(lasting), moments.map((at) => moment(at, now))];
"""
COLOUR = "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0]).trim()"
MARKS = """
    const names = [...document.styleSheets[0].cssRules[0].style];
    return names.filter((name) => name.startsWith("--is-"));
"""
MARKS_SHOWN = """
    const marks = [...document.querySelectorAll("#rows td.state svg")];
    const shapes = marks.map((mark) => mark.firstChild.getAttribute("d"));
    return [shapes, marks.map((mark) => getComputedStyle(mark).fill)];
"""
ALL_INSIDE = """
    const cells = [...document.querySelectorAll("#rows td")];
    return cells.every((cell) => cell.getBoundingClientRect().right <= innerWidth);
"""


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (320, 600), (800, 1100)])
def test_it_fits_a_small_screen(browser, width, height):
    """The engineer on call has a phone, and sees links and reasons without moving sideways."""
    with daemon(bad_night()) as (_, server):
        browser.open(f"{server.url}/#one=site-12/trunk-7", width, height)

        assert browser.run("return document.documentElement.scrollWidth") <= width
        for part in ("#counts", "#rows td.why", "#canvas", "#events"):
            assert (
                browser.run("return document.querySelector(arguments[0]).offsetHeight", part) > 9
            )
        assert browser.run(ALL_INSIDE)


@pytest.mark.parametrize("dark", [False, True])
def test_words_can_be_read_in_either_scheme(browser, dark):
    """At night and in sunlight: at least 4.5 to 1 for words, 3 to 1 for marks (WCAG 2.2)."""
    with daemon(make_many(40)) as (_, server):
        browser.open(server.url, dark=dark)
        papers = [
            browser.run(COLOUR, f"--{name}") for name in ("paper", "page", "chosen", "hover")
        ]
        letters = [browser.run(COLOUR, f"--{name}") for name in ("ink", "muted", "bad", "odd")]
        marks = [browser.run(COLOUR, kind) for kind in browser.run(MARKS)]

    assert len(marks) > 10
    assert min(contrast(word, paper) for word in letters for paper in papers) >= 4.5
    assert min(contrast(mark, paper) for mark in marks for paper in papers) >= 3


def test_every_state_has_a_mark_of_its_own(browser):
    """What operators taught is told apart without reading, and without colour too."""
    states = ["normal", "blocked", "capacity-limited", "unknown", "silent", None, "flood", "dead"]
    links = [make_link(f"link-{state}", state) for state in states]
    with daemon(make_status(worst=links)) as (_, server):
        browser.open(server.url)
        shapes, colours = browser.run(MARKS_SHOWN)

    assert len(shapes) == len(set(shapes)) == len(set(colours)) == len(states)


def contrast(one: str, other: str) -> float:
    """Say how far two colours are apart, as WCAG 2.2 counts it."""

    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_numbers_and_times_read_as_in_the_terminal(browser):
    """Two people, one at `anchorwatch top` and one at the page, say the same."""
    seconds = [0, 0.42, 9.99, 599, 600, 35_000, 36_000, 9e5, -3, 1e9]
    moments = [NOW_MS, NOW_MS - 1, NOW_MS - 4 * 3_600_000, 0, -1, 8.64e15 + 1, 1_700_000_000_000]
    with daemon(bad_night()) as (_, server):
        browser.open(server.url)
        shown = browser.compute(READ, seconds, moments, NOW_MS)

    assert shown[0] == [words.lasting(one) for one in seconds]
    assert shown[1] == [words.moment(one, NOW_MS) for one in moments]
