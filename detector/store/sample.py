"""The sample of normal traffic: which minutes of which links are kept.

Whole minutes, so that windows can be cut from them; by a hash of nothing but the link's name and
the minute, so that a restart, or another daemon that has the link now, goes on with the same.
"""

from hashlib import blake2b

MINUTE_MS = 60_000


def is_chosen(link: str, minute: int, share: float) -> bool:
    """Tell whether a minute (of Unix time) of a link is in the sample.

    >>> sum(is_chosen("trunk-7", minute, 0.02) for minute in range(100_000)) / 100_000
    0.01998
    """
    name = f"{minute}/{link}".encode(errors="surrogatepass")
    number = int.from_bytes(blake2b(name, digest_size=8).digest(), "big")
    return number < share * 2**64
