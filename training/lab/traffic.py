"""Traffic of our own: HTTP clients, a paced bulk transfer, questions over UDP, calls over TCP.

`python -m training.lab.traffic serve 10.0.0.2` answers questions and swallows bulk, `serve-calls`
answers calls; `http`, `bulk`, `lookup` or `calls` with `10.0.0.2 --control 8901 --seed 5` offers
traffic to such an address. All are open loop: what is offered depends on the rate alone, not on
how fast answers come. It imports nothing but the standard library, so that it starts fast.
"""

import argparse
import asyncio
import contextlib
import random
import socket
import time
from collections import Counter
from typing import cast

from .rate import Rate
from .trunk import hold_on, offer_calls, serve_calls

HTTP_PORT, BULK_PORT, LOOKUP_PORT = 8080, 7001, 7002
SIZES_KIB, WEIGHTS = (1, 4, 16, 64), (5, 4, 2, 1)  # of answers, drawn for each request
MOST_REQUESTS = 3  # on one connection
HTTP_SECONDS = 10.0  # after which a client gives up
MOST_IN_FLIGHT = 4096  # connections or questions; more aren't begun, but counted
TICK_SECONDS = 0.05  # of the bulk sender
AHEAD_BYTES = 65536  # waiting in the bulk sender; more isn't produced
OWED_SECONDS = 1.0  # of the bulk; what a full buffer kept from being sent for longer is left out
ASK_AGAIN_SECONDS, MOST_ASKS = 1.0, 4  # once, and again up to three times
ANSWER_BYTES = (60, 400)


async def offer_http(host: str, rate: Rate, draw: random.Random) -> None:
    """Open a connection at each arrival and ask for one to three files."""
    running: set[asyncio.Task[None]] = set()
    async for _ in rate.arrivals(draw):
        if len(running) >= MOST_IN_FLIGHT:
            rate.counts["left out"] += 1
            continue
        sizes = draw.choices(SIZES_KIB, WEIGHTS, k=draw.randint(1, MOST_REQUESTS))
        task = asyncio.create_task(_transaction(host, sizes, rate.counts))
        running.add(task)
        task.add_done_callback(running.discard)


async def _transaction(host: str, sizes: list[int], counts: Counter[str]) -> None:
    counts["begun"] += 1
    try:
        async with asyncio.timeout(HTTP_SECONDS):
            reader, writer = await asyncio.open_connection(host, HTTP_PORT)
            try:
                for size in sizes:
                    writer.write(
                        f"GET /{size}k HTTP/1.1\r\nHost: {host}\r\nUser-Agent: awlab/1.0\r\n"
                        "Accept: */*\r\n\r\n".encode()
                    )
                    await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(size * 1024)
            finally:
                writer.close()
    except TimeoutError:
        counts["timed out"] += 1
    except (OSError, asyncio.IncompleteReadError):
        counts["failed"] += 1
    else:
        counts["done"] += 1


async def offer_bulk(host: str, rate: Rate, _draw: random.Random) -> None:
    """Keep one connection and send at the rate, in kbit/s; connect again when it breaks."""
    while True:
        try:
            async with asyncio.timeout(HTTP_SECONDS):
                _, writer = await asyncio.open_connection(host, BULK_PORT)
        except OSError:  # a time-out is one of them
            rate.counts["failed"] += 1
        else:
            rate.counts["begun"] += 1
            await _send(writer, rate)
            writer.transport.abort()
        await asyncio.sleep(1.0)


async def _send(writer: asyncio.StreamWriter, rate: Rate) -> None:
    """Send until the connection breaks."""
    hold_on(writer)
    plain: socket.socket = writer.get_extra_info("socket")
    # So that a block is followed by a few hundred milliseconds of backlog, not by megabytes.
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, AHEAD_BYTES)
    owed, last = 0.0, time.monotonic()
    while not writer.is_closing():
        await asyncio.sleep(TICK_SECONDS)
        now = time.monotonic()
        per_second = rate.per_second * 1000 / 8
        owed = min(owed + per_second * (now - last), per_second * OWED_SECONDS)
        last = now
        room = AHEAD_BYTES - writer.transport.get_write_buffer_size()
        size = min(int(owed), room)
        if size > 0:
            writer.write(bytes(size))
            owed -= size
            rate.counts["bytes"] += size


class Asker(asyncio.DatagramProtocol):
    """Asks, asks again what wasn't answered after a second, and gives up after four times."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.open: set[bytes] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to ask."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def ask(self, question: bytes, asks: int = 1) -> None:
        """Ask, and see to it that it is asked again."""
        if asks == 1:
            self.open.add(question)
        elif question not in self.open:
            return
        if asks > MOST_ASKS:
            self.open.discard(question)
            self.counts["timed out"] += 1
            return
        self._transport.sendto(question)
        again = asyncio.get_running_loop().call_later
        again(ASK_AGAIN_SECONDS, self.ask, question, asks + 1)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002
        """Take an answer; it begins with the question."""
        question = data[: data.find(b"\0") + 1]
        if question in self.open:
            self.open.discard(question)
            self.counts["done"] += 1

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002
        """Count that nobody is there, and ask on."""
        self.counts["failed"] += 1


async def offer_lookup(host: str, rate: Rate, draw: random.Random) -> None:
    """Ask a question at each arrival."""
    loop = asyncio.get_running_loop()
    _, asker = await loop.create_datagram_endpoint(
        lambda: Asker(rate.counts), remote_addr=(host, LOOKUP_PORT)
    )
    async for _ in rate.arrivals(draw):
        if len(asker.open) >= MOST_IN_FLIGHT:
            rate.counts["left out"] += 1
            continue
        rate.counts["begun"] += 1
        name = "x" * draw.randint(4, 32)
        asker.ask(f"{draw.getrandbits(64):016x}.{name}.awlab\0".encode())


class Answerer(asyncio.DatagramProtocol):
    """Answers each question with itself and filling of a length that the question decides."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer."""
        size = random.Random(data).randint(*ANSWER_BYTES)
        self._transport.sendto(data.ljust(size, b"\0"), addr)


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read what comes, until it ends."""
    with contextlib.suppress(OSError):
        while await reader.read(65536):
            pass
    writer.close()


async def serve(host: str) -> None:
    """Answer questions and swallow bulk, for ever."""
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Answerer, local_addr=(host, LOOKUP_PORT))
    server = await asyncio.start_server(_swallow, host, BULK_PORT)
    await server.serve_forever()


OFFERS = {
    "http": offer_http,
    "bulk": offer_bulk,
    "lookup": offer_lookup,
    "calls": offer_calls,
}
SERVES = {"serve": serve, "serve-calls": serve_calls}


async def offer(kind: str, host: str, control: int, seed: int) -> None:
    """Offer one kind of traffic, for ever."""
    loop = asyncio.get_running_loop()
    _, rate = await loop.create_datagram_endpoint(Rate, local_addr=("127.0.0.1", control))
    await OFFERS[kind](host, rate, random.Random(seed))


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="training.lab.traffic")
    parser.add_argument("what", choices=[*SERVES, *OFFERS])
    parser.add_argument("host", help="address to serve at, or to offer traffic to")
    parser.add_argument("--control", type=int, default=0, help="UDP port that takes the rate")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.what in SERVES:
        asyncio.run(SERVES[given.what](given.host))
    else:
        asyncio.run(offer(given.what, given.host, given.control, given.seed))


if __name__ == "__main__":
    main()
