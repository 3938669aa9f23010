"""Groups of unknowns: alike in embedding, whichever link, and the same whatever comes later."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detector.encoder import open_encoder
from training.naming import groups as named_groups
from training.naming.groups import REACH, group, grouped, unknowns
from training.naming.unknown_cli import REACH as SHOWN

from .knowing import SCALE, WEEK_MS, incident, keep_every_tenth, knowing_bundle
from .stores import NOON_MS, STEP_MS, capture, life

POINTS = st.integers(1, 12).flatmap(
    lambda count: arrays(np.float64, (count, 2), elements=st.floats(0, 4, width=16))
)


@pytest.fixture
def bundle(tmp_path):
    """Give a bundle that knows how far apart windows usually are."""
    return knowing_bundle(tmp_path / "bundle")


@given(POINTS, st.integers(1, 12))
def test_what_comes_later_never_changes_a_group(points, count):
    """A name that somebody was told has to mean the same next week."""
    assert group(points, 1.0)[:count].tolist() == group(points[:count], 1.0).tolist()


@given(POINTS)
def test_groups_are_as_near_as_asked_and_numbered_by_their_oldest(points):
    """Each joined because it was near enough to what was there, and to nothing more."""
    owner = group(points, 1.0)

    first = [int(np.flatnonzero(owner == number)[0]) for number in range(int(owner.max()) + 1)]
    assert first == sorted(first)
    for place in range(1, len(points)):
        before = owner[:place]
        means = {
            number: np.linalg.norm(points[:place][before == number] - points[place], axis=1).mean()
            for number in set(before.tolist())
        }
        if owner[place] in means:
            assert means[owner[place]] == pytest.approx(min(means.values()))
            assert means[owner[place]] <= 1 + 1e-9
        else:
            assert min(means.values()) > 1 - 1e-9


def test_unknowns_of_one_sort_are_one_group_on_whichever_link(tmp_path, bundle):
    """That is what makes five pages one thing to find out about."""
    store = tmp_path / "store"
    for week in range(4):
        incident(store, "half", link=f"trunk-{week % 3}", start_ms=NOON_MS + week * WEEK_MS)
    incident(store, "slow", link="trunk-1", start_ms=NOON_MS + WEEK_MS // 2)
    encoder = open_encoder(bundle)

    found = grouped(unknowns([store], bundle.manifest.window, encoder), REACH * SCALE)

    assert [len(one.episodes) for one in found] == [4, 1]
    assert found[0].links == ("trunk-0", "trunk-1", "trunk-2")
    assert found[0].regularity is not None
    assert found[0].regularity.text == "Tuesdays 22:15"
    assert found[1].regularity is None


def test_the_typical_window_lies_in_the_episode_it_is_said_to_be_of(tmp_path, bundle):
    """It is what gets enrolled: a window of normal traffic would call every link faulty."""
    store = tmp_path / "store"
    incident(store, "half")
    spec = bundle.manifest.window

    (found,) = unknowns([store], spec, open_encoder(bundle))

    assert found.episode.since_ms - spec.span_ms < found.start_ms
    assert found.start_ms + spec.span_ms <= found.episode.until_ms


def test_an_episode_goes_by_its_own_windows(tmp_path, bundle):
    """A link may be unknown several times, and each time be another thing."""
    store = tmp_path / "store"
    for number, sort in enumerate(("half", "slow", "slow", "slow")):
        incident(store, sort, start_ms=NOON_MS + number * 200 * STEP_MS)
    spec = bundle.manifest.window

    found = unknowns([store], spec, open_encoder(bundle))

    assert len(found) == 4
    for one in found:
        assert one.episode.since_ms <= one.start_ms + spec.span_ms <= one.episode.until_ms
    assert [len(one.episodes) for one in grouped(found, REACH * SCALE)] == [1, 3]


def test_other_states_and_links_are_left_out(tmp_path, bundle):
    """A fault that has a name needs none."""
    store = tmp_path / "store"
    capture(life([("normal", 60), ("blocked", 60)]), store)

    assert unknowns([store], bundle.manifest.window, open_encoder(bundle)) == []
    assert grouped([], 1.0) == []


def test_an_episode_without_a_whole_window_is_in_no_group(tmp_path, bundle):
    """Three rows of it are no window, and no reason to fail."""
    store = tmp_path / "store"
    incident(store, "half")
    incident(store, "half", link="trunk-2")
    for file in (store / "host-a").rglob("*.parquet"):
        keep_every_tenth(file, "trunk-2")

    found = unknowns([store], bundle.manifest.window, open_encoder(bundle))

    assert [one.episode.link for one in found] == ["trunk-1"]


def test_the_reach_that_help_shows_is_the_one_that_is_used():
    """It stands in two places so that `--help` answers at once."""
    assert SHOWN == named_groups.REACH == REACH
