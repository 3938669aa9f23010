"""History: what was done to a bundle store, by whom, when and why; a line of JSON each.

Lines are only added. A change is noted before it is made, so a note may be of one that never
came true: then the next note says that something else was current.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from . import durable
from .bundle import BundleError

Action = Literal[
    "added",
    "promoted",
    "forced",  # promoted although checks failed
    "refused",
    "rolled-back",
    "shadowed",
    "unshadowed",
    "removed",
]
SWITCHES = ("promoted", "forced", "rolled-back")
FILE_BYTES = 64 * 2**20


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did."""

    at_ms: int  # Unix time
    who: str
    action: Action
    bundle: str  # id
    was: str | None = None  # the version that was current until then
    why: str = ""
    numbers: dict[str, float] = {}  # by which it was judged
    failed: tuple[str, ...] = ()  # checks, each with what came of it


class History(NamedTuple):
    """All that was done, oldest first."""

    entries: tuple[Entry, ...]
    unreadable: int  # lines, of which the last may be half a one


def note(file: Path, entry: Entry) -> None:
    """Add an entry, and wait until it is on the disk."""
    durable.append(file, msgspec.json.encode(entry))


def read(file: Path) -> History:
    """Read all that can be read; there is nothing before the first note.

    Raises:
        BundleError: if the file can't be read at all.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(FILE_BYTES)
    except FileNotFoundError:
        return History((), 0)
    except OSError as error:
        raise BundleError(f"{file}: {error.strerror}") from error
    entries, unreadable = [], 0
    for line in filter(None, data.split(b"\n")):
        try:
            entries.append(msgspec.json.decode(line, type=Entry))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            unreadable += 1
    return History(tuple(entries), unreadable)


def came_true(entries: Iterable[Entry], current: str | None) -> list[Entry]:
    """Give the changes of the current version that were made, and not only noted.

    >>> a, b = (Entry(at_ms=0, who="me", action="promoted", bundle=one) for one in "ab")
    >>> [entry.bundle for entry in came_true([a, b], "b")]
    ['b']
    """
    switches = [entry for entry in entries if entry.action in SWITCHES]
    after = [*(entry.was for entry in switches[1:]), current]
    return [entry for entry, then in zip(switches, after, strict=False) if entry.bundle == then]


def stack(entries: Iterable[Entry], current: str | None) -> list[str]:
    """Give the versions that going back leads through, the current one last.

    Who went back to a version is where it was then: what came after is no way back.

    >>> moves = [("promoted", "a", None), ("promoted", "b", "a"), ("rolled-back", "a", "b")]
    >>> made = [
    ...     Entry(at_ms=0, who="me", action=action, bundle=bundle, was=was)
    ...     for action, bundle, was in moves
    ... ]
    >>> stack(made[:2], "b"), stack(made, "a")
    (['a', 'b'], ['a'])
    """
    found: list[str] = []
    for entry in came_true(entries, current):
        if entry.was and found[-1:] != [entry.was]:
            found.append(entry.was)  # which somebody made current without a note
        if entry.action == "rolled-back" and entry.bundle in found:
            place = len(found) - 1 - found[::-1].index(entry.bundle)
            del found[place + 1 :]
        elif not found or found[-1] != entry.bundle:
            found.append(entry.bundle)
    return found
