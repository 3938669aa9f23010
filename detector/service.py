"""The service: one batch the whole way, again and again."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import msgspec

from .batch import Batch, Batcher
from .board import StatusBoard
from .learning import Learning
from .metrics import Metrics
from .oncall.duty import Duty, Judged
from .oncall.moment import Moment
from .oncall.standing import Standing
from .reload import Reloads
from .sinks import Outcome, Sink, SinkUnavailableError
from .source import Place, Source
from .space.space import Space
from .space.telling import NOWHERE
from .supervisor import Supervisor

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # from one look at whom nothing comes of to the next
# That records are waited for: also how long another bundle waits to be used when none come.
POLL_SECONDS = 0.25


def _now() -> Moment:
    return Moment(time.monotonic(), time.time())


@dataclass(kw_only=True)
class Service:
    """Source to verdict, until someone calls `stop`."""

    source: Source
    batches: Batcher
    duty: Duty
    sinks: Sequence[Sink]
    metrics: Metrics
    standing: Standing
    board: StatusBoard | None = None  # where others look how everything stands
    space: Space | None = None  # where links lie among the anchors
    reloads: Reloads | None = None  # where other bundles and anchors come from
    learning: Learning = field(default_factory=Learning)
    supervisor: Supervisor = field(default_factory=Supervisor)
    stopping: threading.Event = field(default_factory=threading.Event)
    clock: Callable[[], Moment] = _now
    _looked: float = float("-inf")  # monotonic clock, seconds

    def run(self, poll_seconds: float = POLL_SECONDS) -> None:
        """Work until stopped or the source is exhausted, and close what was opened."""
        with ExitStack() as closing:
            # In the opposite order: first the links go to whoever takes over.
            closing.callback(self.learning.close)
            if self.reloads:
                closing.callback(self.reloads.close)
            closing.callback(self.duty.roster.keeper.states.close)
            for sink in self.sinks:
                closing.callback(sink.close)
            closing.callback(self.source.close)
            closing.callback(self.supervisor.stopping)
            if self.reloads:
                self.reloads.begin(self.stopping.is_set, self._wait)
                self._looked = float("-inf")  # what the first batch brings is shown at once
            try:
                while not self.stopping.is_set() and not self.source.vitals.is_exhausted:
                    self.step(poll_seconds)
                self._tell_the_rest()
            except SinkUnavailableError as error:
                log.warning("stopped before delivery", extra={"why": str(error)})

    def step(self, poll_seconds: float) -> int:
        """Take one batch the whole way, and say how many windows it had."""
        self._exchange()
        batch = self.batches.next(poll_seconds)
        # Before anything waits for the broker, so that whoever asks meanwhile knows of it.
        self.metrics.see(self.source.vitals)
        moment = self.clock()
        if lost := self._follow(moment):
            batch = batch.without(lost)
        judged = self.duty.take(batch, moment) if batch.windows else Judged()
        self._look(moment)
        outcome = self._outcome(batch, judged, moment)
        for sink in self.sinks:
            sink.send(outcome)
        self._count(batch, judged, moment)
        self.metrics.observe(outcome, judged)
        self.learning.take(batch.windows, judged, self.duty, moment)
        if self.space is not None and judged.embeddings is not None:
            self.space.take(judged.verdicts, judged.embeddings)
        if batch.messages:
            # Last, so that a crash before this line repeats the batch and loses nothing.
            self.source.commit()
        self.metrics.beat()
        return len(batch.windows)

    def _wait(self) -> None:
        """Show that the loop is alive, and how everything stands, before there is a step."""
        self.metrics.beat()
        self._look(self.clock())

    def stop(self) -> None:
        """End the loop after the batch in hand."""
        self.stopping.set()

    def _exchange(self) -> None:
        """Go on with another bundle or other anchors, if some were made ready."""
        ready = self.reloads.take() if self.reloads else None
        if ready is None:
            return
        model, view = ready
        self.batches.use(model.spec)
        self.duty.exchange(view)
        self.learning.exchange(view)
        if self.space is not None:
            self.space.exchange(view.sight)
        self.metrics.know(view.sight.labels, model.bundle.manifest.labels)
        self.metrics.started(model.facts)
        self.standing.facts = model.facts
        strangeness = view.sight.strangeness
        self.standing.tally.budget_a_link_week = strangeness.budget_a_week if strangeness else None
        log.info("in use", extra=model.facts | {"enrolled": len(view.sight.enrolled)})

    def _outcome(self, batch: Batch, judged: Judged, moment: Moment) -> Outcome:
        keeper = self.duty.roster.keeper
        before = keeper.records()
        events = keeper.outbox.due(moment.now)
        return Outcome(
            judged.verdicts, batch.shares, events, batch.dead_letters, before, keeper.settle()
        )

    def _count(self, batch: Batch, judged: Judged, moment: Moment) -> None:
        rejections = self.standing.rejections
        rejections.take(batch.dead_letters, moment.now)
        if facts := rejections.news(moment.now):
            log.warning("rejected to the dead letters", extra=facts)
        tally = self.standing.tally
        tally.windows += len(judged.verdicts)
        tally.unknown += judged.unknown

    def _follow(self, moment: Moment) -> set[Place]:
        """Take note of partitions that came and went, in their order; give those that are gone."""
        moves, gone = self.source.vitals.moves, set[Place]()
        while moves:
            move = moves.popleft()
            self.duty.roster.follow(move, moment)
            (gone.discard if move.is_gained else gone.add)(move.place)
        return gone

    def _look(self, moment: Moment) -> None:
        """Once a second: see of whom nothing came, and show how everything stands."""
        since = moment.now - self._looked
        if since < LOOK_SECONDS:
            return
        self._looked = moment.now
        roster, vitals = self.duty.roster, self.source.vitals
        roster.look(moment, self.source)
        links = dict(roster.steady.links)
        if since < float("inf") and roster.attention.is_paying:
            self.standing.tally.watch(len(links), since)
        scores = self.duty.canaries.recall.scores() if self.duty.canaries is not None else {}
        status = msgspec.structs.replace(
            self.standing.status(moment, vitals, scores),
            ready=self.metrics.is_ready,
            refused=self.metrics.refusal(),
            bundle_refused=bool(self.reloads and self.reloads.is_bundle_refused),
            enrolled=len(self.duty.sight.enrolled),
            labels=tuple(self.duty.sight.labels),
            **self.learning.statuses,
        )
        self.metrics.links(links, status, roster.noticed)
        self.supervisor.show(status)
        space = self.space.look(links, status.worst) if self.space else NOWHERE
        if self.board:
            self.board.publish(status, lambda: self.standing.links(links.values()), space)

    def _tell_the_rest(self) -> None:
        """Tell what waits for company: nobody knows when the next daemon starts."""
        keeper = self.duty.roster.keeper
        if events := keeper.outbox.flush():
            outcome = Outcome(events=events, after=keeper.settle())
            for sink in self.sinks:
                sink.send(outcome)
            self.metrics.observe(outcome, Judged())
