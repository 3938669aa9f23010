"""Timelines for tests: as strategies, and from the shared captures' own table."""

import csv
from itertools import accumulate, groupby
from pathlib import Path

from hypothesis import strategies as st

from training.lab.plan import DIRECTED, LIMITS, Direction, Fault, Kind
from training.lab.timeline import Entry, Poll, Timeline
from training.lab.truth import NAMES, SHORT

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "sip-testbed"


def make_fault(kind, direction=Direction.BOTH):
    """Give a fault that a plan may hold."""
    needs_level = kind in LIMITS or kind is Kind.LOSS
    return Fault(
        kind, direction if kind in DIRECTED else Direction.BOTH, 0.5 if needs_level else 0.0
    )


FAULTS = st.builds(make_fault, st.sampled_from(Kind), st.sampled_from(Direction))


@st.composite
def make_timelines(draw, most_ms=90_000):
    """Draw a timeline with a gap here and there, whose limiters bind now and then."""
    waits = st.integers(0, most_ms)
    at = draw(st.integers(-5_000, 5_000))
    entries = []
    for phase in range(draw(st.integers(0, 5))):
        command = at + draw(st.sampled_from([0, 0, 0, 1, 2500]))
        start = command + draw(st.sampled_from([0, 5, 140, 2500]))
        at = start + draw(waits)
        faults = tuple(draw(st.lists(FAULTS, max_size=2)))
        entries.append(Entry(phase, command, start, at, faults, draw(st.booleans())))
    times = sorted(draw(st.lists(st.integers(-5_000, at + 5_000), max_size=8)))
    polls = [Poll(t, draw(st.integers(0, 2)), draw(st.integers(0, 1))) for t in times]
    return Timeline("run", tuple(entries), "A", tuple(polls))


def phases(*lengths_and_faults, change_ms=100):
    """Give a timeline of (seconds, faults) from time 0, each change taking *change_ms*."""
    ends = list(accumulate(round(seconds * 1000) for seconds, _ in lengths_and_faults))
    starts = [0, *ends[:-1]]
    return Timeline(
        "run",
        tuple(
            Entry(place, start, min(start + change_ms, end), end, tuple(faults))
            for place, (start, end, (_, faults)) in enumerate(
                zip(starts, ends, lengths_and_faults, strict=True)
            )
        ),
    )


def shared_timelines():
    """Rebuild the timelines of the shared captures; polls say that a limiter always bound."""
    with (SHARED / "timeline.csv").open() as file:
        for run, rows in groupby(csv.DictReader(file), lambda row: row["run"]):
            entries = tuple(
                Entry(
                    int(row["seg"]),
                    *(int(row[f"{name}_ms"]) for name in ("command", "start", "end")),
                    _faults_named(row["kind"]),
                )
                for row in rows
            )
            times = range(entries[0].start_ms, entries[-1].end_ms, 1000)
            yield Timeline(run, entries, polls=tuple(Poll(t, 0, 1) for t in times))


def _faults_named(name):
    if name == "normal":
        return ()
    kinds = {known: kind for kind, known in NAMES.items()}
    directions = {short: direction for direction, short in SHORT.items()}
    stem, _, direction = name.rpartition("_")
    if direction in directions:
        return (make_fault(kinds[stem], directions[direction]),)
    return (make_fault(kinds[name]),)
