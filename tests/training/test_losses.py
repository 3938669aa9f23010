"""Losses do what their sources say, and every listed one obeys the same laws."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.losses import LOSSES, SCALE, SLACK, STEEP, Embedded, check_loss
from training.triplets import MINERS

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 4)
COUNTS = st.integers(2, 8)
MARGINS = st.floats(0.05, 1.5)
ACTIVATIONS = ("sigmoid", "unit")
EDGE = 1e-4  # nearer to where a formula takes another branch, rounding decides


def draw(seed, count, size, activation="sigmoid"):
    """Give points as the encoder would, of three classes, one of which may have a single one."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, count)
    if activation == "sigmoid":
        return rng.random((count, size), np.float32), classes
    points = rng.standard_normal((count, size + 1))  # of one number alone all are alike
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), classes


def weights(seed, size):
    """Give weights for the loss that learns."""
    return np.random.default_rng(seed).standard_normal(size + 1).astype(np.float32)


def measure(name, points, classes, *, margin=0.5, mine=None, head=None):
    """Give a loss of one batch, and the share of it that costs something."""
    points, classes = tf.constant(points), tf.constant(np.asarray(classes, np.int32))
    if head is None:
        head = tf.ones(points.shape[1] + 1)
    mine = mine or MINERS["batch-all"](0)
    loss, share = LOSSES[name].of(Embedded(points, classes, margin, mine, head))
    return float(loss), float(share)


def squared(a, b):
    """Give the squared distance of two points."""
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def likeness(a, b):
    """Give the product of two points, which is the cosine where both are of length 1."""
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def triples(classes):
    """Give all triplets of a batch: anchor, positive, negative."""
    every = range(len(classes))
    return [
        (a, p, n)
        for a in every
        for p in every
        for n in every
        if a != p and classes[a] == classes[p] != classes[n]
    ]


def pairs(classes):
    """Give the ordered pairs of a batch: those of one class, those of two."""
    every = [(a, b) for a in range(len(classes)) for b in range(len(classes)) if a != b]
    same = [(a, b) for a, b in every if classes[a] == classes[b]]
    return same, [(a, b) for a, b in every if classes[a] != classes[b]]


def mean(numbers):
    """Give the mean, and 0 of nothing."""
    return sum(numbers) / len(numbers) if numbers else 0.0


def of_triples(classes, kept):
    """Give the triplets of a batch that a miner picked, by a mask over all of them."""
    return [triple for triple in triples(classes) if kept[triple]]


def gaps_of(points, classes, margin, kept):
    """Give each picked triplet's squared distances and what lacks of the margin."""
    found = of_triples(classes, kept)
    near = [squared(points[a], points[p]) for a, p, _ in found]
    far = [squared(points[a], points[n]) for a, _, n in found]
    return near, far, [x - y + margin for x, y in zip(near, far, strict=True)]


def plain_triplet(points, classes, margin, kept, _head):
    """FaceNet's equation 1, its mean over what costs."""
    _, _, gaps = gaps_of(points, classes, margin, kept)
    costly = [gap for gap in gaps if gap > 0]
    return mean(costly), mean([gap > 0 for gap in gaps]), gaps


def plain_lossless(points, classes, margin, kept, _head):
    """Arsenault's loss with beta = N, from its definition."""
    size = len(points[0])
    near, far, gaps = gaps_of(points, classes, margin, kept)
    costs = [
        -math.log(1 - x / size + 1e-6) - math.log(y / size + 1e-6)
        for x, y in zip(near, far, strict=True)
    ]
    return mean(costs), mean([gap > 0 for gap in gaps]), gaps


def plain_contrastive(points, classes, margin, _kept, _head):
    """Equation 4 of Hadsell, Chopra and LeCun, as a mean over each sort of pairs."""
    same, other = pairs(classes)
    lacking = [margin - math.sqrt(squared(points[a], points[b])) for a, b in other]
    pulled = mean([squared(points[a], points[b]) / 2 for a, b in same])
    pushed = mean([max(0.0, lack) ** 2 / 2 for lack in lacking])
    return pulled + pushed, mean([lack > 0 for lack in lacking]), lacking


def plain_logistic(points, classes, _margin, _kept, head):
    """DeepFace's weighed difference, and the cross-entropy of what it says of each pair."""

    def score(a, b):
        terms = zip(head[:-1], points[a], points[b], strict=True)
        return sum(float(w) * abs(float(x) - float(y)) for w, x, y in terms) + float(head[-1])

    same, other = pairs(classes)
    alike, apart = ([score(a, b) for a, b in some] for some in (same, other))
    entropy = mean([-math.log(1 / (1 + math.exp(s))) for s in alike])
    entropy += mean([-math.log(1 / (1 + math.exp(-s))) for s in apart])
    return entropy, mean([s > 0 for s in alike] + [s <= 0 for s in apart]), alike + apart


