"""A TCP proxy on loopback that breaks the connection between a broker and its clients.

`Broker.pause` and `kill` break the broker; this breaks the network, and leaves the broker
reachable for others. With an SSL context it is also the TLS end that a test broker lacks. A new
fault is a method that changes what `_pump` or `_serve` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

LOOPBACK = "127.0.0.1"
PIECE_BYTES = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 s: closing sends a reset

T = TypeVar("T")


def free_port() -> int:
    """Find a port on loopback that nobody has.

    Below the range from which systems take ports for outgoing connections, so that it is still
    free later, and while a broker that has it is down.
    """
    while True:
        # Not seeded, or test runs side by side would ask for the same ones.
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


class Proxy:
    """Passes bytes between `port` and *target_port* until told otherwise.

    It works in a thread of its own; each method returns once it has taken effect. While
    *target_port* is None, or nobody listens there, clients are reset.
    """

    def __init__(
        self, target_port: int | None = None, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.port = free_port()
        self.target_port = target_port
        self._tls = tls
        self._delay_seconds = 0.0
        self._server: asyncio.Server | None = None  # None while cut
        self._serving: set[asyncio.Task[None]] = set()  # one for each client
        self.taken = 0  # connections since the beginning
        self._passing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.resume()

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._serving)

    def cut(self) -> None:
        """Reset all connections and refuse new ones."""
        self._run(self._cut())

    def stall(self) -> None:
        """Keep connections, take new ones, and pass nothing on, not even that one was closed."""
        self._passing.clear()
        self._run(self._listen())

    def delay(self, seconds: float) -> None:
        """Hold each piece (64 KiB or less, either way) for *seconds* before it is passed on."""
        self._delay_seconds = seconds

    def resume(self) -> None:
        """Take connections and pass everything on at once, first what was held back."""
        self._delay_seconds = 0.0
        self._loop.call_soon_threadsafe(self._passing.set)
        self._run(self._listen())

    def stop(self) -> None:
        """Cut everything for good and free the port. Safe to call twice."""
        if self._loop.is_closed():
            return
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    async def _listen(self) -> None:
        if not self._server:
            self._server = await asyncio.start_server(
                self._serve, LOOPBACK, self.port, ssl=self._tls
            )

    async def _cut(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        serving = set(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        self.taken += 1
        task.add_done_callback(self._serving.discard)
        ends = [writer]
        try:
            await self._passing.wait()
            if not self._server or not self.target_port:  # cut during the TLS handshake
                raise ConnectionRefusedError
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.target_port)
            ends.append(far_writer)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, far_writer))
                pumps.create_task(self._pump(far_reader, writer))
        except* (OSError, asyncio.CancelledError):
            for end in ends:
                await _reset(end)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            await self._passing.wait()
            writer.write(piece)
            await writer.drain()
        await self._passing.wait()
        # Sends what is left, and makes the other direction end too.
        writer.close()


async def _reset(end: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # reset by the other side already
        end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        end.transport.abort()
        await end.wait_closed()
