"""The service: a batch goes the whole way, and is committed last or not at all."""

import json
import logging

import msgspec
import pytest

from detector.board import StatusBoard
from detector.config import Events, Settings, Silence
from detector.enrolments.folder import FolderEnrolments
from detector.message import encode
from detector.oncall.opening import open_model
from detector.oncall.record import NoStates
from detector.reload import Reloads
from detector.sinks import SinkUnavailableError
from detector.source import Message, Move
from detector.status import Status
from tests.fakes import (
    NOON_MS,
    ListSink,
    ListSource,
    WallClock,
    make_bundle,
    make_service,
    make_spec,
    make_window,
)

SPEC = make_spec()
PLACE = ("windows", 0)
RUBBISH = b"rubbish"
WHO = {"who": "tests", "why": "a test", "now_ms": 1}
REFUSED = "rejected to the dead letters"


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


class Looking:
    """A service whose clock goes on by a second with each step, and whose broker is there."""

    def __init__(self, make_service, records=(), **changes):
        self.source, self.sink, self.clock = ListSource(records), ListSink(), WallClock()
        self.service = make_service(self.source, self.sink, clock=self.clock, **changes)

    def step(self, *records):
        """Let a second pass in which these records come."""
        self.source.records += [Message(*PLACE, NOON_MS, record) for record in records]
        self.clock.sleep(1)
        self.source.vitals.contact = self.clock.wall
        self.service.step(0)

    def steps(self, count, record=None):
        """Let some seconds pass; *record* makes that of each second, by its number."""
        for number in range(count):
            self.step(*([record(number)] if record else []))

    def links(self):
        """Give the links that have a series, with their states."""
        families = self.service.metrics.registry.collect()
        found = (one for family in families for one in family.samples)
        return {
            one.labels["link"]: one.labels["state"]
            for one in found
            if one.name == "anchorwatch_link_state"
        }


def test_a_link_that_went_quiet_is_forgotten_and_its_series_goes(make_service):
    """Links come and go for years; neither memory nor the page of metrics may only grow."""
    kept, forgotten = (
        Looking(make_service, fault(), settings={"silence": Silence(retire_seconds=seconds)})
        for seconds in (3600, 20)
    )

    for one in (kept, forgotten):
        one.step()
        one.steps(30, lambda number: record("normal", number, "other"))

    assert kept.links() == {"trunk-1": "blocked", "other": "normal"}
    assert forgotten.links() == {"other": "normal"}
    assert list(forgotten.service.duty.roster.steady.links) == ["other"]
    assert [(one.type, one.fault, one.state) for one in forgotten.sink.events] == [
        ("onset", "blocked", "blocked"),
        ("abated", "blocked", "retired"),
    ]


def test_a_late_window_keeps_a_link_from_being_forgotten(make_service):
    """An exporter that lags behind is not one that went away."""
    usual = {"settings": {"silence": Silence(retire_seconds=20)}}
    lagging, gone = Looking(make_service, **usual), Looking(make_service, **usual)

    for one in (lagging, gone):
        one.step(record("normal", 100))
        for number in range(30):
            others = [record("normal", number, "other")]
            one.step(*others, *([record("normal", 5)] if one is lagging else []))

    assert set(lagging.links()) == {"trunk-1", "other"}
    assert set(gone.links()) == {"other"}


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


@pytest.fixture
def opinionated(tmp_path, encoder):
    """Make a service of the same encoder, whose bundle has a head that says `blocked` of all."""
    bundle = make_bundle(tmp_path / "b", head=True)
    return lambda *parts: make_service(bundle, encoder, *parts)


def test_a_head_gives_every_window_a_second_opinion(make_service, opinionated):
    """It goes out with the verdict, and into the counters, and changes neither label nor state."""
    plain, sink = ListSink(), ListSink()
    make_service(ListSource(fault()), plain).step(0)
    service = opinionated(ListSource(fault()), sink)

    service.step(0)

    assert [verdict.opinion for verdict in sink.verdicts] == ["blocked"] * 10
    assert [verdict.label for verdict in sink.verdicts] == [v.label for v in plain.verdicts]
    assert [event.at_ms for event in sink.events] == [event.at_ms for event in plain.events]
    assert sample(service, "anchorwatch_second_opinions_total", agrees="yes") == 5
    assert sample(service, "anchorwatch_second_opinions_total", agrees="no") == 5
    assert {verdict.opinion for verdict in plain.verdicts} == {""}


def test_a_batch_of_nothing_but_rubbish_has_no_opinion_of_it(opinionated):
    """There is no embedding to ask the head about."""
    sink = ListSink()

    count = opinionated(ListSource([RUBBISH]), sink).step(0)

    assert count == 0
    assert sink.verdicts == []


