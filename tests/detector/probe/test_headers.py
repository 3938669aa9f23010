"""Headers in bulk: the same as one packet at a time, and any bytes at all do no harm."""

import gzip
import struct

import dpkt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.probe import headers
from detector.probe.packets import LinkType, Packets

from .make import (
    NS,
    SHARED,
    T0,
    batch,
    ethernet,
    frames_of,
    ipv4,
    ipv6,
    make_probe,
    packet,
    pcap,
    read_file,
    request,
    tcp,
    udp,
)

UDP = udp(b"hello")
PAD_OPTION = b"\x06\x01" + bytes(6)  # of an IPv6 options header


def read_one(frame, **more):
    """Read one packet: its fields, by name, and the payload that is there."""
    packets = batch([frame], **more)
    found = headers.read(packets)
    start, size = int(found.payload[0]), int(found.captured[0])
    fields = {name: getattr(found, name)[0] for name in found.__slots__}
    return fields, packets.data[start : start + size]


def address(halves):
    """Turn a pair of numbers into 16 bytes."""
    return b"".join(int(half).to_bytes(8, "big") for half in halves)


def oracle(frame):
    """Read a whole packet the plain way: addresses, protocol, ports, payload."""
    ip = dpkt.ethernet.Ethernet(frame).data
    if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6):
        return None
    source, target = (a if len(a) == 16 else bytes(10) + b"\xff\xff" + a for a in (ip.src, ip.dst))
    part = ip.data
    if isinstance(part, dpkt.tcp.TCP):
        return source, target, 6, part.sport, part.dport, part.seq, part.flags & 0x3F, part.data
    if isinstance(part, dpkt.udp.UDP):
        return source, target, 17, part.sport, part.dport, 0, 0, part.data
    return source, target, None, 0, 0, 0, 0, b""


def assert_agrees(frame):
    """Hold one packet against the oracle."""
    fields, payload = read_one(frame)
    expected = oracle(frame)
    if expected is None:
        assert fields["protocol"] == 0
        return
    assert (address(fields["source"]), address(fields["target"])) == expected[:2]
    if expected[2] is None:
        assert fields["protocol"] not in (6, 17)
        return
    names = ("protocol", "source_port", "target_port", "sequence", "flags")
    assert tuple(fields[name] for name in names) == expected[2:7]
    assert payload == expected[7]
    assert fields["payload_length"] == len(expected[7])


@pytest.mark.parametrize(
    "frame",
    [
        packet(UDP),
        packet(UDP) + bytes(18),  # padded to Ethernet's least
        packet(UDP, options=b"\x01" * 12),
        packet(UDP, fragment=0x2000),
        packet(tcp(b"x" * 30, 2**32 - 1, 0x18), 6),
        packet(tcp(b"GET /", options=b"\x01" * 20), 6),
        packet(tcp(flags=2, options=b"\x02\x04\x05\xb4"), 6),
        ethernet(ipv4(UDP, 17), tags=[0x8100]),
        ethernet(ipv4(UDP, 17), tags=[0x88A8, 0x8100]),
        ethernet(ipv6(UDP, 17), 0x86DD),
        ethernet(ipv6(tcp(b"abc"), 6), 0x86DD, tags=[0x8100]),
        ethernet(ipv6(b"\x11\0" + bytes([1, 4, 0, 0, 0, 0]) + UDP, 0), 0x86DD),
        ethernet(ipv6(b"\x3c\0\1\4\0\0\0\0" + b"\x11\0\1\4\0\0\0\0" + UDP, 0), 0x86DD),
        ethernet(ipv6(b"\x11\0\0\1\0\0\0\7" + UDP, 44), 0x86DD),  # the first fragment
        ethernet(b"\0\1\x08\0\6\4\0\1" + bytes(20), 0x0806),  # ARP
    ],
)
def test_headers_agree_with_a_plain_reader(frame):
    """What the arrays say of a packet is what one reads packet by packet."""
    assert_agrees(frame)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs the shared captures in {SHARED}")
@pytest.mark.parametrize("run", ["d25", "d27"])
def test_headers_of_recorded_packets_agree_with_a_plain_reader(run, tmp_path):
    """Real packets have what nobody thinks of when making some up."""
    (path,) = SHARED.glob(f"pcap/{run}_*_access_*")
    _, packets = read_file(tmp_path / "a.pcap", gzip.decompress(path.read_bytes()))
    whole = [data for data, _, length in packets if len(data) == length]

    assert len(whole) > 1000
    for frame in whole[::7]:
        assert_agrees(frame)


