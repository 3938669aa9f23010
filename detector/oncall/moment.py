"""A moment: what time it is, by the two clocks that matter."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """What time it is."""

    now: float  # of a clock that never goes back, seconds
    wall: float  # Unix time, seconds

    @property
    def hour(self) -> int:
        """The hour of the day, UTC."""
        return int(self.wall // 3600 % 24)

    @property
    def ms(self) -> int:
        """Unix time, milliseconds."""
        return round(self.wall * 1000)
