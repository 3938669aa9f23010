"""What this machine can do, and plans that keep to it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from training.lab.machine import BASE
from training.lab.plan import Fault, Kind, Load, Phase, Plan, Rate, Run, Traffic, as_toml, read

SIP = {Traffic.CALL, Traffic.QUICK_CALL, Traffic.REGISTER, Traffic.OPTIONS}


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """Give an environment in which everything is installed but SIPp."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("ip", "nft", "tc", "nginx", "setpriv", "sysctl"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return os.environ | {"PATH": str(folder)}


def lab(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    """Run the tool."""
    program = Path(sys.executable).with_name("anchorwatch")
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [str(program), "lab", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_what_was_tried_is_told(abilities: dict[str, str]) -> None:
    """Somebody who lacks a kernel module learns which, before an hour of recording."""
    done = lab("check")

    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert set(lines) == {*abilities, "faults", "traffic"}
    for what, why_not in abilities.items():
        assert (lines[what] == "works") == (not why_not)


def test_what_was_tried_can_be_read_by_programs(abilities: dict[str, str]) -> None:
    """A play that sets up lab machines asks it."""
    facts = json.loads(lab("check", "--json").stdout)

    assert {one["what"]: one["why_not"] for one in facts["tried"]} == abilities
    assert isinstance(facts["faults"], list)


def test_a_plan_can_keep_to_what_works(
    abilities: dict[str, str], bare: dict[str, str], tmp_path: Path
) -> None:
    """Where SIPp isn't installed, there is still much to record."""
    if any(abilities[what] for what in BASE):
        pytest.skip("no lab here")

    done = lab(
        *("plan", "--seed", 1, "--normal-hours", 2, "--fault-hours", 2, "--here"),
        *("--out", tmp_path / "plan.toml"),
        env=bare,
    )

    assert done.returncode == 0, done.stderr
    plan = read(tmp_path / "plan.toml")
    assert plan.runs
    assert not SIP & {stream.traffic for run in plan.runs for stream in run.load}


def test_a_plan_that_cannot_be_performed_is_refused_at_once(
    bare: dict[str, str], tmp_path: Path
) -> None:
    """Not after half of its runs."""
    run = Run("one", (Load(Traffic.CALL, Rate(5)),), (Phase(4),))
    (tmp_path / "plan.toml").write_text(as_toml(Plan("p", (run,))))

    done = lab("record", tmp_path / "plan.toml", "--out", tmp_path / "r", env=bare)

    assert done.returncode == 1
    assert "this machine can't do call" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_plan_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """A typo in a hand-written plan."""
    (tmp_path / "plan.toml").write_text('name = "p"\nruns = 3\n')

    done = lab("record", tmp_path / "plan.toml", "--out", tmp_path / "r")

    assert done.returncode == 1
    assert done.stderr.startswith(f"anchorwatch: {tmp_path / 'plan.toml'}: ")
    assert len(done.stderr.splitlines()) == 1


def test_faults_that_exclude_each_other_are_refused_at_once(tmp_path: Path) -> None:
    """Not at each of three tries."""
    faults = (Fault(Kind.BLACKHOLE), Fault(Kind.PROHIBIT))
    run = Run("one", (Load(Traffic.LOOKUP, Rate(5)),), (Phase(4, faults),))
    (tmp_path / "plan.toml").write_text(as_toml(Plan("p", (run,))))

    done = lab("record", tmp_path / "plan.toml", "--out", tmp_path / "r")

    assert done.returncode == 1
    assert "run 'one', phase 0" in done.stderr
    assert not (tmp_path / "r").exists()


def test_a_broker_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """Before any traffic is made."""
    run = Run("one", (Load(Traffic.LOOKUP, Rate(5)),), (Phase(4),))
    (tmp_path / "plan.toml").write_text(as_toml(Plan("p", (run,))))

    done = lab(
        *("live", tmp_path / "plan.toml", "--out", tmp_path / "r", "--kafka", "127.0.0.1:1")
    )

    assert done.returncode == 1
    assert done.stderr.startswith("anchorwatch: no broker answers at 127.0.0.1:1")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "r").exists()
