"""Our own traffic keeps to its rate, and speaks SIP that others can read."""

import asyncio
import json
import random
import socket

import pytest

from training.lab.rate import Rate
from training.lab.trunk import read, write


async def _arrivals(rates: list[tuple[float, float]]) -> int:
    """Count arrivals while the rate is each of these for so many seconds."""
    rate, count = Rate(), 0

    async def listen() -> None:
        nonlocal count
        async for _ in rate.arrivals(random.Random(5)):
            count += 1

    listening = asyncio.create_task(listen())
    for per_second, seconds in rates:
        rate.datagram_received(f"cset rate {per_second}".encode(), ("", 0))
        await asyncio.sleep(seconds)
    listening.cancel()
    return count


@pytest.mark.parametrize(
    ("rates", "expected"),
    [([(400, 1.0)], 400), ([(0, 0.3)], 0), ([(0.001, 0.3), (1000, 0.4)], 400), ([(-5, 0.2)], 0)],
)
def test_arrivals_follow_the_rate(rates: list[tuple[float, float]], expected: int) -> None:
    """Also once it rises from next to nothing; four standard deviations, and a slow machine."""
    count = asyncio.run(_arrivals(rates))

    assert count == pytest.approx(expected, abs=4 * expected**0.5 + expected / 10)


async def _told(*datagrams: bytes) -> tuple[float, dict[str, int]]:
    """Give the rate and the counts after these datagrams to a control port."""
    loop = asyncio.get_running_loop()
    transport, rate = await loop.create_datagram_endpoint(Rate, local_addr=("127.0.0.1", 0))
    rate.counts["done"] = 3
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.setblocking(False)
        asker.connect(transport.get_extra_info("sockname"))
        for datagram in (*datagrams, b"counts\n"):
            asker.send(datagram)
        answer = await asyncio.wait_for(loop.sock_recv(asker, 1000), 5)
    transport.close()
    return rate.per_second, json.loads(answer)


def test_the_control_port_takes_a_rate_and_tells_the_counts() -> None:
    """What it doesn't understand changes nothing."""
    datagrams = (b"cset rate 2.5", b"cset rate fast", b"set rate 9", b"")

    assert asyncio.run(_told(*datagrams)) == (2.5, {"done": 3})


def test_a_message_reads_back_and_ends_where_the_next_begins() -> None:
    """Many are on one connection."""

    async def back() -> list[object]:
        reader = asyncio.StreamReader()
        reader.feed_data(write("INVITE sip:a SIP/2.0", {"CSeq": "1 INVITE"}, "v=0\r\n\r\nx"))
        reader.feed_data(write("ACK sip:a SIP/2.0", {"CSeq": "1 ACK"}))
        return [await read(reader), await read(reader)]

    invite, ack = asyncio.run(back())

    assert invite.first == "INVITE sip:a SIP/2.0"  # type: ignore[attr-defined]
    assert invite.headers["Content-Length"] == "8"  # type: ignore[attr-defined]
    assert ack.first == "ACK sip:a SIP/2.0"  # type: ignore[attr-defined]
    assert ack.headers["CSeq"] == "1 ACK"  # type: ignore[attr-defined]
