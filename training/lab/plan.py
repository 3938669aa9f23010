"""A plan: which runs the lab makes, each with its load and what is done to it when.

A plan is a small TOML file, drawn from a seed by `draw` or written by hand:

    name = "two-faults"
    seed = 7                        # of every random walk and burst in its load

    [[runs]]
    name = "calls-blocked"
    load = [
        { traffic = "call", rate = { form = "walk", per_second = 10 } },
        { traffic = "options", rate = { per_second = 2 }, reverse = true },
    ]
    phases = [
        { seconds = 60 },                                              # nothing is done: normal
        { seconds = 40, faults = [{ kind = "block", direction = "forward" }] },
        { seconds = 60 },
        { seconds = 80, faults = [{ kind = "shaper", level = 0.5 }] },  # half of the mean load
    ]
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec

# A run's name becomes part of links' and files' names; \Z, as $ lets a newline follow.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400 * 7)]
PerSecond = Annotated[float, msgspec.Meta(ge=0, le=2000)]


class PlanError(ValueError):
    """A plan can't be used; the message says which one, where, and why."""


class Traffic(StrEnum):
    """What flows over a link."""

    CALL = "call"  # INVITE, 100, 180, 200, ACK, BYE, 200; over UDP
    CALL_TCP = "call-tcp"  # the same over TCP
    QUICK_CALL = "quick-call"  # a call without provisional answers and hold time
    REGISTER = "register"  # REGISTER, 401, REGISTER, 200
    OPTIONS = "options"  # OPTIONS, 200
    HTTP = "http"  # new connections to nginx, open loop, answers of 1 to 64 KiB
    BULK = "bulk"  # one TCP connection; its rate is in kbit/s
    LOOKUP = "lookup"  # one UDP question, one answer, asked again after a second


class Form(StrEnum):
    """How an offered rate moves around its mean."""

    CONSTANT = "constant"
    DIURNAL = "diurnal"  # a sine of `period` and `depth`: night and day
    WALK = "walk"  # a slow random walk
    BURSTY = "bursty"  # short bursts of several times the rate
    ON_OFF = "on-off"


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A legitimate surge or drop of the offered rate: no fault."""

    start: Annotated[float, msgspec.Meta(ge=0)]  # seconds from the start of the run
    seconds: Seconds
    factor: Annotated[float, msgspec.Meta(ge=0, le=20)]


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An offered rate over time."""

    per_second: PerSecond  # the mean: calls, requests, connections, questions; kbit/s for bulk
    form: Form = Form.CONSTANT
    period: Seconds = 240.0  # of diurnal and on-off
    depth: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.6  # how far from the mean it goes
    changes: tuple[Change, ...] = ()


