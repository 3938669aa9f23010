"""Failing: how a command of the tool ends that can't do what it was asked."""

import sys
from typing import NoReturn

import click

EX_CONFIG = 78  # settings or bundle unusable, as in sysexits.h


def fail(error: Exception | str, code: int = 1) -> NoReturn:
    """Say why on stderr, and end with *code*."""
    tell(f"anchorwatch: {error}")
    sys.exit(code)


def tell(what: str) -> None:
    """Say something that is no result: stdout is for those."""
    click.echo(what, err=True)
