"""A brief training is the same for each fold, and is judged as it should be."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.training.captures import TINY
from training.search.banked import Banked, Sides
from training.search.brief import Brief, embed, judge, macro_f1, medoids

# TensorFlow's own pipeline is compiled all the same, and it warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not apply to tf.data functions:UserWarning")


@pytest.fixture(autouse=True)
def eagerly():
    """Compile nothing: for a few batches that takes longer than the batches themselves."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


class Mean:
    """Embeds a window by the means of its inputs."""

    tile = 7

    def embed(self, inputs):
        """Give the means."""
        return inputs.mean(axis=1)


def banked(points, labels, weights=None, kinds=None):
    """Make windows whose inputs are the same in each step."""
    inputs = np.repeat(np.array(points, np.float32)[:, None], 3, axis=1)
    texts = np.array(labels)
    weights = np.ones(len(texts)) if weights is None else weights
    runs = np.array([f"r{number % 4}" for number in range(len(texts))])
    kinds = texts if kinds is None else np.array(kinds)
    return Banked(inputs, texts, kinds, runs, texts == "", np.array(weights, np.float32))


def test_each_fold_begins_at_the_same_weights():
    """Or later folds would go on where an earlier one, which saw their runs, had come to."""
    rng = np.random.default_rng(0)
    side = banked(rng.normal(size=(40, 2)), ["normal", "blocked"] * 20)
    other = banked(rng.normal(size=(40, 2)) + 1, ["normal", "blocked"] * 20)
    brief = Brief(replace(TINY, drop=0.0), (3, 2), 3, 0, front=False)

    first = embed(brief.train(side), side)
    between = embed(brief.train(other), side)
    again = embed(brief.train(side), side)

    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(between, first)


def test_the_medoid_is_the_anchor():
    """It is nearest to all others; an odd window is not."""
    points = [[0.0], [1.0], [2.0], [50.0], [100.0], [101.0], [103.0]]
    side = banked(points, ["a"] * 4 + ["b"] * 3)

    anchors = medoids(embed(Mean(), side), side, kinds=False)

    nearest = anchors.classify(np.array([[1.0], [101.0]], np.float32))
    assert nearest.distances.diagonal().tolist() == pytest.approx([0, 0])


def test_windows_left_out_count_as_often_as_they_stand_for():
    """One kept window of a common label is many recorded ones."""
    reference = banked([[0.0], [10.0]], ["a", "b"])
    judged = banked([[0.0], [9.0], [10.0], [10.0]], ["a", "a", "b", "b"], [8, 2, 1, 1])

    score = judge(Mean(), Sides(reference, reference, judged), kinds=False)

    truth, said = np.array([*"aaaaaaaaaabb"]), np.array([*"aaaaaaaabbbb"])
    assert score == pytest.approx(macro_f1(truth, said))
    assert score != pytest.approx(macro_f1(np.array([*"aabb"]), np.array([*"abbb"])))


def test_kinds_have_anchors_of_their_own_and_are_judged_by_their_label():
    """What looks different needs no common middle."""
    points, labels = [[0.0], [10.0], [5.0]], ["b", "b", "a"]
    side = banked(points, labels, kinds=["one", "two", "a"])

    apart = judge(Mean(), Sides(side, side, side), kinds=True)
    together = judge(Mean(), Sides(side, side, side), kinds=False)

    assert apart == 1
    assert together < 1
