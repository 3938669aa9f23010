"""Inputs: what the encoder is shown, held against a plain double loop."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from detector.inputs import CLIP, Inputs, InputSpec, Level, Mask, Ratio, Swap
from detector.window import LARGEST
from tests.fakes import make_inputs, make_rows, make_spec

WINDOW = make_spec(features=("a", "b", "c"), steps=5, optional=())


def known(value):
    """Give a number as a ratio counts it: what was not observed is nothing."""
    return 0.0 if math.isnan(value) else value


def seen(value):
    """Give 1 for what was observed."""
    return 0.0 if math.isnan(value) else 1.0


def worth(age_seconds, half_life):
    """Tell what a step of that age is worth: half after every half-life."""
    if half_life == 0:
        return 1.0 if age_seconds == 0 else 0.0
    return 0.5 ** (age_seconds / half_life)


def plain_swap(swap, window, values):
    """Exchange the directions of one window where the second is the busier one."""
    here, there = (
        sum(known(value) for value in values[:, window.features.index(name)])
        for name in (swap.here, swap.there)
    )
    if not there > here:
        return values
    other = swap.pairs | {there: here for here, there in swap.pairs.items()}
    places = [window.features.index(other.get(name, name)) for name in window.features]
    return np.stack([values[:, place] for place in places], axis=1)


def plain_inputs(spec, window, values):
    """Compute the inputs of one window from their definitions, number by number."""

    def summed(half_life, step, feature, pick):
        total = 0.0
        for before in range(step + 1):
            value = float(values[before, window.features.index(feature)])
            age_seconds = (step - before) * window.step_ms / 1000
            total += worth(age_seconds, half_life) * pick(value)
        return total

    def weighted(half_life, step, weights):
        return sum(w * summed(half_life, step, name, known) for name, w in weights.items())

    if spec.swap:
        values = plain_swap(spec.swap, window, values)
    table = []
    for step in range(window.steps):
        row = []
        for half_life in spec.half_lives_seconds:
            for ratio in spec.ratios:
                under = max(0.0, weighted(half_life, step, ratio.under))
                row.append(weighted(half_life, step, ratio.over) / (under + ratio.floor))
        for level in spec.levels:
            half_life = spec.half_lives_seconds[0]
            count = summed(half_life, step, level.feature, seen)
            mean = summed(half_life, step, level.feature, known) / count if count else 0.0
            row.append(math.copysign(math.log1p(abs(mean)), mean))
        places = [window.features.index(mask.feature) for mask in spec.masks]
        row += [seen(values[step, place]) for place in places]
        centre, spread = spec.centre or [0] * len(row), spec.spread or [1] * len(row)
        scaled = [(x - c) / s for x, c, s in zip(row, centre, spread, strict=True)]
        table.append([min(max(x, -CLIP), CLIP) for x in scaled])
    return np.array(table)


SUMS = st.dictionaries(st.sampled_from("abc"), st.floats(-2, 2), max_size=3)
PLUS = st.dictionaries(st.sampled_from("abc"), st.floats(0, 2), max_size=3)
SPECS = st.builds(
    InputSpec,
    half_lives_seconds=st.lists(st.sampled_from([0, 0.5, 1, 4]), min_size=1, max_size=2).map(
        tuple
    ),
    ratios=st.lists(
        st.builds(Ratio, st.just("r"), SUMS, PLUS, st.floats(0.1, 10)), max_size=3
    ).map(tuple),
    levels=st.lists(st.builds(Level, st.just("l"), st.sampled_from("abc")), max_size=2).map(tuple),
    masks=st.lists(st.builds(Mask, st.just("m"), st.sampled_from("abc")), max_size=2).map(tuple),
    swap=st.none() | st.just(Swap("a", "b", {"a": "b"})) | st.just(Swap("b", "c", {"c": "b"})),
)
COUNTS = st.floats(0, 1000, width=32) | st.just(math.nan)
BATCHES = arrays.arrays(np.float32, (2, 5, 3), elements=COUNTS)


@given(SPECS, BATCHES, st.sampled_from([500, 1000, 2000]), st.integers(0, 2**32 - 1))
def test_inputs_are_what_their_definitions_say(spec, batch, step_ms, seed):
    """Training and daemon share one fast piece of code; nothing else would show it wrong."""
    window = make_spec(features=("a", "b", "c"), steps=5, optional=(), step_ms=step_ms)
    rng = np.random.default_rng(seed)
    count = len(spec.names)
    spec = msgspec.structs.replace(
        spec,
        centre=tuple(rng.normal(0, 1, count).tolist()),
        spread=tuple(rng.uniform(0.5, 3, count).tolist()),
    )
    if spec.swap:  # which of two that sum up to nearly the same is the larger, rounding decides
        sums = np.nansum(batch[..., [WINDOW.features.index(spec.swap.here),
                                     WINDOW.features.index(spec.swap.there)]], axis=1)  # fmt: skip
        assume((np.abs(np.diff(sums)) > 0.01).all() or (np.diff(sums) == 0).all())

    fast = Inputs(spec, window)(batch)

    slow = [plain_inputs(spec, window, values) for values in batch]
    assert fast.shape == (2, 5, count)
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, np.array(slow).reshape(fast.shape), rtol=1e-3, atol=1e-3)


def make(*ratios, levels=(), half_life=1.0, window=WINDOW, **changes):
    """Make inputs of these ratios and levels."""
    return Inputs(InputSpec((half_life,), tuple(ratios), tuple(levels), **changes), window)


def test_what_was_not_observed_counts_as_nothing_in_a_ratio():
    """A counter with gaps must not turn its neighbours into NaN, nor the embedding."""
    inputs = make(Ratio("a/b", {"a": 1}, {"b": 1}), half_life=0)
    values = np.array([[[4, 3, 0], [4, math.nan, 0], [math.nan, 3, 0], [4, 3, 0], [4, 3, 0]]])

    answer = inputs(values.astype(np.float32))[0, :, 0]

    assert answer.tolist() == [1, 4, 0, 1, 1]


def test_a_level_is_the_mean_of_what_was_observed():
    """A response time is known only in some seconds; the others must not pull it to zero."""
    inputs = make(levels=[Level("a", "a")], half_life=2)
    values = np.full((1, 5, 3), math.nan, np.float32)
    values[0, 1, 0] = values[0, 3, 0] = 20

    answer = inputs(values)[0, :, 0]

    np.testing.assert_allclose(answer, [0] + [math.log1p(20)] * 4, rtol=1e-5)


def test_a_level_keeps_the_sign_of_a_foreign_feature():
    """Signal strengths are negative; without a sign the strongest would look like the weakest."""
    inputs = make(levels=[Level("a", "a")])

    answer = inputs(np.full((1, 5, 3), -20, np.float32))[0, :, 0]

    np.testing.assert_allclose(answer, -math.log1p(20), rtol=1e-5)


@given(BATCHES, BATCHES, st.integers(1, 4), SPECS)
def test_a_later_step_never_changes_an_earlier_input(before, after, step, spec):
    """An input that looked ahead would make a delay in the lab that no live link can keep."""
    changed = np.concatenate([before[:, :step], after[:, step:]], axis=1)
    # Which direction is the busier one is told by the whole window, and it has ended.
    inputs = Inputs(msgspec.structs.replace(spec, swap=None), WINDOW)

    answer, other = inputs(before), inputs(changed)

    np.testing.assert_allclose(answer[:, :step], other[:, :step], rtol=1e-5, atol=1e-6)


@given(st.floats(50, 1e6), st.sampled_from(["normal", "capacity-limited", "blocked"]))
def test_twice_the_traffic_is_barely_another_ratio(load, label):
    """One model has to fit the trunk with a thousand calls a second and the one with fifty."""
    inputs = Inputs(make_inputs(), make_spec())
    ratios = len(make_inputs().ratios)

    answer, doubled = (inputs(make_rows(label, 4, times * load)[None]) for times in (1, 2))

    assert np.abs(answer - doubled)[..., :ratios].max() < 0.02


def test_an_idle_link_has_ratios_near_zero():
    """One lost request at night is no evidence of anything."""
    inputs = Inputs(make_inputs(), make_spec())

    answer = inputs(make_rows("blocked", 4, load=0.01)[None])

    assert np.abs(answer).max() < 0.03


def test_a_shorter_half_life_follows_a_change_sooner():
    """The half-life is what trades delay against noise; it has to do so."""
    values = np.array([[[0, 9, 0]] * 4 + [[9, 9, 0]]], np.float32)
    ratio = Ratio("a/b", {"a": 1}, {"b": 1})

    quick, slow = (make(ratio, half_life=h)(values)[0, -1, 0] for h in (0.5, 4))

    assert quick > 2 * slow


def test_each_half_life_gives_each_ratio_once_more_and_a_level_only_once():
    """The encoder's first matrix has one row for each input, in the order of the names."""
    ratios = (Ratio("a/b", {"a": 1}, {"b": 1}), Ratio("c/b", {"c": 1}, {"b": 1}))
    spec = InputSpec((0.5, 4.0), ratios, (Level("c", "c"),))
    values = np.random.default_rng(0).uniform(1, 9, (1, 5, 3)).astype(np.float32)

    both = Inputs(spec, WINDOW)(values)

    assert spec.names == ("a/b 0.5s", "c/b 0.5s", "a/b 4s", "c/b 4s", "c")
    np.testing.assert_allclose(both[..., :2], make(*ratios, half_life=0.5)(values))
    np.testing.assert_allclose(both[..., 2:4], make(*ratios, half_life=4)(values))
    assert both.shape == (1, 5, 5)


