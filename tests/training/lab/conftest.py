"""The lab on this machine, for tests that need real namespaces; they skip where it can't be."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from training.lab.link import Link
from training.lab.machine import BASE, look
from training.lab.namespaces import LabError, alone
from training.lab.plan import Load, Phase, Rate, Run, Traffic


@pytest.fixture(scope="session")
def abilities() -> dict[str, str]:
    """Say of each ability why it isn't there; empty if it is."""
    return {ability.what: ability.why_not for ability in look()}


@pytest.fixture(scope="session")
def able(abilities: dict[str, str]) -> None:
    """Skip what can't be done here at all."""
    for what in BASE:
        if abilities[what]:
            pytest.skip(f"no lab without {what}: {abilities[what]}")


@pytest.fixture
def lab_is_free(able: None) -> None:  # noqa: ARG001
    """Wait until no other lab runs on this machine."""
    try:
        with alone(wait_seconds=300):
            pass
    except LabError as error:
        pytest.skip(f"{error}")


@pytest.fixture(scope="module")
def lab(able: None) -> Iterator[None]:  # noqa: ARG001
    """Be the only lab on this machine."""
    with ExitStack() as held:
        try:
            held.enter_context(alone(wait_seconds=300))
        except LabError as error:
            pytest.skip(f"{error}")
        yield


@pytest.fixture(scope="module")
def link(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:  # noqa: ARG001
    """Give a link on which nobody asks anything yet; whoever puts a fault in force clears it."""
    load = (Load(Traffic.LOOKUP, Rate(per_second=100)),)
    with Link(900, Run("r", load, (Phase(60),)), tmp_path_factory.mktemp("link"), 1) as link:
        yield link
