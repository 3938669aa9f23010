"""The manifests for Kubernetes: they can be read, and agree with the daemon and with each other.

No cluster and no schema of its API is at hand here; docs/kubernetes.md says what was checked how.
"""

import re
from pathlib import Path

import pytest
import yaml

from detector import __version__
from detector.bundles import REPORTS
from tests.deploy import manifests
from tests.deploy.manifests import EXAMPLE, KUBERNETES, ROOT, bytes_of, the

CONTAINERFILE = (ROOT / "deploy" / "container" / "Containerfile").read_text()
NAMED = {"app.kubernetes.io/name": "anchorwatch"}


@pytest.fixture
def settings():
    """Load the example's settings as the daemon does in its container."""
    return manifests.settings()


def test_every_file_parses_and_says_what_it_is():
    """What is misspelt there is noticed when it is applied, in the middle of the rest."""
    documents = [one for file in manifests.files() for one in manifests.read(file)]

    assert len(documents) >= 15
    patches = ("Kustomization", "Component", None)
    for one in documents:
        assert one.get("kind") in patches or (one["apiVersion"] and one["metadata"]["name"])


def test_a_key_that_stands_twice_is_noticed():
    """YAML takes the second without a word, and the first was the one that somebody meant."""
    with pytest.raises(yaml.YAMLError, match=r"twice: .*replicas"):
        yaml.load("spec: {replicas: 2, replicas: 3}", manifests.StrictLoader)


def test_every_file_is_part_of_something():
    """One that no kustomization names is applied by nobody."""
    named = {file for file in manifests.files() if file.name == "kustomization.yaml"}
    for file in list(named):
        text = file.read_text()
        named |= {file.parent / name for name in re.findall(r"[\w-]+\.yaml", text)}

    assert {*manifests.files()} <= named


def test_settings_and_secret_reach_the_daemon(settings):
    """A path that nothing is mounted at ends the daemon with 78, again and again."""
    mounted = {place: mount["name"] for place, mount in manifests.mounts().items()}
    volumes = {one["name"]: one for one in manifests.pod()["volumes"]}
    (made,) = manifests.kustomization(EXAMPLE)["configMapGenerator"]
    config = Path(manifests.container()["args"][1])

    assert manifests.container()["args"][0] == "--config"
    assert volumes[mounted[str(config.parent)]]["configMap"]["name"] == made["name"]
    assert [config.name] == made["files"]
    for file in (settings.kafka.tls.ca, settings.kafka.sasl.password_file):
        volume = volumes[mounted[str(Path(file).parent)]]
        assert volume["secret"]["secretName"] == "anchorwatch-kafka"
        assert Path(file).name in manifests.secret()


def test_the_name_at_the_broker_is_the_secrets(settings):
    """It stands in one place, for the daemon and for KEDA."""
    assert settings.kafka.sasl.username == manifests.secret()["username"]


def test_the_secret_is_a_placeholder():
    """A password in a repository is everybody's."""
    assert "placeholder" in manifests.secret()["password"]
    assert "placeholder" in manifests.secret()["ca.crt"]


def test_the_store_is_the_daemons_to_read_but_for_its_reports(settings):
    """Whoever takes over one daemon must not choose what all of them judge by."""
    mounts = manifests.mounts()
    bundles, reports = settings.bundle, f"{settings.bundle}/{REPORTS}"

    assert mounts[bundles]["readOnly"]
    assert not mounts[reports].get("readOnly")
    assert mounts[reports]["name"] == mounts[bundles]["name"]
    assert mounts[reports]["subPath"] == REPORTS
    assert not mounts[settings.store.path].get("readOnly")


def test_the_volume_has_room_for_the_captures_of_all_daemons(settings):
    """A full disk costs captures, and nobody reads the alert about it at once."""
    volume = the("PersistentVolumeClaim", "anchorwatch-captures")["spec"]
    most = the("ScaledObject")["spec"]["maxReplicaCount"]
    (own,) = manifests.read(KUBERNETES / "components/no-shared-storage/daemon.yaml")
    (mine,) = own["spec"]["volumeClaimTemplates"]
    need = settings.store.most_gb * 1e9

    assert bytes_of(volume["resources"]["requests"]["storage"]) >= need * most
    assert bytes_of(mine["spec"]["resources"]["requests"]["storage"]) >= need


def test_one_port_everywhere(settings):
    """Each that differs is a probe that kills, or a daemon that nobody watches."""
    (port,) = manifests.container()["ports"]
    (service,) = the("Service")["spec"]["ports"]
    (rule,) = the("NetworkPolicy")["spec"]["ingress"]
    (endpoint,) = the("ServiceMonitor")["spec"]["endpoints"]
    probes = [one for name, one in manifests.container().items() if name.endswith("Probe")]
    exposed = int(re.findall(r"^EXPOSE (\d+)$", CONTAINERFILE, re.MULTILINE)[0])

    assert settings.http.host == "0.0.0.0"
    assert {settings.http.port, exposed, port["containerPort"], service["port"]} == {9469}
    assert [one["port"] for one in rule["ports"]] == [9469]
    names = {service["targetPort"], endpoint["port"], *(p["httpGet"]["port"] for p in probes)}
    assert names == {port["name"]} == {service["name"]}
    assert len(probes) == 3


