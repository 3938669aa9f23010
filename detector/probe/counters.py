"""Rows from an interface's own counters, for where packets may not be read.

Reads `/proc/net/dev`, which anybody may. Rates are made here from counters, never taken from
the system's own averages, which lag by minutes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .features import COUNTER_FEATURES, DIRECTIONS
from .links import Rule
from .packets import ProbeError

SOURCE = Path("/proc/net/dev")
# Where /proc/net/dev has packets, bytes, errors and drops, received and sent.
RECEIVED, SENT = (1, 0, 2, 3), (9, 8, 10, 11)
WRAP = 1 << 32  # where counters of 32 bits start anew
NEARLY = WRAP - WRAP // 4


def read(text: str) -> dict[str, NDArray[np.int64]]:
    """Read `/proc/net/dev`: interface -> (8,), received and then sent, as `COUNTER_FEATURES`.

    Raises:
        ProbeError: if a line isn't what the kernel writes.
    """
    counters = {}
    for line in text.splitlines()[2:]:
        name, sign, rest = line.rpartition(":")
        fields = rest.split()
        if not sign or len(fields) < 12 or not all(map(str.isdecimal, fields)):
            raise ProbeError(f"/proc/net/dev: not understood: {line!r}")
        numbers = [int(fields[place]) % (1 << 63) for place in (*RECEIVED, *SENT)]
        counters[name.strip()] = np.array(numbers, np.int64)
    return counters


def differences(before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.float32]:
    """Count what happened between two readings; NaN where a counter was set back.

    >>> differences(np.array([5, 2**32 - 1, 100]), np.array([7, 4, 0])).tolist()
    [2.0, 5.0, nan]
    """
    change = (after - before).astype(np.float64)
    wrapped = (change < 0) & (before >= NEARLY) & (before < WRAP) & (after < WRAP // 4)
    change[wrapped] += WRAP
    change[change < 0] = np.nan
    return change.astype(np.float32)


class Counters:
    """Turns readings of the counters into rows.

    Args:
        rules: links, each an interface: what it receives is forward, unless its rule says out.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Check the rules.

        Raises:
            ProbeError: if one is about addresses, which counters don't know, or two are of one
                link.
        """
        for rule in rules:
            if not rule.by_direction:
                raise ProbeError(f"link {rule.link!r}: counters know interfaces, no addresses")
            if sum(other.link == rule.link for other in rules) > 1:
                raise ProbeError(f"link {rule.link!r}: its counters are of one interface")
        self.rules = tuple(rules)
        self._before: Mapping[str, NDArray[np.int64]] = {}

    def row(self, text: str) -> NDArray[np.float32]:
        """Give what happened since the reading before: (links, features).

        NaN for an interface that wasn't there then or isn't now.
        """
        after = read(text)
        count = len(COUNTER_FEATURES)
        values = np.full((len(self.rules), len(DIRECTIONS) * count), np.nan, np.float32)
        for place, rule in enumerate(self.rules):
            if rule.port in after and rule.port in self._before:
                change = differences(self._before[rule.port], after[rule.port])
                values[place] = np.roll(change, count) if rule.is_out else change
        self._before = after
        return values
