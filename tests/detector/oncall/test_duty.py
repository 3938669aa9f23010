"""The service over time, with a real encoder on real traffic that it has not learnt from."""

import dataclasses
from functools import cache

import msgspec
import numpy as np
import pytest

from detector.bundle import Bundle
from detector.config import Canary, Events, Reasons, Settings, Unknown
from detector.encoder import Encoder, open_encoder
from detector.enrolment import Act, enrol
from detector.message import encode
from detector.oncall.opening import Model, open_view
from detector.onnx_engine import OnnxEngine
from detector.source import Message, Move
from detector.window import Window
from tests.detector.oncall.keeping import LiveSource
from tests.fakes import ListSink, WallClock, make_service
from tests.trained import normal_links, trained_bundle, unseen_links


@cache
def trained_encoder() -> Encoder:
    """Give the encoder of the trained bundle."""
    return open_encoder(trained_bundle(), "onnxruntime")


class Life:
    """A service that is fed real rows, a window of every link each second."""

    def __init__(self, bundle: Bundle | None = None, encoder: Encoder | None = None, **settings):
        self.bundle = bundle or trained_bundle()
        self.spec = self.bundle.manifest.window
        self.clock, self.source, self.sink = WallClock(), LiveSource(), ListSink()
        self.service = make_service(
            self.bundle,
            encoder or trained_encoder(),
            self.source,
            self.sink,
            settings={"events": Events(gather_seconds=0), **settings},
            clock=self.clock,
        )

    def feed(self, **windows):
        """Let a second pass in which links send windows' values."""
        self.clock.sleep(1)
        end_ms = round(self.clock.wall * 1000)
        for link, values in windows.items():
            window = Window(link, "probe-1", end_ms - self.spec.span_ms, end_ms, values)
            record = encode([window], self.spec)
            self.source.waiting.append(Message("windows", 0, 0, record))
        self.source.vitals.contact = self.clock.wall
        self.service.step(0)

    def sample(self, name, **labels):
        """Read one number off the metrics."""
        return self.service.metrics.registry.get_sample_value(name, labels)


def live_normal(life, seconds):
    """Feed traffic of links that are well."""
    for second in range(seconds):
        rows = slice(second, second + life.spec.steps)
        life.feed(**{link.link: link.values[rows] for link in normal_links()})


def normal_window(life):
    """Give one window of a link that is well."""
    return normal_links()[0].values[: life.spec.steps]


def run_of(name):
    """Give one unseen link."""
    return next(link for link in unseen_links() if link.run.startswith(name))


def live_run(life, link):
    """Feed every window of a recorded link, a second apart."""
    for start in np.flatnonzero(link.usable(life.spec)):
        life.feed(trunk=link.values[start : start + life.spec.steps])


def test_a_fault_is_told_with_the_reason_in_the_counters_own_units():
    """Who is called at night has to see from one line what the link did."""
    life = Life()
    live_run(life, run_of("d01"))

    onsets = [event for event in life.sink.events if event.type == "onset"]

    assert {event.state for event in onsets} >= {"blocked", "capacity-limited"}
    for event in onsets:
        first = event.reason.split(";")[0]
        assert "/s" in first
        assert "last" in event.reason
        assert "like " in event.reason  # the nearest anchor, the runner-up
        assert event.verdict.reason == event.reason
    blocked = next(event for event in onsets if event.state == "blocked")
    assert any(word in blocked.reason for word in ("stopped", "fell", "retransmissions"))
    # Only what changes a state is explained: the verdicts between are not.
    told = {event.verdict.end_ms for event in life.sink.events if event.verdict}
    assert not any("/s" in v.reason for v in life.sink.verdicts if v.end_ms not in told)


def test_without_time_for_reasons_none_is_given_and_that_is_counted_or_said():
    """Throughput comes first where somebody says so; nothing is dropped without a word."""
    off, hurried = Life(reasons=Reasons(seconds=0)), Life(reasons=Reasons(seconds=1e-9))
    for life in (off, hurried):
        live_run(life, run_of("d01"))

    for life in (off, hurried):
        onset = next(event for event in life.sink.events if event.type == "onset")
        assert onset.reason.startswith("like ")
    assert off.sample("anchorwatch_reasons_skipped_total") == 0
    assert hurried.sample("anchorwatch_reasons_skipped_total") > 0


