"""Opening: a bundle's model, and round it all that judges over time, as the settings say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from detector import __version__
from detector.bundle import Bundle, BundleError, load
from detector.bundles import is_store, resolve
from detector.config import ConfigError, Settings
from detector.encoder import Encoder, open_encoder
from detector.enrolment import Enrolment
from detector.sight import Sight
from detector.state import NORMAL, Steady
from detector.versions import held_to_its_name
from detector.window import WindowSpec

from .attention import Attention
from .canary import Canaries
from .duty import Duty, View
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
    def spec(self) -> WindowSpec:
        """Which windows it reads."""
        return self.bundle.manifest.window

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
    return open_current(Path(settings.bundle), settings)


def open_current(path: Path, settings: Settings) -> Model:
    """Open a bundle, or the one that a store says is in use; errors as `open_model`'s."""
    folder = resolve(path)
    model = open_bundle(folder, settings)
    if is_store(path):
        held_to_its_name(model.bundle, folder)
    return model


def open_bundle(path: Path, settings: Settings) -> Model:
    """Load a bundle from its folder and warm up its encoder; errors as `open_model`'s."""
    bundle, engine = load(path), settings.engine
    try:
        return Model(bundle, open_encoder(bundle, engine.name, engine.threads))
    except ImportError as error:
        raise ConfigError(f"[engine] name = {engine.name!r} can't run here: {error}") from error


def open_duty(
    settings: Settings, model: Model, states: States, enrolments: Sequence[Enrolment] = ()
) -> Duty:
    """Put together what judges over time."""
    view = open_view(settings, model, enrolments)
    roster = _roster(settings, view.sight.steady(settings.state), states, model.spec.features)
    return Duty(roster, view)


def open_view(settings: Settings, model: Model, enrolments: Sequence[Enrolment] = ()) -> View:
    """Make ready all that comes of a bundle and of what was enrolled.

    Raises:
        BundleError: if the bundle's numbers make no sense together.
    """
    sight = open_sight(settings, model, enrolments)
    return View(
        sight=sight,
        explainer=_explainer(settings, model),
        canaries=open_canaries(settings, sight),
    )


def open_sight(settings: Settings, model: Model, enrolments: Sequence[Enrolment] = ()) -> Sight:
    """Make what a bundle sees, with what was enrolled; errors as `open_view`'s."""
    unknown = settings.unknown
    budget = unknown.false_alarms_a_link_week if unknown.enabled else None
    try:
        return Sight.of(model.bundle, model.encoder, enrolments, budget)
    except ArithmeticError as error:  # thresholds beyond all numbers
        raise BundleError(f"bundle {model.bundle.id}: its thresholds: {error}") from error


def open_canaries(settings: Settings, sight: Sight) -> Canaries | None:
    """Make what plants a bundle's recorded faults; None where settings or bundle say no."""
    recorded, canary = sight.bundle.canaries, settings.canary
    if not recorded or not canary.every_seconds:
        return None
    spec = sight.bundle.manifest.window
    return Canaries(
        recorded.differences(spec),
        spec,
        sight.steady(settings.state),
        every_seconds=canary.every_seconds,
        most=canary.at_once,
    )


def _roster(
    settings: Settings, steady: Steady, states: States, features: tuple[str, ...]
) -> Roster:
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
