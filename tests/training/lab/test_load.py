"""A load starts or says why not, offers what its schedule says, and ends when told."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.training.lab.packets import wait_for
from training.lab.link import Link
from training.lab.load import offered
from training.lab.machine import able_traffic, look
from training.lab.namespaces import LabError
from training.lab.plan import Load, Phase, Rate, Run, Traffic
from training.lab.program import Program, Recipe, start

PER_SECOND = {Traffic.HTTP: 100.0, Traffic.BULK: 800.0}  # answers of HTTP vary: many are needed
OTHERS_PER_SECOND = 50.0
SECONDS, ENDING_SECONDS = 8, 8  # a call takes up to 7.5

# Serves a TCP port, but fails when it is started for the first so many times.
SHY = """
import pathlib, socket, sys, time
tries = pathlib.Path(sys.argv[1])
count = int(tries.read_text() or 0)
tries.write_text(str(count + 1))
if count < int(sys.argv[2]): sys.exit(f"not now: {count}")
server = socket.create_server(("127.0.0.1", 4444))
time.sleep(600)
"""


def a_link(number: int, traffic: Traffic, folder: Path, *, reverse: bool = False) -> Link:
    """Give a link with one stream."""
    load = Load(traffic, Rate(PER_SECOND.get(traffic, OTHERS_PER_SECOND)), reverse)
    return Link(number, Run("r", (load,), (Phase(60),)), folder / f"{number}", 3)


def carried(link: Link) -> tuple[int, int]:
    """Give the bytes that the router took in from the caller and from the callee."""
    argv = ["ip", "-j", "-s", "link", "show"]
    shown = json.loads(link.network.run(link.network.router, argv))
    taken = {port["ifname"]: port["stats64"]["rx"]["bytes"] for port in shown}
    return taken["r0"], taken["r1"]


@pytest.fixture(scope="module")
def busy(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Link]]:  # noqa: ARG001
    """Give links that offered each kind of traffic for a while, one of them in reverse."""
    able = able_traffic(look())
    folder = tmp_path_factory.mktemp("busy")
    links = {
        f"{traffic}": a_link(920 + i, traffic, folder) for i, traffic in enumerate(sorted(able))
    }
    links["reverse"] = a_link(919, Traffic.LOOKUP, folder, reverse=True)
    with ExitStack() as closing:
        for link in links.values():
            closing.callback(link.close)
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(Link.open, links.values()))
        _offer(list(links.values()))
        yield links


def _offer(links: list[Link]) -> None:
    begun = time.monotonic()
    for second in range(SECONDS):
        for link in links:
            link.set_rates(second)
        time.sleep(max(0.0, begun + second + 1 - time.monotonic()))
    for link in links:
        for program in link.load.programs:
            program.set_rate(0)
    time.sleep(ENDING_SECONDS)


@pytest.mark.parametrize("name", [*Traffic, "reverse"])
def test_a_load_weighs_what_it_is_said_to(busy: dict[str, Link], name: str) -> None:
    """Limits are sized by it."""
    if name not in busy:
        pytest.skip(f"this machine has no program for {name}")
    mean = offered(busy[name].run.load)

    forward, reverse = carried(busy[name])

    assert forward / SECONDS == pytest.approx(mean.forward, rel=0.3)
    # Acknowledgements of a bulk transfer are few, and what else is there isn't nothing then.
    assert reverse / SECONDS == pytest.approx(mean.reverse, rel=0.3, abs=300)
    assert busy[name].dead() == []


def test_a_program_that_ended_is_told(busy: dict[str, Link]) -> None:
    """Its run is worth nothing, and is repeated."""
    link = busy["lookup"]
    victim = link.load.programs[-1]
    assert link.dead() == []
    os.kill(victim.pid, signal.SIGKILL)

    assert wait_for(lambda: not victim.alive)
    assert link.dead() == ["caller-lookup-0"]


def test_nothing_of_a_closed_link_runs(busy: dict[str, Link]) -> None:
    """Also not when it is closed twice, or while it hangs."""
    link = busy["reverse"]
    link.load.stop_callee()
    pids = [program.pid for program in link.load.programs]
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)

    link.close()
    link.close()

    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not any(Path("/run/netns", name).exists() for name in link.network.namespaces)


def test_what_was_due_while_a_caller_hung_is_not_made_up_for(
    busy: dict[str, Link], tmp_path: Path
) -> None:
    """Its storm would be the lab's and not the network's: 200 calls of three packets at once."""
    if Traffic.QUICK_CALL not in busy:
        pytest.skip("this machine has no sipp")
    load = (Load(Traffic.QUICK_CALL, Rate(100), reverse=True),)
    with Link(918, Run("r", load, (Phase(60),)), tmp_path, 3) as link:
        link.set_rates(0)
        assert wait_for(lambda: packets(link) > 30)
        link.load.stop_callee()
        time.sleep(2)
        before = packets(link)
        link.load.resume_callee()
        time.sleep(0.5)

        assert 30 < packets(link) - before < 400


def packets(link: Link) -> int:
    """Give the packets that the router took in from the callee."""
    argv = ["ip", "-j", "-s", "link", "show", "r1"]
    shown = json.loads(link.network.run(link.network.router, argv))
    return int(shown[0]["stats64"]["rx"]["packets"])


def shy(link: Link, folder: Path, times: int) -> Program:
    """Give a program that doesn't start so many times."""
    (folder / "tries").write_text("")
    argv = ("python3", "-c", SHY, str(folder / "tries"), str(times))
    return Program(Recipe("shy", link.network.caller, argv, tcp=(4444,)), link.network, folder)


@pytest.mark.parametrize("times", [0, 3])
def test_a_start_is_tried_again_and_counted(link: Link, tmp_path: Path, times: int) -> None:
    """SIPp fails to start about once in a hundred."""
    program = shy(link, tmp_path, times)
    try:
        assert start([program]) == times
        assert program.serves()
    finally:
        program.close()


def test_what_never_starts_is_said_with_its_last_words(link: Link, tmp_path: Path) -> None:
    """Who reads it knows what to mend."""
    program = shy(link, tmp_path, 4)
    try:
        with pytest.raises(LabError, match=r"shy in awlab-900-caller .* 4 starts: .*not now: 3"):
            start([program])
    finally:
        program.close()


def test_what_lives_but_does_not_serve_is_no_start(link: Link, tmp_path: Path) -> None:
    """A program that hangs as it starts would look like a dead link."""
    recipe = Recipe("mute", link.network.caller, ("sleep", "600"), udp=(5,))
    program = Program(recipe, link.network, tmp_path)
    try:
        with pytest.raises(LabError, match=r"mute in .* doesn't serve after 4 starts"):
            start([program], start_seconds=0.1)
    finally:
        program.close()


def test_streams_add_up_in_each_direction() -> None:
    """In reverse, who is asked is the caller."""
    lookup, reverse = (Load(Traffic.LOOKUP, Rate(10), reverse=r) for r in (False, True))

    one, other, both = (offered(load) for load in ((lookup,), (reverse,), (lookup, reverse)))

    assert (one.forward, one.reverse) == (other.reverse, other.forward)
    assert both.forward == both.reverse == one.forward + one.reverse
