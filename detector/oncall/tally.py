"""The tally: how often links are called unknown, beside how often they may be.

Nobody tells a running daemon which of its alarms were false. So each counts as if it were: what
comes out is the most that the false-alarm rate can be, and it is held against the budget.
"""

from dataclasses import dataclass

import msgspec

from detector.status import UnknownStatus

from .rates import least_events, most_events

WEEK_SECONDS = 604_800.0


@dataclass(slots=True)
class Tally:
    """Counts since the start."""

    budget_a_link_week: float | None = None  # None: nothing is ever called unknown
    unknown: int = 0  # changes of a link's state to unknown
    link_seconds: float = 0.0  # that links were watched, added up
    windows: int = 0  # judged

    def watch(self, links: int, seconds: float) -> None:
        """Note that so many links were watched for so long."""
        self.link_seconds += links * seconds

    @property
    def status(self) -> UnknownStatus:
        """The rate and where it lies with 90 % confidence: 5 % below, 5 % above."""
        counted = UnknownStatus(
            self.budget_a_link_week,
            windows=self.windows,
            onsets=self.unknown,
            link_seconds=self.link_seconds,
        )
        if self.budget_a_link_week is None or not self.link_seconds:
            return counted
        weeks = self.link_seconds / WEEK_SECONDS
        return msgspec.structs.replace(
            counted,
            rate_link_week=self.unknown / weeks,
            low=least_events(self.unknown) / weeks,
            high=most_events(self.unknown) / weeks,
        )
