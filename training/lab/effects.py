"""What each kind of fault does to a link.

A kind of fault is a function that gives its effect: what `nft`, `tc` and `ip` are told, and how
the first is undone. A new kind is one function and one line in KINDS (and a word in the plan).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .load import Offered
from .plan import Direction, Fault, Kind

EGRESS = {Direction.FORWARD: "r1", Direction.REVERSE: "r0"}  # the router's port of departure
LARGEST_BYTES = 1514  # a frame of layer 2: one that exceeds a limit's burst never passes
BURST_SECONDS = 0.05
SHAPER_SECONDS = 0.2  # what waits at most in a shaper; 4 large packets are always let wait
QUEUE_SECONDS, QUEUE_LEAST, QUEUE_MOST = 2.0, 50, 2000  # what waits in a queue; packets
USUAL_BYTES = 500  # of a packet, to count a queue in packets


@dataclass(frozen=True, slots=True)
class Effect:
    """What puts one fault in force, and what ends it; rules need no ending, they are replaced."""

    rules: tuple[str, ...] = ()  # of the router's forward chain
    shaping: tuple[str, ...] = ()  # for tc in the router
    unshaping: tuple[str, ...] = ()
    router: tuple[str, ...] = ()  # for ip in the router
    unrouter: tuple[str, ...] = ()
    callee: tuple[str, ...] = ()  # for ip in the callee
    uncallee: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()  # what can't be had twice: a port's qdisc, a route, a peer


@dataclass(frozen=True, slots=True)
class Place:
    """What an effect depends on besides its fault."""

    callee_address: str
    gateway: str  # of the callee
    offered: Offered

    def limit(self, fault: Fault, direction: Direction) -> int:
        """Give the bytes a second that a limit lets through."""
        mean = self.offered.forward if direction is Direction.FORWARD else self.offered.reverse
        return max(1, round(mean * fault.level))


def _block(fault: Fault, _place: Place) -> Effect:
    return Effect(rules=tuple(f"oifname {port} counter drop" for _, port in _ways(fault)))


def _loss(fault: Fault, _place: Place) -> Effect:
    last = max(1, round(fault.level * 10_000)) - 1  # nft refuses "< 10000": always true
    rule = f"numgen random mod 10000 <= {last} counter drop"
    return Effect(rules=tuple(f"oifname {port} {rule}" for _, port in _ways(fault)))


def _policer(fault: Fault, place: Place) -> Effect:
    # nft counts layer 3, 14 bytes less a packet than the rate is sized by, and lets a second's
    # worth and the burst pass at once.
    rules = []
    for direction, port in _ways(fault):
        rate = place.limit(fault, direction)
        over = f"limit rate over {rate} bytes/second burst {_burst(rate)} bytes"
        rules.append(f"oifname {port} {over} counter name policer drop")
    return Effect(rules=tuple(rules))


def _shaper(fault: Fault, place: Place) -> Effect:
    lines = []
    for direction, port in _ways(fault):
        rate = place.limit(fault, direction)
        burst = _burst(rate)
        limit = burst + max(round(rate * SHAPER_SECONDS), 4 * LARGEST_BYTES)
        lines.append(
            f"qdisc add dev {port} root tbf rate {rate * 8}bit burst {burst} limit {limit}"
        )
    return _shaping(fault, lines)


def _queue(fault: Fault, place: Place) -> Effect:
    lines = []
    for direction, port in _ways(fault):
        rate = place.limit(fault, direction)
        most = min(max(round(rate * QUEUE_SECONDS / USUAL_BYTES), QUEUE_LEAST), QUEUE_MOST)
        speed = f"rate {rate * 8}bit ceil {rate * 8}bit"
        burst = f"burst {_burst(rate)} cburst {_burst(rate)} quantum {LARGEST_BYTES}"
        lines += [
            f"qdisc add dev {port} root handle 1: htb default 10",
            f"class add dev {port} parent 1: classid 1:10 htb {speed} {burst}",
            f"qdisc add dev {port} parent 1:10 pfifo limit {most}",
        ]
    return _shaping(fault, lines)


def _shaping(fault: Fault, lines: Sequence[str]) -> Effect:
    ports = [port for _, port in _ways(fault)]
    return Effect(
        shaping=tuple(lines),
        unshaping=tuple(f"qdisc del dev {port} root" for port in ports),
        taken=frozenset(f"the queue of {port}" for port in ports),
    )


def _carrier_loss(_fault: Fault, place: Place) -> Effect:
    # A port that goes down takes its routes with it.
    up = ("link set b0 up", f"route replace default via {place.gateway}")
    return Effect(
        callee=("link set b0 down",), uncallee=up, taken=frozenset({"the callee's port"})
    )


def _port_down(_fault: Fault, _place: Place) -> Effect:
    return Effect(
        router=("link set r1 down",),
        unrouter=("link set r1 up",),
        taken=frozenset({"the router's port"}),
    )


def _route(kind: str) -> Callable[[Fault, Place], Effect]:
    def effect(_fault: Fault, place: Place) -> Effect:
        route = f"{kind} {place.callee_address}/32"
        return Effect(
            router=(f"route add {route}",),
            unrouter=(f"route del {route}",),
            taken=frozenset({"the route to the callee"}),
        )

    return effect


def _peer(_fault: Fault, _place: Place) -> Effect:
    return Effect(taken=frozenset({"the callee's programs"}))  # the load sees to them


KINDS: dict[Kind, Callable[[Fault, Place], Effect]] = {
    Kind.BLOCK: _block,
    Kind.CARRIER_LOSS: _carrier_loss,
    Kind.PORT_DOWN: _port_down,
    Kind.PEER_DEAD: _peer,
    Kind.PEER_HUNG: _peer,
    Kind.BLACKHOLE: _route("blackhole"),
    Kind.PROHIBIT: _route("prohibit"),
    Kind.SHAPER: _shaper,
    Kind.QUEUE: _queue,
    Kind.POLICER: _policer,
    Kind.LOSS: _loss,
}


def _ways(fault: Fault) -> list[tuple[Direction, str]]:
    """Give the directions in which a fault works, each with the port that packets leave by."""
    return [
        (direction, port)
        for direction, port in EGRESS.items()
        if fault.direction in (Direction.BOTH, direction)
    ]


def _burst(rate: int) -> int:
    return max(2 * LARGEST_BYTES, round(rate * BURST_SECONDS))
