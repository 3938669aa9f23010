"""The rules for Prometheus: they parse, fire when they should, and name what there is."""

import re
import shutil
import subprocess

import pytest
import yaml

from detector.config import Http
from tests.deploy.alerts import (
    ALERTS,
    FOLDER,
    METRIC,
    RECORDED,
    RECORDS,
    RULES,
    SELECTOR,
    TESTS,
    cases,
    exported,
)

SEVERITIES = {"critical", "warning", "info"}
CONFIGS = ("prometheus.yml", "prometheus.compose.yml")


def run(program, *arguments):
    """Run a program of Prometheus's in the folder of the rules."""
    if shutil.which(program) is None:
        package = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}[program]
        pytest.skip(f"{program} is not installed (Debian's package `{package}` has it)")
    return subprocess.run(
        [program, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )


def test_the_rules_parse():
    """A rule that Prometheus refuses takes all others down with it."""
    done = run("promtool", "check", "rules", "anchorwatch.rules.yml")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tests", TESTS, ids=lambda path: path.name)
def test_each_alert_fires_when_it_should_and_not_before(tests):
    """An alert that nobody saw firing will not fire."""
    done = run("promtool", "test", "rules", f"tests/{tests.name}")

    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_rules_that_record_and_rules_that_alert():
    """What is checked of each of them is worth nothing if there is none."""
    assert len(ALERTS) > 30
    assert len(RECORDS) > 10
    assert len(TESTS) > 5
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)


def test_the_rules_name_metrics_that_the_daemon_exports():
    """A rule about a metric that was renamed is silent for ever."""
    text = RULES.read_text()

    assert set(METRIC.findall(text)) <= exported().keys()
    assert set(RECORDED.findall(text)) == RECORDS.keys()


def test_the_rules_choose_by_labels_that_their_metrics_have():
    """A selector by a label that isn't there finds nothing, and says nothing."""
    known = exported()
    chosen = SELECTOR.findall(RULES.read_text())

    assert chosen
    for metric, written in chosen:
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", written))
        assert labels <= known[metric], metric


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_says_how_long_how_urgent_what_and_what_to_do(alert):
    """Who is woken wants to know what to do."""
    rule = alert.rule

    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{alert.words}"
    assert all(text.strip() for text in rule["annotations"].values())


def of_a_daemon(series):
    """Whether it is one that a daemon itself exports; `up` is Prometheus's own."""
    return not series.startswith("up{") and 'job="anchorwatch' in series


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_is_tested_for_firing_for_not_firing_and_for_nothing_being_there(alert):
    """A rule that always fires passes one half of its tests, and one that never does the other."""
    mine = [case for case in cases() if case.alert == alert.name]
    bare = [case for case in mine if not any(map(of_a_daemon, case.series))]

    assert any(case.expected for case in mine)
    assert any(not case.expected and case.series for case in mine)
    assert bare
    # Only of these a daemon without metrics is what they are about.
    about_that = alert.name in ("AnchorwatchAbsent", "AnchorwatchDown", "AnchorwatchNobodyWatches")
    assert about_that or not any(case.expected for case in bare)


def test_no_alert_is_tested_with_words_that_are_missing():
    """A label that a rule adds up away leaves a hole in the sentence."""
    texts = [
        text
        for case in cases()
        for alert in case.expected
        for text in alert["exp_annotations"].values()
    ]

    assert texts
    assert not [text for text in texts if "no value" in text or "  " in text or "NaN" in text]


def test_what_is_said_of_links_and_exporters_is_not_of_one_daemon():
    """A link that moves to another daemon must neither end its alert nor begin a second one."""
    labels = carried()
    about = [alert for alert in ALERTS if {"link", "source"} & labels[alert.name]]

    assert len(about) == 7
    for alert in about:
        assert "instance" not in labels[alert.name], alert.name
        assert alert.rule["keep_firing_for"] == "2m", alert.name


@pytest.mark.parametrize("name", CONFIGS)
def test_the_configurations_are_whole_and_find_their_rules(name):
    """Prometheus does not start with a configuration that it can't use."""
    done = run("promtool", "check", "config", name)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS) + len(RECORDS)} rules found" in done.stdout


def test_they_scrape_the_port_that_the_daemon_has_and_differ_in_nothing_else():
    """A port that was changed in one place would be a daemon that is down for ever."""
    one, other = (yaml.safe_load((FOLDER / name).read_text()) for name in CONFIGS)
    (job,), (its_job,) = one["scrape_configs"], other["scrape_configs"]

    targets, its_targets = (each.pop("static_configs") for each in (job, its_job))

    assert targets == [{"targets": [f"{Http().host}:{Http().port}"]}]
    assert its_targets == [{"targets": [f"anchorwatchd:{Http().port}"]}]
    assert one == other
    assert job["job_name"].startswith("anchorwatch")  # by which the rules know who should be there