@pytest.mark.parametrize(
    ("link_type", "head"),
    [
        (LinkType.RAW, b""),
        (LinkType.IPV4, b""),
        (LinkType.NULL, b"\2\0\0\0"),
        (LinkType.LOOP, b"\0\0\0\2"),
        (LinkType.COOKED, struct.pack("!HHH8sH", 0, 1, 6, bytes(8), 0x0800)),
        (LinkType.COOKED_2, struct.pack("!HHIHBB8s", 0x0800, 0, 3, 1, 0, 6, bytes(8))),
    ],
)
def test_every_link_type_leads_to_the_same_headers(link_type, head):
    """Captures of tunnels, of loopback and of "any" are read as those of Ethernet."""
    fields, payload = read_one(head + ipv4(UDP, 17), link_type=link_type)

    assert (fields["protocol"], fields["source_port"], payload) == (17, 5060, b"hello")


def test_ipv6_needs_no_ethertype_where_there_is_none():
    """The version in the packet itself decides."""
    for link_type in (LinkType.RAW, LinkType.IPV6):
        assert read_one(ipv6(UDP, 17), link_type=link_type)[0]["protocol"] == 17


@pytest.mark.parametrize(
    "frame",
    [
        packet(UDP, fragment=0x2001),
        ethernet(ipv6(b"\x11\0\0\x08\0\0\0\7" + UDP, 44), 0x86DD),
    ],
    ids=["ipv4", "ipv6"],
)
def test_a_later_fragment_has_addresses_and_no_transport(frame):
    """Its first bytes are of the middle of a message, and mustn't be taken for ports."""
    fields, payload = read_one(frame)

    assert (fields["protocol"], fields["source_port"], payload) == (0, 0, b"")
    assert fields["source"].any()


@pytest.mark.parametrize("kept", range(54, 74))
def test_options_cut_by_the_snapshot_length_are_no_payload(kept):
    """A bare ACK with timestamps, captured at 64 bytes, carries nothing."""
    frame = packet(tcp(options=b"\x01" * 20), 6)

    fields, payload = read_one(frame[:kept], wire=[len(frame)])

    assert (fields["protocol"], fields["flags"]) == (6, 16)
    assert (fields["payload_length"], payload) == (0, b"")


def test_a_payload_cut_by_the_snapshot_length_keeps_its_size_on_the_wire():
    """Sequence numbers are followed by what was sent, not by what was kept."""
    frame = packet(tcp(b"x" * 400), 6)

    fields, payload = read_one(frame[:100], wire=[len(frame)])

    assert (fields["payload_length"], payload) == (400, b"x" * 46)


def test_a_packet_of_no_length_is_as_long_as_its_frame():
    """Cards that cut segments themselves let the host see a length of 0."""
    frame = bytearray(packet(tcp(b"x" * 400), 6))
    frame[16:18] = b"\0\0"

    assert read_one(bytes(frame))[0]["payload_length"] == 400


@pytest.mark.parametrize(("protocol", "kind"), [(1, 3), (58, 1)])
def test_icmp_has_a_type(protocol, kind):
    """Errors are told from echoes by it."""
    fields, _ = read_one(packet(bytes([kind, 1, 0, 0]) + bytes(28), protocol))

    assert fields["kind"] == kind


FRAMES = [
    packet(tcp(b"x" * 30, options=b"\x01" * 12), 6, options=b"\x01" * 8),
    packet(udp(request())),
    ethernet(ipv6(b"\x11\0" + bytes(6) + UDP, 0), 0x86DD, tags=[0x88A8, 0x8100]),
    ethernet(ipv6(b"\x3c\0" + bytes(6) + b"\x2c\1" + bytes(14) + b"\x06" + bytes(7) + tcp(), 0)),
    packet(bytes([3, 1]) + bytes(30), 1),
]


@st.composite
def damaged(draw):
    """Draw a frame that is nearly right: bits flipped, cut anywhere."""
    frame = bytearray(draw(st.sampled_from(FRAMES)))
    for place in draw(st.lists(st.integers(0, len(frame) - 1), max_size=4)):
        frame[place] ^= draw(st.integers(1, 255))
    return bytes(frame[: draw(st.integers(0, len(frame)))])


