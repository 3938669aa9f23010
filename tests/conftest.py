"""Fixtures that more than one test module needs; what needs no clean-up is in fakes.py."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import hypothesis
import pytest

from detector.bundle import Bundle
from detector.encoder import Encoder, open_encoder
from detector.service import Service
from tests.broker import Broker, open_broker
from tests.broker.proxy import Proxy
from tests.broker.secured import SecuredBroker, open_secured
from tests.fakes import make_bundle, make_service

# Time limits of hypothesis are about the machine, and a busy one is no failure.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of a small bundle; for reading only."""
    path = tmp_path_factory.mktemp("bundles") / "small"
    make_bundle(path)
    return path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Give a small bundle as it loads."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "loaded")


@pytest.fixture(scope="session")
def encoder(bundle: Bundle) -> Encoder:
    """Give the encoder of `bundle`, on the engine that every machine has."""
    return open_encoder(bundle, "onnxruntime", threads=1)


@pytest.fixture(name="make_service")
def make_service_of_the_bundle(bundle: Bundle, encoder: Encoder) -> Callable[..., Service]:
    """Make services on `bundle` and `encoder`, from a source, sinks and whatever is to differ."""
    return partial(make_service, bundle, encoder)


@pytest.fixture(scope="session")
def proxied() -> Iterator[tuple[Broker, Proxy]]:
    """Give a real broker behind a proxy, for all tests of the session."""
    with Proxy() as proxy, open_broker(through=proxy) as broker:
        yield broker, proxy


@pytest.fixture
def broker(proxied: tuple[Broker, Proxy]) -> Iterator[Broker]:
    """Give a real broker behind a proxy; whatever a test did to the proxy is undone."""
    broker, proxy = proxied
    yield broker
    proxy.resume()


@pytest.fixture
def proxy(proxied: tuple[Broker, Proxy]) -> Proxy:
    """Give what the daemon reaches the broker through."""
    return proxied[1]


@pytest.fixture(scope="session")
def secured() -> Iterator[SecuredBroker]:
    """Give a real broker whose doors are locked, for all tests of the session."""
    with open_secured() as broker:
        yield broker
