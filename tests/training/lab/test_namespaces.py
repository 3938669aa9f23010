"""One lab at a time, and nothing of it is left, whatever ends it; nothing else is touched."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.training.lab.packets import wait_for
from training.lab.namespaces import NAMED, PREFIX, LabError, alone, call_in, command, sweep
from training.lab.network import Network

WAIT_SECONDS = 300  # for another lab to end
pytestmark = pytest.mark.usefixtures("lab_is_free")

# Is the lab, opens a link, says the processes of its load, and waits to be killed.
HOLDER = """
import sys, time
from pathlib import Path
from training.lab.link import Link
from training.lab.namespaces import alone
from training.lab.plan import Load, Phase, Rate, Run, Traffic
link = Link(910, Run("r", (Load(Traffic.LOOKUP, Rate(1)),), (Phase(60),)), Path(sys.argv[1]), 0)
with alone(wait_seconds=300), link:
    print(*(program.pid for program in link.load.programs), flush=True)
    time.sleep(600)
"""


def test_one_lab_at_a_time() -> None:
    """A second one would sweep the first one's links away."""
    with alone(wait_seconds=WAIT_SECONDS):
        made = Network(914)
        made.open()
        with pytest.raises(LabError, match="another lab runs"), alone():
            pass

        assert all((NAMED / name).exists() for name in made.namespaces)
        made.close()


def test_a_killed_lab_leaves_nothing_after_the_next_start(tmp_path: Path) -> None:
    """Its programs die with it, and the next one's sweep takes the rest."""
    argv = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pids = [int(pid) for pid in holder.stdout.readline().split()]
        assert len(pids) == 2
        assert all(running(pid) for pid in pids)
        holder.send_signal(signal.SIGKILL)

    assert wait_for(lambda: not any(running(pid) for pid in pids))
    assert len(list(NAMED.glob(f"{PREFIX}910-*"))) == 3
    with alone(wait_seconds=WAIT_SECONDS):
        assert not list(NAMED.glob(f"{PREFIX}910-*"))


def test_a_sweep_kills_what_runs_inside_and_touches_nothing_else() -> None:
    """Other namespaces may have names that are much like ours."""
    foreign = f"not-{PREFIX}{os.getpid()}"
    command(["ip", "netns", "add", foreign])
    try:
        made = Network(913)
        with sleeper(foreign) as other:
            with alone(wait_seconds=WAIT_SECONDS):
                made.open()
                with sleeper(made.callee) as ours:
                    sweep(made.namespaces[2:])

                    assert ours.wait(10) == -signal.SIGKILL
                assert not (NAMED / made.callee).exists()
                assert (NAMED / made.caller).exists()  # it wasn't named

            assert not (NAMED / made.caller).exists()
            assert other.poll() is None
        assert (NAMED / foreign).exists()
        with pytest.raises(LabError, match="isn't the lab's"):
            sweep([foreign])
    finally:
        made.close()
        command(["ip", "netns", "del", foreign])


def running(pid: int) -> bool:
    """Say whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


@contextmanager
def sleeper(namespace: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process that runs inside a namespace."""
    with call_in(namespace, lambda: subprocess.Popen(["sleep", "600"])) as process:
        try:
            yield process
        finally:
            process.kill()
