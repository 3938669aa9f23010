"""Metrics: what Prometheus sees, by name, and never more of it than was agreed."""

import time
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from detector.batch import DeadLetter
from detector.events import abated, onset
from detector.message import REASONS, Rejected
from detector.metrics import CONTENT_TYPE, Metrics
from detector.oncall.duty import Judged
from detector.oncall.recall import Result
from detector.oncall.roster import NOTICES
from detector.series import NOTICED
from detector.sinks import Outcome
from detector.source import Message, Vitals
from detector.state import TELEMETRY_LOST, LinkState
from detector.status import LOST, CanaryStatus, EventStatus, SourceStatus, Status, UnknownStatus
from detector.verdict import Verdict

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


def event(kind="onset", fault="blocked", **changes):
    """Make the event of a fault's beginning or end."""
    usual = {"link": "trunk-1", "source": "probe-1", "at_ms": 0, "since_ms": 0}
    if kind == "onset":
        return onset(**usual | {"state": fault, "previous": "normal"} | changes)
    return abated(**usual | {"state": "normal", "previous": fault, "began_ms": 0} | changes)


def observe(metrics, *verdicts, **outcome):
    """Let the metrics see a batch of which nothing else came."""
    metrics.observe(Outcome(verdicts=verdicts, **outcome), Judged(verdicts=list(verdicts)))


def link(name, label=None, source="probe-1"):
    """Make what is known of one link."""
    return LinkState(name, source=source, label=label)


def links(count, label="normal"):
    """Make the states of so many links."""
    return {f"trunk-{n}": link(f"trunk-{n}", label) for n in range(count)}


def status(**changes):
    """Make how a daemon stands of which nothing is known but what is told."""
    return Status(version="0.1.0", bundle="b1", now_ms=0, **changes)


def told(at_ms=5000, **changes):
    """Make one of the latest events."""
    usual = {"link": "trunk-0", "source": "probe-1", "state": "blocked", "reason": "no answers"}
    return EventStatus(at_ms, **usual | changes)


def show(metrics, states, noticed=(), **changes):
    """Let the metrics see how everything stands."""
    metrics.links(states, status(**changes), dict(noticed))


def names_of(metrics):
    """Give the page's lines that are ours, each without its value."""
    lines = [line for line in metrics.text().decode().splitlines() if "anchorwatch_" in line]
    return [line if line.startswith("#") else line.rpartition(" ")[0] for line in lines]


@pytest.fixture
def running(metrics):
    """Give the metrics of a daemon that has seen something of everything."""
    metrics.started({"version": "0.1.0", "bundle": "b1", "engine": "onnxruntime"})
    metrics.see(Vitals(lag={("windows", 0): 7}))
    show(
        metrics,
        links(1),
        sources_known=2,
        sources_lost=1,
        sources=(SourceStatus("probe-1", 1, LOST),),
        canary={label: CanaryStatus(1.0, 5.0, 20, 0) for label in LABELS[:2]},
        unknown=UnknownStatus(1.0, 0.5, 0.1, 2.0, 100),
        events=(told(),),
    )
    return metrics


def test_the_page_is_the_agreed_one(running):
    """Dashboards and alerts name these series; one that is renamed is an alert that never fires.

    Where this fails and the change is meant, put the new text into golden/metrics.txt, and the
    change into the changelog.
    """
    assert names_of(running) == GOLDEN.read_text().splitlines()


def test_a_fresh_daemon_has_every_series_that_needs_nobody_to_be_there(running):
    """An alert on what is absent until it first happens can't see it happen.

    What comes later is about somebody or something that a daemon hasn't met at its first look.
    """
    fresh = Metrics(LABELS, max_links=3)
    fresh.started({"version": "0.1.0", "bundle": "b1", "engine": "onnxruntime"})
    show(fresh, {})

    later = [line for line in names_of(running) if line not in names_of(fresh)]

    assert [line for line in names_of(fresh) if line not in names_of(running)] == []
    families = {line.split("{")[0].split()[-1] for line in later if not line.startswith("#")}
    assert families == {
        "anchorwatch_link_state",
        "anchorwatch_lag_messages",
        "anchorwatch_exporter_lost",
        "anchorwatch_event_timestamp_seconds",
        "anchorwatch_canary_recall",
        "anchorwatch_canary_delay_seconds",
        "anchorwatch_unknown_budget_per_link_week",
        "anchorwatch_unknown_per_link_week",
    }