def test_one_wild_counter_is_clipped():
    """A counter that jumps to a billion must not carry the window beyond every anchor."""
    inputs = make(Ratio("a/b", {"a": 1}, {"b": 1}), levels=[Level("a", "a")])
    values = np.full((1, 5, 3), 1e29, np.float32) * np.array([1, 0, 0], np.float32)

    assert np.abs(inputs(values)).max() == CLIP


def test_a_mask_is_1_where_a_feature_was_observed():
    """An exporter that leaves a counter out says something else than one that counts nothing."""
    inputs = make(levels=[Level("a", "a")], masks=(Mask("a seen", "a"), Mask("c seen", "c")))
    values = np.zeros((1, 5, 3), np.float32)
    values[0, 1:3, 0] = values[0, 4, 2] = math.nan

    answer = inputs(values)[0]

    assert inputs.spec.names == ("a", "a seen", "c seen")
    assert answer[:, 1].tolist() == [1, 0, 0, 1, 1]
    assert answer[:, 2].tolist() == [1, 1, 1, 1, 0]


TWO_WAYS = make_spec(features=("in_a", "out_a", "in_b", "out_b", "odd"), steps=5, optional=())
BUSIER_FIRST = Swap("in_a", "out_a", {"in_a": "out_a", "in_b": "out_b"})
WHOLE = st.integers(0, 1000).map(float) | st.just(math.nan)  # sums of them are exact
TWO_WAY_BATCHES = arrays.arrays(np.float32, (3, 5, 5), elements=WHOLE)


