"""What came of a shadow: how a candidate judged the traffic that the live bundle judged.

A daemon writes one for the time since it began to show a candidate its traffic. Reports of
several daemons, and of one daemon's several lives, add up: `pooled`.
"""

import statistics
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

MOST_DELAYS = 1000  # that a report keeps, evenly from all there were


class ReportError(ValueError):
    """Something is no shadow report, or reports can't be added up; the message says why."""


class Onsets(msgspec.Struct, frozen=True):
    """How often a fault began, by whom it was found.

    >>> Onsets(4, 6, 3).missed, Onsets(4, 6, 3).added
    (1, 3)
    """

    live: int = 0
    shadow: int = 0
    both: int = 0  # among them the same ones: of one link, since within 30 s

    @property
    def missed(self) -> int:
        """How many the shadow did not find."""
        return self.live - self.both

    @property
    def added(self) -> int:
        """How many the shadow alone found, or was wrong about."""
        return self.shadow - self.both

    def plus(self, other: "Onsets") -> "Onsets":
        """Add up."""
        return Onsets(self.live + other.live, self.shadow + other.shadow, self.both + other.both)


class CanaryPair(msgspec.Struct, frozen=True):
    """What became of the faults of one label that were planted in copies of live windows.

    Each side plants its own, by the same rules; those that could not be judged are left out.
    """

    live_found: int = 0
    live_judged: int = 0
    shadow_found: int = 0
    shadow_judged: int = 0

    @property
    def live_recall(self) -> float | None:
        """The share that the live bundle found; None: none was judged."""
        return self.live_found / self.live_judged if self.live_judged else None

    @property
    def shadow_recall(self) -> float | None:
        """The share that the candidate found; None: none was judged."""
        return self.shadow_found / self.shadow_judged if self.shadow_judged else None

    def plus(self, other: "CanaryPair") -> "CanaryPair":
        """Add up."""
        return CanaryPair(
            self.live_found + other.live_found,
            self.live_judged + other.live_judged,
            self.shadow_found + other.shadow_found,
            self.shadow_judged + other.shadow_judged,
        )


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a candidate did beside the live bundle."""

    v: int = 1
    candidate: str  # id of its bundle
    live: str  # id of the live bundle
    daemon: str  # or several, joined by commas
    since_ms: int  # Unix time of the daemon's clock
    until_ms: int
    link_seconds: float = 0.0  # that links were watched by both, added up
    windows: int = 0  # judged by both
    skipped: int = 0  # judged by the live bundle alone, for want of time
    unusable: int = 0  # of which the candidate lacks a feature that it needs
    failures: int = 0  # times that it failed, and was tried no more
    states: dict[str, dict[str, int]] = {}  # windows, by the live state and then the shadow's
    onsets: dict[str, Onsets] = {}  # by fault, but for unknown
    unknown: Onsets = Onsets()
    delays_ms: tuple[int, ...] = ()  # of faults that both found: the shadow's time less live's
    canaries: dict[str, CanaryPair] = {}  # by label

    @property
    def agreed(self) -> int:
        """Windows with which both said the same state of the link."""
        return sum(row.get(state, 0) for state, row in self.states.items())

    @property
    def agreement(self) -> float | None:
        """The share of windows with which both said the same state; None: there is none."""
        return self.agreed / self.windows if self.windows else None

    @property
    def all_onsets(self) -> Onsets:
        """Of all faults together, unknown left out."""
        total = Onsets()
        for one in self.onsets.values():
            total = total.plus(one)
        return total

    @property
    def median_delay_ms(self) -> float | None:
        """How much later the shadow found the faults that both found; None: none were."""
        return float(statistics.median(self.delays_ms)) if self.delays_ms else None


def encode(report: ShadowReport) -> bytes:
    """Give a report as it lies in a bundle store: JSON."""
    return msgspec.json.format(msgspec.json.encode(report)) + b"\n"


def decode(data: bytes) -> ShadowReport:
    """Read what `encode` made.

    Raises:
        ReportError: if it is no report of this version.
    """
    try:
        report = msgspec.json.decode(data, type=ShadowReport)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ReportError(f"not a shadow report: {error}") from error
    if report.v != 1:
        raise ReportError(f"a shadow report of version {report.v}, this version reads 1")
    return report


def pooled(reports: Iterable[ShadowReport]) -> ShadowReport:
    """Add up reports of one candidate beside one live bundle.

    Raises:
        ReportError: if there is none, or they are of several candidates or live bundles.
    """
    some = list(reports)
    pairs = sorted({(one.candidate, one.live) for one in some})
    if len(pairs) != 1:
        found = ", ".join(f"{candidate} beside {live}" for candidate, live in pairs) or "none"
        raise ReportError(f"reports of one candidate beside one live bundle add up, not {found}")
    candidate, live = pairs[0]
    unknown = Onsets()
    for one in some:
        unknown = unknown.plus(one.unknown)
    return ShadowReport(
        candidate=candidate,
        live=live,
        daemon=",".join(sorted({name for one in some for name in one.daemon.split(",")})),
        since_ms=min(one.since_ms for one in some),
        until_ms=max(one.until_ms for one in some),
        link_seconds=sum(one.link_seconds for one in some),
        windows=sum(one.windows for one in some),
        skipped=sum(one.skipped for one in some),
        unusable=sum(one.unusable for one in some),
        failures=sum(one.failures for one in some),
        states=_matrix(one.states for one in some),
        onsets=_added((one.onsets for one in some), Onsets()),
        unknown=unknown,
        delays_ms=thinned([delay for one in some for delay in one.delays_ms]),
        canaries=_added((one.canaries for one in some), CanaryPair()),
    )


def thinned(delays_ms: list[int]) -> tuple[int, ...]:
    """Keep at most `MOST_DELAYS`, in order and evenly over their size.

    >>> len(thinned(list(range(5000)))), thinned([3, 1, 2])
    (1000, (1, 2, 3))
    """
    ordered = sorted(delays_ms)
    if len(ordered) > MOST_DELAYS:
        last = len(ordered) - 1
        ordered = [ordered[place * last // (MOST_DELAYS - 1)] for place in range(MOST_DELAYS)]
    return tuple(ordered)


def _matrix(tables: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {}
    for table in tables:
        for live, row in table.items():
            sums = total.setdefault(live, {})
            for shadow, count in row.items():
                sums[shadow] = sums.get(shadow, 0) + count
    return total


Pair = TypeVar("Pair", Onsets, CanaryPair)


def _added(tables: Iterable[Mapping[str, Pair]], zero: Pair) -> dict[str, Pair]:
    total: dict[str, Pair] = {}
    for table in tables:
        for name, one in table.items():
            total[name] = total.get(name, zero).plus(one)
    return total