def test_the_daemons_own_memory_and_time_are_on_the_page(metrics):
    """Whether it grows is the first question after a week."""
    text = metrics.text().decode()

    assert "process_resident_memory_bytes" in text
    assert "process_cpu_seconds_total" in text
    assert CONTENT_TYPE.startswith("text/plain")


def test_every_help_text_is_a_sentence(running):
    """It is what Grafana shows to somebody who has never seen this name."""
    families = text_string_to_metric_families(running.text().decode())
    ours = [family for family in families if family.name.startswith("anchorwatch_")]

    assert len(ours) > 20
    for family in ours:
        assert family.documentation.endswith("."), family.name
        assert ". " not in family.documentation, family.name
        assert len(family.documentation) > 15, family.name


def test_a_batch_is_counted_by_what_came_of_it(metrics):
    """The share of each label, and of what could not be used, is the first panel of all."""
    letters = [
        DeadLetter(Message("windows", 0, 0, b""), Rejected(b"", reason, "")) for reason in REASONS
    ]
    verdicts = [verdict(), verdict(), verdict("blocked"), verdict("unknown")]

    observe(metrics, *verdicts, events=[event()], dead_letters=letters)

    assert value(metrics, "anchorwatch_windows_total", label="normal") == 2
    assert value(metrics, "anchorwatch_windows_total", label="blocked") == 1
    assert value(metrics, "anchorwatch_windows_total", label="capacity-limited") == 0
    assert value(metrics, "anchorwatch_windows_total", label="unknown") == 1
    assert value(metrics, "anchorwatch_events_total", type="onset", state="blocked") == 1
    assert value(metrics, "anchorwatch_events_total", type="abated", state="blocked") == 0
    assert value(metrics, "anchorwatch_batch_windows_sum") == 4
    for reason in REASONS:
        assert value(metrics, "anchorwatch_rejected_total", reason=reason) == 1


def test_an_end_is_counted_under_the_fault_that_ended(metrics):
    """Beginnings less ends are the faults that are open, whatever a link turned to."""
    events = [
        event("onset", "blocked"),
        event("abated", "blocked", state="capacity-limited"),
        event("onset", "capacity-limited", previous="blocked"),
        event("abated", "silent", state="retired"),
        event("onset", TELEMETRY_LOST, link="", previous=None),
    ]

    observe(metrics, events=events)

    counts = {
        (labels["type"], labels["state"]): count
        for labels, count in samples(metrics, "anchorwatch_events_total")
        if count
    }
    assert counts == {
        ("onset", "blocked"): 1,
        ("abated", "blocked"): 1,
        ("onset", "capacity-limited"): 1,
        ("abated", "silent"): 1,
        ("onset", "telemetry-lost"): 1,
    }


def test_one_event_of_many_links_counts_once_for_each(metrics):
    """Or the worst outage of the year would be one event, and its ends two hundred."""
    many = msgspec.structs.replace(event(link=""), links=("a", "b", "c"), group="probe-1")

    observe(metrics, events=[many])

    assert value(metrics, "anchorwatch_events_total", type="onset", state="blocked") == 3


def test_every_fault_has_its_series_from_the_start_and_normal_has_none(metrics):
    """A rate over a series that is absent until its first event misses that event."""
    found = samples(metrics, "anchorwatch_events_total")

    faults = ("blocked", "capacity-limited", "unknown", "silent", "telemetry-lost")
    assert {(labels["type"], labels["state"]) for labels, _ in found} == {
        (kind, fault) for kind in ("onset", "abated") for fault in faults
    }
    assert {count for _, count in found} == {0}


