"""Calibration: what a budget of false alarms promises is kept on traffic that nobody has seen."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from detector.anchors import AnchorSet
from detector.bundle import load
from detector.capture import SHIPPED, CaptureError
from detector.config import State
from detector.oncall.strangeness import Known, Strangeness, Tail, to_neighbours
from detector.state import NORMAL
from tests.trained import LAB_1, LEFT_OUT, trained_bundle, trained_path, unseen_links
from training.calibration import Scored, calibrate, calibrated, false_alarms
from training.cli import main
from training.recalibrate import as_text, doubt, recalibrated

LABELS = ("blocked", "normal")
SPAN_MS = 15_000
ANCHORS = AnchorSet(np.eye(2, dtype=np.float32), LABELS)
HOUR = 3600


def make_tracks(links, hours, seed, *, rate_an_hour=40, label="normal"):
    """Make links whose score now and then rises for some seconds, to heights with a heavy tail."""
    rng = np.random.default_rng(seed)
    tracks = []
    for number in range(links):
        seconds = round(hours * HOUR)
        scores = rng.uniform(0.2, 0.6, seconds).astype(np.float32)
        for start in rng.integers(0, seconds - 12, rng.poisson(rate_an_hour * hours)):
            scores[start : start + 12] = np.maximum(
                scores[start : start + 12], 0.7 * np.exp(rng.exponential(0.25))
            )
        points = np.tile(np.eye(2, dtype=np.float32)[LABELS.index(label)], (seconds, 1))
        ends_ms = np.arange(seconds, dtype=np.int64) * 1000 + SPAN_MS
        truth = np.full(seconds, label)
        tracks.append(
            Scored(f"{label}-{number}", ends_ms, ANCHORS.classify(points), scores, truth)
        )
    return tracks


@pytest.mark.parametrize("budget_a_day", [0.5, 2.0, 10.0])
def test_a_budget_is_kept_on_other_traffic_of_the_same_sort(budget_a_day):
    """The setting promises so, also where the hours seen are too few to count it."""
    found = calibrate(make_tracks(10, 1.0, seed=1), LABELS, SPAN_MS, 1.0)
    threshold = found.threshold(NORMAL, budget_a_day * 7)
    others = make_tracks(60, 4.0, seed=2)

    events = false_alarms(others, LABELS, SPAN_MS, np.full(2, threshold), State())

    a_day = events / 240 * 24
    assert a_day <= 1.5 * budget_a_day
    # A threshold that lets nothing through would keep every budget.
    assert a_day >= 0.1 * budget_a_day or budget_a_day < 1


def test_a_smaller_budget_has_a_higher_threshold_for_every_label():
    """Turning the one setting does what its name says."""
    found = calibrate(make_tracks(4, 1.0, seed=1), LABELS, SPAN_MS, 1.0)

    for label in LABELS:
        steps = [found.threshold(label, budget) for budget in (1000, 100, 10, 1, 0.1)]
        assert steps == sorted(steps)
        assert steps[0] < steps[-1]


def test_false_alarms_are_changes_of_state_and_not_windows():
    """Who is called once for a minute of strangeness is called once."""
    (track,) = make_tracks(1, 0.1, seed=1, rate_an_hour=0)
    track.scores[100:160] = 5.0
    track.scores[300] = 50.0  # one window decides nothing

    assert false_alarms([track], LABELS, SPAN_MS, np.ones(2), State()) == 1


def test_alarms_in_a_fault_are_not_false():
    """A link that is not well may be called unknown: that costs no budget."""
    tracks = make_tracks(1, 0.1, seed=1, rate_an_hour=0, label="blocked")
    tracks[0].scores[100:160] = 5.0

    assert false_alarms(tracks, LABELS, SPAN_MS, np.ones(2), State()) == 0


def test_a_faults_threshold_gives_each_run_as_much_of_a_say():
    """One long strange run must not blind the daemon to what is unlike the others."""
    faults = make_tracks(8, 0.05, seed=3, rate_an_hour=0, label="blocked")
    long = make_tracks(1, 2.0, seed=4, rate_an_hour=0, label="blocked")
    long[0].scores[:] = 9.0
    normal = make_tracks(2, 0.5, seed=1)

    few = calibrate([*normal, *faults[:2]], LABELS, SPAN_MS, 1.0)
    many = calibrate([*normal, *faults], LABELS, SPAN_MS, 1.0)
    with_long = calibrate([*normal, *faults, *long], LABELS, SPAN_MS, 1.0)

    assert few.faults == {}  # too few runs to say anything
    assert many.faults["blocked"] < 0.7
    assert with_long.faults["blocked"] == pytest.approx(9.0)
    # No fault's is below that of normal: its false alarms count alike.
    assert many.threshold("blocked", 1.0) == many.threshold(NORMAL, 1.0)


def test_without_a_normal_hour_there_is_nothing_to_calibrate_on():
    """A threshold out of thin air would be worse than none."""
    with pytest.raises(CaptureError, match="normal throughout"):
        calibrate(make_tracks(2, 0.1, seed=1, label="blocked"), LABELS, SPAN_MS, 1.0)


def test_the_same_captures_and_seed_give_the_same_calibration():
    """Same captures, same seed: same bundle."""
    one, two = (calibrate(make_tracks(3, 0.3, seed=5), LABELS, SPAN_MS, 1.0) for _ in range(2))

    assert one == two


def test_a_trained_bundle_knows_what_is_near_to_it():
    """Its own golden windows are no strangers, and a window of nonsense is."""
    bundle = trained_bundle()
    strangeness = bundle.strangeness(1.0)

    anchors = AnchorSet(bundle.anchor_embeddings, bundle.labels)
    near = bundle.golden_embeddings
    far = np.array([[0.0, 1.0] * 4], np.float32)

    assert strangeness(near, anchors.classify(near).label).max() < 1
    assert (
        strangeness(far, anchors.classify(far).label)[0]
        > strangeness(near, anchors.classify(near).label).max()
    )


def test_recalibrating_changes_thresholds_and_nothing_else():
    """A bundle that is fitted to one's own traffic is the same encoder."""
    bundle = trained_bundle()

    made = recalibrated(bundle, unseen_links())

    assert made.known.calibration != bundle.known.calibration
    assert made.known.calibration.runs == len(unseen_links())
    assert made.weights is bundle.weights
    np.testing.assert_array_equal(made.known.points, bundle.known.points)
    text = "\n".join(as_text(bundle, made, 1.0))
    assert "extrapolated" in text
    assert "link-hours of normal traffic" in text


