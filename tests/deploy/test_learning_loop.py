"""The script that the README shows, with the real broker and real traffic, as a user runs it."""

import re
import subprocess
from pathlib import Path

import pytest

from detector.bundles import BundleStore
from tests.broker import Broker, needs
from tests.broker.proxy import Proxy

SCRIPT = Path(__file__).parents[2] / "deploy" / "learning-loop.sh"


@pytest.fixture(scope="module")
def loop(proxied: tuple[Broker, Proxy], tmp_path_factory: pytest.TempPathFactory) -> "Loop":
    """Run the script once, and give what it left."""
    broker, _ = proxied
    needs(broker, "topic-config")
    return Loop(broker, tmp_path_factory.mktemp("loop") / "work")


class Loop:
    """One run of the script."""

    def __init__(self, broker: Broker, work: Path) -> None:
        done = subprocess.run(
            [SCRIPT, broker.direct, work], capture_output=True, text=True, timeout=1200
        )
        self.said, self.told = done.stdout, done.stderr
        assert done.returncode == 0, f"{self.told[-3000:]}\n{self.said[-3000:]}"
        self.store = BundleStore.open(work / "bundles")
        self.log = (work / "anchorwatchd.log").read_text()


def test_the_loop_ends_with_a_candidate_that_proved_itself(loop):
    """Refused as it is, for it differs from the current one; promoted with a reason on record."""
    entries = [one for one in loop.store.history().entries if one.action != "added"]
    first, candidate = loop.store.ids

    assert [one.action for one in entries] == [
        *("promoted", "shadowed", "refused", "promoted", "unshadowed")
    ]
    assert (loop.store.current, loop.store.shadow) == (candidate, None)
    assert "agreement" in " ".join(entries[2].failed)
    assert entries[3].why.startswith("it knows limits")
    assert (
        f"bundle={candidate}" in [line for line in loop.log.splitlines() if "in use" in line][-1]
    )
    assert first in loop.said
    assert "Traceback" not in loop.log + loop.told


def test_one_incident_was_found_on_other_links(loop):
    """Half of them at least, on links and days that nobody had shown."""
    found = set(re.findall(r"(d[34]\d_\S+)/(?:access|core) +capacity-limited", loop.said))

    assert len(found) >= 6, found


def test_the_candidate_is_better_on_runs_that_neither_has_seen(loop):
    """The scores before and after are what the loop is for."""
    new, old = re.findall(r"macro-F1 +([\d.]+), the current one has ([\d.]+)", loop.said)[-1]

    assert float(new) > float(old) + 0.05
