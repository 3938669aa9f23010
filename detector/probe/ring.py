"""Packets from a live interface, through a ring that the kernel fills (AF_PACKET, TPACKET_V3).

Needs CAP_NET_RAW and nothing else. Source: packet(7), and
https://docs.kernel.org/networking/packet_mmap.html for the layout of the ring.
"""

import ctypes
import fcntl
import mmap
import socket
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from .packets import PAD, LinkType, Packets, ProbeError

SOL_PACKET, ADD_MEMBERSHIP, RX_RING, STATISTICS, VERSION = 263, 1, 5, 6, 10
SIOCGIFNAME = 0x8910
TPACKET_V3, ETH_P_ALL, PROMISCUOUS, OUTGOING = 2, 3, 1, 4
SO_ATTACH_FILTER, RETURN = 26, 0x06  # a classic BPF program of one instruction: keep so many
BLOCK = 1 << 20  # bytes; the kernel hands over whole blocks ...
HAND_OVER_MS = 50  # ... and, unless told otherwise, one that isn't full after so long
FRAME = 2048
SNAPLEN = 2048
KERNEL, USER = 0, 1  # who owns a block
VLAN_VALID = 1 << 4
HEADER = 48  # of a frame; behind it the address, which tells whether it was sent or received
LINK_TYPES = {1: LinkType.ETHERNET, 772: LinkType.ETHERNET, 65534: LinkType.RAW, 512: LinkType.RAW}
LOOPBACK = 772
_BLOCK_HEAD = struct.Struct("=IIIII")  # version, offset, status, packets, offset of the first
_NEXT = struct.Struct("=I").unpack_from


class Ring:
    """One interface's packets.

    Attributes:
        interface: its name.
        dropped: packets for which the ring had no room, so far.
        hand_over_ms: how long the kernel keeps a packet back at most.
        down: how often the interface was found to be down.
    """

    def __init__(
        self,
        interface: str,
        *,
        megabytes: int = 16,
        snaplen: int = SNAPLEN,
        promiscuous: bool = False,
        hand_over_ms: int = HAND_OVER_MS,
    ) -> None:
        """Open the ring; packets are kept from now on.

        Raises:
            ProbeError: if there is no such interface, it isn't one of packets, or the right to
                listen to it is missing.
        """
        self.interface, self.hand_over_ms = interface, hand_over_ms
        self.dropped = self.down = 0
        self._blocks, self._turn = megabytes, 0
        self._memory: Any = None
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError as error:
            raise ProbeError(
                f"{interface}: listening needs CAP_NET_RAW: run as root, or give it to the service"
            ) from error
        try:
            self._open(snaplen, promiscuous)
        except OSError as error:
            self.close()
            raise ProbeError(f"{interface}: can't listen: {error.strerror or error}") from error
        except ProbeError:
            self.close()
            raise

    def _open(self, snaplen: int, promiscuous: bool) -> None:
        ours = self._socket
        number = self._number = socket.if_nametoindex(self.interface)
        instruction = ctypes.create_string_buffer(struct.pack("=HBBI", RETURN, 0, 0, snaplen))
        program = struct.pack("@HP", 1, ctypes.addressof(instruction))
        ours.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        ours.setsockopt(SOL_PACKET, VERSION, TPACKET_V3)
        frames = BLOCK // FRAME * self._blocks
        request = struct.pack("=7I", BLOCK, self._blocks, FRAME, frames, self.hand_over_ms, 0, 0)
        ours.setsockopt(SOL_PACKET, RX_RING, request)
        self._memory = mmap.mmap(ours.fileno(), BLOCK * self._blocks)
        # Bound last: before, packets of all interfaces would come.
        ours.bind((self.interface, ETH_P_ALL))
        if promiscuous:
            wish = struct.pack("=iHH8s", number, PROMISCUOUS, 0, b"")
            ours.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, wish)
        hardware = ours.getsockname()[3]
        if hardware not in LINK_TYPES:
            raise ProbeError(
                f"{self.interface}: interfaces of hardware type {hardware} aren't read"
            )
        self._link_type, self._is_loopback = LINK_TYPES[hardware], hardware == LOOPBACK

    def fileno(self) -> int:
        """Give the descriptor that `select` and `poll` wait for."""
        return self._socket.fileno()

    def read(self) -> Iterator[Packets]:
        """Give what the kernel has handed over, a batch a block; waits for nothing.

        Raises:
            ProbeError: if the interface is no more. One that is down is silent, and that is the
                truth; of one that is gone nothing is known.
        """
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.down += 1
            self._check_there()
        for _ in range(self._blocks):
            start = self._turn * BLOCK
            _, _, status, count, first = _BLOCK_HEAD.unpack_from(self._memory, start)
            if not status & USER:
                break
            batch = self._batch(start, count, first) if count else None
            struct.pack_into("=I", self._memory, start + 8, KERNEL)
            self._turn = (self._turn + 1) % self._blocks
            if batch is not None:
                yield batch
        counts = self._socket.getsockopt(SOL_PACKET, STATISTICS, 12)
        self.dropped += struct.unpack("=III", counts)[1]  # reading sets it to 0

    def _check_there(self) -> None:
        # Asked of the socket: it may be of another network namespace than this process is in.
        request = struct.pack("=16si20x", b"", self._number)
        try:
            fcntl.ioctl(self._socket, SIOCGIFNAME, request)
        except OSError as error:
            raise ProbeError(f"{self.interface}: the interface is gone") from error

    def _batch(self, start: int, count: int, first: int) -> Packets:
        data = self._memory[start : start + BLOCK]
        records, at = [], first
        for _ in range(count):
            records.append(at)
            at += _NEXT(data, at)[0]
        place = np.array(records, np.int64)
        raw = np.frombuffer(data, np.uint8)
        head = raw[place[:, None] + np.arange(HEADER)].view(np.uint32)
        seconds, nanos, captured, length, status = (
            head[:, n].astype(np.int64) for n in range(1, 6)
        )
        inside = head[:, 6].astype(np.int64) & 0xFFFF  # where in the record the frame begins
        tagged = status & VLAN_VALID > 0  # the kernel took the VLAN tag's four bytes out
        outgoing = (raw[place + HEADER + 10] == OUTGOING).astype(np.int8)
        if self._is_loopback:  # every packet is there twice, sent and received
            kept: Any = outgoing == 0
            outgoing = np.full(len(place), -1, np.int8)
        else:
            kept = slice(None)
        return Packets(
            data=data + PAD,
            link_type=self._link_type,
            port=self.interface,
            offset=(place + inside)[kept],
            captured=captured[kept],
            length=(length + 4 * tagged)[kept],
            time_ns=(seconds * 10**9 + nanos)[kept],
            outgoing=outgoing[kept],
        )

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        if self._memory is not None:
            self._memory.close()
        self._socket.close()
