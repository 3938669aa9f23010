"""Namespaces are made quickly, act as wires do, and are gone afterwards whatever happens."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.training.lab.packets import ways
from training.lab.namespaces import NAMED, PREFIX, LabError, alone, call_in, command, sweep
from training.lab.network import HIGHEST, Network
from training.lab.traffic import BULK_PORT

# Opens a link, says the processes of its load, and waits to be killed.
HOLDER = """
import sys, time
from pathlib import Path
from training.lab.link import Link
from training.lab.plan import Load, Phase, Rate, Run, Traffic
link = Link(910, Run("r", (Load(Traffic.LOOKUP, Rate(1)),), (Phase(60),)), Path(sys.argv[1]), 0)
link.open()
print(*(program.pid for program in link.load.programs), flush=True)
time.sleep(600)
"""


@contextmanager
def network(number: int) -> Iterator[Network]:
    """Give a network that is there for as long as it is used."""
    made = Network(number)
    try:
        made.open()
        yield made
    finally:
        made.close()


def named() -> set[str]:
    """Give all namespaces of this machine that have a name."""
    return {path.name for path in NAMED.iterdir()} if NAMED.exists() else set()


def ports_outside() -> set[str]:
    """Give the network ports of the machine itself."""
    return {port["ifname"] for port in json.loads(command(["ip", "-j", "link", "show"]))}


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Poll until it holds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.usefixtures("lab")
def test_many_networks_side_by_side_are_apart() -> None:
    """Each has addresses of its own, and nothing shows outside of the namespaces."""
    before = named(), ports_outside()
    networks = [Network(number) for number in (*range(950, 979), HIGHEST)]
    begun = time.monotonic()
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(Network.open, networks))
        took = time.monotonic() - begun
        inside = named() - before[0]
        outside = ports_outside()
    finally:
        for each in networks:
            each.close()

    assert len({each.caller_address for each in networks}) == 30
    assert len(inside) == 90
    assert all(name.startswith(PREFIX) for name in inside)
    assert outside == before[1]
    assert named() == before[0]
    assert took < 20  # 0.6 s on an idle machine


@pytest.mark.usefixtures("lab")
def test_packets_pass_both_ways_and_are_told_apart() -> None:
    """The tests of faults count by this."""
    with network(914) as made, ways(made) as both:
        assert all(way.passes() for way in both.values())
        both["forward"].received()
        both["forward"].send(7)

        assert {name: way.received() for name, way in both.items()} == {"forward": 7, "reverse": 0}


@pytest.mark.usefixtures("lab")
def test_no_frame_is_larger_than_a_wire_carries() -> None:
    """With offloads on, captures hold packets of 64 KiB."""
    with network(911) as made:
        raw = (socket.AF_PACKET, socket.SOCK_RAW, 0x0300)
        with call_in(made.router, lambda: socket.socket(*raw)) as tap:
            tap.settimeout(0.5)
            _transfer(made, 60_000)
            sizes = []
            try:
                while True:
                    sizes.append(len(tap.recv(100_000)))
            except TimeoutError:
                pass

    assert max(sizes) == 1514
    assert sum(sizes) > 60_000


def _transfer(made: Network, size: int) -> None:
    """Send bytes over a TCP connection, as fast as it goes."""
    address = (made.callee_address, BULK_PORT)
    with (
        call_in(made.callee, lambda: socket.create_server(address)) as server,
        call_in(made.caller, lambda: socket.create_connection(address, 5)) as sender,
    ):
        receiver, _ = server.accept()
        with receiver, ThreadPoolExecutor(1) as thread:
            sent = thread.submit(sender.sendall, bytes(size))
            left = size
            while left:
                left -= len(receiver.recv(65536))
            sent.result()


@pytest.mark.usefixtures("lab")
def test_a_function_called_inside_gives_back_what_it_gives_or_raises() -> None:
    """And this thread stays where it is."""
    with network(912) as made:
        ports = call_in(made.router, lambda: {name for _, name in socket.if_nameindex()})
        with pytest.raises(ZeroDivisionError):
            call_in(made.router, lambda: 1 // 0)

    assert ports == {"lo", "r0", "r1"}
    assert "r0" not in ports_outside()
    with pytest.raises(LabError, match="'awlab-912-router' can't be entered"):
        call_in(made.router, lambda: None)


def test_a_link_has_a_number_that_gives_addresses() -> None:
    """Others would share them."""
    with pytest.raises(LabError, match="link 8000: numbers go from 0 to 7999"):
        Network(HIGHEST + 1)


def test_one_lab_at_a_time(tmp_path: Path) -> None:
    """Two would sweep each other away."""
    lock = tmp_path / "lock"
    with alone(lock), pytest.raises(LabError, match="another lab runs"), alone(lock):
        pass


@pytest.mark.usefixtures("lab")
def test_a_killed_lab_leaves_nothing_after_the_next_start(tmp_path: Path) -> None:
    """Its programs die with it, and the sweep takes the rest."""
    argv = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pids = [int(pid) for pid in holder.stdout.readline().split()]
        assert len(pids) == 2
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        holder.send_signal(signal.SIGKILL)

    assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    left = {name for name in named() if name.startswith(f"{PREFIX}910-")}
    assert len(left) == 3
    assert left <= set(sweep())
    assert not left & named()


@pytest.mark.usefixtures("lab")
def test_a_sweep_kills_what_runs_inside_and_touches_nothing_else() -> None:
    """Other namespaces may have names that are much like ours."""
    foreign = f"not-{PREFIX}{os.getpid()}"
    command(["ip", "netns", "add", foreign])
    try:
        with network(913) as made, _sleeper(made.callee) as ours, _sleeper(foreign) as other:
            swept = sweep()

            assert ours.wait(10) == -signal.SIGKILL
            assert other.poll() is None
        assert set(made.namespaces) <= set(swept)
        assert foreign in named()
    finally:
        command(["ip", "netns", "del", foreign])


@contextmanager
def _sleeper(namespace: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process that runs inside a namespace."""
    with call_in(namespace, lambda: subprocess.Popen(["sleep", "600"])) as process:
        try:
            yield process
        finally:
            process.kill()
