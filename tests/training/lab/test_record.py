"""Recording on real links: the whole way from a plan to a labelled capture."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from detector.capture import read_table
from tests.daemon import wait_for
from training import lab
from training.lab.link import Link
from training.lab.namespaces import NAMED, PREFIX, alone
from training.lab.plan import Fault, Kind, Load, Phase, Plan, Rate, Run, Traffic, as_toml
from training.lab.record import record

SCENARIOS = str(Path(lab.__file__).with_name("scenarios")).encode()
CALLS = Load(Traffic.QUICK_CALL, Rate(20))
BLOCK = Fault(Kind.BLOCK)
ONE = Run("one", (CALLS,), (Phase(4), Phase(5, (BLOCK,)), Phase(3)))
TWO = Run("two", (Load(Traffic.LOOKUP, Rate(20)),), (Phase(8),))


@pytest.fixture(autouse=True)
def _able(abilities: dict[str, str], lab_is_free: None) -> None:  # noqa: ARG001
    """Skip where there can be no lab with calls; wait until no other one runs."""
    if abilities["sipp"]:
        pytest.skip(f"no calls: {abilities['sipp']}")


def command(*arguments: object) -> list[str]:
    """Give the command line of the tool."""
    return [str(Path(sys.executable).with_name("anchorwatch")), "lab", *map(str, arguments)]


def left() -> list[str]:
    """List the lab's namespaces that there are."""
    return sorted(path.name for path in NAMED.glob(f"{PREFIX}*"))


def programs() -> list[int]:
    """List the lab's SIPp processes."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"sipp") and any(SCENARIOS in word for word in words):
                found.append(int(path.name))
    return found


def test_a_plan_becomes_a_capture_with_the_truth(tmp_path: Path) -> None:
    """Two links side by side, watched at both ports, labelled by what was done."""
    plan = tmp_path / "plan.toml"
    plan.write_text(as_toml(Plan("tiny", (ONE, TWO), seed=1)))

    done = subprocess.run(
        command("record", plan, "--out", tmp_path / "r", "--pcaps"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    table = read_table([tmp_path / "r"])
    seen = table.groupby("link")["fwd_packets"].sum()
    assert set(seen.index) == {"one/access", "one/core", "two/access", "two/core"}
    calls = table[table["link"] == "one/access"]
    core = table[table["link"] == "one/core"]
    assert calls[calls["label"] == "normal"]["rev_2xx"].sum() > 20
    assert calls[calls["label"] == "blocked"]["rev_2xx"].sum() == 0
    assert calls[calls["label"] == "blocked"]["fwd_invite"].sum() > 50
    assert core[core["label"] == "blocked"]["fwd_packets"].sum() == 0
    for place in (calls, core):  # forward is away from the caller, at both ports
        assert place[place["label"] == "normal"]["fwd_invite"].sum() > 20
        assert place["rev_invite"].sum() == 0
    assert set(calls["kind"]) == {"normal", "transition", "block_both"}
    packets = json.loads((tmp_path / "r" / "manifest.json").read_text())["runs"]
    assert packets["one"]["packets"] > 500
    assert packets["one"]["kernel_dropped"] == packets["one"]["late"] == 0
    assert len(list((tmp_path / "r" / "pcaps").glob("one_*.pcap"))) == 2
    assert left() == []
    assert programs() == []


def test_a_lab_that_was_killed_leaves_nothing_and_goes_on(tmp_path: Path) -> None:
    """A machine that crashed during a night's recording is of use in the morning."""
    plan, out = tmp_path / "plan.toml", tmp_path / "r"
    long = Run("long", (CALLS,), (Phase(6),))
    longer = Run("longer", (CALLS,), (Phase(30),))
    plan.write_text(as_toml(Plan("tiny", (long, longer), seed=1)))
    with subprocess.Popen(
        command("record", plan, "--out", out), stderr=subprocess.DEVNULL
    ) as first:
        try:
            wait_for("the short run is there", (out / "runs" / "long.json").exists, 60)
            assert left()
        finally:
            first.kill()
    with subprocess.Popen(
        command("record", plan, "--out", out), stderr=subprocess.PIPE, text=True
    ) as again:
        wait_for("a link is up again", lambda: len(left()) == 3 and programs(), 30)
        alive = set(programs())
        again.send_signal(signal.SIGINT)
        said = again.communicate(timeout=30)[1]

    assert again.returncode == 1
    assert "goes on with" in said
    assert not any(os.path.exists(f"/proc/{pid}") for pid in alive)  # noqa: PTH110
    assert left() == []
    assert (out / "runs" / "long.json").exists()


def test_a_run_whose_load_died_is_repeated(tmp_path: Path) -> None:
    """SIPp dies now and then; what it then didn't send must not be labelled normal."""
    told: list[str] = []

    def kill_once() -> None:
        wait_for("all programs", lambda: len(programs()) == 2, 30)
        time.sleep(3)  # it was alive when the run began
        os.kill(programs()[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_once)
    killer.start()

    recorder = record(
        Plan("tiny", (Run("one", (CALLS,), (Phase(4),)),)),
        tmp_path / "r",
        threading.Event(),
        parallel=1,
        tell=told.append,
    )
    killer.join()

    assert recorder.failures == 1
    assert "died" in told[0]
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert manifest["runs"]["one"]["repeats"] == 1


def test_a_run_that_fails_at_every_try_is_not_passed_over(tmp_path: Path) -> None:
    """A capture without its rarest fault looks whole, and is not."""
    plan = tmp_path / "plan.toml"
    hopeless = Run("hopeless", (TWO.load[0],), (Phase(0.3),))  # no whole row lies in it
    plan.write_text(as_toml(Plan("tiny", (hopeless, Run("two", TWO.load, (Phase(3),))))))

    strict, partial, again = (
        subprocess.run(
            command("record", plan, "--out", tmp_path / "r", *more),
            capture_output=True,
            text=True,
            check=False,
        )
        for more in ((), ("--partial",), ())
    )

    assert strict.returncode == 1
    assert "1 runs failed at every try: hopeless" in strict.stderr
    assert partial.returncode == 0, partial.stderr
    assert json.loads((tmp_path / "r" / "manifest.json").read_text())["left_out"] == ["hopeless"]
    assert again.returncode == 0


def test_a_second_lab_is_refused(tmp_path: Path) -> None:
    """It would sweep the first one's links away."""
    plan = tmp_path / "plan.toml"
    plan.write_text(as_toml(Plan("tiny", (TWO,))))

    with alone():
        done = subprocess.run(
            command("record", plan, "--out", tmp_path / "r"),
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith("anchorwatch: another lab runs")


def test_a_link_can_be_opened_after_another_was_closed(tmp_path: Path) -> None:
    """A slot of the recorder uses one number again and again."""
    with alone():
        for name in ("first", "second"):
            with Link(3, ONE, tmp_path / name, seed=0) as link:
                assert link.dead() == []
        assert left() == []
