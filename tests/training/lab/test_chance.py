"""A few numbers already cover the range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.lab.chance import Evenly, choose, within, within_log

SHARES = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_numbers_lie_evenly_from_the_first_few_on(seed, count):
    """Between two neighbours is never more than a few times their mean distance."""
    evenly = Evenly(np.random.default_rng(seed))

    numbers = sorted(evenly.number("x") for _ in range(count))

    gaps = np.diff([*numbers, numbers[0] + 1])
    assert all(0 <= number < 1 for number in numbers)
    assert gaps.max() < 2.7 / count
    assert gaps.min() > 0.35 / count


def test_each_thing_has_a_sequence_of_its_own():
    """Asking about one doesn't leave gaps in the other's."""
    alone, beside = (Evenly(np.random.default_rng(4)) for _ in range(2))

    first = [alone.number("x") for _ in range(5)]
    second = [(beside.number("x"), beside.number("y", 1))[0] for _ in range(5)]

    assert first == second
    assert beside.number("y", 1) != beside.number("x")


@given(SHARES, st.floats(0, 1))
def test_a_choice_and_how_far_into_it_give_the_number_back(weights, number):
    """So each number has one place in the table, and shares are kept."""
    table = [(weight / sum(weights), place) for place, weight in enumerate(weights)]

    chosen, into = choose(table, number)

    before = sum(share for share, _ in table[:chosen])
    assert 0 <= into <= 1
    assert before + into * table[chosen][0] == pytest.approx(number)


@given(st.floats(0, 1))
def test_values_lie_within_their_bounds(number):
    """Both ends included."""
    assert 2 <= within((2, 5), number) <= 5
    assert 0.005 <= within_log((0.005, 0.4), number) <= 0.4


def test_bounds_are_reached_at_zero_and_one():
    """On either scale, with the middle where the scale has it."""
    assert [within((2, 6), number) for number in (0, 0.5, 1)] == [2, 4, 6]
    assert [within_log((0.1, 10), number) for number in (0, 0.5, 1)] == [0.1, 1, 10]
