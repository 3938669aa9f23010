"""Metrics: what Prometheus sees, by name, and never more of it than was agreed."""

import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from detector.batch import DeadLetter
from detector.message import REASONS, Rejected
from detector.metrics import CONTENT_TYPE, Metrics
from detector.sinks import Outcome
from detector.source import Message, Vitals
from detector.state import LinkState
from detector.verdict import Event, Verdict

LABELS = ("blocked", "capacity-limited", "normal")
GOLDEN = Path(__file__).parent / "golden" / "metrics.txt"


@pytest.fixture
def metrics():
    """Give the metrics of a daemon that has room for the series of three links."""
    return Metrics(LABELS, max_links=3)


def samples(metrics, name):
    """Give a metric's samples as the page has them: labels and value."""
    families = text_string_to_metric_families(metrics.text().decode())
    found = (sample for family in families for sample in family.samples)
    return [(sample.labels, sample.value) for sample in found if sample.name == name]


def value(metrics, name, **labels):
    """Give the one value of a series, or None where there is no such series."""
    values = [number for its_labels, number in samples(metrics, name) if its_labels == labels]
    assert len(values) < 2
    return values[0] if values else None


def verdict(label="normal", end_ms=0, opinion=""):
    """Make a verdict."""
    facts = (0, end_ms, label, label, 0.1, 0.5, "a", {}, "b1")
    return Verdict("trunk-1", "probe-1", *facts, opinion=opinion)


def links(count, label="normal"):
    """Make the states of so many links."""
    return {f"trunk-{n}": LinkState(source="probe-1", label=label) for n in range(count)}


def test_the_page_of_a_fresh_daemon_is_the_agreed_one(metrics):
    """Dashboards and alerts name these series; one that is renamed is an alert that never fires.

    Where this fails and the change is meant, put the new text into golden/metrics.txt, and the
    change into the changelog.
    """
    metrics.started({"version": "0.1.0", "bundle": "b1", "engine": "onnxruntime"})
    lines = [line for line in metrics.text().decode().splitlines() if "anchorwatch_" in line]

    stripped = [line if line.startswith("#") else line.rpartition(" ")[0] for line in lines]

    assert stripped == GOLDEN.read_text().splitlines()


def test_the_daemons_own_memory_and_time_are_on_the_page(metrics):
    """Whether it grows is the first question after a week."""
    text = metrics.text().decode()

    assert "process_resident_memory_bytes" in text
    assert "process_cpu_seconds_total" in text
    assert CONTENT_TYPE.startswith("text/plain")


def test_every_help_text_is_a_sentence(metrics):
    """It is what Grafana shows to somebody who has never seen this name."""
    families = text_string_to_metric_families(metrics.text().decode())
    ours = [family for family in families if family.name.startswith("anchorwatch_")]

    assert len(ours) > 10
    for family in ours:
        assert family.documentation.endswith("."), family.name
        assert len(family.documentation) > 15, family.name


def test_a_batch_is_counted_by_what_came_of_it(metrics):
    """The share of each label, and of what could not be used, is the first panel of all."""
    letters = [
        DeadLetter(Message("windows", 0, 0, b""), Rejected(b"", reason, "")) for reason in REASONS
    ]
    calm, ill = verdict(), verdict("blocked")
    event = Event("trunk-1", "blocked", "normal", 0, 0, ill)

    metrics.observe(Outcome(verdicts=[calm, calm, ill], events=[event], dead_letters=letters))

    assert value(metrics, "anchorwatch_windows_total", label="normal") == 2
    assert value(metrics, "anchorwatch_windows_total", label="blocked") == 1
    assert value(metrics, "anchorwatch_windows_total", label="capacity-limited") == 0
    assert value(metrics, "anchorwatch_events_total", state="blocked") == 1
    assert value(metrics, "anchorwatch_batch_windows_sum") == 3
    for reason in REASONS:
        assert value(metrics, "anchorwatch_rejected_total", reason=reason) == 1


def test_second_opinions_are_counted_by_whether_they_agree(metrics):
    """Where the two begin to differ, traffic has become something that training never saw."""
    agreeing = [verdict("blocked", opinion="blocked"), verdict(opinion="normal")]
    differing = [verdict(opinion="blocked")]

    metrics.observe(Outcome(verdicts=[*agreeing, *differing, verdict("blocked")]))
    metrics.observe(Outcome(verdicts=agreeing))

    assert value(metrics, "anchorwatch_second_opinions_total", agrees="yes") == 4
    assert value(metrics, "anchorwatch_second_opinions_total", agrees="no") == 1
    assert value(metrics, "anchorwatch_batch_windows_sum") == 6  # the one without counts here


def test_a_bundle_without_a_head_has_no_second_opinions(metrics):
    """To differ and to say nothing are two things."""
    metrics.observe(Outcome(verdicts=[verdict(), verdict("blocked")]))

    assert value(metrics, "anchorwatch_second_opinions_total", agrees="yes") == 0
    assert value(metrics, "anchorwatch_second_opinions_total", agrees="no") == 0


def test_a_batch_without_windows_is_no_batch_of_size_nothing(metrics):
    """The mean size of a batch would sink with every piece of rubbish."""
    letter = DeadLetter(Message("windows", 0, 0, b""), Rejected(b"", "shape", ""))

    metrics.observe(Outcome(dead_letters=[letter]))

    assert value(metrics, "anchorwatch_batch_windows_count") == 0
    assert value(metrics, "anchorwatch_rejected_total", reason="shape") == 1


