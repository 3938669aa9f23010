"""A real browser for the tests of the page: Debian's Chromium, which talks to nobody but us."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.detector.page.browser import Browser

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1440,900",
)


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start one browser for all tests of the page, and end it with the last of them."""
    for program in (CHROMIUM, DRIVER):
        if not program.exists():
            pytest.skip(f"no {program}: Debian has it in chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    with contextlib.ExitStack() as closing:
        closing.callback(driver.quit)
        driver.set_script_timeout(60)
        yield Browser(driver)


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Give the browser, and leave the page when the test is over."""
    yield chromium
    chromium.driver.get("about:blank")
