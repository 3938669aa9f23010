"""The quota: which files go, so that a store stays below a size and an age."""

from collections.abc import Sequence

from .row import KINDS
from .shelf import File, stamp

DAY_SECONDS = 86_400


def too_old(files: Sequence[File], now: float, days: float) -> list[File]:
    """List the files that were written longer ago; *now* is Unix time in seconds."""
    oldest = stamp(now - days * DAY_SECONDS)
    return [file for file in files if (file.day, file.time) < oldest]


def too_much(files: Sequence[File], more: File | None, most_bytes: float) -> list[File]:
    """List the files that go to make room for one *more*, which may be among them.

    Oldest normal traffic first, then what was around changes, then faults.
    """
    every = [*files, more] if more else list(files)
    excess = sum(file.size for file in every) - most_bytes
    gone = []
    for file in sorted(every, key=_worth):
        if excess <= 0:
            break
        excess -= file.size
        gone.append(file)
    return gone


def _worth(file: File) -> tuple[int, tuple[str, str, int]]:
    return -KINDS.index(file.kind), file.age
