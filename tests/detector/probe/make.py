"""Packets, capture files and batches for the probe's tests, made from their specifications."""

import ipaddress
import struct
from pathlib import Path

import numpy as np

from detector.probe.features import PACKET_FEATURES, names
from detector.probe.files import PcapFile
from detector.probe.links import Links, parse
from detector.probe.packets import PAD, LinkType, Packets
from detector.probe.probe import Probe
from detector.probe.rows import Rows

NS = 10**9
T0 = 1_700_000_000 * NS  # a whole second
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "sip-testbed"
CALLER, CALLEE = "10.1.0.5", "10.2.0.7"
COLUMNS = names(PACKET_FEATURES)
SYN, FIN, RST, PSH, ACK = 2, 1, 4, 8, 16


def batch(frames, times=None, *, link_type=LinkType.ETHERNET, port="", outgoing=None, wire=None):
    """Put frames into one batch, with rubbish between them."""
    data, offset = b"", []
    for frame in frames:
        data += b"\xa5" * 3
        offset.append(len(data))
        data += frame
    captured = [len(frame) for frame in frames]
    times = [T0 + place * 10**6 for place in range(len(frames))] if times is None else times
    return Packets(
        data=data + PAD,
        link_type=link_type,
        port=port,
        offset=np.array(offset, np.int64),
        captured=np.array(captured, np.int64),
        length=np.array(captured if wire is None else wire, np.int64),
        time_ns=np.array(times, np.int64),
        outgoing=np.array([-1] * len(frames) if outgoing is None else outgoing, np.int8),
    )


def ethernet(payload, kind=0x0800, tags=()):
    """Wrap in Ethernet, with VLAN tags by their EtherTypes."""
    frame = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02"
    for tag in tags:
        frame += struct.pack("!HH", tag, 42)
    return frame + struct.pack("!H", kind) + payload


def ipv4(payload, protocol, source=CALLER, target=CALLEE, *, options=b"", fragment=0):
    """Wrap in IPv4; *fragment* is the field of flags and offset."""
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | (20 + len(options)) // 4,
        0,
        20 + len(options) + len(payload),
        1,
        fragment,
        64,
        protocol,
        0,
        ipaddress.IPv4Address(source).packed,
        ipaddress.IPv4Address(target).packed,
    )
    return head + options + payload


def ipv6(payload, following, source="fd00::1", target="fd00:0:0:1::2"):
    """Wrap in IPv6."""
    head = struct.pack("!IHBB", 6 << 28, len(payload), following, 64)
    return (
        head
        + ipaddress.IPv6Address(source).packed
        + ipaddress.IPv6Address(target).packed
        + payload
    )


def udp(payload, source=5060, target=5060):
    """Wrap in UDP."""
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def tcp(payload=b"", sequence=1000, flags=ACK, source=40000, target=5060, options=b""):
    """Wrap in TCP."""
    size = (20 + len(options)) // 4 << 4
    fixed = (source, target, sequence % 2**32, 1, size, flags, 1000, 0, 0)
    return struct.pack("!HHIIBBHHH", *fixed) + options + payload


def packet(payload, protocol=17, source=CALLER, target=CALLEE, **more):
    """Wrap a transport's bytes in IPv4 and Ethernet."""
    return ethernet(ipv4(payload, protocol, source, target, **more))


def request(method="INVITE", call="a@b", turn=1, *, tag="", body=b"", compact=False):
    """Write a SIP request."""
    names = ("v", "f", "t", "i", "l") if compact else ()
    via, sender, to, call_id, size = names or ("Via", "From", "To", "Call-ID", "Content-Length")
    return (
        f"{method} sip:bob@example.net SIP/2.0\r\n"
        f"{via}: SIP/2.0/UDP 10.1.0.5;branch=z9hG4bK{call}{turn}{method}\r\n"
        f"{sender}: <sip:alice@example.net>;tag=1\r\n"
        f"{to}: <sip:bob@example.net>{';tag=' + tag if tag else ''}\r\n"
        f"{call_id}: {call}\r\n"
        f"CSeq: {turn} {method}\r\n"
        f"{size}: {len(body)}\r\n\r\n"
    ).encode() + body


