"""What this machine can do for the lab: each thing is really tried, in a scratch namespace.

Kernels lack queueing disciplines, containers lack rights, and programs aren't installed. A plan
is to keep to what works here; `able_kinds` and `able_traffic` say what that is.
"""

import os
import shutil
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from .namespaces import SCRATCH, LabError, call_in, command, sweep
from .network import adjust
from .plan import Kind, Traffic

TABLE = "add table inet t\nadd chain inet t c {{ type filter hook forward priority 0; }}\n{}\n"
LIMIT = "add rule inet t c limit rate over 9000 bytes/second burst 3028 bytes counter drop"
RANDOM = "add rule inet t c numgen random mod 10000 < 100 counter drop"
HTB = (
    "qdisc add dev c0 root handle 1: htb default 10",
    "class add dev c0 parent 1: classid 1:10 htb rate 80000bit ceil 80000bit burst 3028",
    "qdisc add dev c0 parent 1:10 pfifo limit 50",
)
PROBED_PROTOCOL = 0x0300  # ETH_P_ALL, in network byte order


@dataclass(frozen=True, slots=True)
class Ability:
    """Something that the lab may need of a machine."""

    what: str
    works: bool
    why_not: str = ""


def look() -> list[Ability]:
    """Try everything and say what works."""
    name = f"{SCRATCH}{os.getpid()}"
    try:
        first = _tried("namespaces", lambda: _namespaces(name))
        inside = [
            _tried(what, partial(attempt, name))
            if first.works
            else Ability(what, works=False, why_not="there are no namespaces to try it in")
            for what, attempt in ATTEMPTS.items()
        ]
    finally:
        sweep([name])
    return [first, *inside, *(_tried(program, partial(_find, program)) for program in PROGRAMS)]


def able_kinds(abilities: Collection[Ability]) -> frozenset[Kind]:
    """Give the faults that can be put in force."""
    works = _works(abilities)
    return frozenset(kind for kind in Kind if works >= {*BASE, *KIND_NEEDS.get(kind, ())})


def able_traffic(abilities: Collection[Ability]) -> frozenset[Traffic]:
    """Give the traffic that can be offered."""
    works = _works(abilities)
    return frozenset(kind for kind in Traffic if works >= {*BASE, *TRAFFIC_NEEDS.get(kind, ())})


def _works(abilities: Collection[Ability]) -> set[str]:
    return {ability.what for ability in abilities if ability.works}


def _tried(what: str, attempt: Callable[[], None]) -> Ability:
    try:
        attempt()
    except (LabError, OSError) as error:
        return Ability(what, works=False, why_not=str(error))
    return Ability(what, works=True)


def _namespaces(name: str) -> None:
    lines = (
        f"netns add {name}",
        f"link add c0 netns {name} type veth peer name c1 netns {name}",
    )
    command(["ip", "-batch", "-"], "\n".join([*lines, ""]))
    command(["ip", "-n", name, "-batch", "-"], "address add 10.0.0.1/24 dev c0\nlink set c0 up\n")
    call_in(name, partial(adjust, ("c0", "c1")))
    call_in(name, partial(command, ["nft", "-j", "list", "ruleset"]))


def _watching(name: str) -> None:
    raw = (socket.AF_PACKET, socket.SOCK_RAW, PROBED_PROTOCOL)
    call_in(name, lambda: socket.socket(*raw)).close()


def _find(program: str) -> None:
    if shutil.which(program) is None:
        raise LabError(f"{program} isn't installed")


def _filter(rule: str) -> Callable[[str], None]:
    def attempt(name: str) -> None:
        rules = TABLE.format(rule) + "delete table inet t\n"
        call_in(name, lambda: command(["nft", "-f", "-"], rules))

    return attempt


def _queueing(*lines: str) -> Callable[[str], None]:
    def attempt(name: str) -> None:
        batch = "\n".join([*lines, "qdisc del dev c0 root", ""])
        call_in(name, lambda: command(["tc", "-batch", "-"], batch))

    return attempt


def _route(kind: str) -> Callable[[str], None]:
    def attempt(name: str) -> None:
        lines = f"route add {kind} 10.9.9.9/32\nroute del {kind} 10.9.9.9/32\n"
        command(["ip", "-n", name, "-batch", "-"], lines)

    return attempt


ATTEMPTS: dict[str, Callable[[str], None]] = {
    "watching": _watching,
    "drop": _filter("add rule inet t c counter drop"),
    "limit": _filter(LIMIT),
    "random drop": _filter(RANDOM),
    "tbf": _queueing("qdisc add dev c0 root tbf rate 80000bit burst 3028 limit 10000"),
    "htb": _queueing(*HTB),
    "blackhole route": _route("blackhole"),
    "prohibit route": _route("prohibit"),
}
PROGRAMS = ("sipp", "nginx")
BASE = ("namespaces", "watching", "drop")  # no link without these
KIND_NEEDS = {
    Kind.POLICER: ("limit",),
    Kind.LOSS: ("random drop",),
    Kind.SHAPER: ("tbf",),
    Kind.QUEUE: ("htb",),
    Kind.BLACKHOLE: ("blackhole route",),
    Kind.PROHIBIT: ("prohibit route",),
}
TRAFFIC_NEEDS = {
    Traffic.CALL: ("sipp",),
    Traffic.QUICK_CALL: ("sipp",),
    Traffic.REGISTER: ("sipp",),
    Traffic.OPTIONS: ("sipp",),
    Traffic.HTTP: ("nginx",),
}
