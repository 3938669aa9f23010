"""Why a window was named so, in one sentence for an engineer on call."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan

from detector.window import is_count

NAMED = 3  # features in a sentence, at most
TELLING = 0.1  # share below which a feature isn't named beside others
TIMES = 100.0  # a rise beyond it reads better as two numbers
SELDOM = 0.02  # events a second; what comes less often than once in 50 s had not begun


@dataclass(frozen=True, slots=True)
class Part:
    """One feature that changed. Counters are per second, means and maxima plain."""

    feature: str
    usual: float  # at the link's present load; NaN = usually not observed
    now: float  # mean over the stretch; NaN = not observed
    begun_seconds: float  # from the stretch's beginning to the window's end
    over_seconds: float  # from the stretch's end to the window's end; 0 = it goes on
    share: float  # of all that made the window resemble the fault, 0 to 1


@dataclass(frozen=True, slots=True)
class Reason:
    """What made a window resemble a fault; the part that counts for most comes first.

    >>> stopped = Part("rev_2xx", 21.0, 0.0, 9.0, 0.0, 0.6)
    >>> Reason((stopped, Part("fwd_invite", 2.1, 6.7, 8.0, 0.0, 0.4)), 1.0).text
    'rev_2xx stopped (usually 21/s) while fwd_invite rose 3.2 times (2.1/s to 6.7/s), last 9 s'
    """

    parts: tuple[Part, ...]
    step_seconds: float
    by_reference: bool = False  # what is usual on the link was not known

    @property
    def text(self) -> str:
        """One sentence for an engineer on call, without a full stop."""
        named = [part for part in self.parts[:NAMED] if part.share >= TELLING] or self.parts[:1]
        if not named:
            return "no feature by itself is far from usual"
        groups: list[list[Part]] = []
        for part in named:
            beside = next((group for group in groups if self._at_once(group[0], part)), None)
            if beside:
                beside.append(part)
            else:
                groups.append([part])
        text = "; ".join(f"{_together(group)}, {_stretch(group[0])}" for group in groups)
        return f"{text}, compared with the normal reference" if self.by_reference else text

    def _at_once(self, one: Part, two: Part) -> bool:
        """Whether two changes are one to whoever reads of them: not 2 steps apart."""
        apart = max(
            abs(one.begun_seconds - two.begun_seconds), abs(one.over_seconds - two.over_seconds)
        )
        return apart <= 2 * self.step_seconds


def _together(parts: Sequence[Part]) -> str:
    first, *others = (_clause(part) for part in parts)
    return f"{first} while {' and '.join(others)}" if others else first


def _clause(part: Part) -> str:
    unit = "/s" if is_count(part.feature) else ""
    usual, now = f"{_short(part.usual)}{unit}", f"{_short(part.now)}{unit}"
    if isnan(part.now):
        return f"{part.feature} was not observed any more (usually {usual})"
    if isnan(part.usual) or (unit and part.usual < SELDOM):
        return f"{part.feature} began ({now})"
    if unit and part.now <= 0:
        return f"{part.feature} stopped (usually {usual})"
    if part.now < part.usual:
        return f"{part.feature} fell from {usual} to {now}"
    times = part.now / part.usual if part.usual > 0 else inf
    if times > TIMES:
        return f"{part.feature} rose from {usual} to {now}"
    return f"{part.feature} rose {_short(times)} times ({usual} to {now})"


def _stretch(part: Part) -> str:
    if part.over_seconds > 0:
        return f"from {part.begun_seconds:g} s to {part.over_seconds:g} s ago"
    return f"last {part.begun_seconds:g} s"


def _short(value: float) -> str:
    """Two digits, from 100 on three.

    >>> [_short(value) for value in (0.137, 6.66, 21.4, 134.2, 14709.8)]
    ['0.14', '6.7', '21', '134', '14,700']
    """
    digits = 3 if abs(value) >= 100 else 2
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 else f"{rounded:g}"
