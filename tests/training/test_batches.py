"""Batches hold each class and each run evenly, and are the same for the same seed."""

import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.inputs import Inputs, InputSpec, Level
from detector.keras_engine import keras
from detector.window import WindowSpec
from tests.training.captures import make_link
from training.augment import Augment
from training.batches import RECOVERY_SECONDS, Batches, classes_of, label_of
from training.labelled import LabelledWindows

SPEC = WindowSpec(("mark",), 4, 1000)
LABELS = ("blocked", "limited", "normal")


def marked_windows(runs, rows=12, kinds=None):
    """Make windows whose counter says 10 * run + label; *runs* lists the labels of each run."""
    links = [
        make_link(
            [LABELS[label]] * rows,
            np.full((rows, 1), 10 * run + label, np.float32),
            name=f"run{run}/{LABELS[label]}",
            kinds=kinds and [kinds[run]] * rows,
        )
        for run, labels in enumerate(runs)
        for label in labels
    ]
    return LabelledWindows(links, SPEC, tail=4)


def make_batches(windows, **options):
    """Make batches of 30 windows whose only input is the logarithm of the mark."""
    features = windows.spec.features
    levels = tuple(Level(name, name) for name in features)
    wide = InputSpec((0,), (), levels, spread=(1000.0,) * len(features))  # nothing is clipped
    options = {"size": 30, "batches": 5, "seed": 1} | options
    return Batches(windows, Inputs(wide, windows.spec), **options)


def marks(batch):
    """Read runs and labels of a batch back from its inputs: two arrays (batch,)."""
    inputs, _ = batch
    found = np.rint(np.expm1(inputs[:, -1, 0] * 1000.0)).astype(int)
    return found // 10, found % 10


def counts(batch):
    """Count a batch's windows of each class."""
    return np.bincount(batch[1]).tolist()


def test_a_batch_has_the_shape_that_the_model_reads():
    """Windows, and beside each the number of its class."""
    batches = make_batches(marked_windows([(0, 1), (0, 1)]), size=6, batches=5)

    inputs, classes = batches[0]

    assert len(batches) == 5
    assert inputs.shape == (6, 4, 1)
    assert inputs.dtype == np.float32
    assert classes.shape == (6,)
    assert classes.dtype == np.int32


def test_the_class_is_that_of_the_window_beside_it():
    """One place off, and everything would be learnt wrong."""
    batches = make_batches(marked_windows([(0, 1, 2), (0, 1, 2), (2,)]))

    for number in range(len(batches)):
        _, label = marks(batches[number])
        assert [LABELS[one] for one in label] == batches.names[batches[number][1]].tolist()


def test_every_batch_has_as_many_of_each_label_however_rare_it_is():
    """Captures hold days of normal traffic and minutes of a fault."""
    days = [make_link(["normal"] * 500, np.full((500, 1), 2, np.float32), name=f"day{n}")
            for n in range(9)]  # fmt: skip
    rare = [make_link([LABELS[n]] * 6, np.full((6, 1), n, np.float32), name=f"fault{n}")
            for n in range(2)]  # fmt: skip
    batches = make_batches(LabelledWindows([*days, *rare], SPEC, tail=4))

    assert [counts(batches[number]) for number in range(5)] == [[10, 10, 10]] * 5


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, [10, 10, 10]), (0.5, [8, 8, 15]), (0.8, [3, 3, 24])]
)
def test_normal_has_the_share_that_was_asked_for(share, expected):
    """Most of what a daemon sees is normal, and a false alarm is its commonest mistake."""
    batches = make_batches(marked_windows([(0, 1, 2)] * 2), normal_share=share)

    assert counts(batches[0]) == expected


def test_without_normal_traffic_its_share_goes_to_nobody():
    """Whoever trains on faults alone gets them evenly, and no error."""
    batches = make_batches(marked_windows([(0, 1)] * 2), normal_share=0.8)

    assert counts(batches[0]) == [15, 15]


@pytest.mark.parametrize("size", [4, 5, 7])
def test_each_class_has_two_windows_at_least(size):
    """A window without another of its class has no positive."""
    batches = make_batches(marked_windows([(0, 1, 2)] * 2), size=size, normal_share=0.9)

    assert min(counts(batches[0])) >= 2


