"""Bundles with a reference, and traffic to hold against it."""

from dataclasses import replace

import msgspec
import numpy as np

from detector.bundle import Bundle
from detector.drift.reference import Reference, Sample
from detector.inputs import Inputs
from detector.oncall.strangeness import Calibration, Known, Tail
from detector.state import NORMAL
from detector.verdict import Verdict
from tests.fakes import NOON_MS, draft_bundle, make_rows, make_spec, make_window

SPEC = make_spec()
USUAL_LOADS = (80.0, 120.0)  # requests a second


def bundle_with(drift: Reference | None, known: Known | None = None) -> Bundle:
    """Make a bundle with a reference of its own, and maybe something known."""
    bundle = draft_bundle()
    manifest = msgspec.structs.replace(
        bundle.manifest,
        drift=drift.sample if drift else None,
        known=known.calibration if known else None,
    )
    return replace(bundle, manifest=manifest, drift=drift, known=known)


def usual_bundle(score: float | None = None) -> Bundle:
    """Make one whose training had windows that `windows` makes at load 1; half a unit is known."""
    bundle = draft_bundle()
    values = np.stack([rows(load) for load in np.linspace(*USUAL_LOADS, 400)])
    means = Inputs(bundle.manifest.inputs, SPEC)(values).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975), axis=0).astype(np.float32)
    known = None
    if score is not None:
        calibration = Calibration(0.5, Tail(2.0, 1, 10.0, 0.5), {}, neighbours=1)
        known = Known(np.zeros((1, 3), np.float32), calibration)
    return bundle_with(Reference(Sample(400, 1, score), low, high), known)


def rows(load: float, response_ms: float | None = None) -> np.ndarray:
    """Make a window whose response time goes with its load."""
    values = make_rows(NORMAL, SPEC.steps, load)
    values[:, 3] = load if response_ms is None else response_ms
    return values


class Network:
    """Normal links, each with a load of its own that goes up and down."""

    def __init__(self, links: int = 30, *, busier: float = 1.0, seed: int = 0) -> None:
        self.busier = busier  # times as much traffic as in training
        self.names = [f"trunk-{number}" for number in range(links)]
        self.state: dict[str, str | None] = {}  # of links that aren't normal
        self.second = 0
        self._rng = np.random.default_rng(seed)

    def step(self, seconds: int = 4):
        """Let time pass, and give the windows with their verdicts."""
        self.second += seconds
        start_ms = NOON_MS + self.second * 1000
        loads = self._rng.uniform(*USUAL_LOADS, len(self.names)) * self.busier
        windows = [
            make_window(name, start_ms=start_ms, values=rows(load))
            for name, load in zip(self.names, loads, strict=True)
        ]
        return windows, [
            verdict(window, self.state.get(window.link, NORMAL)) for window in windows
        ]


def verdict(window, state) -> Verdict:
    """Say of a window that its link has a state."""
    return Verdict(
        window.link, "", window.start_ms, window.end_ms, NORMAL, state, 0.0, 0.0, "", {}, ""
    )
