"""The embedding in a real browser: it is drawn, it turns, and it says what is where."""

import msgspec
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys

from tests.detector.page.browser import SHOWS, Browser, hover
from tests.detector.page.made import daemon, make_many, make_space
from tests.detector.top.made import bad_night, make_link, make_status

PICTURE = "return document.querySelector('#canvas').toDataURL()"
COLOURED = """
    const canvas = document.querySelector("#canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let coloured = 0;
    for (let at = 0; at < data.length; at += 4) {
      const colour = data.subarray(at, at + 3);
      const isGrey = Math.max(...colour) - Math.min(...colour) < 60;
      if (data[at + 3] > 200 && !isGrey) coloured += 1;
    }
    return coloured;
"""
CORNER = """
    const box = document.querySelector("#canvas").getBoundingClientRect();
    return [box.x, box.y];
"""
LOOK = """
    const { Camera } = await import("./page/camera.js");
    const camera = new Camera();
    camera.yaw = 0;
    const seen = [[0, -1, 0], [0, 1, 0], [0, 1, 1]].map(camera.view(400, 400));
    camera.turn(0.3, 0);
    return [...seen, camera.view(400, 400)([0, -1, 0])];
"""
DONE = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def picture(browser: Browser) -> str:
    """Give what is drawn, once all that was asked for is."""
    browser.run(DONE)
    return str(browser.run(PICTURE))


def drag(browser: Browser, right: int, down: int) -> None:
    """Take hold of the empty middle of the canvas and move it."""
    actions = ActionChains(browser.driver, duration=50)
    actions.drag_and_drop_by_offset(browser.one("#canvas"), right, down).perform()


@pytest.fixture
def night(browser):
    """Show a night of which some links have a place."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url)
        yield browser
        assert browser.complaints() == []


def test_points_are_drawn(browser):
    """An empty canvas would pass for a quiet night."""
    with daemon(make_status()) as (board, server):
        browser.open(server.url)
        browser.run(DONE)
        before = browser.run(COLOURED)
        assert before > 300  # of the anchors

        links = [make_link(f"trunk-{n}", "blocked") for n in range(30)]
        board.publish(make_status(worst=links), space=make_space(links))

        browser.wait(SHOWS, "#embedding-words", "30 links")
        assert browser.run(COLOURED) > before + 300


def test_links_in_other_states_are_faint_while_some_are_chosen(browser):
    """Whoever presses *blocked* sees where those lie, and the others still."""
    links = [make_link(f"a-{n}", "blocked") for n in range(20)]
    with daemon(make_status(worst=links)) as (_, server):
        browser.open(server.url)
        browser.run(DONE)
        before = browser.run(COLOURED)

        browser.open(f"{server.url}/#state=normal")
        browser.wait(SHOWS, "#embedding-words", "20 links")
        browser.run(DONE)

        assert browser.run(COLOURED) < before - 200


def test_it_turns_by_mouse_and_comes_back(night):
    """One sees what lies behind what by turning it."""
    first = picture(night)
    assert picture(night) == first  # nothing moves by itself

    drag(night, 120, 0)
    right = picture(night)
    drag(night, 0, 60)
    down = picture(night)
    assert len({first, right, down}) == 3

    ActionChains(night.driver).double_click(night.one("#canvas")).perform()
    ActionChains(night.driver).move_to_element(night.one("h1")).perform()
    assert picture(night) == first


@pytest.mark.parametrize(
    "keys", [Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ARROW_DOWN, "+", "-"]
)
def test_it_turns_by_keys_and_comes_back(night, keys):
    """Nobody needs a mouse."""
    first = picture(night)
    canvas = night.one("#canvas")

    canvas.send_keys(keys)
    assert picture(night) != first

    canvas.send_keys(Keys.HOME)
    assert picture(night) == first


def test_the_wheel_zooms_where_the_page_itself_does_not_scroll(night):
    """A cluster of links is looked at from near."""
    first = picture(night)
    canvas = ScrollOrigin.from_element(night.one("#canvas"))

    ActionChains(night.driver).scroll_from_origin(canvas, 0, -300).perform()

    assert picture(night) != first


def test_on_a_long_page_the_wheel_is_the_pages_until_the_canvas_is_chosen(browser):
    """Who scrolls down a phone's page must not be caught by the picture."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url, 800, 700)
        browser.run("document.querySelector('#embedding').scrollIntoView()")
        first, canvas = picture(browser), ScrollOrigin.from_element(browser.one("#canvas"))

        ActionChains(browser.driver).scroll_from_origin(canvas, 0, -200).perform()
        assert picture(browser) == first

        browser.run("document.querySelector('#canvas').focus({ preventScroll: true })")
        ActionChains(browser.driver).scroll_from_origin(canvas, 0, -200).perform()
        assert picture(browser) != first


