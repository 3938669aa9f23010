"""Links' lives, and what daemons that saw them could write."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from training.naming.stored import stored_links

from .stores import STEP_MS, life, save

MINUTE_MS = 60_000
NEVER_MS = 10**15
STATES = ("normal", "normal", "normal", "blocked", "unknown", None)


def labels_of(store: Path, link: str = "trunk-1") -> dict[int, str | None]:
    """Give the label of each captured row, by its time."""
    return {
        one.start_ms + place * one.step_ms: label
        for one in stored_links([store], ("packets",), STEP_MS, (link,))
        for place, label in enumerate(one.labels)
    }


def normal_ms(store: Path) -> set[int]:
    """Give the times of the rows that are normal."""
    return {t_ms for t_ms, label in labels_of(store).items() if label == "normal"}


@dataclass(frozen=True)
class Watched:
    """One daemon's view of a link: what was so, and what it could write of it."""

    spells: list[tuple[str | None, int, int]]  # state, from, until: as it was found in the end
    rows: list[dict[str, Any]]  # as judged then


@st.composite
def watched(draw: st.DrawFn, clock_ms: int = 0) -> Watched:
    """Draw a link's life, with changes that are known a while after they happened.

    Two daemons that see different things don't say of them that they began in the same
    millisecond: *clock_ms* is added to what they say.
    """
    lengths = draw(st.lists(st.tuples(st.sampled_from(STATES), st.integers(1, 260)), max_size=9))
    rows = life([("normal", 200), *lengths, ("normal", 200)], hop=draw(st.integers(1, 4)))
    shown = [{**row} for row in rows]
    first = 200
    for _, steps in [*lengths, ("normal", 200)]:
        old = next((row for row in reversed(shown[:first]) if "verdict_state" in row), {})
        for row in shown[first : first + draw(st.integers(0, 50))]:
            if "verdict_state" in row:
                row |= {name: old[name] for name in ("verdict_state", "verdict_since_ms")}
                row["verdict_label"] = old["verdict_state"] or "normal"
        first += steps
    for row in shown:
        if row.get("verdict_since_ms"):
            row["verdict_since_ms"] += clock_ms
    return Watched(spells_of(shown), misjudged(draw, shown))


def spells_of(rows: list[dict[str, Any]]) -> list[tuple[str | None, int, int]]:
    """List the states that were ever said, each from its beginning to that of the next."""
    said = dict.fromkeys(
        (row["verdict_state"], row["verdict_since_ms"])
        for row in rows
        if row.get("verdict_state") is not None
    )
    begins = [since_ms for _, since_ms in said][1:]
    return [
        (state, since_ms, until_ms)
        for (state, since_ms), until_ms in zip(said, [*begins, NEVER_MS], strict=True)
    ]


def misjudged(draw: st.DrawFn, shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let some windows be taken for something else than their link's state."""
    for place in draw(st.lists(st.integers(0, len(shown) - 1), max_size=3)):
        if "verdict_label" in shown[place]:
            shown[place]["verdict_label"] = "capacity-limited"  # one window that was misjudged
    return shown


def write_some(draw: st.DrawFn, one: Watched, store: Path, daemon: str) -> list[dict[str, Any]]:
    """Write what is left of a daemon's files, and give the rows in them."""
    left = []
    faulty, is_bad = set[int](), False
    for place in range(len(one.rows) - 1, -1, -1):
        # A row that no window ends at goes with the window that comes next.
        is_bad = one.rows[place].get("verdict_state", "normal" if not is_bad else "") != "normal"
        if is_bad:
            faulty.add(one.rows[place]["t_ms"])
    size = draw(st.integers(20, 150))
    for start in range(0, len(one.rows), size):
        chunk = one.rows[start : start + size]
        bad = [row for row in chunk if row["t_ms"] in faulty]
        good = [row for row in chunk if row["t_ms"] not in faulty]
        for kind, rows in (("fault", bad), (draw(st.sampled_from(("normal", "around"))), good)):
            if rows and draw(st.sampled_from((True, True, False))):
                save(rows, store, daemon=daemon, kind=kind)
                left += rows
    return left


def faults(one: Watched) -> list[tuple[str, int, int]]:
    """List the spells in which something was wrong."""
    return [
        (state, since_ms, until_ms)
        for state, since_ms, until_ms in one.spells
        if state not in (None, "normal")
    ]


def is_near(t_ms: int, since_ms: int, until_ms: int) -> bool:
    """Tell whether a row is inside or within a minute of a time."""
    return t_ms + STEP_MS > since_ms - MINUTE_MS and t_ms < until_ms + MINUTE_MS
