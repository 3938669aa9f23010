"""One program of a link's load: started until it serves, told its rate, killed, stopped.

A program that offers traffic listens on a control port on its namespace's loopback, in the words
of SIPp's: the datagram `cset rate 20` sets its rate to 20 a second.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .namespaces import LabError
from .network import Network

STARTS = 4  # once, and up to three times again: SIPp fails to start about once in a hundred
START_SECONDS = 10.0  # until it listens; it takes 0.1 s on an idle machine
POLL_SECONDS = 0.02
LISTENING, BOUND = 0x0A, 0x07  # states in /proc/net/tcp and /proc/net/udp


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to run where, and how to see that it serves."""

    name: str
    namespace: str
    argv: tuple[str, ...]
    udp: tuple[int, ...] = ()  # ports that it has bound once it serves
    tcp: tuple[int, ...] = ()  # ports on which it listens once it serves
    control: int = 0  # port that takes its rate; 0 = it offers nothing


class Program:
    """A process in a namespace. What it says goes to a file beside the others' of its link."""

    def __init__(self, recipe: Recipe, network: Network, folder: Path) -> None:
        self.name = recipe.name
        self.namespace = recipe.namespace
        self._recipe = recipe
        self._network = network
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._command = b""  # the last one
        self.wanted = False  # is it to live?

    def start(self) -> None:
        """Start it, without waiting until it serves."""
        self._process = self._network.call(self.namespace, self._spawn)
        self.wanted = True

    def _spawn(self) -> "subprocess.Popen[bytes]":
        # Killed with the lab, whatever ends that; what a missing setpriv lets live is swept away.
        tied = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
        with (self._folder / f"{self.name}.log").open("ab") as said:
            return subprocess.Popen(
                [*tied, *self._recipe.argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                cwd=self._folder,
                start_new_session=True,  # an interrupt from the keyboard is for the lab alone
            )

    @property
    def alive(self) -> bool:
        """Whether its process runs, be it stopped."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process; 0 if it was never started."""
        return self._process.pid if self._process else 0

    def serves(self) -> bool:
        """Whether it lives and listens on all its ports."""
        if not self.alive:
            return False
        udp, tcp = self._network.call(self.namespace, _listening)
        return self.alive and udp.issuperset(self._all_udp) and tcp.issuperset(self._recipe.tcp)

    @property
    def _all_udp(self) -> tuple[int, ...]:
        control = self._recipe.control
        return (*self._recipe.udp, control) if control else self._recipe.udp

    def set_rate(self, per_second: float) -> None:
        """Tell it what to offer from now on."""
        self._command = f"cset rate {per_second:.4f}".encode()
        self.repeat_rate()

    def repeat_rate(self) -> None:
        """Tell it once more; for one that was started again."""
        if self._command:
            self._tell(self._command)

    def pause(self) -> None:
        """Let it offer nothing until it is told a rate again."""
        self._tell(b"cset rate 0")

    def _tell(self, command: bytes) -> None:
        if not self._recipe.control:
            return
        if self._control is None:
            self._control = self._network.call(self.namespace, _datagrams)
        # One that is dead or just starting hears the next one.
        with contextlib.suppress(OSError):
            self._control.sendto(command, ("127.0.0.1", self._recipe.control))

    def stop(self) -> None:
        """Let it hang: it lives and does nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once. Safe to call twice."""
        self.wanted = False
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def close(self) -> None:
        """Kill it and let go of what is held for it."""
        self.kill()
        if self._control is not None:
            self._control.close()
            self._control = None

    def last_words(self) -> str:
        """Give how it ended and the end of what it said, for a message."""
        code = self._process.poll() if self._process else None
        with contextlib.suppress(OSError):
            said = (self._folder / f"{self.name}.log").read_text(errors="replace").strip()
            return f"exit code {code}: {said[-300:]!r}"
        return f"exit code {code}"


def start(programs: Sequence[Program], *, start_seconds: float = START_SECONDS) -> int:
    """Start programs, wait until all serve, and give how many starts had to be repeated.

    Raises:
        LabError: if one doesn't serve after the last try.
    """
    repeated = 0
    for program in programs:
        program.start()
    for left in range(STARTS - 1, -1, -1):
        lame = _wait(programs, start_seconds)
        if not lame:
            return repeated
        if not left:
            break
        for program in lame:
            program.kill()
            program.start()
        repeated += len(lame)
    raise LabError(
        f"{lame[0].name} in {lame[0].namespace} doesn't serve after {STARTS} starts: "
        f"{lame[0].last_words()}"
    )


def _wait(programs: Sequence[Program], seconds: float) -> list[Program]:
    """Wait until all of them serve or are dead; give those that don't serve."""
    until = time.monotonic() + seconds
    while True:
        lame = [program for program in programs if not program.serves()]
        if time.monotonic() >= until or not any(program.alive for program in lame):
            return lame
        time.sleep(POLL_SECONDS)


def _listening() -> tuple[set[int], set[int]]:
    """Give the UDP and the TCP ports that are served in the namespace that this thread is in."""
    return _ports("udp", BOUND), _ports("tcp", LISTENING)


def _ports(protocol: str, state: int) -> set[int]:
    lines = Path("/proc/thread-self/net", protocol).read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return {int(field[1].rpartition(":")[2], 16) for field in fields if int(field[3], 16) == state}


def _datagrams() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
