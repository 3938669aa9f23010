"""Capture files: every form gives the same packets; damage keeps what stands before it."""

import gzip
import struct
from itertools import accumulate

import dpkt
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from detector.probe.files import CHUNK, PcapFile
from detector.probe.packets import LinkType, ProbeError
from detector.probe.pcap import PcapWriter

from .make import (
    NS,
    T0,
    batch,
    block,
    enhanced,
    frames_of,
    interface,
    option,
    packet,
    pcap,
    read_file,
    request,
    section,
    there,
    udp,
)

FRAMES = [there(request(call=f"{number}@a")) for number in range(5)]
MICROSECONDS = T0 // 1000
PCAPNG = section() + interface() + b"".join(enhanced(frame, MICROSECONDS) for frame in FRAMES)


@pytest.fixture
def path(tmp_path):
    """Give where a test's file goes."""
    return tmp_path / "eth7.pcap.gz"


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nano", [False, True], ids=["micro", "nano"])
def test_pcap_in_every_form_gives_packets_with_their_times(path, order, nano):
    """Files come from machines of either byte order and of either resolution."""
    times = [T0 + place * 1_234_567 for place in range(5)]

    file, packets = read_file(path, pcap(FRAMES, times, order=order, nano=nano))

    step = 1 if nano else 1000
    assert packets == [
        (frame, time // step * step, len(frame)) for frame, time in zip(FRAMES, times, strict=True)
    ]
    assert (file.packets, file.damage) == (5, "")


def test_a_file_agrees_with_a_plain_reader(path):
    """What another library reads is what we read."""
    data = pcap(FRAMES, nano=True)
    path.write_bytes(data)
    with path.open("rb") as file:
        expected = [(frame, round(float(time) * 1e6)) for time, frame in dpkt.pcap.Reader(file)]

    _, packets = read_file(path, data)

    assert [(frame, time // 1000) for frame, time, _ in packets] == expected


def test_a_cut_packet_keeps_its_length_on_the_wire(path):
    """Bytes are counted as they were sent, whatever was kept of them."""
    _, packets = read_file(path, pcap(FRAMES, snaplen=60))

    assert [(len(frame), length) for frame, _, length in packets] == [
        (60, len(frame)) for frame in FRAMES
    ]


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        zstandard.compress,
        lambda data: gzip.compress(data[:200]) + gzip.compress(data[200:]),
        lambda data: zstandard.compress(data[:200]) + zstandard.compress(data[200:]),
    ],
    ids=["gzip", "zstd", "two gzip members", "two zstd frames"],
)
@pytest.mark.parametrize("data", [pcap(FRAMES), PCAPNG], ids=["pcap", "pcapng"])
def test_a_packed_file_gives_what_the_plain_one_gives(path, pack, data):
    """Capture folders are kept packed; the name doesn't matter, the content does."""
    _, plain = read_file(path, data)

    file, packets = read_file(path, pack(data))

    assert (packets, file.damage) == (plain, "")
    assert len(packets) == 5


def test_a_file_of_many_chunks_gives_every_packet_once(path):
    """Packets that lie across a chunk's end are neither lost nor doubled."""
    frames = [packet(udp(bytes(1400 + number % 7))) for number in range(3 * CHUNK // 1450)]

    _, packets = read_file(path, pcap(frames))

    assert len(frames) * 1450 > 2 * CHUNK
    assert [frame for frame, _, _ in packets] == frames


def test_blocks_of_many_chunks_give_every_packet_once(path):
    """The same of pcapng."""
    frames = [packet(udp(bytes(1400 + number % 7))) for number in range(2 * CHUNK // 1450)]
    data = section() + interface() + b"".join(enhanced(f, MICROSECONDS) for f in frames)

    _, packets = read_file(path, data)

    assert len(data) > CHUNK
    assert [frame for frame, _, _ in packets] == frames


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("resolution", "ticks", "time"),
    [
        (None, T0 // 1000 + 5, T0 + 5000),
        (6, T0 // 1000 + 5, T0 + 5000),
        (9, T0 + 5, T0 + 5),
        (3, T0 // 10**6 + 5, T0 + 5 * 10**6),
        (0, T0 // NS + 5, T0 + 5 * NS),
        (0x80 | 10, (T0 // NS << 10) + 512, T0 + NS // 2),
    ],
)
def test_times_of_every_resolution(path, order, resolution, ticks, time):
    """An interface says in which fractions of a second its times are."""
    data = section(order) + interface(resolution=resolution, order=order)

    _, packets = read_file(path, data + enhanced(FRAMES[0], ticks, order=order))

    assert packets == [(FRAMES[0], time, len(FRAMES[0]))]


def test_an_interface_may_set_its_times_off(path):
    """Times may be counted from another moment than 1970."""
    data = section() + interface(offset_s=T0 // NS) + enhanced(FRAMES[0], 7)

    _, packets = read_file(path, data)

    assert packets[0][1] == T0 + 7000


def test_each_interface_has_its_name_times_and_directions(path):
    """One file holds what several interfaces saw."""
    path.write_bytes(
        section()
        + interface("eth0", 6)
        + interface("", 9)
        + enhanced(FRAMES[0], T0 // 1000, 0, flags=1)
        + enhanced(FRAMES[1], T0 + 3, 1, flags=2)
        + enhanced(FRAMES[2], T0 // 1000 + 9, 0, flags=0)
        + enhanced(FRAMES[3], T0 + 4, 1)
    )

    found = {packets.port: packets for packets in PcapFile(path)}

    assert list(found) == ["eth0", "eth7"]
    assert found["eth0"].outgoing.tolist() == [0, -1]
    assert found["eth7"].outgoing.tolist() == [1, -1]
    assert found["eth7"].time_ns.tolist() == [T0 + 3, T0 + 4]
    assert [frame for frame, _, _ in frames_of(found["eth0"])] == [FRAMES[0], FRAMES[2]]


def test_a_section_may_have_another_byte_order_and_numbers_interfaces_anew(path):
    """Files are joined end to end, from whatever machine."""
    data = section() + interface("a") + enhanced(FRAMES[0], MICROSECONDS)
    data += section(">") + interface("b", order=">")
    data += enhanced(FRAMES[1], MICROSECONDS, order=">")

    path.write_bytes(data)

    assert [(p.port, frames_of(p)[0][0]) for p in PcapFile(path)] == [
        ("a", FRAMES[0]),
        ("b", FRAMES[1]),
    ]


def test_what_the_capturing_program_lost_is_told(path):
    """Drops before the file are drops all the same."""
    lost = block(5, struct.pack("<III", 0, 0, 0) + option(5, struct.pack("<Q", 42)))

    file, packets = read_file(path, PCAPNG + lost + lost)

    assert (file.dropped, len(packets)) == (84, 5)


def test_packets_without_a_time_are_left_out_and_counted(path):
    """A row is about a time, and a simple packet has none."""
    simple = block(3, struct.pack("<I", len(FRAMES[0])) + FRAMES[0])

    file, packets = read_file(path, PCAPNG + simple)

    assert (file.untimed, len(packets), file.damage) == (1, 5, "")


def test_old_packet_blocks_and_unknown_blocks_are_understood(path):
    """Old files are read; blocks of other programs are passed over."""
    head = struct.pack("<HHIIII", 0, 3, MICROSECONDS >> 32, MICROSECONDS & 0xFFFFFFFF, 60, 99)
    old = block(2, head + FRAMES[0][:60])

    _, packets = read_file(path, section() + interface() + block(0xBAD, b"what?") + old)

    assert packets == [(FRAMES[0][:60], T0, 99)]


@pytest.mark.parametrize(
    ("heads", "packets"),
    [
        ([pcap([])], [pcap([frame])[24:] for frame in FRAMES]),
        ([section(), interface()], [enhanced(frame, MICROSECONDS) for frame in FRAMES]),
    ],
    ids=["pcap", "pcapng"],
)
def test_cut_at_every_byte_a_file_gives_the_whole_packets_before(path, heads, packets):
    """The disk was full, or the program that wrote was killed."""
    data = b"".join(heads + packets)
    ends = list(accumulate(map(len, heads + packets)))

    for kept in range(len(heads[0]), len(data)):
        file, found = read_file(path, data[:kept])

        before = [end for end in ends if end <= kept]
        assert [frame for frame, _, _ in found] == FRAMES[: max(0, len(before) - len(heads))]
        left = kept - before[-1]
        expected = f"cut short at byte {before[-1]}: {left} bytes of a " if left else ""
        assert file.damage.startswith(expected)
        assert bool(file.damage) == bool(left)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_packed_file_cut_anywhere_gives_packets_or_a_plain_error(path, pack):
    """Of a packed file the packets before the cut are kept too."""
    frames = [there(request(call=f"{number * 7919}@{number}")) for number in range(300)]
    packed, most = pack(pcap(frames)), 0
    for kept in range(0, len(packed), 97):
        try:
            file, packets = read_file(path, packed[:kept])
        except ProbeError:
            continue
        assert file.damage.startswith("cut short")
        assert [frame for frame, _, _ in packets] == frames[: len(packets)]
        most = max(most, len(packets))

    assert most > 0 or pack is zstandard.compress  # one small frame is all or nothing


def test_damage_in_packed_bytes_keeps_the_packets_before_it(path):
    """A bit that flipped on the disk costs what comes after it."""
    rubbish = b"".join(number.to_bytes(3, "big") for number in range(60_000))
    frames = [packet(udp(rubbish[at : at + 900])) for at in range(0, len(rubbish), 900)]
    packed = bytearray(gzip.compress(pcap(frames), 1))
    packed[len(packed) // 2 : len(packed) // 2 + 40] = b"\xff" * 40

    file, packets = read_file(path, bytes(packed))

    assert file.damage.startswith("damaged")
    assert 50 < len(packets) < len(frames)
    # The packet in which the damage begins may be there, and be rubbish.
    assert [frame for frame, _, _ in packets][:50] == frames[:50]


def test_a_checksum_that_is_wrong_is_damage(path):
    """All was read, but something in it isn't as it was written."""
    packed = bytearray(gzip.compress(pcap(FRAMES)))
    packed[-6] ^= 1

    file, packets = read_file(path, bytes(packed))

    assert file.damage.startswith("damaged: CRC")
    assert len(packets) == 5


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda d, at: d[: at + 8] + b"\xff\xff\xff\x7f" + d[at + 12 :], "a packet of 2147483647"),
    ],
)
def test_a_damaged_length_in_pcap_is_named_by_its_place(path, damage, why):
    """Someone may want to mend the file."""
    at = len(pcap(FRAMES[:3]))

    file, packets = read_file(path, damage(pcap(FRAMES), at))

    assert file.damage.startswith(f"damaged at byte {at}: {why}")
    assert [frame for frame, _, _ in packets] == FRAMES[:3]


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (4, 7, "a block of 7 bytes"),
        (4, 1 << 30, f"a block of {1 << 30} bytes"),
        (8, 3, "a packet of interface 3, of which nothing was said"),
        (20, 5000, "a packet that is larger than its block"),
        (-4, 4, "a block that ends with another length"),
    ],
)
def test_a_damaged_block_is_named_by_its_place_and_ends_the_file(path, place, value, why):
    """What stands before it in the same chunk is kept."""
    good = section() + interface() + enhanced(FRAMES[0], MICROSECONDS)
    bad = bytearray(enhanced(FRAMES[1], MICROSECONDS))
    struct.pack_into("<I", bad, place % len(bad), value)

    file, packets = read_file(path, good + bytes(bad) + enhanced(FRAMES[2], MICROSECONDS))

    assert file.damage.startswith(f"damaged at byte {len(good)}: {why}")
    assert [frame for frame, _, _ in packets] == FRAMES[:1]


def test_a_section_in_no_byte_order_is_damage(path):
    """Neither order fits, so nothing behind it can be read."""
    bad = bytearray(section())
    bad[8] ^= 0xFF

    file, packets = read_file(path, PCAPNG + bytes(bad))

    assert file.damage.startswith(f"damaged at byte {len(PCAPNG)}: a section in no byte order")
    assert len(packets) == 5


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "neither pcap nor pcapng"),
        (b"link,t_ms\n", "neither pcap nor pcapng"),
        (pcap([])[:20], "cut short in its header"),
        (pcap([], link_type=147), "link type 147 isn't read; these are: null 0, ethernet 1"),
        (section() + interface(link_type=147), "link type 147 isn't read"),
        (b"\x1f\x8bnothing", "not readable"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 40, "not readable"),
    ],
)
def test_what_is_no_capture_of_packets_is_refused_by_name(path, data, why):
    """The operator gave the wrong file, and is told which and why."""
    with pytest.raises(ProbeError, match=why) as error:
        read_file(path, data)

    assert str(path) in str(error.value)


def test_raw_ip_has_more_than_one_number(path):
    """Some systems write 12 or 14 for it."""
    for number in (12, 14, 101):
        path.write_bytes(pcap(FRAMES, link_type=number))

        assert next(iter(PcapFile(path))).link_type == LinkType.RAW


@given(data=st.data())
def test_any_flipped_bits_give_packets_or_a_probe_error(data, tmp_path_factory):
    """A damaged file must not end the program with a traceback."""
    whole = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=5)):
        whole[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "flipped"
    try:
        file, packets = read_file(path, bytes(whole))
    except ProbeError:
        return
    assert file.packets == len(packets)


SAMPLES = [
    pcap(FRAMES[:2], snaplen=60),
    pcap(FRAMES[:2], snaplen=60, order=">", nano=True),
    gzip.compress(pcap(FRAMES)),
    zstandard.compress(pcap(FRAMES)),
    section(">") + interface("a", 9, 5, ">") + enhanced(b"x" * 50, T0, 0, 1, ">"),
    section() + interface("a", 0x8A, -5) + enhanced(b"x" * 50, T0, 0, 1)
    + block(5, struct.pack("<III", 0, 0, 0) + option(5, struct.pack("<Q", 42))),
]  # fmt: skip


def test_what_is_written_reads_back(path):
    """A recording of packets is read by this and by every other program."""
    packets = batch(FRAMES, [T0 + place * 1001 for place in range(5)], wire=[1500] * 5)
    writer = PcapWriter(path, LinkType.ETHERNET, 65535)

    writer.write(packets)
    writer.close()
    writer.close()

    with path.open("rb") as file:
        assert [frame for _, frame in dpkt.pcap.Reader(file)] == FRAMES
    assert read_file(path, path.read_bytes())[1] == frames_of(packets)
