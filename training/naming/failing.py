"""How the commands end where something can't be done, and warn where something was passed over."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from training.failing import fail


@contextmanager
def failing() -> Iterator[None]:
    """End with a message where something can't be done."""
    from detector.capture import CaptureError

    from .acts import NamingError

    try:
        yield
    except (CaptureError, NamingError, OSError) as error:
        fail(str(error))


def warn(text: str) -> None:
    """Say on stderr what whoever typed the command should know."""
    click.echo(f"anchorwatch: {text}", err=True)
