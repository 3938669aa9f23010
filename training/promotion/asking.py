"""What the commands on a bundle store have in common: arguments, errors, and how they print."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from training.enrolling.commands import now_ms
from training.failing import EX_CONFIG, fail

if TYPE_CHECKING:
    from .deeds import By


STORE = click.argument("path", metavar="BUNDLES", type=click.Path(path_type=Path))
PATHS = click.Path(exists=True, path_type=Path)
WHY = click.option("--why", default="", help="For the history")
JSON = click.option("--json", "as_data", is_flag=True, help="Print JSON")


def asked_by(who: str, why: str) -> "By":
    """Put together who asks, with the clock of this machine."""
    from .deeds import By

    return By(who=who, why=why, now_ms=now_ms)


def show(found: Any, as_text: Callable[[Any], str], as_data: bool) -> None:
    """Print something as text or as JSON."""
    import msgspec

    data = msgspec.json.format(msgspec.json.encode(found), indent=2).decode() if as_data else ""
    click.echo(data or as_text(found))


@contextmanager
def failing() -> Iterator[None]:
    """Say in one line what went wrong."""
    from detector.bundle import BundleError
    from detector.versions import VersionError

    from .deeds import PromotionError

    try:
        yield
    except (PromotionError, VersionError) as error:
        fail(error)
    except BundleError as error:
        fail(error, EX_CONFIG)
