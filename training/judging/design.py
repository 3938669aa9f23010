"""The design of a study: what is tried, and how often."""

from dataclasses import dataclass

from training.rivals import RIVALS
from training.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Design:
    """What is tried."""

    settings: Settings
    seeds: tuple[int, ...] = (0, 1, 2)
    folds: int = 4  # that runs are dealt to; 0 = this validation is left out
    mixes: tuple[str, ...] = ()  # each patterns of runs, joined by commas
    unseen: tuple[str, ...] = ()  # each patterns of kinds or labels, joined by commas
    judge: tuple[str, ...] = ("*",)  # links to judge on (patterns)
    rivals: tuple[str, ...] = tuple(RIVALS)
    agree: int = 3
    of: int = 5
