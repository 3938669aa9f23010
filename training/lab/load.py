"""The load of one run: which programs offer and answer its traffic, and what it weighs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .network import Network
from .plan import Load as Stream
from .plan import Run, Traffic
from .program import Program, start
from .recipes import OFFERS, Side, client, servers
from .schedule import Schedule

HEARD_SECONDS = 0.05  # until SIPp has surely heard what it was told
# Layer-2 bytes of one transaction (of one kbit for bulk): from who asks, from who answers.
WEIGHTS: dict[Traffic, tuple[float, float]] = {
    Traffic.CALL: (1310.0, 1570.0),
    Traffic.CALL_TCP: (1490.0, 1740.0),
    Traffic.QUICK_CALL: (1305.0, 921.0),
    Traffic.REGISTER: (974.0, 787.0),
    Traffic.OPTIONS: (347.0, 341.0),
    Traffic.HTTP: (990.0, 21000.0),
    Traffic.BULK: (131.5, 1.7),
    Traffic.LOOKUP: (84.0, 273.0),
}


@dataclass(frozen=True, slots=True)
class Offered:
    """What a load offers on average, as layer 2 counts it."""

    forward: float  # bytes a second
    reverse: float  # bytes a second


def offered(load: Sequence[Stream]) -> Offered:
    """Give the mean that a load offers in each direction, for sizing limits."""
    forward = reverse = 0.0
    for stream in load:
        asking, answering = (weight * stream.rate.per_second for weight in WEIGHTS[stream.traffic])
        forward += answering if stream.reverse else asking
        reverse += asking if stream.reverse else answering
    return Offered(forward, reverse)


class Load:
    """The programs of a run."""

    def __init__(self, network: Network, run: Run, folder: Path, seed: int) -> None:
        self._network = network
        self._draw = np.random.default_rng(seed)
        # Apart also from those of links whose seed is the next one.
        seeds = [int(own) for own in np.random.SeedSequence(seed).generate_state(len(run.load))]
        self._schedules = [
            Schedule(stream.rate, run.seconds, own)
            for stream, own in zip(run.load, seeds, strict=True)
        ]
        self._streams = run.load
        recipes = [
            recipe
            for reverse in (False, True)
            for recipe in servers(run.load, Side(network, folder, reverse))
        ]
        self._servers = [Program(recipe, network, folder) for recipe in recipes]
        self._clients = [
            Program(
                client(place, stream, Side(network, folder, stream.reverse), seeds[place]),
                network,
                folder,
            )
            for place, stream in enumerate(run.load)
        ]
        self.starts_repeated = 0  # of programs that didn't serve at first

    @property
    def programs(self) -> list[Program]:
        """All of them: those that answer, then those that ask."""
        return [*self._servers, *self._clients]

    def open(self) -> None:
        """Start everything and wait until it serves; nothing is offered until rates are set.

        Raises:
            LabError: if a program doesn't serve, also when started again.
        """
        self._start(self.programs)

    def _start(self, programs: Sequence[Program]) -> None:
        answering = [program for program in programs if program in self._servers]
        asking = [program for program in programs if program not in answering]
        self.starts_repeated += start(answering) + start(asking)
        for program in asking:
            program.repeat_rate()

    def set_rates(self, elapsed_seconds: float) -> None:
        """Offer from now on what the schedules say for this time; to be called each second."""
        pairs = zip(self._streams, self._schedules, strict=True)
        for program, (stream, schedule) in zip(self._clients, pairs, strict=True):
            rate = schedule.at(elapsed_seconds)
            program.set_rate(rate if stream.traffic in OFFERS else self._whole(rate))

    def _whole(self, rate: float) -> float:
        """Draw how many transactions begin in the next second, and give the rate for that.

        SIPp begins them evenly and forgets what was due when it is told a rate. With half a one
        more than drawn, the last is begun well before the next second, and a further one after.
        """
        count = self._draw.poisson(rate)
        return count + 0.5 if count else 0.0

    def kill_callee(self) -> None:
        """End the callee's programs."""
        for program in self._callees():
            program.kill()

    def start_callee(self) -> None:
        """Start those of the callee's programs that were killed, and wait until they serve."""
        self._start([program for program in self._callees() if not program.wanted])

    def stop_callee(self) -> None:
        """Let the callee's programs hang."""
        for program in self._callees():
            program.pause()  # else SIPp begins at once what was due meanwhile, when it goes on
        time.sleep(HEARD_SECONDS)
        for program in self._callees():
            program.stop()

    def resume_callee(self) -> None:
        """Let the callee's programs go on."""
        for program in self._callees():
            program.resume()
            program.repeat_rate()

    def _callees(self) -> list[Program]:
        return [p for p in self.programs if p.namespace == self._network.callee]

    def dead(self) -> list[str]:
        """Give the names of programs that ought to live and don't."""
        return [program.name for program in self.programs if program.wanted and not program.alive]

    def close(self) -> None:
        """End everything. Safe to call twice."""
        for program in self.programs:
            program.close()