def test_what_became_of_planted_faults_is_counted(metrics):
    """An alert on canaries that were missed tells of a detector that has gone blind."""
    outcomes = ["found", "found", "missed", "renamed", "void"]
    canaries = [Result("blocked", "trunk-1", 0, outcome, None) for outcome in outcomes]

    metrics.observe(Outcome(), Judged(canaries=canaries))

    counts = {
        labels["outcome"]: count
        for labels, count in samples(metrics, "anchorwatch_canaries_total")
        if labels["label"] == "blocked"
    }
    assert counts == {"found": 2, "missed": 1, "renamed": 1, "void": 1}


def test_reasons_for_which_there_was_no_time_are_counted(metrics):
    """Who reads events without reasons wants to know whether that is the rule."""
    for unexplained in (2, 0, 3):
        metrics.observe(Outcome(), Judged(unexplained=unexplained))

    assert value(metrics, "anchorwatch_reasons_skipped_total") == 5


def test_the_time_to_embed_is_that_of_the_batch(metrics):
    """It is the first thing that grows when a machine is too small."""
    metrics.observe(Outcome(verdicts=[verdict()]), Judged(embed_seconds=0.25))
    metrics.observe(Outcome(), Judged(embed_seconds=7.0))  # of no window: nothing was embedded

    assert value(metrics, "anchorwatch_embed_seconds_count") == 1
    assert value(metrics, "anchorwatch_embed_seconds_sum") == 0.25


def test_second_opinions_are_counted_by_whether_they_agree(metrics):
    """Where the two begin to differ, traffic has become something that training never saw."""
    agreeing = [verdict("blocked", opinion="blocked"), verdict(opinion="normal")]
    differing = [verdict(opinion="blocked")]

    observe(metrics, *agreeing, *differing, verdict("blocked"))
    observe(metrics, *agreeing)

    assert value(metrics, "anchorwatch_second_opinions_total", agrees="yes") == 4
    assert value(metrics, "anchorwatch_second_opinions_total", agrees="no") == 1
    assert value(metrics, "anchorwatch_batch_windows_sum") == 6  # the one without counts here


def test_a_bundle_without_a_head_has_no_second_opinions(metrics):
    """To differ and to say nothing are two things."""
    observe(metrics, verdict(), verdict("blocked"))

    assert value(metrics, "anchorwatch_second_opinions_total", agrees="yes") == 0
    assert value(metrics, "anchorwatch_second_opinions_total", agrees="no") == 0


def test_a_batch_without_windows_is_no_batch_of_size_nothing(metrics):
    """The mean size of a batch would sink with every piece of rubbish."""
    letter = DeadLetter(Message("windows", 0, 0, b""), Rejected(b"", "shape", ""))

    observe(metrics, dead_letters=[letter])

    assert value(metrics, "anchorwatch_batch_windows_count") == 0
    assert value(metrics, "anchorwatch_rejected_total", reason="shape") == 1


@pytest.mark.parametrize(("age_seconds", "delay"), [(7.0, 7.0), (-3600.0, 0.0)])
def test_the_delay_runs_from_the_end_of_the_window(metrics, age_seconds, delay):
    """It is what the users wait; an exporter's clock that is ahead must not make it negative."""
    end_ms = round((time.time() - age_seconds) * 1000)

    observe(metrics, verdict(end_ms=end_ms))

    assert value(metrics, "anchorwatch_verdict_delay_seconds_sum") == pytest.approx(delay, abs=2)


