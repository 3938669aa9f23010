"""Permissions at the broker, and tools that log in there."""

import re
import time
from pathlib import Path

import pytest

from detector.config import Kafka, Sasl, Tls
from detector.enrolments import EnrolmentsUnavailableError
from detector.enrolments.kafka import KafkaEnrolments
from tests.broker.secured import GUARDED, GUARDED_PASSWORD
from tests.daemon import Producer, Reader, wait_for
from tests.detector.enrolments.samples import an_enrolment
from tests.detector.secure import as_toml, daemon, judged, make_window, run

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def needed(name: str) -> list[tuple[str, str, list[str]]]:
    """Read what docs/security.md says that a user needs, for a test's own topics."""
    table = PAGE.read_text().split(f"<!-- {name} -->")[1].split("\n\n")[1]
    rows = re.findall(r"^\| (topic|group) `anchorwatch\.?([a-z-]*)` \| ([^|]+) \|", table, re.M)
    return [(kind, last.replace("dead-letters", "dead"), words.split(", "))
            for kind, last, words in rows]  # fmt: skip


def test_the_permissions_of_the_page_are_enough_and_without_one_it_is_named(
    secured, login, bundle_path, spec
):
    """An operator gives what the page lists and no more; what is missing must not look empty."""
    for last in ("states", "sightings", "anchors"):
        secured.create_topic(f"{login.topics.name}.{last}")
    settings = login.user(name=GUARDED, password=GUARDED_PASSWORD)
    given = {(kind, last): words for kind, last, words in needed("a daemon")}
    assert given.keys() >= {("topic", "windows"), ("group", ""), ("topic", "states")}
    lacks = "user 'guarded' lacks a permission on {} {}"

    with (
        Producer(secured.direct, login.topics.windows, spec) as producer,
        daemon(bundle_path, secured.at("SCRAM"), login.topics, settings) as running,
    ):
        producer.send([make_window(spec)])
        producer.send_raw(b"no window")
        for (kind, last), words in given.items():
            name = f"{login.topics.name}.{last}" if last else login.topics.name
            if last in ("anchors", "states", "verdicts") or kind == "group":
                told = lacks.format(kind, name)
                wait_for(told, lambda told=told: told in running.log())
            secured.permit(GUARDED, kind, name, *words)
        wait_for("rejected", lambda: running.metric("anchorwatch_rejected_total") == 1)
        judged(secured, login.topics, spec, running)
        told = running.log()
        time.sleep(1.5)
        assert "lacks a permission" not in running.log()[len(told) :]
        assert running.terminate() == 0


def test_who_may_only_read_anchors_can_not_enrol(secured, login):
    """A daemon that was taken over must not teach the others."""
    secured.create_topic(login.topics.anchors)
    (read,) = [words for _, last, words in needed("a daemon") if last == "anchors"]
    (write,) = [words for _, last, words in needed("whoever enrols") if last == "anchors"]
    secured.permit(GUARDED, "topic", login.topics.anchors, *read)
    sasl = Sasl(mechanism="SCRAM-SHA-512", username=GUARDED, password=GUARDED_PASSWORD)
    tls = Tls(enabled=True, ca=str(login.ca))
    topic, at = login.topics.anchors, secured.at("SCRAM")
    kafka = Kafka(bootstrap=at, anchors=topic, tls=tls, sasl=sasl)
    enrolments = KafkaEnrolments(kafka)
    one = an_enrolment()

    assert enrolments.poll() == ()
    with pytest.raises(EnrolmentsUnavailableError, match="'guarded' lacks a permission on topic"):
        enrolments.write(one)
    secured.permit(GUARDED, "topic", login.topics.anchors, *write)
    enrolments.write(one)
    found = wait_for("enrolled", enrolments.poll)
    enrolments.close()

    assert [each.id for each in found] == [one.id]


def test_tools_log_in_as_the_settings_file_says(secured, login, bundle_path, tmp_path):
    """Nobody should have to type a password, or find another way past TLS."""
    (tmp_path / "a.toml").write_text(as_toml(login.user(), login.topics))
    there = ("--kafka", secured.at("SCRAM"), "--config", tmp_path / "a.toml")
    probe = ("capture", "-i", "lo", "--counters", "--steps", 2, "--step", 0.1, "--seconds", 2)

    sent = run("anchorwatch", *probe, *there)
    listed = run("anchorwatch", "anchors", "list", *there, ANCHORWATCH__BUNDLE=str(bundle_path))
    login.write("wrong")
    refused = run("anchorwatch", "anchors", "list", *there, ANCHORWATCH__BUNDLE=str(bundle_path))
    (tmp_path / "password").unlink()
    unusable = run("anchorwatch", *probe, *there)

    assert sent.returncode == 0, sent.stderr
    assert Reader(secured.direct, login.topics.windows).records()
    assert listed.returncode == 0, listed.stderr
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith(
        "refuses user 'anchorwatch' (SCRAM-SHA-512): wrong name or password"
    )
    assert unusable.returncode == 78
    assert "password_file" in unusable.stderr
