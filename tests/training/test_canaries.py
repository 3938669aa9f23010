"""Which recorded faults a bundle takes along: real changes, recognised on other runs' traffic."""

import numpy as np
import pytest

from detector.anchors import AnchorSet
from detector.capture import SHIPPED, read_links
from detector.encoder import open_encoder
from detector.window import WindowSpec
from tests.trained import trained_bundle, unseen_links
from tests.training.captures import START_MS, make_link
from training.canaries import (
    CANDIDATES,
    FEWEST,
    MOST,
    TRIED_ON,
    changes,
    choose,
    expected_recall,
    named_right,
    normal_windows,
)
from training.labelled import LabelledWindows

FEATURES = ("requests", "answers", "fwd_bytes")
SPEC = WindowSpec(FEATURES, steps=6, step_ms=1000)
ANSWERED = {"normal": 1.0, "capacity-limited": 0.5, "blocked": 0.0, None: 0.5}


class ByAnswers:
    """An encoder that sees which share of the requests was answered in a window."""

    def embed(self, windows):
        """Embed windows: (batch, steps, features) to (batch, 1)."""
        sums = windows.sum(axis=1)
        return (sums[:, 1:2] / np.maximum(sums[:, :1], 1)).astype(np.float32)


ANCHORS = AnchorSet(np.array([[0.0], [0.5], [1.0]]), ("blocked", "capacity-limited", "normal"))


def make_run(labels, name="run-1/access", load=10.0, kinds=None, answered=ANSWERED, size=100.0):
    """Make a link of a row a second, in which each label has its share of answers."""
    rows = [[load, load * answered[label], load * size] for label in labels]
    return make_link(labels, np.array(rows, np.float32), name=name, kinds=kinds)


def changing(label="blocked", number=1, *, gap=1, **changes):
    """Make a run of 20 normal rows, *gap* rows without a label, and a fault of 20."""
    labels = ["normal"] * 20 + [None] * gap + [label] * (20 - gap)
    return make_run(labels, f"run-{number}/access", **changes)


def pure(links):
    """Give the windows of one label throughout."""
    return LabelledWindows(links, SPEC, tail=SPEC.steps)


def test_a_change_is_taken_with_the_rows_before_it_and_those_from_it_on():
    """The first rows have no label, and are the ones that say how a fault begins."""
    link = changing(gap=2, kinds=["fine"] * 21 + ["cable"] * 19)
    link.values[:, 2] = np.arange(40)

    (found,) = changes([link], SPEC)

    assert (found.canary.label, found.canary.kind) == ("blocked", "cable")
    assert (found.canary.link, found.canary.start_ms) == ("run-1/access", START_MS + 20_000)
    assert found.before.tolist() == [10, 10, np.mean(np.arange(8, 20))]
    np.testing.assert_array_equal(found.after, link.values[20:26])
    assert found.difference.label == "blocked"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["normal"] * 6 + ["blocked"] * 6, 1),
        (["normal"] * 5 + ["blocked"] * 6, 0),
        (["normal"] * 6 + ["blocked"] * 5, 0),
        (["normal"] * 6 + [None] * 2 + ["blocked"] * 4, 1),
        (["normal"] * 6 + [None] * 3 + ["blocked"] * 9, 0),  # another fault may be in there
        (["normal"] * 9 + ["blocked"] * 3 + [None] + ["blocked"] * 9, 0),
        (["capacity-limited"] * 9 + ["blocked"] * 9, 0),
        (["blocked"] * 9 + ["normal"] * 9, 0),
        (["blocked"] * 9, 0),
        (["normal"] * 6 + ["blocked"] * 6 + ["normal"] * 6 + ["capacity-limited"] * 6, 2),
    ],
)
def test_only_from_normal_and_only_where_both_sides_can_be_seen(labels, expected):
    """What else may be in the rows would be planted with the fault, and named after it."""
    assert len(changes([make_run(labels)], SPEC)) == expected


def test_what_is_usual_is_not_taken_from_before_another_fault():
    """The rows before are all normal, though there be fewer of them."""
    labels = ["blocked"] * 6 + ["normal"] * 8 + ["blocked"] * 6

    (found,) = changes([make_run(labels)], SPEC)

    assert found.before.tolist() == [10, 10, 1000]


@pytest.mark.parametrize("rows", [slice(13, 20), slice(20, 26)])
def test_rows_that_were_not_observed_are_no_difference(rows):
    """A gap in the recording is no fault."""
    link = changing()
    link.values[rows, 1] = np.nan

    assert changes([link], SPEC) == []


def test_a_fault_that_is_not_recognised_on_other_runs_is_not_taken():
    """Many a limit hardly binds: missed it would say that the detector is blind, and it isn't."""
    weak = ANSWERED | {"blocked": 0.9, None: 0.9}
    good = [changing(number=number) for number in range(4)]
    bad = [changing(number=number, answered=weak) for number in range(4, 8)]

    chosen = choose(pure([*good, *bad]), ByAnswers(), ANCHORS, 0)

    assert {one.link for one in chosen.canaries} == {link.link for link in good}
    assert choose(pure(bad), ByAnswers(), ANCHORS, 0) is None


def test_where_few_are_recognised_nearly_always_the_best_are_taken():
    """A label that is hard to tell is the one to have an eye on."""

    class ByAnswersSometimes(ByAnswers):
        def embed(self, windows):
            """See nothing of every third window."""
            points = super().embed(windows)
            points[::3] = 1.0
            return points

    links = [changing(number=number) for number in range(6)]

    chosen = choose(pure(links), ByAnswersSometimes(), ANCHORS, 0)

    assert len(chosen.canaries) == FEWEST


