"""Rates: how often something happens, from how often it was seen, with an interval.

Events are rare, so their rate is known roughly at best: with none seen in a day, three a day
may still be meant. Limits are exact for a Poisson count (Garwood 1936).
"""

from collections.abc import Callable
from math import exp, lgamma, log

SHARE = 0.95  # of such statements that hold, for each of the two limits


def most_events(count: int, share: float = SHARE) -> float:
    """Give the rate at which so few events as *count* would be seen only in 1 - *share* of cases.

    >>> round(most_events(0), 2), round(most_events(3), 2)
    (3.0, 7.75)
    """
    return _bisect(lambda rate: _at_most(count, rate) > 1 - share, 10.0 + 3.0 * count)


def least_events(count: int, share: float = SHARE) -> float:
    """Give the rate at which so many events as *count* would be seen only in 1 - *share* of cases.

    >>> least_events(0), round(least_events(3), 2)
    (0.0, 0.82)
    """
    if count == 0:
        return 0.0
    return _bisect(lambda rate: _at_most(count - 1, rate) > share, float(count))


def _bisect(is_below: Callable[[float], bool], high: float) -> float:
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def _at_most(count: int, rate: float) -> float:
    """Give the chance of at most *count* events."""
    if rate <= 0:
        return 1.0
    return sum(exp(number * log(rate) - rate - lgamma(number + 1)) for number in range(count + 1))
