"""The service: one batch the whole way, again and again."""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from .anchors import AnchorSet
from .batch import Batch, Batcher
from .encoder import Encoder
from .head import Head
from .metrics import Metrics
from .sinks import Outcome, Sink, SinkUnavailableError
from .source import Source
from .verdict import Judge

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Service:
    """Source to verdict, until someone calls `stop`."""

    source: Source
    batches: Batcher
    encoder: Encoder
    anchors: AnchorSet
    judge: Judge
    sinks: Sequence[Sink]
    metrics: Metrics
    head: Head | None = None  # gives a second opinion
    forget_seconds: float = 3600.0
    stopping: threading.Event = field(default_factory=threading.Event)
    _tidied: float = 0.0  # monotonic clock, seconds

    def run(self, poll_seconds: float = 1.0) -> None:
        """Work until stopped or the source is exhausted, and close what was opened."""
        with ExitStack() as closing:
            closing.callback(self.source.close)
            for sink in self.sinks:
                closing.callback(sink.close)
            while not self.stopping.is_set() and not self.source.vitals.is_exhausted:
                try:
                    self.step(poll_seconds)
                except SinkUnavailableError as error:
                    log.warning("stopped before delivery", extra={"why": str(error)})
                self._tidy()

    def step(self, poll_seconds: float) -> int:
        """Take one batch the whole way, and say how many windows it had."""
        batch = self.batches.next(poll_seconds)
        outcome = self._judge(batch)
        for sink in self.sinks:
            sink.send(outcome)
        self.metrics.observe(outcome)
        if batch.messages:
            # Last, so that a crash before this line repeats the batch and loses nothing.
            self.source.commit()
        self.metrics.progress(self.source.vitals)
        return len(batch.windows)

    def stop(self) -> None:
        """End the loop after the batch in hand."""
        self.stopping.set()

    def _judge(self, batch: Batch) -> Outcome:
        if not batch.windows:
            return Outcome(dead_letters=batch.dead_letters)
        with self.metrics.embed_seconds.time():
            embeddings = self.encoder.embed(np.stack([window.values for window in batch.windows]))
        nearest = self.anchors.classify(embeddings)
        opinions = self.head.name(embeddings) if self.head else ()
        verdicts, events = self.judge.judge(batch.windows, nearest, time.monotonic(), opinions)
        return Outcome(verdicts, batch.shares, events, batch.dead_letters)

    def _tidy(self) -> None:
        """Once a second: forget links that have been quiet for long, and export the others."""
        now = time.monotonic()
        if now - self._tidied < 1:
            return
        self._tidied = now
        self.judge.steady.forget(now - self.forget_seconds)
        self.metrics.links(self.judge.steady.links)
