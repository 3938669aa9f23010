"""Each fault does to real packets what it says, and its end leaves nothing of it."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.lab.packets import Way, ways
from training.lab.effects import KINDS
from training.lab.link import Link
from training.lab.namespaces import LabError
from training.lab.plan import LIMITS, Direction, Fault, Kind, Load, Phase, Rate, Run, Traffic
from training.lab.traffic import LOOKUP_PORT

NOTHING = Phase(60)
CLOSED = {  # which ways a kind leaves without any packets
    Kind.BLOCK: {"forward", "reverse"},
    Kind.CARRIER_LOSS: {"forward", "reverse"},
    Kind.PORT_DOWN: {"forward", "reverse"},
    Kind.BLACKHOLE: {"forward"},
    Kind.PROHIBIT: {"forward"},
}


@pytest.fixture
def both(link: Link) -> Iterator[dict[str, Way]]:
    """Give both ways over a link that is as it should be, before and after."""
    with ways(link.network) as both:
        assert all(way.passes() for way in both.values())
        yield both
        link.apply(NOTHING)
        assert all(way.passes() for way in both.values())


def faulty(*faults: Fault) -> Phase:
    """Give a phase with these faults."""
    return Phase(60, faults)


def test_every_kind_has_an_effect() -> None:
    """A plan may name any of them."""
    assert set(KINDS) == set(Kind)


@pytest.mark.parametrize("kind", CLOSED)
def test_a_closed_way_lets_nothing_through(link: Link, both: dict[str, Way], kind: Kind) -> None:
    """The other way stays open, and all is open again afterwards."""
    link.apply(faulty(Fault(kind)))
    for way in both.values():
        way.received(0.05)  # what was on its way before
        way.send(20)

    open_ways = {name for name, way in both.items() if way.received()}

    assert open_ways == {"forward", "reverse"} - CLOSED[kind]


@pytest.mark.parametrize("direction", [Direction.FORWARD, Direction.REVERSE])
def test_a_block_has_a_direction(link: Link, both: dict[str, Way], direction: Direction) -> None:
    """Answers still come when only questions are blocked, if there were any."""
    link.apply(faulty(Fault(Kind.BLOCK, direction)))
    for way in both.values():
        way.send(20)

    assert {name: way.received() for name, way in both.items()} == {
        name: 0 if name == direction else 20 for name in both
    }


def test_a_prohibited_route_says_so(link: Link, both: dict[str, Way]) -> None:
    """Who sends gets an ICMP error; a blackhole is silent."""
    link.apply(faulty(Fault(Kind.PROHIBIT)))
    prohibited = both["forward"].complaint()
    link.apply(faulty(Fault(Kind.BLACKHOLE)))

    assert prohibited == "OSError 113"  # no route to host
    assert both["forward"].complaint(0.5) == ""


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_loss_drops_its_share(link: Link, both: dict[str, Way], share: float) -> None:
    """Of 2000, three times the standard deviation is less than 70."""
    link.apply(faulty(Fault(Kind.LOSS, Direction.FORWARD, share)))
    arrived = 0
    for _ in range(20):
        both["forward"].send(100)
        arrived += both["forward"].received(0.05)
    both["reverse"].send(50)

    assert abs(arrived - 2000 * (1 - share)) < 70
    assert both["reverse"].received() == 50


def test_a_shaper_lets_some_wait_and_drops_the_rest(link: Link, both: dict[str, Way]) -> None:
    """Its counters say so: every packet was dropped, waits or arrived."""
    link.apply(faulty(Fault(Kind.SHAPER, Direction.FORWARD, 1.0)))  # 8.4 kB/s
    both["forward"].send(40, 1000)
    dropped, queued = link.limiter()

    arrived = both["forward"].received(0.5)

    assert dropped > 20
    assert queued > 0
    assert dropped + arrived == 40
    assert link.limiter() == (dropped, 0)


def test_a_queue_lets_them_wait_for_long(link: Link, both: dict[str, Way]) -> None:
    """Nothing is dropped that fits into it, and it is paced."""
    link.apply(faulty(Fault(Kind.QUEUE, Direction.FORWARD, 2.0)))  # 16.8 kB/s
    begun = time.monotonic()
    both["forward"].send(40, 1000)
    dropped, queued = link.limiter()

    assert dropped == 0
    assert queued > 30
    assert both["forward"].received(0.5) == 40
    assert 1.5 < time.monotonic() - begun - 0.5 < 4


def test_a_policer_drops_at_once_and_lets_none_wait(link: Link, both: dict[str, Way]) -> None:
    """Its counter begins anew with each phase."""
    for _ in range(2):
        link.apply(faulty(Fault(Kind.POLICER, Direction.FORWARD, 1.0)))
        both["forward"].send(40, 1000)
        arrived = both["forward"].received()
        dropped, queued = link.limiter()

        assert 0 < arrived < 20  # a second's worth, and the burst
        assert dropped == 40 - arrived
        assert queued == 0
        link.apply(NOTHING)


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_the_largest_packet_passes_the_lowest_limit(
    link: Link, both: dict[str, Way], kind: Kind
) -> None:
    """A burst that is smaller than a packet would make a limit a block."""
    link.apply(faulty(Fault(kind, level=0.001)))
    for way in both.values():
        way.send(1, 1472)

    assert [way.received() for way in both.values()] == [1, 1]


def test_faults_work_together(link: Link, both: dict[str, Way]) -> None:
    """Two limits on one way, and all lost on the other."""
    limits = (Fault(Kind.SHAPER, level=1.0), Fault(Kind.POLICER, Direction.FORWARD, 1.0))
    link.apply(faulty(*limits, Fault(Kind.LOSS, Direction.REVERSE, 1.0)))
    for way in both.values():
        way.send(40, 1000)

    assert 0 < both["forward"].received() < 20
    assert both["reverse"].received() == 0
    assert link.limiter()[0] > 20


@pytest.mark.parametrize(
    "faults",
    [
        (Fault(Kind.SHAPER, level=0.5), Fault(Kind.QUEUE, Direction.FORWARD, 0.5)),
        (Fault(Kind.BLACKHOLE), Fault(Kind.PROHIBIT)),
        (Fault(Kind.PEER_DEAD), Fault(Kind.PEER_HUNG)),
    ],
)
def test_what_cannot_be_had_together_is_refused_at_once(
    tmp_path: Path, faults: tuple[Fault, ...]
) -> None:
    """Not in the middle of a night's recording."""
    run = Run("r", (Load(Traffic.LOOKUP, Rate(1)),), (NOTHING, Phase(1, faults)))

    with pytest.raises(LabError, match=r"run 'r', phase 1: .* can't be changed twice"):
        Link(901, run, tmp_path, 0)


