"""The book of enrolments: finding them, and what can be done to one that is there.

Nothing is ever taken out of it but windows: what was done to an enrolment, by whom and why, stays.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from detector.enrolment import Act, Enrolment, EnrolmentError, check
from detector.enrolments import (
    Enrolments,
    EnrolmentsRefusedError,
    EnrolmentsUnavailableError,
)
from training.when import as_text

from .errors import EnrollingError

Doing = Literal["disabled", "enabled", "removed"]
READ_SECONDS = 10.0  # until the topic must have been read
PAUSE_SECONDS = 0.2


def read_all(
    kept: Enrolments,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Enrolment]:
    """Read all that is enrolled, by id; a topic may take several goes.

    Raises:
        EnrolmentsUnavailableError: if nobody can say in time.
    """
    deadline = clock() + READ_SECONDS
    while True:
        try:
            return {one.id: one for one in kept.poll() or ()}
        except EnrolmentsRefusedError:
            raise  # asking again would be another wrong login
        except EnrolmentsUnavailableError:
            if clock() > deadline:
                raise
            sleep(PAUSE_SECONDS)


def find(known: dict[str, Enrolment], beginning: str) -> Enrolment:
    """Give the one enrolment whose id begins so.

    Raises:
        EnrollingError: if there is none, or more than one.
    """
    found = [one for name, one in known.items() if beginning and name.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    several = f": {', '.join(sorted(one.id for one in found))}" if found else ""
    raise EnrollingError(f"{beginning!r}: {len(found)} enrolled anchors have such an id{several}")


def done(enrolment: Enrolment, what: Doing, act: Act) -> Enrolment:
    """Disable, enable or remove an enrolment; of a removed one the windows are forgotten.

    Raises:
        EnrollingError: if it is so already, or was removed.
    """
    if enrolment.status == "removed":
        raise EnrollingError(f"{enrolment.id} was removed; enrol the incident anew")
    status: Literal["active", "disabled", "removed"] = "active" if what == "enabled" else what
    if enrolment.status == status:
        raise EnrollingError(f"{enrolment.id} is {what} already")
    changed = _after(enrolment, act)
    windows = b"" if status == "removed" else changed.windows
    return _checked(msgspec.structs.replace(changed, status=status, windows=windows))


def expiring(enrolment: Enrolment, expires_ms: int | None, act: Act) -> Enrolment:
    """Let an enrolment expire at a time, or never.

    Raises:
        EnrollingError: if it was removed.
    """
    if enrolment.status == "removed":
        raise EnrollingError(f"{enrolment.id} was removed")
    return _checked(msgspec.structs.replace(_after(enrolment, act), expires_ms=expires_ms))


def status_of(enrolment: Enrolment, now_ms: int) -> str:
    """Say in a word how it is with an enrolment."""
    if enrolment.status != "active":
        return enrolment.status
    return "active" if enrolment.is_used(now_ms) else "expired"


def moment(at_ms: int) -> str:
    """Write a time for people: UTC, to the second."""
    if at_ms < 0:
        return "-"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def history(enrolment: Enrolment) -> list[dict[str, str | int]]:
    """Give what was done to it, oldest first, as plain data."""
    return [
        {"at": as_text(act.at_ms), "who": act.who, "what": act.what, "why": act.why}
        for act in enrolment.history
    ]


def listed(known: Iterable[Enrolment], now_ms: int) -> list[dict[str, str | int | None]]:
    """Give enrolments as plain data, the newest first."""
    rows: list[dict[str, str | int | None]] = []
    for one in sorted(known, key=lambda one: (-_enrolled(one).at_ms, one.id)):
        first = _enrolled(one)
        rows.append(
            {
                "id": one.id,
                "label": one.label,
                "kind": one.kind,
                "link": one.link,
                "start_ms": one.start_ms,
                "windows": one.shape[0],
                "enrolled_ms": first.at_ms,
                "who": first.who,
                "status": status_of(one, now_ms),
                "expires_ms": one.expires_ms,
            }
        )
    return rows


def _enrolled(enrolment: Enrolment) -> Act:
    """Give the act that made it."""
    return next(iter(enrolment.history), Act(at_ms=0, who="-", what="enrolled"))


def _after(enrolment: Enrolment, act: Act) -> Enrolment:
    acts: Sequence[Act] = (*enrolment.history, act)
    return msgspec.structs.replace(enrolment, history=tuple(acts))


def _checked(enrolment: Enrolment) -> Enrolment:
    try:
        check(enrolment)
    except EnrolmentError as error:
        raise EnrollingError(str(error)) from error
    return enrolment