def show_all(swap=None):
    """Make inputs that show each feature of `TWO_WAYS` by itself."""
    levels = tuple(Level(name, name) for name in TWO_WAYS.features)
    masks = tuple(Mask(f"{name} seen", name) for name in TWO_WAYS.features)
    return make(levels=levels, masks=masks, swap=swap, half_life=0, window=TWO_WAYS)


def mirrored(values):
    """Give what the other end of the link has seen."""
    return values[..., [1, 0, 3, 2, 4]]


@given(TWO_WAY_BATCHES)
def test_the_busier_direction_comes_first(batch):
    """On most networks it is chance which end of a link is called forward."""
    plain, swapping = show_all(), show_all(BUSIER_FIRST)

    answer = swapping(batch)

    for row, window in enumerate(batch):
        one, two = np.nansum(window[:, 0]), np.nansum(window[:, 1])
        expected = mirrored(window) if two > one else window
        np.testing.assert_array_equal(answer[row], plain(expected[None])[0])


@given(TWO_WAY_BATCHES)
def test_a_window_and_its_mirrored_twin_give_the_same_inputs(batch):
    """That is what it is for: one reference serves both ends of a link."""
    sums = np.nansum(batch[..., :2], axis=1)
    batch = batch[sums[:, 0] != sums[:, 1]]  # of a tie either end may come first
    inputs = show_all(BUSIER_FIRST)

    answer, twin = inputs(batch), inputs(mirrored(batch))

    np.testing.assert_array_equal(answer, twin)


def test_where_both_directions_are_as_busy_a_window_stays_as_it_is():
    """A tie is no reason to exchange anything, nor is a link on which nothing was observed."""
    values = np.tile(np.array([7, 7, 1, 2, 3], np.float32), (3, 5, 1))
    values[1, :, :2] = math.nan
    values[2, :2, 0] = values[2, 3:, 1] = 0
    values[2, :, :2] = [[0, 14], [7, 0], [7, 0], [0, 0], [0, 0]]

    swapped, plain = show_all(BUSIER_FIRST)(values), show_all()(values)

    np.testing.assert_array_equal(swapped, plain)


def test_what_was_not_observed_does_not_decide_which_direction_is_busier():
    """One missing row must not turn a link round."""
    values = np.tile(np.array([2, 9, 1, 2, 3], np.float32), (1, 5, 1))
    values[0, 2, 0] = values[0, 3, 1] = math.nan

    swapped, plain = show_all(BUSIER_FIRST)(values), show_all()(mirrored(values))

    np.testing.assert_array_equal(swapped, plain)


def test_exchanging_directions_leaves_the_window_given_as_it_is():
    """The same array goes on to others, who must see what was sent."""
    values = np.tile(np.array([2, 9, 1, 2, 3], np.float32), (1, 5, 1))
    kept = values.copy()

    show_all(BUSIER_FIRST)(values)

    np.testing.assert_array_equal(values, kept)