def response(code=200, method="INVITE", call="a@b", turn=1, body=b""):
    """Write a SIP response."""
    return (
        f"SIP/2.0 {code} Whatever\r\n"
        f"Via: SIP/2.0/UDP 10.1.0.5;branch=z9hG4bK{call}{turn}{method}\r\n"
        f"To: <sip:bob@example.net>;tag=9\r\nCall-ID: {call}\r\nCSeq: {turn} {method}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def there(payload, **more):
    """Send a datagram from the caller to the callee."""
    return packet(udp(payload), **more)


def back(payload):
    """Send a datagram from the callee to the caller."""
    return packet(udp(payload), source=CALLEE, target=CALLER)


def make_probe(*rules, step_ms=1000, **options):
    """Make a probe; without rules, of one link from the caller's network on."""
    links = Links(parse(rule) for rule in rules or ("x=10.1.0.0/16>*",))
    return Probe(links, Rows(len(links.names), step_ms, **options))


def rows_of(batches, *rules, probe=None, **options):
    """Give start -> (links, features) of batches that are read one after the other."""
    probe = probe or make_probe(*rules, **{"partial": True} | options)
    found, last = [], 0
    for packets in batches:
        probe.push(packets)
        last = max(last, int(packets.time_ns.max(initial=0)))
    found += probe.rows.done(last)
    found += probe.rows.rest(last)
    return dict(found)


def counts(frames, times=None, **more):
    """Read frames within a second, and give what isn't 0 or NaN of the one row's features."""
    (values,) = rows_of([batch(frames, times, **more)], step_ms=3_600_000).values()
    pairs = zip(COLUMNS, values[0].tolist(), strict=True)
    return {name: value for name, value in pairs if value and value == value}


def pcap(frames, times=None, *, order="<", nano=False, snaplen=1 << 16, link_type=1):
    """Write a pcap file's bytes."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    data = [struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, snaplen, link_type)]
    for place, frame in enumerate(frames):
        time = T0 + place * 10**6 if times is None else times[place]
        seconds, rest = divmod(time, NS)
        ticks = rest if nano else rest // 1000
        kept = frame[:snaplen]
        data += [struct.pack(order + "IIII", seconds, ticks, len(kept), len(frame)), kept]
    return b"".join(data)


def block(kind, body, order="<"):
    """Write a pcapng block."""
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def option(code, value, order="<"):
    """Write a pcapng option."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order="<"):
    """Write the head of a pcapng section."""
    body = struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)
    return block(0x0A0D0D0A, body, order)


def interface(name="", resolution=None, offset_s=None, order="<", link_type=1):
    """Write a pcapng interface."""
    options = option(2, name.encode(), order) if name else b""
    options += b"" if resolution is None else option(9, bytes([resolution]), order)
    options += b"" if offset_s is None else option(14, struct.pack(order + "q", offset_s), order)
    return block(1, struct.pack(order + "HHI", link_type, 0, 0) + options, order)


def enhanced(frame, ticks, number=0, flags=None, order="<", wire=None):
    """Write a pcapng packet."""
    head = struct.pack(
        order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), wire or len(frame)
    )
    options = b"" if flags is None else option(2, struct.pack(order + "I", flags), order)
    options += b"" if flags is None else option(0, b"", order)
    return block(6, head + frame + bytes(-len(frame) % 4) + options, order)


def read_file(path, data):
    """Write a file and read it again: the file, and (bytes, time, length) of each packet."""
    path.write_bytes(data)
    file = PcapFile(path)
    return file, [one for packets in file for one in frames_of(packets)]


def frames_of(packets):
    """Give (bytes, time, length) of each packet of a batch."""
    columns = (packets.offset, packets.captured, packets.time_ns, packets.length)
    return [
        (packets.data[start : start + size], time, length)
        for start, size, time, length in zip(*(c.tolist() for c in columns), strict=True)
    ]
