"""The candidate beside the running bundle: the same windows, and none that either has seen."""

from dataclasses import replace

import msgspec
import pytest

from tests.training.retraining.pieces import piece, running, week, weekly
from training.retraining.beside import beside


def with_runs(bundle, **runs):
    """Say that a bundle has seen some runs."""
    training = msgspec.structs.replace(bundle.manifest.training, **runs)
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, training=training))


def held():
    """Give three hours that neither has seen."""
    return [piece(hour, "normal", "blocked", link="new") for hour in range(50, 53)]


def test_both_judge_the_same_windows():
    """Two numbers of different windows say nothing of the two bundles."""
    both = beside(running(), running(), held())

    assert both.running == both.candidate
    assert both.runs == 3
    assert both.windows == 3 * 2 * 31
    assert both.running.balanced == pytest.approx(
        sum(both.running.by_label.values()) / 2, abs=1e-3
    )
    assert both.running.by_label["blocked"] > 0.9


@pytest.mark.parametrize("field", ["runs", "validation_runs"])
@pytest.mark.parametrize("side", [0, 1])
def test_what_one_of_them_has_seen_is_left_out(field, side):
    """Whoever has seen a run wins on it."""
    bundles = [running(), running()]
    bundles[side] = with_runs(bundles[side], **{field: ("2023-11-17T02", "2023-11-17T03")})

    both = beside(*bundles, held())

    assert both.runs == 1


def test_with_nothing_left_there_is_no_comparison():
    """A made-up number would be worse than none."""
    runs = tuple(link.run for link in held())

    assert beside(with_runs(running(), runs=runs), running(), held()) is None
    assert beside(running(), running(), []) is None
    assert beside(running(), running(), [piece(1, None)]) is None


def test_what_the_candidate_has_no_name_for_is_not_held_against_it():
    """Nobody taught it; but what it was taught and the running one was not counts."""
    links = [link for link in week() if link.run in {one.run for one in weekly().gathered.held}]

    both = beside(running(), weekly().bundle, links)
    narrow = beside(weekly().bundle, running(), links)

    assert set(both.candidate.by_label) == {"lossy", "normal"}
    assert set(narrow.candidate.by_label) == {"normal"}
