"""What was done to a run and when: from this its rows get their truth.

Written while the run is recorded, beside the capture, as one JSON file for a recording.
Times are Unix milliseconds of the machine's one clock, which the probes share.
"""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import msgspec

from .plan import Fault


class TimelineError(ValueError):
    """A timeline can't be used; the message says which file, and why."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One phase of the plan, as it really went."""

    phase: int  # its place in the plan's run, from 0
    command_ms: int  # the commands that bring it about were begun
    start_ms: int  # they were done: from here its faults are in force
    end_ms: int  # the commands of the next one were begun, or the run ended
    faults: tuple[Fault, ...] = ()
    restart: bool = False  # the callee's programs were restarted by its commands

    def __post_init__(self) -> None:
        if not self.command_ms <= self.start_ms <= self.end_ms:
            raise ValueError(f"phase {self.phase}: command, start and end are out of order")


class Poll(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the limiters in force said of themselves at one moment, summed."""

    at_ms: int
    dropped: int  # packets since the phase began: each phase makes its limiters anew
    queued: int  # packets or bytes that wait at this moment


class Timeline(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that was done to one run."""

    run: str
    entries: tuple[Entry, ...]
    family: str = ""
    polls: tuple[Poll, ...] = ()

    def __post_init__(self) -> None:
        for before, after in pairwise(self.entries):
            if before.end_ms > after.command_ms:
                raise ValueError(f"run {self.run!r}: phase {after.phase} begins too early")
        for earlier, later in pairwise(self.polls):
            if earlier.at_ms > later.at_ms:
                raise ValueError(f"run {self.run!r}: polls are out of order")


def write(timelines: Iterable[Timeline], path: Path) -> None:
    """Write a recording's timelines, in the order given; a file that is there is replaced."""
    text = msgspec.json.format(msgspec.json.encode(list(timelines)), indent=1)
    path.write_bytes(text + b"\n")


def read(path: Path) -> list[Timeline]:
    """Read a recording's timelines.

    Raises:
        TimelineError: if the file can't be read, isn't what `write` wrote, times are out of
            order, or a run is there twice.
    """
    try:
        timelines = msgspec.json.decode(path.read_bytes(), type=list[Timeline])
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise TimelineError(f"{path}: {error}") from error
    names = [timeline.run for timeline in timelines]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TimelineError(f"{path}: run {twice[0]!r} is there twice")
    return timelines
