"""Small valid things for tests, and fakes that keep the promises of `Source` and `Sink`.

Every maker gives something that works as it is; a test names only what it is about.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.architecture import Architecture, Weights
from detector.batch import Batcher, DeadLetter
from detector.bundle import FORMAT, Anchor, Bundle, Manifest, Training, load, save
from detector.config import Events, Settings
from detector.encoder import Encoder
from detector.events import Event
from detector.head import Head
from detector.inputs import Inputs, InputSpec, Level, Ratio
from detector.metrics import Metrics
from detector.oncall.moment import Moment
from detector.oncall.opening import Model, open_duty
from detector.oncall.record import LinkRecord, NoStates, States
from detector.oncall.standing import Standing
from detector.oncall.tally import Tally
from detector.service import Service
from detector.sinks import Outcome
from detector.source import Message, Place, Vitals
from detector.verdict import Verdict
from detector.window import Window, WindowSpec

FEATURES = ("requests", "answers", "retransmissions", "response_ms")
ANSWERED = {"normal": 1.0, "capacity-limited": 0.5, "blocked": 0.0}  # share of the requests
NOON_MS = 1_700_000_000_000  # a time at which traffic begins, Unix milliseconds


def make_spec(**changes: Any) -> WindowSpec:
    """Make a spec of four steps of one second and four features, the last one optional."""
    usual = {"features": FEATURES, "steps": 4, "step_ms": 1000, "optional": ("response_ms",)}
    return WindowSpec(**usual | changes)


def make_rows(label: str | None, rows: int, load: float = 100.0) -> NDArray[np.float32]:
    """Make rows of `FEATURES` as a link with that label has them: (rows, features)."""
    answered = ANSWERED[label or "normal"]
    response_ms = 20.0 if answered else np.nan
    row = [load, load * answered, load * (1 - answered), response_ms]
    return np.tile(np.array(row, np.float32), (rows, 1))


def make_window(
    link: str = "trunk-1",
    label: str = "normal",
    *,
    start_ms: int = NOON_MS,
    source: str = "probe-1",
    load: float = 100.0,
    spec: WindowSpec | None = None,
    values: NDArray[np.float32] | None = None,
) -> Window:
    """Make a window of `make_spec`'s shape, unless told otherwise."""
    spec = spec or make_spec()
    if values is None:
        values = make_rows(label, spec.steps, load)
    return Window(link, source, start_ms, start_ms + spec.span_ms, values)


def make_inputs() -> InputSpec:
    """Make inputs for `FEATURES`: two ratios and a level."""
    both = {"answers": 1.0, "requests": 1.0}
    answered = Ratio("answered", over={"answers": 1.0, "requests": -1.0}, under=both)
    repeated = Ratio("repeated", over={"retransmissions": 1.0}, under={"requests": 1.0})
    return InputSpec((1.0,), (answered, repeated), (Level("response", "response_ms"),))


def make_weights(architecture: Architecture, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Draw weights that leave no gate idle."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 0.7, shape).astype(np.float32)
        for name, shape in architecture.shapes.items()
    }