def test_each_kind_has_as_many_as_there_is_room_and_the_traffic_is_spread():
    """Twelve of the most frequent mechanism would test one; and a link needs one that is alike."""
    common = [changing(number=n, kinds=["x"] * 20 + ["cable"] * 20, size=100.0) for n in range(20)]
    odd = [changing(number=20, kinds=["x"] * 20 + ["cable"] * 20, size=90_000.0)]
    rare = [changing(number=n, kinds=["x"] * 20 + ["route"] * 20) for n in range(21, 24)]
    limits = [changing("capacity-limited", number=n) for n in range(24, 27)]

    chosen = choose(pure([*common, *odd, *rare, *limits]), ByAnswers(), ANCHORS, 0)

    blocked = [one for one in chosen.canaries if one.label == "blocked"]
    assert len(blocked) == MOST
    assert sum(one.kind == "route" for one in blocked) == 3
    assert "run-20/access" in {one.link for one in blocked}
    assert sum(one.label == "capacity-limited" for one in chosen.canaries) == 3
    assert chosen.before.shape == (MOST + 3, 3)
    assert chosen.after.shape == (MOST + 3, 6, 3)
    chosen.check(SPEC, ANCHORS.labels)


def test_the_same_seed_chooses_the_same_however_many_changes_there_are():
    """Same captures, same seed: same bundle; and a year of captures takes no day."""

    class Counting(ByAnswers):
        calls = 0

        def embed(self, windows):
            """Count."""
            self.calls += 1
            return super().embed(windows)

    windows = pure([changing(number=number) for number in range(CANDIDATES + 9)])
    encoder = Counting()

    one, same = (choose(windows, encoder, ANCHORS, 0) for _ in range(2))

    assert one.canaries == same.canaries
    assert encoder.calls == 2 * CANDIDATES


def test_a_fault_is_not_tried_on_the_run_it_is_from():
    """There it fits by itself."""
    (one,) = changes([changing(number=1)], SPEC)
    other = make_run(["normal"] * 20, "run-2/access").values[:6]

    assert named_right(one, [("run-1", other)], ByAnswers(), ANCHORS) == 0
    assert named_right(one, [("run-1", other), ("run-2", other)], ByAnswers(), ANCHORS) == 1


def test_faults_are_tried_on_normal_windows_of_all_runs_that_have_traffic():
    """The longest run must not decide alone, nor one in which there is nothing to lose."""
    long = make_run(["normal"] * 500, "long/access")
    short = make_run(["normal"] * 60 + ["blocked"] * 60, "short/access")
    idle = make_run(["normal"] * 100, "idle/access", load=0.0)

    drawn = normal_windows(pure([long, short, idle]), TRIED_ON, 0)

    runs = [run for run, _ in drawn]
    assert set(runs) == {"long", "short"}
    assert runs.count("long") == pytest.approx(runs.count("short"), abs=2)
    assert all((values[:, 1] == 10).all() for _, values in drawn)


def test_the_expected_recall_is_the_share_named_right_on_other_traffic():
    """It is what a daemon's canaries are held against on the first day."""
    weak = ANSWERED | {"blocked": 0.9, None: 0.9}
    both = [changing(), changing(number=2), changing("capacity-limited", number=3)]
    recorded = choose(pure(both), ByAnswers(), ANCHORS, 0)
    quiet = pure([changing(number=7)])

    full = expected_recall(recorded, quiet, ByAnswers(), ANCHORS, 0)
    (missed,) = changes([changing(answered=weak)], SPEC)
    recorded.after[0] = missed.after
    half = expected_recall(recorded, quiet, ByAnswers(), ANCHORS, 0)
    none = expected_recall(recorded, pure([make_run(["blocked"] * 9)]), ByAnswers(), ANCHORS, 0)

    assert full == {"blocked": 1.0, "capacity-limited": 1.0}
    assert half == {"blocked": 0.5, "capacity-limited": 1.0}
    assert none == {}


def test_a_trained_bundle_takes_along_real_faults_of_the_runs_it_learnt_from():
    """An operator who looks one up in the capture must find the very rows."""
    bundle = trained_bundle()
    spec = bundle.manifest.window
    links = {link.link: link for link in read_links([SHIPPED], spec)}
    rows = zip(bundle.manifest.canaries, bundle.canaries.after, strict=True)

    for canary, after in rows:
        link = links[canary.link]
        row = (canary.start_ms - link.start_ms) // link.step_ms
        np.testing.assert_array_equal(link.values[row : row + spec.steps], after)
        assert link.labels[row - 1] == "normal" != link.labels[row]
        assert link.labels[row + spec.steps - 1] == canary.label
        assert link.run in bundle.manifest.training.runs
    assert len({canary.kind for canary in bundle.manifest.canaries}) >= 6


def test_they_are_recognised_in_the_traffic_of_runs_that_were_not_learnt_from():
    """All of them were, in the runs in which faults come and go; one in twelve may be missed."""
    bundle = trained_bundle()
    encoder = open_encoder(bundle, "onnxruntime")
    spec = bundle.manifest.window
    windows = LabelledWindows(unseen_links(), spec, tail=spec.steps)
    anchors = AnchorSet(bundle.anchor_embeddings, bundle.labels)

    recall = expected_recall(bundle.canaries, windows, encoder, anchors, 0)

    assert list(recall) == ["blocked", "capacity-limited"]
    assert min(recall.values()) >= 0.9
    assert bundle.manifest.training.scores["canary_recall"] >= 0.9
