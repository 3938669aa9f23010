"""A run is learnt from or judged by, never both, and each sort of run is on either side."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.capture import CaptureError
from tests.training.captures import make_link
from training.split import Fold, folds, kind_folds, mix_folds, run_folds, split_runs, stratum

SORTS = (["normal"], ["normal", "blocked"], ["normal", None, "limited"])


def make_runs(sizes):
    """Give links of as many runs of each sort as *sizes* say, each seen at two places."""
    return [
        make_link(labels, name=f"{sort}{number}/{where}")
        for sort, (labels, size) in enumerate(zip(SORTS, sizes, strict=True))
        for number in range(size)
        for where in ("access", "core")
    ]


SIZES = st.tuples(*[st.integers(0, 9)] * 3).filter(lambda sizes: sum(sizes) > 1)
SEEDS = st.integers(0, 99)


@given(SIZES, SEEDS, st.floats(0.05, 0.5))
def test_a_run_is_on_one_side_with_all_its_places(sizes, seed, share):
    """Two places saw the same traffic, so judging by one what the other taught is cheating."""
    links = make_runs(sizes)

    learnt, kept = split_runs(links, share, seed)

    assert learnt
    assert kept
    assert not {link.run for link in learnt} & {link.run for link in kept}
    assert sorted(link.link for link in learnt + kept) == sorted(link.link for link in links)


@given(SIZES, SEEDS, st.integers(2, 6))
def test_each_sort_of_run_is_dealt_evenly(sizes, seed, count):
    """A fault that is all on one side is not learnt, or not judged."""
    links = make_runs(sizes)

    dealt = folds(links, count, seed)

    for sort, size in enumerate(sizes):
        share = Counter(fold for run, fold in dealt.items() if run.startswith(str(sort)))
        assert all(size // count <= share[fold] <= -(-size // count) for fold in range(count))
    whole = Counter(dealt.values())
    assert max(whole.values()) - min(whole[fold] for fold in range(count)) <= 1
    assert set(dealt) == {link.run for link in links}


@given(SEEDS, st.sampled_from([0.1, 0.2, 0.25, 0.5]))
def test_about_the_share_that_was_asked_for_is_kept(seed, share):
    """Runs are dear: what is kept to judge by is not learnt from."""
    links = make_runs((20, 20, 20))

    _, kept = split_runs(links, share, seed)

    assert len({link.run for link in kept}) == pytest.approx(60 * share, abs=1)


def test_the_same_seed_parts_the_same_way():
    """A bundle can only be made again if the same runs are learnt from, in any order of files."""
    links = make_runs((9, 9, 9))

    first, again = split_runs(links, 0.3, 5)[1], split_runs(links[::-1], 0.3, 5)[1]
    others = {tuple(link.link for link in split_runs(links, 0.3, seed)[1]) for seed in range(8)}

    assert {link.link for link in first} == {link.link for link in again}
    assert len(others) > 1


@pytest.mark.parametrize("share", [0, -0.1, 0.51, 1, float("nan")])
def test_a_share_that_leaves_too_little_is_refused(share):
    """More to judge by than to learn from is a slip of the pen."""
    with pytest.raises(CaptureError, match=rf"share of {share} is not above 0 and at most a half"):
        split_runs(make_runs((3, 3, 3)), share, 0)


def test_one_run_cannot_be_parted():
    """The message says what to record, or how to name links that are runs of their own."""
    links = make_runs((1, 0, 0))

    with pytest.raises(CaptureError, match="one run can't be parted: record at least two"):
        split_runs(links, 0.5, 0)


def test_a_sort_is_told_by_all_labels_of_all_places():
    """One place may see a fault that another doesn't."""
    links = [make_link(["normal"]), make_link(["normal", None, "blocked"])]

    assert stratum(links) == "blocked+normal"
    assert stratum([]) == ""


