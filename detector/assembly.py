"""Assembly: the parts that settings and a bundle call for, put together.

`SOURCES` and `SINKS` list what can be chosen by name. Each imports what it needs when it is
chosen, so that a daemon on Kafka carries nothing that only a replay needs.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .batch import Batcher
from .board import StatusBoard
from .bundle import Bundle
from .bundles import is_store
from .config import ConfigError, Settings
from .enrolments import AllEnrolments, Enrolments, FolderEnrolments
from .learning import Learning, Watched
from .metrics import CONTENT_TYPE, Metrics
from .oncall.duty import Duty
from .oncall.opening import Model, open_duty
from .oncall.record import NoStates, States
from .oncall.standing import Standing
from .oncall.tally import Tally
from .page import status_page
from .reload import Reloads
from .service import Service
from .sinks import Sink
from .source import Source
from .space.space import Space
from .status import Status
from .supervisor import Supervisor
from .web import Page, WebServer

if TYPE_CHECKING:
    from .capture import LinkCapture
    from .kafka_client import Access


@dataclass(frozen=True)
class Context:
    """What a source or sink may need to be made."""

    settings: Settings
    bundle: Bundle
    metrics: Metrics
    stopping: threading.Event
    url: str  # where /metrics answers

    @cached_property
    def access(self) -> "Access":
        """Who makes all clients of the broker."""
        from .kafka_client import Access

        return Access(self.settings.kafka)

    @cached_property
    def captured(self) -> "list[LinkCapture]":
        """The links of the captures that are replayed, read once."""
        from .capture import SHIPPED, CaptureError, read_links  # pandas

        captures = self.settings.captures
        paths = [Path(path) for path in captures.paths] or [SHIPPED]
        try:
            return read_links(paths, self.bundle.manifest.window, captures.links)
        except CaptureError as error:
            raise ConfigError(f"[captures] {error}") from error


def _kafka_source(context: Context) -> Source:
    from .kafka_source import KafkaSource

    settings = context.settings
    return KafkaSource(settings.kafka, settings.batch.windows, context.access)


def _capture_source(context: Context) -> Source:
    from .replay import Replay
    from .source import CaptureSource

    captures = context.settings.captures
    replay = Replay(
        context.captured,
        context.bundle.manifest.window,
        hop_ms=round(captures.hop_seconds * 1000),
        side_by_side=True,
    )
    if not len(replay):
        raise ConfigError("[captures] no link has a whole window of observed rows")
    return CaptureSource(replay, captures.speed)


def _kafka_sink(context: Context) -> Sink:
    from .kafka_sink import KafkaSink

    settings = context.settings
    return KafkaSink(
        settings.kafka,
        settings.events.dialect,
        context.stopping,
        context.metrics.beat,
        context.access,
    )


def _kafka_states(context: Context) -> States:
    from .kafka_states import KafkaStates

    settings, metrics = context.settings, context.metrics
    return KafkaStates(settings.kafka, context.stopping, metrics.beat, context.access)


def _terminal_sink(context: Context) -> Sink:
    from .terminal import TerminalSink  # rich

    training = context.bundle.manifest.training
    return TerminalSink(
        url=context.url,
        span_ms=context.bundle.manifest.window.span_ms,
        bundle=context.bundle.id,
        links=context.captured if context.settings.source == "captures" else (),
        seen_runs={*training.runs, *training.validation_runs},
    )


SOURCES: dict[str, Callable[[Context], Source]] = {
    "kafka": _kafka_source,
    "captures": _capture_source,
}
STATES: dict[str, Callable[[Context], States]] = {  # by source
    "kafka": _kafka_states,
    "captures": lambda _context: NoStates(),
}
SINKS: dict[str, Callable[[Context], Sink]] = {
    "kafka": _kafka_sink,
    "terminal": _terminal_sink,
}


def open_web(settings: Settings, metrics: Metrics, board: StatusBoard) -> WebServer:
    """Listen where the settings say; nothing is answered before `start`.

    Raises:
        WebError: if the address can't be listened on.
    """
    http, pages = settings.http, _pages(metrics, settings)
    asked = {"/status": board.page, "/space": board.space_page}
    return WebServer(http.host, http.port, pages, asked)


def open_board(model: Model, metrics: Metrics) -> StatusBoard:
    """Make the board, with a first word of a daemon that has just started."""
    facts = model.facts
    return StatusBoard(
        Status(
            version=facts["version"],
            bundle=facts["bundle"],
            engine=facts["engine"],
            now_ms=round(time.time() * 1000),
        ),
        idle_seconds=lambda: metrics.idle_seconds,
    )


def assemble(
    settings: Settings,
    model: Model,
    metrics: Metrics,
    stopping: threading.Event,
    url: str,
    board: StatusBoard | None = None,
    hangup: threading.Event | None = None,
    supervisor: Supervisor | None = None,
) -> Service:
    """Put source, batching, judging and sinks round a model.

    Whoever sets *hangup* has the bundle loaded anew; *supervisor* is told how it gets on.

    Raises:
        ConfigError: if the captures to be replayed can't be used.
    """
    context = Context(settings, model.bundle, metrics, stopping, url)
    source = SOURCES[settings.source](context)
    duty = open_duty(settings, model, STATES[settings.source](context))
    supervisor = supervisor or Supervisor()
    reloads = Reloads(settings, model, open_enrolments(context), hangup, supervisor=supervisor)
    learning = open_learning(settings, model, reloads)
    space = Space(duty.sight, settings.http.in_depth)
    metrics.followed_by(supervisor.beat)
    for figures in (reloads.figures, *learning.figures, space.figures):
        metrics.watch(figures)
    if settings.has_broker:
        metrics.watch(context.access.figures)
        metrics.refusal = context.access.why
    return Service(
        source=source,
        batches=_open_batches(settings, model, source),
        duty=duty,
        sinks=[SINKS[name](context) for name in settings.sinks],
        metrics=metrics,
        standing=_open_standing(settings, model, duty),
        board=board,
        space=space,
        reloads=reloads,
        learning=learning,
        supervisor=supervisor,
        stopping=stopping,
    )


def _open_batches(settings: Settings, model: Model, source: Source) -> Batcher:
    batch = settings.batch
    return Batcher(source, model.spec, windows=batch.windows, wait_seconds=batch.wait_seconds)


def _open_standing(settings: Settings, model: Model, duty: Duty) -> Standing:
    strangeness = duty.sight.strangeness
    return Standing(
        facts=model.facts,
        roster=duty.roster,
        tally=Tally(strangeness.budget_a_week if strangeness else None),
        has_broker=settings.source == "kafka",
    )


def open_enrolments(context: Context) -> Enrolments:
    """Open where enrolled anchors are: on Kafka, and in the bundle store if there is one."""
    settings, found = context.settings, list[Enrolments]()
    if settings.source == "kafka":
        from .enrolments.kafka import KafkaEnrolments

        found.append(KafkaEnrolments(settings.kafka, context.access))
    if is_store(path := Path(settings.bundle)):
        found.append(FolderEnrolments(path))
    return found[0] if len(found) == 1 else AllEnrolments(found)


def open_learning(settings: Settings, model: Model, reloads: Reloads) -> Learning:
    """Open what learns from judged batches."""
    from .store import CaptureStore, store_folder  # pyarrow, once there is something to keep

    folder = store_folder(settings.store)
    return Learning(
        store=CaptureStore(settings.store, model.spec, folder) if folder else None,
        candidate=reloads.candidate,
        drift=Watched(model.bundle, settings.drift),
    )


def _pages(metrics: Metrics, settings: Settings) -> dict[str, Callable[[], Page]]:
    """Give the paths that the daemon answers."""

    def text(status: int, words: str) -> Page:
        return Page(status, "text/plain; charset=utf-8", words.encode() + b"\n")

    def healthz() -> Page:
        idle = metrics.idle_seconds
        if idle > settings.http.stalled_seconds:
            return text(503, f"no step was finished for {idle:.0f} s")
        return text(200, "ok")

    def readyz() -> Page:
        if why := metrics.unready:
            return text(503, why)
        return text(200, "ready")

    return status_page() | {
        "/metrics": lambda: Page(200, CONTENT_TYPE, metrics.text()),
        "/healthz": healthz,
        "/readyz": readyz,
    }
