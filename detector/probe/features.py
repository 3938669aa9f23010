"""The features of a row, one by one: name, unit, meaning.

The tables of `docs/features.md` are made from here: `python -m detector.probe.features PAGE`.

Each is there twice: `fwd_` for the packets that go forward over the link, `rev_` for those that
come back. A count is 0 where nothing of the kind was seen; a time is NaN where there was none.
"""

import sys
from pathlib import Path
from typing import NamedTuple


class Feature(NamedTuple):
    """One number of a row, for one direction."""

    name: str
    unit: str
    meaning: str


DIRECTIONS = ("fwd_", "rev_")
PACKET_FEATURES = (
    Feature("packets", "packets", "all packets of the link, whatever they hold"),
    Feature("bytes", "bytes", "their length on the wire, layer 2 header included, FCS not"),
    Feature("invite", "messages", "SIP INVITE requests, repeats included"),
    Feature("ack", "messages", "SIP ACK requests"),
    Feature("bye", "messages", "SIP BYE requests"),
    Feature("register", "messages", "SIP REGISTER requests"),
    Feature("options", "messages", "SIP OPTIONS requests"),
    Feature("cancel", "messages", "SIP CANCEL requests"),
    Feature("other_requests", "messages", "SIP requests of any other method"),
    *(
        Feature(f"{digit}xx", "messages", f"SIP responses {digit}00 to {digit}99")
        for digit in range(1, 7)
    ),
    Feature(
        "sip_retransmissions",
        "messages",
        "SIP messages of which the same first line, Call-ID and CSeq came within the last 40 s",
    ),
    Feature(
        "new_calls",
        "calls",
        "INVITE requests with a Call-ID not seen in one lately and without a tag in To",
    ),
    Feature("tcp_syn", "segments", "TCP segments with SYN, with or without ACK"),
    Feature("tcp_rst", "segments", "TCP segments with RST"),
    Feature("tcp_fin", "segments", "TCP segments with FIN"),
    Feature(
        "tcp_retransmissions",
        "segments",
        "TCP segments with payload, SYN or FIN that begin below the highest sequence number seen "
        "of their flow, keep-alives left out",
    ),
    Feature("tcp_payload_segments", "segments", "TCP segments with payload"),
    Feature(
        "icmp_errors",
        "packets",
        "ICMP destination unreachable, time exceeded, parameter problem; ICMPv6 types 1 to 4",
    ),
    Feature("interarrival_ms", "milliseconds", "mean time from the packet before to a packet"),
    Feature("interarrival_max_ms", "milliseconds", "longest of these times"),
    Feature(
        "response_ms",
        "milliseconds",
        "mean time from a SIP request that went this way to its first response, of the "
        "responses in this row",
    ),
)
COUNTER_FEATURES = (
    Feature("packets", "packets", "packets, as the interface counts them"),
    Feature("bytes", "bytes", "bytes, as the interface counts them"),
    Feature("errors", "packets", "packets that the interface could not receive or send"),
    Feature("drops", "packets", "packets that the host had no room for"),
)
PLACE = {feature.name: place for place, feature in enumerate(PACKET_FEATURES)}


def names(features: tuple[Feature, ...]) -> tuple[str, ...]:
    """List a row's columns: all features forward, then all in reverse."""
    return tuple(way + feature.name for way in DIRECTIONS for feature in features)


def renewed(page: str) -> str:
    """Give the text of `docs/features.md` with its tables made anew."""
    for name, features in (("packets", PACKET_FEATURES), ("counters", COUNTER_FEATURES)):
        lines = ["| name | unit | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{one.name}` | {one.unit} | {one.meaning} |" for one in features]
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        page = before + begin + "\n".join(lines) + "\n" + end + after
    return page


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text()))
