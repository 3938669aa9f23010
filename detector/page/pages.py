"""Pages: the files of the status page, as the web server wants them."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import PurePath

from detector.web import Page

TYPES = {  # of the files that are served; no other is
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Names of links come from the network. Were one ever taken for markup, no script in it would run
# and nothing could be sent anywhere.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


def status_page() -> dict[str, Callable[[], Page]]:
    """Read the files once, and give the paths at which they are: / and /page/NAME.

    >>> status_page()["/"]().content_type
    'text/html; charset=utf-8'
    """
    made: dict[str, Callable[[], Page]] = {}
    for file in files(__package__).iterdir():
        if content_type := TYPES.get(PurePath(file.name).suffix):
            page = Page(200, content_type, file.read_bytes(), HEADERS)
            path = "/" if file.name == "index.html" else f"/page/{file.name}"
            made[path] = lambda page=page: page  # type: ignore[misc]
    return made
