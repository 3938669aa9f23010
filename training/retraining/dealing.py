"""Dealing runs to the two sides of a training, so that each label is learnt and validated."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from detector.capture import CaptureError, LinkCapture
from training.data import Pool
from training.split import folds

from .gathered import Runs, runs_by_label

DEALS = 20  # tried, until one is good enough
LEARNT, VALIDATED = 2, 1  # runs of a label that only the store has, at least

Sides = tuple[list[LinkCapture], list[LinkCapture]]  # to learn from, to validate on


@dataclass(frozen=True, slots=True)
class Dealing:
    """What the runs of a pool have, and which of them may be validated on."""

    pool: Pool
    pure: Runs  # by label, the runs with a window of it throughout
    ended: Runs  # the runs with a window that ends in it
    unfit: Collection[str]  # runs that the encoder has learnt from already

    @classmethod
    def of(cls, pool: Pool, unfit: Collection[str]) -> "Dealing":
        """Look through a pool."""
        pure, ended = (
            runs_by_label(pool.links, pool.spec, tail) for tail in (pool.spec.steps, pool.tail)
        )
        return cls(pool, pure, ended, unfit)

    def sides(self, own: Collection[str]) -> Sides | None:
        """Give the first deal that is good enough, also for the labels that only the store has.

        Raises:
            CaptureError: if there are too few runs for any.
        """
        for deal in range(DEALS):
            sides = self._deal(deal)
            if self._is_enough(sides, own):
                return sides
        return None

    def _deal(self, deal: int) -> Sides:
        fit = [link for link in self.pool.links if link.run not in self.unfit]
        if len(_runs(fit)) < LEARNT:
            raise CaptureError(self.why_not)
        settings = self.pool.settings
        count = round(1 / settings.validation_share)
        # Each sort of run has its places in the order, whatever the seed: take other parts too.
        dealt = folds(fit, count, settings.seed + deal // count)
        kept = {run for run, place in dealt.items() if place == deal % count}
        rest = [link for link in self.pool.links if link.run not in kept]
        return rest, [link for link in self.pool.links if link.run in kept]

    def _is_enough(self, sides: Sides, own: Collection[str]) -> bool:
        rest, kept = map(_runs, sides)
        learnt = _counts(self.pure, rest)
        named = [label for label, count in _counts(self.ended, kept).items() if count]
        validated = _counts(self.pure, kept)
        return len(named) > 1 and all(
            [
                *(learnt.get(label, 0) > 0 for label in named),
                *(learnt.get(label, 0) >= LEARNT for label in own),
                *(validated.get(label, 0) >= VALIDATED for label in own),
            ]
        )

    @property
    def why_not(self) -> str:
        """Say what is needed where no deal is good enough."""
        if self.unfit:
            return (
                "too few runs are new to the running encoder to validate on what it has not "
                "learnt: use --from-scratch"
            )
        return (
            "the runs can't be parted so that two labels are learnt and validated: name more of "
            "the store, or give the base captures"
        )


def _counts(runs: Runs, side: set[str]) -> dict[str, int]:
    return {label: len(side.intersection(mine)) for label, mine in runs.items()}


def _runs(links: Sequence[LinkCapture]) -> set[str]:
    return {link.run for link in links}
