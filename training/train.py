"""Training: captures in, a bundle out."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from detector import __version__
from detector.anchors import AnchorSet
from detector.architecture import Architecture
from detector.bundle import FORMAT, Anchor, Bundle, Manifest, Training
from detector.capture import (
    CaptureError,
    LinkCapture,
    features_of,
    files_of,
    links_of,
    read_table,
)
from detector.encoder import Encoder
from detector.inputs import Inputs
from detector.keras_engine import KerasEngine, get_weights, keras
from detector.window import WindowSpec

from .augment import superposed
from .model import siamese
from .recipe import input_spec, scaled
from .settings import Settings
from .split import split_runs
from .triplets import LabelledWindows, Triplets

SPARSE = 0.05  # a feature that more of the rows lack is optional
SCALING_WINDOWS = 4000
MEDOID_WINDOWS = 600  # of each label, to choose its anchor from
GOLDEN = 8
WARM_UP = 4  # epochs, before which none is kept as the best


@dataclass(frozen=True, kw_only=True)
class Data:
    """Windows to learn from and to validate on, and what they are made of."""

    spec: WindowSpec
    learning: LabelledWindows  # superposed traffic included
    recorded: LabelledWindows  # what was really recorded of it, windows of one label throughout
    validation: LabelledWindows
    captures: dict[str, str]  # file name to SHA-256

    def __post_init__(self) -> None:
        labels = {*self.learning.labels, *self.validation.labels}
        if bare := sorted(labels - set(self.recorded.labels)):
            raise CaptureError(
                f"the runs to learn from have no window of {bare[0]!r} throughout, to be its "
                "anchor: record more runs of it, or choose fewer steps"
            )


Progress = Callable[[int, int, dict[str, float]], None]  # epoch, epochs, what was measured


def train(paths: Sequence[Path], settings: Settings, progress: Progress) -> Bundle:
    """Train an encoder on captures.

    Raises:
        CaptureError: if the captures can't be learnt from.
    """
    keras.utils.set_random_seed(settings.seed)
    data = read(paths, settings)
    given = find_anchors(data.recorded, settings.anchors)  # an error now, not after the training
    inputs = _inputs(data, settings)
    architecture = Architecture(
        inputs.count, settings.units, settings.embedding, settings.statistics
    )
    model, history = fit(data, inputs, architecture, settings, progress)
    weights = get_weights(model)
    engine = KerasEngine(architecture, weights, data.spec.steps)
    encoder = Encoder(inputs, engine, architecture.embedding)
    chosen = choose_anchors(data.recorded, encoder, given)
    golden = data.recorded.cut(np.linspace(0, len(data.recorded) - 1, GOLDEN).astype(int))
    anchors = [_anchor(data.recorded, place) for place in chosen]
    windows = data.recorded.cut(np.array(chosen))
    points = encoder.embed(windows)
    labels = tuple(anchor.label for anchor in anchors)
    return Bundle(
        manifest=Manifest(
            format=FORMAT,
            version=__version__,
            window=data.spec,
            inputs=inputs.spec,
            architecture=architecture,
            labels=tuple(sorted(set(labels))),
            anchors=tuple(anchors),
            training=Training(
                captures=data.captures,
                runs=_runs(data.recorded),
                validation_runs=_runs(data.validation),
                links=settings.links,
                seed=settings.seed,
                settings=_settings(settings),
                scores=_scores(history, data.validation, encoder, AnchorSet(points, labels)),
            ),
        ),
        weights=weights,
        anchor_windows=windows,
        anchor_embeddings=points,
        golden_windows=golden,
        golden_embeddings=encoder.embed(golden),
    )


def read(paths: Sequence[Path], settings: Settings) -> Data:
    """Read captures and part their runs into those to learn from and those to validate on."""
    table = read_table(paths)
    features = tuple(dict.fromkeys(settings.features)) or features_of(table)
    everywhere = links_of(table, features, settings.step_ms)
    links = [link for link in everywhere if _is_wanted(link, settings)]
    if not links:
        raise CaptureError("no link matches, or all runs are left out")
    learning, validation = split_runs(links, settings.validation_share, settings.seed)
    more = superposed(learning, everywhere, features) if settings.superpose else []
    lacking = table[list(features)].isna().mean()
    optional = tuple(name for name in features if lacking[name] > SPARSE)
    spec = WindowSpec(tuple(features), settings.steps, settings.step_ms, optional)
    tail = min(settings.steps, max(1, round(settings.tail_seconds * 1000 / settings.step_ms)))
    return Data(
        spec=spec,
        learning=_windows([*learning, *more], spec, tail, "learn from"),
        recorded=LabelledWindows(learning, spec, tail=spec.steps),
        validation=_windows(validation, spec, tail, "validate on"),
        captures=dict(
            sorted((file.name, _hash(file)) for path in paths for file in files_of(path))
        ),
    )


def fit(
    data: Data,
    inputs: Inputs,
    architecture: Architecture,
    settings: Settings,
    progress: Progress,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train until the validation runs get no better, and keep the best."""
    encoder, model = siamese(
        architecture,
        data.spec.steps,
        loss=settings.loss,
        margin=settings.margin,
        learning_rate=settings.learning_rate,
    )
    triplets = Triplets(
        data.learning,
        inputs,
        batch=settings.batch,
        batches=settings.batches,
        seed=settings.seed,
        load_span=settings.load_span,
        drop=settings.drop,
    )
    held_back = Triplets(
        data.validation, inputs, batch=512, batches=2, seed=settings.seed + 1, fresh=False
    )
    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: progress(epoch + 1, settings.epochs, dict(logs))
    )
    stop = keras.callbacks.EarlyStopping(
        patience=settings.patience, restore_best_weights=True, start_from_epoch=WARM_UP
    )
    history = model.fit(
        triplets,
        validation_data=held_back,
        epochs=settings.epochs,
        callbacks=[stop, report],
        verbose=0,
    )
    return encoder, history.history