def answered(link: Link, seconds: float = 1.0) -> str:
    """Ask the callee's program something, and say what came."""
    network = link.network
    asker = network.call(network.caller, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with asker:
        asker.settimeout(seconds)
        asker.connect((network.callee_address, LOOKUP_PORT))
        asker.send(b"who\0")
        try:
            return asker.recv(500).rstrip(b"\0").decode()
        except OSError as error:
            return type(error).__name__


@pytest.mark.usefixtures("both")
def test_a_dead_peer_refuses_and_lives_again(link: Link) -> None:
    """Its machine lives, so what is asked of the program comes back as an ICMP error."""
    link.apply(faulty(Fault(Kind.PEER_DEAD)))
    dead = answered(link), link.dead()
    link.apply(NOTHING)

    assert dead == ("ConnectionRefusedError", [])  # dead as wanted isn't dead unexpectedly
    assert answered(link) == "who"


@pytest.mark.usefixtures("both")
def test_a_hung_peer_is_silent_and_goes_on(link: Link) -> None:
    """It is the same program afterwards."""
    before = [program.pid for program in link.load.programs]
    link.apply(faulty(Fault(Kind.PEER_HUNG)))
    hung = answered(link), link.dead()
    link.apply(NOTHING)

    assert hung == ("TimeoutError", [])
    assert answered(link) == "who"
    assert [program.pid for program in link.load.programs] == before


@pytest.mark.usefixtures("both")
def test_a_restart_is_a_new_program(link: Link) -> None:
    """Only the callee's: the caller goes on asking."""
    before = {program.name: program.pid for program in link.load.programs}
    link.apply(Phase(60, restart=True))

    after = {program.name: program.pid for program in link.load.programs}
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"callee-serve"}
    assert answered(link) == "who"


@pytest.mark.usefixtures("both")
def test_when_it_was_done_is_told(link: Link) -> None:
    """The truth of a recording is made of these."""
    before = time.time_ns() // 10**6
    command_ms, start_ms = link.apply(faulty(Fault(Kind.BLOCK)))
    after = time.time_ns() // 10**6

    assert before <= command_ms <= start_ms <= after
