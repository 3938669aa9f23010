"""Learning: whoever looks on sees each batch as it was judged, and goes along with a reload."""

from collections.abc import Iterable
from dataclasses import replace

import msgspec
import numpy as np

from detector.board import StatusBoard
from detector.bundle import load, save
from detector.config import Drift as DriftSettings
from detector.config import Events, Settings, Silence
from detector.encoder import open_encoder
from detector.enrolment import Act, enrol
from detector.figures import Figure
from detector.learning import Learning, Watched
from detector.message import encode
from detector.oncall.opening import Model, open_view
from detector.source import Message
from detector.status import Status
from tests.detector.oncall.keeping import LiveSource
from tests.fakes import ListSink, WallClock, draft_bundle, make_service, make_spec, make_window
from tests.trained import trained_bundle


class ListStore:
    """Keeps what a capture store is told."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str | None, int]] = []  # link, state, since when
        self.silent: list[str] = []
        self.specs: list[object] = []
        self.closed = 0

    def take(self, windows, verdicts, since_ms) -> None:
        """Note a batch."""
        for window, verdict, since in zip(windows, verdicts, since_ms, strict=True):
            self.taken.append((window.link, verdict.state, since))

    def changed(self, link: str, at_ms: int) -> None:
        """Note who fell silent."""
        self.silent.append(link)

    def use(self, spec: object) -> None:
        """Note what windows are like from now on."""
        self.specs.append(spec)

    def figures(self) -> Iterable[Figure]:
        """Say something."""
        yield Figure("store_bytes", "Size.", {(): 1.0})

    def close(self) -> None:
        """Note that it was closed."""
        self.closed += 1


def feed(service, source, clock, **labels):
    """Let a second pass in which links report."""
    clock.sleep(1)
    spec = make_spec()
    for link, label in labels.items():
        end_ms = round(clock.wall * 1000)
        window = make_window(link, label, start_ms=end_ms - spec.span_ms)
        source.waiting.append(Message("windows", 0, 0, encode([window], spec)))
    source.vitals.contact = clock.wall
    service.step(0)


def test_the_store_sees_each_window_with_its_state_and_who_fell_silent(bundle, encoder):
    """What is around a change is kept, also of one that no window made."""
    store, source, clock = ListStore(), LiveSource(), WallClock()
    service = make_service(
        *(bundle, encoder, source, ListSink()),
        settings={"silence": Silence(least_seconds=3, missed_windows=2), "events": Events()},
        clock=clock,
        learning=Learning(store=store),
    )

    for _ in range(20):
        feed(service, source, clock, a="normal", b="blocked")
    for _ in range(20):
        feed(service, source, clock, b="blocked")

    assert len(store.taken) == 60
    state, since_ms = store.taken[-1][1:]
    assert state == "blocked"
    assert 0 < since_ms < clock.wall * 1000
    assert store.silent == ["a"]


def test_all_go_along_with_another_bundle(bundle, encoder):
    """Files of other features begin anew, and drift is held against another training."""
    store = ListStore()
    drift = Watched(trained_bundle(), DriftSettings())
    learning = Learning(store=store, drift=drift)
    times = learning.statuses["drift"].times

    learning.exchange(open_view(Settings(bundle=""), Model(bundle, encoder)))

    assert times == DriftSettings().times
    assert store.specs == [bundle.manifest.window]
    assert learning.statuses["drift"].times == 0  # this one does not say what its training was
    assert {figure.name for part in learning.figures for figure in part()} > {"store_bytes"}
    learning.close()
    assert store.closed == 1


def test_drift_against_the_same_bundle_counts_on():
    """An anchor that was enrolled makes another sight, and no other training."""
    known = trained_bundle()
    drift = Watched(known, DriftSettings())
    before = drift.status

    drift.use(known)

    assert drift.status is before


def test_a_service_closes_who_looks_on(bundle, encoder):
    """What was to be kept is in a file when the daemon has ended."""
    store, source = ListStore(), LiveSource()
    service = make_service(*(bundle, encoder, source, ListSink()), learning=Learning(store=store))
    service.stop()

    service.run(0)

    assert store.closed == 1


def test_windows_of_other_features_are_read_after_a_reload(bundle, encoder, tmp_path):
    """A bundle that needs less than the one before reads the same messages."""
    spec = make_spec()
    draft = draft_bundle(seed=3)
    keep = [spec.features.index(name) for name in ("response_ms", "answers", "requests")]
    keep.append(spec.features.index("retransmissions"))
    names = tuple(spec.features[place] for place in keep)
    window = msgspec.structs.replace(spec, features=names)
    turned = {
        "anchor_windows": np.ascontiguousarray(draft.anchor_windows[:, :, keep]),
        "golden_windows": np.ascontiguousarray(draft.golden_windows[:, :, keep]),
        "manifest": msgspec.structs.replace(draft.manifest, window=window),
    }
    save(replace(draft, **turned), tmp_path / "turned")
    other = load(tmp_path / "turned")
    source, clock, sink, store = LiveSource(), WallClock(), ListSink(), ListStore()
    service = make_service(
        *(bundle, encoder, source, sink), clock=clock, learning=Learning(store=store)
    )
    feed(service, source, clock, a="blocked")

    model = Model(other, open_encoder(other, "onnxruntime", threads=1))
    service.reloads = Ready(model, open_view(Settings(bundle=""), model))
    feed(service, source, clock, a="blocked")

    assert [one.bundle for one in sink.verdicts] == [bundle.id, other.id]
    assert [one.label for one in sink.verdicts] == ["blocked", "blocked"]
    assert sink.verdicts[1].distance < 0.05
    assert store.specs == [window]


class Ready:
    """Has one thing ready."""

    is_bundle_refused = False

    def __init__(self, model, view) -> None:
        self._ready = (model, view)

    def take(self):
        """Give it once."""
        ready, self._ready = self._ready, None
        return ready


def test_what_is_shown_of_the_daemon_goes_along_with_a_reload(bundle, encoder):
    """Else an operator would look at the budget and the anchors of yesterday."""
    known = trained_bundle()
    window = known.manifest.window
    rows = known.anchor_windows[:1] * np.float32(3)
    act = Act(at_ms=1, who="tests", what="enrolled")
    shown = enrol(label="chatter", link="a", start_ms=1, spec=window, values=rows, act=act)
    source, clock = LiveSource(), WallClock()
    board = StatusBoard(Status(version="", bundle="", now_ms=0))
    service = make_service(*(bundle, encoder, source, ListSink()), clock=clock, board=board)
    feed(service, source, clock, a="normal")
    assert service.standing.tally.budget_a_link_week is None

    model = Model(known, open_encoder(known, "onnxruntime", threads=1))
    service.reloads = Ready(model, open_view(Settings(bundle=""), model, [shown]))
    feed(service, source, clock)

    status = msgspec.json.decode(board.page().body, type=Status)
    assert (status.bundle, status.enrolled) == (known.id, 1)
    assert status.unknown.budget_link_week == 1.0
