from collections.abc import Iterator

import pytest

from tests.broker import Broker, open_broker
from tests.broker.proxy import Proxy


@pytest.fixture(scope="session")
def _proxied() -> Iterator[tuple[Broker, Proxy]]:
    with Proxy() as proxy, open_broker(through=proxy) as broker:
        yield broker, proxy


@pytest.fixture
def broker(_proxied: tuple[Broker, Proxy]) -> Iterator[Broker]:
    """Give a real broker behind a proxy; whatever a test did to the proxy is undone."""
    broker, proxy = _proxied
    yield broker
    proxy.resume()


@pytest.fixture
def proxy(_proxied: tuple[Broker, Proxy]) -> Proxy:
    """Give what the daemon reaches the broker through."""
    return _proxied[1]
