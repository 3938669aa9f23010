"""Fixtures of the tests that run the daemon on a real broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.bundle import load
from detector.bundles import BundleStore
from detector.window import WindowSpec
from tests.broker import Broker
from tests.broker.secured import SecuredBroker
from tests.daemon import Topics
from tests.detector.secure import Login
from tests.fakes import draft_bundle


@pytest.fixture
def topics(broker: Broker) -> Topics:
    """Give topics of the test's own."""
    return Topics().create(broker, partitions=4)


@pytest.fixture
def spec(bundle_path: Path) -> WindowSpec:
    """Give what the bundle reads."""
    return load(bundle_path).manifest.window


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    """Give a store of two bundles that differ in their weights, the first of them in use."""
    by = {"who": "tests", "why": "a test", "now_ms": 1}
    store = BundleStore(tmp_path / "bundles")
    store.create()
    ids = [store.add(draft_bundle(seed=seed), **by) for seed in (0, 1)]
    store.switch(ids[0], action="promoted", **by)
    return store


@pytest.fixture
def login(secured: SecuredBroker, tmp_path: Path) -> Iterator[Login]:
    """Give settings for the broker with locked doors; what a test did to its proxy is undone."""
    yield Login(secured, tmp_path)
    secured.proxy.resume()
