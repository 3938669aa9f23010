"""Enrolments for tests; each names only what it is about."""

from typing import Any

import msgspec
import numpy as np

from detector.enrolment import Act, Enrolment, enrol
from tests.fakes import NOON_MS, make_rows, make_spec


def an_act(
    what: Any = "enrolled", *, at_ms: int = NOON_MS, who: str = "ann", why: str = ""
) -> Act:
    """Make something that somebody did."""
    return Act(at_ms=at_ms, who=who, what=what, why=why)


def an_enrolment(load: float = 100.0, *, windows: int = 1, **changes: Any) -> Enrolment:
    """Enrol windows of a fault; another *load* makes other windows, and so another id."""
    spec = make_spec()
    usual = {"label": "fibre-bend", "link": "trunk-9", "start_ms": NOON_MS, "act": an_act()}
    values = np.stack([make_rows("capacity-limited", spec.steps, load)] * windows)
    return enrol(**usual | {"spec": spec, "values": values} | changes)


def changed(enrolment: Enrolment, what: Any, *, later_ms: int = 1000, **changes: Any) -> Enrolment:
    """Do something to an enrolment, *later_ms* after it was last changed."""
    at_ms = max(act.at_ms for act in enrolment.history) + later_ms
    acts = (*enrolment.history, an_act(what, at_ms=at_ms, who="bob"))
    return msgspec.structs.replace(enrolment, history=acts, **changes)


def ids(found: Any) -> set[str]:
    """Give the ids of what a poll gave."""
    return {one.id for one in found}
