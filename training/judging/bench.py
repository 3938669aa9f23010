"""The bench: one training without some runs, and every method judged on those."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.capture import LinkCapture
from training.data import Pool, Side, without_kinds
from training.fitting import Fitted, fit
from training.reference import choose_anchors, draw_anchors
from training.rivals import taught
from training.settings import Settings
from training.split import Fold
from training.stated import by_the_rule

from .cell import Cell
from .design import Design
from .scores import macro_f1, tally
from .strangers import Strangers
from .study import ENCODER, HEAD, STATISTICS
from .watching import Name, Watching

REFERENCES = 20  # other choices of anchors that are tried in each cell

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """One cell's work: training on what its fold leaves, judging on what it left out."""

    pool: Pool
    design: Design
    fold: Fold
    seed: int
    tell: Progress

    def cell(self, validation: str) -> Cell:
        """Train and judge everything once."""
        side = self.pool.side(self._learnt())
        settings = replace(self.design.settings, seed=self.seed)
        self.tell(ENCODER)
        begun = time.monotonic()
        fitted = fit(side.learning, settings, _silent)
        cell = Cell(validation, self.fold.name, self.seed, time.monotonic() - begun)
        watching = self._watching(side)
        self._judge_encoder(cell, side, fitted, settings, watching)
        if not self.fold.unseen:
            self._judge_statistics(cell, side, settings, watching)
            self._judge_rivals(cell, side, watching)
        self.tell("what nobody taught it")
        chosen = choose_anchors(side.recorded, fitted.encoder, {}, kinds=settings.kinds)
        strangers = Strangers.of(
            links_to_judge(self.pool, self.design, self.fold),
            side.learning,
            fitted.encoder,
            _anchors(fitted, side, chosen),
            self.seed,
        )
        cell.rejections = strangers.rejected(self.fold.unseen)
        if self.fold.unseen:
            cell.enrolments = strangers.enrolled(self.fold.unseen)
        return cell

    def _learnt(self) -> list[LinkCapture]:
        rest = [link for link in self.pool.links if link.run not in self.fold.runs]
        return [without_kinds(link, self.fold.unseen) for link in rest]

    def _watching(self, side: Side) -> Watching:
        known = {str(label) for label in side.learning.labels}
        left_out = links_to_judge(self.pool, self.design, self.fold)
        links = [without_kinds(link.only(known), self.fold.unseen) for link in left_out]
        return Watching(links, self.pool.spec, self.design.agree, self.design.of, left_out)

    def _judge_encoder(
        self, cell: Cell, side: Side, fitted: Fitted, settings: Settings, watching: Watching
    ) -> None:
        recorded, encoder = side.recorded, fitted.encoder
        points = watching.described(encoder.embed)
        chosen = choose_anchors(recorded, encoder, {}, kinds=settings.kinds)
        anchors = AnchorSet(*_anchors(fitted, side, chosen))
        states = by_the_rule(anchors, self.pool.spec.span_ms)
        cell.findings[ENCODER] = watching.judged(_nearest(fitted, side, chosen), points, states)
        if fitted.head:
            cell.findings[HEAD] = watching.judged(fitted.head.name, points)
        pure, truth = watching.pure(points)
        rng = np.random.default_rng(self.seed)
        for _ in range(REFERENCES if len(truth) else 0):
            drawn = draw_anchors(recorded, rng, kinds=settings.kinds)
            said = _nearest(fitted, side, drawn)(pure)
            counts = tally(truth, said, [""] * len(truth)).pooled
            cell.other_references.append(float(macro_f1(counts)))

    def _judge_statistics(
        self, cell: Cell, side: Side, settings: Settings, watching: Watching
    ) -> None:
        """Judge the same loss, batches, inputs and anchors, without recurrence."""
        self.tell(STATISTICS)
        plain = replace(settings, units=(), statistics=True, head=False)
        fitted = fit(side.learning, plain, _silent)
        chosen = choose_anchors(side.recorded, fitted.encoder, {}, kinds=settings.kinds)
        points = watching.described(fitted.encoder.embed)
        anchors = AnchorSet(*_anchors(fitted, side, chosen))
        states = by_the_rule(anchors, self.pool.spec.span_ms)
        cell.findings[STATISTICS] = watching.judged(_nearest(fitted, side, chosen), points, states)

    def _judge_rivals(self, cell: Cell, side: Side, watching: Watching) -> None:
        for name in self.design.rivals:
            self.tell(name)
            try:
                rival = taught(name, side.recorded, side.learning, self.seed)
            except (ValueError, ImportError) as error:  # what it can't do with, or without
                cell.unavailable[name] = str(error)
            else:
                cell.findings[name] = watching.judged(rival.predict)


def links_to_judge(pool: Pool, design: Design, fold: Fold) -> list[LinkCapture]:
    """Give the links that are left out, with all the labels that they were recorded with."""
    return [
        link
        for link in pool.everywhere
        if link.run in fold.runs
        and any(fnmatchcase(link.link, pattern) for pattern in design.judge)
    ]


def _nearest(fitted: Fitted, side: Side, chosen: Sequence[int]) -> Name:
    """Make the function that names embeddings by the nearest of the *chosen* windows."""
    anchors = AnchorSet(*_anchors(fitted, side, chosen))

    def name(points: NDArray[np.float32]) -> list[str]:
        return [anchors.labels[place] for place in anchors.classify(points).label]

    return name


def _anchors(
    fitted: Fitted, side: Side, chosen: Sequence[int]
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Give the points of the *chosen* windows, and their labels."""
    labels = tuple(str(side.recorded.labels[place]) for place in chosen)
    return fitted.encoder.embed(side.recorded.cut(np.array(chosen))), labels


def _silent(_what: str, _epoch: int, _epochs: int, _measured: dict[str, float]) -> None:
    """Show no progress: a cell's steps are told of, not its epochs."""
