"""What the probe counts, a packet at a time with dpkt: `python -m tests.bench.plain FILE`."""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import dpkt

CALL_ID, CSEQ = re.compile(rb"\r\nCall-ID: ([^\r]*)"), re.compile(rb"\r\nCSeq: ([^\r]*)")


class Plain:
    """Rows of one link, by second, direction and name."""

    def __init__(self) -> None:
        self.rows: Counter[Any] = Counter()
        self._seen: dict[Any, float] = {}
        self._asked: dict[Any, float] = {}
        self._ends: dict[Any, int] = {}

    def read(self, path: Path) -> None:
        """Count a file's packets."""
        with path.open("rb") as file:
            for at, frame in dpkt.pcap.Reader(file):
                now, ip = float(at), dpkt.ethernet.Ethernet(frame).data
                if not isinstance(ip, dpkt.ip.IP):
                    continue
                forward = ip.src[0] == 10 and 96 <= ip.src[1] < 128
                self.rows[int(now), forward, "packets"] += 1
                self.rows[int(now), forward, "bytes"] += len(frame)
                if isinstance(ip.data, dpkt.tcp.TCP):
                    self._tcp(int(now), forward, ip, ip.data)
                elif isinstance(ip.data, dpkt.udp.UDP):
                    self._sip(now, forward, bytes(ip.data.data))

    def _tcp(self, second: int, forward: bool, ip: Any, part: Any) -> None:
        flow = (ip.src, ip.dst, part.sport, part.dport)
        for bit, name in ((2, "syn"), (4, "rst"), (1, "fin")):
            if part.flags & bit:
                self.rows[second, forward, name] += 1
        size = ip.len - (ip.hl + part.off) * 4
        end = part.seq + size + bool(part.flags & 3)
        if end > part.seq:
            self.rows[second, forward, "payload"] += size > 0
            self.rows[second, forward, "again"] += part.seq < self._ends.get(flow, 0)
            self._ends[flow] = max(end, self._ends.get(flow, 0))

    def _sip(self, now: float, forward: bool, text: bytes) -> None:
        first = text.partition(b"\r\n")[0]
        if b"SIP/2.0" not in first:
            return
        call, turn = CALL_ID.search(text), CSEQ.search(text)
        key = (call and call[1], turn and turn[1])
        is_response = first[:3] == b"SIP"
        self.rows[int(now), forward, first[8:9] if is_response else first[:4]] += 1
        self.rows[int(now), forward, "repeats"] += (
            now - self._seen.get((forward, first, key), 0) < 40
        )
        self._seen[forward, first, key] = now
        if not is_response:
            self._asked.setdefault((forward, key), now)
        elif (begun := self._asked.pop((not forward, key), None)) is not None:
            self.rows[int(now), forward, "response"] += now - begun


if __name__ == "__main__":
    Plain().read(Path(sys.argv[1]))