class Load(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One stream of traffic."""

    traffic: Traffic
    rate: Rate
    reverse: bool = False  # the callee asks and the caller answers


class Direction(StrEnum):
    """Which way a fault works: forward is from the caller to the callee."""

    BOTH = "both"
    FORWARD = "forward"
    REVERSE = "reverse"


class Kind(StrEnum):
    """What can be done to a link."""

    BLOCK = "block"  # the router drops
    CARRIER_LOSS = "carrier-loss"  # the callee's port goes down
    PORT_DOWN = "port-down"  # the router's port towards the callee goes down
    PEER_DEAD = "peer-dead"  # the callee's programs are killed, and started again afterwards
    PEER_HUNG = "peer-hung"  # they are stopped, and go on afterwards
    BLACKHOLE = "blackhole"  # a route that drops silently
    PROHIBIT = "prohibit"  # a route that answers with an ICMP error
    SHAPER = "shaper"  # token bucket with a queue (tbf)
    QUEUE = "queue"  # class with a rate and a long queue (htb, pfifo)
    POLICER = "policer"  # drops what exceeds a rate, no queue (nft limit)
    LOSS = "loss"  # drops packets at random


DIRECTED = {Kind.BLOCK, Kind.SHAPER, Kind.QUEUE, Kind.POLICER, Kind.LOSS}
LIMITS = {Kind.SHAPER, Kind.QUEUE, Kind.POLICER}


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that is done to a link."""

    kind: Kind
    direction: Direction = Direction.BOTH
    # Limits: share of the link's mean offered bytes a second. Loss: share of the packets.
    level: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A stretch of a run in which the same faults are in force; without any it is normal."""

    seconds: Seconds
    faults: tuple[Fault, ...] = ()
    restart: bool = False  # the callee's programs are restarted at its start, as an operator does


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One link with its load, and what is done to it."""

    name: Annotated[str, msgspec.Meta(pattern=NAME)]
    load: Annotated[tuple[Load, ...], msgspec.Meta(min_length=1, max_length=8)]
    phases: Annotated[tuple[Phase, ...], msgspec.Meta(min_length=1)]
    family: str = ""  # which mix it belongs to, for leaving whole ones out

    @property
    def seconds(self) -> float:
        """How long the run takes."""
        return sum(phase.seconds for phase in self.phases)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Runs; the lab decides how many go side by side."""

    name: Annotated[str, msgspec.Meta(pattern=NAME)]
    runs: Annotated[tuple[Run, ...], msgspec.Meta(min_length=1)]
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def kinds(self) -> frozenset[Kind]:
        """The faults that it makes."""
        phases = (phase for run in self.runs for phase in run.phases)
        return frozenset(fault.kind for phase in phases for fault in phase.faults)

    @property
    def traffic(self) -> frozenset[Traffic]:
        """What its load is made of."""
        return frozenset(stream.traffic for run in self.runs for stream in run.load)


def read(path: Path) -> Plan:
    """Read a plan and check that it makes sense.

    Raises:
        PlanError: if it can't be read, a setting is unknown or out of bounds, two runs have one
            name, a fault has a level or direction that its kind doesn't know, or lacks one.
    """
    try:
        plan = msgspec.toml.decode(path.read_bytes(), type=Plan)
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise PlanError(f"{path}: {error}") from error
    check(plan)
    return plan


def as_toml(plan: Plan) -> str:
    """Write a plan as people would: a line for each stream and each phase."""
    fields = msgspec.to_builtins(plan)
    lines = [f"{key} = {_inline(fields[key])}" for key in ("name", "seed")]
    for run in fields["runs"]:
        lines += ["", "[[runs]]"]
        for key in sorted(run, key=lambda key: isinstance(run[key], tuple)):  # these last
            if isinstance(run[key], tuple):
                lines += [f"{key} = [", *(f"    {_inline(item)}," for item in run[key]), "]"]
            else:
                lines.append(f"{key} = {_inline(run[key])}")
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    """Write a value on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # JSON writes the rest as TOML does, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def check(plan: Plan) -> None:
    """Check what the types can't.

    Raises:
        PlanError: as `read`.
    """
    names = [run.name for run in plan.runs]
    for run in plan.runs:
        if names.count(run.name) > 1:
            raise PlanError(f"run {run.name!r} is there twice")
        for place, phase in enumerate(run.phases):
            for fault in phase.faults:
                if why := _flaw(fault):
                    raise PlanError(f"run {run.name!r}, phase {place}: {why}")


def _flaw(fault: Fault) -> str:
    """Say what is wrong with a fault, if anything."""
    if fault.kind not in DIRECTED and fault.direction is not Direction.BOTH:
        return f"{fault.kind} has no direction"
    if fault.kind in LIMITS and fault.level <= 0:
        return f"{fault.kind} needs a level: its share of the mean load"
    if fault.kind is Kind.LOSS and not 0 < fault.level <= 1:
        return "loss needs a level between 0 and 1"
    if fault.kind not in LIMITS | {Kind.LOSS} and fault.level:
        return f"{fault.kind} has no level"
    return ""
