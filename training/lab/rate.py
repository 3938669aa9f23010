"""The rate that a program offers, set while it runs through a control port on loopback.

The datagram `cset rate 20` sets it to 20 a second, in the words of SIPp's control port; `counts`
is answered with what was counted, in JSON. Like all that `traffic` runs, this imports nothing but
the standard library.
"""

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import cast

LATEST_SECONDS = 1.0  # arrivals that a stopped or starved process missed by more are left out
SET = b"cset rate "


class Rate(asyncio.DatagramProtocol):
    """The offered rate, as the control port was last told (0 at first), and what was counted."""

    def __init__(self) -> None:
        self.per_second = 0.0
        self.counts: Counter[str] = Counter()
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a new rate, or tell the counts; anything else is passed over."""
        if data.strip() == b"counts":
            self._transport.sendto(json.dumps(self.counts).encode(), addr)
        elif data.startswith(SET):
            with contextlib.suppress(ValueError):
                self.per_second = max(0.0, float(data[len(SET) :]))
                self._changed.set()

    async def arrivals(self, draw: random.Random) -> AsyncIterator[None]:
        """Give the moments of a Poisson process of this rate, however that changes."""
        last = time.monotonic()
        while True:
            left = draw.expovariate(1.0)  # expected arrivals until the next one
            while left > 0:
                self._changed.clear()
                rate = self.per_second
                due = last + left / rate if rate else float("inf")
                await self._pause(due - time.monotonic())
                now = min(due, time.monotonic())
                left = 0.0 if now == due else left - (now - last) * rate
                last = now
            last = max(last, time.monotonic() - LATEST_SECONDS)
            yield

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until the rate changes."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                limit = None if seconds == float("inf") else seconds
                await asyncio.wait_for(self._changed.wait(), limit)
