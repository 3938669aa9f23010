"""Keeping: what is expected of whoever keeps enrolments, and how several are one.

A new place is a class with the methods of `Enrolments`.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from detector.enrolment import Enrolment


class EnrolmentsUnavailableError(RuntimeError):
    """Nobody can say now what is enrolled, or take a new one; the message says why."""


class EnrolmentsRefusedError(EnrolmentsUnavailableError):
    """Whoever keeps them doesn't let us in; somebody has to do something about it."""


class Enrolments(Protocol):
    """Keeps the newest version of every enrolment."""

    @property
    def unreadable(self) -> int:
        """How many records could not be read so far; each is logged once, with where it lies."""

    def poll(self) -> Sequence[Enrolment] | None:
        """Give the whole newest set if anything changed since this was last asked, else None.

        The first time it gives all that is there. It takes three seconds at most, and may be
        called from any one thread.

        Raises:
            EnrolmentsUnavailableError: while whoever keeps them is away.
        """

    def write(self, enrolment: Enrolment) -> None:
        """Keep a new one, or another version of one; returns once it is safe.

        Raises:
            EnrolmentsUnavailableError: if it can't be kept.
        """

    def close(self) -> None:
        """Let go of connections. Safe to call twice."""


class AllEnrolments:
    """Several places as one; a new enrolment goes to the first of them."""

    def __init__(self, places: Sequence[Enrolments]) -> None:
        self._places = tuple(places)
        self._found: list[Sequence[Enrolment]] = [()] * len(self._places)
        self._is_changed = True  # also when there is no place at all

    @property
    def unreadable(self) -> int:
        """How many records could not be read so far, anywhere."""
        return sum(place.unreadable for place in self._places)

    def poll(self) -> Sequence[Enrolment] | None:
        """Give what all places have, once each of them can say what that is."""
        away: EnrolmentsUnavailableError | None = None
        for number, place in enumerate(self._places):
            try:
                found = place.poll()
            except EnrolmentsUnavailableError as error:
                away = error
                continue
            if found is not None:
                self._found[number], self._is_changed = found, True
        if away is not None:  # what the others have is not forgotten
            raise away
        if not self._is_changed:
            return None
        self._is_changed = False
        return newest(one for found in self._found for one in found)

    def write(self, enrolment: Enrolment) -> None:
        """Keep it in the first place."""
        if not self._places:
            raise EnrolmentsUnavailableError("there is neither a broker nor a bundle store")
        self._places[0].write(enrolment)

    def close(self) -> None:
        """Let go of them all."""
        for place in self._places:
            place.close()


def newest(enrolments: Iterable[Enrolment]) -> tuple[Enrolment, ...]:
    """Give each enrolment once, as it was last changed, in the order of their ids."""
    found: dict[str, Enrolment] = {}
    for one in enrolments:
        if one.id not in found or changed_ms(one) >= changed_ms(found[one.id]):
            found[one.id] = one
    return tuple(found[name] for name in sorted(found))


def changed_ms(enrolment: Enrolment) -> int:
    """Say when somebody last did something to an enrolment, Unix milliseconds.

    >>> from detector.enrolment import Act
    >>> acts = [Act(at_ms=at_ms, who="ann", what="disabled") for at_ms in (3, 7)]
    >>> one = Enrolment(id="", label="a", link="b", start_ms=0, step_ms=1, features=(),
    ...                 shape=(0, 0, 0), windows=b"", history=tuple(acts))
    >>> changed_ms(one)
    7
    """
    return max((act.at_ms for act in enrolment.history), default=-1)
