"""Ranking: many candidates are trained briefly, on what a bank holds, and judged on every fold."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

from .bank import Banks
from .banked import Sides
from .brief import Brief, judge
from .folds import Fold
from .front import Fronts, shape_of, train_behind
from .journal import Attempt, Candidate, Journal

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """How candidates are ranked."""

    journal: Journal
    banks: Banks
    folds: Sequence[Fold]
    fronts: Fronts | None  # None = each candidate trains its own
    batches: int  # that a candidate learns from
    seed: int
    stopping: Event
    tell: Tell

    def run(self, count: int, seconds: float | None) -> None:
        """Rank until there are *count* candidates, time is up, or someone says stop."""
        began = time.monotonic()
        if there := self.ranked:
            rest = "go on" if there < count else "none are left to rank"
            self.tell(f"{there} of {count} candidates are there already: {rest}")
        while self.ranked < count and not self.stopping.is_set():
            if seconds is not None and self.ranked and time.monotonic() - began > seconds:
                self.tell(f"time is up: {self.ranked} of {count} candidates are ranked")
                return
            attempt = self.journal.next()
            if attempt is None:
                self.tell(f"no more than {self.ranked} candidates are possible")
                return
            if self._rank(attempt):
                self._tell_of(attempt.number, count)

    @property
    def ranked(self) -> int:
        """How many candidates are through, those given up included."""
        return sum(one.state != "begun" for one in self.journal.candidates())

    def _rank(self, attempt: Attempt) -> bool:
        """Judge a candidate on the folds that it lacks; say whether it came to its end."""
        trained: Brief | None = None
        for fold in self.folds:
            if fold.name in attempt.scores:
                continue
            if self.stopping.is_set():
                return False
            began = time.monotonic()
            sides = self.banks.sides(attempt.settings, self.seed, fold)
            score, trained = self._score(attempt, fold, sides, trained)
            hopeless = self.journal.note(attempt, fold.name, score, time.monotonic() - began)
            if hopeless and fold is not self.folds[-1]:
                self.journal.close(attempt, pruned=True)
                return True
        self.journal.close(attempt, pruned=False)
        return True

    def _score(
        self, attempt: Attempt, fold: Fold, sides: Sides, trained: Brief | None
    ) -> tuple[float, Brief | None]:
        settings, kinds, key = attempt.settings, attempt.settings.kinds, ""
        if self.fronts:
            bank = self.banks.key(settings, self.seed)
            key = self.fronts.key(bank, fold.name, fold.runs, settings)
            if seen := self.fronts.find(key, sides):
                engine = train_behind(seen, settings, self.batches, self.seed)
                return judge(engine, seen, kinds=kinds), None
        if trained is None:
            shape = shape_of(sides.learning)
            trained = Brief(settings, shape, self.batches, self.seed, front=False)
        score = judge(trained.train(sides.learning), sides, kinds=kinds)
        if self.fronts:
            self.fronts.keep(key, trained, sides)
        return score, trained

    def _tell_of(self, number: int, count: int) -> None:
        candidates = self.journal.candidates()
        this = next(one for one in candidates if one.number == number)
        text = f"candidate {number}, {self.ranked} of {count}: "
        if this.state == "pruned":
            folds = f"{len(this.scores)} of {len(self.folds)} folds"
            text += f"given up after {folds} at {this.score:.3f}"
        else:
            text += f"{this.score:.3f} ± {this.spread:.3f}"
        best = in_order(candidates)
        leader = f"; best {best[0].score:.3f}, candidate {best[0].number}" if best else ""
        self.tell(f"{text}, {this.seconds:.0f} s{leader}")


def in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Give those that were judged on all folds, the best first."""
    ranked = [one for one in candidates if one.state == "ranked"]
    return sorted(ranked, key=lambda one: (-one.score, one.number))
