"""compose.yaml: that it holds together, and agrees with the files that it leads to.

No engine runs it here: it is read, and held against what it names. test_composed.py starts what
it starts.
"""

import re
from pathlib import Path

import pytest
import yaml

from detector import __version__
from detector.config import Kafka, Settings
from detector.loading import PREFIX, load
from tests.deploy.compose import DEPLOY, Service, seconds, services, versions, whole

ROOT = DEPLOY.parent
SERVICES = services()
OURS = [name for name, service in SERVICES.items() if service.is_ours]
STAYING = [name for name, service in SERVICES.items() if service.says["restart"] != "no"]
FETCHED = [name for name in SERVICES if name not in OURS]
DAEMON = SERVICES["anchorwatchd"]


def settings_of(daemon: Service) -> Settings:
    """Load what its container would: the image's file, the service's environment over it."""
    file = DEPLOY / "container" / "anchorwatch.toml"
    return load(file, {name: value for name, value in daemon.environ.items() if PREFIX in name})


def option(command: list[str], name: str) -> list[str]:
    """Give the values of an option of a command line."""
    return [one.partition("=")[2] for one in command if one.startswith(f"{name}=")]


def test_all_that_was_promised_is_started():
    """`docker compose up` alone is to show a living dashboard."""
    assert set(SERVICES) == {
        *("kafka", "train", "anchorwatchd", "steady", "changing"),
        *("prometheus", "grafana"),
    }
    assert not [name for name, one in SERVICES.items() if "profiles" in one.says]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check_with_patience(name):
    """What hangs is to be seen, and what takes a while to start is not to be called ill."""
    check = SERVICES[name].says["healthcheck"]

    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert len(check["test"]) > 1
    assert seconds(check["timeout"]) < seconds(check["interval"])
    assert seconds(check["start_period"]) >= 30
    assert check["retries"] >= 3


