"""Failing: how a command of the tool ends that can't do what it was asked."""

import sys
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NoReturn

import click

EX_CONFIG = 78  # settings or bundle unusable, as in sysexits.h
FEW = 5  # names, of those that there are
ALIKE = 0.6  # what difflib calls close
WILD = "*?[]!"  # what a pattern has and a name mostly doesn't


def fail(error: Exception | str, code: int = 1) -> NoReturn:
    """Say why on stderr, and end with *code*."""
    tell(f"anchorwatch: {error}")
    sys.exit(code)


def tell(what: str) -> None:
    """Say something that is no result: stdout is for those."""
    click.echo(what, err=True)


def offered(asked: str, names: Sequence[str]) -> str:
    """List a few of the names that there are, those first that *asked* may be a slip of.

    >>> offered("trnk-1", ["ahead", "behind", "extra", "more", "trunk-1", "trunk-2"])
    'trunk-1, trunk-2, ahead, behind, extra and 1 more'
    >>> offered("x", [])
    'no other'
    """
    plain = asked.translate(dict.fromkeys(map(ord, WILD)))
    matcher = SequenceMatcher(b=plain)

    def likeness(name: str) -> float:
        matcher.set_seq1(name)
        close = matcher.quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE
        return matcher.ratio() if close else 0.0

    # Not `get_close_matches`: of names that are as close as each other it gives the last.
    shown = sorted(names, key=likeness, reverse=True)[:FEW]
    more = len(names) - len(shown)
    return (", ".join(shown) or "no other") + (f" and {more} more" if more else "")
