"""Fixtures of the tests that run the daemon on a real broker."""

from pathlib import Path

import pytest

from detector.bundle import load
from detector.window import WindowSpec
from tests.broker import Broker
from tests.daemon import Topics


@pytest.fixture
def topics(broker: Broker) -> Topics:
    """Give topics of the test's own."""
    return Topics().create(broker, partitions=4)


@pytest.fixture
def spec(bundle_path: Path) -> WindowSpec:
    """Give what the bundle reads."""
    return load(bundle_path).manifest.window
