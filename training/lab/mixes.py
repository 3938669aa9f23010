"""What flows over a drawn run's link: families of traffic, and how their rates move.

A family is one line of `FAMILIES`. The first of its streams makes it what it is; without the
traffic of that one there is no such family, while others can be missing.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from .chance import Evenly, Range, choose, within, within_log
from .plan import Change, Form, Load, Rate, Traffic


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a family."""

    traffic: Traffic
    share: float  # of the run's scale for this sort of traffic
    reverse: bool = False
    often: float = 1.0  # the share of runs that have it


FAMILIES = {
    "A": (
        Stream(Traffic.CALL, 0.5),
        Stream(Traffic.REGISTER, 0.3),
        Stream(Traffic.OPTIONS, 0.2),
    ),
    "B": (Stream(Traffic.QUICK_CALL, 0.8), Stream(Traffic.OPTIONS, 0.2)),
    "C": (
        Stream(Traffic.REGISTER, 0.75),
        Stream(Traffic.CALL, 0.15),
        Stream(Traffic.OPTIONS, 0.1),
    ),
    "D": (
        Stream(Traffic.CALL, 0.4),
        Stream(Traffic.CALL, 0.3, reverse=True),
        Stream(Traffic.OPTIONS, 0.15),
        Stream(Traffic.OPTIONS, 0.15, reverse=True),
    ),
    "H": (Stream(Traffic.HTTP, 1.0), Stream(Traffic.BULK, 1.0, often=0.7)),
    "L": (Stream(Traffic.LOOKUP, 1.0), Stream(Traffic.HTTP, 0.5, often=0.5)),
    "T": (Stream(Traffic.CALL_TCP, 0.8), Stream(Traffic.OPTIONS, 0.2, often=0.5)),
    "X": (
        Stream(Traffic.CALL, 0.35),
        Stream(Traffic.HTTP, 0.5),
        Stream(Traffic.OPTIONS, 0.15),
    ),
}

SIP: Range = (0.3, 40)  # transactions a second of all of a run's SIP streams; 8 on average
SCALES: dict[Traffic, Range] = {
    Traffic.HTTP: (1, 6),
    Traffic.BULK: (100, 500),  # kbit/s
    Traffic.LOOKUP: (2, 60),
}
STEADY = {Traffic.OPTIONS, Traffic.BULK}  # their rates stay constant: machines make them

FORMS = [
    (0.15, Form.CONSTANT),
    (0.25, Form.DIURNAL),
    (0.30, Form.WALK),
    (0.15, Form.BURSTY),
    (0.15, Form.ON_OFF),
]
PERIODS: dict[Form, Range] = {Form.DIURNAL: (120, 900), Form.ON_OFF: (20, 120)}  # seconds
DEPTHS: list[tuple[float, Range]] = [(0.7, (0.3, 0.8)), (0.3, (0.9, 0.9))]  # the last: nights

CHANGE_SECONDS: Range = (20, 60)
FACTORS: list[tuple[float, Range]] = [(0.5, (2.0, 2.5)), (0.5, (0.0, 0.25))]  # surges, drops
CALM_SECONDS = 60  # at the start of a run, without changes
CHANGED = 0.6  # the share of stretches that have a change


def families(traffic: Collection[Traffic]) -> list[str]:
    """List the families that can be made of this traffic."""
    return [name for name, streams in FAMILIES.items() if streams[0].traffic in traffic]


def draw_load(
    family: str, traffic: Collection[Traffic], evenly: Evenly, changes: tuple[Change, ...]
) -> tuple[Load, ...]:
    """Draw the streams of one run: their rates lie evenly over the scales of its family."""
    numbers: dict[Range, float] = {}  # one for each scale: all SIP streams go up and down as one
    moving = draw_moving(evenly, changes)
    loads = []
    for stream in FAMILIES[family]:
        if stream.traffic not in traffic or evenly.number("often", family) > stream.often:
            continue
        scale = SCALES.get(stream.traffic, SIP)
        number = numbers.setdefault(scale, evenly.number(family, scale))
        rate = Rate(0.0) if stream.traffic in STEADY else moving
        mean = float(f"{stream.share * within_log(scale, number):.3g}")
        loads.append(Load(stream.traffic, replace(rate, per_second=mean), stream.reverse))
    return tuple(loads)


def draw_moving(evenly: Evenly, changes: tuple[Change, ...]) -> Rate:
    """Draw how the rates of a run move; its mean is left open."""
    form, _ = choose(FORMS, evenly.number("form"))
    rate = Rate(0.0, form, changes=changes)
    if form in PERIODS:
        period = within_log(PERIODS[form], evenly.number("period", form))
        rate = replace(rate, period=float(round(period)))
    if form is Form.DIURNAL:
        bounds, into = choose(DEPTHS, evenly.number("depth"))
        rate = replace(rate, depth=round(within(bounds, into), 2))
    return rate


def draw_changes(
    seconds: float, each_seconds: float, rng: np.random.Generator
) -> tuple[Change, ...]:
    """Draw a legitimate surge or drop into most stretches of *each_seconds* of a run."""
    changes = []
    longest = CHANGE_SECONDS[1]
    for begin in range(CALM_SECONDS, int(seconds - 2 * longest), int(each_seconds)):
        if rng.random() > CHANGED:
            continue
        end = min(begin + each_seconds, seconds) - longest  # the next one begins after it
        bounds, into = choose(FACTORS, rng.random())
        changes.append(
            Change(
                start=float(int(rng.uniform(begin, end))),  # not rounded up beyond the end
                seconds=float(round(rng.uniform(*CHANGE_SECONDS))),
                factor=round(within(bounds, into), 2),
            )
        )
    return tuple(changes)