def test_the_daemon_is_the_same_host_after_it_was_made_anew():
    """Its folder of captures has that name; each older one would stay, outside the quota."""
    assert DAEMON.says["hostname"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_to_be_reached_from_beyond_this_machine(name):
    """The broker believes everyone and Grafana shows everyone everything."""
    service = SERVICES[name].says

    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "network_mode" not in service
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_that_it_does_not_need(name):
    """A container that was taken over is not to take its machine along."""
    service = SERVICES[name].says

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"] == "10m"
    assert service.get("read_only", False) is (name in OURS)


def test_what_ends_by_itself_is_waited_for_and_what_does_not_comes_back():
    """A machine that was switched off and on again has to go on by itself."""
    policies = {name: SERVICES[name].says["restart"] for name in SERVICES}

    assert policies.pop("train") == "no"
    assert DAEMON.says["depends_on"]["train"] == {"condition": "service_completed_successfully"}
    # A replay ends with 0 when it is at the end, and is to go round.
    assert policies.pop("steady") == policies.pop("changing") == "always"
    assert set(policies.values()) == {"unless-stopped"}


def test_a_service_waits_for_what_it_needs():
    """Windows that come before the broker or the bundle is there would find nobody."""
    waits = {
        name: {other: how["condition"] for other, how in one.says.get("depends_on", {}).items()}
        for name, one in SERVICES.items()
    }

    assert waits["anchorwatchd"]["kafka"] == "service_healthy"
    assert waits["steady"] == waits["changing"] == {"anchorwatchd": "service_healthy"}
    assert waits["grafana"] == {"prometheus": "service_healthy"}
    assert {other for needed in waits.values() for other in needed} <= set(SERVICES)


def test_versions_are_exact_and_in_one_place():
    """What was tried is what is started, and an upgrade is one line."""
    named = versions()
    text = (DEPLOY / "compose.yaml").read_text()
    containerfile = (DEPLOY / "container" / "Containerfile").read_text()
    images = {name: value for name, value in named.items() if name.endswith("_IMAGE")}

    assert named["ANCHORWATCH_VERSION"] == __version__
    assert all(re.fullmatch(r"[a-z./-]+:v?\d+\.\d+\.\d+[a-z-]*", one) for one in images.values())
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(named)
    for service in whole()["services"].values():
        assert re.fullmatch(r"(anchorwatch(-train)?:)?\$\{\w+\}", service["image"])
    # The base image is said nowhere else: who builds by hand says it, too.
    assert re.findall(r"^FROM (\S+)", containerfile, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert re.findall(r"^ARG BASE(.*)$", containerfile, re.MULTILINE) == [""]


@pytest.mark.parametrize("name", [name for name in OURS if "build" not in SERVICES[name].says])
def test_what_builds_nothing_runs_the_daemons_image_and_waits_for_it(name):
    """Builds of one name side by side get in each other's way; fetched, it is somebody else's."""
    service = SERVICES[name].says

    assert service["image"] == SERVICES["anchorwatchd"].says["image"]
    assert service["pull_policy"] == "never"
    assert "anchorwatchd" in service["depends_on"]


@pytest.mark.parametrize("name", ["anchorwatchd", "train"])
def test_ours_are_built_from_this_checkout(name):
    """An image of the same name somewhere on the internet is somebody else's."""
    service = SERVICES[name].says
    build = service["build"]

    assert service["pull_policy"] == "build"
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    arguments = re.findall(r"^ARG (\w+)", (ROOT / build["dockerfile"]).read_text(), re.MULTILINE)
    assert set(build["args"]) <= set(arguments)
    assert build["args"]["VERSION"] == __version__
    assert build["args"]["BASE"] == versions()["PYTHON_IMAGE"]
    lock = build["args"].get("LOCK", "requirements-daemon.lock")
    assert (ROOT / lock).is_file()
    # Images of one name are one image.
    assert service["image"] == ("anchorwatch-train:" if "train" in lock else "anchorwatch:") + (
        __version__
    )


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name):
    """An engine makes an empty folder of a path that is misspelt, and says nothing."""
    service, volumes = SERVICES[name], whole()["volumes"]

    for place, (source, reads_only) in service.mounts.items():
        if source.startswith("."):
            assert any((DEPLOY / source).resolve().iterdir()), source
            assert reads_only, place
        else:
            assert source in volumes


def test_the_daemon_has_settings_that_it_takes_and_finds_what_the_others_made():
    """Names that differ between services end in a dashboard without a line."""
    settings = settings_of(DAEMON)
    host, port = settings.kafka.bootstrap.split(":")

    assert settings.bundle in [one for one in SERVICES["train"].command if "bundles" in one]
    assert settings.http.host == "0.0.0.0"
    assert DAEMON.says["ports"] == [f"127.0.0.1:{settings.http.port}:{settings.http.port}"]
    assert host in SERVICES
    assert f"INSIDE://{host}:{port}" in SERVICES["kafka"].environ["KAFKA_ADVERTISED_LISTENERS"]
    assert settings.kafka.windows == Kafka().windows  # where a replay sends to
    assert settings.store.most_gb < 10


@pytest.mark.parametrize("name", ["steady", "changing"])
def test_a_replay_has_links_to_send_and_says_to_whom(name):
    """A pattern that fits no link sends nothing, and starts again for ever."""
    import pandas as pd

    service = SERVICES[name]
    (captures,) = service.folders.values()
    table = pd.read_parquet(captures / "sip-testbed-1s.parquet", columns=["link", "t_ms"])
    spans = table.groupby("link").t_ms.agg(lambda times: (times.max() - times.min()) / 1000)

    chosen = {
        pattern: [link for link in spans.index if Path(link).match(pattern)]
        for pattern in option(service.command, "--links")
    }

    assert option(service.command, "--kafka") == [settings_of(DAEMON).kafka.bootstrap]
    assert "--now" in service.command
    assert service.command[1] == settings_of(DAEMON).bundle
    assert all(chosen.values())
    links = [link for found in chosen.values() for link in found]
    # Links that end long before the longest would be called silent until it starts again.
    assert spans[links].max() - spans[links].min() < settings_of(DAEMON).silence.least_seconds


def test_prometheus_asks_the_daemon_and_has_the_rules():
    """The name in the scrape config is the service's, and its files are where it looks."""
    service = SERVICES["prometheus"]
    (config,) = option(service.command, "--config.file")
    place, _, name = config.rpartition("/")
    file = service.folders[place] / name

    said = yaml.safe_load(file.read_text())

    (job,) = said["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"anchorwatchd:{settings_of(DAEMON).http.port}"]
    assert all((file.parent / rules).is_file() for rules in said["rule_files"])
    (store,) = option(service.command, "--storage.tsdb.path")
    assert service.mounts[store] == ("prometheus", False)


def test_grafana_finds_prometheus_and_the_dashboards():
    """It shows the overview without a click, and asks the Prometheus beside it."""
    service = SERVICES["grafana"]
    provisioning = service.folders["/etc/grafana/provisioning"]
    (provider,) = provisioning.glob("dashboards/*.yaml")
    (source,) = provisioning.glob("datasources/*.yaml")
    home = Path(service.environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])

    shown = yaml.safe_load(provider.read_text())["providers"][0]["options"]["path"]
    asked = yaml.safe_load(source.read_text())["datasources"][0]["url"]

    assert (service.folders[shown] / home.name).is_file()
    assert str(home.parent) == shown
    assert service.environ[asked.strip("${}")] == "http://prometheus:9090"
    assert service.environ["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_the_variants_are_built_from_locks_that_are_there():
    """`build.sh gpu` on a machine with a card is no time to find out."""
    script = (DEPLOY / "container" / "build.sh").read_text()

    variants = re.search(r"in (\w+) \| (\w+)\) variant", script).groups()

    assert set(variants) == {"gpu", "train"}
    for variant in variants:
        assert "tensorflow==" in (ROOT / f"requirements-{variant}.lock").read_text()
    gpu = (ROOT / "requirements-gpu.lock").read_text()
    assert "nvidia-cudnn" in gpu
    assert "matplotlib==" not in gpu
