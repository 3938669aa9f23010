"""What is held back: runs that no retraining learns from, so that promotion can judge by them."""

from collections.abc import Sequence
from hashlib import blake2s
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.capture import LinkCapture  # pandas

SHARE = 0.15  # of the store's runs, when nobody says another


def is_held_back(run: str, share: float) -> bool:
    """Whether a run is kept from learning, by nothing but its name: the same in every retraining.

    >>> hours = [f"2026-11-{day:02}T{hour:02}" for day in range(1, 31) for hour in range(24)]
    >>> round(sum(is_held_back(hour, 0.15) for hour in hours) / len(hours), 2)
    0.14
    """
    drawn = int.from_bytes(blake2s(run.encode(), digest_size=8).digest()) / 2**64
    return drawn < share


def parted(
    links: "Sequence[LinkCapture]", share: float
) -> "tuple[list[LinkCapture], list[LinkCapture]]":
    """Part links into those that may be learnt from and those that are held back."""
    free = [link for link in links if not is_held_back(link.run, share)]
    return free, [link for link in links if is_held_back(link.run, share)]
