"""The service: a batch goes the whole way, and is committed last or not at all."""

import json
import logging

import pytest

from detector.message import encode
from detector.sinks import SinkUnavailableError
from detector.source import Message
from tests.fakes import NOON_MS, ListSink, ListSource, make_head, make_spec, make_window

SPEC = make_spec()
RUBBISH = b"rubbish"


def record(label="normal", number=0, link="trunk-1"):
    """Make a record of one window, *number* seconds after noon."""
    window = make_window(link, label, start_ms=NOON_MS + number * 1000)
    return encode([window], SPEC)


def fault(link="trunk-1"):
    """Make the records of a link that is well for five seconds and then blocked."""
    return [record("normal" if n < 5 else "blocked", n, link) for n in range(10)]


class Broken(ListSink):
    """Takes nothing, and says so in the way it is told."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def send(self, outcome):
        """Fail."""
        raise self.error


def sample(service, name, **labels):
    """Read one number off the service's metrics."""
    return service.metrics.registry.get_sample_value(name, labels)


def test_windows_become_verdicts_and_events(make_service, bundle):
    """From counters to a named fault: for this alone somebody runs the program."""
    sink = ListSink()
    service = make_service(ListSource(fault()), sink)

    count = service.step(0)

    assert count == 10
    assert [verdict.label for verdict in sink.verdicts] == ["normal"] * 5 + ["blocked"] * 5
    assert [verdict.state for verdict in sink.verdicts][-1] == "blocked"
    assert {verdict.bundle for verdict in sink.verdicts} == {bundle.id}
    assert [(event.state, event.previous) for event in sink.events] == [("blocked", "normal")]
    assert sink.events[0].since_ms == NOON_MS + 5000 + SPEC.span_ms


def test_a_batch_is_committed_after_every_sink_has_it(make_service):
    """A crash between the two repeats a batch; the other order would lose it."""
    source = ListSource(fault())
    committed_at = []

    class Watching(ListSink):
        def send(self, outcome):
            committed_at.append(source.committed)
            super().send(outcome)

    service = make_service(source, Watching(), Watching())

    service.step(0)

    assert committed_at == [0, 0]
    assert source.committed == 10


@pytest.mark.parametrize("first", [True, False])
def test_a_failing_sink_leaves_the_batch_uncommitted(make_service, first):
    """What no sink took is read again after a restart."""
    source, broken = ListSource(fault()), Broken(ConnectionError("no route"))
    sinks = (broken, ListSink()) if first else (ListSink(), broken)
    service = make_service(source, *sinks)

    with pytest.raises(ConnectionError, match="no route"):
        service.step(0)

    assert source.given == 10
    assert source.commits == 0
    assert sample(service, "anchorwatch_windows_total", label="normal") == 0


def test_a_batch_that_is_read_again_gives_the_same_verdicts_and_no_second_event(make_service):
    """At least once means twice now and then, and nobody may be alarmed twice by it."""
    once, again = ListSink(), ListSink()
    make_service(ListSource(fault()), once).step(0)

    service = make_service(ListSource(fault() + fault()), again, windows=10)
    service.step(0)
    events = list(again.events)
    service.step(0)

    assert again.verdicts[:10] == once.verdicts
    assert [v.label for v in again.verdicts[10:]] == [v.label for v in once.verdicts]
    assert len(events) == 1
    assert again.events == events


def test_nothing_that_came_is_nothing_to_commit(make_service):
    """An empty commit every half second would be most of a quiet broker's work."""
    source = ListSource([])
    service = make_service(source, ListSink())

    count = service.step(0)

    assert count == 0
    assert source.commits == 0
    assert service.metrics.is_ready


def test_what_is_unusable_is_passed_on_and_changes_nothing_else(make_service):
    """One broken exporter must not be seen in the verdicts of any other."""
    plain, mixed = ListSink(), ListSink()
    make_service(ListSource(fault()), plain).step(0)
    source = ListSource([RUBBISH, *(r for one in fault() for r in (one, RUBBISH))])
    service = make_service(source, mixed)

    service.step(0)

    assert mixed.verdicts == plain.verdicts
    assert mixed.events == plain.events
    assert {letter.rejected.data for letter in mixed.dead_letters} == {RUBBISH}
    assert len(mixed.dead_letters) == 11
    assert source.committed == 21
    assert sample(service, "anchorwatch_rejected_total", reason="undecodable") == 11


def test_a_batch_of_nothing_but_rubbish_is_committed(make_service):
    """It would be read again for ever otherwise, and nothing behind it would be judged."""
    source, sink = ListSource([RUBBISH]), ListSink()

    count = make_service(source, sink).step(0)

    assert count == 0
    assert source.committed == 1
    assert len(sink.dead_letters) == 1


def test_a_record_that_the_client_could_not_read_is_passed_on_and_committed(make_service):
    """The daemon steps over it once, not after every restart."""
    source = ListSource([Message("windows", 0, 0, b"", unreadable="CRC mismatch")])
    sink = ListSink()
    service = make_service(source, sink)

    service.step(0)

    assert source.committed == 1
    assert sink.dead_letters[0].rejected.reason == "unreadable"
    assert sample(service, "anchorwatch_rejected_total", reason="unreadable") == 1