def plain_supervised_contrastive(points, classes, margin, _kept, _head):
    """Equation 2 of Khosla et al., over the windows that have a positive."""
    costs, wrong, edges = [], [], []
    for i in range(len(points)):
        others = [k for k in range(len(points)) if k != i]
        like = {k: likeness(points[i], points[k]) / margin for k in others}
        positives = [k for k in others if classes[k] == classes[i]]
        if positives:
            whole = sum(math.exp(like[k]) for k in others)
            costs.append(-mean([math.log(math.exp(like[p]) / whole) for p in positives]))
            first, *more = sorted(others, key=like.get, reverse=True)
            wrong.append(classes[first] != classes[i])
            edges += [like[first] - like[k] for k in more if classes[k] != classes[first]]
    return mean(costs), mean(wrong), edges


def plain_multi_similarity(points, classes, margin, _kept, _head):
    """Equations 6 to 8 of Wang et al."""
    costs, active, edges = [], 0, []
    for i in range(len(points)):
        like = [likeness(points[i], point) for point in points]
        same = [k for k in range(len(points)) if k != i and classes[k] == classes[i]]
        other = [k for k in range(len(points)) if classes[k] != classes[i]]
        hard = max((like[k] for k in other), default=-2)  # the likest of another class
        easy = min((like[k] for k in same), default=2)  # the least like of its own
        pulled = [k for k in same if like[k] - SLACK < hard]
        pushed = [k for k in other if like[k] + SLACK > easy]
        pull = sum(math.exp(-SCALE * (like[k] - margin)) for k in pulled)
        push = sum(math.exp(STEEP * (like[k] - margin)) for k in pushed)
        costs.append(math.log(1 + pull) / SCALE + math.log(1 + push) / STEEP)
        active += len(pulled) + len(pushed)
        edges += [like[k] - SLACK - hard for k in same] + [like[k] + SLACK - easy for k in other]
    same, other = pairs(classes)
    return mean(costs), active / max(1, len(same) + len(other)), edges


PLAIN = {
    "triplet": plain_triplet,
    "lossless": plain_lossless,
    "contrastive": plain_contrastive,
    "logistic": plain_logistic,
    "supervised-contrastive": plain_supervised_contrastive,
    "multi-similarity": plain_multi_similarity,
}
FITTING = [(name, output) for name, loss in LOSSES.items() for output in loss.outputs]


def test_every_loss_has_a_plain_version():
    """A new loss is compared with its formula, or the one below is no test of it."""
    assert [*PLAIN] == [*LOSSES]


@pytest.mark.parametrize(("name", "activation"), FITTING)
@settings(max_examples=40)
@given(SEEDS, COUNTS, SIZES, MARGINS)
def test_a_loss_is_that_of_a_plain_loop(name, activation, seed, count, size, margin):
    """A published result can only be compared with if the loss is the published one."""
    points, classes = draw(seed, count, size, activation)
    head = weights(seed, points.shape[1])
    kept = np.random.default_rng(seed).random((count,) * 3) < 0.7
    picked = np.zeros_like(kept)
    for triple in of_triples(classes, kept):
        picked[triple] = True
    loss, share, edges = PLAIN[name](points, classes, margin, kept, head)
    assume(all(abs(edge) > EDGE for edge in edges))

    found = measure(
        name, points, classes, margin=margin, mine=lambda *_: tf.constant(picked), head=head
    )

    assert found[0] == pytest.approx(loss, rel=1e-3, abs=1e-4)
    assert found[1] == pytest.approx(share, abs=1e-5)


def corners(activation, places):
    """Give points that lie as far apart as outputs can, or not apart at all: 0 or 1 each."""
    low = {"sigmoid": (0.0, 0.0), "unit": (1.0, 0.0)}[activation]
    high = {"sigmoid": (1.0, 1.0), "unit": (-1.0, 0.0)}[activation]
    return np.array([high if place else low for place in places], np.float32)


