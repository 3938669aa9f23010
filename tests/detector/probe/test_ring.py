"""Live interfaces: every packet counted once, the right way; what was not seen is said."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

from detector.probe import headers
from detector.probe.packets import ProbeError
from detector.probe.ring import Ring
from detector.probe.run import over_interfaces
from tests.daemon import wait_for

from .make import COLUMNS, make_probe
from .network import NEAR

COUNT, OVERFLOW = 4000, 5000  # packets


@pytest.fixture
def ring(network):
    """Open rings in the near namespace, and close them."""
    opened = []

    def make(interface="eth0", **options):
        opened.append(network.call(network.near, partial(Ring, interface, **options)))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def read(ring, enough, seconds=5):
    """Read batches until there are enough packets, or time is up."""
    batches, deadline = [], time.monotonic() + seconds
    while sum(map(len, batches)) < enough and time.monotonic() < deadline:
        batches += ring.read()
        time.sleep(0.005)
    return batches


def overfill(network, ring):
    """Send more than a ring holds, then read all that it kept: how many packets that is."""
    network.send(network.far, OVERFLOW, size=1400)
    seen, deadline = 0, time.monotonic() + 10
    while seen + ring.dropped < OVERFLOW and time.monotonic() < deadline:
        seen += sum(map(len, ring.read()))
        time.sleep(0.01)
    return seen


def test_every_packet_is_seen_once_with_its_way_length_and_time(network, ring):
    """What the interface received is forward, what it sent isn't."""
    ours = ring()
    before = time.time_ns()

    network.send(network.far, COUNT, size=100)
    network.send(network.near, COUNT // 2, size=60)
    batches = read(ours, COUNT * 3 // 2)

    outgoing = np.concatenate([packets.outgoing for packets in batches])
    lengths = np.concatenate([packets.length for packets in batches])
    times = np.concatenate([packets.time_ns for packets in batches])
    assert outgoing.tolist() == [0] * COUNT + [1] * (COUNT // 2)
    assert set(lengths[outgoing == 0].tolist()) == {142}
    assert set(lengths[outgoing == 1].tolist()) == {102}
    assert ((times >= before) & (times <= time.time_ns())).all()
    assert ours.dropped == 0
    found = headers.read(batches[0])
    assert set(found.target_port.tolist()) == {9000}


def test_rows_come_live_and_hold_every_packet(network, ring):
    """From the cable to the row, with packets while rows go out."""
    ours, probe, stopping = ring(), make_probe("x=@eth0", step_ms=100), threading.Event()
    rows = {}

    def watch():
        for start, values in over_interfaces([ours], probe, stopping):
            rows[start] = values[0]

    watching = threading.Thread(target=watch)
    watching.start()
    wait_for("the first row", lambda: rows)
    for _ in range(10):
        network.send(network.far, COUNT // 10)
    network.send(network.near, 10)
    stopped = wait_for("all packets", lambda: probe.packets == COUNT + 10 and time.time_ns())
    wait_for("later rows", lambda: max(rows) > stopped / 1e6 + 100)
    stopping.set()
    watching.join(5)

    way = {way: COLUMNS.index(f"{way}_packets") for way in ("fwd", "rev")}
    assert sum(values[way["fwd"]] for values in rows.values()) == COUNT
    assert sum(values[way["rev"]] for values in rows.values()) == 10
    starts = sorted(rows)
    assert np.diff(starts).tolist() == [100] * (len(starts) - 1)
    assert (probe.rows.late, probe.unclassified) == (0, 0)


def test_a_step_that_ended_before_the_stop_is_a_row(network, ring):
    """The last seconds before a stop are often what one wants."""
    ours, probe, stopping = ring(), make_probe("x=@eth0", step_ms=50), threading.Event()
    rows = over_interfaces([ours], probe, stopping)
    next(rows)
    network.send(network.far, 100)
    ended = (time.time_ns() // 50_000_000 + 1) * 50  # of the step that the last packet is in, ms
    while time.time_ns() < ended * 10**6:
        time.sleep(0.001)
    stopping.set()

    rest = list(rows)

    assert sum(values[0, 0] for _, values in rest) == 100
    assert rest[-1][0] >= ended - 50
    del network


def test_a_vlan_tag_counts_in_the_length(network, ring):
    """The kernel takes the tag out of the frame; it was on the wire."""
    ours = ring()
    frame = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x81\0\0\x2a" + b"\x08\0" + bytes(82)

    def send():
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0))
            raw.send(frame)

    network.call(network.far, send)
    batches = read(ours, 1)

    assert [packets.length.tolist() for packets in batches] == [[100]]


def test_more_is_cut_at_the_snapshot_length_and_its_length_kept(network, ring):
    """Bodies need not be copied."""
    ours = ring(snaplen=128)
    network.send(network.far, 3, size=1000)

    (packets,) = read(ours, 3)

    assert (packets.captured.tolist(), packets.length.tolist()) == ([128] * 3, [1042] * 3)


def test_what_a_full_ring_had_no_room_for_is_counted(network, ring):
    """A probe that can't keep up must say so, or its rows look like silence."""
    ours = ring(megabytes=1)

    seen = overfill(network, ours)

    assert 0 < seen < OVERFLOW
    assert seen + ours.dropped == OVERFLOW


def test_a_ring_that_is_empty_again_goes_on(network, ring):
    """After a drop the next packets are seen, as after none."""
    ours = ring(megabytes=4)
    assert overfill(network, ours) < OVERFLOW

    for _ in range(5):
        network.send(network.far, 500, size=1000)
        assert sum(map(len, read(ours, 500))) == 500


def test_loopback_is_seen_once_and_in_no_direction(network, ring):
    """The kernel shows each of its packets twice."""
    ours = ring("lo")

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for _ in range(100):
                udp.sendto(b"x", ("127.0.0.1", 9000))

    network.call(network.near, send)
    batches = read(ours, 500, seconds=1)

    outgoing = np.concatenate([packets.outgoing for packets in batches])
    ports = np.concatenate([headers.read(packets).target_port for packets in batches])
    assert (ports == 9000).sum() == 100
    assert set(outgoing.tolist()) == {-1}


def test_a_link_that_is_down_is_silent_and_comes_back(network, ring):
    """Nothing arrives: that is what an operator wants to see."""
    ours = ring()
    network.inside(network.near, "ip", "link", "set", "eth0", "down")

    def is_down():
        assert sum(map(len, ours.read())) == 0
        return ours.down

    wait_for("that it is down", is_down)

    network.inside(network.near, "ip", "link", "set", "eth0", "up")
    network.inside(network.far, "ip", "link", "set", "eth0", "up")
    neighbour = network.inside(network.near, "cat", "/sys/class/net/eth0/address").strip()
    network.inside(network.far, "ip", "neigh", "replace", NEAR, "lladdr", neighbour, "dev", "eth0")
    network.send(network.far, 100)
    assert sum(map(len, read(ours, 100))) == 100


def test_an_interface_that_goes_away_is_an_error(network, ring):
    """Of what isn't there nothing is known, and rows of zeros would be a lie."""
    ours = ring()
    network.inside(network.near, "ip", "link", "del", "eth0")

    with pytest.raises(ProbeError, match="eth0: the interface is gone"):
        wait_for("the error", lambda: list(ours.read()))


def test_a_missing_interface_is_named(network):
    """A spelling mistake is the most usual one."""
    with pytest.raises(ProbeError, match="eth9: can't listen: no interface with this name"):
        network.call(network.near, partial(Ring, "eth9"))


def as_nobody(network, *capabilities):
    """Open a ring as a user without rights but these, and give what was said of it."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs the program setpriv")
    code = (
        "from detector.probe.ring import Ring; from detector.probe.packets import ProbeError\n"
        "try: ring = Ring('eth0')\n"
        "except ProbeError as error: print(error)\n"
        "else: print('open', len(list(ring.read())))"
    )
    sets = "-all" + "".join(f",+{name}" for name in capabilities)
    command = ["ip", "netns", "exec", network.near, "setpriv", "--reuid=65534", "--regid=65534",
               "--clear-groups", f"--inh-caps={sets}", f"--ambient-caps={sets}",
               f"--bounding-set={sets}", sys.executable, "-c", code]  # fmt: skip
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        command, capture_output=True, text=True, env={"PYTHONPATH": path}, check=False
    )
    if "Permission denied" in done.stderr or "No module" in done.stderr:
        pytest.skip(f"another user can't run this Python: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_listening_needs_the_right_for_it_and_no_other(network):
    """The service runs as a user of its own with one capability."""
    assert as_nobody(network, "net_raw") == "open 0"
    assert as_nobody(network) == (
        "eth0: listening needs CAP_NET_RAW: run as root, or give it to the service"
    )


def test_the_last_row_is_kept_in_part_when_asked_for(network, ring):
    """What came just before the stop is in it."""
    ours, stopping = ring(), threading.Event()
    probe = make_probe("x=@eth0", step_ms=3_600_000, partial=True)
    network.send(network.far, 100)
    stopping.set()

    rows = list(over_interfaces([ours], probe, stopping))

    assert sum(values[0, 0] for _, values in rows) == 100
