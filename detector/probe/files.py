"""Packets from pcap and pcapng files, plain or compressed (gzip, Zstandard), in bounded memory.

Sources: the Internet drafts draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from .packets import PAD, LinkType, Packets, ProbeError

CHUNK = 4 << 20  # bytes read at once
LARGEST = 1 << 18  # bytes of a packet: what capture programs write at most
LARGEST_BLOCK = 1 << 24
# First four bytes of a pcap file: byte order, and nanoseconds in a tick.
PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
SECTION, INTERFACE, OLD_PACKET, UNTIMED_PACKET, STATISTICS, PACKET = 0x0A0D0D0A, 1, 2, 3, 5, 6
IF_NAME, IF_RESOLUTION, IF_OFFSET, PACKET_FLAGS, DROPPED = 2, 9, 14, 2, 5  # options


@dataclass(slots=True)
class Interface:
    """An interface of a pcapng file."""

    link_type: LinkType
    name: str
    resolution: float  # seconds of a tick, as nanoseconds
    offset_ns: int


@dataclass(slots=True)
class PcapFile:
    """The packets of one file, in batches; the counts are complete once it has been read."""

    path: Path
    packets: int = 0
    untimed: int = 0  # packets that the file gives no time for, and which are left out
    dropped: int = 0  # packets that whoever captured says were lost
    damage: str = ""  # why the file could not be read to its end
    _interfaces: list[Interface] = field(default_factory=list)
    _order: str = "<"

    def __iter__(self) -> Iterator[Packets]:
        """Give all packets; a file that is cut short or damaged ends early and says so.

        Raises:
            ProbeError: if this isn't a capture of packets, or of a link type that isn't read.
        """
        try:
            with _open(self.path) as stream:
                begin = stream.read(4)
                if begin in PCAP:
                    batches = self._pcap(stream, *PCAP[begin])
                elif begin == SECTION.to_bytes(4, "big"):
                    batches = self._pcapng(stream, begin)
                else:
                    raise ProbeError(f"{self.path}: neither pcap nor pcapng")
                for batch in batches:
                    self.packets += len(batch)
                    yield batch
        except (OSError, EOFError, ValueError) as error:
            if isinstance(error, ProbeError):
                raise
            if not self.packets:
                raise ProbeError(f"{self.path}: not readable: {error}") from error
            self.damage = str(error)

    def _pcap(self, stream: IO[bytes], order: str, tick_ns: int) -> Iterator[Packets]:
        header = stream.read(20)
        if len(header) < 20:
            raise ProbeError(f"{self.path}: cut short in its header")
        link_type = self._link_type(struct.unpack(order + "I", header[16:])[0] & 0xFFFF)
        length_at = struct.Struct(order + "I").unpack_from
        place, rest = 24, b""
        while read := stream.read(CHUNK):
            data = rest + read
            at, records, size = 0, [], len(data) - 16
            while at <= size:
                captured = length_at(data, at + 8)[0]
                if captured > LARGEST:
                    self.damage = f"damaged at byte {place + at}: a packet of {captured} bytes"
                    break
                if at + captured > size:
                    break
                records.append(at)
                at += 16 + captured
            if records:
                yield _pcap_batch(data, records, order, tick_ns, link_type)
            if self.damage:
                return
            place, rest = place + at, data[at:]
        if rest:
            self.damage = f"cut short at byte {place}: {len(rest)} bytes of a packet"

    def _link_type(self, number: int) -> LinkType:
        try:
            # 12 and 14 are what some systems write for raw IP.
            return LinkType(101 if number in (12, 14) else number)
        except ValueError as error:
            known = ", ".join(f"{kind.name.lower()} {kind.value}" for kind in LinkType)
            message = f"{self.path}: link type {number} isn't read; these are: {known}"
            raise ProbeError(message) from error

    def _pcapng(self, stream: IO[bytes], begin: bytes) -> Iterator[Packets]:
        place, rest = 0, begin
        while read := stream.read(CHUNK):
            data = rest + read
            at = 0
            found: dict[int, list[tuple[int, ...]]] = {}
            while at + 12 <= len(data):
                order = self._section_order(data, at)
                kind, size = struct.unpack_from(order + "II", data, at)
                if size < 12 or size % 4 or size > LARGEST_BLOCK:
                    self.damage = f"damaged at byte {place + at}: a block of {size} bytes"
                    break
                if at + size > len(data):
                    break
                if kind == SECTION:  # interfaces are numbered anew
                    yield from self._batches(data, found)
                    found, self._order, self._interfaces = {}, order, []
                else:
                    self._block(kind, data, at, size, found)
                at += size
            yield from self._batches(data, found)
            if self.damage:
                return
            place, rest = place + at, data[at:]
        if rest:
            self.damage = f"cut short at byte {place}: {len(rest)} bytes of a block"

    def _section_order(self, data: bytes, at: int) -> str:
        """Give the byte order of the block at *at*: a section's head sets it anew."""
        if data[at : at + 4] != SECTION.to_bytes(4, "big"):
            return self._order
        return "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"

    def _block(
        self, kind: int, data: bytes, at: int, size: int, found: dict[int, list[tuple[int, ...]]]
    ) -> None:
        order = self._order
        if kind == INTERFACE and size >= 20:
            self._interfaces.append(self._interface(data, at, size))
        elif kind in (PACKET, OLD_PACKET) and size >= 32:
            number, high, low, captured, length = struct.unpack_from(order + "5I", data, at + 8)
            if kind == OLD_PACKET:
                number = struct.unpack_from(order + "H", data, at + 8)[0]
            if captured > size - 32 or number >= len(self._interfaces):
                raise ValueError("a packet that is larger than its block, or of no interface")
            outgoing = -1
            if size >= 44 + captured:
                options = data[at + 28 + (captured + 3) // 4 * 4 : at + size - 4]
                flags = _options(options, order).get(PACKET_FLAGS, b"")
                if len(flags) == 4:
                    way = struct.unpack(order + "I", flags)[0] & 3
                    outgoing = {1: 0, 2: 1}.get(way, -1)
            entry = (at + 28, captured, length, high << 32 | low, outgoing)
            found.setdefault(number, []).append(entry)
        elif kind == UNTIMED_PACKET:
            self.untimed += 1
        elif kind == STATISTICS and size >= 24:
            lost = _options(data[at + 20 : at + size - 4], order).get(DROPPED, b"")
            if len(lost) == 8:
                self.dropped += struct.unpack(order + "Q", lost)[0]

    def _interface(self, data: bytes, at: int, size: int) -> Interface:
        order = self._order
        link_type = self._link_type(struct.unpack_from(order + "H", data, at + 8)[0])
        options = _options(data[at + 16 : at + size - 4], order)
        power = (options.get(IF_RESOLUTION) or b"\x06")[0]
        seconds = 2.0 ** -(power & 127) if power & 128 else 10.0**-power
        offset = options.get(IF_OFFSET, bytes(8))
        return Interface(
            link_type,
            options.get(IF_NAME, b"").decode(errors="replace"),
            seconds * 1e9,
            int.from_bytes(offset, "little" if order == "<" else "big", signed=True) * 10**9,
        )

    def _batches(self, data: bytes, found: dict[int, list[tuple[int, ...]]]) -> Iterator[Packets]:
        for number, entries in found.items():
            interface = self._interfaces[number]
            table = np.array(entries, np.uint64)
            ticks = table[:, 3]
            exact = interface.resolution >= 1 and interface.resolution == int(interface.resolution)
            scale: Any = np.uint64(interface.resolution) if exact else interface.resolution
            yield Packets(
                data=data + PAD,
                link_type=interface.link_type,
                port=interface.name,
                offset=table[:, 0].astype(np.int64),
                captured=table[:, 1].astype(np.int64),
                length=table[:, 2].astype(np.int64),
                time_ns=(ticks * scale).astype(np.int64) + interface.offset_ns,
                outgoing=table[:, 4].astype(np.int64).astype(np.int8),
            )


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        begin = file.read(4)
    if begin[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if begin == b"\x28\xb5\x2f\xfd":
        import zstandard

        reader: IO[bytes] = zstandard.open(path, "rb")
        return reader
    return path.open("rb")


def _pcap_batch(
    data: bytes, records: list[int], order: str, tick_ns: int, link_type: LinkType
) -> Packets:
    at = np.array(records, np.int64)
    raw = np.frombuffer(data, np.uint8)
    heads = raw[at[:, None] + np.arange(16)].view(order.replace("<", "<u4").replace(">", ">u4"))
    seconds, ticks, captured, length = (heads[:, column].astype(np.int64) for column in range(4))
    return Packets(
        data=data + PAD,
        link_type=link_type,
        port="",
        offset=at + 16,
        captured=captured,
        length=length,
        time_ns=seconds * 10**9 + ticks * tick_ns,
        outgoing=np.full(len(at), -1, np.int8),
    )


def _options(data: bytes, order: str) -> dict[int, bytes]:
    """Read a block's options, the first of each code."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(order + "HH", data, at)
        if code == 0:
            break
        found.setdefault(code, data[at + 4 : at + 4 + size])
        at += 4 + (size + 3) // 4 * 4
    return found
