"""The two probes of a run: before the fault (access) and behind it (core)."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.probe.links import Links, parse
from detector.probe.packets import Packets
from detector.probe.pcap import PcapWriter
from detector.probe.probe import Probe
from detector.probe.ring import Ring
from detector.probe.rows import Rows
from detector.probe.run import over_interfaces

from .link import Link
from .namespaces import call_in

PLACES = ("access", "core")
STEP_MS = 1000
SNAPLEN = 1024  # SIP headers are shorter
MEGABYTES = 4  # of a ring: over a second of the most that a link of the lab carries
HAND_OVER_MS = 250  # blocks come seldom, so that many links cost little


class Watch:
    """Reads both ports of a link and hands over a row of each, every second.

    Args:
        link: an open link.
        take: is given the Unix time in ms at which a second began, and (2, features), access
            first; called from a thread of the watch's own.
        pcaps: folder to write the packets to as well, if any.
    """

    def __init__(
        self,
        link: Link,
        take: Callable[[int, NDArray[np.float32]], None],
        pcaps: Path | None = None,
    ) -> None:
        names = names_of(link.run.name)
        rules = Links(
            # What the access port receives goes forward, and what the core port sends.
            parse(f"{name}=@{link.ports[place][1]}" + (":out" if place == "core" else ""))
            for name, place in zip(names, PLACES, strict=True)
        )
        rows = Rows(len(PLACES), STEP_MS)
        self.error: Exception | None = None  # what ended the watch before its time
        self._stopping = threading.Event()
        self._take = take
        with ExitStack() as opened:
            self.probe = _Kept(rules, rows, pcaps, link.run.name) if pcaps else Probe(rules, rows)
            if isinstance(self.probe, _Kept):
                opened.callback(self.probe.close)
            self._rings: list[Ring] = []
            for place in PLACES:
                namespace, port = link.ports[place]
                self._rings.append(call_in(namespace, partial(_open_ring, port)))
                opened.callback(self._rings[-1].close)
            self._opened = opened.pop_all()
        self._thread = threading.Thread(target=self._run, name=f"watch {link.run.name}")
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Packets that the kernel had no room for."""
        return sum(ring.dropped for ring in self._rings)

    def _run(self) -> None:
        try:
            for start_ms, values in over_interfaces(self._rings, self.probe, self._stopping):
                self._take(start_ms, values)
        except Exception as error:
            self.error = error

    def close(self) -> None:
        """Stop watching. Safe to call twice."""
        self._stopping.set()
        self._thread.join()
        self._opened.close()


def names_of(run: str) -> tuple[str, ...]:
    """Name a run's links, in the order in which their rows come."""
    return tuple(f"{run}/{place}" for place in PLACES)


def _open_ring(port: str) -> Ring:
    return Ring(port, megabytes=MEGABYTES, snaplen=SNAPLEN, hand_over_ms=HAND_OVER_MS)


class _Kept(Probe):
    """A probe that keeps its packets in a file for each port."""

    def __init__(self, links: Links, rows: Rows, folder: Path, run: str) -> None:
        super().__init__(links, rows)
        self._folder, self._run = folder, run
        self._places = {
            rule.port: link.rpartition("/")[2]
            for rule, link in zip(links.rules, links.names, strict=True)
        }
        self._writers: dict[str, PcapWriter] = {}

    def push(self, packets: Packets) -> None:
        """Read a batch, and keep it."""
        if packets.port not in self._writers:
            path = self._folder / f"{self._run}_{self._places[packets.port]}.pcap"
            self._writers[packets.port] = PcapWriter(path, packets.link_type, SNAPLEN)
        self._writers[packets.port].write(packets)
        super().push(packets)

    def close(self) -> None:
        """Finish the files."""
        for writer in self._writers.values():
            writer.close()
