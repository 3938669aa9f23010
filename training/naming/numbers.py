"""Groups' numbers: which of the unknown episodes are shown as `unknown-7`.

Who has been told of `unknown-7` finds the same under it next week. So the number of an episode's
group is noted once, beside the labels, in a file that only grows; several people who look at
once wait for each other. A group goes by the number that most of its episodes had before.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from .acts import FOLDER, NamingError, home_of

FILE = "groups.jsonl"
NAME = "unknown-"


class Entry(msgspec.Struct, frozen=True):
    """The group that an episode was shown in."""

    episode: str
    number: int


def name_of(number: int) -> str:
    """Name a group.

    >>> name_of(7)
    'unknown-7'
    """
    return f"{NAME}{number}"


def members(paths: Sequence[Path], name: str, there: Collection[str]) -> list[str]:
    """List the episodes, of those that are *there*, that a group was shown with.

    Raises:
        NamingError: if there is no such group.
    """
    known = remembered(paths)
    found = {episode for episode, number in known.items() if name_of(number) == name}
    if not found:
        raise NamingError(f"no group is called {name!r}; `anchorwatch label unknown` lists them")
    if not found & set(there):
        raise NamingError(f"of {name!r} nothing is captured any more")
    return sorted(found & set(there))


def remembered(paths: Sequence[Path]) -> dict[str, int]:
    """Give the number of each episode's group, as it was shown first."""
    return _known(b"".join(_read(home_of(path) / FOLDER / FILE) + b"\n" for path in paths))


def numbered(store: Path, groups: Sequence[Collection[str]]) -> list[int]:
    """Give each group of episodes its number, and note the new ones.

    Raises:
        OSError: if that can't be written.
    """
    folder = home_of(store) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        file.seek(0)
        data = file.read()
        known = _known(data)
        numbers = choose(known, groups)
        fresh = [
            Entry(episode, number)
            for group, number in zip(groups, numbers, strict=True)
            for episode in sorted(group)
            if episode not in known
        ]
        if fresh:
            torn = b"" if not data or data.endswith(b"\n") else b"\n"
            file.write(torn + b"".join(msgspec.json.encode(one) + b"\n" for one in fresh))
            file.flush()
            os.fsync(file.fileno())
    return numbers


def choose(known: dict[str, int], groups: Sequence[Collection[str]]) -> list[int]:
    """Give each group the number that most of its episodes had, or the next that is free.

    Where two groups had the same, the one with more of it keeps it.

    >>> choose({"a": 1, "b": 1, "c": 2}, [["a", "b", "c"], ["d"]])
    [1, 3]
    >>> choose({"a": 1, "b": 1, "c": 1}, [["a"], ["b", "c"]])
    [2, 1]
    """
    wishes = [
        (-count, number, place)
        for place, group in enumerate(groups)
        for number, count in Counter(known[one] for one in group if one in known).items()
    ]
    found: dict[int, int] = {}
    for _, number, place in sorted(wishes):
        if place not in found and number not in found.values():
            found[place] = number
    free = max([0, *known.values()]) + 1
    for place in range(len(groups)):
        if place not in found:
            found[place] = free
            free += 1
    return [found[place] for place in range(len(groups))]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _known(data: bytes) -> dict[str, int]:
    """Read what was noted first; a line that a power failure tore is as if nobody had looked."""
    found: dict[str, int] = {}
    for line in data.splitlines():
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.MsgspecError, UnicodeError):
            continue
        found.setdefault(entry.episode, entry.number)
    return found