def recovering_windows(runs=3, rows=60):
    """Make windows of links that were well, blocked for a while, and well again.

    The mark is the row's number, so that a window tells where it ends: after row 30, and before
    the time is over, it is one of the recovery.
    """
    labels = ["normal"] * 10 + ["blocked"] * 20 + ["normal"] * (rows - 30)
    marks_of = np.arange(rows, dtype=np.float32)[:, None]
    links = [make_link(labels, marks_of, name=f"run{run}/a") for run in range(runs)]
    return LabelledWindows(links, SPEC, tail=4)


def late(batch):
    """Count the windows of a batch that end just after a fault."""
    last = np.rint(np.expm1(batch[0][:, -1, 0] * 1000.0)).astype(int)
    return int(((last >= 30) & (last <= 29 + RECOVERY_SECONDS)).sum())


@pytest.mark.parametrize(
    ("share", "count"), [(0.01, 0), (0.3, 6), (0.5, 10), (0.99, 20), (1.0, 20)]
)
def test_just_after_a_fault_has_the_share_of_normal_that_was_asked_for(share, count):
    """What was held back is sent then, and nothing else that is normal looks so like a fault."""
    batches = make_batches(
        recovering_windows(rows=90), size=40, normal_share=0.5, recovery_share=share
    )

    found = [batches[number] for number in range(5)]

    assert [late(batch) for batch in found] == [count] * 5
    assert [counts(batch) for batch in found] == [[20, 20]] * 5
    assert batches.names.tolist() == ["blocked", "normal"]  # and they are no class of their own


def test_without_a_share_recovery_comes_as_often_as_it_was_recorded():
    """Nothing is told apart that nobody asked for."""
    few, many = (
        sum(late(make_batches(recovering_windows(rows=rows))[number]) for number in range(20))
        for rows in (300, 66)
    )

    assert 0 < few < many / 2


@pytest.mark.parametrize("rows", [30, 50])
def test_where_no_link_or_every_normal_window_recovered_its_share_is_nothing(rows):
    """A capture that ends with its faults has no recovery, and none is missed."""
    labels = ["blocked"] * 20 + ["normal"] * (rows - 20)
    if rows == 30:
        labels = labels[::-1]
    links = [make_link(labels, name=f"run{run}/a") for run in range(2)]
    windows = LabelledWindows(links, SPEC, tail=4)

    batches = make_batches(windows, recovery_share=0.5)

    assert counts(batches[0]) == [15, 15]


KINDS = ("cable", "filter", None, "limited", "filter")


def test_kinds_are_told_apart_where_that_is_asked_for():
    """A mechanism can be told by its own counters, where a label is too wide for one place."""
    windows = marked_windows([(0,), (0,), (0,), (1,), (2,)], kinds=KINDS)

    plain, fine = (make_batches(windows, kinds=kinds).names.tolist() for kinds in (False, True))

    assert plain == ["blocked", "limited", "normal"]
    # One without a kind, or whose kind says no more than its label, is of the label itself.
    assert fine == ["blocked", "blocked/cable", "blocked/filter", "limited", "normal/filter"]
    assert [label_of(name) for name in fine] == ["blocked"] * 3 + ["limited", "normal"]


def test_the_kinds_of_a_label_share_what_the_label_has():
    """A label with many kinds must not crowd the others out."""
    windows = marked_windows([(0,), (0,), (0,), (1,), (2,)], kinds=KINDS)

    batches = make_batches(windows, kinds=True, normal_share=0.4)

    assert counts(batches[0]) == [3, 3, 3, 9, 12]


def test_classes_are_named_window_by_window():
    """The same names choose the anchors."""
    windows = marked_windows([(0,), (2,)], rows=5, kinds=("cable", None))

    assert classes_of(windows, kinds=False).tolist() == ["blocked"] * 2 + ["normal"] * 2
    assert classes_of(windows, kinds=True).tolist() == ["blocked/cable"] * 2 + ["normal"] * 2


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(4, 40))
def test_a_class_comes_from_as_many_runs_as_there_are(seed, count, size):
    """No run is drawn again before each was drawn, however long it is.

    So a window's positives are of other runs: what makes a run itself must not be taken for
    what makes its label.
    """
    rng = np.random.default_rng(seed)
    links = [
        make_link([LABELS[label]] * rows, np.full((rows, 1), 10 * run + label), name=f"run{run}/a")
        for run, (label, rows) in enumerate(
            (label, int(rng.integers(4, 60))) for label in (0, 2) for _ in range(count)
        )
    ]
    batches = make_batches(LabelledWindows(links, SPEC, tail=4), size=size, seed=seed)

    for number in range(len(batches)):
        run, label = marks(batches[number])
        for one in (0, 2):
            drawn = Counter(run[label == one].tolist())
            assert len(drawn) == min(count, (label == one).sum())
            assert max(drawn.values()) - min(drawn.get(r, 0) for r in drawn) <= 1


