"""The wheel: when each link and exporter is to be looked at next."""

Who = tuple[str, str]  # link, exporter; the link is "" where it is about the exporter


class Wheel:
    """Says who is due, each of them once; whoever asks again is looked at then instead.

    >>> wheel = Wheel()
    >>> wheel.look_at(("a", "probe-1"), 10.2)
    >>> wheel.look_at(("b", "probe-1"), 10.9)
    >>> wheel.look_at(("a", "probe-1"), 12.0)
    >>> wheel.due(11.0), wheel.due(13.0), len(wheel)
    ([('b', 'probe-1')], [('a', 'probe-1')], 0)
    """

    def __init__(self) -> None:
        self._seconds: dict[int, dict[Who, None]] = {}
        self._looks: dict[Who, int] = {}  # the other way round
        self._turned = 0  # second up to which it was looked

    def __len__(self) -> int:
        return len(self._looks)

    def look_at(self, who: Who, at: float) -> None:
        """Have somebody looked at in the second after *at*, and at no other time."""
        self.forget(who)
        second = max(int(at) + 1, self._turned + 1)
        self._seconds.setdefault(second, {})[who] = None
        self._looks[who] = second

    def forget(self, who: Who) -> None:
        """Don't look at somebody any more."""
        if (second := self._looks.pop(who, None)) is not None:
            del self._seconds[second][who]

    def due(self, now: float) -> list[Who]:
        """Take those whose second has come."""
        due: list[Who] = []
        while self._turned < int(now):
            self._turned += 1
            due += self._seconds.pop(self._turned, ())
        for who in due:
            del self._looks[who]
        return due
