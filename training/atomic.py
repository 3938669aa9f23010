"""Files that are never there by half: written beside their place, then put there by one rename."""

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Write a file, or replace the one that is there; after an error it is as it was before.

    Raises:
        OSError: if it can't be written.
    """
    part = path.with_name(f".{path.name[:80]}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