def test_a_finger_turns_it(browser):
    """The engineer on call has a phone."""
    with daemon(bad_night()) as (_, server):
        browser.open(server.url, 390, 844)
        browser.run("document.querySelector('#canvas').scrollIntoView({ block: 'center' })")
        first = picture(browser)
        x, y = browser.run(CORNER)
        for kind, moved in (("Start", 0), ("Move", 20), ("Move", 60), ("Move", 90)):
            point = {"x": x + 60 + moved, "y": y + 90}
            browser.command("Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=[point])
        browser.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

        assert picture(browser) != first


def test_it_turns_slowly_by_itself_only_when_told_to(night):
    """On a wall that helps; at a desk it is a nuisance."""
    first = picture(night)
    night.one("#spin").click()
    assert night.one("#spin").get_attribute("aria-pressed") == "true"
    assert len({first, picture(night), picture(night)}) == 3

    night.one("#spin").click()
    stopped = picture(night)
    assert picture(night) == stopped


def test_what_is_under_the_mouse_is_named_and_a_click_chooses_it(browser):
    """A point off by itself is what one wants to know the name of."""
    links = [make_link("lonely", "blocked", source="p"), *(make_link(f"n-{n}") for n in range(9))]
    space = make_space(links)
    alone = msgspec.structs.replace(space.links[0], at=(0.5, 0.6, 0.8), distances={"normal": 0.25})
    with daemon(make_status(worst=links)) as (board, server):
        space = msgspec.structs.replace(space, links=(alone, *space.links[1:]))
        board.publish(make_status(worst=links), space=space)
        browser.open(server.url)
        assert not browser.one("#tip").is_displayed()

        hover(browser, alone.at)
        assert browser.one("#tip").is_displayed()
        assert browser.text("#tip") == "lonelyblocked0.25 from normalstrange 0.20"

        ActionChains(browser.driver).click().perform()
        assert browser.text("#one .head") == "lonely"
        assert browser.text("#rows tr[aria-selected=true] .link") == "lonely"


def test_what_is_nearer_is_larger_and_goes_with_the_mouse(browser):
    """A cube that turned against the hand, or inside out, would show what isn't so."""
    with daemon(make_status()) as (_, server):
        browser.open(server.url)
        front, back, top, turned = browser.compute(LOOK)

    assert front["depth"] < back["depth"]
    assert front["size"] > 1 > back["size"]
    assert front["y"] > back["y"] > top["y"]  # looked at from above
    assert turned["x"] > front["x"]


def test_another_bundle_is_another_space(browser):
    """Where a link was among the anchors of before says nothing of where it is among these."""
    links = [make_link("a", "blocked")]
    with daemon(make_status(worst=links)) as (board, server):
        browser.open(server.url)
        wide = tuple((10.0 * x, 10.0 * y, 10.0 * z) for x, y, z in ((1, 1, 1), (-1, -1, -1)))
        space = make_space(links, bundle="another", dimensions=16, known=wide)

        board.publish(make_status(worst=links), space=space)

        browser.wait(SHOWS, "#embedding-words", "16 dimensions")
        hover(browser, (0.5, 0.5, 0.5))
        assert "anchor" in browser.text("#tip")  # all of them in the middle now


def test_anchors_are_told_apart_from_links(night):
    """An anchor is what links are named by; who enrolled it wants to see where it lies."""
    hover(night, (0.3, 0.9, 0.6))

    assert night.text("#tip") == "d03/dead-peerdead-peer, enrolled anchor"


def test_how_much_of_a_larger_embedding_is_seen_is_said(browser):
    """Three of sixteen dimensions may lie: two points that look close may be far apart."""
    status = make_many(20)
    with daemon(status) as (board, server):
        board.publish(status, space=make_space(status.worst, dimensions=16, kept=0.713))
        browser.open(server.url)

        assert browser.text("#embedding-words") == "20 links; 71 % of 16 dimensions"


def test_a_daemon_without_a_space_is_shown_all_the_same(browser):
    """What is missing is said, and the links are there."""
    with daemon(make_status(worst=[make_link("a")])) as (_, server):
        browser.open(server.url)
        browser.run("""
            const ask = window.fetch;
            window.fetch = (to, how) => ask(to.startsWith("space") ? "nowhere" : to, how);
        """)

        browser.wait(SHOWS, "#embedding-words", "this daemon doesn't show it")
        assert browser.cells("link") == ["a"]
