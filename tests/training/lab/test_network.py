"""Networks are made quickly, act as wires do, and show nowhere else."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.training.lab.packets import ways
from training.lab.namespaces import NAMED, PREFIX, LabError, call_in, command
from training.lab.network import HIGHEST, Network
from training.lab.traffic import BULK_PORT


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