@pytest.mark.parametrize(
    "changes",
    [
        {"masks": (Mask("m", "z"),)},
        {"swap": Swap("z", "b", {})},
        {"swap": Swap("a", "z", {})},
        {"swap": Swap("a", "b", {"a": "z"})},
        {"swap": Swap("a", "b", {"z": "b"})},
    ],
)
def test_masks_and_exchanges_of_what_is_not_in_the_window_are_refused(changes):
    """A misspelt feature must not pass for one that was never observed."""
    with pytest.raises(ValueError, match="needs 'z', which is not in the window"):
        make(levels=[Level("a", "a")], **changes)


@pytest.mark.parametrize("pairs", [{"a": "a"}, {"a": "b", "b": "c"}, {"a": "c", "b": "c"}])
def test_a_feature_that_is_exchanged_twice_is_refused(pairs):
    """Half of a direction would be lost, and the other half be there twice."""
    with pytest.raises(ValueError, match="exchanged twice"):
        Swap("a", "b", pairs)


def test_inputs_of_before_there_were_masks_and_exchanges_mean_what_they_meant():
    """Bundles of the first version say nothing of either, and are in use."""
    old = b"""{"half_lives_seconds": [1.0], "centre": [0.5, 0], "spread": [2, 1],
        "ratios": [{"name": "a/b", "over": {"a": 1}, "under": {"b": 1}, "floor": 1.0}],
        "levels": [{"name": "c", "feature": "c"}]}"""
    batch = np.random.default_rng(0).uniform(0, 99, (2, 5, 3)).astype(np.float32)

    spec = msgspec.json.decode(old, type=InputSpec)

    assert spec.masks == ()
    assert spec.swap is None
    slow = [plain_inputs(spec, WINDOW, values) for values in batch]
    np.testing.assert_allclose(Inputs(spec, WINDOW)(batch), slow, rtol=1e-3, atol=1e-3)


SPECIAL = st.sampled_from([0, -1, 1, LARGEST, -LARGEST, math.nan])
ODD = st.floats(float(np.float32(-LARGEST)), float(np.float32(LARGEST)), width=32) | SPECIAL


@given(arrays.arrays(np.float32, (2, 5, 3), elements=ODD), SPECS)
def test_whatever_passes_the_door_gives_finite_inputs(batch, spec):
    """A NaN would go through the encoder into a verdict that names the first label there is."""
    answer = Inputs(spec, WINDOW)(batch)

    assert np.isfinite(answer).all()


@pytest.mark.parametrize("value", [-1, -2, -1e9])
def test_a_counter_that_says_minus_one_divides_by_nothing(value):
    """Minus one is what many exporters send for "don't know", and the floor is one."""
    inputs = make(Ratio("a/b", {"a": 1, "b": 1}, {"a": 1, "b": 1}), half_life=0)
    values = np.zeros((1, 5, 3), np.float32)
    values[..., 0] = value

    assert np.isfinite(inputs(values)).all()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"half_life": -1}, "below 0"),
        ({"centre": (0.0,)}, "1 numbers for 2 inputs"),
        ({"spread": (1.0, 1.0, 1.0)}, "3 numbers for 2 inputs"),
        ({"spread": (1.0, 0.0)}, "not above 0"),
        ({"spread": (1.0, math.inf)}, "not above 0"),
        ({"centre": (math.nan, 0.0)}, "not finite"),
        ({"levels": [Level("z", "z")], "centre": ()}, "needs 'z', which is not in the window"),
    ],
)
def test_inputs_that_can_not_be_computed_are_refused(changes, why):
    """A bundle with such inputs is to be refused at the door, not when the first window comes."""
    levels = [Level("c", "c")]

    with pytest.raises(ValueError, match=why):
        make(Ratio("a/b", {"a": 1}, {"b": 1}), **{"levels": levels} | changes)


@pytest.mark.parametrize("sums", [({"z": 1.0}, {}), ({}, {"z": 1.0})])
def test_a_ratio_of_a_counter_that_is_not_in_the_window_is_refused(sums):
    """A misspelt counter must not count as one that is always zero."""
    with pytest.raises(ValueError, match="needs 'z'"):
        make(Ratio("r", *sums))


@pytest.mark.parametrize("floor", [0.0, -1.0, math.nan])
def test_a_ratio_without_a_floor_is_refused(floor):
    """Without it an idle link is nothing divided by nothing."""
    with pytest.raises(ValueError, match="not above 0"):
        Ratio("r", {"a": 1}, {"b": 1}, floor)
