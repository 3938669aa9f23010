"""Calls over TCP, many on one connection, which is made again whenever it breaks.

SIPp 3.6 ends with a failed assertion when a TCP connection breaks, at either end and whatever it
is told about connecting again, so these calls are our own. A call is INVITE, 100, 180, 200, ACK,
1 to 6 seconds, BYE, 200, as in the scenarios; TCP repeats what gets lost, so SIP doesn't.
"""

import asyncio
import contextlib
import random
import socket
from dataclasses import dataclass, field

from .rate import Rate

SIP_PORT = 5060
CALL_SECONDS = 32.0  # timers B and F of RFC 3261: after this long without an answer it failed
CONNECT_SECONDS = 15.0
GONE_MS = 20_000  # without an acknowledgement, after which a connection is given up
MOST_CALLS = 20_000  # open at once; more aren't begun, but counted
HOLD_SECONDS, RING_SECONDS = (1.0, 6.0), (0.2, 1.5)
COPIED = ("Via", "From", "To", "Call-ID", "CSeq")  # from a request into its answers
SDP = (
    "v=0\r\no={who} 53655765 2353687637 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
)


@dataclass(frozen=True, slots=True)
class Message:
    """A SIP message without its body."""

    first: str
    headers: dict[str, str] = field(default_factory=dict)


async def read(reader: asyncio.StreamReader) -> Message:
    """Read one message.

    Raises:
        OSError, asyncio.IncompleteReadError: if the connection breaks.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
    first, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    await reader.readexactly(int(headers.get("Content-Length", "0")))
    return Message(first, headers)


def write(first: str, headers: dict[str, str], body: str = "") -> bytes:
    """Put a message into bytes."""
    kind = {"Content-Type": "application/sdp"} if body else {}
    lines = {**headers, "User-Agent": "awlab/1.0", **kind, "Content-Length": f"{len(body)}"}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{first}\r\n{head}\r\n{body}".encode()


class Caller:
    """The end that calls."""

    def __init__(self, host: str, rate: Rate, draw: random.Random) -> None:
        self._host, self._rate, self._draw = host, rate, draw
        self._own = ""  # address, known once there is a connection
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[str, asyncio.Future[None]] = {}  # by Call-ID and method

    async def offer(self) -> None:
        """Begin a call at each arrival, for ever."""
        keeping = asyncio.create_task(self._keep_connected())
        running: set[asyncio.Task[None]] = set()
        async for _ in self._rate.arrivals(self._draw):
            if self._writer is None or len(running) >= MOST_CALLS:
                self._rate.counts["left out"] += 1
                continue
            task = asyncio.create_task(self._call())
            running.add(task)
            task.add_done_callback(running.discard)
        keeping.cancel()

    async def _keep_connected(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    reader, writer = await asyncio.open_connection(self._host, SIP_PORT)
                hold_on(writer)
                self._own = writer.get_extra_info("sockname")[0]
                self._writer = writer
                await self._hear(reader)
            if self._writer is not None:
                self._writer.transport.abort()
                self._writer = None
            self._rate.counts["broken"] += 1
            await asyncio.sleep(1.0)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """Take final answers to whoever waits for them, until the connection breaks."""
        while True:
            message = await read(reader)
            method = message.headers.get("CSeq", "").rpartition(" ")[2]
            answer = self._waiting.get(message.headers.get("Call-ID", "") + method)
            if answer and not answer.done() and not message.first.startswith("SIP/2.0 1"):
                answer.set_result(None)

    async def _call(self) -> None:
        counts, call = self._rate.counts, f"{self._draw.getrandbits(96):024x}@{self._own}"
        counts["begun"] += 1
        try:
            await self._ask("INVITE", call, 1, SDP.format(who="caller", host=self._own))
            self._send("ACK", call, 1)
            await asyncio.sleep(self._draw.uniform(*HOLD_SECONDS))
            await self._ask("BYE", call, 2)
        except TimeoutError:
            counts["timed out"] += 1
        else:
            counts["done"] += 1

    async def _ask(self, method: str, call: str, place: int, body: str = "") -> None:
        """Send a request and wait for its final answer."""
        answer = asyncio.get_running_loop().create_future()
        self._waiting[call + method] = answer
        try:
            self._send(method, call, place, body)
            async with asyncio.timeout(CALL_SECONDS):
                await answer
        finally:
            del self._waiting[call + method]

    def _send(self, method: str, call: str, place: int, body: str = "") -> None:
        """Send a request; without a connection it is lost."""
        if self._writer is None or self._writer.is_closing():
            return
        uri, own = f"sip:callee@{self._host}:{SIP_PORT}", f"sip:caller@{self._own}:6100"
        tag = "" if method == "INVITE" else f";tag={call[:12]}"
        headers = {
            "Via": f"SIP/2.0/TCP {self._own}:6100;branch=z9hG4bK-{call[:12]}-{place}{method}",
            "From": f"<{own}>;tag={call[12:24]}",
            "To": f"<{uri}>{tag}",
            "Call-ID": call,
            "CSeq": f"{place} {method}",
            "Max-Forwards": "70",
        }
        if method == "INVITE":
            headers["Contact"] = f"<{own};transport=TCP>"
        self._writer.write(write(f"{method} {uri} SIP/2.0", headers, body))


class Callee:
    """The end that is called."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._ringing: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Answer, for ever."""
        server = await asyncio.start_server(self._connected, self._host, SIP_PORT)
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hold_on(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                self._answer(await read(reader), writer)
        writer.transport.abort()

    def _answer(self, request: Message, writer: asyncio.StreamWriter) -> None:
        if request.first.startswith("INVITE"):
            self._say(writer, request, "100 Trying")
            self._say(writer, request, "180 Ringing")
            task = asyncio.create_task(self._ring(writer, request))
            self._ringing.add(task)
            task.add_done_callback(self._ringing.discard)
        elif not request.first.startswith("ACK"):
            self._say(writer, request, "200 OK")

    async def _ring(self, writer: asyncio.StreamWriter, request: Message) -> None:
        await asyncio.sleep(random.uniform(*RING_SECONDS))
        self._say(writer, request, "200 OK", SDP.format(who="callee", host=self._host))

    def _say(
        self, writer: asyncio.StreamWriter, request: Message, what: str, body: str = ""
    ) -> None:
        """Send an answer; without a connection it is lost."""
        if writer.is_closing():
            return
        headers = {name: request.headers.get(name, "") for name in COPIED}
        if "tag=" not in headers["To"] and not what.startswith("100"):
            headers["To"] += f";tag={headers['Call-ID'][:12]}"
        if not what.startswith("100") and request.first.startswith("INVITE"):
            headers["Contact"] = f"<sip:{self._host}:{SIP_PORT};transport=TCP>"
        writer.write(write(f"SIP/2.0 {what}", headers, body))


def hold_on(writer: asyncio.StreamWriter) -> None:
    """Let a connection break when the other end is gone, rather than wait a quarter of an hour."""
    plain: socket.socket = writer.get_extra_info("socket")
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_MS)


async def offer_calls(host: str, rate: Rate, draw: random.Random) -> None:
    """Offer calls over TCP, for ever."""
    await Caller(host, rate, draw).offer()


async def serve_calls(host: str) -> None:
    """Answer calls over TCP, for ever."""
    await Callee(host).serve()
