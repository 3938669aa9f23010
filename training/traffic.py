"""Traffic: links of captures as they were recorded, and of stores as daemons captured them.

A store holds parts of its links' lives, with what was judged of them; each part is a link of
its own here, and its labels are what people named it.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from detector.capture import CaptureError, LinkCapture, files_of, read_links
from detector.window import WindowSpec

JUDGED = "verdict_"  # columns that only a daemon's capture has
PART = re.compile(r"\d{4}-\d\d-\d\dT\d\d/(?P<link>.+)@\d\d:\d\d$")  # how a store's parts are named


def read(
    paths: Sequence[Path], spec: WindowSpec, only: Sequence[str] = ("*",)
) -> list[LinkCapture]:
    """Read links that match a pattern of *only*, sorted by their names.

    Raises:
        CaptureError: if they can't be read, or no link matches.
    """
    stores = [path for path in paths if is_store(path)]
    captures = [path for path in paths if path not in stores]
    links = read_links(captures, spec, only) if captures else []
    if stores:
        from .naming.acts import NamingError
        from .naming.stored import stored_links

        try:
            links += stored_links(stores, spec.features, spec.step_ms, only)
        except NamingError as error:
            raise CaptureError(str(error)) from error
    if not links:
        raise CaptureError(f"no link matches {', '.join(only)}")
    return sorted(links, key=lambda link: (link.link, link.start_ms))


def is_store(path: Path) -> bool:
    """Whether a folder is one that daemons capture to."""
    if not path.is_dir():
        return False
    files = (file for file in files_of(path) if file.suffix == ".parquet")
    first = next(files, None)
    return first is not None and _is_judged(first)


def name_of(link: LinkCapture) -> str:
    """Give the name by which an operator knows a link; a store's parts carry their time too."""
    return plain(link.link)


def plain(name: str) -> str:
    """Give the name that a link has on the network.

    >>> plain("2026-11-24T10/site-7%2Ftrunk 2@31:07"), plain("d03_mixed/access")
    ('site-7/trunk 2', 'd03_mixed/access')
    """
    found = PART.match(name)
    return found["link"].replace("%2F", "/").replace("%25", "%") if found else name


def _is_judged(file: Path) -> bool:
    from pyarrow import ArrowException, parquet

    try:
        names = parquet.read_schema(file).names
    except (OSError, ArrowException):  # whoever reads it says what is wrong with it
        return False
    return any(name.startswith(JUDGED) for name in names)