@pytest.mark.parametrize(("age_seconds", "delay"), [(7.0, 7.0), (-3600.0, 0.0)])
def test_the_delay_runs_from_the_end_of_the_window(metrics, age_seconds, delay):
    """It is what the users wait; an exporter's clock that is ahead must not make it negative."""
    end_ms = round((time.time() - age_seconds) * 1000)

    metrics.observe(Outcome([verdict(end_ms=end_ms)]))

    assert value(metrics, "anchorwatch_verdict_delay_seconds_sum") == pytest.approx(delay, abs=2)


def test_each_link_has_one_series_with_its_state(metrics):
    """An alert is written on it."""
    metrics.links(links(2, "blocked") | {"new": LinkState(source="probe-1")})

    found = samples(metrics, "anchorwatch_link_state")

    assert found == [
        ({"link": "trunk-0", "source": "probe-1", "state": "blocked"}, 1),
        ({"link": "trunk-1", "source": "probe-1", "state": "blocked"}, 1),
        ({"link": "new", "source": "probe-1", "state": "unsettled"}, 1),
    ]
    assert value(metrics, "anchorwatch_links", state="blocked") == 2
    assert value(metrics, "anchorwatch_links", state="unsettled") == 1
    assert value(metrics, "anchorwatch_links", state="normal") == 0


def test_there_are_never_more_link_series_than_agreed(metrics):
    """Whoever names links on the wire must not be able to fill Prometheus's memory."""
    metrics.links(links(5))

    assert len(samples(metrics, "anchorwatch_link_state")) == 3
    assert value(metrics, "anchorwatch_links_unlisted") == 2
    assert value(metrics, "anchorwatch_links", state="normal") == 5


def test_the_series_of_a_link_that_was_forgotten_goes(metrics):
    """A trunk that was taken down must not stay blocked on a dashboard for ever."""
    metrics.links(links(2))
    before = len(samples(metrics, "anchorwatch_link_state"))

    metrics.links(links(1))

    assert before == 2
    assert [labels["link"] for labels, _ in samples(metrics, "anchorwatch_link_state")] == [
        "trunk-0"
    ]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\\nb", 'x"} 1 #', "Zürich 北京", "  two  "])
def test_a_hostile_but_printable_name_stays_within_its_quotes(metrics, name):
    """A name with a quote in it must not fail every scrape, or forge a series."""
    metrics.links({name: LinkState(source=name, label="normal")})

    found = samples(metrics, "anchorwatch_link_state")

    assert found == [({"link": name, "source": name, "state": "normal"}, 1)]


def test_how_the_source_is_is_exported(metrics):
    """Lag, rebalances and failed commits are what an operator looks at when verdicts are late."""
    vitals = Vitals(True, False, 1234.5, 2, 1, {("windows", 0): 7, ("windows", 1): 0})

    metrics.progress(vitals)

    assert value(metrics, "anchorwatch_broker_contact_timestamp_seconds") == 1234.5
    assert value(metrics, "anchorwatch_rebalances_total") == 2
    assert value(metrics, "anchorwatch_commits_failed_total") == 1
    assert value(metrics, "anchorwatch_lag_messages", topic="windows", partition="0") == 7
    assert value(metrics, "anchorwatch_lag_messages", topic="windows", partition="1") == 0
    assert value(metrics, "anchorwatch_ready") == 1


def test_a_counter_takes_what_was_added_since(metrics):
    """The source keeps totals; to add them up again each second would be nonsense."""
    vitals = Vitals(rebalances=2, commits_failed=1)
    metrics.progress(vitals)
    vitals.rebalances += 1

    metrics.progress(vitals)
    metrics.progress(vitals)

    assert value(metrics, "anchorwatch_rebalances_total") == 3
    assert value(metrics, "anchorwatch_commits_failed_total") == 1


def test_the_lag_of_a_partition_that_moved_to_another_daemon_goes(metrics):
    """Summed over all daemons it would otherwise count a backlog that nobody has."""
    vitals = Vitals(lag={("windows", 0): 7, ("windows", 1): 9})
    metrics.progress(vitals)
    del vitals.lag["windows", 1]

    metrics.progress(vitals)

    assert samples(metrics, "anchorwatch_lag_messages") == [
        ({"topic": "windows", "partition": "0"}, 7)
    ]


def test_it_is_ready_while_there_is_something_to_read_from(metrics):
    """A load balancer, or a person, must not count on a daemon without partitions."""
    told = [metrics.is_ready]
    for is_assigned in (True, False):
        metrics.progress(Vitals(is_assigned=is_assigned))
        told.append(metrics.is_ready)

    assert told == [False, True, False]
    assert value(metrics, "anchorwatch_ready") == 0


def test_progress_is_noted_when_a_step_is_done(metrics):
    """A loop that hangs is found by the age of this number."""
    before = value(metrics, "anchorwatch_progress_timestamp_seconds")

    metrics.progress(Vitals())

    assert before == 0
    noted = value(metrics, "anchorwatch_progress_timestamp_seconds")
    assert noted == pytest.approx(time.time(), abs=10)
    assert metrics.progress_time == noted


def test_two_daemons_in_one_process_do_not_share_numbers(metrics):
    """Tests, and whoever embeds the service, must not count each other's windows."""
    other = Metrics(LABELS, max_links=3)

    metrics.observe(Outcome([verdict()]))

    assert value(metrics, "anchorwatch_windows_total", label="normal") == 1
    assert value(other, "anchorwatch_windows_total", label="normal") == 0
