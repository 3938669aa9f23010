"""A thousand links in a real browser: all there, and the page answers as before."""

import msgspec

from tests.detector.page.browser import ROWS
from tests.detector.page.made import daemon, make_many, make_space, publish

FAULTS = "return document.querySelectorAll('#rows .fault').length === arguments[0]"
WATCH_STALLS = """
    window.stalls = [];
    new PerformanceObserver((list) => {
      for (const task of list.getEntries()) window.stalls.push(task.duration);
    }).observe({ type: "longtask" });
"""
DRAW_FIFTY = """
    const { Scene } = await import("./page/scene.js");
    const { Marks } = await import("./page/marks.js");
    const canvas = document.createElement("canvas");
    Object.assign(canvas.style, { position: "fixed", width: "900px", height: "700px" });
    document.body.append(canvas);
    const scene = new Scene(canvas, new Marks());
    scene.show(JSON.parse(args[0]));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const began = performance.now();
    for (let frame = 0; frame < 50; frame += 1) {
      scene.camera.turn(0.03, 0.001);
      scene.paint();
      canvas.getContext("2d").getImageData(0, 0, 1, 1); // which waits until it is drawn
    }
    return (performance.now() - began) / 50;
"""


def test_a_thousand_links_are_listed_and_the_page_stays_quick(browser, record_property):
    """A page that stutters on a large site is closed, and then nobody watches."""
    with daemon(make_many(1000)) as (board, server):
        browser.open(f"{server.url}/#most=1000")
        browser.wait(f"{ROWS} === 1000")
        browser.run(WATCH_STALLS)
        for faults in (80, 120):
            publish(board, status := make_many(1000, faults), seed=faults)
            shown = sum(link.state not in (None, "normal") for link in status.worst)
            browser.wait(FAULTS, shown)
        stalls = browser.run("return window.stalls")

        assert browser.complaints() == []
        assert len(browser.cells("link")) == 1000
        assert browser.text("#embedding-words") == "1,000 links"
    record_property("longest_stall_ms", max(stalls, default=0))
    assert max(stalls, default=0) < 1000


def test_a_thousand_points_turn_smoothly(browser, record_property):
    """Turning is how one sees in depth; a frame every second is no turning."""
    status = make_many(1000)
    with daemon(status) as (_, server):
        browser.open(server.url)
        space = msgspec.json.encode(make_space(status.worst)).decode()
        frame_ms = browser.compute(DRAW_FIFTY, space)

    record_property("frame_ms", frame_ms)
    assert frame_ms < 150


def test_a_shorter_list_is_drawn_anew_from_the_same_rows(browser):
    """Links that come and go leave no row behind, and keep the daemon's order."""
    with daemon(make_many(300)) as (board, server):
        browser.open(server.url)
        for number, faults in ((50, 10), (120, 30), (3, 3)):
            publish(board, status := make_many(number, faults), seed=number)
            browser.wait(f"{ROWS} === {number}")
            assert browser.cells("link") == [link.link for link in status.worst]
            assert browser.cells("state") == [link.state or "unsettled" for link in status.worst]