@given(SIZES, SEEDS, st.integers(1, 6))
def test_folds_leave_out_every_run_once(sizes, seed, count):
    """A run that is never judged hides what goes wrong in it; one judged twice counts twice."""
    links = make_runs(sizes)

    if count > sum(sizes):
        with pytest.raises(CaptureError, match=f"{sum(sizes)} runs can't be dealt to {count}"):
            run_folds(links, count, seed)
        return
    found = run_folds(links, count, seed)

    assert [fold.name for fold in found] == [f"{n + 1} of {count}" for n in range(count)]
    left_out = Counter(run for fold in found for run in fold.runs)
    assert left_out == dict.fromkeys({link.run for link in links}, 1)
    assert {fold.unseen for fold in found} == {()}


def test_folds_depend_on_the_seed():
    """Seeds are to show what hangs on who learns from whom."""
    links = make_runs((4, 4, 4))

    assert run_folds(links, 3, 1) == run_folds(links, 3, 1)
    assert len({tuple(run_folds(links, 3, seed)) for seed in range(8)}) > 1


def test_a_mix_is_all_runs_that_one_of_its_patterns_matches():
    """Runs of one mix of traffic seldom share a beginning of their names."""
    links = [make_link(["normal"], name=f"{run}/a") for run in ("d01", "d02", "e01", "e02", "f")]

    found = mix_folds(links, ("d*,e01", "f", "[de]02"))

    assert found == [
        Fold("d*,e01", frozenset({"d01", "d02", "e01"})),
        Fold("f", frozenset({"f"})),
        Fold("[de]02", frozenset({"d02", "e02"})),
    ]


def test_a_mix_that_no_run_belongs_to_is_refused():
    """A slip of the pen would leave nothing out, and judge nothing."""
    links = [make_link(["normal"], name="d01/a")]

    with pytest.raises(CaptureError, match="no run belongs to the mix 'D01'"):
        mix_folds(links, ("d01", "D01"))


def faulty(run, label, kind, place="a"):
    """Make a link of a run that is well, and then isn't."""
    labels = ["normal", None, label]
    return make_link(labels, name=f"{run}/{place}", kinds=["normal", None, kind])


FAULTS = [
    faulty("cut1", "blocked", "cut"),
    faulty("cut2", "blocked", "cut"),
    faulty("cut2", "normal", "normal", "b"),
    faulty("full", "limited", "htb"),
    faulty("hung", "blocked", "peer_hung"),
    make_link(["normal"], name="calm/a"),
]


@pytest.mark.parametrize(
    ("patterns", "runs", "unseen"),
    [
        ("cut", {"cut1", "cut2"}, ("cut",)),
        ("peer_*,htb", {"hung", "full"}, ("htb", "peer_hung")),
        ("blocked", {"cut1", "cut2", "hung"}, ("cut", "peer_hung")),  # a label is all its kinds
        ("limited,cut", {"full", "cut1", "cut2"}, ("cut", "htb")),
    ],
)
def test_kinds_and_labels_are_left_out_with_their_runs(patterns, runs, unseen):
    """What is to be unseen must be in no run that is learnt from, not even unlabelled."""
    assert kind_folds(FAULTS, (patterns,)) == [Fold(patterns, frozenset(runs), unseen)]


def test_a_label_without_kinds_can_be_left_out():
    """Captures need no kinds."""
    links = [
        make_link(["normal", "blocked"], name="a/x", kinds=[None, None]),
        make_link(["normal", "limited"], name="b/x", kinds=[None, "htb"]),
    ]

    assert kind_folds(links, ("blocked", "lim*")) == [
        Fold("blocked", frozenset({"a"}), ("blocked",)),
        Fold("lim*", frozenset({"b"}), ("htb",)),
    ]


def test_rows_of_an_unseen_kind_count_even_where_they_have_no_label():
    """Somebody may have taken the label, but it happened."""
    shy = make_link(["normal", None], name="shy/a", kinds=["normal", "cut"])

    (fold,) = kind_folds([*FAULTS, shy], ("cut",))

    assert fold.runs == {"cut1", "cut2", "shy"}


def test_a_kind_that_nothing_is_of_is_refused():
    """A slip of the pen would leave nothing out, and show nothing."""
    with pytest.raises(CaptureError, match="no row is of the kind or label 'carrier,gone'"):
        kind_folds(FAULTS, ("cut", "carrier,gone"))
