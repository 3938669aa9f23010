"""Plans drawn from a seed: every fault under many loads, and much that is normal.

Runs with faults come in rounds. In each round every theme has a run of its own, in which each of
its faults is made once in every direction, and each round gives every theme another family of
traffic; one mixed run has faults of several themes, two at once and one directly after another.

A run is named `s7_T_policer_012`: seed, family, theme, place in the plan. So patterns as
`anchorwatch train --leave-out` takes them part the runs by what is to be new in judging:

    *_T_*                       a family of traffic
    *_policer_* and *_mixed_*   kinds of faults (a mixed run may hold any)
    *[05]                       every fifth run
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain, count, cycle, product
from typing import TypeVar

import numpy as np
from msgspec import ValidationError, convert, to_builtins
from msgspec.structs import replace

from .chance import Evenly, Range, choose, within, within_log
from .mixes import draw_changes, draw_load, families
from .plan import DIRECTED, LIMITS, Direction, Fault, Kind, Phase, Plan, PlanError, Run, Traffic

NORMAL, MIXED = "normal", "mixed"  # themes without faults, and with those of several

THEMES = {
    "block": (Kind.BLOCK,),
    "port": (Kind.CARRIER_LOSS, Kind.PORT_DOWN),
    "peer": (Kind.PEER_DEAD, Kind.PEER_HUNG),
    "route": (Kind.BLACKHOLE, Kind.PROHIBIT),
    "shaper": (Kind.SHAPER,),
    "queue": (Kind.QUEUE,),
    "policer": (Kind.POLICER,),
    "loss": (Kind.LOSS,),
}

T = TypeVar("T")
Sort = tuple[Kind, Direction]  # what is to be met under every load
Event = tuple[tuple[Sort, ...], ...]  # faults at once, and directly after them the next ones

# At once, where one doesn't hide the other and both fit on a link: one limit to a port.
PAIRS: tuple[tuple[Sort, Sort], ...] = (
    ((Kind.BLOCK, Direction.FORWARD), (Kind.LOSS, Direction.REVERSE)),
    ((Kind.BLOCK, Direction.REVERSE), (Kind.LOSS, Direction.FORWARD)),
    ((Kind.BLOCK, Direction.REVERSE), (Kind.SHAPER, Direction.FORWARD)),
    ((Kind.SHAPER, Direction.FORWARD), (Kind.LOSS, Direction.BOTH)),
    ((Kind.SHAPER, Direction.REVERSE), (Kind.LOSS, Direction.FORWARD)),
    ((Kind.SHAPER, Direction.FORWARD), (Kind.QUEUE, Direction.REVERSE)),
    ((Kind.QUEUE, Direction.BOTH), (Kind.LOSS, Direction.REVERSE)),
    ((Kind.POLICER, Direction.BOTH), (Kind.LOSS, Direction.BOTH)),
    ((Kind.POLICER, Direction.FORWARD), (Kind.SHAPER, Direction.REVERSE)),
)

NORMAL_SECONDS: Range = (600, 1800)  # of a run without faults
STRETCH_SECONDS: Range = (250, 900)  # between an operator's restarts in it, where there are any
RESTARTED = 0.35  # the share of these runs that have restarts
CHANGE_SECONDS = 400  # about so often its load surges or drops; a run with faults does so once

FIRST_SECONDS: Range = (45, 70)  # normal, before the first fault
BETWEEN_SECONDS: Range = (45, 60)  # normal, after a fault: retransmissions go on for up to 31 s
FAULT_SECONDS: list[tuple[float, Range]] = [(0.83, (40, 90)), (0.14, (3, 8)), (0.03, (300, 600))]

LIMIT_LEVELS: list[tuple[float, Range]] = [(0.85, (0.2, 0.85)), (0.15, (0.9, 1.5))]
LOSS_LEVELS: Range = (0.005, 0.4)


def draw(
    name: str,
    seed: int,
    *,
    hours_normal: float,
    hours_faults: float,
    kinds: Collection[Kind] = tuple(Kind),
    traffic: Collection[Traffic] = tuple(Traffic),
    longest: float = 600.0,
) -> Plan:
    """Draw a plan of so many hours of runs, the last of those with faults going over if need be.

    No fault lasts more than *longest* seconds. Runs are in random order, so that of any that
    go side by side some have faults and some don't.

    Raises:
        PlanError: if there is nothing to draw: no hours, no kinds, or no family of the traffic;
            or if *name* isn't one that a plan may have.
    """
    rng = np.random.default_rng(seed)
    drawer = _Drawer(rng, traffic, longest)
    runs = list(drawer.normal_runs(hours_normal))
    if kinds:
        runs += _take(hours_faults, drawer.faulty_runs(kinds))
    if not runs:
        raise PlanError("nothing to do: give hours, and kinds of faults if there are to be any")
    order = rng.permutation(len(runs)).tolist()
    named = (
        replace(runs[at], name=f"s{seed}_{runs[at].name}_{place:03d}")
        for place, at in enumerate(order)
    )
    try:
        return convert(to_builtins(Plan(name, tuple(named), seed)), Plan)
    except ValidationError as error:
        raise PlanError(str(error)) from error


def sorts(kinds: Collection[Kind]) -> list[Sort]:
    """List kinds with each of the directions they have, in the order of `Kind`."""
    every = product((kind for kind in Kind if kind in kinds), Direction)
    return [sort for sort in every if sort[0] in DIRECTED or sort[1] is Direction.BOTH]


def _take(hours: float, runs: Iterator[Run]) -> Iterator[Run]:
    left = hours * 3600
    while left > 0:
        run = next(runs)
        yield run
        left -= run.seconds


class _Drawer:
    """Draws runs; they have no more than family and theme in their names yet."""

    def __init__(
        self, rng: np.random.Generator, traffic: Collection[Traffic], longest: float
    ) -> None:
        self._rng, self._evenly = rng, Evenly(rng)
        self._traffic, self._longest = traffic, longest
        self._families = self._shuffled(families(traffic))
        if not self._families:
            raise PlanError(f"no mix of traffic can be made of: {', '.join(traffic) or 'nothing'}")

    def normal_runs(self, hours: float) -> Iterator[Run]:
        """Draw runs without faults that fill *hours*."""
        number = round(hours * 3600 / (sum(NORMAL_SECONDS) / 2)) or int(hours > 0)
        lengths = [within(NORMAL_SECONDS, self._evenly.number(NORMAL)) for _ in range(number)]
        for length, family in zip(lengths, cycle(self._families), strict=False):
            seconds = max(1.0, float(round(length * hours * 3600 / sum(lengths))))
            is_restarted = self._evenly.number("restart") < RESTARTED
            phases = self._restarts(seconds) if is_restarted else (Phase(seconds),)
            yield self._run(family, NORMAL, phases, CHANGE_SECONDS)

    def faulty_runs(self, kinds: Collection[Kind]) -> Iterator[Run]:
        """Draw round after round, without end."""
        themes = {
            theme: found
            for theme, members in THEMES.items()
            if (found := sorts([kind for kind in members if kind in kinds]))
        }
        order = self._shuffled(themes) + [MIXED] * (len(themes) > 1)
        for turn in count():
            for place, theme in enumerate(order):
                family = self._families[(place + turn) % len(self._families)]
                if theme == MIXED:
                    events = self._mixture(list(themes.values()))
                else:
                    events = [((sort,),) for sort in self._shuffled(themes[theme])]
                phases = self._phases(events)
                yield self._run(family, theme, phases, sum(phase.seconds for phase in phases))

    def _run(
        self, family: str, theme: str, phases: tuple[Phase, ...], change_seconds: float
    ) -> Run:
        seconds = sum(phase.seconds for phase in phases)
        changes = draw_changes(seconds, change_seconds, self._rng)
        load = draw_load(family, self._traffic, self._evenly, changes)
        return Run(f"{family}_{theme}", load, phases, family)

    def _restarts(self, seconds: float) -> tuple[Phase, ...]:
        """Part a normal run at an operator's restarts of the callee's programs."""
        phases: list[Phase] = []
        while seconds > 0:
            stretch = round(self._rng.uniform(*STRETCH_SECONDS))
            if seconds - stretch < STRETCH_SECONDS[0]:
                stretch = round(seconds)
            phases.append(Phase(float(stretch), restart=bool(phases)))
            seconds -= stretch
        return tuple(phases)

    def _mixture(self, themes: list[list[Sort]]) -> list[Event]:
        """Draw pairs of faults at once, and two of different themes directly after another."""
        known = set(chain.from_iterable(themes))
        pairs = [pair for pair in PAIRS if known.issuperset(pair)]
        some = [(pairs[int(self._evenly.number("pair") * len(pairs))],) for _ in pairs[:2]]
        both = self._shuffled(themes)[:2]
        one_after_another = tuple((self._shuffled(theme)[0],) for theme in both)
        return self._shuffled([*some, one_after_another])

    def _phases(self, events: list[Event]) -> tuple[Phase, ...]:
        """Lay events out in time, with normal phases around them."""
        phases = [Phase(self._seconds(FIRST_SECONDS))]
        for event in events:
            for at_once in event:
                bounds, into = choose(FAULT_SECONDS, self._evenly.number("length"))
                seconds = min(float(round(within(bounds, into))), self._longest)
                phases.append(Phase(seconds, tuple(self._fault(sort) for sort in at_once)))
            phases.append(Phase(self._seconds(BETWEEN_SECONDS)))
        return tuple(phases)

    def _seconds(self, bounds: Range) -> float:
        return float(round(self._rng.uniform(*bounds)))

    def _fault(self, sort: Sort) -> Fault:
        kind, direction = sort
        if kind in LIMITS:
            bounds, into = choose(LIMIT_LEVELS, self._evenly.number(sort))
            return Fault(kind, direction, round(within(bounds, into), 2))
        if kind is Kind.LOSS:
            return Fault(kind, direction, within_log(LOSS_LEVELS, self._evenly.number(sort)))
        return Fault(kind, direction)

    def _shuffled(self, things: Iterable[T]) -> list[T]:
        listed = list(things)
        return [listed[at] for at in self._rng.permutation(len(listed))]
