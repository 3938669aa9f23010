"""Doors: which brokers refuse us, and when each may be asked again.

No clock and no connection in here: whoever connects knocks first, and tells what came of it.
"""

from dataclasses import dataclass

FIRST_SECONDS, MOST_SECONDS = 1.0, 30.0  # from one attempt to the next
STALE_SECONDS = 60.0  # that nobody made one though he might: nobody needs that broker any more


@dataclass(slots=True)
class _Door:
    """A broker that refuses us."""

    why: str
    pause: float  # seconds
    opens: float  # when the next attempt may be made


class Doors:
    """The brokers that refuse us, by address; the others are free to connect to.

    Accounts get locked by many wrong logins. So the pauses grow, and while a broker refuses us
    all clients together make one attempt at a time.

    >>> doors = Doors()
    >>> doors.refuse("kafka-1:9092", "wrong password", now=0.0)
    True
    >>> [now for now in range(100) if doors.knock("kafka-1:9092", float(now))]
    [1, 3, 7, 15, 31, 61, 91]
    """

    def __init__(self) -> None:
        self.was_in = False  # whether any broker ever let us in
        self._since: float | None = None  # when the first of those refused us that still do
        self._refusing: dict[str, _Door] = {}

    def why(self, now: float) -> str:
        """Say why we are refused; "" while nobody does."""
        fresh = [one for one in self._refusing.values() if now < one.opens + STALE_SECONDS]
        return "; ".join(dict.fromkeys(door.why for door in fresh))

    def seconds(self, now: float) -> float:
        """Say for how long somebody has refused us all the time."""
        return 0.0 if self._since is None else now - self._since

    def wait(self, address: str, now: float) -> float:
        """Seconds until the next attempt may be made."""
        door = self._refusing.get(address)
        return max(0.0, door.opens - now) if door is not None else 0.0

    def knock(self, address: str, now: float) -> bool:
        """Whether an attempt may be made now. If so, the next has to wait for longer."""
        door = self._refusing.get(address)
        if door is None:
            return True
        if now < door.opens:
            return False
        door.pause = min(MOST_SECONDS, door.pause * 2)
        door.opens = now + door.pause
        return True

    def refuse(self, address: str, why: str, now: float) -> bool:
        """Note that an attempt was refused; tell whether that is news."""
        door = self._refusing.get(address)
        if self._since is None:
            self._since = now
        if door is None:
            self._refusing[address] = _Door(why, FIRST_SECONDS, now + FIRST_SECONDS)
            return True
        is_news, door.why = door.why != why, why
        return is_news

    def welcome(self, address: str) -> bool:
        """Note that a broker let us in; tell whether it had refused us."""
        self.was_in = True
        return self.clear(address)

    def clear(self, address: str) -> bool:
        """Forget that a broker refused us: it is away, or let us in; tell whether it did."""
        had = self._refusing.pop(address, None) is not None
        if not self._refusing:
            self._since = None
        return had
