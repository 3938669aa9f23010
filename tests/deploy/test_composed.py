"""What compose.yaml starts, started without compose: its commands, environments and checks.

Our services run in containers of the image, the training by the programs of this environment,
Kafka from jars with the settings of its service. Only addresses and folders are this machine's.
"""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.bundles import BundleStore
from detector.config import Kafka
from tests.broker.proxy import free_port
from tests.daemon import Reader, wait_for
from tests.deploy.compose import services
from tests.deploy.composed_kafka import ComposedKafka
from tests.deploy.image import Container

SERVICES = services()
USER = 10001


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that the daemon sees, with what `train` left in it."""
    state = tmp_path_factory.mktemp("state")
    done = train(state)
    assert done.returncode == 0, done.stderr
    for path in (state, *state.rglob("*")):
        shutil.chown(path, USER, USER)
    return state


def train(state: Path) -> subprocess.CompletedProcess[str]:
    """Run what the service runs, by the programs of this environment."""
    service = SERVICES["train"]
    script = Path(service.says["entrypoint"][1])
    captures, store = service.command
    assert service.mounts["/var/lib/anchorwatch"] == ("state", False)
    command = ["sh", service.folders[str(script.parent)] / script.name]
    command += [service.folders[captures], here(store, state)]
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def here(text: str, state: Path) -> str:
    """Put this machine's folder for the one that the containers share."""
    return text.replace("/var/lib/anchorwatch", str(state))


def test_training_makes_the_bundle_once(trained):
    """The first start trains, every other finds it there; the daemon waits for either."""
    before = (trained / "bundles/history.jsonl").read_bytes()

    again = train(trained)

    assert again.returncode == 0
    assert (trained / "bundles/history.jsonl").read_bytes() == before
    store = BundleStore.open(trained / "bundles")
    assert store.ids == (store.current,)
    labels = store.load(store.current).manifest.labels
    assert {"normal", "blocked", "capacity-limited"} <= set(labels)
    check = SERVICES["train"].says["healthcheck"]["test"]
    assert Path(here(check[-1], trained)).exists()


@pytest.fixture(scope="module")
def kafka() -> Iterator[ComposedKafka]:
    """Give a real Kafka with the settings of the file."""
    with ComposedKafka(SERVICES["kafka"].environ) as kafka:
        yield kafka


def test_kafka_knows_all_its_settings(kafka):
    """One that is misspelt is passed over without a word."""
    given = (kafka.home / "final/server.properties").read_text()
    command = [*kafka.java(), "kafka.server.KafkaConfig"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Whoever has a listener may give settings of its own for it; here nobody does.
    known = set(re.findall(r'<h4><a id="([\w.]+)"', told))

    names = {line.partition("=")[0] for line in given.splitlines() if line}

    assert len(known) > 100
    assert {"listeners", "num.partitions", "log.dirs"} <= names
    assert names <= known


def test_it_lives(image, kafka, trained):
    """What `docker compose up` starts of ours, started: traffic in, states and changes out."""
    port = free_port()

    def container(name: str, **environ: str) -> Container:
        service = SERVICES[name]
        command = [one.replace("kafka:9092", kafka.bootstrap) for one in service.command]
        given = service.environ | {"ANCHORWATCH__KAFKA__BOOTSTRAP": kafka.bootstrap} | environ
        return Container(
            image,
            command or image.config["Cmd"],
            name=name,
            state=trained,
            environ=given,
            entrypoint=service.says.get("entrypoint"),
            binds=service.folders,
        )

    def is_well(running: Container) -> bool:
        kind, *test = SERVICES[running.name].says["healthcheck"]["test"]
        # The broker's port, as the kernel writes it.
        test = [one.replace(f"{9092:04X}", f"{kafka.port:04X}") for one in test]
        command = ["sh", "-c", *test] if kind == "CMD-SHELL" else test
        return running.execute(*command).returncode == 0

    http = {"ANCHORWATCH__HTTP__PORT": str(port), "ANCHORWATCH__HTTP__HOST": "127.0.0.1"}
    with container("anchorwatchd", **http).running() as daemon:
        wait_for("the daemon", lambda: is_well(daemon))
        with container("steady").running() as steady, container("changing").running() as changing:
            wait_for("the replays", lambda: is_well(steady) and is_well(changing))
            wait_for("states", lambda: linked(port).get("normal", 0) >= 12, 60)
            wait_for("a fault", lambda: linked(port).get("blocked", 0) >= 1, 60)
            assert is_well(daemon)
        assert daemon.stop() == 0, daemon.log()

    events = Reader(kafka.outside, Kafka().events).verdicts()
    partitions = Reader(kafka.outside, Kafka().windows).records()
    assert {event["type"] for event in events} >= {"onset"}
    assert {record.partition for record in partitions} == set(range(4))


def linked(port: int) -> dict[str, int]:
    """Give how many links are in each state, as Prometheus would hear."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            page = answer.read().decode()
    except OSError:
        return {}
    lines = re.findall(r'^anchorwatch_links\{state="([\w-]+)"\} (\d+)', page, re.MULTILINE)
    return {state: int(count) for state, count in lines}
