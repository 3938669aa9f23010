"""The whole product at once: real packets and faults, the probe, Kafka, the daemon, Prometheus.

Short in CI; `make acceptance` performs `long.toml`, and says how the daemon scored.
"""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.prometheus import PROGRAM, Prometheus
from tests.broker import Broker
from tests.daemon import Daemon, Topics, wait_for
from training.lab.machine import able_kinds, able_traffic, look
from training.lab.plan import read

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PLAN = os.environ.get("ANCHORWATCH_ACCEPTANCE", "short")
REQUIRED = "ANCHORWATCH_ACCEPTANCE" in os.environ  # who asks for it doesn't want a skip
# False changes for each true one, at most. With a dozen true ones two or six false are chance, and
# CI must not be; so the short plan allows one for each end of a fault, a storm taken for a fault.
FALSE = {"short": 0.5, "long": 0.25}
SECONDS = 1800  # the long plan takes about ten minutes


@pytest.fixture(scope="module")
def possible() -> None:
    """Skip where the plan can't be performed; fail instead if the lab is required."""
    plan = read(HERE / f"{PLAN}.toml")
    abilities = look()
    lacking = [*(plan.traffic - able_traffic(abilities)), *(plan.kinds - able_kinds(abilities))]
    if PROGRAM is None:
        lacking.append("Prometheus")
    if lacking:
        say = pytest.fail if REQUIRED else pytest.skip
        say(f"needs what this machine can't do: {', '.join(sorted(lacking))}")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Give the bundle of `make demo`, or train it."""
    bundle = ROOT / "build" / "demo-bundle"
    if bundle.is_dir():
        # A copy, beside which the daemon may write.
        return Path(shutil.copytree(bundle, tmp_path / "bundle"))
    captures = (ROOT / "training" / "captures", ROOT / "training" / "recordings")
    labels = [f"--labels={name}" for name in ("normal", "blocked", "capacity-limited")]
    anchorwatch("train", *captures, *labels, "--out", tmp_path / "bundle")
    return tmp_path / "bundle"


def anchorwatch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the tool; what it says goes to the test's own output."""
    program = Path(sys.executable).with_name("anchorwatch")
    done = subprocess.run(
        [program, *map(str, arguments)], stdout=subprocess.PIPE, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout
    return done


def test_the_daemon_names_what_was_really_done(
    possible: None,  # noqa: ARG001
    trained: Path,
    broker: Broker,
    tmp_path: Path,
) -> None:
    """Faults are found on live traffic, and nobody cries wolf: what an operator buys."""
    topics = Topics().create(broker, partitions=4)
    with Daemon(trained, broker.bootstrap, topics) as daemon:
        daemon.ready()
        with Prometheus(daemon.address, tmp_path / "prometheus") as prometheus:
            said = anchorwatch(
                *("lab", "live", HERE / f"{PLAN}.toml", "--out", tmp_path / "live"),
                *("--kafka", broker.bootstrap, "--topic", topics.windows),
                *("--events", f"{topics.name}.events"),
            )
            score = json.loads((tmp_path / "live" / "score.json").read_text())
            sent = score["windows_sent"]

            def judged() -> bool:
                total = prometheus.value("sum(anchorwatch_windows_total)")
                return not math.isnan(total) and total == sent

            wait_for("Prometheus has every window", judged)
            rejected = prometheus.value("sum(anchorwatch_rejected_total)")
        assert daemon.terminate() == 0

    sys.stdout.write(said.stdout)
    assert score["windows_lost"] == 0
    assert rejected == 0
    assert score["found"] >= 0.8 * score["onsets"], said.stdout
    assert score["false_changes"] <= FALSE[PLAN] * score["onsets"], said.stdout
