"""Canaries: what is planted where and when, what becomes of it, and that no real link knows."""

import copy
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import training
from detector.anchors import AnchorSet
from detector.encoder import Encoder, open_encoder
from detector.oncall.canary import QUIET_SECONDS, Canaries
from detector.oncall.difference import difference
from detector.onnx_engine import OnnxEngine
from detector.state import NORMAL, SILENT, UNKNOWN, Said, Steady, sayings
from detector.window import Window
from tests.fakes import ANSWERED, NOON_MS, make_rows, make_spec
from tests.trained import normal_links, trained_bundle

SPEC = make_spec()  # four steps of a second
SPAN = SPEC.steps
LABELS = tuple(sorted(ANSWERED))  # blocked, capacity-limited, normal
FAULTS = LABELS[:2]


def fault_rows(label):
    """Make the rows of a fault, whose retransmissions are 101, 102, 103, 104."""
    rows = make_rows(label, SPAN)
    rows[:, 2] = range(101, 101 + SPAN)
    return rows


DIFFERENCES = [
    difference(label, make_rows("normal", 1)[0], fault_rows(label), SPEC) for label in FAULTS
]


def seeing(window):
    """Name a window by what share of its newest row's requests is answered."""
    requests, answers = window.values[-1, :2]
    share = answers / requests if requests else 1.0
    return min(ANSWERED, key=lambda label: abs(ANSWERED[label] - share))


def blind(_window):
    """Name everything normal."""
    return NORMAL


def mistaken(window):
    """Take every fault for another."""
    return NORMAL if seeing(window) == NORMAL else "capacity-limited"


class Desk:
    """A daemon's judging, with any function from a window to a label for encoder and anchors."""

    def __init__(self, name=seeing, differences=DIFFERENCES, **changes):
        self.name, self.now = name, 0.0
        self.steady, self.private = Steady(LABELS), Steady(LABELS)
        self.canaries = Canaries(
            differences, SPEC, self.private, **{"every_seconds": 1e6} | changes
        )
        self.copies, self.results = [], []

    def take(self, *windows):
        """Judge one batch."""
        self.copies = self.canaries.plant(windows, self.steady.links, self.now)
        for window in windows:
            self.steady.push(window.link, self._say(window), source=window.source)
        said = [self._say(window) for window in self.copies]
        self.results += self.canaries.judge(said, self.steady.links)

    def _say(self, window):
        place = LABELS.index(self.name(window))
        shares = [0.1 if one == place else 0.9 for one in range(len(LABELS))]
        return Said(window.end_ms, SPEC.span_ms, place, shares)

    def know(self, *links, label=NORMAL, seconds=60):
        """Let links have had a label for so long; their next window ends at noon."""
        for link in links:
            state = self.steady.link(link)
            self.steady.turn(state, label, NOON_MS - seconds * 1000, NOON_MS - seconds * 1000)
            state.last_ms = NOON_MS - 1000

    @property
    def outcomes(self):
        """Give what became of the canaries so far."""
        return [result.outcome for result in self.results]


def window_at(seconds, link="trunk-1", load=100.0, values=None):
    """Make a normal window that ends so long after noon."""
    end_ms = NOON_MS + round(seconds * 1000)
    values = make_rows("normal", SPAN, load) if values is None else values
    return Window(link, "probe-1", end_ms - SPEC.span_ms, end_ms, values)


def planted_desk(name=seeing, **changes):
    """Make a desk with a canary (of `blocked`, the first in turn) planted in `trunk-1` at noon."""
    desk = Desk(name, **changes)
    desk.know("trunk-1")
    desk.take(window_at(0))
    assert len(desk.canaries) == 1
    assert desk.copies == []
    return desk


