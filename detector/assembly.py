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
from uuid import uuid4

from . import __version__
from .anchors import AnchorSet
from .batch import Batcher
from .board import StatusBoard
from .bundle import Bundle, load
from .config import ConfigError, Settings
from .encoder import Encoder, open_encoder
from .metrics import CONTENT_TYPE, Metrics
from .oncall.attention import Attention
from .oncall.canary import Canaries
from .oncall.duty import Duty
from .oncall.explainer import Explainer
from .oncall.gather import Gather
from .oncall.groups import Groups
from .oncall.outbox import Outbox
from .oncall.peers import Peers
from .oncall.record import NoStates, States
from .oncall.roster import Roster
from .oncall.silence import Silence
from .oncall.standing import Standing
from .oncall.tally import Tally
from .oncall.usual import Usual
from .service import Service
from .sinks import Sink
from .source import Source
from .state import NORMAL, Steady
from .status import Status
from .verdict import Judge
from .web import Page, WebServer

if TYPE_CHECKING:
    from .capture import LinkCapture


@dataclass(frozen=True, slots=True)
class Model:
    """A bundle and its encoder, checked and warm."""

    bundle: Bundle
    encoder: Encoder

    @property
    def facts(self) -> dict[str, str]:
        """What is in use, for the log and the metrics."""
        engine = self.encoder.engine.name
        return {"version": __version__, "bundle": self.bundle.id, "engine": engine}


@dataclass(frozen=True)
class Context:
    """What a source or sink may need to be made."""

    settings: Settings
    bundle: Bundle
    metrics: Metrics
    stopping: threading.Event
    url: str  # where /metrics answers

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

    return KafkaSource(context.settings.kafka, context.settings.batch.windows)


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
        settings.kafka, settings.events.dialect, context.stopping, context.metrics.beat
    )


def _kafka_states(context: Context) -> States:
    from .kafka_states import KafkaStates

    return KafkaStates(context.settings.kafka, context.stopping, context.metrics.beat)


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


def open_model(settings: Settings) -> Model:
    """Load the bundle and warm up its encoder.

    Raises:
        BundleError: if the bundle can't be used.
        ConfigError: if the engine is not installed.
    """
    bundle = load(Path(settings.bundle))
    engine = settings.engine
    try:
        return Model(bundle, open_encoder(bundle, engine.name, engine.threads))
    except ImportError as error:
        raise ConfigError(f"[engine] name = {engine.name!r} can't run here: {error}") from error


def open_web(settings: Settings, metrics: Metrics, board: StatusBoard) -> WebServer:
    """Listen where the settings say; nothing is answered before `start`.

    Raises:
        WebError: if the address can't be listened on.
    """
    http, pages = settings.http, _pages(metrics, settings)
    return WebServer(http.host, http.port, pages, {"/status": board.page})


def open_board(model: Model) -> StatusBoard:
    """Make the board, with a first word of a daemon that has just started."""
    facts = model.facts
    return StatusBoard(
        Status(
            version=facts["version"],
            bundle=facts["bundle"],
            engine=facts["engine"],
            now_ms=round(time.time() * 1000),
        )
    )


def assemble(
    settings: Settings,
    model: Model,
    metrics: Metrics,
    stopping: threading.Event,
    url: str,
    board: StatusBoard | None = None,
) -> Service:
    """Put source, batching, judging and sinks round a model.

    Raises:
        ConfigError: if the captures to be replayed can't be used.
    """
    bundle = model.bundle
    context = Context(settings, bundle, metrics, stopping, url)
    source = SOURCES[settings.source](context)
    batches = Batcher(
        source,
        bundle.manifest.window,
        windows=settings.batch.windows,
        wait_seconds=settings.batch.wait_seconds,
    )
    duty = open_duty(settings, model, STATES[settings.source](context))
    budget = duty.strangeness.budget_a_week if duty.strangeness else None
    return Service(
        source=source,
        batches=batches,
        duty=duty,
        sinks=[SINKS[name](context) for name in settings.sinks],
        metrics=metrics,
        standing=Standing(
            facts=model.facts,
            roster=duty.roster,
            tally=Tally(budget),
            has_broker=settings.source == "kafka",
        ),
        board=board,
        stopping=stopping,
    )


def open_duty(settings: Settings, model: Model, states: States) -> Duty:
    """Put together what judges over time."""
    bundle, spec = model.bundle, model.bundle.manifest.window
    anchors = AnchorSet(bundle.anchor_embeddings, bundle.labels)
    steady = Steady(anchors.labels, settings.state)
    unknown, canary = settings.unknown, settings.canary
    budget = unknown.false_alarms_a_link_week
    canaries = None
    if bundle.canaries and canary.every_seconds:
        canaries = Canaries(
            bundle.canaries.differences(spec),
            spec,
            Steady(anchors.labels, settings.state),
            every_seconds=canary.every_seconds,
            most=canary.at_once,
        )
    return Duty(
        spec=spec,
        encoder=model.encoder,
        anchors=anchors,
        judge=Judge(bundle.manifest.anchors, anchors.labels, steady, bundle.id),
        roster=_roster(settings, steady, states, len(spec.features)),
        head=bundle.head,
        strangeness=bundle.strangeness(budget) if unknown.enabled else None,
        explainer=_explainer(settings, model),
        canaries=canaries,
    )


def _roster(settings: Settings, steady: Steady, states: States, features: int) -> Roster:
    events = settings.events
    groups = Groups(events.group)
    gather = Gather(groups, seconds=events.gather_seconds, links=events.gather_links)
    return Roster(
        steady=steady,
        silence=Silence(settings.silence, groups),
        attention=Attention(settings.silence.contact_seconds),
        outbox=Outbox(gather),
        states=states,
        peers=Peers(uuid4().hex[:12], states),
        usual=Usual(features),
    )


def _explainer(settings: Settings, model: Model) -> Explainer | None:
    bundle = model.bundle
    is_normal = [label == NORMAL for label in bundle.labels]
    if not settings.reasons.seconds or not any(is_normal):
        return None
    return Explainer(
        spec=bundle.manifest.window,
        embed=model.encoder.embed,
        normal=bundle.anchor_windows[is_normal],
        seconds=settings.reasons.seconds,
    )


def _pages(metrics: Metrics, settings: Settings) -> dict[str, Callable[[], Page]]:
    """Give the paths that the daemon answers."""

    def text(status: int, words: str) -> Page:
        return Page(status, "text/plain; charset=utf-8", words.encode() + b"\n")

    def healthz() -> Page:
        idle = time.time() - metrics.progress_time
        if idle > settings.http.stalled_seconds:
            return text(503, f"no step was finished for {idle:.0f} s")
        return text(200, "ok")

    def readyz() -> Page:
        if not metrics.is_ready:
            return text(503, "nothing to read from yet")
        return text(200, "ready")

    return {
        "/metrics": lambda: Page(200, CONTENT_TYPE, metrics.text()),
        "/healthz": healthz,
        "/readyz": readyz,
    }
