"""The truth of rows: what was wrong with a link in each, told by what was done to it.

This is the one place where labels of recorded runs come from.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .plan import DIRECTED, LIMITS, Direction, Fault, Kind
from .timeline import Entry, Timeline

NORMAL, BLOCKED, LIMITED, LOSSY = "normal", "blocked", "capacity-limited", "lossy"
TRANSITION = "transition"  # the kind of rows in which the condition changed; they have no label
BINDING_MS = 30_000  # so near to a moment in which a limiter dropped or queued, it is felt

NAMES = {
    Kind.BLOCK: "block",
    Kind.CARRIER_LOSS: "carrier_loss",
    Kind.PORT_DOWN: "link_down",
    Kind.PEER_DEAD: "peer_dead",
    Kind.PEER_HUNG: "peer_hung",
    Kind.BLACKHOLE: "blackhole",
    Kind.PROHIBIT: "prohibit",
    Kind.SHAPER: "tbf",
    Kind.QUEUE: "htb",
    Kind.POLICER: "police",
    Kind.LOSS: "loss",
}
SHORT = {Direction.BOTH: "both", Direction.FORWARD: "fwd", Direction.REVERSE: "rev"}
PRECEDENCE = (BLOCKED, LIMITED, LOSSY)  # of several faults at once, the first names the row


def truth(
    timeline: Timeline, t_ms: NDArray[np.int64], step_ms: int
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Give the label and the kind of each row, None where there is none; both: (rows,).

    A row is the time from *t_ms* until *step_ms* later. It has no label if the condition
    changed or the programs were restarted in it, if it begins before the run or reaches beyond
    its end, or if a limit was in force but didn't bind within 30 seconds of it.
    """
    labels = np.full(len(t_ms), None, dtype=object)
    kinds = labels.copy()
    ends_ms = t_ms + step_ms  # (rows,), each the first moment after its row
    for entry in timeline.entries:
        inside = (t_ms >= entry.command_ms) & (t_ms < entry.end_ms)
        kinds[inside] = kind_of(entry.faults)
        labels[inside] = label_of(entry.faults)
        if label_of(entry.faults) == LIMITED:
            labels[inside & ~_is_felt(entry, timeline, t_ms, ends_ms)] = None
    # After all entries: a row can be longer than a phase, and hold a change and the next one.
    changing = _is_changing(timeline, t_ms, ends_ms)
    labels[changing], kinds[changing] = None, TRANSITION
    outside = _is_outside(timeline, t_ms, ends_ms)
    labels[outside] = kinds[outside] = None
    return labels, kinds


def label_of(faults: Iterable[Fault]) -> str:
    """Name what these faults do to a link, as far as they are felt."""
    found = {_label(fault.kind) for fault in faults}
    return next((label for label in PRECEDENCE if label in found), NORMAL)


def kind_of(faults: Iterable[Fault]) -> str:
    """Name the mechanism of these faults, the graver ones first.

    >>> kind_of([Fault(Kind.LOSS, Direction.REVERSE, 0.1), Fault(Kind.BLOCK, Direction.FORWARD)])
    'block_fwd+loss_rev'
    """
    found = {(PRECEDENCE.index(_label(fault.kind)), name_of(fault)) for fault in faults}
    return "+".join(name for _, name in sorted(found)) or NORMAL


def name_of(fault: Fault) -> str:
    """Name one fault's mechanism, with its direction if its kind has one."""
    name = NAMES[fault.kind]
    return f"{name}_{SHORT[fault.direction]}" if fault.kind in DIRECTED else name


def _label(kind: Kind) -> str:
    if kind in LIMITS:
        return LIMITED
    return LOSSY if kind is Kind.LOSS else BLOCKED


def _is_felt(
    entry: Entry, timeline: Timeline, t_ms: NDArray[np.int64], ends_ms: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which rows are near enough to a moment in which the entry's limiter bound."""
    polls = [poll for poll in timeline.polls if entry.start_ms <= poll.at_ms <= entry.end_ms]
    already = [0, *(poll.dropped for poll in polls)]
    busy_ms = np.array(
        [
            poll.at_ms
            for poll, dropped in zip(polls, already, strict=False)
            if poll.queued or poll.dropped != dropped
        ],
        dtype=np.int64,
    )
    first = np.searchsorted(busy_ms, t_ms - BINDING_MS)
    behind_last = np.searchsorted(busy_ms, ends_ms + BINDING_MS)
    return np.asarray(first < behind_last)


def _is_changing(
    timeline: Timeline, t_ms: NDArray[np.int64], ends_ms: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell in which rows another condition was brought about, or the programs restarted."""
    changing = np.zeros(len(t_ms), dtype=np.bool_)
    before: frozenset[Fault] = frozenset()
    for entry in timeline.entries:
        faults = frozenset(entry.faults)
        if faults != before or entry.restart:
            changing |= (t_ms <= entry.start_ms) & (ends_ms > entry.command_ms)
        before = faults
    return changing


def _is_outside(
    timeline: Timeline, t_ms: NDArray[np.int64], ends_ms: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which rows aren't wholly within the run."""
    if not timeline.entries:
        return np.ones(len(t_ms), dtype=np.bool_)
    first, last = timeline.entries[0], timeline.entries[-1]
    return np.asarray((t_ms < first.command_ms) | (ends_ms > last.end_ms))
