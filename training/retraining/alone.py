"""One retraining of a store at a time: two would learn the same and slow each other down."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path


class BusyError(RuntimeError):
    """Another retraining is at work on the same store."""


@contextmanager
def alone(folders: Sequence[Path]) -> Iterator[None]:
    """Hold some folders for oneself; a process that dies lets go of them.

    Nothing is written there: a store may be another's, mounted for reading.

    Raises:
        BusyError: if another process has one of them.
        OSError: if one can't be opened.
    """
    with ExitStack() as closing:
        for folder in sorted({folder.resolve() for folder in folders}):
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            closing.callback(os.close, held)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(f"another retraining is at work on {folder}") from error
        yield
