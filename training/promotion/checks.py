"""Checks: what is looked at before a candidate may be used, each passed or failed."""

from collections.abc import Sequence
from math import sqrt
from typing import Literal

import msgspec

Part = Literal["candidate", "held back", "live"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    part: Part
    name: str
    passed: bool
    says: str  # what was found, and what is needed
    numbers: dict[str, float] = {}
    can_be_forced: bool = True

    def __str__(self) -> str:
        """Give it in one line.

        >>> str(Check(part="live", name="agreement", passed=False, says="0.2, at least 0.95"))
        'live, agreement: 0.2, at least 0.95'
        """
        return f"{self.part}, {self.name}: {self.says}"


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """All that was looked at."""

    candidate: str  # id
    live: str | None  # id of the current version; None: there was none
    checks: tuple[Check, ...]

    @property
    def failed(self) -> list[Check]:
        """The checks that were not passed."""
        return [check for check in self.checks if not check.passed]

    @property
    def numbers(self) -> dict[str, float]:
        """All numbers, by part and name."""
        return {
            f"{check.part} {name}".replace(" ", "_"): number
            for check in self.checks
            for name, number in check.numbers.items()
        }


def is_more(new: float, old: float, scale: float, allowed: float, by_chance: float) -> bool:
    """Tell whether events are more by more than is allowed: as counts, and as rates.

    *scale* makes a rate of a count. As a count, the difference is to be more than *by_chance*
    standard deviations, as of two Poisson counts.

    >>> [is_more(new, 0, 100.0, 1.0, 1.5) for new in (2, 3)]
    [False, True]
    >>> [is_more(new, 20, 100.0, 1.0, 1.5) for new in (30, 31)]
    [False, True]
    >>> is_more(3, 0, 0.1, 1.0, 1.5)
    False
    """
    more = new - old
    return more > by_chance * sqrt(new + old) and more * scale > allowed


def listed(names: Sequence[str]) -> str:
    """Join names for a sentence."""
    return ", ".join(names) or "none"