def test_runs_are_drawn_evenly_however_long_they_are():
    """Variety is worth more than length, so a long run must not rule its label."""
    long = make_link(["normal"] * 500, np.full((500, 1), 2, np.float32), name="run0/a")
    short = marked_windows([(), (2,), (2,)], rows=5).links
    other = make_link(["blocked"] * 5, np.full((5, 1), 0, np.float32), name="run3/a")
    batches = make_batches(LabelledWindows([long, *short, other], SPEC, tail=4), size=8)

    drawn = Counter()
    for number in range(600):
        run, label = marks(batches[number])
        drawn.update(run[label == 2].tolist())

    assert sum(drawn.values()) == 2400
    assert all(drawn[run] == pytest.approx(800, rel=0.05) for run in range(3))


def test_the_places_of_a_run_are_one_run():
    """What two probes saw of one call is no second recording of it."""
    links = [make_link([label] * 9, np.full((9, 1), mark), name=name) for label, mark, name in
             (("blocked", 0, "a/x"), ("blocked", 0, "a/y"), ("blocked", 10, "b/x"),
              ("normal", 2, "a/z"))]  # fmt: skip
    batches = make_batches(LabelledWindows(links, SPEC, tail=4), size=4)

    for number in range(len(batches)):
        run, label = marks(batches[number])
        assert sorted(run[label == 0]) == [0, 1]  # never both places of a


def test_every_window_is_drawn_some_time():
    """A window that is never drawn was recorded for nothing."""
    values = np.arange(9, dtype=np.float32)[:, None]
    links = [make_link([label] * 9, values + 10 * place, name=label)
             for place, label in enumerate(("normal", "blocked"))]  # fmt: skip
    windows = LabelledWindows(links, SPEC, tail=4)

    inputs, _ = make_batches(windows, size=300)[0]

    last = np.rint(np.expm1(inputs[:, -1, 0] * 1000.0)).astype(int)
    assert set(last) == {*range(3, 9), *range(13, 19)}


def content(batches, epochs=2):
    """Give all batches of some epochs as bytes."""
    found = []
    for _ in range(epochs):
        found += [batches[number][0].tobytes() for number in range(len(batches))]
        batches.on_epoch_end()
    return found


def many_windows():
    """Make windows that all differ, so that no two batches are alike by chance."""
    rows = np.arange(200, dtype=np.float32)[:, None]
    links = [make_link([label] * 200, rows + 300 * n, name=f"{label}{n}")
             for label in LABELS for n in range(3)]  # fmt: skip
    return LabelledWindows(links, SPEC, tail=4)


def test_the_same_seed_gives_the_same_batches_and_another_one_others():
    """Without it no bundle could be made a second time."""
    augment = Augment(features=SPEC.features, load_span=3.0)
    options = {"augment": augment, "drop": 0.3}

    first, again, other = (
        content(make_batches(many_windows(), seed=seed, **options)) for seed in (1, 1, 2)
    )

    assert first == again
    assert not set(first) & set(other)


def test_each_batch_of_each_epoch_is_another():
    """A training that sees the same windows again and again learns those by heart."""
    drawn = content(make_batches(many_windows()), epochs=3)

    assert len(set(drawn)) == len(drawn) == 15


def test_a_batch_does_not_depend_on_those_asked_for_before():
    """Keras may look at some before the first epoch, and another version of it at others."""
    one, other = make_batches(many_windows()), make_batches(many_windows())

    forwards = [one[number][0].tobytes() for number in range(5)]
    backwards = [other[number][0].tobytes() for number in reversed(range(5))]

    assert forwards == backwards[::-1]


def test_validation_sees_the_same_batches_in_each_epoch():
    """Only then can one epoch's validation be compared with the next one's."""
    drawn = content(make_batches(many_windows(), fresh=False), epochs=3)

    assert drawn[:5] == drawn[5:10] == drawn[10:]
    assert len(set(drawn)) == 5


