"""What a machine can't do is found out before a plan asks it to."""

import subprocess
import sys

import pytest

from training.lab.machine import (
    ATTEMPTS,
    BASE,
    KIND_NEEDS,
    PROGRAMS,
    TRAFFIC_NEEDS,
    Ability,
    able_kinds,
    able_traffic,
    look,
)
from training.lab.namespaces import NAMED
from training.lab.plan import Kind, Traffic

EVERYTHING = ("namespaces", *ATTEMPTS, *PROGRAMS)
LOOK = "from training.lab.machine import *; print([(a.what, a.works) for a in look()])"


def but(*missing: str) -> list[Ability]:
    """Give the abilities of a machine that lacks these."""
    return [Ability(what, what not in missing) for what in EVERYTHING]


def test_each_ability_is_told_with_why_not() -> None:
    """Whatever this machine can do, and nothing of the trial is left."""
    abilities = look()

    assert [ability.what for ability in abilities] == list(EVERYTHING)
    assert all(ability.works == (not ability.why_not) for ability in abilities)
    assert not list(NAMED.glob("awlab-check-*"))


def test_a_machine_without_the_rights_can_do_nothing(abilities: dict[str, str]) -> None:
    """It says so and doesn't fail."""
    if abilities["namespaces"]:
        pytest.skip(f"there are no rights to give up: {abilities['namespaces']}")
    argv = ["setpriv", "--bounding-set", "-net_admin,-sys_admin", sys.executable, "-c", LOOK]

    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert "('namespaces', False)" in said
    assert "('drop', False)" in said


def test_everything_is_able_to_do_all() -> None:
    """A kind or traffic that is left out here would never be drawn."""
    assert able_kinds(but()) == set(Kind)
    assert able_traffic(but()) == set(Traffic)


@pytest.mark.parametrize("what", BASE)
def test_nothing_goes_without_the_base(what: str) -> None:
    """Not even a link without faults."""
    assert able_kinds(but(what)) == able_traffic(but(what)) == set()


@pytest.mark.parametrize("what", sorted(set(EVERYTHING) - set(BASE)))
def test_what_is_missing_takes_along_only_what_needs_it(what: str) -> None:
    """A plan adapts to the machine."""
    kinds, traffic = able_kinds(but(what)), able_traffic(but(what))

    assert set(Kind) - kinds == {kind for kind, needs in KIND_NEEDS.items() if what in needs}
    assert set(Traffic) - traffic == {kind for kind, need in TRAFFIC_NEEDS.items() if what in need}
    assert len(kinds) + len(traffic) < len(Kind) + len(Traffic)
