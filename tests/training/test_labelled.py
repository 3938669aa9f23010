"""Windows are named by where they start, and labelled by how they end."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.window import WindowSpec
from tests.training.captures import START_MS, make_link
from training.labelled import LabelledWindows

SPEC = WindowSpec(("mark",), 4, 1000)
TRUTH = st.lists(st.sampled_from(["normal", "blocked", None]), min_size=0, max_size=20)


def plain_windows(link, spec, tail, hop):
    """List start, label and kind of each window that may be learnt from, one by one."""
    for start in range(0, len(link.values) - spec.steps + 1, hop):
        rows = slice(start, start + spec.steps)
        said = list(link.labels[rows])[-tail:]
        seen = (~np.isnan(link.values[rows])).mean(axis=0)
        is_seen = (seen[spec.required] >= spec.min_observed).all()
        if is_seen and said[0] is not None and len(set(said)) == 1:
            yield start, said[0], link.kinds[start + spec.steps - 1]


@given(st.lists(TRUTH, min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 3), st.data())
def test_windows_are_those_that_a_plain_loop_finds(truths, tail, hop, data):
    """A window too many or one beside its label would be learnt from without a word."""
    links = []
    for place, labels in enumerate(truths):
        gaps = data.draw(st.lists(st.booleans(), min_size=len(labels), max_size=len(labels)))
        values = np.arange(len(labels), dtype=np.float32)[:, None] + 100 * place
        values[np.array(gaps, bool)] = np.nan
        kinds = [label and f"{label} {row}" for row, label in enumerate(labels)]
        links.append(make_link(labels, values, name=f"run{place}/a", kinds=kinds))

    windows = LabelledWindows(links, SPEC, tail=tail, hop=hop)

    plain = [(link, *found) for link in links for found in plain_windows(link, SPEC, tail, hop)]
    assert len(windows) == len(plain)
    assert list(windows.labels) == [label for _, _, label, _ in plain]
    assert list(windows.kinds) == [kind for *_, kind in plain]
    assert list(windows.runs) == [link.run for link, *_ in plain]
    cut = windows.cut(slice(None))
    for number, (link, start, *_) in enumerate(plain):
        place = windows.place(number)
        assert (place.link.link, place.row) == (link.link, start)
        assert place.start_ms == START_MS + start * 1000
        np.testing.assert_array_equal(cut[number], link.values[start : start + SPEC.steps])


def test_chosen_windows_are_cut_in_the_order_asked_for():
    """An anchor's label and its window are looked up by the same number."""
    windows = LabelledWindows([make_link(["normal"] * 9)], SPEC, tail=4)

    cut = windows.cut(np.array([3, 0, 3]))

    assert cut.dtype == np.float32
    assert cut[:, 0, 0].tolist() == [3, 0, 3]


def test_a_short_tail_lets_windows_contain_the_change():
    """A fault is found sooner by an encoder that has seen how one begins."""
    link = make_link(["normal"] * 4 + [None] + ["blocked"] * 4)

    pure, partial = (LabelledWindows([link], SPEC, tail=tail) for tail in (4, 2))

    assert list(pure.labels) == ["normal", "blocked"]
    assert list(partial.labels) == ["normal"] + 3 * ["blocked"]
    assert [partial.place(number).row for number in range(4)] == [0, 3, 4, 5]


@pytest.mark.parametrize(("optional", "count"), [((), 1), (("rare",), 3)])
def test_windows_with_too_many_gaps_are_left_out(optional, count):
    """The daemon would refuse them, so nothing is learnt from them; optional gaps are fine."""
    spec = WindowSpec(("mark", "rare"), 4, 1000, optional)
    values = np.ones((6, 2), np.float32)
    values[3:, 1] = np.nan  # windows lack 1, 2 and 3 of their 4 steps
    spec = WindowSpec(spec.features, 4, 1000, optional, min_observed=0.75)

    windows = LabelledWindows([make_link(["normal"] * 6, values)], spec, tail=4)

    assert len(windows) == count


