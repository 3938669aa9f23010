"""The headers of many packets at once: link layer, IP, TCP, UDP and ICMP.

Whatever is cut short or makes no sense ends the reading of that one packet: it keeps the fields
read so far and has no transport (`protocol` 0). Sources: RFC 791, 8200, 9293, 768, 792, 4443;
IEEE 802.1Q.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .packets import Ints, LinkType, Packets

IPV4, IPV6 = 0x0800, 0x86DD
TAGS = (0x8100, 0x88A8, 0x9100)  # VLAN tags, each 4 bytes before the real EtherType
MOST_TAGS, MOST_EXTENSIONS = 3, 6
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
FRAGMENT = 44  # IPv6 extension header of a fragment
EXTENSIONS = (0, 43, 60, 135)  # hop-by-hop, routing, destination options, mobility
NONE = 0xFF  # reserved, so no header
MAPPED = 0xFFFF << 32  # IPv4 addresses are kept as ::ffff:a.b.c.d


@dataclass(slots=True)
class Headers:
    """What the headers of a batch of packets say; every array is (packets,)."""

    source: NDArray[np.uint64]  # (packets, 2) address, IPv4 as ::ffff:a.b.c.d
    target: NDArray[np.uint64]
    protocol: NDArray[np.uint8]  # transport, 0 = none that was read
    source_port: Ints  # TCP and UDP, else 0
    target_port: Ints
    payload: Ints  # where the transport's payload begins in the buffer
    payload_length: Ints  # bytes it had on the wire
    captured: Ints  # bytes of it that are in the buffer
    sequence: Ints  # TCP
    flags: Ints  # TCP: FIN 1, SYN 2, RST 4, PSH 8, ACK 16
    kind: Ints  # ICMP type, else -1


def read(packets: Packets) -> Headers:
    """Read the headers of a batch."""
    count = len(packets)
    buffer = np.frombuffer(packets.data, np.uint8)
    found = Headers(
        source=np.zeros((count, 2), np.uint64),
        target=np.zeros((count, 2), np.uint64),
        protocol=np.zeros(count, np.uint8),
        source_port=np.zeros(count, np.int64),
        target_port=np.zeros(count, np.int64),
        payload=np.zeros(count, np.int64),
        payload_length=np.zeros(count, np.int64),
        captured=np.zeros(count, np.int64),
        sequence=np.zeros(count, np.int64),
        flags=np.zeros(count, np.int64),
        kind=np.full(count, -1, np.int64),
    )
    end = packets.offset + packets.captured
    kind, start = _network(buffer, packets, end)
    for version, network in ((IPV4, _ipv4), (IPV6, _ipv6)):
        which = np.flatnonzero(kind == version)
        if len(which):
            network(buffer, found, which, start[which], end[which])
    for protocol, transport in ((TCP, _tcp), (UDP, _udp), (ICMP, _icmp), (ICMPV6, _icmp)):
        which = np.flatnonzero(found.protocol == protocol)
        if len(which):
            transport(buffer, found, which, end[which])
    return found


def _u8(buffer: NDArray[np.uint8], at: Ints) -> Ints:
    # Beyond the end only a packet points that is cut short, and its fields are thrown away.
    return buffer.take(at, mode="clip").astype(np.int64)


def _u16(buffer: NDArray[np.uint8], at: Ints) -> Ints:
    return _u8(buffer, at) << 8 | _u8(buffer, at + 1)


def _u32(buffer: NDArray[np.uint8], at: Ints) -> Ints:
    return _u16(buffer, at) << 16 | _u16(buffer, at + 2)


def _network(buffer: NDArray[np.uint8], packets: Packets, end: Ints) -> tuple[Ints, Ints]:
    """Give the EtherType of each packet (0 = none) and where its network layer begins."""
    offset, link_type = packets.offset, packets.link_type
    if link_type in (LinkType.RAW, LinkType.IPV4, LinkType.IPV6):
        return _by_version(buffer, offset, end)
    if link_type in (LinkType.NULL, LinkType.LOOP):
        return _by_version(buffer, offset + 4, end)
    place = {LinkType.ETHERNET: 12, LinkType.COOKED: 14, LinkType.COOKED_2: 0}[link_type]
    header = {LinkType.ETHERNET: 14, LinkType.COOKED: 16, LinkType.COOKED_2: 20}[link_type]
    kind, start = _u16(buffer, offset + place), offset + header
    for _ in range(MOST_TAGS):
        tagged = np.flatnonzero(np.isin(kind, TAGS))
        if not len(tagged):
            break
        kind[tagged] = _u16(buffer, start[tagged] + 2)
        start[tagged] += 4
    return np.where(start <= end, kind, 0), start


def _by_version(buffer: NDArray[np.uint8], start: Ints, end: Ints) -> tuple[Ints, Ints]:
    version = np.where(start < end, _u8(buffer, start) >> 4, 0)
    return np.select([version == 4, version == 6], [IPV4, IPV6], 0), start


def _ipv4(
    buffer: NDArray[np.uint8], found: Headers, which: NDArray[np.intp], start: Ints, end: Ints
) -> None:
    first = _u8(buffer, start)
    header = (first & 15) * 4
    sound = (first >> 4 == 4) & (header >= 20) & (start + header <= end)
    which, start, header = which[sound], start[sound], header[sound]
    for addresses, place in ((found.source, 12), (found.target, 16)):
        addresses[which, 1] = (_u32(buffer, start + place) | MAPPED).astype(np.uint64)
    # A later fragment has no transport header; the first one has, and the rest is missing.
    is_first = (_u16(buffer, start + 6) & 0x1FFF) == 0
    found.protocol[which] = np.where(is_first, _u8(buffer, start + 9), 0)
    found.payload[which] = start + header
    # Length 0: the sender's network card was to cut the packet, and the frame is all of it.
    total = _u16(buffer, start + 2)
    total = np.where(total == 0, end[sound] - start, total)
    found.payload_length[which] = np.maximum(0, total - header)


def _ipv6(
    buffer: NDArray[np.uint8], found: Headers, which: NDArray[np.intp], start: Ints, end: Ints
) -> None:
    sound = (_u8(buffer, start) >> 4 == 6) & (start + 40 <= end)
    which, start, end = which[sound], start[sound], end[sound]
    for addresses, place in ((found.source, 8), (found.target, 24)):
        for half in (0, 1):
            at = start + place + 8 * half
            high = _u32(buffer, at).astype(np.uint64)
            addresses[which, half] = high << np.uint64(32) | _u32(buffer, at + 4).astype(np.uint64)
    following, at = _u8(buffer, start + 6), start + 40
    length = _u16(buffer, start + 4)
    stop = np.where(length == 0, end, start + 40 + length)  # 0: a jumbogram
    for _ in range(MOST_EXTENSIONS):
        is_fragment = (following == FRAGMENT) & (at + 8 <= end)
        is_option = np.isin(following, EXTENSIONS) & (at + 8 <= end)
        if not (is_fragment | is_option).any():
            break
        is_later = is_fragment & (_u16(buffer, at + 2) >> 3 != 0)
        size = np.where(is_option, (_u8(buffer, at + 1) + 1) * 8, 8)
        following = np.where(is_fragment | is_option, _u8(buffer, at), following)
        following[is_later] = NONE
        at = np.where(is_fragment | is_option, at + size, at)
    found.protocol[which] = np.where((at <= end) & (following != NONE), following, 0)
    found.payload[which] = at
    found.payload_length[which] = np.maximum(0, stop - at)


def _ports(buffer: NDArray[np.uint8], found: Headers, which: NDArray[np.intp]) -> None:
    at = found.payload[which]
    found.source_port[which] = _u16(buffer, at)
    found.target_port[which] = _u16(buffer, at + 2)


def _advance(found: Headers, which: NDArray[np.intp], header: Ints, end: Ints) -> None:
    """Move the payload behind the transport's header, which may end behind what was captured."""
    found.payload[which] += header
    found.payload_length[which] -= header
    there = np.maximum(0, end - found.payload[which])
    found.captured[which] = np.minimum(there, found.payload_length[which])