def strangest(life, tries=200):
    """Find a window that is as strange as can be to the bundle."""
    rng = np.random.default_rng(0)
    shape = life.spec.shape
    windows = np.stack(
        [
            (rng.choice([0, 3, 200], (1, shape[1])) * rng.random(shape)).astype(np.float32)
            for _ in range(tries)
        ]
    )
    points = trained_encoder().embed(windows)
    scores = life.bundle.known.scores(points)
    return windows[int(scores.argmax())], float(scores.max())


def with_budget_line(bundle, threshold):
    """Give the bundle with a tail that puts the threshold of a budget of 1 where it is wanted."""
    known = bundle.known
    tail = msgspec.structs.replace(
        known.calibration.tail, threshold=threshold, events=12, hours=100.0, shape=0.1
    )
    calibration = msgspec.structs.replace(known.calibration, tail=tail, faults={})
    return dataclasses.replace(
        bundle,
        manifest=msgspec.structs.replace(bundle.manifest, known=calibration),
        known=dataclasses.replace(known, calibration=calibration),
    )


@pytest.mark.parametrize(
    ("unknown", "is_unknown"),
    [
        (Unknown(), True),
        (Unknown(enabled=False), False),
        (Unknown(false_alarms_a_link_week=1e-9), False),
    ],
)
def test_what_is_like_nothing_known_is_called_unknown_within_the_budget(unknown, is_unknown):
    """Nearest anchor alone always answers with a known name; an engineer would say so if not."""
    probe = Life()
    window, score = strangest(probe)
    bundle = with_budget_line(trained_bundle(), score / 2.5)
    life = Life(bundle, unknown=unknown)
    normal = normal_window(life)
    for _ in range(20):
        life.feed(trunk=normal)
    for _ in range(20):
        life.feed(trunk=window)

    states = [event.state for event in life.sink.events if event.type == "onset"]
    assert ("unknown" in states) == is_unknown
    last = life.sink.verdicts[-1]
    assert (last.label == "unknown") == is_unknown
    assert life.sample("anchorwatch_unknown_onsets_total") == is_unknown
    if is_unknown:
        assert last.strangeness > 1
        assert "unlike anything known" in last.reason
        assert last.distances.keys() == set(bundle.labels)
    if unknown.enabled:
        budget = life.sample("anchorwatch_unknown_budget_per_link_week")
        assert budget == unknown.false_alarms_a_link_week
    else:
        assert life.sample("anchorwatch_unknown_budget_per_link_week") is None
        assert last.strangeness == 0


def test_canaries_are_found_and_nothing_of_them_is_told_of_real_links():
    """A drill must be noticed by who drills, and by nobody else."""
    life = Life(canary=Canary(every_seconds=3))
    live_normal(life, 300)

    for label in ("blocked", "capacity-limited"):
        assert life.sample("anchorwatch_canary_recall", label=label) >= 0.8
        assert 2 <= life.sample("anchorwatch_canary_delay_seconds", label=label) <= 12
        assert life.sample("anchorwatch_canaries_total", label=label, outcome="found") >= 5
    assert life.sample("anchorwatch_canaries_enabled") == 1
    fed = 300 * len(normal_links())
    assert len(life.sink.verdicts) == fed
    windows = "anchorwatch_windows_total"
    assert sum(life.sample(windows, label=label) for label in life.bundle.labels) == fed
    # Links that are well stay well, whatever is planted in copies of their windows.
    plain = Life(canary=Canary(every_seconds=0))
    live_normal(plain, 300)
    assert [v.label for v in plain.sink.verdicts] == [v.label for v in life.sink.verdicts]
    assert [v.state for v in plain.sink.verdicts] == [v.state for v in life.sink.verdicts]
    assert plain.sample("anchorwatch_canaries_enabled") == 0


