"""Reloading: what is made ready beside the loop, what is refused, what the loop makes of it."""

import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from detector.bundle import BundleError, save
from detector.candidate import Candidate
from detector.config import Reload, Settings
from detector.enrolment import Act, Enrolment, enrol
from detector.enrolments import EnrolmentsUnavailableError
from detector.follow_bundle import RETRY_SECONDS, unfit
from detector.learning import Learning
from detector.message import encode
from detector.oncall.opening import open_duty, open_model
from detector.oncall.record import NoStates
from detector.oncall.strangeness import Calibration, Known, Tail
from detector.reload import Reloads
from detector.shadow.report import decode as decode_report
from detector.source import Message
from detector.window import WindowSpec
from tests.daemon import wait_for
from tests.fakes import (
    NOON_MS,
    ListSink,
    ListSource,
    draft_bundle,
    make_rows,
    make_service,
    make_spec,
    make_window,
)

WHO = {"who": "tests", "why": "a test", "now_ms": 1}
WHEN = 2_000_000_000.0  # Unix time of the clock, seconds


class Anchors:
    """Keeps enrolments as a broker does that can be away."""

    def __init__(self, *found: Enrolment) -> None:
        self.found = list(found)
        self.is_away = False
        self.unreadable = 0
        self.closed = 0
        self._given: list[Enrolment] | None = None

    def poll(self) -> Sequence[Enrolment] | None:
        """Give all if anything changed."""
        if self.is_away:
            raise EnrolmentsUnavailableError("the broker is away")
        if self.found == self._given:
            return None
        self._given = list(self.found)
        return self._given

    def write(self, enrolment: Enrolment) -> None:
        """Keep one."""
        self.found.append(enrolment)

    def close(self) -> None:
        """Note that it was closed."""
        self.closed += 1


def chatter(label: str = "chatter", **changes: object) -> Enrolment:
    """Enrol a window of a fault that no bundle here has learnt."""
    values = make_rows("normal", 4)
    values[:, 2], values[:, 3] = 300, 400
    made = enrol(
        label=label,
        link="trunk-9",
        start_ms=NOON_MS,
        spec=make_spec(),
        values=values[None],
        act=Act(at_ms=1, who="tests", what="enrolled"),
    )
    return msgspec.structs.replace(made, **changes)


class Looked(Reloads):
    """Reloads of which the test knows who keeps the anchors."""

    anchors_of_the_test: Anchors


def begun(
    path: Path, *found: Enrolment, asked: threading.Event | None = None, **clocks: object
) -> Looked:
    """Make reloads of a bundle or a store; the test looks by itself."""
    settings = Settings(bundle=str(path))
    model, anchors = open_model(settings), Anchors(*found)
    reloads = Looked(settings, model, anchors, asked, **{"clock": lambda: WHEN} | clocks)
    reloads.anchors_of_the_test = anchors
    return reloads


def values(reloads: Reloads, name: str) -> dict[tuple[str, ...], float]:
    """Give the numbers of one figure."""
    return dict(next(one.values for one in reloads.figures() if one.name == name))


def test_a_bundle_that_becomes_current_is_made_ready_once(store):
    """The loop takes it between two batches, and goes on."""
    first, second = store.ids
    reloads = begun(store.path)
    reloads.look()
    reloads.take()

    store.switch(second, action="promoted", **WHO)
    reloads.look()
    ready = reloads.take()
    reloads.look()

    assert ready is not None
    assert ready[0].bundle.id == second != first
    assert reloads.take() is None
    assert values(reloads, "bundle_loads") == {("loaded",): 1, ("refused",): 0}


def test_a_bundle_that_cannot_be_used_is_refused_and_said_until_a_good_one_comes(store):
    """It is what the alert rule goes by."""
    first, second = store.ids
    reloads = begun(store.path)
    reloads.look()
    reloads.take()
    (store.folder(second) / "weights.safetensors").write_bytes(b"no weights")

    store.switch(second, action="promoted", **WHO)
    reloads.look()
    reloads.look()
    assert reloads.take() is None
    assert values(reloads, "bundle_refused") == {(): 1}
    assert values(reloads, "bundle_loads")["refused",] == 1
    store.switch(first, action="rolled-back", **WHO)
    reloads.look()

    assert reloads.take() is None
    assert values(reloads, "bundle_refused") == {(): 0}


