"""The plain rule for a steady state: so many of a link's last windows say so.

It is what methods are held to that only name windows, and what the daemon's own rule
(`detector.state`) is compared with.
"""

from collections import deque
from collections.abc import Iterable, Iterator


def majority(said: Iterable[str], agree: int, of: int) -> Iterator[str | None]:
    """Give the state after each window: the label that *agree* of the last *of* windows have.

    None until enough agree for the first time; then it stays until another label gets as many.

    >>> list(majority(["normal", "normal", "blocked", "normal", "blocked", "blocked"], 2, 3))
    [None, 'normal', 'normal', 'normal', 'blocked', 'blocked']

    Raises:
        ValueError: if two labels could be the state at once, or none ever.
    """
    if not of < 2 * agree <= 2 * of:
        raise ValueError(f"{agree} of {of} windows are not a majority")
    recent: deque[str] = deque(maxlen=of)
    state: str | None = None
    for label in said:
        recent.append(label)
        if label != state and recent.count(label) >= agree:
            state = label
        yield state