def test_the_fault_grows_into_the_window_behind_the_live_rows():
    """The encoder has to see the change as it would see a real one."""
    desk = planted_desk(blind)
    repeated = []

    for second in range(1, 7):
        live = make_rows("normal", SPAN, 100.0 + second)
        desk.take(window_at(second, values=live))
        (copied,) = desk.copies
        assert (copied.link, copied.end_ms) == ("trunk-1", NOON_MS + second * 1000)
        is_live = (copied.values == live).all(axis=1)
        assert (is_live != (copied.values[:, 1] == 0)).all()
        repeated.append(copied.values[:, 2].tolist())

    assert repeated == [
        [0, 0, 0, 101],
        [0, 0, 101, 102],
        [0, 101, 102, 103],
        [101, 102, 103, 104],
        [102, 103, 104, 103],  # the second half of the recording again
        [103, 104, 103, 104],
    ]


def test_a_fault_begins_at_the_end_of_its_links_newest_window():
    """Windows of a batch come in any order, and a fault in the past would have been seen."""
    desk = Desk()
    desk.know("trunk-1")

    desk.take(window_at(1), window_at(3), window_at(0), window_at(2))
    desk.take(*[window_at(second) for second in range(4, 9)])

    assert desk.outcomes == ["found"]
    assert desk.results[0].planted_ms == NOON_MS + 3000