def test_what_is_kept_of_a_link_is_kept_before_it_is_told_and_after(make_service):
    """Wherever the daemon dies, the next one knows what was told and what wasn't."""
    outcomes = []

    class Watching(ListSink):
        def send(self, outcome):
            outcomes.append(outcome)

    make_service(ListSource(fault()), Watching()).step(0)

    (outcome,) = outcomes
    (event,) = outcome.events
    before, after = outcome.before[-1], outcome.after[-1]
    assert (before.link, before.state, before.waiting) == ("trunk-1", "blocked", (event,))
    assert (after.link, after.state, after.waiting) == ("trunk-1", "blocked", ())
    assert (before.partition, after.partition) == (PLACE[1], PLACE[1])


def test_windows_of_a_partition_that_moved_on_are_left_to_whoever_has_it_now(make_service):
    """Judged by two daemons a link would have two states, and two alarms for one fault."""
    source, sink = ListSource(fault()), ListSink()
    others = [Message("windows", 1, n, one) for n, one in enumerate(fault("trunk-2"))]
    source.records += others
    source.vitals.moves += [Move(("windows", n), is_gained=True) for n in (0, 1)]
    source.vitals.moves.append(Move(("windows", 1), is_gained=False))
    service = make_service(source, sink)

    count = service.step(0)

    assert count == 10
    assert {verdict.link for verdict in sink.verdicts} == {"trunk-1"}
    assert set(service.duty.roster.steady.links) == {"trunk-1"}
    assert source.committed == 20
    assert list(source.vitals.moves) == []


def test_a_partition_that_went_and_came_again_is_ours(make_service):
    """A group that deals its partitions out anew may deal them out as they were."""
    source, sink = ListSource(fault()), ListSink()
    source.vitals.moves += [Move(PLACE, is_gained=gained) for gained in (True, False, True)]

    make_service(source, sink).step(0)

    assert len(sink.verdicts) == 10


def test_what_waits_for_company_is_told_to_every_sink_when_the_run_ends(make_service):
    """Nobody knows when the next daemon starts, and one sink's word is no other's."""
    sinks = ListSink(), ListSink()
    settings = {"events": Events(gather_seconds=3600, gather_links=2)}
    source = ListSource([one for pair in zip(fault("a"), fault("b"), strict=True) for one in pair])
    service = make_service(source, *sinks, settings=settings)

    service.run(0)

    for sink in sinks:
        (event,) = sink.events
        assert event.links == ("a", "b")
        latest = {kept.link: kept for kept in sink.records}
        assert {link: kept.waiting for link, kept in latest.items()} == {"a": (), "b": ()}
    assert sample(service, "anchorwatch_events_total", type="onset", state="blocked") == 2


def test_what_waits_for_company_is_told_when_its_time_is_over_though_nothing_comes(make_service):
    """The loop that takes batches also looks at the clock."""
    settings = {"events": Events(gather_seconds=3, gather_links=2)}
    looking = Looking(make_service, settings=settings)
    looking.step(*fault("a"), *fault("b"))

    looking.steps(2)
    early = list(looking.sink.events)
    looking.steps(1)

    assert early == []
    assert [event.links for event in looking.sink.events] == [("a", "b")]


def test_a_run_lets_go_of_what_keeps_its_states(make_service):
    """A connection that stays open keeps a process from ending."""
    closed = []

    class States(NoStates):
        def close(self):
            closed.append(True)

    make_service(ListSource(fault()), ListSink(), states=States()).run(0)

    assert closed == [True]


def test_once_a_second_everybody_can_see_how_everything_stands(make_service, bundle):
    """Who looks at the status page, or at the metrics, sees the same second."""
    board = StatusBoard(Status(version="0", bundle="b", now_ms=0))
    looking = Looking(make_service, board=board)

    looking.step(*fault(), RUBBISH)
    shown = json.loads(board.page().body)

    assert (shown["links"], shown["states"]) == (1, {"blocked": 1})
    assert (shown["now_ms"], shown["bundle"]) == (round(looking.clock.wall * 1000), bundle.id)
    assert looking.links() == {"trunk-1": "blocked"}
    looking.step()  # what was told is shown at the next look
    assert [one["state"] for one in json.loads(board.page().body)["events"]] == ["blocked"]


def test_within_a_second_nothing_is_looked_at_anew(make_service):
    """A busy daemon makes hundreds of steps a second, and has links by the ten thousand."""
    looking = Looking(make_service)
    looking.step()

    looking.clock.sleep(-1)  # the next step ends where this one did
    looking.step(*fault())
    within = looking.links()
    looking.step()

    assert within == {}
    assert looking.links() == {"trunk-1": "blocked"}


def test_a_broken_clock_of_an_exporter_ends_nobody(make_service):
    """A window from 1970, or from the far future, is one link's trouble."""
    windows = [make_window(f"t{n}", start_ms=start) for n, start in enumerate((0, 10**14))]
    looking = Looking(make_service)

    looking.step(*[encode([window], SPEC) for window in windows], *fault())

    assert [event.link for event in looking.sink.events] == ["trunk-1"]
    assert len(looking.links()) == 3


