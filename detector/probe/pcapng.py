"""Packets from pcapng files.

Source: the Internet draft draft-ietf-opsawg-pcapng.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .packets import PAD, LinkType, Packets
from .pcap import Notes, link_type_of

LARGEST_BLOCK = 1 << 24
SECTION, INTERFACE, OLD_PACKET, UNTIMED_PACKET, STATISTICS, PACKET = 0x0A0D0D0A, 1, 2, 3, 5, 6
MAGIC = SECTION.to_bytes(4, "big")  # reads the same in both byte orders
BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}  # of a section
IF_NAME, IF_RESOLUTION, IF_OFFSET, PACKET_FLAGS, DROPPED = 2, 9, 14, 2, 5  # options
OUTGOING = np.array([-1, 0, 1, -1], np.int8)  # by a packet's flags: 1 received, 2 sent
LATEST_S = 9 * 10**9  # Unix time; about what 64 bits of nanoseconds hold
_WORD, _HEAD, _PACKET = (
    {order: struct.Struct(order + form) for order in "<>"} for form in ("I", "II", "5I")
)

Entry = tuple[int, int, int, int, int]  # offset, captured, length, ticks, place in OUTGOING


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of a file."""

    link_type: LinkType
    name: str
    resolution: float  # seconds of a tick, as nanoseconds
    offset_ns: int


class Reader:
    """Reads one file, block by block.

    Args:
        port: the interface that packets belong to of which the file doesn't say it.
        notes: where damage and losses are noted.
    """

    def __init__(self, port: str, notes: Notes) -> None:
        self._port, self._notes = port, notes
        self._interfaces: list[Interface] = []
        self._order = "<"

    def read(self, chunks: Iterator[bytes]) -> Iterator[Packets]:
        """Give a file's packets, a batch a chunk and interface; damage ends it, and is noted.

        Raises:
            ProbeError: if an interface is of a link type that isn't read.
        """
        place, rest = 0, b""
        for read in chunks:
            data = rest + read
            at = 0
            found: dict[int, list[Entry]] = {}
            while at + 12 <= len(data):
                if data[at : at + 4] == MAGIC:  # interfaces number anew
                    yield from self._batches(data, found)
                    found, self._interfaces = {}, []
                    self._order = BYTE_ORDER.get(data[at + 8 : at + 12], "")
                    if not self._order:
                        self._notes.damage = (
                            f"damaged at byte {place + at}: a section in no byte order"
                        )
                        break
                kind, size = _HEAD[self._order].unpack_from(data, at)
                if size < 12 or size % 4 or size > LARGEST_BLOCK:
                    self._notes.damage = f"damaged at byte {place + at}: a block of {size} bytes"
                    break
                if at + size > len(data):
                    break
                fault = self._block(kind, data, at, size, found)
                if fault:
                    self._notes.damage = f"damaged at byte {place + at}: {fault}"
                    break
                at += size
            yield from self._batches(data, found)
            if self._notes.damage:
                return
            place, rest = place + at, data[at:]
        if rest:
            self._notes.damage = f"cut short at byte {place}: {len(rest)} bytes of a block"

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
            self._notes.untimed += 1
        elif kind == STATISTICS and size >= 24:
            lost = _options(data[at + 20 : at + size - 4], order).get(DROPPED, b"")
            if len(lost) == 8:
                self._notes.dropped += struct.unpack(order + "Q", lost)[0]
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
        link_type = link_type_of(struct.unpack_from(order + "H", data, at + 8)[0])
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