def test_each_link_has_one_series_with_its_state(metrics):
    """An alert is written on it."""
    show(metrics, links(2, "blocked") | {"new": link("new")})

    found = samples(metrics, "anchorwatch_link_state")

    assert found == [
        ({"link": "trunk-0", "source": "probe-1", "state": "blocked"}, 1),
        ({"link": "trunk-1", "source": "probe-1", "state": "blocked"}, 1),
        ({"link": "new", "source": "probe-1", "state": "unsettled"}, 1),
    ]
    assert value(metrics, "anchorwatch_links", state="blocked") == 2
    assert value(metrics, "anchorwatch_links", state="unsettled") == 1
    assert value(metrics, "anchorwatch_links", state="normal") == 0


def test_links_that_are_unknown_or_silent_are_counted_among_the_states(metrics):
    """The sum over all states is the number of links, on the dashboard's first panel."""
    states = links(1) | {name: link(name, name) for name in ("unknown", "silent")}
    show(metrics, states)

    counts = {labels["state"]: n for labels, n in samples(metrics, "anchorwatch_links")}

    ones, zeros = ("normal", "unknown", "silent"), ("blocked", "capacity-limited", "unsettled")
    assert counts == dict.fromkeys(ones, 1) | dict.fromkeys(zeros, 0)


def test_there_are_never_more_link_series_than_agreed(metrics):
    """Whoever names links on the wire must not be able to fill Prometheus's memory."""
    show(metrics, links(5))

    assert len(samples(metrics, "anchorwatch_link_state")) == 3
    assert value(metrics, "anchorwatch_links_unlisted") == 2
    assert value(metrics, "anchorwatch_links", state="normal") == 5


def test_the_series_of_a_link_that_was_forgotten_goes(metrics):
    """A trunk that was taken down must not stay blocked on a dashboard for ever."""
    show(metrics, links(2))
    before = len(samples(metrics, "anchorwatch_link_state"))

    show(metrics, links(1))

    assert before == 2
    assert [labels["link"] for labels, _ in samples(metrics, "anchorwatch_link_state")] == [
        "trunk-0"
    ]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\\nb", 'x"} 1 #', "Zürich 北京", "  two  "])
def test_a_hostile_but_printable_name_stays_within_its_quotes(metrics, name):
    """A name with a quote in it must not fail every scrape, or forge a series."""
    show(metrics, {name: link(name, "normal", source=name)})

    found = samples(metrics, "anchorwatch_link_state")

    assert found == [({"link": name, "source": name, "state": "normal"}, 1)]


@pytest.mark.parametrize("name", ['a"b', "a\\b", 'x"} 1 #'])
def test_a_hostile_exporter_stays_within_its_quotes(metrics, name):
    """Its name comes off the wire as a link's does."""
    show(metrics, {}, sources=(SourceStatus(name, 1, LOST),))

    assert samples(metrics, "anchorwatch_exporter_lost") == [({"source": name}, 1)]


def test_only_exporters_that_are_lost_have_a_series(metrics):
    """An alert names the collector to look at, and is over when it is back."""
    sources = (SourceStatus("probe-1", 3, LOST), SourceStatus("probe-2", 4))
    show(metrics, {}, sources_known=5, sources_lost=1, sources=sources)

    lost = samples(metrics, "anchorwatch_exporter_lost")
    counts = [value(metrics, "anchorwatch_exporters", state=s) for s in ("reporting", "lost")]
    show(metrics, {}, sources_known=5, sources=sources[1:])

    assert lost == [({"source": "probe-1"}, 1)]
    assert counts == [4, 1]
    assert samples(metrics, "anchorwatch_exporter_lost") == []
    assert value(metrics, "anchorwatch_exporters", state="lost") == 0


def test_what_was_noticed_of_links_and_exporters_is_counted(metrics):
    """A wave of links that appear or retire is a change of the network that nobody announced."""
    before = {what: value(metrics, "anchorwatch_noticed_total", what=what) for what in NOTICED}
    show(metrics, {}, noticed={"appeared": 7, "lost": 2})

    assert before == dict.fromkeys(NOTICED, 0)
    assert value(metrics, "anchorwatch_noticed_total", what="appeared") == 7
    assert value(metrics, "anchorwatch_noticed_total", what="lost") == 2
    assert value(metrics, "anchorwatch_noticed_total", what="silent") == 0


