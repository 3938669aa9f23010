"""Traffic with a fault that nobody taught, for tests of enrolling."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.capture import LinkCapture
from tests.fakes import FEATURES, NOON_MS, make_rows
from tests.training.naming.stores import life, save
from training.enrolling.traffic import Piece

STEP_MS = 1000
Stretch = tuple[str, int]  # what the link is in, and for how many rows


def rows_of(what: str, rows: int, load: float = 100.0) -> NDArray[np.float32]:
    """Make rows; `chatter` is a fault that the small bundle has not learnt: all is sent again."""
    if what != "chatter":
        return make_rows(what, rows, load)
    values = make_rows("normal", rows, load)
    values[:, 2], values[:, 3] = 3 * load, 400
    return values


def a_link(
    link: str, *stretches: Stretch, start_ms: int = NOON_MS, labelled: bool = True
) -> LinkCapture:
    """Make a link that goes through some stretches, with or without their labels."""
    values = np.concatenate([rows_of(what, rows) for what, rows in stretches])
    names = [what if labelled else None for what, rows in stretches for _ in range(rows)]
    labels = np.array(names, object)
    return LinkCapture(link, start_ms, STEP_MS, values, labels, labels)


def a_piece(link: str, *stretches: Stretch, **changes: Any) -> Piece:
    """Make a piece of traffic."""
    made = a_link(link, *stretches, **changes)
    return Piece(link, link, made)


def a_store(
    path: Path, lives: dict[str, Sequence[Stretch]], said: dict[str, str] | None = None
) -> Path:
    """Write a capture store in which each link has a life; *said* is what a state was called.

    Rows with a fault lie in `fault`, the others as a sample of what is normal.
    """
    said = {"chatter": "unknown"} | (said or {})
    for link, stretches in lives.items():
        rows = life([(said.get(what, what), count) for what, count in stretches], link=link)
        values = np.concatenate([rows_of(what, count) for what, count in stretches])
        for row, numbers in zip(rows, values, strict=True):
            del row["packets"]
            row |= dict(zip(FEATURES, numbers, strict=True))
            row["spare"] = np.float32(7)  # recorded, but no bundle reads it yet
        is_fault = [row.get("verdict_state", "normal") != "normal" for row in rows]
        for kind, wanted in (("fault", True), ("normal", False)):
            some = [row for row, bad in zip(rows, is_fault, strict=True) if bad == wanted]
            if some:
                save(some, path, kind=kind)
    return path