def test_a_link_shorter_than_a_window_has_none():
    """A link that was added during the recording doesn't end the training."""
    links = [make_link(["normal"] * 3, name="short"), make_link(["blocked"] * 5, name="long")]

    windows = LabelledWindows(links, SPEC, tail=4)

    assert list(windows.runs) == ["long", "long"]
    assert len(LabelledWindows(links[:1], SPEC, tail=4)) == 0


def windows_of(sizes, seed=0):
    """Give as many windows of one row as *sizes* say: {(label, run): windows}, in any order."""
    rng = np.random.default_rng(seed)
    links = [
        make_link([label] * size, name=f"{run}/{label}") for (label, run), size in sizes.items()
    ]
    order = rng.permutation(len(links))
    return LabelledWindows([links[n] for n in order], WindowSpec(("mark",), 1, 1000), tail=1)


SIZES = st.dictionaries(
    st.tuples(st.sampled_from(["normal", "blocked", "limited"]), st.sampled_from("rstu")),
    st.integers(1, 30),
    min_size=1,
)


def is_even(drawn, had):
    """Tell whether nobody gave more than another who had more to give."""
    return all(drawn[one] >= min(had[one], drawn[other] - 1) for one in had for other in had)


@given(SIZES, st.integers(0, 200), st.integers(0, 9))
def test_windows_are_drawn_evenly_over_labels_and_within_each_over_runs(sizes, count, seed):
    """The longest run and the commonest label would be all that is learnt otherwise."""
    windows = windows_of(sizes, seed)

    places = windows.evenly(count, seed)

    assert len(places) == min(count, sum(sizes.values()))
    assert len(set(places)) == len(places)
    assert (np.diff(places) > 0).all()
    labels, runs = windows.labels[places], windows.runs[places]
    had = Counter()
    for (label, _), size in sizes.items():
        had[label] += size
    assert is_even(Counter(labels.tolist()), had)
    pairs = Counter(zip(labels, runs, strict=True))
    for label in had:
        mine = {pair: size for pair, size in sizes.items() if pair[0] == label}
        assert is_even(pairs, mine)


def test_which_windows_are_drawn_is_chance_but_the_same_for_the_same_seed():
    """The first of each run are alike, and a study must be repeatable."""
    windows = windows_of({("normal", "r"): 50, ("blocked", "s"): 50})

    drawn = {tuple(windows.evenly(10, seed)) for seed in range(5)}

    assert len(drawn) == 5
    assert tuple(windows.evenly(10, 3)) in drawn


TIMES = st.floats(0, 6) | st.integers(0, 6)


@given(st.lists(TRUTH, min_size=1, max_size=3), TIMES, st.sampled_from([500, 1000, 2000]))
def test_what_follows_a_fault_is_found_as_a_plain_loop_finds_it(truths, seconds, step_ms):
    """What was held back comes all at once then, and looks much like a fault."""
    links = [
        replace(make_link(labels, name=f"run{place}/a"), step_ms=step_ms)
        for place, labels in enumerate(truths)
    ]
    windows = LabelledWindows(links, WindowSpec(("mark",), 4, step_ms), tail=1)

    found = windows.after_fault(seconds)

    assert found.shape == (len(windows),)
    for number, after in enumerate(found):
        place = windows.place(number)
        labels, end = list(place.link.labels), place.row + 3
        before = [
            row
            for row in range(end)
            if labels[row] not in ("normal", None) and (end - row) * step_ms <= seconds * 1000
        ]
        assert after == (labels[end] == "normal" and bool(before))


def test_a_fault_and_what_never_had_one_are_not_after_it():
    """Nor is a gap without a label a fault."""
    labels = (
        ["normal"] * 5 + [None] * 2 + ["normal"] * 2 + ["blocked"] * 3 + [None] + ["normal"] * 4
    )
    windows = LabelledWindows([make_link(labels)], SPEC, tail=1)

    after = windows.after_fault(3.0)

    ends = [windows.place(number).row + 3 for number in np.flatnonzero(after)]
    assert ends == [13, 14]  # two and three seconds after the last row of the fault
    assert not windows.after_fault(0).any()
