"""What was seen lately: a table that forgets by time, and is bounded in size."""

from typing import Generic, TypeVar

Value = TypeVar("Value")

SPAN_NS = 40 * 10**9  # how long something is remembered at least
MOST = 500_000  # entries of a generation; then the older generation goes early


class Memory(Generic[Value]):
    """Remembers for at least `SPAN_NS` in two generations, the younger and the older.

    Who looks something up checks its age: how long it stays beyond the span depends on when
    `tick` is called. The two tables are open to loops in which a call would cost too much.
    What is filled and ticked batch by batch, each time with the time of the batch's first entry,
    remembers the same however packets are cut into batches.

    >>> calls = Memory()
    >>> calls.tick(now=0)
    >>> calls.young["a"] = 1
    >>> calls.get("a"), calls.get("b")
    (1, None)
    """

    def __init__(self, most: int = MOST) -> None:
        self.young: dict[int, Value] = {}
        self.old: dict[int, Value] = {}
        self.forgotten = 0  # entries that went before their time, for want of room
        self._begun = 0
        self._most = most

    def tick(self, now: int) -> None:
        """Say what time it is, nanoseconds, before a batch is entered; forgets what is old.

        A little backwards is usual where several interfaces take turns.
        """
        is_full = len(self.young) >= self._most
        if is_full or not -SPAN_NS < now - self._begun < SPAN_NS:
            self.forgotten += len(self.old) if is_full else 0
            self.old, self.young, self._begun = self.young, {}, now

    def get(self, key: int) -> Value | None:
        """Give what is remembered of *key*."""
        value = self.young.get(key)
        return self.old.get(key) if value is None else value

    def forget(self, key: int) -> None:
        """Remember nothing of *key*."""
        self.young.pop(key, None)
        self.old.pop(key, None)

    def __len__(self) -> int:
        return len(self.young) + len(self.old)