@given(
    st.lists(damaged() | st.binary(max_size=90), max_size=8),
    st.sampled_from(LinkType),
    st.binary(min_size=64, max_size=64),
)
def test_nothing_outside_a_frame_is_ever_believed(frames, link_type, other):
    """What lies behind a frame's end belongs to another packet, and must not change it."""
    packets = batch(frames, link_type=link_type)
    far = bytearray(packets.data)
    inside = np.zeros(len(far), bool)
    for start, size in zip(packets.offset, packets.captured, strict=True):
        inside[start : start + size] = True
    for place in np.flatnonzero(~inside):
        far[place] = other[place % 64]
    elsewhere = Packets(
        bytes(far), link_type, "", packets.offset, packets.captured, packets.length,
        packets.time_ns, packets.outgoing,
    )  # fmt: skip

    found, again = headers.read(packets), headers.read(elsewhere)

    for name in found.__slots__:
        np.testing.assert_array_equal(getattr(found, name), getattr(again, name), name)
    end = packets.offset + packets.captured
    there = found.captured > 0
    assert (found.captured >= 0).all()
    assert (found.payload_length >= 0).all()
    assert (found.payload[there] >= packets.offset[there]).all()
    assert (found.payload + found.captured <= end)[there].all()


@given(st.lists(damaged() | st.binary(max_size=90), max_size=8), st.sampled_from(LinkType))
def test_any_bytes_become_rows(frames, link_type):
    """Nobody can stop the probe by sending it something."""
    probe = make_probe(partial=True)

    probe.push(batch(frames, link_type=link_type))
    rows = list(probe.rows.rest(T0 + NS))

    assert probe.packets == len(frames)
    counted = sum(values[:, [0, values.shape[1] // 2]].sum() for _, values in rows)
    assert counted == len(frames) - probe.unclassified


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs the shared captures in {SHARED}")
@given(data=st.data())
def test_recorded_packets_with_flipped_bits_do_no_harm(recorded, data):
    """Damage in real packets reaches farther than damage in rubbish."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    some = [bytearray(recorded[place]) for place in rng.integers(0, len(recorded), 30)]
    for frame in some:
        for place in rng.integers(0, len(frame), rng.integers(0, 6)):
            frame[place] ^= 1 << rng.integers(0, 8)
    probe = make_probe("x=10.0.0.0/8>*", partial=True)

    probe.push(batch([bytes(frame) for frame in some]))

    assert probe.packets == 30


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Give packets of SIP over UDP and of HTTP."""
    found = []
    for run in ("d21", "d39"):
        (path,) = SHARED.glob(f"pcap/{run}_*_access_*")
        data = gzip.decompress(path.read_bytes())[:300_000]
        file = tmp_path_factory.mktemp("recorded") / "a.pcap"
        found += [frame for frame, _, _ in read_file(file, data)[1]]
    return found


def test_a_batch_reads_as_its_packets_one_by_one():
    """Packets in a batch know nothing of each other."""
    together = headers.read(batch(FRAMES))

    for place, frame in enumerate(FRAMES):
        alone = headers.read(batch([frame]))
        for name in ("source", "target", "protocol", "source_port", "payload_length", "kind"):
            np.testing.assert_array_equal(getattr(together, name)[place], getattr(alone, name)[0])


def test_the_makers_of_packets_agree_with_the_reader(tmp_path):
    """Else the tests above would be about themselves."""
    _, packets = read_file(tmp_path / "a.pcap", pcap(FRAMES))

    assert [frame for frame, _, _ in packets] == FRAMES
    assert frames_of(batch(FRAMES))[0][0] == FRAMES[0]


@pytest.mark.parametrize(
    ("frame", "header"),
    [(packet(tcp(b"x" * 40), 6), 34 + 20), (packet(UDP), 34 + 8), (packet(bytes(8), 1), 34 + 1)],
    ids=["tcp", "udp", "icmp"],
)
def test_a_transport_whose_header_is_cut_is_none(frame, header):
    """Half of its fields would be zeros that nobody sent."""
    whole, _ = read_one(frame[:header], wire=[len(frame)])
    cut, payload = read_one(frame[: header - 1], wire=[len(frame)])

    assert whole["protocol"] != 0
    assert (cut["protocol"], cut["sequence"], cut["kind"], payload) == (0, 0, -1, b"")
    assert cut["source"].any()
