"""Packets a second of the probe from files, beside tshark and a plain loop; and a live interface.

    python -m tests.bench.probe PCAPS [--packets N] [--rate N]

PCAPS is a folder with the pcap files of the SIP test bed; one of SIP and one of HTTP are repeated,
later each time, to N packets. Each program runs as a process of its own, so that its processor
time and its largest memory are its own; start-up is left out of the rates by timing an empty file.
The live part needs root and makes two network namespaces.
"""

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np

from detector.probe.files import PcapFile
from detector.probe.links import Links, parse
from detector.probe.probe import Probe
from detector.probe.ring import Ring
from detector.probe.rows import Rows
from detector.probe.run import over_interfaces
from tests.detector.probe.network import NEAR, Network, why_not

from .machine import describe

RULE = "x=10.96.0.0/11>*"
FILES = {"SIP": "d03_*_access_*", "HTTP": "d39_*_access_*"}
FIELDS = ("frame.time_epoch", "frame.len", "ip.src", "sip.Method", "sip.Status-Code", "sip.resend",
          "tcp.flags", "tcp.len", "tcp.analysis.retransmission", "icmp.type")  # fmt: skip
TSHARK = [
    "tshark",
    "-n",
    "-q",
    "-r",
    "FILE",
    "-T",
    "fields",
    *(w for f in FIELDS for w in ("-e", f)),
]
OURS = [str(Path(sys.executable).with_name("anchorwatch")), "capture", "FILE",
        "--link", RULE, "--partial", "--out", "OUT"]  # fmt: skip


@click.command()
@click.argument("pcaps", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--packets", default=300_000, help="Packets of each file")
@click.option("--rate", default=100_000, help="Packets a second sent to the live interface")
@click.option("--seconds", default=5.0, help="How long")
def main(pcaps: Path, packets: int, rate: int, seconds: float) -> None:
    """Print the figures."""
    print(describe())
    peers = {
        "anchorwatch capture": OURS,
        "plain loop (dpkt)": [sys.executable, "-m", "tests.bench.plain", "FILE"],
    }
    if shutil.which("tshark"):
        peers["tshark, the same fields"] = TSHARK
    with tempfile.TemporaryDirectory() as folder:
        for name, pattern in FILES.items():
            path = Path(folder) / f"{name}.pcap"
            count = repeat(next(pcaps.glob(pattern)), path, packets)
            print(f"\n{name}, {count:,} packets, {path.stat().st_size / 1e6:.0f} MB")
            print(f"{'':26}{'packets/s a core':>18}{'of ours':>9}{'largest memory, MB':>20}")
            ours = 0.0
            for peer, command in peers.items():
                speed, megabytes = measure(command, path, count)
                ours = ours or speed
                print(f"{peer:26}{speed:>18,.0f}{speed / ours:>9.1%}{megabytes:>20,.0f}")
            speed = in_process(path)
            print(f"{'(the probe in process)':26}{speed:>18,.0f}{speed / ours:>9.1%}")
    problem = why_not()
    print(f"\nlive: {problem}" if problem else live(rate, seconds))


def repeat(source: Path, target: Path, packets: int) -> int:
    """Write a pcap file again and again, each time later, and say how many packets it has."""
    data = gzip.decompress(source.read_bytes())
    places, at = [], 24
    while at < len(data):
        places.append(at)
        at += 16 + int.from_bytes(data[at + 8 : at + 12], "little")
    raw = np.frombuffer(data, np.uint8).copy()
    seconds = np.array(places)[:, None] + np.arange(4)
    begun = raw[seconds].view("<u4").astype(np.int64)
    span = int(begun.max() - begun.min()) + 60  # a pause, so that nothing is taken for a repeat
    with target.open("wb") as file:
        file.write(data[:24])
        turns = -(-packets // len(places))
        for turn in range(turns):
            raw[seconds] = (begun + turn * span).astype("<u4").view(np.uint8)
            file.write(raw[24:].tobytes())
    return turns * len(places)


def measure(command: Sequence[str], path: Path, count: int) -> tuple[float, float]:
    """Give packets a second of processor time, without start-up, and megabytes at most."""
    empty = path.with_name("empty.pcap")
    with path.open("rb") as file:
        first = file.read(40)
        empty.write_bytes(first + file.read(int.from_bytes(first[32:36], "little")))
    start, _ = run(command, empty)
    seconds, megabytes = min(run(command, path) for _ in range(3))
    return count / (seconds - start), megabytes


def run(command: Sequence[str], path: Path) -> tuple[float, float]:
    """Run a program on a file: seconds of processor time, and megabytes at most."""
    words = {"FILE": str(path), "OUT": str(path.with_suffix(".parquet"))}
    child = subprocess.Popen(
        [words.get(word, word) for word in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def in_process(path: Path) -> float:
    """Give packets a second of processor time, without the program around the probe."""
    speeds = []
    for _ in range(3):
        links = Links([parse(RULE)])
        probe = Probe(links, Rows(1, 1000))
        begun = time.process_time()
        for packets in PcapFile(path):
            probe.push(packets)
            for _row in probe.rows.done(int(packets.time_ns[-1])):
                pass
        speeds.append(probe.packets / (time.process_time() - begun))
    return max(speeds)


def live(rate: int, seconds: float) -> str:
    """Send packets through a cable between namespaces, and say how many were seen."""
    network = Network()
    try:
        ring = network.call(network.near, partial(Ring, "eth0", megabytes=16))
        probe, stopping = Probe(Links([parse("x=@eth0")]), Rows(1, 1000)), threading.Event()
        used: list[float] = []

        def watch() -> None:
            begun = time.thread_time()
            for _row in over_interfaces([ring], probe, stopping):
                pass
            used.append(time.thread_time() - begun)

        watching = threading.Thread(target=watch)
        watching.start()
        inside = ["ip", "netns", "exec", network.far]
        command = [*inside, sys.executable, "-m", "tests.bench.sender", NEAR]
        begun = time.perf_counter()
        try:
            command += [str(rate), str(seconds)]
            sent = int(subprocess.run(command, check=True, capture_output=True).stdout)
            took = time.perf_counter() - begun
            time.sleep(0.5)
        finally:
            stopping.set()
            watching.join()
            ring.close()
        return (
            f"live, asked for {rate:,} packets/s for {seconds:.0f} s: {sent:,} sent "
            f"({sent / seconds:,.0f}/s), {probe.packets:,} seen, {ring.dropped:,} dropped by the "
            f"kernel, {used[0] / took:.0%} of a core"
        )
    finally:
        network.close()


if __name__ == "__main__":
    main()
