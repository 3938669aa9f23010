"""Descent: what a bundle that goes on from another takes over, and what it owns up to."""

from dataclasses import replace

import msgspec

from detector.oncall.strangeness import Calibration, Known, Tail
from tests.training.captures import TINY, tiny_training
from training.descent import Descent, surer


def parent(**training):
    """Give the tiny bundle with an id and whatever is to be said of its training."""
    bundle = replace(tiny_training()[0], id="0123456789ab")
    changed = msgspec.structs.replace(bundle.manifest.training, **training)
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, training=changed))


def calibration(hours, **faults):
    """Give a calibration on so many link-hours."""
    return Calibration(1.0, Tail(2.0, 3, hours, 0.5), faults)


def test_from_scratch_only_the_lineage_is_noted():
    """What the parent has learnt from, a new encoder has not."""
    made = Descent(parent=parent(runs=("gone",))).noted(tiny_training()[0])

    training = made.manifest.training
    assert (training.parent, training.start) == ("0123456789ab", "scratch")
    assert training.runs == tiny_training()[0].manifest.training.runs


def test_what_the_parents_weights_learnt_from_was_learnt_from():
    """Evaluation judges by the other runs: those that are gone are not unseen for that."""
    before = parent(runs=("gone", "r1"), captures={"old": "1", "capture.parquet": "2"})

    made = Descent(parent=before, epochs=3, learning_rate=1e-3).noted(tiny_training()[0])

    training = made.manifest.training
    assert (training.parent, training.start) == ("0123456789ab", "parent")
    assert set(training.runs) == {"gone", "r1", *tiny_training()[0].manifest.training.runs}
    assert list(training.runs) == sorted(training.runs)
    assert training.captures["old"] == "1"
    assert training.captures["capture.parquet"] != "2"  # the newer one's


def test_going_on_is_shorter_and_the_recipe_stays():
    """Or the next training from scratch would be as short."""
    going = Descent(parent=parent(), epochs=3, learning_rate=1e-4)
    scratch = Descent(parent=parent())

    assert going.shortened(TINY) == replace(TINY, epochs=3, learning_rate=1e-4)
    assert going.start is going.parent
    assert scratch.shortened(TINY) is TINY
    assert scratch.start is None


def test_the_calibration_on_more_traffic_counts_and_each_fault_keeps_its_threshold():
    """A handful of new runs must not decide how often an operator is called."""
    known = tiny_training()[0].known
    before = replace(
        parent(),
        known=Known(known.points, calibration(9.0, blocked=2.0, lossy=5.0)),
        manifest=msgspec.structs.replace(
            parent().manifest, known=calibration(9.0, blocked=2.0, lossy=5.0)
        ),
    )

    fewer = surer(before, calibration(2.0, blocked=3.0))
    more = surer(before, calibration(20.0, blocked=3.0))

    assert fewer.tail.hours == 9.0
    assert fewer.faults == more.faults == {"blocked": 3.0, "lossy": 5.0}
    assert more.tail.hours == 20.0
    assert surer(before, None) == before.known.calibration
    assert surer(None, calibration(2.0)) == calibration(2.0)
    assert surer(None, None) is None
