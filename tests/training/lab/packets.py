"""Datagrams between the ends of a link, counted at the other end."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from training.lab.network import Network

PORT = 9000


class Way:
    """One way over a link."""

    def __init__(self, sender: socket.socket, receiver: socket.socket) -> None:
        self._sender, self._receiver = sender, receiver

    def send(self, count: int, size: int = 100) -> None:
        """Send datagrams of this many bytes at once; errors that ICMP brings back are dropped."""
        for _ in range(count):
            try:
                self._sender.send(bytes(size))
            except OSError:
                continue

    def received(self, seconds: float = 0.2) -> int:
        """Count what comes until nothing has come for this long; some 200 wait to be counted."""
        self._receiver.settimeout(seconds)
        count = 0
        while True:
            try:
                self._receiver.recv(2048)
            except TimeoutError:
                return count
            count += 1

    def complaint(self, seconds: float = 2.0) -> str:
        """Give the error that an ICMP message brings back to who sends, or nothing."""
        self._sender.settimeout(0.05)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                self._sender.send(b"?")
                self._sender.recv(100)
            except TimeoutError:
                continue
            except OSError as error:
                return type(error).__name__ + f" {error.errno}"
        return ""

    def passes(self, seconds: float = 10.0) -> bool:
        """Say whether anything arrives within so long; a port that came up is waited for."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.send(1)
            if self.received(0.05):
                return True
        return False


@contextmanager
def ways(network: Network) -> Iterator[dict[str, Way]]:
    """Give both ways over a link, `forward` and `reverse`."""
    caller = network.call(network.caller, lambda: _bound(network.caller_address))
    callee = network.call(network.callee, lambda: _bound(network.callee_address))
    with caller, callee:
        caller.connect((network.callee_address, PORT))
        callee.connect((network.caller_address, PORT))
        yield {"forward": Way(caller, callee), "reverse": Way(callee, caller)}


def _bound(address: str) -> socket.socket:
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain.bind((address, PORT))
    return plain


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Poll until it holds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False
