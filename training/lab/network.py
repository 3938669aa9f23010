"""The network of one link: caller, router and callee, joined by two cables.

    caller a0 ───── r0 router r1 ───── b0 callee
             access              core

Forward is from the caller to the callee. Faults are put into the router, so the access side sees
what is offered and the core side what is left of it.
"""

import array
import fcntl
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from .namespaces import PREFIX, Inside, LabError, command, sweep

HIGHEST = 7999  # link number that still has addresses of its own
RULES = """
table inet lab {
    counter policer { }
    chain forward { type filter hook forward priority 0; policy accept; }
}
"""
# A peer that is gone is given up after 25 s and tried again after 1, 3 and 7 s, as programs with
# time-outs of their own do; the kernel's defaults are a quarter of an hour and two minutes.
SETTINGS = {
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
    "ipv4/ip_forward": "1",
    "ipv4/tcp_retries2": "6",
    "ipv4/tcp_syn_retries": "3",
    "ipv4/tcp_tw_reuse": "1",
}
SIOCETHTOOL = 0x8946
# Set-commands of linux/ethtool.h: received and sent checksums, TSO, GSO, GRO. With these on, the
# kernel hands 64 KiB super-packets from one end to the other, which no wire carries.
OFFLOADS = (0x15, 0x17, 0x1F, 0x24, 0x2C)

T = TypeVar("T")


class Network:
    """Three namespaces; made by `open`, gone after `close`."""

    def __init__(self, number: int) -> None:
        if not 0 <= number <= HIGHEST:
            raise LabError(f"link {number}: numbers go from 0 to {HIGHEST}")
        self.caller = f"{PREFIX}{number}-caller"
        self.router = f"{PREFIX}{number}-router"
        self.callee = f"{PREFIX}{number}-callee"
        second, third = 64 + number // 125, 2 * (number % 125)
        self._access = f"10.{second}.{third}"
        self._core = f"10.{second}.{third + 1}"
        self.caller_address = f"{self._access}.2"
        self.callee_address = f"{self._core}.2"
        self.inside = Inside()

    @property
    def namespaces(self) -> tuple[str, str, str]:
        """Their names."""
        return self.caller, self.router, self.callee

    def open(self) -> None:
        """Make the namespaces, the cables between them, addresses, routes and an empty filter.

        Raises:
            LabError: if this machine doesn't let us; what was made so far goes with `close`.
        """
        caller, router, callee = self.namespaces
        self._ip(
            [
                *(f"netns add {name}" for name in self.namespaces),
                f"link add a0 netns {caller} type veth peer name r0 netns {router}",
                f"link add r1 netns {router} type veth peer name b0 netns {callee}",
            ]
        )
        self._settle(caller, {"a0": f"{self._access}.2"}, f"{self._access}.1")
        self._settle(callee, {"b0": f"{self._core}.2"}, f"{self._core}.1")
        self._settle(router, {"r0": f"{self._access}.1", "r1": f"{self._core}.1"})
        self.filter(RULES)

    def _settle(self, namespace: str, ports: dict[str, str], gateway: str = "") -> None:
        """Give a namespace its settings, addresses and route."""
        self.call(namespace, lambda: adjust(tuple(ports)))
        lines = ["link set lo up"]
        for port, address in ports.items():
            lines += [f"address add {address}/24 dev {port}", f"link set {port} up"]
        if gateway:
            lines.append(f"route add default via {gateway}")
        self.ip(namespace, lines)

    def call(self, namespace: str, function: Callable[[], T]) -> T:
        """Call a function inside a namespace, in the thread that lives as long as the link."""
        return self.inside.call(namespace, function)

    def run(self, namespace: str, argv: Sequence[str], text: str = "") -> str:
        """Run a command inside a namespace and give what it printed."""
        return self.call(namespace, lambda: command(argv, text))

    def ip(self, namespace: str, lines: Sequence[str]) -> None:
        """Give lines to `ip` inside a namespace."""
        if lines:
            self.run(namespace, ["ip", "-batch", "-"], "\n".join([*lines, ""]))

    def tc(self, lines: Sequence[str]) -> None:
        """Give lines to `tc` inside the router."""
        if lines:
            self.run(self.router, ["tc", "-batch", "-"], "\n".join([*lines, ""]))

    def filter(self, rules: str) -> None:
        """Give rules to `nft` inside the router: all of them at once, or none."""
        self.run(self.router, ["nft", "-f", "-"], rules)

    def _ip(self, lines: Sequence[str]) -> None:
        command(["ip", "-batch", "-"], "\n".join([*lines, ""]))

    def close(self) -> None:
        """Kill whatever runs inside and remove it. Safe to call twice."""
        try:
            sweep(self.namespaces)
        finally:
            self.inside.close()


def adjust(ports: Sequence[str]) -> None:
    """Write the settings of the namespace that this thread is in, and turn offloads off.

    Raises:
        LabError: if the machine doesn't let one be set.
    """
    for name, value in SETTINGS.items():
        path = Path("/proc/sys/net", name)
        if path.exists():  # a kernel without IPv6 has none of its settings
            try:
                path.write_text(value)
            except OSError as error:  # such as a container's, which is read-only
                raise LabError(f"{path} can't be set: {error}") from error
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for port in ports:
            for offload in OFFLOADS:
                _turn_off(any_socket, port, offload)


def _turn_off(any_socket: socket.socket, port: str, offload: int) -> None:
    value = array.array("B", struct.pack("II", offload, 0))
    request = struct.pack("16sP", port.encode(), value.buffer_info()[0])
    try:
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)
    except OSError as error:
        raise LabError(f"offload {offload:#x} of {port} can't be turned off: {error}") from error
