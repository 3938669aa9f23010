"""Acts of naming: who said of which rows what they were, when and why.

Each is a file of its own in the store's folder `labels`, beside the windows and never rewritten:
people who name at once lose nothing of each other's, and whoever changes a mind adds another act.
Of all acts that cover a row the newest counts.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec

from detector import durable
from detector.events import LAST_MS, identify
from detector.state import RESERVED
from detector.window import WindowError, check_name

FOLDER = "labels"
KINDS = ("fault", "around", "normal")  # the folders of a daemon's rows
VERSION = 1
WHY_LETTERS = 2000  # of a reason, at most


class NamingError(ValueError):
    """An act of naming can't be made or read; the message says which and why."""


class Naming(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody said of one link's rows."""

    v: int = VERSION
    id: str  # 16 hexadecimal digits, of all the rest: the same act twice is one
    at_ms: int
    who: str
    why: str = ""
    link: str
    from_ms: int  # of the rows' `t_ms`, the first that is meant ...
    to_ms: int  # ... and the first that isn't any more
    what: Literal["confirm", "reject", "rename"]
    label: str = ""  # of a rename: the new name
    episode: str = ""  # that was meant, if one was

    @property
    def order(self) -> tuple[int, str]:
        """What a newer act has more of."""
        return self.at_ms, self.id

    @property
    def file(self) -> str:
        """What its file is called."""
        return f"{self.at_ms}-{self.id}.json"


def make(
    *,
    at_ms: int,
    who: str,
    what: Literal["confirm", "reject", "rename"],
    link: str,
    from_ms: int,
    to_ms: int,
    why: str = "",
    label: str = "",
    episode: str = "",
) -> Naming:
    """Make an act.

    Raises:
        NamingError: if a name can't be used, the range is empty, or the label means something
            else to the daemon.
    """
    made = Naming(
        id=identify(at_ms, who, what, link, from_ms, to_ms, why, label, episode),
        at_ms=at_ms,
        who=who,
        why=why,
        link=link,
        from_ms=from_ms,
        to_ms=to_ms,
        what=what,
        label=label,
        episode=episode,
    )
    _check(made)
    return made


def home_of(path: Path) -> Path:
    """Give the store that *path* is, or whose daemon's folder it is."""
    return path.parent if any((path / kind).is_dir() for kind in KINDS) else path


def write(act: Naming, store: Path) -> Path:
    """Put an act beside a store's windows, whole or not at all, and give its file.

    Raises:
        OSError: if it can't be written.
    """
    folder = home_of(store) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / act.file
    durable.write(file, msgspec.json.format(msgspec.json.encode(act)) + b"\n")
    return file


def read(paths: Iterable[Path], pass_over: Callable[[str], None] | None = None) -> list[Naming]:
    """Read all acts beside the windows of some stores, oldest first, each once.

    *pass_over* is told of each file that can't be read; without it, that is an error.

    Raises:
        NamingError: if a file isn't an act; the message names it.
    """
    found = set[Naming]()
    for file in _files(paths):
        try:
            act = _read(file)
        except NamingError as error:
            if pass_over is None:
                raise
            pass_over(str(error))
        else:
            found.add(act)
    return sorted(found, key=lambda act: act.order)


def _files(paths: Iterable[Path]) -> list[Path]:
    """List the files of acts at and under some stores; one that two paths lead to once."""
    found = {
        file.resolve(): file
        for path in paths
        for folder in {home_of(path) / FOLDER, *home_of(path).rglob(FOLDER)}
        if folder.is_dir()
        for file in folder.glob("*.json")
    }
    return sorted(found.values())


def _read(file: Path) -> Naming:
    try:
        act = msgspec.json.decode(file.read_bytes(), type=Naming)
        _check(act)
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise NamingError(f"{file}: not an act of naming: {error}") from error
    return act


def _check(act: Naming) -> None:
    names = {"link": act.link, "who": act.who} | ({"label": act.label} if act.label else {})
    try:
        for what, name in names.items():
            check_name(what, name)
    except WindowError as error:
        raise NamingError(str(error)) from error
    if act.v != VERSION:
        raise NamingError(f"version {act.v}, this one reads {VERSION}")
    if not 0 <= act.from_ms < act.to_ms <= LAST_MS or not 0 <= act.at_ms <= LAST_MS:
        raise NamingError(f"{act.link!r}: from {act.from_ms} to {act.to_ms} ms is no time")
    if act.what == "rename" and not act.label:
        raise NamingError("a rename needs a name, and this one is empty")
    if act.what != "rename" and act.label:
        raise NamingError("a new name goes with a rename, and with nothing else")
    if act.label in RESERVED:
        raise NamingError(f"the label {act.label!r} means something else to the daemon")
    if len(act.why) > WHY_LETTERS or not (act.why.isprintable()):
        raise NamingError(f"a reason is one line of at most {WHY_LETTERS} letters")
