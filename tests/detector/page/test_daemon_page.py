"""The page of the real program, on a replay of the capture that ships."""

import pytest

from tests.daemon import Daemon, Topics
from tests.detector.page.browser import ROWS
from tests.trained import trained_path

SETTINGS = {
    "source": "captures",
    "sinks": "terminal",
    "captures__links": "d0[1-5]_*/access",
    "captures__speed": 12,
    "events__gather_seconds": 0,
}


@pytest.fixture
def daemon():
    """Give the daemon while it replays."""
    with Daemon(trained_path(), "127.0.0.1:1", Topics(), **SETTINGS) as daemon:
        yield daemon.ready()


def test_the_daemons_own_page_shows_what_it_finds(daemon, browser):
    """All the way: traffic goes in, and a person sees which link is blocked, where and why."""
    browser.open(f"http://{daemon.address}/")
    browser.wait(f"{ROWS} === 5")
    browser.wait("return document.querySelectorAll('#rows .fault').length > 0", seconds=60)
    browser.wait("return document.querySelectorAll('#events li').length > 0", seconds=60)

    assert browser.complaints() == []
    assert any(browser.cells("why"))
    assert browser.text("#identity").startswith("bundle")
    assert (
        browser.run("return Number(document.querySelector('#embedding-words').textContent[0])") > 0
    )


def test_the_page_notices_when_the_program_is_killed(daemon, browser):
    """A daemon that was killed for memory leaves no word."""
    browser.open(f"http://{daemon.address}/")
    browser.wait("return !document.body.matches('.old')")

    daemon.kill()

    browser.wait("return document.body.matches('.old')", seconds=36)  # mostly it takes 8
