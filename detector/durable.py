"""Durable: files, links and folders that are whole or not there, whenever the power fails.

All is made beside its place, written to the disk, and put there by one rename, which is written
to the disk too.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(file: Path, data: bytes) -> None:
    """Write a file, or replace the one that is there."""
    part = file.with_name(f".{file.name[:80]}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
        sync(file.parent)
    finally:
        part.unlink(missing_ok=True)


def append(file: Path, line: bytes) -> None:
    """Add a line to a file, after whatever is there; half a line before it stays by itself."""
    handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(handle).st_size
        is_torn = bool(size) and os.pread(handle, 1, size - 1) != b"\n"
        data = (b"\n" if is_torn else b"") + line + b"\n"
        if os.write(handle, data) != len(data):
            raise OSError(None, "only a part was written; is the disk full?", str(file))
        os.fsync(handle)
    finally:
        os.close(handle)
    sync(file.parent)


def point(link: Path, target: Path) -> None:
    """Let a link lead to *target*, which is said as from the link's own folder."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}.part")
    fresh.unlink(missing_ok=True)
    try:
        fresh.symlink_to(os.path.relpath(target, link.parent))
        fresh.replace(link)
        sync(link.parent)
    finally:
        fresh.unlink(missing_ok=True)


def move(folder: Path, place: Path) -> None:
    """Put a folder in place, all of whose files are on the disk already."""
    sync(folder)
    folder.rename(place)
    sync(place.parent)


def sync(folder: Path) -> None:
    """Wait until all names in a folder are on the disk, or a rename may be lost."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Be the only one, of all threads and processes that ask; the lock ends with its holder."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
