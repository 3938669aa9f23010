"""Scoring a daemon on what was really done."""

import threading
from pathlib import Path

import numpy as np
import pytest

from detector.config import Kafka
from detector.events import Event, abated, onset
from detector.kafka_sink import KafkaSink
from detector.oncall.gather import Gather
from detector.oncall.groups import Groups
from detector.sinks import Outcome
from detector.truth import Change
from tests.broker import Broker
from tests.daemon import Topics, wait_for
from training.lab.live import Events, as_text, judge
from training.lab.plan import Direction, Fault, Kind, Load, Phase, Plan, Rate, Run, Traffic
from training.lab.recording import FEATURES, Recording, RunNote, RunRows
from training.lab.timeline import Entry, Timeline

START_MS = 1_700_000_000_000
SPAN_MS = 15_000
BLOCK, LOSS = Fault(Kind.BLOCK), Fault(Kind.LOSS, Direction.BOTH, 0.2)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record 200 s: blocked from 60 to 100 s, lossy from 140 to 170 s."""
    phases = (Phase(60), Phase(40, (BLOCK,)), Phase(40), Phase(30, (LOSS,)), Phase(30))
    run = Run("r", (Load(Traffic.CALL, Rate(5)),), phases)
    folder = tmp_path_factory.mktemp("live") / "r"
    recording = Recording(folder, Plan("p", (run,)))
    entries, begun_ms = [], START_MS
    for place, phase in enumerate(phases):
        end_ms = begun_ms + round(1000 * phase.seconds)
        entries.append(Entry(place, begun_ms, begun_ms, end_ms, phase.faults))
        begun_ms = end_ms
    kept = RunRows(["r/access", "r/core"])
    for second in range(200):
        kept.take(START_MS + 1000 * second, np.zeros((2, len(FEATURES)), np.float32))
    recording.add(kept, Timeline("r", tuple(entries)), RunNote(0, 0, 0, 0, 0))
    recording.finish()
    return folder / "rows.parquet"


def change(second: float, label: str, link: str = "r/access") -> Change:
    """Report a change."""
    return Change(link, START_MS + round(1000 * second), label)


def test_what_was_found_late_and_what_was_missed(rows: Path) -> None:
    """The delay runs from the command, not from the first bad row."""
    score = judge(rows, [change(67, "blocked"), change(112, "normal")], SPAN_MS)

    assert score.onsets == 4  # the fault and its end, at two places
    assert score.found == 2
    assert score.delays_seconds == {"blocked": [7.0], "normal": [12.0]}
    assert [text.split()[0] for text in score.missed] == ["r/core", "r/core"]
    assert score.false_changes == 0


def test_a_change_that_did_not_happen_is_false(rows: Path) -> None:
    """An operator was woken for nothing."""
    score = judge(rows, [change(40, "blocked"), change(41, "normal")], SPAN_MS)

    assert score.false_changes == 1
    assert score.false == [f"r/access {START_MS + 40_000} blocked"]


def test_what_is_said_of_a_fault_without_a_name_is_not_scored(rows: Path) -> None:
    """Nobody has taught the daemon that random loss has a name; any answer is a guess."""
    score = judge(rows, [change(155, "capacity-limited")], SPAN_MS)

    assert (score.false_changes, score.not_scored) == (0, 1)


def test_other_links_and_other_times_are_not_scored(rows: Path) -> None:
    """The daemon may watch more than the lab, and remember an earlier run."""
    others = [change(70, "blocked", "trunk-7"), change(-500, "blocked"), change(900, "blocked")]

    score = judge(rows, others, SPAN_MS)

    assert (score.false_changes, score.not_scored, score.found) == (0, 3, 0)


def test_a_score_reads_well(rows: Path) -> None:
    """What the operator sees at the end of an acceptance."""
    text = as_text(judge(rows, [change(67, "blocked"), change(30, "blocked")], SPAN_MS))

    assert "1 of 4 changes found" in text
    assert "1 false change" in text
    assert "blocked: 1 found after 7.0 s" in text
    assert text.count("missed: ") == 3


def told(kind: str, fault: str, link: str = "r/access", **changes: str) -> Event:
    """Make an event of a fault that lasts from 60 s to 100 s."""
    at_ms = START_MS + (67_000 if kind == "onset" else 107_000)
    if kind == "onset":
        facts = {"state": fault, "previous": "normal"} | changes
        return onset(link=link, source="lab", at_ms=at_ms, since_ms=at_ms - 7000, **facts)
    facts = {"state": "normal", "previous": fault} | changes
    return abated(
        link=link, source="lab", at_ms=at_ms, since_ms=at_ms - 7000, began_ms=START_MS, **facts
    )


def gathered(*events: Event) -> Event:
    """Make one event of many."""
    groups = Groups()
    for event in events:
        groups.add(event.link, event.source)
    gather = Gather(groups, links=2)
    for event in events:
        gather.push(event, 0.0)
    (one,) = gather.flush()
    return one


@pytest.mark.parametrize(
    ("events", "changes"),
    [
        (
            [told("onset", "blocked"), told("abated", "blocked")],
            [(67, "blocked"), (107, "normal")],
        ),
        # One fault ended in another: the onset tells it, and it is one change.
        (
            [
                told("abated", "capacity-limited", state="blocked"),
                told("onset", "blocked", previous="capacity-limited"),
            ],
            [(67, "blocked")],
        ),
        # No recording has a truth for what an exporter does.
        ([told("onset", "silent")], []),
        ([told("onset", "telemetry-lost", ""), told("abated", "telemetry-lost", "")], []),
        ([told("onset", "unknown")], [(67, "unknown")]),
    ],
    ids=["fault", "handover", "silent", "lost", "unknown"],
)
def test_what_the_daemon_tells_is_read_as_changes(
    broker: Broker, events: list[Event], changes: list[tuple[int, str]]
) -> None:
    """A score is only as good as the reading of the events."""
    read = read_back(broker, [*events, told("onset", "last", "last")])

    assert read[:-1] == [change(second, label) for second, label in changes]
    assert read[-1] == change(67, "last", "last")


def test_an_event_of_many_links_is_a_change_of_each(broker: Broker) -> None:
    """Both ends of a link see a fault at once, and neither may count as missed for that."""
    links = ("r/access", "r/core")

    read = read_back(broker, [gathered(*(told("onset", "blocked", link) for link in links))])

    assert read == [change(67, "blocked", link) for link in links]


def read_back(broker: Broker, events: list[Event]) -> list[Change]:
    """Send events as the daemon does, and give what was read of them."""
    topics = Topics().create(broker)
    settings = Kafka(bootstrap=broker.bootstrap, events=f"{topics.name}.events")
    listener = Events(settings)
    sink = KafkaSink(settings, "plain", threading.Event(), lambda: None)
    last = events[-1].each()[-1].link
    try:
        sink.send(Outcome(events=events))
        wait_for("the last", lambda: any(one.link == last for one in listener.changes))
    finally:
        sink.close()
        listener.close()
    assert listener.error is None
    return listener.changes