def _tcp(buffer: NDArray[np.uint8], found: Headers, which: NDArray[np.intp], end: Ints) -> None:
    at = found.payload[which]
    whole = (at + 20 <= end) & (found.payload_length[which] >= 20)
    found.protocol[which[~whole]] = 0
    which, at, end = which[whole], at[whole], end[whole]
    _ports(buffer, found, which)
    found.sequence[which] = _u32(buffer, at + 4)
    found.flags[which] = _u8(buffer, at + 13) & 0x3F
    # Options that were cut off by the snapshot length leave the rest of the header good.
    header = np.maximum(20, (_u8(buffer, at + 12) >> 4) * 4)
    _advance(found, which, np.minimum(header, found.payload_length[which]), end)


def _udp(buffer: NDArray[np.uint8], found: Headers, which: NDArray[np.intp], end: Ints) -> None:
    at = found.payload[which]
    whole = (at + 8 <= end) & (found.payload_length[which] >= 8)
    found.protocol[which[~whole]] = 0
    which, end = which[whole], end[whole]
    _ports(buffer, found, which)
    _advance(found, which, np.full(len(which), 8), end)


def _icmp(buffer: NDArray[np.uint8], found: Headers, which: NDArray[np.intp], end: Ints) -> None:
    whole = (found.payload[which] < end) & (found.payload_length[which] >= 1)
    found.protocol[which[~whole]] = 0
    which = which[whole]
    found.kind[which] = _u8(buffer, found.payload[which])