def test_whatever_can_be_noticed_has_its_series():
    """One that is counted and not exported is seen by nobody."""
    assert set(NOTICED) == set(NOTICES)


def test_links_that_flap_are_counted(metrics):
    """They are what an operator mutes, and later forgets."""
    show(metrics, links(3), flapping=2)

    assert value(metrics, "anchorwatch_links_flapping") == 2


def test_what_is_not_yet_known_of_canaries_has_no_series(metrics):
    """A recall of 0 before the first canary would be an alarm at each start."""
    canary = {
        "blocked": CanaryStatus(0.95, 6.0, 19, 1),
        "capacity-limited": CanaryStatus(0.0, None, 0, 3),
        "other": CanaryStatus(),
    }
    show(metrics, {}, canary=canary)

    assert samples(metrics, "anchorwatch_canary_recall") == [
        ({"label": "blocked"}, 0.95),
        ({"label": "capacity-limited"}, 0.0),
    ]
    assert samples(metrics, "anchorwatch_canary_delay_seconds") == [({"label": "blocked"}, 6.0)]


@pytest.mark.parametrize(("canary", "enabled"), [({}, 0), ({"blocked": CanaryStatus()}, 1)])
def test_whether_faults_are_planted_is_told(metrics, canary, enabled):
    """Of a detector that is not tested no canary is missed: that is no sign of its health."""
    show(metrics, {}, canary=canary)

    assert value(metrics, "anchorwatch_canaries_enabled") == enabled


def test_what_the_rate_of_unknowns_is_made_of_is_counted(metrics):
    """Added up over daemons and restarts it gives the rate that one daemon can't know."""
    show(metrics, {}, unknown=UnknownStatus(onsets=3, link_seconds=1234.5))

    assert value(metrics, "anchorwatch_unknown_onsets_total") == 3
    assert value(metrics, "anchorwatch_watched_link_seconds_total") == 1234.5


@pytest.mark.parametrize(
    ("unknown", "budget", "rates"),
    [
        (UnknownStatus(), None, {}),
        (UnknownStatus(2.0), 2.0, {}),
        (UnknownStatus(2.0, 0.0, None, 3.0), 2.0, {"rate": 0.0, "high": 3.0}),
        (UnknownStatus(2.0, 1.0, 0.5, 3.0), 2.0, {"rate": 1.0, "low": 0.5, "high": 3.0}),
    ],
)
def test_the_rate_of_unknowns_stands_beside_its_budget(metrics, unknown, budget, rates):
    """A budget that is stated and not held against what happens is a promise to nobody."""
    show(metrics, {}, unknown=unknown)

    found = samples(metrics, "anchorwatch_unknown_per_link_week")

    assert value(metrics, "anchorwatch_unknown_budget_per_link_week") == budget
    assert {labels["bound"]: rate for labels, rate in found} == rates


def test_how_the_source_is_is_exported(metrics):
    """Lag, rebalances and failed commits are what an operator looks at when verdicts are late."""
    vitals = Vitals(True, False, 1234.5, 2, 1, {("windows", 0): 7, ("windows", 1): 0})

    metrics.see(vitals)

    assert value(metrics, "anchorwatch_broker_contact_timestamp_seconds") == 1234.5
    assert value(metrics, "anchorwatch_rebalances_total") == 2
    assert value(metrics, "anchorwatch_commits_failed_total") == 1
    assert value(metrics, "anchorwatch_lag_messages", topic="windows", partition="0") == 7
    assert value(metrics, "anchorwatch_lag_messages", topic="windows", partition="1") == 0


def test_a_counter_takes_what_was_added_since(metrics):
    """The source keeps totals; to add them up again each second would be nonsense."""
    vitals = Vitals(rebalances=2, commits_failed=1)
    metrics.see(vitals)
    vitals.rebalances += 1

    metrics.see(vitals)
    metrics.see(vitals)

    assert value(metrics, "anchorwatch_rebalances_total") == 3
    assert value(metrics, "anchorwatch_commits_failed_total") == 1


