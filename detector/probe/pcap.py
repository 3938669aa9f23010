"""Packets from pcap files, and to them.

Source: the Internet draft draft-ietf-opsawg-pcap.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from .packets import PAD, LinkType, Packets, ProbeError

LARGEST = 1 << 18  # bytes of a packet: what capture programs write at most
# First four bytes of a file: byte order, and nanoseconds in a tick.
MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
HEADER = 24
RAW_ELSEWHERE = (12, 14)  # what some systems write for raw IP


@dataclass(slots=True)
class Notes:
    """What a reader notes about a file; complete once the file has been read."""

    untimed: int = 0  # packets that the file gives no time for, and which are left out
    dropped: int = 0  # packets that whoever captured says were lost
    damage: str = ""  # why the file could not be read to its end


def link_type_of(number: int) -> LinkType:
    """Give the link type of this number.

    Raises:
        ProbeError: if frames of it aren't read.
    """
    try:
        return LinkType(LinkType.RAW if number in RAW_ELSEWHERE else number)
    except ValueError as error:
        known = ", ".join(f"{kind.name.lower()} {kind.value}" for kind in LinkType)
        raise ProbeError(f"link type {number} isn't read; these are: {known}") from error


def read(chunks: Iterator[bytes], port: str, notes: Notes) -> Iterator[Packets]:
    """Give a file's packets, a batch a chunk; damage ends it, and is noted.

    Raises:
        ProbeError: if it is cut short in its header, or of a link type that isn't read.
    """
    first = next(chunks)
    if len(first) < HEADER:
        raise ProbeError("cut short in its header")
    order, tick_ns = MAGIC[first[:4]]
    word_at = struct.Struct(order + "I").unpack_from
    link_type = link_type_of(word_at(first, 20)[0] & 0xFFFF)
    place, rest = HEADER, b""
    for read in chain([first[HEADER:]], chunks):
        data = rest + read
        at, records, size = 0, [], len(data) - 16
        while at <= size:
            captured = word_at(data, at + 8)[0]
            if captured > LARGEST:
                notes.damage = f"damaged at byte {place + at}: a packet of {captured} bytes"
                break
            if at + captured > size:
                break
            records.append(at)
            at += 16 + captured
        if records:
            yield _batch(data, records, order, tick_ns, link_type, port)
        if notes.damage:
            return
        place, rest = place + at, data[at:]
    if rest:
        notes.damage = f"cut short at byte {place}: {len(rest)} bytes of a packet"


def _batch(
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
