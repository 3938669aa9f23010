"""Network namespaces of the lab: acting inside them, and leaving none behind.

Every name begins with `awlab-` or `awtry-`, and nothing that has another name is ever touched.
One lab at a time runs on a machine: it holds a lock, and whatever an earlier one left is swept
away under it.
"""

import contextlib
import ctypes
import fcntl
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

PREFIX = "awlab-"
SCRATCH = "awtry-"  # of what is only tried, beside a lab that may be running
LOCK = Path("/run/anchorwatch-lab.lock")
NAMED = Path("/run/netns")  # where `ip netns` mounts them
CLONE_NEWNET = 0x40000000  # as in sched.h
KILL_SECONDS = 5.0  # a killed process is gone at once, unless it waits for a disk
COMMAND_SECONDS = 60.0  # a command of the lab takes milliseconds; one that hangs ends the lab

T = TypeVar("T")
log = logging.getLogger(__name__)


class LabError(RuntimeError):
    """The lab can't do what is asked; the message says what and why."""


@contextlib.contextmanager
def alone(*, wait_seconds: float = 0.0) -> Iterator[None]:
    """Be the only lab on this machine, and sweep all of the lab's namespaces before and after.

    Raises:
        LabError: if another lab still runs after *wait_seconds*.
    """
    with LOCK.open("w") as file:
        _take(file.fileno(), wait_seconds)
        sweep(_named())
        try:
            yield
        finally:
            sweep(_named())


def _take(descriptor: int, wait_seconds: float) -> None:
    until = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise LabError(f"another lab runs on this machine: {LOCK} is locked") from error
            time.sleep(0.1)
        else:
            return


def sweep(names: Collection[str]) -> None:
    """Kill whatever runs in these namespaces and remove them; those that aren't there are fine.

    All of the lab's namespaces are swept by `alone` only: one that isn't yours may be in use.
    """
    if foreign := [name for name in names if not name.startswith((PREFIX, SCRATCH))]:
        raise LabError(f"namespace {foreign[0]!r} isn't the lab's")
    ours = [name for name in names if (NAMED / name).exists()]
    until = time.monotonic() + KILL_SECONDS
    while (left := _pids(ours)) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    if left:
        log.warning("processes can't be killed", extra={"pids": left})
    if not ours:
        return
    try:
        command(["ip", "-force", "-batch", "-"], "".join(f"netns del {name}\n" for name in ours))
    except LabError:
        if any((NAMED / name).exists() for name in ours):  # else someone was as fast
            raise


def _named() -> list[str]:
    """Give the lab's namespaces that there are."""
    return sorted(path.name for path in NAMED.glob(f"{PREFIX}*"))


def _pids(names: Sequence[str]) -> list[int]:
    """Give the processes that live in these namespaces."""
    wanted = set()
    for name in names:
        try:
            status = (NAMED / name).stat()
        except OSError:
            continue
        # A file that is not (or no longer) a mounted namespace is on another device.
        wanted.add((status.st_dev, status.st_ino))
    return [pid for pid in _running() if pid != os.getpid() and _home(pid) in wanted]


def _running() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _home(pid: int) -> tuple[int, int]:
    """Give the network namespace of a process, as device and inode; zeros if it is gone."""
    try:
        status = Path(f"/proc/{pid}/ns/net").stat()
    except OSError:  # also of one that is dead and not yet collected by its parent
        return 0, 0
    return status.st_dev, status.st_ino


def command(argv: Sequence[str], text: str = "") -> str:
    """Run a command to its end and give what it printed.

    Raises:
        LabError: if it isn't there, fails, or takes a minute.
    """
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{argv[0]} can't be run: {error}") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise LabError(
            f"{' '.join(argv)} failed with {done.returncode}: {said}{_line(said, text)}"
        )
    return done.stdout


def _line(said: str, text: str) -> str:
    """Give the line of a batch that a complaint is about."""
    if not (found := re.search(r"Command failed -:(\d+)", said)):
        return ""
    return f": {text.splitlines()[int(found[1]) - 1]!r}"


class Inside:
    """A thread of its own that acts inside namespaces, one call at a time.

    It lives until `close`. Programs that are to die with the lab are started by it: the kernel
    counts the thread that started them as their parent, so a passing thread would end them.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="awlab")

    def call(self, namespace: str, function: Callable[[], T]) -> T:
        """Call a function inside a namespace, and give what it returns or raise what it raises.

        Raises:
            LabError: if the namespace can't be entered.
        """
        return self._thread.submit(_visit, namespace, function).result()

    def close(self) -> None:
        """Let go of the thread. Safe to call twice."""
        self._thread.shutdown(wait=True)


def call_in(namespace: str, function: Callable[[], T]) -> T:
    """Call a function inside a namespace, in a thread of its own; for opening sockets."""
    inside = Inside()
    try:
        return inside.call(namespace, function)
    finally:
        inside.close()


def _visit(namespace: str, function: Callable[[], T]) -> T:
    with Path("/proc/thread-self/ns/net").open("rb") as home:
        _enter(NAMED / namespace)
        try:
            return function()
        finally:
            _set(home.fileno())


def _enter(path: Path) -> None:
    try:
        with path.open("rb") as there:
            _set(there.fileno())
    except OSError as error:
        raise LabError(f"namespace {path.name!r} can't be entered: {error}") from error


def _set(descriptor: int) -> None:
    """Move this thread into a network namespace; `os.setns` comes only with Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