def test_a_bundle_for_other_windows_waits_for_a_restart(store):
    """What exporters send is what the one in use reads: all windows would be rejected."""
    other = store.add(draft_bundle(spec=make_spec(steps=5)), **WHO)
    reloads = begun(store.path)
    reloads.look()
    reloads.take()

    store.switch(other, action="promoted", **WHO)
    reloads.look()

    assert reloads.take() is None
    assert values(reloads, "bundle_refused") == {(): 1}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"steps": 5}, "steps"),
        ({"step_ms": 500}, "500 ms"),
        ({"features": ("requests",), "optional": ()}, ""),
        ({"features": ("requests", "bytes"), "optional": ("bytes",)}, ""),
        ({"features": ("requests", "bytes"), "optional": ()}, "'bytes'"),
        ({"optional": ()}, "'response_ms'"),  # which exporters may leave out now
    ],
)
def test_windows_that_come_for_one_bundle_can_be_read_by_another_or_not(changes, why):
    """Steps can't be made up, and a counter that nobody sends neither."""
    found = unfit(make_spec(**changes), make_spec())

    assert (why in found) if why else found == ""


def test_a_plain_bundle_is_loaded_anew_when_somebody_asks(tmp_path):
    """A folder without a store is replaced by hand, and SIGHUP says when it is whole."""
    asked = threading.Event()
    path = tmp_path / "plain"
    save(draft_bundle(seed=0), path)
    reloads = begun(path, asked=asked)
    reloads.look()
    reloads.take()
    second = save(draft_bundle(seed=1), path, replace=True)

    reloads.look()
    assert reloads.take() is None
    asked.set()
    reloads.look()

    ready = reloads.take()
    assert ready is not None
    assert ready[0].bundle.id == second
    reloads.look()
    assert values(reloads, "bundle_loads")["loaded",] == 1  # once, for he asked once


def test_what_somebody_asked_for_is_not_lost_where_a_look_fails(tmp_path):
    """SIGHUP is sent once; and a look that fails must not be repeated without a pause."""
    asked, path = threading.Event(), tmp_path / "plain"
    save(draft_bundle(seed=0), path)
    settings = Settings(bundle=str(path))
    anchors = Anchors()
    reloads = Reloads(settings, open_model(settings), anchors, asked, clock=lambda: WHEN)
    reloads.look()
    reloads.take()
    second = save(draft_bundle(seed=1), path, replace=True)
    read, anchors.poll = anchors.poll, lambda: 1 / 0

    asked.set()
    with pytest.raises(ZeroDivisionError):
        reloads.look()
    assert not asked.is_set()
    anchors.poll = read
    reloads.look()

    ready = reloads.take()
    assert ready is not None
    assert ready[0].bundle.id == second


def test_anchors_come_go_and_expire(bundle_path):
    """An operator enrols a fault for as long as it is of use."""
    until = chatter("until", expires_ms=round(WHEN * 1000) + 1)
    over = chatter("over", expires_ms=round(WHEN * 1000))
    off = chatter("off", status="disabled")
    reloads = begun(bundle_path, until, over, off)

    reloads.look()
    _, view = reloads.take()
    assert [one.label for one in view.sight.enrolled] == ["until"]
    assert values(reloads, "enrolments") == {
        ("used",): 1,
        ("waiting",): 0,
        ("expired",): 1,
        ("disabled",): 1,
        ("unusable",): 0,
        ("removed",): 0,
    }
    assert values(reloads, "anchors")["until", "enrolled"] == 1


def test_an_anchor_that_expires_while_the_daemon_runs_is_used_no_more(bundle_path):
    """Nobody has to come back for it."""
    now = [WHEN]
    settings = Settings(bundle=str(bundle_path))
    anchors = Anchors(chatter(expires_ms=round(WHEN * 1000) + 60_000))
    reloads = Reloads(settings, open_model(settings), anchors, clock=lambda: now[0])
    reloads.look()
    reloads.take()

    now[0] += 60
    reloads.look()

    ready = reloads.take()
    assert ready is not None
    assert ready[1].sight.enrolled == ()


def test_anchors_are_embedded_anew_by_each_bundle(store):
    """Raw windows are what is kept: points of one encoder mean nothing to the next."""
    reloads = begun(store.path, chatter())
    reloads.look()
    _, before = reloads.take()
    store.switch(store.ids[1], action="promoted", **WHO)
    reloads.look()
    _, after = reloads.take()

    for view in (before, after):
        seen = view.sight.see(chatter().values)
        assert view.sight.labels[seen.nearest.label[0]] == "chatter"
        assert seen.nearest.distances.min() == pytest.approx(0, abs=1e-3)