def find_anchors(windows: LabelledWindows, given: Mapping[str, str]) -> dict[str, int]:
    """Find the reference windows that are *given* as LINK@START_MS, by label.

    Raises:
        CaptureError: if there is no such label, or no window of it there.
    """
    unknown = sorted(set(given) - set(windows.labels))
    if unknown:
        raise CaptureError(f"an anchor is given for {unknown[0]!r}, a label without a window")
    return {label: _find(windows, label, where) for label, where in given.items()}


def choose_anchors(
    windows: LabelledWindows, encoder: Encoder, given: Mapping[str, int]
) -> list[int]:
    """Choose one reference window for each label: the one *given*, or the medoid.

    The medoid is the window that is nearest to all others of its label, so neither an odd one
    nor an average that never happened.
    """
    return [
        given[label] if label in given else _medoid(windows, label, encoder)
        for label in sorted(set(windows.labels))
    ]


def _medoid(windows: LabelledWindows, label: str, encoder: Encoder) -> int:
    places = np.flatnonzero(windows.labels == label)
    if len(places) > MEDOID_WINDOWS:
        places = places[np.linspace(0, len(places) - 1, MEDOID_WINDOWS).astype(int)]
    points = encoder.embed(windows.cut(places)).astype(np.float64)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return int(places[distances.sum(axis=1).argmin()])


def _find(windows: LabelledWindows, label: str, given: str) -> int:
    link, _, start = given.rpartition("@")
    for place in np.flatnonzero(windows.labels == label):
        where = windows.place(place)
        if where.link.link == link and str(where.start_ms) == start:
            return int(place)
    raise CaptureError(f"no window of {label!r} is at {given!r}; give LINK@START_MS")


def _anchor(windows: LabelledWindows, place: int) -> Anchor:
    where = windows.place(place)
    label, kind = str(windows.labels[place]), str(windows.kinds[place] or "")
    run = where.link.link
    return Anchor(f"{label}/{run}", label, kind or label, run, where.start_ms)


def _scores(
    history: Mapping[str, Sequence[float]],
    windows: LabelledWindows,
    encoder: Encoder,
    anchors: AnchorSet,
) -> dict[str, float]:
    """How the training went: by the validation runs, which decided when to stop."""
    found = anchors.classify(encoder.embed(windows.cut(slice(None)))).label
    truth = [anchors.labels.index(label) for label in windows.labels]
    losses = history["val_loss"]
    return {
        "epochs": float(len(losses)),
        # Of the weights that were kept: the best after the warm-up, else the last.
        "validation_loss": round(min(losses[WARM_UP:] or losses[-1:]), 5),
        "validation_accuracy": round(float(np.mean(found == truth)), 4),
    }


def _settings(settings: Settings) -> dict[str, Any]:
    """Give the settings as the manifest keeps them; what it has elsewhere is left out."""
    known = {
        "steps",
        "step_ms",
        "features",
        "links",
        "anchors",
        "units",
        "embedding",
        "seed",
        "half_lives_seconds",
    }
    kept = {name: value for name, value in asdict(settings).items() if name not in known}
    return kept | {"leave_out": ",".join(settings.leave_out)}


def _is_wanted(link: LinkCapture, settings: Settings) -> bool:
    is_out = any(fnmatchcase(link.run, pattern) for pattern in settings.leave_out)
    return not is_out and any(fnmatchcase(link.link, pattern) for pattern in settings.links)


def _runs(windows: LabelledWindows) -> tuple[str, ...]:
    return tuple(sorted({link.run for link in windows.links}))


def _windows(
    links: Sequence[LinkCapture], spec: WindowSpec, tail: int, purpose: str
) -> LabelledWindows:
    windows = LabelledWindows(links, spec, tail=tail)
    labels = set(windows.labels)
    if len(labels) < 2:
        found = ", ".join(sorted(labels)) or "none"
        raise CaptureError(f"the runs to {purpose} need two labels, they have {found}")
    return windows


def _inputs(data: Data, settings: Settings) -> Inputs:
    rng = np.random.default_rng(settings.seed)
    count = min(SCALING_WINDOWS, len(data.learning))
    sample = data.learning.cut(rng.choice(len(data.learning), count, replace=False))
    spec = input_spec(data.spec.features, settings.half_lives_seconds)
    if not spec.names:
        raise CaptureError(f"no input can be made of {', '.join(data.spec.features)}")
    return Inputs(scaled(spec, data.spec, sample), data.spec)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
