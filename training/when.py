"""Times as people type them at a terminal: exact ones, of today, and a while ago.

All are UTC unless they say otherwise, as all that anchorwatch prints is. What the time is now
is the caller's to say, so the same text and the same now are always the same time.
"""

import re
from datetime import UTC, datetime, time, timedelta

from detector.events import EPOCH, LAST_MS

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
WANTED = "an ISO 8601 time (UTC unless it has an offset), HH:MM[:SS] of today, now, or -15m, -2h"


class TimeError(ValueError):
    """The text is no time; the message says what would be one."""


def parse(text: str, now_ms: int) -> int:
    """Give the Unix milliseconds of a time: exact, of today, or so long before *now_ms*.

    Raises:
        TimeError: if it is none, or one before 1970 or after the year 9999.

    >>> noon_ms = 1_700_000_000_000 - 22 * 3_600_000 - 13 * 60_000 - 20_000 + 12 * 3_600_000
    >>> as_text(parse("2023-11-14T09:30", noon_ms)), as_text(parse("2023-11-13", noon_ms))
    ('2023-11-14T09:30:00Z', '2023-11-13T00:00:00Z')
    >>> as_text(parse("2023-11-14 09:30:00.250+02:00", noon_ms))
    '2023-11-14T07:30:00.250Z'
    >>> as_text(parse("09:30", noon_ms)), as_text(parse("9:30:15", noon_ms))
    ('2023-11-14T09:30:00Z', '2023-11-14T09:30:15Z')
    >>> as_text(parse("-15m", noon_ms)), as_text(parse("-1.5h", noon_ms))
    ('2023-11-14T11:45:00Z', '2023-11-14T10:30:00Z')
    >>> parse("now", noon_ms) == noon_ms == parse(as_text(noon_ms), 0) == parse(str(noon_ms), 0)
    True
    >>> parse("yesterday", noon_ms)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    training.when.TimeError: 'yesterday' is no time: give an ISO 8601 time (UTC unless ...
    """
    try:
        found_ms = _found(text.strip(), now_ms)
    except (ValueError, OverflowError) as error:
        raise TimeError(f"{text!r} is no time: give {WANTED}") from error
    if not 0 <= found_ms <= LAST_MS:
        raise TimeError(f"{text!r} is not between 1970 and the year 9999")
    return found_ms


def as_text(at_ms: int) -> str:
    """Write a time so that `parse` reads the same from it.

    >>> as_text(1_700_000_000_000), as_text(1_700_000_000_025)
    ('2023-11-14T22:13:20Z', '2023-11-14T22:13:20.025Z')
    """
    exact = EPOCH + timedelta(milliseconds=at_ms)
    spec = "milliseconds" if at_ms % 1000 else "seconds"
    return exact.isoformat(timespec=spec).replace("+00:00", "Z")


def _found(text: str, now_ms: int) -> int:
    if text == "now":
        return now_ms
    if ago := re.fullmatch(r"-(\d{1,9}(?:\.\d{1,9})?)([smhd])", text, re.ASCII):
        return now_ms - round(float(ago[1]) * UNITS[ago[2]])
    if re.fullmatch(r"\d{12,15}", text, re.ASCII):  # Unix milliseconds, as `--json` prints them
        return int(text)
    if today := re.fullmatch(r"(\d{1,2}):(\d\d)(?::(\d\d))?", text, re.ASCII):
        hour, minute, second = (int(part or 0) for part in today.groups())
        of_day = time(hour, minute, second)
        return now_ms // UNITS["d"] * UNITS["d"] + _ms(datetime.combine(EPOCH, of_day, UTC))
    exact = datetime.fromisoformat(text)
    return _ms(exact if exact.tzinfo else exact.replace(tzinfo=UTC))


def _ms(exact: datetime) -> int:
    return (exact - EPOCH) // timedelta(milliseconds=1)