def test_the_loop_goes_on_with_what_it_has_while_the_anchors_are_away(bundle_path):
    """A broker that is away takes no name from anybody."""
    settings = Settings(bundle=str(bundle_path))
    anchors = Anchors(chatter())
    reloads = Reloads(settings, open_model(settings), anchors, clock=lambda: WHEN)
    reloads.look()
    reloads.take()

    anchors.is_away = True
    reloads.look()

    assert reloads.take() is None
    assert values(reloads, "enrolments_away") == {(): 1}
    anchors.is_away = False
    reloads.look()
    assert reloads.take() is None
    assert values(reloads, "enrolments_away") == {(): 0}


def test_nothing_is_judged_before_it_is_known_what_was_enrolled(bundle_path):
    """After a restart a fault that has a name must not be called something else."""
    settings = Settings(bundle=str(bundle_path))
    anchors, tries = Anchors(chatter()), []
    anchors.is_away = True
    reloads = Reloads(settings, open_model(settings), anchors, clock=lambda: WHEN)

    def beat() -> None:
        tries.append(anchors.is_away)
        anchors.is_away = len(tries) < 2

    reloads.begin(lambda: False, beat)
    reloads.close()

    assert tries == [True, True]
    assert reloads.take() is not None
    assert anchors.closed == 1


def test_a_stop_while_the_anchors_are_away_is_heeded(bundle_path):
    """SIGTERM must not wait for a broker."""
    settings = Settings(bundle=str(bundle_path))
    anchors = Anchors()
    anchors.is_away = True
    reloads = Reloads(settings, open_model(settings), anchors)
    asked: list[bool] = []

    reloads.begin(lambda: bool(asked or asked.append(True)), lambda: None)
    reloads.close()

    assert reloads.take() is None


def windows(spec: WindowSpec, values, first: int, count: int) -> list[bytes]:
    """Make records of one link, a window a second."""
    made = [
        make_window(start_ms=NOON_MS + second * 1000, values=values)
        for second in range(first, first + count)
    ]
    return [encode([window], spec) for window in made]


def test_the_service_exchanges_bundle_and_anchors_between_two_batches(store):
    """Every window has one verdict, which names the bundle that made it."""
    first, second = store.ids
    reloads = begun(store.path, chatter())
    model, sink = reloads.model, ListSink()
    spec, odd = model.spec, chatter().values[0]
    source = ListSource()
    source.records = [
        Message("windows", 0, offset, record)
        for offset, record in enumerate(windows(spec, odd, 0, 20))
    ]
    service = make_service(model.bundle, model.encoder, source, sink, windows=5, reloads=reloads)

    service.step(0)
    reloads.look()
    service.step(0)
    store.switch(second, action="promoted", **WHO)
    reloads.look()
    service.step(0)
    service.step(0)

    assert [one.bundle for one in sink.verdicts] == [first] * 10 + [second] * 10
    assert "chatter" not in {one.label for one in sink.verdicts[:5]}
    assert {one.label for one in sink.verdicts[5:]} == {"chatter"}
    assert len({one.start_ms for one in sink.verdicts}) == 20
    assert service.standing.facts["bundle"] == second
    text = service.metrics.text().decode()
    assert 'anchorwatch_windows_total{label="chatter"} 15.0' in text
    assert f'bundle="{second}"' in text
    assert f'bundle="{first}"' not in text


def test_a_fault_lasts_over_a_reload(store):
    """Nobody is called again because a bundle was exchanged."""
    reloads = begun(store.path)
    model, sink = reloads.model, ListSink()
    source = ListSource()
    blocked = make_rows("blocked", 4)
    source.records = [
        Message("windows", 0, offset, record)
        for offset, record in enumerate(windows(model.spec, blocked, 0, 40))
    ]
    service = make_service(model.bundle, model.encoder, source, sink, windows=20, reloads=reloads)
    service.step(0)
    store.switch(store.ids[1], action="promoted", **WHO)
    reloads.look()
    service.step(0)

    assert [event.state for event in sink.events] == ["blocked"]
    assert {one.state for one in sink.verdicts[-20:]} == {"blocked"}
    assert len({one.since_ms for one in sink.verdicts[-20:]}) == 1