def variants():
    """Give the configuration with each of its commented parts put in, by what they find with."""
    text = (FOLDER / "prometheus.yml").read_text()
    head, rest = re.split(r"    static_configs:\n.*\n", text)
    one = r"(?m)^    # (\w+)_sd_configs:\n((?:    # (?:  .*|\w+_configs:)\n)*)"
    return {
        kind: f"{head}    {kind}_sd_configs:\n" + re.sub(r"(?m)^    # ", "    ", part)
        for kind, part in re.findall(one, rest)
    }


def test_the_other_ways_to_find_daemons_are_whole_too(tmp_path):
    """What stands in a comment is taken out of it by somebody in a hurry."""
    configs = variants()
    # Debian's Prometheus is built without Kubernetes: all but that is checked.
    found = "    kubernetes_sd_configs:\n      - role: pod\n"
    configs["kubernetes"] = configs["kubernetes"].replace(found, "")
    (tmp_path / RULES.name).write_bytes(RULES.read_bytes())

    assert configs.keys() == {"file", "kubernetes"}
    for kind, config in configs.items():
        (tmp_path / kind).write_text(config)
        done = run("promtool", "check", "config", str(tmp_path / kind))
        assert done.returncode == 0, done.stdout + done.stderr


def test_pods_are_found_by_the_names_that_the_manifests_give_them():
    """Where the two disagree there is no target, and no error."""
    (job,) = yaml.safe_load(variants()["kubernetes"])["scrape_configs"]
    kept = {
        rule["source_labels"][0].removeprefix("__meta_kubernetes_pod_"): rule["regex"]
        for rule in job["relabel_configs"]
        if rule.get("action") == "keep"
    }
    manifest = FOLDER.parent / "kubernetes" / "base" / "daemon.yaml"
    (daemon,) = (
        one
        for one in yaml.safe_load_all(manifest.read_text())
        if one["kind"] in ("Deployment", "StatefulSet")
    )

    pod = daemon["spec"]["template"]
    assert kept == {
        "label_app_kubernetes_io_name": pod["metadata"]["labels"]["app.kubernetes.io/name"],
        "container_port_name": pod["spec"]["containers"][0]["ports"][0]["name"],
    }


def carried():
    """Give the labels that each alert has when it fires."""
    labels = {}
    for case in cases():
        for alert in case.expected:
            labels.setdefault(case.alert, {"alertname"}).update(alert["exp_labels"])
    return labels


def alertmanager():
    """Read the example."""
    return yaml.safe_load((FOLDER / "alertmanager.example.yml").read_text())


def named(matchers):
    """Give the alerts that matchers of `alertname` choose."""
    (pattern,) = (re.fullmatch(r"alertname =~? \"?([^\"]+)\"?", one)[1] for one in matchers)
    return {alert.name for alert in ALERTS if re.fullmatch(pattern, alert.name)}


def test_what_mutes_and_what_is_muted_are_alerts_that_have_in_common_what_they_must():
    """Two labels that are both missing are equal: then one alert would mute all others."""
    labels = carried()
    rules = alertmanager()["inhibit_rules"]

    assert rules
    for rule in rules:
        sources, targets = named(rule["source_matchers"]), named(rule["target_matchers"])
        assert sources
        assert targets
        assert not sources & targets
        for name in sources | targets:
            assert {*rule["equal"]} <= labels[name], name


def test_each_name_in_a_matcher_is_an_alerts():
    """An alert that was renamed would no longer be muted."""
    text = (FOLDER / "alertmanager.example.yml").read_text()
    written = re.findall(r"Anchorwatch\w+", re.sub(r"AnchorwatchLink\([\w|]+\)", "", text))
    links = re.findall(r"AnchorwatchLink\(([\w|]+)\)", text)

    names = {alert.name for alert in ALERTS}
    assert set(written) <= names
    assert {f"AnchorwatchLink{one}" for part in links for one in part.split("|")} <= names


def test_a_blind_detector_mutes_nothing():
    """It misses faults; those that it still finds are real."""
    for rule in alertmanager()["inhibit_rules"]:
        assert "AnchorwatchCanaryBlind" not in named(rule["source_matchers"])


def test_alertmanager_takes_its_example_and_wakes_somebody_for_what_is_critical_only():
    """What is told to nobody by mistake is told to nobody."""
    done = run("amtool", "check-config", "alertmanager.example.yml")
    assert done.returncode == 0, done.stdout + done.stderr

    for severity, receiver in (("critical", "pager"), ("warning", "tickets"), ("info", "nobody")):
        path = "--config.file=alertmanager.example.yml"
        done = run("amtool", "config", "routes", "test", path, f"severity={severity}")
        assert done.stdout.strip() == receiver