def misfit(*, packed=True, **changes):
    """Make a record of a window for another model, of which *changes* are changed."""
    spec = make_spec(steps=3)
    whole = encode([make_window(values=make_window().values[:3])], spec, packed=packed)
    coder = msgspec.msgpack if packed else msgspec.json
    return coder.encode(coder.decode(whole) | changes)


def watched(looking):
    """Give what the status page says after a second's look at a service."""
    looking.service.board = StatusBoard(Status(version="0", bundle="b", now_ms=0))
    looking.step()
    return json.loads(looking.service.board.page().body)


def test_what_is_refused_of_late_is_shown_by_reason(make_service):
    """With every record refused nothing else on the page says that anything is wrong."""
    looking = Looking(make_service)
    looking.step(record())
    before = watched(looking)["rejected"]
    looking.step(misfit(), RUBBISH, RUBBISH)

    during = watched(looking)["rejected"]
    looking.clock.sleep(600)
    after = watched(looking)["rejected"]

    assert before == {}
    assert list(during.items()) == [("undecodable", 2), ("shape", 1)]
    assert after == {}


def warned(caplog):
    """Give the facts of each line about what was refused."""
    return [vars(line) for line in caplog.records if line.getMessage() == REFUSED]


def test_what_is_refused_is_said_once_in_half_a_minute(make_service, caplog):
    """An exporter that sends rubbish for a night is noticed, and fills no disk."""
    looking = Looking(make_service)

    looking.steps(31, lambda number: RUBBISH if number % 3 else misfit(link="trunk-9"))
    looking.steps(60)

    told = [(one["rejected"], one["mostly"], one["of_these"]) for one in warned(caplog)]
    assert told == [(1, "shape", 1), (30, "undecodable", 20)]
    assert {one["levelname"] for one in warned(caplog)} == {"WARNING"}


def test_the_last_of_what_is_refused_is_said_though_no_more_comes(make_service, caplog):
    """How much it was in the end is what somebody asks afterwards."""
    looking = Looking(make_service)

    looking.step(RUBBISH)
    looking.step(RUBBISH, RUBBISH)
    looking.steps(40)

    assert [one["rejected"] for one in warned(caplog)] == [1, 2]


@pytest.mark.parametrize("packed", [True, False])
def test_one_example_says_whom_to_look_at(make_service, caplog, packed):
    """Whoever has to mend an exporter must know which, and where the record lies."""
    looking = Looking(make_service)

    looking.step(misfit(packed=packed, link="trunk-9", source="probe-9"))

    (told,) = warned(caplog)
    assert (told["link"], told["source"]) == ("trunk-9", "probe-9")
    assert (told["topic"], told["partition"], told["offset"]) == (*PLACE, NOON_MS)


@pytest.mark.parametrize(
    "record",
    [
        RUBBISH,
        b"",
        b'{"x": ' + b"[" * 100_000,
        b"{" * 9,
        b"\x81\xff",
        misfit(link=7),
        b'{"link": "\xff"}',
    ],
)
def test_where_an_example_says_nothing_of_a_link_nothing_is_made_up(make_service, caplog, record):
    """What can't be read can't be asked for its name, and ends nobody."""
    Looking(make_service).step(record)

    (told,) = warned(caplog)
    assert not {"link", "source"} & told.keys()


def test_a_refused_record_puts_no_more_than_a_name_into_the_log(make_service, caplog):
    """The payload is somebody's traffic, and a name may be a megabyte long."""
    Looking(make_service).step(misfit(link="x" * 1_000_000, secret="hunter2"))

    (told,) = warned(caplog)
    assert told["link"] == "x" * 200
    assert "hunter2" not in str(told)


def test_a_bundle_that_is_refused_is_shown_until_a_good_one_comes(store):
    """Somebody promoted it, and must not believe that it is in use."""
    settings = Settings(bundle=str(store.path))
    model = open_model(settings)
    reloads = Reloads(settings, model, FolderEnrolments(store.path))
    looking = Looking(
        lambda *parts, **changes: make_service(model.bundle, model.encoder, *parts, **changes),
        reloads=reloads,
    )
    (store.folder(store.ids[1]) / "weights.safetensors").write_bytes(b"no weights")
    shown = []
    for version in (store.ids[0], store.ids[1], store.ids[0]):
        store.switch(version, action="promoted", **WHO)
        reloads.look()
        shown.append(watched(looking)["bundle_refused"])

    assert shown == [False, True, False]


def test_every_label_that_a_link_can_get_is_told(make_service, bundle):
    """Who looks for a state is told whether there is such a one."""
    told = watched(Looking(make_service))["labels"]

    assert sorted(told) == sorted(set(bundle.labels))