def test_a_run_ends_when_the_source_has_no_more_and_closes_everything(make_service):
    """A replay ends by itself, and leaves no connection behind."""
    source, sinks = ListSource(fault()), (ListSink(), ListSink())

    make_service(source, *sinks, windows=3).run(0)

    assert source.committed == 10
    assert [len(sink.verdicts) for sink in sinks] == [10, 10]
    assert [source.closed, *(sink.closed for sink in sinks)] == [1, 1, 1]


def test_a_run_that_fails_closes_everything_and_says_so(make_service):
    """An open group membership would keep the links from the daemon that takes over."""
    source, good, broken = ListSource(fault()), ListSink(), Broken(ConnectionError("no route"))

    with pytest.raises(ConnectionError, match="no route"):
        make_service(source, good, broken).run(0)

    assert (source.closed, good.closed, broken.closed) == (1, 1, 1)


def test_told_to_stop_it_finishes_the_batch_in_hand(make_service):
    """A restart of the daemon costs no window, and none twice."""
    source = ListSource(fault())

    class Stopping(ListSink):
        def send(self, outcome):
            super().send(outcome)
            service.stop()

    sink = Stopping()
    service = make_service(source, sink, windows=4)

    service.run(0)

    assert len(sink.verdicts) == 4
    assert source.committed == 4


def test_stopped_before_it_began_it_reads_nothing(make_service):
    """A signal that comes while the encoder warms up is not lost."""
    source = ListSource(fault())
    service = make_service(source, ListSink())
    service.stop()

    service.run(0)

    assert source.given == 0
    assert source.closed == 1


def test_stopped_while_a_sink_is_away_it_ends_in_order_and_commits_nothing(make_service, caplog):
    """With the broker away a stop must be a stop, not a crash, and lose nothing."""
    source = ListSource(fault())

    class Away(Broken):
        def send(self, outcome):
            service.stop()
            super().send(outcome)

    sink = Away(SinkUnavailableError("10 records are not acknowledged"))
    service = make_service(source, sink)

    with caplog.at_level(logging.WARNING):
        service.run(0)

    assert source.commits == 0
    assert (source.closed, sink.closed) == (1, 1)
    assert [record.getMessage() for record in caplog.records] == ["stopped before delivery"]


def test_a_link_that_went_quiet_is_forgotten_and_its_series_goes(make_service):
    """Links come and go for years; neither memory nor the page of metrics may only grow."""
    kept, forgotten = (
        make_service(ListSource(fault()), ListSink(), forget_seconds=seconds)
        for seconds in (3600, 1e-9)
    )

    kept.run(0)
    forgotten.run(0)

    states = {"link": "trunk-1", "source": "probe-1", "state": "blocked"}
    assert sample(kept, "anchorwatch_link_state", **states) == 1
    assert sample(forgotten, "anchorwatch_link_state", **states) is None
    assert forgotten.judge.steady.links == {}


def test_a_poisoned_window_does_not_make_a_verdict_without_numbers(make_service):
    """Numbers that JSON can't hold would reach the topic as null, and break who reads it."""
    values = make_window().values.copy()
    values[:, :2] = [-1, 0]
    wild = make_window("wild").values.copy()
    wild[:] = 9e29
    sink = ListSink()
    windows = [make_window("minus", values=values), make_window("wild", values=wild)]

    make_service(ListSource([encode(windows, SPEC)]), sink).step(0)

    assert len(sink.verdicts) == 2
    for verdict in sink.verdicts:
        numbers = [verdict.distance, verdict.margin, *verdict.distances.values()]
        json.dumps(numbers, allow_nan=False)


def test_a_head_gives_every_window_a_second_opinion(make_service):
    """It goes out with the verdict, and into the counters, and changes neither label nor state."""
    plain, sink = ListSink(), ListSink()
    make_service(ListSource(fault()), plain).step(0)
    service = make_service(ListSource(fault()), sink, head=make_head("blocked"))

    service.step(0)

    assert [verdict.opinion for verdict in sink.verdicts] == ["blocked"] * 10
    assert [verdict.label for verdict in sink.verdicts] == [v.label for v in plain.verdicts]
    assert [event.at_ms for event in sink.events] == [event.at_ms for event in plain.events]
    assert sample(service, "anchorwatch_second_opinions_total", agrees="yes") == 5
    assert sample(service, "anchorwatch_second_opinions_total", agrees="no") == 5
    assert {verdict.opinion for verdict in plain.verdicts} == {""}


def test_a_batch_of_nothing_but_rubbish_has_no_opinion_of_it(make_service):
    """There is no embedding to ask the head about."""
    sink = ListSink()

    count = make_service(ListSource([RUBBISH]), sink, head=make_head()).step(0)

    assert count == 0
    assert sink.verdicts == []