def calibrate_by_command(out, captures, links, *options):
    """Calibrate the trained bundle on some links."""
    arguments = [trained_path(), captures, "--links", links, "--out", out, *options]
    return CliRunner().invoke(main, ["calibrate", *map(str, arguments)])


def test_thresholds_are_shown_beside_what_they_were(tmp_path):
    """Whoever calibrates a bundle that is in use sees at once what will change."""
    done = calibrate_by_command(tmp_path / "new", LAB_1, "s1_[AB]_normal_*/access")

    assert done.exit_code == 0, done.output
    made, before = (load(path).known.calibration for path in (tmp_path / "new", trained_path()))
    for label in trained_bundle().manifest.labels:
        new, was = made.threshold(label, 1.0), before.threshold(label, 1.0)
        assert f"  {label:<20} unknown above {new:.2f} (was {was:.2f})\n" in done.stdout
    assert done.stderr == ""


def test_too_little_traffic_is_not_calibrated_on(tmp_path):
    """A threshold that nothing can reach turns the unknown off, and nobody would notice."""
    done = calibrate_by_command(tmp_path / "new", SHIPPED, f"{LEFT_OUT}/access")

    assert done.exit_code == 1, done.output
    assert done.stdout == ""
    *shown, line = done.stderr.splitlines()
    assert line.startswith("anchorwatch: nothing is written: 12 false alarms in 0.")
    assert "none would ever be unknown: give more link-hours" in line
    assert line.endswith("on which nothing was wrong, or --force")
    assert any("  normal " in one and "(was " in one for one in shown)
    assert not (tmp_path / "new").exists()


def test_who_insists_gets_what_little_traffic_says(tmp_path):
    """The doubt is said all the same."""
    done = calibrate_by_command(tmp_path / "new", SHIPPED, f"{LEFT_OUT}/access", "--force")

    assert done.exit_code == 0, done.output
    assert "none would ever be unknown" in done.stderr
    assert load(tmp_path / "new").known.calibration.runs == len(unseen_links())