DEGENERATE = {
    "all points equal": ([0] * 6, [0, 0, 1, 1, 2, 2]),
    "all of one class but one": ([0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 1]),
    "saturated and right": ([0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]),
    "saturated and wrong": ([0, 1, 0, 1, 0, 1], [0, 0, 0, 1, 1, 1]),
    "each class with a single window": ([0, 1, 0, 1], [0, 1, 2, 3]),
    "one class alone": ([0, 1, 0, 1], [0, 0, 0, 0]),
    "one window alone": ([0], [0]),
}


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize(("name", "activation"), FITTING)
def test_loss_and_gradient_are_numbers_whatever_the_batch(name, activation, case):
    """One number that is not a number ends a training without a word."""
    places, classes = DEGENERATE[case]
    points = tf.Variable(corners(activation, places))
    head = tf.Variable(tf.ones(3))

    with tf.GradientTape() as tape:
        batch = Embedded(points, tf.constant(classes), 0.5, MINERS["batch-all"](0), head)
        loss, share = LOSSES[name].of(batch)
    gradients = tape.gradient(loss, [points, head], unconnected_gradients="zero")

    assert np.isfinite(loss)
    assert loss > -1e-5  # the addend that keeps logarithms from 0 makes ln(1) a little more
    assert 0 <= share <= 1
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("triplet", "each class with a single window"),
        ("triplet", "one class alone"),
        ("lossless", "each class with a single window"),
        ("lossless", "one class alone"),
        ("supervised-contrastive", "each class with a single window"),
    ],
)
def test_what_lacks_one_side_of_a_comparison_costs_nothing(name, case):
    """A rare fault may be alone in a batch, and must not count as learnt nor as failed."""
    places, classes = DEGENERATE[case]
    activation = LOSSES[name].outputs[0]

    loss, share = measure(name, corners(activation, places), classes)

    assert (loss, share) == (0, 0)


@pytest.mark.parametrize(("name", "activation"), FITTING)
@settings(max_examples=20)
@given(SEEDS, COUNTS, SIZES)
def test_neither_the_order_nor_the_numbers_of_the_classes_matter(
    name, activation, seed, count, size
):
    """A batch is a set of windows, and a class no more than a name."""
    points, classes = draw(seed, count, size, activation)
    order = np.random.default_rng(seed).permutation(count)

    one = measure(name, points, classes)
    other = measure(name, points[order], (7 - 2 * classes)[order])

    assert other == pytest.approx(one, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("name", "activation"), FITTING)
def test_classes_that_merged_cost_more_than_classes_apart(name, activation):
    """That is all that a loss is for."""
    classes = [0, 0, 1, 1]

    merged, merged_share = measure(name, corners(activation, [0, 0, 0, 0]), classes)
    apart, apart_share = measure(name, corners(activation, [0, 0, 1, 1]), classes)

    assert merged > apart + 0.1
    assert merged_share >= apart_share


@pytest.mark.parametrize(("name", "activation"), FITTING)
def test_the_share_that_costs_is_0_where_all_is_well_and_large_where_it_is_not(name, activation):
    """A share near 0 tells whoever watches that there is nothing left to learn from."""
    head = np.array([5, 5, -1], np.float32)  # differ where they are 0.2 apart
    classes = [0, 0, 1, 1]

    well = measure(name, corners(activation, [0, 0, 1, 1]), classes, head=head)
    ill = measure(name, corners(activation, [0, 1, 1, 0]), classes, head=head)

    assert well[1] == 0
    # Half of the negatives are apart, for those losses that look at pairs alone.
    expected = {"contrastive": 1 / 2, "logistic": 2 / 3}.get(name, 1)
    assert ill[1] == pytest.approx(expected)


def one_triplet(*_):
    """Mine the triplet of windows 0, 1 and 2 and no other."""
    return tf.constant(np.fromfunction(lambda a, p, n: (a == 0) & (p == 1) & (n == 2), (3, 3, 3)))


@pytest.mark.parametrize("name", ["triplet", "lossless"])
@settings(max_examples=30)
@given(SEEDS, st.floats(0, 1), st.floats(0, 1))
def test_a_negative_that_moves_away_never_costs_more(name, seed, part, more):
    """Nor does a positive that comes nearer: training would pull the wrong way."""
    anchor, positive, corner = np.random.default_rng(seed).random((3, 3), np.float32)
    near, far = sorted((part, more))

    def cost(positive, negative):
        points = np.stack([anchor, positive, negative]).astype(np.float32)
        return measure(name, points, [0, 0, 1], mine=one_triplet)[0]

    def towards(end, share):
        return anchor + np.float32(share) * (end - anchor)

    assert cost(positive, towards(corner, far)) <= cost(positive, towards(corner, near)) + 1e-5
    assert cost(towards(positive, near), corner) <= cost(towards(positive, far), corner) + 1e-5


@pytest.mark.parametrize(
    ("squared_distance", "loss", "share"), [(0.4, 0.1, 1), (0.501, 0, 0), (0.6, 0, 0)]
)
def test_the_triplet_loss_is_zero_once_the_negative_is_far_enough(squared_distance, loss, share):
    """What is well apart must not be pushed farther, or nothing is ever learnt to the end."""
    points = np.zeros((3, 3), np.float32)
    points[2, 0] = math.sqrt(squared_distance)

    found = measure("triplet", points, [0, 0, 1], margin=0.5)

    assert found == pytest.approx((loss, share), abs=1e-6)


