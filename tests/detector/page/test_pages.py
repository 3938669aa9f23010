"""The page's files as the web server gives them, without a browser."""

import contextlib
import gzip
import http.client
import re
from collections.abc import Callable, Iterator
from email.message import Message
from importlib.resources import files
from pathlib import Path

import pytest

from detector.page import POLICY, status_page
from detector.web import Page, WebServer

PAGE = files("detector.page")
NAMES = sorted(file.name for file in PAGE.iterdir())
SCRIPTS = [name for name in NAMES if name.endswith(".js")]
PATHS = ["/", *(f"/page/{name}" for name in [*SCRIPTS, "page.css", "icon.svg"])]
Ask = Callable[..., tuple[int, Message, bytes]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Ask a server that has the page, and one other."""
    other = {"/metrics": lambda: Page(200, "text/plain", b"up 1\n")}
    server = WebServer("127.0.0.1", 0, status_page() | other)

    def asked(path: str, method: str = "GET", **headers: str) -> tuple[int, Message, bytes]:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        with contextlib.closing(client):
            client.request(method, path, headers=headers)
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read()

    with contextlib.closing(server):
        server.start()
        yield asked


def read(name: str) -> str:
    """Read one of the page's files."""
    return PAGE.joinpath(name).read_text()


def test_the_page_is_at_the_root_and_its_parts_below_it():
    """Whoever types the daemon's address into a browser sees it, and nothing else is given out."""
    assert sorted(status_page()) == sorted(PATHS)
    assert len(SCRIPTS) > 5


@pytest.mark.parametrize("path", PATHS)
def test_every_part_has_its_type_and_the_policy(ask, path):
    """A browser told not to guess runs a module only when its type is right."""
    types = {"": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    status, headers, body = ask(path)

    kind = path.rpartition(".")[2] if "." in path else ""
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, types[kind])
    assert body.decode() == read("index.html" if path == "/" else path.removeprefix("/page/"))
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


def test_the_policy_lets_nothing_run_and_nothing_out_but_our_own():
    """Were a link's name ever taken for markup, the browser itself would stop what it does."""
    told = dict(part.split(" ", 1) for part in POLICY.split("; "))

    assert told.pop("img-src") == "'self' data:"
    assert {told.pop(name) for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert told == dict.fromkeys(
        ("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'"
    )


def test_other_pages_have_no_headers_of_this_one(ask):
    """What Prometheus scrapes is as it was."""
    status, headers, body = ask("/metrics")

    assert (status, body) == (200, b"up 1\n")
    assert headers["Content-Security-Policy"] is None


@pytest.mark.parametrize(
    "path",
    [
        "/page",
        "/page/",
        "/page/index.html",
        "/index.html",
        "/page/pages.py",
        "/page/__init__.py",
        "/page/../page/page.js",
        "/page/page.js/",
        "//page/page.js",
        "/page/%70age.js",
    ],
)
def test_whatever_else_is_not_found(ask, path):
    """A path is looked up as it stands; no file of the machine can be reached by one."""
    assert ask(path)[::2] == (404, b"404 Not Found\n")


@pytest.mark.parametrize("path", PATHS)
def test_head_says_what_get_would_say(ask, path):
    """A probe that asks for HEAD sees that the page is there, and how long it is."""
    status, headers, body = ask(path, "HEAD")

    assert (status, body) == (200, b"")
    assert headers["Content-Length"] == str(len(ask(path)[2]))
    assert headers["Content-Security-Policy"] == POLICY


def test_the_page_is_compressed_on_request(ask):
    """It comes over a slow tunnel too."""
    _, headers, body = ask("/page/page.css", **{"Accept-Encoding": "gzip"})

    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body).decode() == read("page.css")
    sizes = [len(ask(path, **{"Accept-Encoding": "gzip"})[2]) for path in PATHS]
    assert sum(sizes) < 40_000


def test_all_modules_are_asked_for_at_once():
    """Found one after the other, each import would cost a way there and back."""
    preloaded = re.findall(r'<link rel="modulepreload" href="page/(\S+)">', read("index.html"))
    imported = {name for file in SCRIPTS for name in re.findall(r' from "\./(\S+)";', read(file))}

    assert sorted(preloaded) == sorted(imported) == [name for name in SCRIPTS if name != "page.js"]


@pytest.mark.parametrize("name", [*SCRIPTS, "page.css", "index.html", "icon.svg"])
def test_nothing_comes_from_elsewhere_and_nothing_makes_markup_of_text(name):
    """It works on an island, and a name off the network never meets a parser of markup."""
    words = read(name).replace("http://www.w3.org/2000/svg", "")

    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|@font-face", words)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", words
    )
    assert not re.search(r"createContextualFragment|DOMParser|setHTML|srcdoc", words)


def test_the_page_needs_no_exception_from_its_policy():
    """Scripts, styles and handlers written into the HTML would be refused."""
    html = read("index.html")

    assert not re.search(r"\son[a-z]+=|\sstyle=|<style|javascript:", html)
    assert re.findall(r"<script[^>]*>(.*?)</script>", html) == [""]


def test_a_wheel_carries_the_page():
    """A daemon that was installed, and not cloned, has it too."""
    from hatchling.builders.wheel import WheelBuilder

    root = Path(__file__).parents[3]
    carried = {file.distribution_path for file in WheelBuilder(str(root)).recurse_included_files()}

    served = [name for name in NAMES if not name.startswith("__py")]
    assert {f"detector/page/{name}" for name in served} <= carried