def with_tail(**changes):
    """Give the trained bundle with another tail of its false alarms."""
    bundle = trained_bundle()
    tail = Tail(**({"threshold": 2.0, "events": 12, "hours": 4.0, "shape": 0.25} | changes))
    known = bundle.known.calibration
    calibration = msgspec.structs.replace(known, scale=0.06, tail=tail)  # corners: 47 apart
    manifest = msgspec.structs.replace(bundle.manifest, known=calibration)
    return replace(bundle, manifest=manifest, known=Known(bundle.known.points, calibration))


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        ({}, ""),
        ({"threshold": 9.0}, "no window can be farther than 47.14"),
        ({"threshold": 0.5, "shape": 0.6}, "56 times as far as what was seen"),
        ({"threshold": 0.5, "shape": 0.4}, ""),
        # So many hours that little is extrapolated: how heavy the tail is matters no more.
        ({"shape": 0.6, "hours": 1000.0}, ""),
    ],
    ids=str,
)
def test_a_calibration_is_doubted_only_where_it_says_nothing(tail, why):
    """Higher thresholds than before are what calibrating is for: others' traffic is odder."""
    said = doubt(with_tail(hours=40.0), with_tail(**tail), 1.0)

    assert why in said
    assert bool(said) == bool(why)
    assert ("the bundle's own has 40.0" in said) == bool(why)


def test_a_bundle_on_the_sphere_reaches_less_far():
    """Its embeddings are all of length 1, so that no two are farther apart than 2."""
    made = with_tail(threshold=7.0)
    architecture = msgspec.structs.replace(made.manifest.architecture, activation="unit")
    manifest = msgspec.structs.replace(made.manifest, architecture=architecture)

    assert doubt(made, made, 1.0) == ""
    assert "than 33.33" in doubt(made, replace(made, manifest=manifest), 1.0)


def test_recalibrating_on_what_was_learnt_from_is_refused():
    """What an encoder has learnt it finds normal: that says nothing of other traffic."""
    bundle = trained_bundle()
    seen = [
        link
        for link in unseen_links()
        if link.run in {*bundle.manifest.training.runs, *bundle.manifest.training.validation_runs}
    ]

    with pytest.raises(CaptureError, match="every run"):
        recalibrated(bundle, seen)


def test_rows_without_a_label_count_only_if_they_are_said_to_be_normal():
    """A day on which nothing was wrong need not be labelled row by row."""
    bundle = trained_bundle()
    bare = [link.only(()) for link in unseen_links()]

    with pytest.raises(CaptureError, match="normal throughout"):
        recalibrated(bundle, bare)
    made = recalibrated(bundle, bare, assume_normal=True)

    assert made.known.calibration.tail.hours > 0.4


def test_what_knows_no_normal_is_not_calibrated():
    """A bundle of two faults has nothing to be well by."""
    anchors = AnchorSet(np.eye(2, dtype=np.float32), ("blocked", "limited"))

    assert calibrated(None, (), None, anchors, 0) is None


@pytest.mark.parametrize("neighbours", [1, 5, 40])
def test_the_distance_to_neighbours_is_that_of_the_plain_loop(neighbours):
    """The matrix form gives what two nested loops give, over several tiles."""
    rng = np.random.default_rng(0)
    points, queries = rng.random((40, 3), np.float32), rng.random((1500, 3), np.float32)

    fast = to_neighbours(queries, points, neighbours)

    slow = [
        np.sort(np.linalg.norm(points - query, axis=1))[:neighbours].mean() for query in queries
    ]
    np.testing.assert_allclose(fast, slow, atol=2e-3)


def test_strangeness_is_in_thresholds_of_the_nearest_label():
    """Above 1 is unknown, whatever the label's own threshold is."""
    found = calibrate(
        [*make_tracks(2, 0.5, seed=1), *make_tracks(8, 0.05, seed=3, label="blocked")],
        LABELS,
        SPAN_MS,
        0.5,
    )
    known = Known(np.eye(2, dtype=np.float32).repeat(3, axis=0), found)
    strangeness = Strangeness(known, LABELS, 1.0)
    point = np.array([[0.3, 0.3]], np.float32)

    for place, label in enumerate(LABELS):
        value = strangeness(point, np.array([place]))[0]
        assert value == pytest.approx(known.scores(point)[0] / found.threshold(label, 1.0))


@pytest.mark.parametrize(
    "numbers", [(0.0, 3, 1.0, 0.5), (1.0, 0, 1.0, 0.5), (1.0, 3, float("nan"), 0.5)]
)
def test_a_tail_of_nothing_is_refused(numbers):
    """A damaged manifest must not make every window unknown, or none."""
    with pytest.raises(ValueError, match="tail"):
        Tail(*numbers)
