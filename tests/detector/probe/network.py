"""Two network namespaces with a cable between them, for tests with real interfaces."""

import os
import shutil
import socket
import subprocess
import threading
import uuid
from pathlib import Path

import pytest

NEAR, FAR = "10.231.0.1", "10.231.0.2"


def why_not():
    """Say why namespaces can't be made here; "" if they can."""
    if shutil.which("ip") is None:
        return "needs the program ip"
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    name = f"awprobe-{uuid.uuid4().hex[:6]}"
    made = subprocess.run(
        ["ip", "netns", "add", name], capture_output=True, text=True, check=False
    )
    if made.returncode:
        return f"needs network namespaces: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=False)
    return ""


class Network:
    """Namespaces *near* and *far*; `eth0` in each is an end of the cable."""

    def __init__(self):
        self.near, self.far = (f"awprobe-{uuid.uuid4().hex[:6]}" for _ in range(2))
        self._takers = []
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self):
        for name in (self.near, self.far):
            ip("netns", "add", name)
        ip("link", "add", "eth0", "netns", self.near, "type", "veth",
           "peer", "name", "eth0", "netns", self.far)  # fmt: skip
        for name, address in ((self.near, NEAR), (self.far, FAR)):
            # No packets but the test's own: IPv6 would speak up by itself.
            self.call(name, _no_ipv6)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            for port in ("lo", "eth0"):
                ip("-n", name, "link", "set", port, "up")
        for name, other in ((self.near, self.far), (self.far, self.near)):
            peer = self.inside(other, "cat", "/sys/class/net/eth0/address").strip()
            address = FAR if name == self.near else NEAR
            ip("-n", name, "neigh", "replace", address, "lladdr", peer, "dev", "eth0")
        # Somebody has to take what is sent, else the kernel answers that nobody does.
        self._takers = [self.call(name, _take) for name in (self.near, self.far)]

    def inside(self, name, *command):
        """Run a command in a namespace and give what it printed."""
        whole = ["ip", "netns", "exec", name, *command]
        return subprocess.run(whole, check=True, capture_output=True, text=True).stdout

    def call(self, name, work):
        """Call a function in a namespace, from a thread of its own, and give what it gives."""
        found = []

        def run():
            with open(f"/run/netns/{name}") as space:  # noqa: PTH123  (a descriptor is needed)
                os_setns(space.fileno())
            try:
                found.append((work(), None))
            except Exception as error:
                found.append((None, error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        value, error = found[0]
        if error is not None:
            raise error
        return value

    def send(self, name, count, *, size=100, port=9000):
        """Send datagrams from a namespace to the other one."""
        target = FAR if name == self.near else NEAR

        def work():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
                for _ in range(count):
                    ours.sendto(bytes(size), (target, port))

        self.call(name, work)

    def close(self):
        """Take everything away."""
        for taker in self._takers:
            taker.close()
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], check=False)


def _no_ipv6():
    setting = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    if setting.exists():
        setting.write_text("1")


def _take():
    taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taker.bind(("", 9000))
    return taker


def ip(*arguments):
    """Run ip with these arguments."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def os_setns(descriptor):
    """Move this thread into a network namespace."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def network():
    """Give two namespaces with a cable between them."""
    if problem := why_not():
        pytest.skip(problem)
    made = Network()
    yield made
    made.close()