def test_the_lag_of_a_partition_that_moved_to_another_daemon_goes(metrics):
    """Summed over all daemons it would otherwise count a backlog that nobody has."""
    vitals = Vitals(lag={("windows", 0): 7, ("windows", 1): 9})
    metrics.see(vitals)
    del vitals.lag["windows", 1]

    metrics.see(vitals)

    assert samples(metrics, "anchorwatch_lag_messages") == [
        ({"topic": "windows", "partition": "0"}, 7)
    ]


def test_it_is_ready_while_there_is_something_to_read_from(metrics):
    """A load balancer, or a person, must not count on a daemon without partitions."""
    told = [metrics.is_ready]
    for is_assigned in (True, False):
        metrics.see(Vitals(is_assigned=is_assigned, contact=time.time()))
        told.append(metrics.is_ready)

    assert told == [False, True, False]
    assert value(metrics, "anchorwatch_ready") == 0


@pytest.mark.parametrize(
    ("is_assigned", "ago", "words"),
    [
        (False, None, "nothing to read from yet: the broker has not been heard of"),
        (False, 2, "nothing to read from: no partition is ours"),
        (False, 100, "nothing to read from: nothing of the broker for 100 s"),
        (True, 100, "nothing to read from: nothing of the broker for 100 s"),
        (True, 2, ""),
    ],
)
def test_whoever_asks_is_told_why_it_is_not_ready(metrics, is_assigned, ago, words):
    """A spare daemon and one without a broker need different people."""
    contact = time.time() - ago if ago is not None else 0.0

    metrics.see(Vitals(is_assigned=is_assigned, contact=contact))

    assert metrics.unready == words
    assert value(metrics, "anchorwatch_ready") == (not words)


def test_progress_is_noted_when_a_step_is_done(metrics):
    """A loop that hangs is found by the age of this number."""
    before = value(metrics, "anchorwatch_progress_timestamp_seconds")

    metrics.beat()

    assert before == 0
    noted = value(metrics, "anchorwatch_progress_timestamp_seconds")
    assert noted == pytest.approx(time.time(), abs=10)
    assert 0 <= metrics.idle_seconds < 10


def test_two_daemons_in_one_process_do_not_share_numbers(metrics):
    """Tests, and whoever embeds the service, must not count each other's windows."""
    other = Metrics(LABELS, max_links=3)

    observe(metrics, verdict())

    assert value(metrics, "anchorwatch_windows_total", label="normal") == 1
    assert value(other, "anchorwatch_windows_total", label="normal") == 0


def test_the_latest_events_are_told_with_their_time_and_reason(metrics):
    """A dashboard has nothing but Prometheus to say what happened, and why."""
    show(metrics, {}, events=(told(7000, type="abated"), told(5000)))

    page = samples(metrics, "anchorwatch_event_timestamp_seconds")

    assert [(labels["type"], seconds) for labels, seconds in page] == [("abated", 7), ("onset", 5)]
    assert page[0][0] == {
        "link": "trunk-0",
        "source": "probe-1",
        "group": "",
        "state": "blocked",
        "type": "abated",
        "reason": "no answers",
    }


def test_two_events_of_the_same_words_are_one_series_with_the_later_time(metrics):
    """A page that names a series twice is refused as a whole."""
    show(metrics, {}, events=(told(7000), told(5000)))

    assert [when for _, when in samples(metrics, "anchorwatch_event_timestamp_seconds")] == [7]


def test_a_long_reason_is_cut(metrics):
    """A label's value lies in memory for as long as its series does."""
    show(metrics, {}, events=(told(reason="x" * 5000),))

    ((labels, _),) = samples(metrics, "anchorwatch_event_timestamp_seconds")
    assert labels["reason"] == "x" * 200
