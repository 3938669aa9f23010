"""The cache: arrays that are expensive to make, kept on disk under what they were made of.

A key is the SHA-256 of everything that an array depends on, the code that makes it included, so
an entry is never out of date and never has to be thrown away. The folder can be deleted at any
time; what is missing is made again.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.durable import write

Arrays = Mapping[str, NDArray[Any]]


class Cache:
    """Arrays by key, in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def find(self, key: str) -> Arrays | None:
        """Give the arrays that are kept under a key; None if there are none, or damaged ones."""
        try:
            # From an open file: of one that it opens itself NumPy leaves the closing to chance.
            with self._place(key).open("rb") as file, np.load(file, allow_pickle=False) as found:
                return {name: found[name] for name in found.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def keep(self, key: str, arrays: Arrays) -> None:
        """Keep arrays under a key."""
        data = io.BytesIO()
        np.savez(data, allow_pickle=False, **arrays)
        write(self._place(key), data.getvalue())

    def get(self, key: str, make: Callable[[], Arrays]) -> Arrays:
        """Give the arrays of a key, and make and keep them if there are none."""
        found = self.find(key)
        if found is None:
            found = make()
            self.keep(key, found)
        return found

    def _place(self, key: str) -> Path:
        return self._folder / f"{key}.npz"


def key_of(**facts: Any) -> str:
    """Give the key of what is made of these facts.

    >>> key_of(a=1, b=2) == key_of(b=2, a=1), key_of(a=1) == key_of(a=2)
    (True, False)
    """
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def code_hash(modules: Sequence[ModuleType]) -> str:
    """Give the SHA-256 of the source of modules: other code may make other arrays."""
    sources = [Path(str(module.__file__)).read_bytes() for module in modules]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()