def test_only_so_many_canaries_live_at_once():
    """What a self-test may cost is a setting."""
    most = []
    for at_once in (1, 5):
        life = Life(canary=Canary(every_seconds=0.1, at_once=at_once))
        sizes = []
        for second in range(90):
            rows = slice(second, second + life.spec.steps)
            life.feed(**{link.link: link.values[rows] for link in normal_links()})
            sizes.append(len(life.service.duty.canaries))
        most.append(max(sizes))

    assert most[0] == 1
    assert 1 < most[1] <= 5


def garbage(bundle, seed):
    """Make a bundle and an encoder whose weights are the real ones in any order.

    Such a bundle passes every check: its anchors and golden windows were embedded by it.
    """
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.permutation(value.ravel()).reshape(value.shape)
        for name, value in sorted(bundle.weights.items())
    }
    manifest = bundle.manifest
    engine = OnnxEngine(manifest.architecture, weights, manifest.window.steps)
    encoder = Encoder(trained_encoder().inputs, engine, manifest.architecture.embedding)
    made = dataclasses.replace(
        bundle,
        weights=weights,
        anchor_embeddings=encoder.embed(bundle.anchor_windows),
        golden_embeddings=encoder.embed(bundle.golden_windows),
    )
    return made, encoder


def test_a_bundle_of_garbage_trips_the_metric_within_minutes():
    """A detector that has gone blind must be noticed before the fault that it misses."""
    life = Life(*garbage(trained_bundle(), seed=0), canary=Canary(every_seconds=3))
    live_normal(life, 300)

    recalls = [
        life.sample("anchorwatch_canary_recall", label=label)
        for label in ("blocked", "capacity-limited")
    ]

    assert min(recall for recall in recalls if recall is not None) < 0.7  # as the alert says


def test_a_fault_of_seven_days_stays_that_fault_through_the_whole_service():
    """Neither a drift of what is usual nor the canaries may make it the new normal."""
    life = Life()
    normal = normal_window(life)
    anchor = life.bundle.anchor_windows[life.bundle.labels.index("blocked")]
    for _ in range(20):
        life.feed(trunk=normal, other=normal)
    usual = life.service.duty.roster.usual.of(["trunk"]).copy()
    for _ in range(0, 7 * 24 * 60, 4):  # minutes; one window stands for four
        life.clock.sleep(4 * 60 - 1)
        life.feed(trunk=anchor, other=normal)

    state = life.service.duty.roster.steady.links["trunk"]
    told = [(e.type, e.state) for e in life.sink.events if e.link == "trunk"]
    assert state.label == "blocked"
    assert told == [("onset", "blocked")]
    assert state.last_ms - state.since_ms > 6.9 * 86_400_000
    np.testing.assert_array_equal(life.service.duty.roster.usual.of(["trunk"]), usual)


def test_windows_of_a_partition_that_just_left_are_not_judged_here():
    """They are judged where it went; twice told is a false alarm."""
    life = Life()
    window = normal_window(life)
    life.feed(trunk=window)
    life.source.vitals.moves.append(Move(("windows", 0), is_gained=False))

    life.feed(trunk=window)

    assert len(life.sink.verdicts) == 1
    assert life.service.duty.roster.steady.links == {}


def test_canaries_are_found_after_an_anchor_was_enrolled_as_before():
    """Their states go by the same labels as those of the real links, whatever is enrolled."""
    life = Life(canary=Canary(every_seconds=1))
    live_normal(life, 60)
    recall = life.service.duty.canaries.recall
    before = sum(score.outcomes["found"] for score in recall.scores().values())
    values = normal_window(life)[None] * np.float32(50)
    act = Act(at_ms=1, who="tests", what="enrolled")
    shown = enrol(label="a-new-one", link="a", start_ms=1, spec=life.spec, values=values, act=act)
    settings = Settings(bundle="", canary=Canary(every_seconds=1))

    view = open_view(settings, Model(life.bundle, trained_encoder()), [shown])
    life.service.duty.exchange(view)
    live_normal(life, 60)

    assert life.service.duty.canaries.recall is recall
    scores = recall.scores()
    assert sum(score.outcomes["found"] for score in scores.values()) > before > 0
    assert all(score.recall is None or score.recall > 0.8 for score in scores.values())
