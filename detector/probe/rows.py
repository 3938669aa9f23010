"""Rows: what was seen of each link in each step, added up.

A row is given out once nothing more can come for its step. A step without packets is a row of
zeros: silence is an observation. Only steps that were watched as a whole become rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .features import DIRECTIONS, PACKET_FEATURES, PLACE
from .packets import Ints

FEATURES = len(PACKET_FEATURES)
GAP, GAP_MAX, RESPONSE = (
    PLACE[name] for name in ("interarrival_ms", "interarrival_max_ms", "response_ms")
)
GAPS, RESPONSES = FEATURES, FEATURES + 1  # how many there are to the mean, behind the features
COLUMNS = FEATURES + 2
MOST_CELLS = 1 << 22  # numbers held for one part of a batch
LONGEST_GAP_S = 3600  # without any packet; then time jumped, and there are no rows between


@dataclass(slots=True)
class Seen:
    """What was read of a batch, in the order of time within each way."""

    time_ns: Ints  # (packets,)
    way: Ints  # (packets,) 2 * link, plus 1 in reverse
    length: Ints  # (packets,) bytes on the wire
    marks: list[tuple[Ints, Ints]] = field(default_factory=list)  # packets, and a feature of each
    # Packets that answered, and how long that took; counted for the other direction.
    answers: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    answer_ms: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


class Rows:
    """Adds up what was seen and gives out rows.

    Args:
        links: how many there are.
        step_ms: how long a row is.
        origin_ms: rows begin at whole multiples of the step after this Unix time.
        partial: whether the first and the last step, watched only in part, become rows too.
    """

    def __init__(
        self, links: int, step_ms: int, *, origin_ms: int = 0, partial: bool = False
    ) -> None:
        self.late = 0  # packets that came after their row was given out
        self.jumps = 0  # times that the clock was set, or nothing was captured for an hour
        self._step_ns = step_ms * 10**6
        self._origin_ns = origin_ms * 10**6
        self._partial = partial
        self._ways = 2 * links
        self._last_ns = np.full(self._ways, -1)  # of each way's latest packet
        self._pending: dict[int, NDArray[np.float64]] = {}  # step -> (ways, columns)
        self._next: int | None = None  # the step to give out next
        self._cut: int | None = None  # the step in which watching began, unless it counts

    def begin(self, now_ns: int) -> None:
        """Say from when on packets are seen; else the first packet says so."""
        step, into = divmod(now_ns - self._origin_ns, self._step_ns)
        if into and not self._partial:
            self._cut, step = step, step + 1
        self._next = step

    def add(self, seen: Seen) -> None:
        """Add a batch."""
        if not len(seen.time_ns):
            return
        if self._next is None:
            self.begin(int(seen.time_ns.min()))
        step = (seen.time_ns - self._origin_ns) // self._step_ns
        present, place = np.unique(step, return_inverse=True)
        most = max(1, MOST_CELLS // (self._ways * COLUMNS))
        gap_ms = self._gaps(seen)
        for start in range(0, len(present), most):
            some = present[start : start + most]
            chosen = (place >= start) & (place < start + most)
            table = self._table(seen, chosen, place - start, len(some), gap_ms)
            self._merge(some, table)

    def _gaps(self, seen: Seen) -> NDArray[np.float64]:
        """Give the time since the way's packet before, milliseconds; NaN of its first."""
        order = np.argsort(seen.way, kind="stable")
        way, time = seen.way[order], seen.time_ns[order]
        before = np.r_[0, time[:-1]]
        starts = np.flatnonzero(np.r_[True, way[1:] != way[:-1]])
        before[starts] = self._last_ns[way[starts]]
        ends = np.r_[starts[1:], len(way)] - 1
        self._last_ns[way[ends]] = time[ends]
        gaps = np.empty(len(way))
        gaps[order] = np.where(before < 0, np.nan, np.maximum(0, time - before) / 1e6)
        return gaps

    def _table(
        self,
        seen: Seen,
        chosen: NDArray[np.bool_],
        place: Ints,
        steps: int,
        gap_ms: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Add up a part of a batch: (steps, ways, columns)."""
        table = np.zeros((steps * self._ways, COLUMNS))
        cells = len(table)
        cell = place * self._ways + seen.way
        mine = cell[chosen]
        table[:, PLACE["packets"]] = np.bincount(mine, minlength=cells)
        table[:, PLACE["bytes"]] = np.bincount(mine, seen.length[chosen], cells)
        timed = chosen & ~np.isnan(gap_ms)
        table[:, GAP] = np.bincount(cell[timed], gap_ms[timed], cells)
        table[:, GAPS] = np.bincount(cell[timed], minlength=cells)
        np.maximum.at(table[:, GAP_MAX], cell[timed], gap_ms[timed])
        if seen.marks:
            packets, feature = (np.concatenate(parts) for parts in zip(*seen.marks, strict=True))
            inside = chosen[packets]
            flat = cell[packets[inside]] * COLUMNS + feature[inside]
            table += np.bincount(flat, minlength=table.size).reshape(table.shape)
        inside = chosen[seen.answers]
        asked = cell[seen.answers[inside]] ^ 1  # the request went the other way
        table[:, RESPONSE] = np.bincount(asked, seen.answer_ms[inside], cells)
        table[:, RESPONSES] = np.bincount(asked, minlength=cells)
        return table.reshape(steps, self._ways, COLUMNS)

    def _merge(self, steps: Ints, table: NDArray[np.float64]) -> None:
        for step, added in zip(steps.tolist(), table, strict=True):
            if step == self._cut:
                continue  # begun before anybody watched: it becomes no row
            if self._next is not None and step < self._next:
                self.late += int(added[:, PLACE["packets"]].sum())
                continue
            known = self._pending.get(step)
            if known is None:
                self._pending[step] = added.copy()
                continue
            longest = np.maximum(known[:, GAP_MAX], added[:, GAP_MAX])
            known += added
            known[:, GAP_MAX] = longest

    def done(self, until_ns: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Give the rows of all steps that end by *until_ns*: start, and (links, features)."""
        if self._next is None:
            return
        end = (until_ns - self._origin_ns) // self._step_ns
        longest = LONGEST_GAP_S * 10**9 // self._step_ns
        while self._next < end:
            if self._next not in self._pending:
                following = min((step for step in self._pending), default=end)
                if min(following, end) - self._next > longest:
                    self.jumps += 1
                    self._next = min(following, end)
                    continue
            yield self._row(self._next, self._pending.pop(self._next, None))
            self._next += 1

    def rest(self, until_ns: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Give the last rows; *until_ns* is when watching ended."""
        last = (until_ns - self._origin_ns) // self._step_ns * self._step_ns + self._origin_ns
        yield from self.done(last + self._step_ns if self._partial else until_ns)

    def _row(
        self, step: int, table: NDArray[np.float64] | None
    ) -> tuple[int, NDArray[np.float32]]:
        if table is None:
            table = np.zeros((self._ways, COLUMNS))
        for mean, count in ((GAP, GAPS), (RESPONSE, RESPONSES)):
            with np.errstate(invalid="ignore"):
                table[:, mean] /= table[:, count]  # 0 / 0: there was none
        table[table[:, GAPS] == 0, GAP_MAX] = np.nan
        values = table[:, :FEATURES].reshape(self._ways // 2, len(DIRECTIONS) * FEATURES)
        start_ms = (step * self._step_ns + self._origin_ns) // 10**6
        return start_ms, values.astype(np.float32)