def test_easy_triplets_do_not_hush_up_the_hard_ones():
    """Late in a training nearly all triplets are easy, and their mean would be nothing."""
    points = np.array([[0.0], [0.1], [0.2], [1.0], [1.0]], np.float32)
    classes = [0, 0, 1, 2, 2]

    few, _ = measure("triplet", points[:3], classes[:3], margin=0.1)
    many, share = measure("triplet", points, classes, margin=0.1)

    assert many == pytest.approx(few)
    assert share < 0.25


def test_the_lossless_loss_tells_merged_faults_from_faults_apart():
    """Its published form does not: two faults at one point cost it no more than three corners.

    The mean of d_ap - d_an + N is 1 for both of these; their logarithms differ tenfold.
    """
    classes = [0, 0, 1, 1, 2, 2]
    merged = np.repeat(np.array([[0, 0, 0], [0, 0, 0], [1, 1, 1]], np.float32), 2, axis=0)
    apart = np.repeat(np.array([[0, 0, 0], [1, 1, 0], [0, 1, 1]], np.float32), 2, axis=0)

    linear = [
        mean([squared(x[a], x[p]) - squared(x[a], x[n]) + 3 for a, p, n in triples(classes)])
        for x in (merged, apart)
    ]
    logarithmic = [measure("lossless", points, classes)[0] for points in (merged, apart)]

    assert linear == [1, 1]
    assert logarithmic[0] == pytest.approx(-math.log(1e-6) / 3, rel=1e-4)  # 4.605
    assert logarithmic[1] == pytest.approx(-math.log(2 / 3), abs=1e-4)  # 0.405


def test_the_lossless_loss_is_computed_in_full_precision():
    """In half precision its smallest addend is 0, and the logarithm of that no number."""
    points = np.array([[0, 0], [0, 0], [0, 0], [1, 1]], np.float16)

    batch = Embedded(tf.constant(points), tf.constant([0, 0, 1, 1]), 0.5, MINERS["batch-all"](0))
    loss, _ = LOSSES["lossless"].of(batch)

    assert loss.dtype == tf.float32
    assert np.isfinite(loss)
    assert float(loss) == measure("lossless", points.astype(np.float32), [0, 0, 1, 1])[0]


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
def test_the_lossless_loss_refuses_outputs_beyond_the_cube(value):
    """There its logarithms are of nothing that was ever meant."""
    points, classes = draw(0, 4, 2)
    points[2, 1] = value

    with pytest.raises(ValueError, match=r"are not within \[0, 1\]"):
        measure("lossless", points, classes)


def test_outputs_on_the_faces_of_the_cube_are_within_it():
    """A saturated sigmoid is 0 or 1 in float32, and that is where this loss sends it."""
    loss, _ = measure("lossless", corners("sigmoid", [0, 0, 1, 1]), [0, 0, 1, 1])

    assert loss == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("triplet", {"sigmoid", "unit"}),
        ("lossless", {"sigmoid"}),
        ("contrastive", {"sigmoid", "unit"}),
        ("logistic", {"sigmoid", "unit"}),
        ("supervised-contrastive", {"unit"}),
        ("multi-similarity", {"unit"}),
    ],
)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_loss_is_refused_for_outputs_that_it_is_not_defined_for(name, outputs, activation):
    """It would give numbers all the same, and they would mean nothing."""
    if activation in outputs:
        check_loss(name, activation)
        return

    with pytest.raises(ValueError, match=f"'{name}' needs .* outputs, not '{activation}'"):
        check_loss(name, activation)


def test_an_unknown_loss_is_refused_with_those_there_are():
    """A slip of the pen is answered with what could have been meant."""
    with pytest.raises(ValueError, match="no loss 'tripplet', only triplet, lossless"):
        check_loss("tripplet", "sigmoid")


def test_the_loss_that_learns_says_that_it_needs_weights():
    """Whoever calls it by hand is told what lacks, and not of an attribute of None."""
    points, classes = draw(0, 4, 2)
    batch = Embedded(tf.constant(points), tf.constant(classes), 0.5, MINERS["batch-all"](0))

    with pytest.raises(ValueError, match="one for each output, and an offset"):
        LOSSES["logistic"].of(batch)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_says_where_it_comes_from(name):
    """A formula without a source cannot be checked."""
    assert "Source: " in LOSSES[name].of.__doc__
