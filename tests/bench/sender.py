"""Sends SIP requests at a steady rate: `python -m tests.bench.sender ADDRESS RATE SECONDS`."""

import socket
import sys
import time

from tests.detector.probe.make import request


def send(address: str, rate: int, seconds: float) -> int:
    """Send datagrams, and say how many."""
    texts = [request("OPTIONS", f"{number}@bench") for number in range(5000)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.connect((address, 9000))
        sent, begun = 0, time.perf_counter()
        while (now := time.perf_counter() - begun) < seconds:
            for _ in range(min(int(now * rate) - sent, 2000)):
                ours.send(texts[sent % 5000])
                sent += 1
    return sent


if __name__ == "__main__":
    print(send(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
