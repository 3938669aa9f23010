"""A browser under test, and what may be asked of the page that it shows."""

import json
from typing import Any

from selenium.webdriver.common.action_chains import ActionChains

from tests.daemon import wait_for

ROWS = "return document.querySelectorAll('#rows tr').length"
SHOWS = "return document.querySelector(arguments[0]).textContent.includes(arguments[1])"
WHERE_DRAWN = """
    const { Camera } = await import("./page/camera.js");
    const canvas = document.querySelector("#canvas");
    const { clientWidth: width, clientHeight: height } = canvas;
    const { x, y } = new Camera().view(width, height)(args[0].map((value) => 2 * value - 1));
    return [x, y, width, height];
"""
IS_OLD = "return document.body.matches('.old')"


class Browser:
    """A browser that shows the page, and what may be asked of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str, width: int = 1440, height: int = 900, *, dark: bool = False) -> None:
        """Show a page on a screen of some size, and wait until it has an answer."""
        mobile = width < 600
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.command("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.command("Emulation.setEmulatedMedia", features=[scheme, still])
        self.driver.get("about:blank")  # so that what differs behind the # alone is loaded too
        self.forget()
        self.driver.get(url)
        wait_for("the page to be alive", lambda: not self.run(IS_OLD))

    def command(self, name: str, **arguments: Any) -> Any:
        """Tell the browser itself to do something."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page, and give what it returns."""
        return self.driver.execute_script(script, *arguments)

    def compute(self, script: str, *arguments: object) -> Any:
        """Run a script that may wait and import; it has the *arguments* as `args`."""
        taken = "const args = [...arguments], done = args.pop();"
        whole = f"{taken} (async () => {{{script}}})().then(done);"
        return self.driver.execute_async_script(whole, *arguments)

    def wait(self, script: str, *arguments: object, seconds: float = 20) -> Any:
        """Run a script until what it returns is true, and give that."""
        return wait_for(script, lambda: self.run(script, *arguments), seconds)

    def one(self, selector: str) -> Any:
        """Give the one element that a selector finds."""
        (element,) = self.all(selector)
        return element

    def all(self, selector: str) -> list[Any]:
        """Give all elements that a selector finds."""
        return list(self.driver.find_elements("css selector", selector))

    def cells(self, column: str) -> list[str]:
        """Give what a column of the table says."""
        return self.texts(f"#rows td.{column}")

    def text(self, selector: str) -> str:
        """Give all text in an element, seen or not."""
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def texts(self, selector: str) -> list[str]:
        """Give the text in each element."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
        return list(self.run(script, selector))

    def complaints(self) -> list[str]:
        """Give what the console has of errors and of breaches of the page's policy."""
        log = self.driver.get_log("browser")
        return [entry["message"] for entry in log if entry["level"] in ("WARNING", "SEVERE")]

    def requests(self) -> list[str]:
        """Give the addresses that the page asked for since the last time."""
        log = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        sent = [entry for entry in log if entry["method"] == "Network.requestWillBeSent"]
        return [str(entry["params"]["request"]["url"]) for entry in sent]

    def forget(self) -> None:
        """Forget complaints and requests so far."""
        self.complaints()
        self.requests()


def hover(browser: Browser, at: tuple[float, float, float]) -> None:
    """Move the mouse to where a point of the unit cube is drawn, as long as nothing was turned."""
    x, y, width, height = browser.compute(WHERE_DRAWN, at)
    canvas = browser.one("#canvas")
    actions = ActionChains(browser.driver, duration=50)
    actions.move_to_element_with_offset(canvas, round(x - width / 2), round(y - height / 2))
    actions.perform()
