"""Regularity: whether something comes at a certain hour, of the day or of the week.

A claim has to be unlikely by chance. Onsets no more than an hour apart are one occasion, since
a common cause or a flapping link makes many of one. Of n occasions let k be the most that lie
within one hour of the day (or of the week). If they came at any time, so many would be found
with a probability of at most n * C(n - 1, k - 1) * p ** (k - 1), where p is an hour's share of
the day (the week): any of them may begin the hour, and the others fall into it by chance. With
two periods looked at, both bounds are doubled. What is at or below `LUCK` is claimed, if it is
three occasions at least and half of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS  # the first Monday of Unix time
LUCK = 0.01  # the probability that what is claimed came by chance, at most
LEAST = 3  # occasions
QUARTER_MS = HOUR_MS // 4  # to which times are rounded
DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


@dataclass(frozen=True, slots=True)
class Regularity:
    """When something usually comes."""

    text: str  # UTC
    occasions: int  # of which it is true
    of: int
    luck: float  # bound on the probability that it is so by chance


def occasions_of(onsets_ms: Sequence[int]) -> list[int]:
    """Give the first onset of each occasion.

    >>> occasions_of([0, HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS])
    [0, 14400000]
    """
    onsets = np.sort(np.asarray(onsets_ms, np.int64))
    is_new = np.ones(len(onsets), bool)
    is_new[1:] = np.diff(onsets) > HOUR_MS
    return [int(onset) for onset in onsets[is_new]]


def regularity(onsets_ms: Sequence[int]) -> Regularity | None:
    """Say when something usually comes; None where it may as well come at any time.

    >>> tuesdays = [MONDAY_MS + DAY_MS + week * WEEK_MS + 9 * HOUR_MS for week in range(4)]
    >>> regularity(tuesdays).text, regularity(tuesdays[:2])
    ('Tuesdays 09:00', None)
    >>> regularity([day * DAY_MS + 22 * HOUR_MS for day in range(9)]).text
    'daily 22:00'
    """
    occasions = occasions_of(onsets_ms)
    found = [_within_an_hour(occasions, period_ms) for period_ms in (WEEK_MS, DAY_MS)]
    claims = [one for one in found if one is not None]
    # What is true of as many is said the more exactly.
    return max(claims, key=lambda one: one.occasions, default=None)


def _within_an_hour(occasions: Sequence[int], period_ms: int) -> Regularity | None:
    """Find the hour of a period that most occasions lie in."""
    if len(occasions) < LEAST:
        return None
    times = np.sort((np.asarray(occasions) - MONDAY_MS) % period_ms)
    later = (times[None, :] - times[:, None]) % period_ms  # [first, other]
    inside = later < HOUR_MS
    first = int(inside.sum(axis=1).argmax())
    k, n = int(inside[first].sum()), len(times)
    luck = 2 * n * comb(n - 1, k - 1) * (HOUR_MS / period_ms) ** (k - 1)
    if k < LEAST or 2 * k < n or luck > LUCK:
        return None
    middle = int(times[first] + np.median(later[first][inside[first]]))
    rounded = round(middle / QUARTER_MS) * QUARTER_MS % period_ms
    day, time = divmod(rounded, DAY_MS)
    name = DAYS[day] if period_ms == WEEK_MS else "daily"
    return Regularity(f"{name} {time // HOUR_MS:02}:{time % HOUR_MS // 60_000:02}", k, n, luck)
