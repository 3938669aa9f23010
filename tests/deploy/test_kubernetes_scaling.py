"""How many daemons Kubernetes runs and how it ends them, and what kustomize makes of it all."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from detector import kafka_sink, kafka_source, kafka_states, reload
from detector.enrolments import kafka as kafka_enrolments
from detector.shadow import shadow
from detector.store import store
from tests.deploy import manifests
from tests.deploy.manifests import EXAMPLE, KUBERNETES, ROOT, the

DOCS = ROOT / "docs" / "kubernetes.md"
SASL = {"PLAIN": "plaintext", "SCRAM-SHA-256": "scram_sha256", "SCRAM-SHA-512": "scram_sha512"}
GENERATED = ("ConfigMap", "Secret")
REFERENCES = ("secretName", "secretKeyRef", "secretTargetRef", "configMap")


@pytest.fixture
def settings():
    """Load the example's settings as the daemon does in its container."""
    return manifests.settings()


def test_a_disruption_leaves_daemons_and_may_happen():
    """With none left nobody watches; with none allowed no node can be drained."""
    budget, scaled = the("PodDisruptionBudget")["spec"], the("ScaledObject")["spec"]
    fewest = min(the("StatefulSet")["spec"]["replicas"], scaled["minReplicaCount"])

    assert 0 < budget["maxUnavailable"] < fewest
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_there_is_time_for_the_slowest_stop():
    """What is killed before it left the group keeps its links from the others for a session."""
    milliseconds = kafka_sink.CONNECT_MS + kafka_sink.BLOCK_MS + kafka_sink.CLOSE_MS
    milliseconds += kafka_source.ASK_MS + kafka_source.COMMIT_MS + kafka_source.CLOSE_MS
    milliseconds += 2 * kafka_states.CLOSE_MS + kafka_enrolments.CLOSE_MS
    seconds = milliseconds / 1000 + 2 * kafka_states.READ_SECONDS
    seconds += reload.END_SECONDS + shadow.END_SECONDS + 2 * store.CLOSE_SECONDS

    assert manifests.pod()["terminationGracePeriodSeconds"] > seconds


def test_lag_is_that_of_the_daemons_own_group(settings):
    """KEDA asked about another topic or group never scales, and says nothing."""
    scaled = the("ScaledObject")["spec"]
    target = {name: scaled["scaleTargetRef"][name] for name in ("kind", "name", "apiVersion")}
    lag = next(one for one in scaled["triggers"] if one["type"] == "kafka")
    asked = lag["metadata"]

    daemon = the(target["kind"], target["name"])
    assert daemon["apiVersion"] == target["apiVersion"]
    assert asked["topic"] == settings.kafka.windows
    assert asked["consumerGroup"] == settings.kafka.group
    assert asked["bootstrapServers"] == settings.kafka.bootstrap
    assert asked["sasl"] == SASL[settings.kafka.sasl.mechanism]
    assert asked["tls"] == {True: "enable", False: "disable"}[settings.kafka.tls.enabled]
    login = the("TriggerAuthentication", lag["authenticationRef"]["name"])["spec"]
    keys = {one["parameter"]: one["key"] for one in login["secretTargetRef"]}
    assert keys == {"username": "username", "password": "password", "ca": "ca.crt"}
    assert {*keys.values()} <= manifests.secret().keys()
    assert {one["name"] for one in login["secretTargetRef"]} == {"anchorwatch-kafka"}


def test_there_is_a_partition_for_every_daemon():
    """One without is never ready, and a rollout that comes to it stops there."""
    scaled, daemon = the("ScaledObject")["spec"], the("StatefulSet")["spec"]
    partitions = int(re.findall(r"--partitions (\d+)", DOCS.read_text())[0])
    lag = next(one["metadata"] for one in scaled["triggers"] if one["type"] == "kafka")

    assert 0 < scaled["minReplicaCount"] <= scaled["fallback"]["replicas"]
    assert scaled["fallback"]["replicas"] <= scaled["maxReplicaCount"] <= partitions
    assert daemon["replicas"] <= partitions
    assert lag["allowIdleConsumers"] == "false"


def named(part: Any, key: str = "") -> Iterator[str]:
    """Find the names of all secrets and config maps that a document needs."""
    if isinstance(part, dict):
        if key in REFERENCES and "name" in part:
            yield part["name"]
        for name, inner in part.items():
            yield from [inner] if name == "secretName" else named(inner, name)
    elif isinstance(part, list):
        for inner in part:
            yield from named(inner, key)


