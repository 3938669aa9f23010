"""Opening: a bundle's model, and round it all that judges over time, as the settings say."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from detector import __version__
from detector.anchors import AnchorSet
from detector.bundle import Bundle, load
from detector.config import ConfigError, Settings
from detector.encoder import Encoder, open_encoder
from detector.state import NORMAL, Steady
from detector.verdict import Judge

from .attention import Attention
from .canary import Canaries
from .duty import Duty
from .explainer import Explainer
from .gather import Gather
from .groups import Groups
from .keeper import Keeper
from .outbox import Outbox
from .peers import Peers
from .record import States
from .roster import Roster
from .silence import Silence
from .usual import Usual


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
    silence, outbox = Silence(settings.silence, groups), Outbox(gather)
    return Roster(
        steady=steady,
        silence=silence,
        attention=Attention(settings.silence.contact_seconds),
        keeper=Keeper(steady=steady, silence=silence, outbox=outbox, states=states),
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