@pytest.mark.parametrize(("fresh", "least", "most"), [(True, 6, 9), (False, 3, 3)])
def test_keras_is_given_other_batches_in_each_epoch(fresh, least, most):
    """It is Keras that says when an epoch ends, and must be heard."""
    seen = set()

    class Watched(Batches):
        def __getitem__(self, index):
            batch = super().__getitem__(index)
            seen.add(batch[0].tobytes())
            return batch

    inputs = Inputs(InputSpec((0,), (), (Level("mark", "mark"),)), SPEC)
    batches = Watched(many_windows(), inputs, size=8, batches=3, seed=1, fresh=fresh)
    part = keras.Input((4, 1))
    model = keras.Model(part, keras.layers.Dense(1)(keras.layers.Flatten()(part)))
    model.compile(loss="mse")

    model.fit(batches, epochs=2, verbose=0)

    assert least <= len(seen) <= most  # Keras looks at some before the first epoch


def test_one_label_alone_is_refused():
    """The message says what was found, so that the operator can record the other."""
    windows = marked_windows([(0,), (0,)], kinds=("cable", "filter"))

    for kinds in (False, True):
        with pytest.raises(ValueError, match=r"need two labels, these windows have \['blocked'\]"):
            make_batches(windows, kinds=kinds)


def test_windows_are_augmented_before_inputs_are_made_of_them():
    """A busier link has larger counters and the same response times."""
    spec = WindowSpec(("calls", "response_ms"), 4, 1000)
    links = [make_link([label] * 6, np.full((6, 2), 50, np.float32), name=label)
             for label in ("normal", "blocked")]  # fmt: skip
    windows = LabelledWindows(links, spec, tail=4)
    augment = Augment(features=spec.features, load_span=4.0)

    plain, loaded = (
        np.expm1(make_batches(windows, size=600, augment=how)[0][0] * 1000.0)
        for how in (None, augment)
    )

    np.testing.assert_allclose(plain, 50, rtol=1e-3)
    np.testing.assert_allclose(loaded[..., 1], 50, rtol=1e-3)
    assert 12.4 < loaded[..., 0].min() < 14
    assert 180 < loaded[..., 0].max() < 201
    assert windows.rows.max() == 50  # the capture's own rows are not written to


def test_windows_of_one_class_are_loaded_apart():
    """An anchor and a positive of one load teach nothing of loads."""
    augment = Augment(features=SPEC.features, load_span=4.0)
    windows = marked_windows([(1,), (1,), (2,), (2,)])

    plain, loaded = (make_batches(windows, augment=how)[0][0][:, -1, 0] for how in (None, augment))

    changed = ~np.isclose(plain, loaded)
    assert 0.2 < changed.mean() < 0.8
    assert len(set(loaded[changed].tolist())) == changed.sum()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_share_of_the_inputs_is_hidden_for_whole_windows(share):
    """An encoder that leans on one counter is lost when an exporter drops it."""
    spec = WindowSpec(tuple("abcdefgh"), 4, 1000)
    links = [make_link([label] * 6, np.full((6, 8), 50, np.float32), name=label)
             for label in ("normal", "blocked")]  # fmt: skip
    windows = LabelledWindows(links, spec, tail=4)

    inputs, _ = make_batches(windows, drop=share, size=1000)[0]

    hidden = inputs == 0  # window, step, input
    assert (hidden == hidden[:, :1]).all()  # in all steps of a window, or in none
    assert hidden.mean() == pytest.approx(share, abs=0.03)
    np.testing.assert_allclose(hidden[:, 0].mean(axis=0), share, atol=0.06)
    assert np.ptp(inputs[~hidden]) == 0  # and nothing else is changed


def test_windows_are_never_stored():
    """Windows of a minute, one a second, would take sixty times the memory of the capture."""
    spec = WindowSpec(tuple("abcdefghijklmnop"), 60, 1000)
    rows = np.zeros((10_000, 16), np.float32)
    links = [make_link([label] * len(rows), rows, name=label) for label in ("normal", "blocked")]

    tracemalloc.start()
    batches = make_batches(LabelledWindows(links, spec, tail=3), size=4)
    inputs, _ = batches[0]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert inputs.shape == (4, 60, 16)
    assert most < 6 * 2 * rows.nbytes