def test_kustomize_puts_the_example_together():
    """A name that changes with what is in it has to change wherever it stands."""
    made = manifests.built(EXAMPLE)
    kinds = sorted(one["kind"] for one in made)
    there = {one["metadata"]["name"] for one in made if one["kind"] in ("Secret", "ConfigMap")}
    needed = [name for one in made for name in named(one)]

    assert kinds == sorted([*(one["kind"] for one in manifests.resources(EXAMPLE)), *GENERATED])
    # Settings, secret and its name in the environment, each of daemon and tool; KEDA's three.
    assert len(needed) == 9
    assert {*needed} == there
    spaces = {one["metadata"].get("namespace") for one in made if one["kind"] != "Namespace"}
    assert spaces == {"anchorwatch"}


def test_what_chooses_the_number_of_daemons_is_alone_in_it():
    """Else each `kubectl apply` sets back what KEDA chose, in the middle of the load."""
    scaled = next(one for one in manifests.built(EXAMPLE) if one["kind"] == "StatefulSet")
    plain = next(
        one for one in manifests.built(KUBERNETES / "base") if one["kind"] == "StatefulSet"
    )

    assert "replicas" not in scaled["spec"]
    assert plain["spec"]["replicas"] == the("StatefulSet")["spec"]["replicas"]


@pytest.fixture
def without_sharing(tmp_path):
    """Put an install together on a cluster whose volumes can't be shared."""
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "example" / "kustomization.yaml"
    text = file.read_text()
    assert "  # - ../components/no-shared-storage" in text
    file.write_text(text.replace("# - ../components/no-shared", "- ../components/no-shared"))
    return manifests.built(file.parent)


@pytest.mark.parametrize("place", ["example", "without_sharing"])
def test_all_that_is_mounted_is_there(place, request):
    """A volume that is not is a pod that waits for ever."""
    made = manifests.built(EXAMPLE) if place == "example" else request.getfixturevalue(place)
    daemon = next(one for one in made if one["kind"] == "StatefulSet")["spec"]
    pod = daemon["template"]["spec"]
    claims = {one["metadata"]["name"] for one in made if one["kind"] == "PersistentVolumeClaim"}

    there = {one["name"] for one in pod["volumes"]}
    there |= {one["metadata"]["name"] for one in daemon.get("volumeClaimTemplates", ())}
    runs = [*pod["containers"], *pod.get("initContainers", ())]
    assert {mount["name"] for one in runs for mount in one["volumeMounts"]} == there
    claimed = [
        one["persistentVolumeClaim"] for one in pod["volumes"] if "persistentVolumeClaim" in one
    ]
    assert {one["claimName"] for one in claimed} == claims


def test_without_sharing_the_bundle_comes_by_itself(without_sharing, settings):
    """Such a cluster has no place for a store that all daemons see."""
    daemon = next(one for one in without_sharing if one["kind"] == "StatefulSet")["spec"]
    pod = daemon["template"]["spec"]
    (brings,), (judges,) = pod["initContainers"], pod["containers"]
    mounts = {one["mountPath"]: one for one in judges["volumeMounts"]}

    (target,) = brings["volumeMounts"]
    assert brings["command"][-1].rstrip("/") == target["mountPath"]
    assert mounts[settings.bundle] == {
        "name": target["name"],
        "mountPath": settings.bundle,
        "readOnly": True,
    }
    assert (
        mounts[settings.store.path]["name"]
        == daemon["volumeClaimTemplates"][0]["metadata"]["name"]
    )
    assert not [place for place in mounts if place.startswith(f"{settings.bundle}/")]


def test_the_page_says_what_the_manifests_do():
    """Who scales by a page that is out of date scales wrongly."""
    text, scaled = DOCS.read_text(), the("ScaledObject")["spec"]
    lag, processor = (one["metadata"] for one in scaled["triggers"])
    grace = manifests.pod()["terminationGracePeriodSeconds"]

    assert f"ceil(lag / {int(lag['lagThreshold']):,})" in text
    assert f"{processor['value']} % of a core" in text
    assert f"terminationGracePeriodSeconds: {grace}" in text
    for folder in re.findall(r"`(components/[\w-]+)`", text):
        assert (KUBERNETES / folder).is_dir()


def test_the_page_makes_an_operators_rule_of_the_rules():
    """The operator reads no plain file of rules."""
    line = next(one for one in DOCS.read_text().splitlines() if "kind: PrometheusRule" in one)
    command, _, apply = line.strip().rpartition(" | ")

    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True, timeout=10
    )

    (made,) = yaml.load_all(done.stdout, manifests.StrictLoader)
    rules = manifests.read(ROOT / "deploy/prometheus/anchorwatch.rules.yml")
    assert [made["spec"]] == rules
    assert apply.endswith("apply -f -")
