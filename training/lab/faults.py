"""What is done to a link: faults put in force and cleared."""

import json
import time

from .effects import KINDS, Effect, Place
from .load import Load, offered
from .namespaces import LabError
from .network import Network
from .plan import Kind, Phase, Run


class Faults:
    """What is in force on one link."""

    def __init__(self, network: Network, load: Load, run: Run) -> None:
        self._network = network
        self._load = load
        gateway = network.callee_address.rpartition(".")[0] + ".1"
        self._place = Place(network.callee_address, gateway, offered(run.load))
        self._now = Phase(seconds=1)
        self._policed = 0  # packets that were dropped before this phase
        check_together(run)

    def _effects(self, phase: Phase) -> list[Effect]:
        return _effects(phase, self._place)

    def apply(self, phase: Phase) -> tuple[int, int]:
        """Clear what is in force and put a phase's faults in force.

        Gives the Unix time in ms before the first command and after the last one.
        """
        old, new = self._effects(self._now), self._effects(phase)
        command_ms = _now_ms()
        self._revive(phase)
        self._network.ip(self._network.callee, [line for e in old for line in e.uncallee])
        self._network.ip(
            self._network.router,
            [line for e in old for line in e.unrouter] + [line for e in new for line in e.router],
        )
        self._network.tc(
            [line for e in old for line in e.unshaping] + [line for e in new for line in e.shaping]
        )
        rules = [f"add rule inet lab forward {rule}" for e in new for rule in e.rules]
        self._network.filter("\n".join(["flush chain inet lab forward", *rules, ""]))
        self._network.ip(self._network.callee, [line for e in new for line in e.callee])
        self._harm(phase)
        start_ms = _now_ms()
        self._now = phase
        self._policed = self._policed_packets()
        return command_ms, start_ms

    def _revive(self, phase: Phase) -> None:
        """Let the callee's programs live again, unless they are to stay as they are."""
        was, now = _peers(self._now), _peers(phase)
        if was == {Kind.PEER_HUNG} != now:
            self._load.resume_callee()
        if phase.restart and not now:
            self._load.kill_callee()
        if now != {Kind.PEER_DEAD}:
            self._load.start_callee()  # those that are dead

    def _harm(self, phase: Phase) -> None:
        """Kill or stop the callee's programs if a phase wants it."""
        if Kind.PEER_DEAD in _peers(phase):
            self._load.kill_callee()
        elif Kind.PEER_HUNG in _peers(phase):
            self._load.stop_callee()

    def limiter(self) -> tuple[int, int]:
        """Give the packets that the limits dropped in this phase, and those that wait now."""
        kinds = {fault.kind for fault in self._now.faults}
        dropped = waiting = 0
        if kinds & {Kind.SHAPER, Kind.QUEUE}:
            said = self._network.run(self._network.router, ["tc", "-j", "-s", "qdisc", "show"])
            # What a class drops is counted by the root as well.
            roots = [queue for queue in json.loads(said) if queue.get("root")]
            dropped = sum(queue["drops"] for queue in roots)
            waiting = sum(queue["qlen"] for queue in roots)
        if Kind.POLICER in kinds:
            dropped += self._policed_packets() - self._policed
        return dropped, waiting

    def _policed_packets(self) -> int:
        argv = ["nft", "-j", "list", "counter", "inet", "lab", "policer"]
        said = json.loads(self._network.run(self._network.router, argv))
        return sum(
            int(item["counter"]["packets"]) for item in said["nftables"] if "counter" in item
        )


def check_together(run: Run) -> None:
    """See that what each phase of a run wants can be had together.

    Raises:
        LabError: if it can't.
    """
    anywhere = Place("10.0.0.2", "10.0.0.1", offered(run.load))
    for place, phase in enumerate(run.phases):
        taken: set[str] = set()
        for effect in _effects(phase, anywhere):
            if twice := taken & effect.taken:
                raise LabError(
                    f"run {run.name!r}, phase {place}: {min(twice)} can't be changed twice"
                )
            taken |= effect.taken


def _effects(phase: Phase, place: Place) -> list[Effect]:
    return [KINDS[fault.kind](fault, place) for fault in phase.faults]


def _peers(phase: Phase) -> set[Kind]:
    return {fault.kind for fault in phase.faults} & {Kind.PEER_DEAD, Kind.PEER_HUNG}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
