"""Fixtures of the tests of enrolling."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from detector.enrolment import Act, Enrolment, enrol
from detector.oncall.strangeness import Calibration, Known, Tail
from detector.sight import Sight
from tests.fakes import NOON_MS

from .made import rows_of


@pytest.fixture
def spec(bundle):
    """Give what the small bundle reads."""
    return bundle.manifest.window


@pytest.fixture
def sight(bundle, encoder):
    """Give what is in use: the small bundle, and nothing enrolled."""
    return Sight.of(bundle, encoder)


@pytest.fixture
def show(spec):
    """Make enrolments of a window of some traffic."""

    def give(what="chatter", label="chatter", load=100.0, **changes) -> Enrolment:
        act = Act(at_ms=NOON_MS, who="ann", what="enrolled", why="seen it")
        usual = {"label": label, "link": "trunk-9", "start_ms": NOON_MS, "spec": spec, "act": act}
        return enrol(**usual | {"values": rows_of(what, spec.steps, load)[None]} | changes)

    return give


@pytest.fixture
def learned(bundle, encoder):
    """Give the small bundle with windows that its training knew."""
    loads = np.geomspace(20, 500, 8)
    windows = [rows_of(what, 4, load) for what in ("normal", "blocked") for load in loads]
    tail = Tail(threshold=50.0, events=1, hours=1e4, shape=0.1)
    calibration = Calibration(scale=0.1, tail=tail, faults={})
    known = Known(encoder.embed(np.stack(windows)), calibration)
    manifest = msgspec.structs.replace(bundle.manifest, known=calibration)
    return replace(bundle, manifest=manifest, known=known)
