"""How much is offered at each moment of a run: a mean that moves as its form says.

A form is a function that draws what is random about it once, and gives the share of the mean
that is offered at a second. A new one is one function, and one line in FORMS.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .plan import Change, Form, Rate

Share = Callable[[float], float]  # seconds since the start to a share of the mean

OFF_SHARE = 0.1  # of the mean, while on-off is off
WALK_LEAST, WALK_MOST = 0.4, 2.0  # shares of the mean
WALK_SPREAD = 0.35  # standard deviation of its logarithm, were it not bounded
WALK_SECONDS = 60.0  # after this long it has forgotten most of where it was
BURST_FACTOR = (2.0, 4.0)  # times the rate between bursts
BURST_SECONDS = (3.0, 10.0)
GAP_SECONDS = 40.0  # between bursts, on average; exponential


class Schedule:
    """The offered rate of one stream; the same seed gives the same one.

    >>> surge = Change(start=60, seconds=30, factor=2)
    >>> schedule = Schedule(Rate(per_second=10, changes=(surge,)), seconds=120, seed=0)
    >>> [schedule.at(elapsed) for elapsed in (0, 60, 90)]
    [10.0, 20.0, 10.0]
    """

    def __init__(self, rate: Rate, seconds: float, seed: int) -> None:
        self._mean = rate.per_second
        self._changes = rate.changes
        self._share = FORMS[rate.form](rate, seconds, np.random.default_rng(seed))

    def at(self, elapsed: float) -> float:
        """Give the rate that is to be offered *elapsed* seconds after the start.

        A time outside of the run counts as its first or last second.
        """
        share = self._share(elapsed)
        return self._mean * share * math.prod(_factor(c, elapsed) for c in self._changes)


def _factor(change: Change, elapsed: float) -> float:
    return change.factor if change.start <= elapsed < change.start + change.seconds else 1.0


def _constant(_rate: Rate, _seconds: float, _rng: np.random.Generator) -> Share:
    return lambda _elapsed: 1.0


def _diurnal(rate: Rate, _seconds: float, rng: np.random.Generator) -> Share:
    """Follow a sine that begins anywhere in its period."""
    begin = rng.uniform(0, rate.period)
    turn = 2 * math.pi / rate.period
    return lambda elapsed: 1 + rate.depth * math.sin((begin + elapsed) * turn)


def _on_off(rate: Rate, _seconds: float, rng: np.random.Generator) -> Share:
    """Be off for half of each period, and on enough in the other half to keep the mean."""
    begin = rng.uniform(0, rate.period)

    def share(elapsed: float) -> float:
        is_on = (begin + elapsed) % rate.period < rate.period / 2
        return 2 - OFF_SHARE if is_on else OFF_SHARE

    return share


def _walk(_rate: Rate, seconds: float, rng: np.random.Generator) -> Share:
    """Walk at random in the logarithm, always drawn back towards the mean."""
    kept = math.exp(-1 / WALK_SECONDS)
    steps = rng.normal(0, WALK_SPREAD * math.sqrt(1 - kept**2), _rows(seconds))
    least, most = math.log(WALK_LEAST), math.log(WALK_MOST)
    # The mean of exp(x) is exp(mean + spread²/2), so this keeps the mean of the shares at one.
    centre = -(WALK_SPREAD**2) / 2
    path = np.empty_like(steps)
    place = float(np.clip(rng.normal(centre, WALK_SPREAD), least, most))
    for second, step in enumerate(steps):
        place = min(max(centre + kept * (place - centre) + step, least), most)
        path[second] = place
    return _each_second(np.exp(path))


def _bursty(_rate: Rate, seconds: float, rng: np.random.Generator) -> Share:
    """Lie a little under the mean, but for short bursts of several times as much."""
    mean_factor, mean_seconds = sum(BURST_FACTOR) / 2, sum(BURST_SECONDS) / 2
    bursting = mean_seconds / (mean_seconds + GAP_SECONDS)  # the share of the time
    between = 1 / (1 + bursting * (mean_factor - 1))
    shares = np.full(_rows(seconds), between)
    at = rng.exponential(GAP_SECONDS)
    while at < seconds:
        end = at + rng.uniform(*BURST_SECONDS)
        shares[round(at) : round(end)] = between * rng.uniform(*BURST_FACTOR)
        at = end + rng.exponential(GAP_SECONDS)
    return _each_second(shares)


def _rows(seconds: float) -> int:
    return max(1, math.ceil(seconds))


def _each_second(shares: NDArray[np.float64]) -> Share:
    """Give what was drawn for the second in question; shares: (seconds,)."""
    return lambda elapsed: float(shares[min(max(int(elapsed), 0), len(shares) - 1)])


FORMS: dict[Form, Callable[[Rate, float, np.random.Generator], Share]] = {
    Form.CONSTANT: _constant,
    Form.DIURNAL: _diurnal,
    Form.WALK: _walk,
    Form.BURSTY: _bursty,
    Form.ON_OFF: _on_off,
}
