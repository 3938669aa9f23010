"""The shelf: a daemon's own folder of files, each there whole or not at all.

A file is written beside its place, brought to the disk, and put there by one rename. What a
crash leaves half-written is removed at the next start and is no capture's name meanwhile.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from detector import durable

from .row import KINDS, Kind

NAMES = 100  # daemons of one name on one machine
PART = ".part"


class File(NamedTuple):
    """One file of the store."""

    kind: Kind
    day: str  # UTC, as 2026-11-24
    time: str  # UTC, as 1030: when its rows were written, or the hour that was put together
    number: int  # of the daemon's files, in their order
    size: int  # bytes

    @property
    def name(self) -> str:
        """Where it is in the daemon's folder."""
        return f"{self.kind}/{self.day}/{self.time}-{self.number:06}.parquet"

    @property
    def hour(self) -> str:
        """The hour that it is of."""
        return f"{self.day} {self.time[:2]}"

    @property
    def age(self) -> tuple[str, str, int]:
        """What sorts files by their age, the oldest first."""
        return self.day, self.time, self.number


def stamp(at: float) -> tuple[str, str]:
    """Give the day and time by which files of *at*, Unix seconds, are named.

    >>> stamp(1_700_000_000)
    ('2023-11-14', '2213')
    """
    day, time = datetime.fromtimestamp(max(0.0, at), UTC).strftime("%Y-%m-%d %H%M").split()
    return day, time


@dataclass
class Shelf:
    """The files of one daemon."""

    folder: Path
    lock: int  # descriptor of the file by which others know that the folder is taken
    files: list[File]  # oldest first
    size: int  # of them all, bytes
    last: int = 0  # the highest number given

    @classmethod
    def open(cls, store: Path, daemon: str) -> "Shelf":
        """Take a folder in *store* for a daemon alone, and remove what a crash left half-written.

        A daemon whose name is taken by one that runs gets a number after it.

        Raises:
            OSError: if it can't be made or read.
        """
        folder, lock = _claim(store, daemon)
        try:
            for part in folder.glob(f"*{PART}"):
                part.unlink(missing_ok=True)
            shelf = cls(folder, lock, [], 0)
            shelf.look()
        except OSError:
            os.close(lock)
            raise
        return shelf

    def look(self) -> None:
        """See which files there are; others may have removed some. Empty days go.

        Raises:
            OSError: if that can't be seen.
        """
        for kind in KINDS:
            # The newest stays: a folder that comes and goes trips up whoever is reading.
            for day in sorted((self.folder / kind).glob("*-*-*"))[:-1]:
                with suppress(OSError):  # it isn't empty
                    day.rmdir()
        self.files = sorted(_files(self.folder), key=lambda file: file.age)
        self.size = sum(file.size for file in self.files)
        self.last = max((self.last, *(file.number for file in self.files)))

    def path(self, file: File) -> Path:
        """Say where a file is."""
        return self.folder / file.name

    def draft(self, kind: Kind, at: float, size: int) -> File:
        """Say which file comes next, if it is written at *at*, Unix seconds."""
        return self.next(kind, *stamp(at), size)

    def next(self, kind: Kind, day: str, time: str, size: int) -> File:
        """Say which file of that time comes next."""
        return File(kind, day, time, self.last + 1, size)

    def put(self, file: File, data: bytes) -> None:
        """Write a file; after an error it is not there.

        Raises:
            OSError: if it can't be written.
        """
        path, part = self.path(file), self.folder / f"{file.kind}-{file.number:06}{PART}"
        try:
            _make(path.parent)
            with part.open("wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
            part.rename(path)
            durable.sync(path.parent)
        finally:
            part.unlink(missing_ok=True)
        self.files.append(file)
        self.size += file.size
        self.last = file.number

    def drop(self, files: Iterable[File]) -> None:
        """Remove files; their days' folders go with the next look."""
        for file in files:
            self.path(file).unlink(missing_ok=True)
            self.files.remove(file)
            self.size -= file.size

    def close(self) -> None:
        """Leave the folder to others."""
        os.close(self.lock)


def _claim(store: Path, daemon: str) -> tuple[Path, int]:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", daemon).lstrip(".") or "daemon"
    name = f"{name}_" if name == "labels" else name  # which lie beside the daemons' folders
    for number in range(1, NAMES + 1):
        folder = store / (name if number == 1 else f"{name}-{number}")
        _make(folder)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        except OSError:
            os.close(lock)
            raise
        else:
            return folder, lock
    raise FileExistsError(f"{store / name}: so many daemons of that name write here already")


def _files(folder: Path) -> Iterator[File]:
    for kind in KINDS:
        for path in (folder / kind).glob("*/*.parquet"):
            named = re.fullmatch(r"(\d{4})-(\d{6,})", path.stem)
            if named and re.fullmatch(r"\d{4}-\d\d-\d\d", path.parent.name):
                size = path.stat().st_size
                yield File(kind, path.parent.name, named[1], int(named[2]), size)


def _make(folder: Path) -> None:
    """Make a folder that a crash can't undo."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make(folder.parent)
    folder.mkdir(exist_ok=True)
    durable.sync(folder.parent)
