"""Attention: a clock that goes on only while the daemon would notice if something came.

Silence says something of a link only as long as somebody listens. While the broker is away, the
daemon has no partition, or its loop waited for a delivery, time doesn't count: nobody's silence
gets any longer by it. And time counts only afterwards, once a sign of the broker has confirmed
that it was there all along.
"""

from detector.source import Vitals


class Attention:
    """Seconds spent listening.

    >>> attention = Attention(contact_seconds=10)
    >>> for contact in (1000.0, 1003.0, 1006.0):
    ...     attention.advance(contact + 1, Vitals(is_assigned=True, contact=contact))
    >>> attention.seconds, attention.is_paying
    (6.0, True)
    >>> attention.advance(1060.0, Vitals(is_assigned=True, contact=1006.0))
    >>> attention.seconds, attention.is_paying
    (6.0, False)
    """

    def __init__(self, contact_seconds: float) -> None:
        self.seconds = 0.0
        self.is_paying = False  # attention, as of the last look
        self._longest = contact_seconds  # between two signs of the broker
        self._confirmed: float | None = None  # Unix time of the last one

    def advance(self, wall: float, vitals: Vitals) -> None:
        """Count the time until the last sign of the broker; *wall* is Unix time, seconds."""
        contact = min(vitals.contact, wall)
        since = contact - self._confirmed if self._confirmed is not None else 0.0
        self._confirmed = contact
        if self.is_paying and vitals.is_assigned and 0 < since <= self._longest:
            self.seconds += since
        self.is_paying = vitals.is_assigned and wall - contact <= self._longest