def test_the_windows_given_stay_as_they_are():
    """A canary that reached a real verdict would wake somebody."""
    desk = planted_desk(blind)
    windows = [window_at(second) for second in (1, 2, 3)]
    before = copy.deepcopy(windows)

    desk.take(*windows)

    assert len(desk.copies) == 3
    for one, other, copied in zip(windows, before, desk.copies, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert not np.shares_memory(one.values, copied.values)


@pytest.mark.parametrize("hop", [1, 2, 0.5, 4])
def test_the_delay_is_from_the_planted_fault_to_the_window_that_settled_it(hop):
    """It is compared with the delay that is promised, whatever the exporter's hop."""
    desk = planted_desk()
    seconds = 0.0

    while not desk.results:
        seconds += hop
        desk.take(window_at(seconds))

    (result,) = desk.results
    assert (result.label, result.link, result.outcome) == ("blocked", "trunk-1", "found")
    assert result.planted_ms == NOON_MS
    assert result.delay_seconds == seconds
    assert 1 < seconds <= 8
    assert len(desk.canaries) == 0
    assert desk.canaries.recall.scores()["blocked"].outcomes["found"] == 1


@pytest.mark.parametrize(("name", "outcome"), [(blind, "missed"), (mistaken, "renamed")])
def test_a_fault_that_is_not_found_within_two_windows_lengths_is_not_waited_for(name, outcome):
    """That it was taken for another fault is another thing to mend than that it wasn't seen."""
    desk = planted_desk(name)

    for second in range(1, 2 * SPAN):
        desk.take(window_at(second))
        assert desk.results == []
        assert len(desk.copies) == 1
    desk.take(window_at(2 * SPAN))

    assert desk.outcomes == [outcome]
    assert desk.results[0].delay_seconds is None
    desk.take(window_at(2 * SPAN + 1))
    assert desk.copies == []


def test_one_that_is_taken_for_another_fault_at_first_is_found_once_it_has_its_own_name():
    """So are real ones: a queue that fills looks like a limit before it is a block."""
    desk = planted_desk(mistaken)

    desk.take(*[window_at(second) for second in range(1, 5)])
    desk.name = seeing
    desk.take(*[window_at(second) for second in range(5, 9)])

    assert desk.outcomes == ["found"]
    assert desk.results[0].delay_seconds > 4


def test_the_last_window_of_its_time_still_counts_and_a_later_one_does_not():
    """Gaps between windows must not make the time longer."""
    at_last, too_late = planted_desk(blind), planted_desk(blind)

    for desk in (at_last, too_late):
        desk.take(*[window_at(second) for second in (1, 2, 3, 6)])
        desk.name = seeing
    at_last.take(window_at(7), window_at(8))
    too_late.take(window_at(9), window_at(10))

    assert at_last.outcomes == ["found"]
    assert too_late.outcomes == ["missed"]
    assert too_late.copies == []


def leave(desk):
    """Let the link's state change for real."""
    desk.steady.turn(desk.steady.links["trunk-1"], "blocked", NOON_MS + 2000, NOON_MS)
    desk.take(window_at(3))


def vanish(desk):
    """Let the link be forgotten."""
    del desk.steady.links["trunk-1"]
    desk.take()


def fall_quiet(desk):
    """Let nothing come of it while others go on."""
    desk.now += QUIET_SECONDS + 1
    desk.take(window_at(60, "trunk-2"))


def leave_a_gap(desk):
    """Let it come back after longer than a window."""
    desk.take(window_at(1 + SPAN + 1))


@pytest.mark.parametrize("go", [leave, vanish, fall_quiet, leave_a_gap])
def test_a_link_that_is_not_there_or_not_well_any_more_voids_its_canary(go):
    """Nobody can tell then; counted as missed it would cry wolf about the detector."""
    desk = planted_desk(blind)
    desk.take(window_at(1))

    go(desk)

    assert desk.outcomes == ["void"]
    assert len(desk.canaries) == 0
    assert desk.private.links == {}


def test_a_short_pause_of_the_whole_daemon_voids_nothing():
    """The windows of the time in between come all at once then."""
    desk = planted_desk()
    desk.now += QUIET_SECONDS + 1

    desk.take(*[window_at(second) for second in range(1, 5)])

    assert desk.outcomes == ["found"]


def test_windows_of_a_batch_may_come_in_any_order_and_twice():
    """A batch is whatever was read: several windows of a link, a second delivery among them."""
    ordered, mixed = planted_desk(), planted_desk()
    windows = [window_at(second) for second in range(1, 7)]
    again = [*windows, window_at(0), windows[2]]
    random.Random(1).shuffle(again)

    for window in windows:
        ordered.take(window)
    mixed.take(*again)

    assert ordered.results == mixed.results
    assert mixed.outcomes == ["found"]
    ends = [window.end_ms for window in mixed.copies]
    assert ends == sorted(set(ends)) == [window.end_ms for window in windows]


def test_what_the_exporter_did_not_report_it_does_not_report_of_a_fault():
    """Or a gap, which every encoder has to bear, would be mended by the fault."""
    desk = planted_desk(blind)
    live = make_rows("normal", SPAN)
    live[2] = np.nan
    live[3, 0] = np.nan

    desk.take(*[window_at(second) for second in (1, 2, 3)], window_at(4, values=live))

    values = desk.copies[-1].values
    assert np.isnan(values[2]).all()
    assert np.isnan(values[3]).tolist() == [True, False, False, True]  # no answer, no time
    assert values[:2, 1].tolist() == [0, 0]


@pytest.mark.parametrize(
    "know",
    [
        lambda desk: desk.know("trunk-1", label="blocked"),
        lambda desk: desk.know("trunk-1", label=UNKNOWN),
        lambda desk: desk.know("trunk-1", label=SILENT),
        lambda desk: desk.know("trunk-1", seconds=30),  # what was held back comes at once
        lambda desk: desk.steady.link("trunk-1"),  # not settled yet
        lambda _: None,  # never heard of
    ],
)
def test_nothing_is_planted_where_it_would_not_be_the_only_fault(know):
    """What a fault in a fault looks like nobody has recorded."""
    desk = Desk()
    know(desk)

    desk.take(window_at(0))

    assert len(desk.canaries) == 0
    assert desk.results == []


@pytest.mark.parametrize("values", [np.zeros((SPAN, 4)), np.full((SPAN, 4), np.nan)])
def test_nothing_is_planted_where_nothing_flows(values):
    """There a blocked link looks like any other, and a canary missed says nothing."""
    desk = Desk()
    desk.know("trunk-1")

    desk.take(window_at(0, values=values.astype(np.float32)))

    assert len(desk.canaries) == 0


def test_a_window_that_is_no_news_is_not_planted_in():
    """A repeat's end has passed: the link's state is already beyond it."""
    desk = Desk()
    desk.know("trunk-1")
    desk.steady.links["trunk-1"].last_ms = NOON_MS

    desk.take(window_at(0))

    assert len(desk.canaries) == 0


def test_a_link_that_fails_in_the_very_batch_in_which_it_was_chosen_is_given_up():
    """Its state is known only once the batch is judged."""
    desk = Desk()
    desk.know("trunk-1")
    blocked = make_rows("blocked", SPAN)

    desk.take(*[window_at(second, values=blocked) for second in (0, 1, 2, 3)])

    assert desk.steady.links["trunk-1"].label == "blocked"
    assert desk.outcomes == ["void"]


def test_where_nothing_that_was_recorded_is_alike_the_next_label_has_its_turn():
    """One label without a difference for the traffic must not keep the others from theirs."""
    strange = difference(
        "blocked", np.array([0, 0, 5, 1], "f4"), np.zeros((SPAN, 4), np.float32), SPEC
    )
    desk = Desk(differences=[strange, DIFFERENCES[1]])
    desk.know("trunk-1")

    desk.take(window_at(0))
    before = len(desk.canaries)
    desk.take(*[window_at(second) for second in range(1, 8)])
    desk.take(*[window_at(second) for second in range(8, 14)])

    assert before == 0
    assert [result.label for result in desk.results] == ["capacity-limited"]


def test_without_recorded_faults_nothing_is_planted():
    """A bundle may have none."""
    desk = Desk(differences=[])
    desk.know("trunk-1")

    desk.take(window_at(0))

    assert len(desk.canaries) == 0
    assert desk.canaries.recall.scores() == {}


LINKS = [f"trunk-{number}" for number in range(12)]


def live(desk, seconds, links=LINKS):
    """Let links live through seconds; give how many canaries lived and copies came in each."""
    living, copies = [], []
    for second in range(seconds):
        desk.now = float(second)
        desk.take(*[window_at(second, link) for link in links])
        living.append(len(desk.canaries))
        copies.append(len(desk.copies))
    return living, copies


def test_one_begins_every_so_often_and_the_labels_take_turns():
    """The rate is what a self-test may cost, and each label's recall needs its share."""
    desk = Desk(every_seconds=10.0)
    desk.know(*LINKS)

    live(desk, 200)

    begun = sorted((result.planted_ms - NOON_MS) / 1000 for result in desk.results)
    assert begun == [10.0 * number for number in range(len(begun))]
    assert len(begun) >= 19
    counts = Counter(result.label for result in desk.results)
    assert abs(counts["blocked"] - counts["capacity-limited"]) <= 1
    assert len({result.link for result in desk.results}) > 5


@pytest.mark.parametrize("most", [1, 3])
def test_there_are_never_more_than_allowed_and_none_shares_a_link(most):
    """What it costs is bounded, however fast it is asked for."""
    desk = Desk(blind, every_seconds=0.0, most=most)
    desk.know(*LINKS)

    living, copies = live(desk, 60)

    assert max(living) == max(copies) == most
    # None waits longer than two windows' lengths: a slot is used again and again.
    assert len(desk.results) >= most * (60 // (2 * SPAN + 1) - 1)
    assert set(desk.outcomes) == {"missed"}


def test_no_more_begin_than_there_are_links_to_plant_in():
    """Two faults in one copy would be a third."""
    desk = Desk(blind, every_seconds=0.0)
    desk.know("trunk-1", "trunk-2")

    living, _ = live(desk, 20, ["trunk-1", "trunk-2", "trunk-3"])

    assert max(living) == 2
    assert desk.outcomes == ["missed"] * 4


@given(st.sampled_from([seeing, blind, mistaken]), st.integers(0, 2**32 - 1))
def test_real_links_are_as_they_would_be_without_canaries(name, seed):
    """Nothing that is made up may show in a state, an event or a verdict."""
    rng = random.Random(seed)
    alone = Desk(name, differences=[])
    beside = Desk(name, every_seconds=1.0, seed=seed)
    for desk in (alone, beside):
        desk.know(*LINKS)

    for second in range(40):
        links = rng.sample(LINKS, 8)
        labels = [rng.choice([*["normal"] * 5, "blocked"]) for _ in links]
        for desk in (alone, beside):
            desk.now = float(second)
            desk.take(
                *[
                    window_at(second, link, values=make_rows(label, SPAN))
                    for link, label in zip(links, labels, strict=True)
                ]
            )

    assert beside.steady.links == alone.steady.links
    assert beside.results
    assert len(beside.private.links) == len(beside.canaries)  # nothing is left of those that ended


def test_the_same_seed_plants_the_same():
    """A replayed day is to give the same numbers."""
    one, other = (Desk(every_seconds=1.0, seed=3) for _ in range(2))
    for desk in (one, other):
        desk.know(*LINKS)
        live(desk, 30)

    assert one.results == other.results != []


# With a real encoder, on traffic of another laboratory than it has learnt from.
LAB_1 = Path(training.__file__).parent / "recordings" / "lab-1"
SECONDS = 600  # ten minutes of traffic


def watch(bundle, encoder, seed=0, seconds=SECONDS):
    """Let a daemon watch normal links with its default settings, and give its scores."""
    spec = bundle.manifest.window
    anchors = AnchorSet(encoder.embed(bundle.anchor_windows), bundle.labels)
    steady = Steady(anchors.labels)
    differences = bundle.canaries.differences(spec)
    canaries = Canaries(differences, spec, Steady(anchors.labels), seed=seed)
    for second in range(seconds):
        windows = [
            Window(
                link.link,
                "lab-1",
                link.start_ms + second * 1000,
                link.start_ms + second * 1000 + spec.span_ms,
                link.values[second : second + spec.steps],
            )
            for link in normal_links()
        ]
        copies = canaries.plant(windows, steady.links, float(second))
        values = np.stack([window.values for window in (*windows, *copies)])
        ends_ms = [window.end_ms for window in (*windows, *copies)]
        said = list(sayings(anchors.classify(encoder.embed(values)), ends_ms, spec.span_ms))
        for window, one in zip(windows, said, strict=False):
            steady.push(window.link, one)
        canaries.judge(said[len(windows) :], steady.links)
    return canaries.recall.scores()


def test_planted_faults_are_found_on_links_that_the_encoder_has_never_seen():
    """A self-test that fails while all is well gets switched off.

    Found were all of 56 in ten minutes, 5 s after they were planted; in 3,000 planted in left-out
    runs of what the default recipe had learnt, .999 of the blocked and .995 of the limited.
    """
    bundle = trained_bundle()

    scores = watch(bundle, open_encoder(bundle, "onnxruntime"))

    assert list(scores) == ["blocked", "capacity-limited"]
    for score in scores.values():
        assert sum(score.outcomes.values()) >= 25
        assert score.outcomes["void"] <= 2
        assert score.recall >= 0.9
        assert 2 <= score.delay_seconds <= 10


def with_garbage_weights(bundle, seed):
    """Make an encoder of a bundle's weights in any order: same shapes, same numbers, no sense."""
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.permutation(value.ravel()).reshape(value.shape)
        for name, value in sorted(bundle.weights.items())
    }
    healthy = open_encoder(bundle, "onnxruntime")
    architecture = bundle.manifest.architecture
    engine = OnnxEngine(architecture, weights, bundle.manifest.window.steps)
    return Encoder(healthy.inputs, engine, architecture.embedding)


def test_garbage_weights_trip_the_canaries_within_minutes():
    """Such a bundle loads, passes its self-test and calls what is normal normal.

    Anchors are embedded by the garbage itself, as they would be by a training gone wrong; even
    then random features tell some faults from normal, so no single seed is sure to trip. Of 24
    (a third shuffled as here, the others drawn) 22 did within 160 s, of which 35 pass until links
    count as settled; one took nine minutes, and one went unnoticed for ten.
    """
    bundle = trained_bundle()
    tripped = []

    for seed in range(8):
        scores = watch(bundle, with_garbage_weights(bundle, seed), seed, seconds=300)
        recalls = [score.recall for score in scores.values() if score.recall is not None]
        tripped.append(min(recalls, default=1.0) < 0.5)

    assert sum(tripped) >= 5