def test_the_way_to_kafka_and_to_names_is_open_and_no_other(settings):
    """A policy that forgets the brokers' port looks like a broker that is away."""
    names, kafka = the("NetworkPolicy")["spec"]["egress"]
    brokers = [one.rpartition(":") for one in settings.kafka.bootstrap.split(",")]

    assert {(one["port"], one["protocol"]) for one in names["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert {one["port"] for one in kafka["ports"]} == {int(port) for _, _, port in brokers}
    (peer,) = kafka["to"]
    spaces = {host.split(".")[1] for host, _, _ in brokers}
    assert set(peer["namespaceSelector"]["matchLabels"].values()) == spaces


def test_selectors_find_the_pods():
    """One that finds nothing is no error: there is no budget, no policy, no target."""
    daemon = the("StatefulSet")
    labels = daemon["spec"]["template"]["metadata"]["labels"]
    found = [
        daemon["spec"]["selector"]["matchLabels"],
        the("Service")["spec"]["selector"],
        the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in manifests.pod()["topologySpreadConstraints"]
        ),
    ]

    assert labels == NAMED
    assert found == [NAMED] * 6
    assert the("ServiceMonitor")["spec"]["selector"]["matchLabels"] == NAMED
    assert the("Service")["metadata"]["labels"] == NAMED


def test_daemons_that_are_not_ready_are_scraped():
    """Their metrics say why; a service leaves them out unless told."""
    service = the("Service")

    assert service["spec"]["publishNotReadyAddresses"]
    assert service["metadata"]["name"] == the("StatefulSet")["spec"]["serviceName"]
    assert service["spec"]["clusterIP"] == "None"


def test_the_job_is_called_as_the_rules_expect():
    """Rules know by the job's name who should be there."""
    monitor = the("ServiceMonitor")["spec"]
    job = the("Service")["metadata"]["labels"][monitor["jobLabel"]]
    scrape = manifests.read(ROOT / "deploy/prometheus/prometheus.yml")[0]

    assert job == scrape["scrape_configs"][0]["job_name"]
    (endpoint,) = monitor["endpoints"]
    assert endpoint["path"] == "/metrics"
    assert endpoint["interval"] == scrape["global"]["scrape_interval"]
    assert endpoint["scrapeTimeout"] == scrape["global"]["scrape_timeout"]


def test_the_image_is_run_as_it_was_made(settings):
    """User, program and version are said in the Containerfile and in deploy/.env."""
    user = re.findall(r"^USER (\d+):(\d+)$", CONTAINERFILE, re.MULTILINE)[0]
    versions = dict(re.findall(r"^(\w+)=(.+)$", (ROOT / "deploy/.env").read_text(), re.MULTILINE))
    (image,) = (
        one
        for one in manifests.kustomization(EXAMPLE)["images"]
        if one["name"] == manifests.container()["image"]
    )
    security = manifests.pod()["securityContext"]

    assert (str(security["runAsUser"]), str(security["runAsGroup"])) == user
    assert security["fsGroup"] == security["runAsGroup"]
    assert 'ENTRYPOINT ["anchorwatchd"]' in CONTAINERFILE
    assert "command" not in manifests.container()
    assert image["newTag"] == versions["ANCHORWATCH_VERSION"] == __version__
    assert settings.bundle.startswith(re.findall(r"STATE_DIRECTORY=(\S+)", CONTAINERFILE)[0])


def test_pods_need_no_more_than_the_strictest_standard_grants():
    """The example's namespace enforces it, and would refuse them."""
    pod, kinds = manifests.pod(), [manifests.container()]
    (own,) = manifests.read(KUBERNETES / "components/no-shared-storage/daemon.yaml")
    kinds += own["spec"]["template"]["spec"]["initContainers"]
    kinds += the("Deployment", "anchorwatch-tool")["spec"]["template"]["spec"]["containers"]

    (level,) = the("Namespace", "anchorwatch")["metadata"]["labels"].values()
    assert level == "restricted"
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    for one in kinds:
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_tool_sees_what_the_daemons_see(settings):
    """Another path, user or volume, and what it adds is nowhere that a daemon looks."""
    tool = the("Deployment", "anchorwatch-tool")["spec"]
    pod = tool["template"]["spec"]
    (runs,) = pod["containers"]
    mounts = {one["mountPath"]: one["name"] for one in runs["volumeMounts"]}
    claims = [
        {one["name"]: one.get("persistentVolumeClaim") for one in part["volumes"]}
        for part in (pod, manifests.pod())
    ]

    for place in (settings.bundle, settings.store.path):
        assert not next(one for one in runs["volumeMounts"] if one["mountPath"] == place).get(
            "readOnly"
        )
        assert claims[0][mounts[place]] == claims[1][manifests.mounts()[place]["name"]] is not None
    # What reads enrolled anchors logs in as the daemons do.
    for place in ("/etc/anchorwatch", "/run/secrets/anchorwatch"):
        assert mounts[place] == manifests.mounts()[place]["name"]
    of_kafka = [one for one in manifests.container()["env"] if "KAFKA" in one["name"]]
    assert runs["env"] == of_kafka
    assert pod["securityContext"] == manifests.pod()["securityContext"]
    assert runs["image"] == manifests.container()["image"]
    # What finds the daemons must not find it.
    assert tool["template"]["metadata"]["labels"] == tool["selector"]["matchLabels"] != NAMED
    assert tool["replicas"] == 0


def test_memory_is_bounded_and_the_processor_is_not(settings):
    """A record may be a thousand times as large as it came; a throttled daemon is a late one."""
    resources = manifests.container()["resources"]

    assert resources["limits"] == {"memory": resources["requests"]["memory"]}
    # What the capture store may take is but a part of it.
    assert bytes_of(resources["limits"]["memory"]) > 2 * settings.store.memory_mb * 1e6
    assert settings.engine.threads  # 0 would be one for each core of the node