def plain_embed(
    architecture: Architecture, weights: Weights, inputs: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Embed as the textbook does, step by step: (batch, steps, inputs) to (batch, embedding).

    Source: Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000.
    """

    def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-x))

    sequence = inputs.astype(np.float64)
    for layer, units in enumerate(architecture.units):
        state = memory = np.zeros((len(inputs), units))
        states = []
        for step in range(sequence.shape[1]):
            gates = sequence[:, step] @ weights[f"lstm_{layer}.kernel"]
            gates = gates + state @ weights[f"lstm_{layer}.recurrent"]
            write, keep, new, show = np.split(gates + weights[f"lstm_{layer}.bias"], 4, axis=1)
            memory = sigmoid(keep) * memory + sigmoid(write) * np.tanh(new)
            state = sigmoid(show) * np.tanh(memory)
            states.append(state)
        sequence = np.stack(states, axis=1)
    state = sequence[:, -1]
    if architecture.statistics:
        state = np.hstack([state, inputs.mean(axis=1), inputs.max(axis=1), inputs.min(axis=1)])
    dense = state @ weights["dense.kernel"] + weights["dense.bias"]
    if architecture.activation == "unit":
        return (dense / np.linalg.norm(dense, axis=1, keepdims=True)).astype(np.float32)
    return sigmoid(dense).astype(np.float32)


def make_head(favourite: str = "blocked") -> Head:
    """Make a head for three numbers that names everything *favourite*."""
    labels = tuple(sorted(ANSWERED))
    bias = np.array([label == favourite for label in labels], np.float32)
    return Head(labels, np.zeros((3, len(labels)), np.float32), bias)


def draft_bundle(
    *,
    seed: int = 0,
    units: Sequence[int] = (8,),
    statistics: bool = False,
    activation: str = "sigmoid",
    spec: WindowSpec | None = None,
    head: bool = False,
) -> Bundle:
    """Make a bundle that was not saved: random weights, two anchors for each of three labels.

    Even random weights tell `make_window`'s labels apart, since their ratios are far apart. With
    *head* it gives a second opinion, which is that of `make_head`.
    """
    spec = spec or make_spec()
    count = len(make_inputs().names)
    architecture = Architecture(count, tuple(units), 3, statistics, activation)
    weights = make_weights(architecture, seed)
    opinion = make_head() if head else None
    anchors = [
        (Anchor(f"{label}-{load:g}", label, f"{label} kind", "lab-1/access", NOON_MS), load)
        for label in sorted(ANSWERED)
        for load in (50.0, 400.0)
    ]
    windows = np.stack([make_rows(anchor.label, spec.steps, load) for anchor, load in anchors])
    golden = windows.copy()
    golden[::2, 0] = np.nan  # an engine must agree about gaps too
    inputs = Inputs(make_inputs(), spec)
    manifest = Manifest(
        format=FORMAT,
        version="0.1.0",
        window=spec,
        inputs=make_inputs(),
        architecture=architecture,
        labels=tuple(sorted(ANSWERED)),
        anchors=tuple(anchor for anchor, _ in anchors),
        training=Training(
            captures={"lab.parquet": "0" * 64},
            runs=("lab-1", "lab-2"),
            validation_runs=("lab-3",),
            links=("*",),
            seed=seed,
            settings={"loss": "triplet"},
            scores={"macro_f1": 0.5},
        ),
        head=opinion.labels if opinion else (),
    )
    return Bundle(
        manifest=manifest,
        weights=weights,
        anchor_windows=windows,
        anchor_embeddings=plain_embed(architecture, weights, inputs(windows)),
        golden_windows=golden,
        golden_embeddings=plain_embed(architecture, weights, inputs(golden)),
        head=opinion,
    )


def make_bundle(path: Path, **changes: Any) -> Bundle:
    """Save a small bundle at *path*, and give it as it loads from there."""
    save(draft_bundle(**changes), path)
    return load(path)


def make_capture(
    file: Path,
    links: Mapping[str, Sequence[str | None]],
    *,
    start_ms: int = NOON_MS,
    step_ms: int = 1000,
) -> Path:
    """Write a capture, Parquet or CSV by its name, with one row for each label of each link."""
    import pandas as pd  # not for those tests that read no capture

    tables = []
    for link, labels in links.items():
        values = np.concatenate([make_rows(label, 1) for label in labels])
        times = start_ms + np.arange(len(labels)) * step_ms
        table = pd.DataFrame(values, columns=list(FEATURES))
        tables.append(table.assign(link=link, t_ms=times, label=labels, kind=labels))
    table = pd.concat(tables, ignore_index=True)
    if file.suffix == ".csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file)
    return file


class ListSource:
    """Hands out the records it was given, and notes what was committed."""

    def __init__(self, records: Iterable[bytes | Message] = ()) -> None:
        self.vitals = Vitals(is_assigned=True, contact=1e12)  # heard by any clock
        self.records = [
            Message("windows", 0, offset, record) if isinstance(record, bytes) else record
            for offset, record in enumerate(records)
        ]
        self.given = 0  # records that `poll` gave out
        self.committed = 0  # records that are dealt with for good
        self.commits = 0
        self.closed = 0

    def poll(self, seconds: float, most: int) -> Sequence[Message]:
        """Give the next records without waiting."""
        records = self.records[self.given : self.given + most]
        self.given += len(records)
        self.vitals.is_exhausted = not records
        return records

    def commit(self) -> None:
        """Note how far it got."""
        self.committed = self.given
        self.commits += 1

    def reached(self, places: Collection[Place], asker: str) -> Collection[Place]:
        """Whatever was there is given out at once."""
        return places

    def close(self) -> None:
        """Note that it was closed."""
        self.closed += 1


class ListSink:
    """Keeps all that it is sent."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self.events: list[Event] = []
        self.dead_letters: list[DeadLetter] = []
        self.records: list[LinkRecord] = []  # what is to be kept of links, in order
        self.sent = 0  # times that something was sent
        self.closed = 0

    def send(self, outcome: Outcome) -> None:
        """Keep it."""
        self.sent += 1
        self.verdicts += outcome.verdicts
        self.events += outcome.events
        self.dead_letters += outcome.dead_letters
        self.records += [*outcome.before, *outcome.after]

    def close(self) -> None:
        """Note that it was closed."""
        self.closed += 1


class Clock:
    """A clock that goes on only when told to, or when somebody sleeps by it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now  # seconds

    def __call__(self) -> float:
        """Tell the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += seconds


class WallClock:
    """A monotonic clock and the time of day, which go on only when told to."""

    def __init__(self, now: float = 1000.0, wall: float = NOON_MS / 1000) -> None:
        self.now, self.wall = now, wall  # seconds

    def __call__(self) -> Moment:
        """Tell the time."""
        return Moment(self.now, self.wall)

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += seconds
        self.wall += seconds


def make_service(
    bundle: Bundle,
    encoder: Encoder,
    source: ListSource,
    *sinks: Any,
    settings: Mapping[str, Any] | None = None,
    states: States | None = None,
    windows: int = 64,
    **changes: Any,
) -> Service:
    """Put a service together as assembly does, round a source and sinks of the test's own.

    *settings* are those of the daemon by section; events go out at once unless they say so.
    """
    chosen = Settings(bundle="", **{"events": Events(gather_seconds=0)} | dict(settings or {}))
    model = Model(bundle, encoder)
    duty = open_duty(chosen, model, states or NoStates())
    strangeness = duty.sight.strangeness
    budget = strangeness.budget_a_week if strangeness else None
    spec = bundle.manifest.window
    parts = {
        "source": source,
        "batches": Batcher(source, spec, windows=windows, wait_seconds=0),
        "duty": duty,
        "sinks": sinks,
        "metrics": Metrics(bundle.manifest.labels, max_links=100),
        "standing": Standing(facts=model.facts, roster=duty.roster, tally=Tally(budget)),
    }
    return Service(**parts | changes)
