"""Names off the network, in a real browser: whatever a link is called, the page stays itself."""

from tests.detector.page.browser import hover
from tests.detector.page.made import HOSTILE, daemon, make_space
from tests.detector.top.made import make_event, make_link, make_status

OPEN, CLOSE = "\u2039", "\u203a"  # around what is spelt out
WIDTH = """
    const words = document.createRange();
    words.selectNode(document.querySelectorAll("#rows td.link bdi")[arguments[0]].firstChild);
    return words.getBoundingClientRect().width;
"""
IS_CHOSEN = "return new URLSearchParams(location.hash.slice(1)).get('one') === arguments[0]"
ROWS_ARE_THERE = "document.querySelectorAll('#rows tr').length === arguments[1]"


def spelt(name: str) -> str:
    """Spell out what can't be seen, as the page is to do it."""
    marks, out = 0, ""
    for letter in name:
        marks = marks + 1 if letter == "\u0301" else 0
        is_odd = letter in "\u202e\u202c\u200b\u2066\n\t\x1b\x00\ufe0f\u3164" or marks > 4
        out += f"{OPEN}U+{ord(letter):04X}{CLOSE}" if is_odd else letter
    return out


def test_names_off_the_network_are_text_and_nothing_else(browser):
    """Whoever can name a link must not be able to write on the page, or run anything in it."""
    links, events = make_hostile()
    with daemon(make_status(worst=links, events=events)) as (_, server):
        browser.open(server.url)

        named = [spelt(link.link) for link in links]
        assert [browser.cells(column) for column in ("link", "source", "why")] == [named] * 3
        assert "<i>state</i>" in browser.cells("state")
        assert browser.texts("#events .whom") == named
        assert browser.texts("#events .why") == named
        assert browser.all("main :is(img, script, b, i, iframe)") == []
        assert browser.driver.title.endswith("faults · anchorwatch")
        assert browser.complaints() == []


def test_a_hostile_name_can_be_looked_at_closely(browser):
    """The one link that somebody has to look into may be the one with the strange name."""
    links, events = make_hostile()
    with daemon(make_status(worst=links, events=events)) as (_, server):
        browser.open(server.url)
        for place, link in enumerate(links):
            browser.all("#rows tr")[place].click()
            assert browser.text("#one .head") == spelt(link.link)
            browser.wait(f"{IS_CHOSEN} && {ROWS_ARE_THERE}", link.link, len(links))

        assert browser.driver.title.endswith("faults · anchorwatch")
        assert browser.complaints() == []


def test_a_hostile_name_is_written_beside_its_point_as_text(browser):
    """The canvas, too, and what hovers above it."""
    links = [make_link(HOSTILE[3], "blocked")]
    with daemon(make_status(worst=links)) as (_, server):
        browser.open(server.url)
        hover(browser, make_space(links).links[0].at)

        assert browser.text("#tip .name") == spelt(HOSTILE[3])


def make_hostile():
    """Make links that are called after no good, and events about them."""
    states = ["blocked", "<i>state</i>", "unknown", None]
    names = [name for name in HOSTILE if name.isprintable() or "\ud83d" not in name]
    links = [
        make_link(name, states[place % 4], place, source=name, reason=name)
        for place, name in enumerate(names)
    ]
    events = [make_event(n, link=one.link, reason=one.link) for n, one in enumerate(links)]
    return links, tuple(events)


def test_no_name_moves_what_is_around_it(browser):
    """A row stays a row, and nothing runs out of the page, however a link is called."""
    links = [make_link(name, "normal", source=name) for name in HOSTILE if "\ud83d" not in name]
    with daemon(make_status(worst=links)) as (_, server):
        browser.open(server.url)
        heights = browser.run(
            "return [...document.querySelectorAll('#rows tr')].map(r => r.offsetHeight)"
        )
        table = "const t = document.querySelector('.scroll'); return t.scrollWidth - t.clientWidth"

        assert max(heights) <= min(heights) + 2
        assert browser.run(table) == 0


def test_names_that_look_alike_are_told_apart(browser):
    """`trunk<zero width space>-7` must not pass for trunk-7."""
    links = [
        make_link(name) for name in ("trunk-7", "trunk\u200b-7", "trunk-7\u2066", "a b", "a  b")
    ]
    with daemon(make_status(worst=links)) as (_, server):
        browser.open(server.url)

        assert len(set(browser.cells("link"))) == 5
        assert browser.run(WIDTH, 4) > browser.run(WIDTH, 3)  # two spaces are not drawn as one
