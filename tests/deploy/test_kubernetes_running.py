"""What Kubernetes asks of a running daemon: probes, rollouts, and a pod that may write little."""

import shutil
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from detector.assembly import open_board, open_web
from detector.bundles import REPORTS, BundleStore
from detector.loading import load
from detector.metrics import Metrics
from detector.oncall.opening import open_model
from tests.broker.certificates import Authority
from tests.daemon import Daemon, Topics, wait_for
from tests.deploy import manifests
from tests.deploy.pod import Pod

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def ask(url: str) -> int:
    """Give the status that a page has."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_probes_ask_for_pages_that_there_are(bundle_path):
    """One that asks for another page kills each daemon as soon as it has started."""
    environ = {"BUNDLE": str(bundle_path), "HTTP__PORT": "0"}
    settings = load(None, {f"ANCHORWATCH__{name}": value for name, value in environ.items()})
    asked = {probe: manifests.container()[probe]["httpGet"]["path"] for probe in PROBES}
    metrics = Metrics(("normal",), 10)
    board = open_board(open_model(settings), metrics)

    with closing(open_web(settings, metrics, board)) as web:
        web.start()
        status = {probe: ask(f"{web.url}{path}") for probe, path in asked.items()}

    # Before there is a broker: alive, and not ready.
    assert status == {"startupProbe": 200, "livenessProbe": 200, "readinessProbe": 503}


def test_a_hung_daemon_is_noticed_within_two_minutes():
    """Nobody watches its links until then."""
    probe = manifests.container()["livenessProbe"]
    stalled = manifests.settings().http.stalled_seconds

    assert stalled + probe["periodSeconds"] * probe["failureThreshold"] <= 120


def test_a_rollout_of_as_many_daemons_as_partitions_comes_to_its_end(broker, bundle_path):
    """Each pod is waited for before the next one goes; one that is never ready stops it all."""
    topics = Topics().create(broker, 2)
    with ExitStack() as running:
        daemons = [
            running.enter_context(Daemon(bundle_path, broker.bootstrap, topics)).ready()
            for _ in range(2)
        ]

        for daemon in daemons:
            assert daemon.terminate() == 0
            daemon.start()
            wait_for("ready anew", lambda one=daemon: one.get("/readyz")[0] == 200, 60)

        assert [daemon.get("/readyz")[0] for daemon in daemons] == [200, 200]


def test_a_daemon_beyond_the_partitions_is_never_ready(broker, bundle_path):
    """That is why the manifests have none: a rollout would wait for it for ever."""
    topics = Topics().create(broker, 1)
    with ExitStack() as running:
        daemons = [
            running.enter_context(Daemon(bundle_path, broker.bootstrap, topics)) for _ in range(2)
        ]
        wait_for("one has it", lambda: 200 in [one.get("/readyz")[0] for one in daemons])
        (spare,) = (one for one in daemons if one.get("/readyz")[0] != 200)

        wait_for("it has looked", lambda: "no partitions yet" in spare.log())

        assert (spare.get("/healthz")[0], spare.get("/readyz")[0]) == (200, 503)


@pytest.fixture
def volumes(tmp_path, bundle) -> dict[str, Path]:
    """Make what the pod's volumes hold: a store with a bundle, and settings and secret."""
    made = {one["name"]: tmp_path / one["name"] for one in manifests.pod()["volumes"]}
    for folder in made.values():
        folder.mkdir()
    store = BundleStore(made["bundles"])
    store.create()
    store.switch(store.add(bundle, "test", "", 0), "test", "promoted", "", 0)
    (settings,) = manifests.kustomization(manifests.EXAMPLE)["configMapGenerator"]
    for file in settings["files"]:
        shutil.copy(manifests.EXAMPLE / file, made["settings"])
    for key, value in manifests.secret().items():
        (made["kafka"] / key).write_text(value)
    shutil.copy(Authority(tmp_path / "authority").ca, made["kafka"] / "ca.crt")
    user = manifests.pod()["securityContext"]["runAsUser"]
    for mine in (made["bundles"] / REPORTS, made["captures"]):
        shutil.chown(mine, user, user)
    tmp_path.chmod(0o755)
    return made


def test_a_pod_runs_with_what_the_manifests_give_it(image, volumes):
    """The image, its user, settings, secret and volumes meet for the first time in a cluster."""
    probes = {probe: manifests.container()[probe] for probe in PROBES}
    places = manifests.mounts()

    with Pod(image, volumes, manifests.environ()).running() as pod:
        wait_for(f"started: {pod.log()}", lambda: pod.ask(probes["startupProbe"]) == 200, 60)
        status = [pod.ask(probes[probe]) for probe in ("livenessProbe", "readinessProbe")]
        writable = {
            place
            for place in ("/", "/etc", "/tmp", *places)
            if pod.execute("touch", f"{place}/written").returncode == 0
        }
        begun = time.monotonic()
        ended = pod.stop(30)
        seconds = time.monotonic() - begun

    assert status == [200, 503]
    assert writable == {place for place, mount in places.items() if not mount.get("readOnly")}
    assert "broker is away" in pod.log()
    assert (ended, seconds < 10) == (0, True)
    assert manifests.secret()["password"] not in pod.log()
