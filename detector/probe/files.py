"""Packets from pcap and pcapng files, plain or compressed (gzip, Zstandard), in bounded memory.

Sources: the Internet drafts draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from .packets import PAD, LinkType, Packets, ProbeError

CHUNK, PIECE = 4 << 20, 1 << 16  # bytes worked on, and read, at once
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
BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}  # of a section
IF_NAME, IF_RESOLUTION, IF_OFFSET, PACKET_FLAGS, DROPPED = 2, 9, 14, 2, 5  # options
OUTGOING = np.array([-1, 0, 1, -1], np.int8)  # by a packet's flags: 1 received, 2 sent
LATEST_S = 9 * 10**9  # Unix time; about what 64 bits of nanoseconds hold
SUFFIXES = (".gz", ".zst", ".pcap", ".pcapng", ".cap")
_WORD, _HEAD, _PACKET = (
    {order: struct.Struct(order + form) for order in "<>"} for form in ("I", "II", "5I")
)

Entry = tuple[int, int, int, int, int]  # offset, captured, length, ticks, place in OUTGOING


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
        chunks = _chunks(self.path)
        try:
            first = next(chunks, b"")
            if first[:4] in PCAP:
                batches = self._pcap(first, chunks, *PCAP[first[:4]])
            elif first[:4] == SECTION.to_bytes(4, "big"):
                batches = self._pcapng(chain([first], chunks))
            else:
                raise ProbeError(f"{self.path}: neither pcap nor pcapng")
            for batch in batches:
                self.packets += len(batch)
                yield batch
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            if not self.packets:
                raise ProbeError(f"{self.path}: not readable: {error}") from error
            what = "cut short" if isinstance(error, EOFError) else "damaged"
            self.damage = f"{what}: {error}"

    def _pcap(
        self, first: bytes, chunks: Iterator[bytes], order: str, tick_ns: int
    ) -> Iterator[Packets]:
        if len(first) < 24:
            raise ProbeError(f"{self.path}: cut short in its header")
        link_type = self._link_type(_WORD[order].unpack_from(first, 20)[0] & 0xFFFF)
        length_at = _WORD[order].unpack_from
        place, rest = 24, b""
        for read in chain([first[24:]], chunks):
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
                yield _pcap_batch(data, records, order, tick_ns, link_type, self._port)
            if self.damage:
                return
            place, rest = place + at, data[at:]
        if rest:
            self.damage = f"cut short at byte {place}: {len(rest)} bytes of a packet"

    @property
    def _port(self) -> str:
        """The interface that packets belong to of which the file doesn't say it."""
        name = self.path.name
        for suffix in SUFFIXES:
            name = name.removesuffix(suffix)
        return name

    def _link_type(self, number: int) -> LinkType:
        try:
            # 12 and 14 are what some systems write for raw IP.
            return LinkType(101 if number in (12, 14) else number)
        except ValueError as error:
            known = ", ".join(f"{kind.name.lower()} {kind.value}" for kind in LinkType)
            message = f"{self.path}: link type {number} isn't read; these are: {known}"
            raise ProbeError(message) from error

    def _pcapng(self, chunks: Iterator[bytes]) -> Iterator[Packets]:
        place, rest = 0, b""
        for read in chunks:
            data = rest + read
            at = 0
            found: dict[int, list[Entry]] = {}
            while at + 12 <= len(data):
                if data[at : at + 4] == SECTION.to_bytes(4, "big"):  # interfaces number anew
                    yield from self._batches(data, found)
                    found, self._interfaces = {}, []
                    self._order = BYTE_ORDER.get(data[at + 8 : at + 12], "")
                    if not self._order:
                        self.damage = f"damaged at byte {place + at}: a section in no byte order"
                        break
                kind, size = _HEAD[self._order].unpack_from(data, at)
                if size < 12 or size % 4 or size > LARGEST_BLOCK:
                    self.damage = f"damaged at byte {place + at}: a block of {size} bytes"
                    break
                if at + size > len(data):
                    break
                fault = self._block(kind, data, at, size, found)
                if fault:
                    self.damage = f"damaged at byte {place + at}: {fault}"
                    break
                at += size
            yield from self._batches(data, found)
            if self.damage:
                return
            place, rest = place + at, data[at:]
        if rest:
            self.damage = f"cut short at byte {place}: {len(rest)} bytes of a block"

    def _block(
        self, kind: int, data: bytes, at: int, size: int, found: dict[int, list[Entry]]
    ) -> str:
        """Take a block in, and say what is wrong with it."""
        order = self._order
        if _WORD[order].unpack_from(data, at + size - 4)[0] != size:
            return "a block that ends with another length than it began with"
        if kind in (PACKET, OLD_PACKET):
            return self._packet(kind, data, at, size, found)
        if kind == INTERFACE and size >= 20:
            self._interfaces.append(self._interface(data, at, size))
        elif kind == UNTIMED_PACKET:
            self.untimed += 1
        elif kind == STATISTICS and size >= 24:
            lost = _options(data[at + 20 : at + size - 4], order).get(DROPPED, b"")
            if len(lost) == 8:
                self.dropped += struct.unpack(order + "Q", lost)[0]
        return ""

    def _packet(
        self, kind: int, data: bytes, at: int, size: int, found: dict[int, list[Entry]]
    ) -> str:
        order = self._order
        if size < 32:
            return "a packet without a header"
        number, high, low, captured, length = _PACKET[order].unpack_from(data, at + 8)
        if kind == OLD_PACKET:
            number = struct.unpack_from(order + "H", data, at + 8)[0]
        if captured > size - 32:
            return "a packet that is larger than its block"
        if number >= len(self._interfaces):
            return f"a packet of interface {number}, of which nothing was said"
        outgoing = 0
        if size >= 44 + captured:
            options = data[at + 28 + (captured + 3) // 4 * 4 : at + size - 4]
            flags = _options(options, order).get(PACKET_FLAGS, b"")
            if len(flags) == 4:
                outgoing = _WORD[order].unpack(flags)[0] & 3
        entry = (at + 28, captured, length, high << 32 | low, outgoing)
        found.setdefault(number, []).append(entry)
        return ""

    def _interface(self, data: bytes, at: int, size: int) -> Interface:
        order = self._order
        link_type = self._link_type(struct.unpack_from(order + "H", data, at + 8)[0])
        options = _options(data[at + 16 : at + size - 4], order)
        power = (options.get(IF_RESOLUTION) or b"\x06")[0]
        seconds = 2.0 ** -(power & 127) if power & 128 else 10.0**-power
        offset = options.get(IF_OFFSET, bytes(8))
        offset_s = int.from_bytes(offset, "little" if order == "<" else "big", signed=True)
        return Interface(
            link_type,
            options.get(IF_NAME, b"").decode(errors="replace") or self._port,
            seconds * 1e9,
            min(max(offset_s, -LATEST_S), LATEST_S) * 10**9,
        )

    def _batches(self, data: bytes, found: dict[int, list[Entry]]) -> Iterator[Packets]:
        for number, entries in found.items():
            interface = self._interfaces[number]
            table = np.array(entries, np.uint64)
            ticks = table[:, 3]
            exact = interface.resolution >= 1 and interface.resolution == int(interface.resolution)
            scale: Any = np.uint64(interface.resolution) if exact else interface.resolution
            with np.errstate(invalid="ignore"):  # a damaged time is any time
                time_ns = (ticks * scale).astype(np.int64)
            yield Packets(
                data=data + PAD,
                link_type=interface.link_type,
                port=interface.name,
                offset=table[:, 0].astype(np.int64),
                captured=table[:, 1].astype(np.int64),
                length=table[:, 2].astype(np.int64),
                time_ns=time_ns + interface.offset_ns,
                outgoing=OUTGOING[table[:, 4].astype(np.int64)],
            )


class PcapWriter:
    """Writes packets to a pcap file, with nanoseconds."""

    def __init__(self, path: Path, link_type: LinkType, snaplen: int) -> None:
        self._file = path.open("wb")
        self._file.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, snaplen, link_type))

    def write(self, packets: Packets) -> None:
        """Append a batch."""
        heads = np.empty((len(packets), 4), "<u4")
        heads[:, 0], heads[:, 1] = np.divmod(packets.time_ns, 10**9)
        heads[:, 2], heads[:, 3] = packets.captured, packets.length
        for head, start, size in zip(
            heads, packets.offset.tolist(), packets.captured.tolist(), strict=True
        ):
            self._file.write(head.tobytes())
            self._file.write(packets.data[start : start + size])

    def close(self) -> None:
        """Finish the file. Safe to call twice."""
        self._file.close()


def _chunks(path: Path) -> Iterator[bytes]:
    """Unpack a file; what could be unpacked before an error comes before the error."""
    pieces: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        begin = file.read(4)
        file.seek(0)
        stream: Any = file
        if begin[:2] == b"\x1f\x8b":
            stream = gzip.GzipFile(fileobj=file)
        elif begin == b"\x28\xb5\x2f\xfd":
            stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        while True:
            try:
                piece = stream.read1(PIECE)
            except Exception:
                if pieces:
                    yield b"".join(pieces)
                raise
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if size >= CHUNK:
                yield b"".join(pieces)
                pieces, size = [], 0
    yield b"".join(pieces)


def _pcap_batch(
    data: bytes, records: list[int], order: str, tick_ns: int, link_type: LinkType, port: str
) -> Packets:
    at = np.array(records, np.int64)
    raw = np.frombuffer(data, np.uint8)
    heads = raw[at[:, None] + np.arange(16)].view(order.replace("<", "<u4").replace(">", ">u4"))
    seconds, ticks, captured, length = (heads[:, column].astype(np.int64) for column in range(4))
    return Packets(
        data=data + PAD,
        link_type=link_type,
        port=port,
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
