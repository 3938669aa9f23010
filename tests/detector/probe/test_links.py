"""Links: which packet belongs to which, and which way it goes."""

import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.probe import headers
from detector.probe.links import NO_WAY, Links, parse
from detector.probe.packets import ProbeError

from .make import CALLEE, CALLER, batch, ethernet, ipv6, packet, udp

FORWARD, REVERSE = 0, 1


def ways(frames, *rules, **more):
    """Classify frames."""
    packets = batch(frames, **more)
    return Links(map(parse, rules)).ways(packets, headers.read(packets)).tolist()


def between(source, target):
    """Make a packet from one address to another."""
    if ":" in source:
        return ethernet(ipv6(udp(b"hello"), 17, source, target), 0x86DD)
    return packet(udp(b"hello"), source=source, target=target)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("x=10.1.0.0/16>10.2.0.0/16", [FORWARD, REVERSE, NO_WAY, NO_WAY]),
        ("x=10.1.0.0/16>*", [FORWARD, REVERSE, FORWARD, NO_WAY]),
        ("x=*>10.2.0.7", [FORWARD, REVERSE, NO_WAY, NO_WAY]),
        ("x=10.1.0.0/16,fd00::/8>*", [FORWARD, REVERSE, FORWARD, FORWARD]),
        ("x=fd00::/8>fd00:0:0:1::/64", [NO_WAY, NO_WAY, NO_WAY, FORWARD]),
        ("x=0.0.0.0/0>*", [FORWARD, FORWARD, FORWARD, NO_WAY]),
        ("x= 10.1.0.5 > 10.2.0.7 ", [FORWARD, REVERSE, NO_WAY, NO_WAY]),
    ],
)
def test_addresses_say_what_is_forward(rule, expected):
    """The rule is all that the probe knows of the network."""
    frames = [
        between(CALLER, CALLEE),
        between(CALLEE, CALLER),
        between(CALLER, "192.0.2.1"),
        between("fd00::1", "fd00:0:0:1::2"),
    ]

    assert ways(frames, rule) == expected


def test_the_first_rule_that_fits_decides():
    """An exception is written before the rule it is one from."""
    frames = [between(CALLER, CALLEE), between(CALLER, "192.0.2.1")]

    assert ways(frames, "a=10.1.0.0/16>10.2.0.0/16", "b=10.1.0.0/16>*") == [0, 2]
    assert ways(frames, "b=10.1.0.0/16>*", "a=10.1.0.0/16>10.2.0.0/16") == [0, 0]


def test_rules_of_one_name_are_one_link():
    """A link may have several kinds of addresses."""
    frames = [between("fd00::1", "fd00::2"), between(CALLER, CALLEE), between(CALLEE, CALLER)]

    assert ways(frames, "a=fd00::1>*", "b=192.0.2.0/24>*", "a=10.1.0.0/16>*") == [0, 0, 1]


def test_an_interface_says_what_is_forward():
    """What it receives is, unless the rule says out; what isn't known is neither."""
    frames = [between(CALLER, CALLEE)] * 3

    assert ways(frames, "x=@eth0", port="eth0", outgoing=[0, 1, -1]) == [0, 1, NO_WAY]
    assert ways(frames, "x=@eth0:out", port="eth0", outgoing=[0, 1, -1]) == [1, 0, NO_WAY]
    assert ways(frames, "x=@eth1", port="eth0", outgoing=[0, 1, -1]) == [NO_WAY] * 3


def test_an_interface_may_be_asked_for_beside_addresses():
    """A router sees a packet on two of its interfaces, and must count it once."""
    frames = [between(CALLER, CALLEE), between(CALLEE, CALLER)]

    assert ways(frames, "x=10.1.0.0/16>*@eth0", port="eth0") == [0, 1]
    assert ways(frames, "x=10.1.0.0/16>*@eth0", port="eth1") == [NO_WAY, NO_WAY]


def test_packets_without_addresses_are_on_no_link_of_addresses():
    """ARP and the like."""
    arp = ethernet(b"\0\1\x08\0\6\4\0\1" + bytes(20), 0x0806)

    assert ways([arp], "x=10.1.0.0/16>*", "y=*>::/0") == [NO_WAY]
    assert ways([arp], "x=@eth0", port="eth0", outgoing=[0]) == [0]


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("10.1.0.0/16>*", "give NAME=@INTERFACE or NAME=PREFIX>PREFIX"),
        ("x=", "give NAME"),
        ("x=10.1.0.0/16", "give NAME"),
        ("x=10.1.0.0/16>", "give NAME"),
        ("x=a>b>c", "give NAME"),
        ("x=*>*", "one side must not be"),
        ("x=10.1.0.0/33>*", "'10.1.0.0/33' is no prefix"),
        ("x=10.1.0.0/16,>*", "'' is no prefix"),
        ("x=10.1.0.0/16>*@eth0:out", "no :out"),
        ("=@eth0", "link"),
        ("a\nb=@eth0", "link"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused(rule, why):
    """A rule that fits nothing by mistake would be silence, and silence is an alarm."""
    with pytest.raises(ProbeError, match=why) as error:
        parse(rule)

    assert repr(rule) in str(error.value)


@given(st.text(alphabet="x=10.2:/>*@,ethfd ", max_size=24))
def test_any_text_is_a_rule_or_a_probe_error(text):
    """Rules come from files that people write."""
    try:
        rule = parse(text)
    except ProbeError:
        return
    assert rule.port or rule.near or rule.far


V4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)


@given(st.one_of(V4, V6), st.one_of(V4, V6), st.integers(0, 128))
def test_prefixes_agree_with_the_standard_library(inside, other, length):
    """Both halves of an address, and both of its kinds."""
    length = min(length, inside.max_prefixlen)
    network = ipaddress.ip_network((inside, length), strict=False)
    (prefix,) = parse(f"x={network}>*").near
    addresses = [inside, other, network[0], network[-1]]
    table = []
    for address in addresses:
        number = int(address) | (0xFFFF << 32 if address.version == 4 else 0)
        table.append([number >> 64, number & (1 << 64) - 1])

    held = prefix.holds(np.array(table, np.uint64))

    # An IPv4 address in its IPv6 form is the same address.
    def holds(address):
        mapped = getattr(address, "ipv4_mapped", None)
        as_mapped = mapped is not None and network.version == 4 and mapped in network
        return as_mapped or (address.version == network.version and address in network)

    if network.version == 4 or length > 96:
        assert held.tolist() == [holds(address) for address in addresses]
