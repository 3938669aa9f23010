"""Which link a packet belongs to, and which way it goes: rules, the first that fits decides.

A rule is `NAME=WHAT`, and WHAT is one of

    @eth0                             what interface eth0 receives is forward, what it sends is not
    @eth0:out                         the other way round
    10.1.0.0/16>10.2.0.0/16           from the first addresses to the second is forward
    10.1.0.0/16,fd00::/8>*            several prefixes, and any address
    10.1.0.0/16>*@eth0                the same, of what eth0 saw only

A file's packets belong to the interface that the file names, else to one named like the file.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.window import WindowError, check_name

from .headers import MAPPED, Headers
from .packets import Ints, Packets, ProbeError

NO_WAY = -1  # of a packet that no rule fits
_RULE = re.compile(r"(?:(?P<near>[^>@]+)>(?P<far>[^>@]+))?(?:@(?P<port>.+?)(?P<out>:out)?)?")


@dataclass(frozen=True, slots=True)
class Prefix:
    """Addresses that begin alike, IPv4 as ::ffff:a.b.c.d."""

    mask: tuple[int, int]  # high and low half
    bits: tuple[int, int]

    def holds(self, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which of (packets, 2) addresses begin so."""
        low = addresses[:, 1] & np.uint64(self.mask[1]) == np.uint64(self.bits[1])
        high = addresses[:, 0] & np.uint64(self.mask[0]) == np.uint64(self.bits[0])
        both: NDArray[np.bool_] = low & high
        return both


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes a packet one of a link's."""

    link: str
    near: tuple[Prefix, ...] | None  # None: any address; both None: decided by direction
    far: tuple[Prefix, ...] | None
    port: str = ""  # "" = any
    is_out: bool = False  # what leaves the interface is forward

    @property
    def by_direction(self) -> bool:
        """Whether the interface's own direction decides, not addresses."""
        return self.near is None and self.far is None


def parse(text: str) -> Rule:
    """Read a rule.

    >>> parse("trunk-1=10.1.0.0/16>*").link
    'trunk-1'
    >>> parse("t=10.1.0.300>*")
    Traceback (most recent call last):
        ...
    detector.probe.packets.ProbeError: link rule 't=10.1.0.300>*': '10.1.0.300' is no prefix

    Raises:
        ProbeError: if it can't be read.
    """
    link, sign, what = text.partition("=")
    found = _RULE.fullmatch(what.strip())
    if not sign or not what.strip() or found is None:
        raise ProbeError(f"link rule {text!r}: give NAME=@INTERFACE or NAME=PREFIX>PREFIX")
    try:
        check_name("link", link := link.strip())
        near, far = (None if found[n] is None else _prefixes(found[n]) for n in ("near", "far"))
    except (WindowError, ValueError) as error:
        raise ProbeError(f"link rule {text!r}: {error}") from error
    if found["near"] is not None and found["out"]:
        raise ProbeError(f"link rule {text!r}: addresses say what is forward, so no :out")
    if found["near"] is not None and near is None and far is None:
        raise ProbeError(f"link rule {text!r}: one side must not be *, or nothing is forward")
    return Rule(link, near, far, found["port"] or "", bool(found["out"]))


def _prefixes(text: str) -> tuple[Prefix, ...] | None:
    if text.strip() == "*":
        return None
    return tuple(_prefix(part.strip()) for part in text.split(","))


def _prefix(text: str) -> Prefix:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"{text!r} is no prefix") from error
    bits, mask = int(network.network_address), int(network.netmask)
    if network.version == 4:
        bits, mask = bits | MAPPED, mask | ((1 << 128) - (1 << 32))
    halves = (1 << 64) - 1
    return Prefix((mask >> 64, mask & halves), (bits >> 64, bits & halves))


class Links:
    """All rules; tells each packet's way: `2 * link`, plus 1 in reverse, or `NO_WAY`."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.names: tuple[str, ...] = tuple(dict.fromkeys(rule.link for rule in self.rules))
        self._place = {link: place for place, link in enumerate(self.names)}

    def ways(self, packets: Packets, headers: Headers) -> Ints:
        """Classify a batch: (packets,)."""
        ways = np.full(len(packets), NO_WAY)
        for rule in self.rules:
            if rule.port and rule.port != packets.port:
                continue
            forward, reverse = self._match(rule, packets, headers)
            way = 2 * self._place[rule.link]
            ways[(ways == NO_WAY) & forward] = way
            ways[(ways == NO_WAY) & reverse] = way + 1
            if (ways != NO_WAY).all():
                break
        return ways

    def _match(
        self, rule: Rule, packets: Packets, headers: Headers
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        if rule.by_direction:
            return packets.outgoing == int(rule.is_out), packets.outgoing == int(not rule.is_out)
        is_ip = headers.source.any(axis=1) | headers.target.any(axis=1)
        forward = _any(rule.near, headers.source) & _any(rule.far, headers.target) & is_ip
        reverse = _any(rule.far, headers.source) & _any(rule.near, headers.target) & is_ip
        return forward, reverse


def _any(prefixes: Sequence[Prefix] | None, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
    if prefixes is None:
        return np.ones(len(addresses), bool)
    held = np.zeros(len(addresses), bool)
    for prefix in prefixes:
        held |= prefix.holds(addresses)
    return held
