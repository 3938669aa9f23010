"""Packets in bulk: one buffer with many frames, and where each begins.

Everything downstream works on whole batches with NumPy; no packet ever becomes an object.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]

PAD = bytes(64)  # behind a buffer, so that a fixed header may be gathered at any frame's end


class ProbeError(ValueError):
    """Packets or counters can't be read; the message says from where, and why."""


class LinkType(IntEnum):
    """How frames begin, by the numbers of https://www.tcpdump.org/linktypes.html."""

    NULL = 0  # 4 bytes of address family, in the byte order of the host that captured
    ETHERNET = 1
    RAW = 101  # an IP packet
    LOOP = 108  # as NULL, in network byte order
    COOKED = 113  # Linux "any" interface
    IPV4 = 228
    IPV6 = 229
    COOKED_2 = 276


@dataclass(frozen=True, slots=True)
class Packets:
    """A batch of frames, all of one link type, from one port."""

    data: bytes  # the frames and whatever lies between them, then PAD
    link_type: LinkType
    port: str  # the interface that saw them; "" where that isn't known
    offset: Ints  # (packets,) where each frame begins in data
    captured: Ints  # (packets,) bytes of it that are there
    length: Ints  # (packets,) bytes it had on the wire, layer 2
    time_ns: Ints  # (packets,) Unix time
    outgoing: NDArray[np.int8]  # (packets,) 1 sent by this host, 0 received, -1 not known

    def __len__(self) -> int:
        return len(self.offset)
