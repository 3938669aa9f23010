"""What is fetched or made once and kept in `build/` of the checkout: jars, packages, a Debian."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

BUILD = Path(__file__).parents[1] / "build"


def kept(name: str, make: Callable[[Path, int], None]) -> Path:
    """Give the folder *name*, and if it isn't there have *make* make it, whole or not at all.

    *make* is given where to, and the descriptor of a lock: a program that is handed it keeps
    others waiting for as long as it runs, whatever becomes of us.
    """
    complete = BUILD / name
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{name.partition('-')[0]}.lock").open("w") as lock:
        # Let go once nobody has the file open: neither we nor a program that we leave if killed.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            partial = complete.with_name(complete.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)
            make(partial, lock.fileno())
            partial.rename(complete)
    return complete