@pytest.mark.parametrize(("look_seconds", "is_taken"), [(0.01, True), (3600.0, False)])
def test_the_store_is_looked_at_as_often_as_the_settings_say(store, look_seconds, is_taken):
    """A store on a slow network share need not be asked twice a second."""
    settings = Settings(bundle=str(store.path), reload=Reload(look_seconds=look_seconds))
    asked = threading.Event()
    reloads = Reloads(settings, open_model(settings), Anchors(), asked)
    reloads.begin(lambda: False, lambda: None)

    store.switch(store.ids[1], action="promoted", **WHO)
    taken = _taken(reloads, seconds=30 if is_taken else 0.5)

    assert bool(taken) == is_taken
    asked.set()  # somebody who asks need not wait
    assert taken or _taken(reloads, seconds=30)
    reloads.close()


def _taken(reloads: Reloads, seconds: float) -> object:
    deadline = time.monotonic() + seconds
    while not (taken := reloads.take()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return taken


def test_a_candidate_in_the_shadow_is_tried_on_what_is_judged_and_reported_of(store):
    """What it is worth is known before it judges anybody."""
    first, second = store.ids
    reloads = begun(store.path)
    model, source = reloads.model, ListSource()
    rows = make_rows("normal", 4)
    source.records = [
        Message("windows", 0, offset, record)
        for offset, record in enumerate(windows(model.spec, rows, 0, 40))
    ]
    learning = Learning(candidate=reloads.candidate)
    service = make_service(
        *(model.bundle, model.encoder, source, ListSink()),
        windows=20,
        reloads=reloads,
        learning=learning,
    )
    store.set_shadow(second, **WHO)
    reloads.look()

    service.step(0)
    service.step(0)
    wait_for("judged", lambda: reloads.candidate.status.windows == 40)
    status = learning.statuses["shadow"]
    store.set_shadow(None, **WHO)
    reloads.look()

    assert (status.candidate, status.live) == (second, first)
    report = decode_report(store.reports(second)[0])
    assert (report.windows, report.live) == (40, first)
    assert reloads.candidate.status.candidate == ""
    assert values(reloads, "shadow_running") == {(): 0}


def test_a_candidate_that_cannot_be_loaded_is_said_and_changes_nothing(store):
    """It was to be tried, and nobody would otherwise know that it is not."""
    second = store.ids[1]
    (store.folder(second) / "weights.safetensors").write_bytes(b"no weights")
    reloads = begun(store.path)

    store.set_shadow(second, **WHO)
    reloads.look()

    assert "weights.safetensors" in reloads.candidate.status.failure
    assert values(reloads, "shadow_failed") == {(): 1}
    assert reloads.take() is None


def over(draft):
    """Give a bundle that loads, and whose threshold is beyond all numbers."""
    tail = Tail(threshold=1.0, events=5, hours=1.0, shape=500.0)
    calibration = Calibration(scale=1.0, tail=tail, faults={})
    known = Known(draft.anchor_embeddings.copy(), calibration)
    manifest = msgspec.structs.replace(draft.manifest, known=calibration)
    return replace(draft, manifest=manifest, known=known)


def test_a_bundle_that_loads_and_cannot_be_looked_through_is_refused(store):
    """Else it would count as loaded, and nothing that is enrolled would be used any more."""
    first = store.ids[0]
    odd = store.add(over(draft_bundle(seed=2)), **WHO)
    reloads = begun(store.path)
    reloads.look()

    store.switch(odd, action="promoted", **WHO)
    reloads.look()
    assert reloads.take() is None
    assert values(reloads, "bundle_refused") == {(): 1}
    assert reloads.model.bundle.id == first
    reloads.anchors_of_the_test.write(chatter())
    reloads.look()

    assert [one.label for one in reloads.take()[1].sight.enrolled] == ["chatter"]
    with pytest.raises(BundleError, match="thresholds"):
        open_duty(Settings(bundle=""), open_model(Settings(bundle=str(store.path))), NoStates())


def test_what_was_refused_is_tried_again_after_a_while_and_told_once(store):
    """Somebody mends it in its place, and should not have to switch back and forth."""
    second = store.ids[1]
    now = [0.0]
    reloads = begun(store.path, steady_clock=lambda: now[0])
    weights = store.folder(second) / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(b"no weights")
    store.switch(second, action="promoted", **WHO)
    reloads.look()

    now[0] += RETRY_SECONDS
    reloads.look()
    assert values(reloads, "bundle_loads")["refused",] == 1
    weights.write_bytes(whole)
    reloads.look()
    assert reloads.take() is None
    now[0] += RETRY_SECONDS
    reloads.look()

    assert reloads.take()[0].bundle.id == second
    assert values(reloads, "bundle_refused") == {(): 0}


def test_going_back_to_a_bundle_that_needs_more_features_takes_no_restart(store):
    """Exporters still send what they sent before: an emergency is no time for a restart."""
    first = store.ids[0]
    narrow = msgspec.structs.replace(make_spec(), optional=("retransmissions", "response_ms"))
    other = store.add(draft_bundle(spec=narrow), **WHO)
    reloads = begun(store.path)
    for bundle_id in (other, first):
        store.switch(bundle_id, action="promoted", **WHO)
        reloads.look()

        assert reloads.take()[0].bundle.id == bundle_id


def test_an_anchor_expires_also_while_nobody_can_say_what_is_enrolled(bundle_path):
    """A broker may be away for days; what somebody gave an end has one."""
    now = [WHEN]
    settings = Settings(bundle=str(bundle_path))
    anchors = Anchors(chatter(expires_ms=round(WHEN * 1000) + 60_000))
    reloads = Reloads(settings, open_model(settings), anchors, clock=lambda: now[0])
    reloads.look()
    reloads.take()

    anchors.is_away = True
    now[0] += 60
    reloads.look()

    assert reloads.take()[1].sight.enrolled == ()
    assert values(reloads, "enrolments")["expired",] == 1


def test_a_store_that_cannot_be_seen_is_a_bundle_refused_and_anchors_are_still_read(store):
    """A share that is not mounted must not stop all else."""
    reloads = begun(store.path)
    reloads.look()
    store.path.rename(store.path.with_name("elsewhere"))
    reloads.anchors_of_the_test.write(chatter())

    reloads.look()

    assert values(reloads, "bundle_refused") == {(): 1}
    assert [one.label for one in reloads.take()[1].sight.enrolled] == ["chatter"]


def test_a_candidate_that_was_mended_is_tried(store):
    """Nobody would ask for it a second time."""
    second = store.ids[1]
    now = [0.0]
    weights = store.folder(second) / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(b"no weights")
    settings = Settings(bundle=str(store.path))
    candidate = Candidate(settings, lambda: now[0])
    store.set_shadow(second, **WHO)
    model = open_model(settings)
    candidate.look(model, (), is_changed=False)
    assert candidate.status.failure

    weights.write_bytes(whole)
    now[0] += 3600
    candidate.look(model, (), is_changed=False)

    assert candidate.status.candidate == second
    assert candidate.beside(model.bundle.id) is not None
    assert candidate.beside(second) is None  # what is in use since it took over
    candidate.close()
    assert candidate.status.failure == ""


def test_a_candidate_is_held_to_its_name(store):
    """Reports under a wrong id would prove somebody else."""
    first, second = store.ids
    shutil.rmtree(store.folder(second))
    shutil.copytree(store.folder(first), store.folder(second))
    settings = Settings(bundle=str(store.path))
    candidate = Candidate(settings)
    store.set_shadow(second, **WHO)

    candidate.look(open_model(settings), (), is_changed=False)

    assert first in candidate.status.failure


def test_series_of_what_was_enrolled_go_with_it(store):
    """Whoever may enrol could otherwise fill the memory of Prometheus."""
    reloads = begun(store.path)
    service = make_service(
        *(reloads.model.bundle, reloads.model.encoder, ListSource(), ListSink()),
        reloads=reloads,
    )
    service.step(0)
    before = service.metrics.text().decode().count("\n")

    reloads.anchors_of_the_test.write(chatter())
    reloads.look()
    service.step(0)
    with_it = service.metrics.text().decode()
    reloads.anchors_of_the_test.found.clear()
    reloads.look()
    service.step(0)

    assert 'anchorwatch_events_total{state="chatter",type="onset"} 0.0' in with_it
    assert 'anchorwatch_canaries_total{label="chatter"' not in with_it
    after = service.metrics.text().decode()
    assert "chatter" not in after
    assert after.count("\n") == before
