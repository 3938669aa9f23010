"""Triplets are drawn evenly, from different runs, and the same for the same seed."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from detector.inputs import Inputs, InputSpec, Level
from detector.keras_engine import keras
from detector.window import WindowSpec
from tests.training.captures import make_link
from training.labelled import LabelledWindows
from training.triplets import Triplets

SPEC = WindowSpec(("mark",), 4, 1000)
LABELS = ("blocked", "limited", "normal")


def marked_windows(runs, rows=12):
    """Make windows whose counter says 10 * run + label; *runs* lists the labels of each run."""
    links = [
        make_link(
            [LABELS[label]] * rows,
            np.full((rows, 1), 10 * run + label, np.float32),
            name=f"run{run}/{LABELS[label]}",
        )
        for run, labels in enumerate(runs)
        for label in labels
    ]
    return LabelledWindows(links, SPEC, tail=4)


def make_triplets(windows, **options):
    """Make batches of 64 triplets whose only input is the logarithm of the mark."""
    features = windows.spec.features
    levels = tuple(Level(name, name) for name in features)
    wide = InputSpec((0,), (), levels, spread=(1000.0,) * len(features))  # nothing is clipped
    options = {"batch": 64, "batches": 5, "seed": 1} | options
    return Triplets(windows, Inputs(wide, windows.spec), **options)


def marks(batch):
    """Read runs and labels of a batch back from its inputs: two arrays (3, batch)."""
    (parts, _truth) = batch
    found = np.rint(np.expm1(np.stack(parts)[:, :, -1, 0] * 1000.0)).astype(int)
    return found // 10, found % 10


def test_a_batch_has_the_shape_that_the_model_reads():
    """Three batches of windows, and a truth that Keras wants and nobody looks at."""
    triplets = make_triplets(marked_windows([(0, 1), (0, 1)]), batch=6, batches=5)

    parts, truth = triplets[0]

    assert len(triplets) == 5
    assert [part.shape for part in parts] == [(6, 4, 1)] * 3
    assert {part.dtype for part in parts} == {np.dtype(np.float32)}
    assert len(truth) == 6


def test_anchor_and_positive_share_a_label_that_the_negative_has_not():
    """That is what a triplet is."""
    triplets = make_triplets(marked_windows([(0, 1, 2), (0, 1, 2), (2,)]))

    for number in range(len(triplets)):
        _, (anchor, positive, negative) = marks(triplets[number])
        assert (anchor == positive).all()
        assert (anchor != negative).all()


def test_anchor_and_positive_come_from_different_runs_where_there_are_two():
    """What makes a run itself must not be taken for what makes its label."""
    triplets = make_triplets(marked_windows([(0, 1), (0,), (0,), (1,), (2,)]))

    for number in range(len(triplets)):
        (anchor, positive, _), (label, *_) = marks(triplets[number])
        assert (anchor != positive)[label != 2].all()
        assert (anchor == positive)[label == 2].all()  # its only run
        assert 2 in label


def test_labels_are_drawn_evenly_however_rare_they_are():
    """Captures hold days of normal traffic and minutes of a fault."""
    common = [make_link(["normal"] * 500, np.full((500, 1), 2, np.float32), name=f"day{n}")
              for n in range(9)]  # fmt: skip
    rare = [make_link([LABELS[n]] * 6, np.full((6, 1), n, np.float32), name=f"fault{n}")
            for n in range(2)]  # fmt: skip
    triplets = make_triplets(LabelledWindows([*common, *rare], SPEC, tail=4), batch=3000)

    _, (anchor, _, negative) = marks(triplets[0])

    for drawn in (anchor, negative):
        assert all(0.28 < (drawn == label).mean() < 0.39 for label in range(3))


def test_runs_are_drawn_evenly_however_long_they_are():
    """Variety is worth more than length, so a long run must not rule its label."""
    long = make_link(["normal"] * 500, np.full((500, 1), 2, np.float32), name="run0/a")
    short = marked_windows([(), (2,), (2,)], rows=5).links
    other = make_link(["blocked"] * 5, np.full((5, 1), 0, np.float32), name="run3/a")
    triplets = make_triplets(LabelledWindows([long, *short, other], SPEC, tail=4), batch=3000)

    (anchor, positive, _), (label, *_) = marks(triplets[0])

    for drawn in (anchor, positive):
        assert all(0.28 < (drawn[label == 2] == run).mean() < 0.39 for run in range(3))


def test_every_window_is_drawn_some_time():
    """A window that is never drawn was recorded for nothing."""
    values = np.arange(9, dtype=np.float32)[:, None]
    links = [make_link([label] * 9, values + 10 * place, name=label)
             for place, label in enumerate(("normal", "blocked"))]  # fmt: skip
    windows = LabelledWindows(links, SPEC, tail=4)

    (parts, _truth) = make_triplets(windows, batch=500)[0]

    last = np.rint(np.expm1(np.stack(parts)[:, :, -1, 0] * 1000.0)).astype(int)
    assert all(set(part) == {*range(3, 9), *range(13, 19)} for part in last)


def content(triplets, epochs=2):
    """Give all batches of some epochs as bytes."""
    found = []
    for _ in range(epochs):
        found += [b"".join(p.tobytes() for p in triplets[n][0]) for n in range(len(triplets))]
        triplets.on_epoch_end()
    return found


def test_the_same_seed_gives_the_same_triplets_and_another_one_others():
    """Without it no bundle could be made a second time."""
    windows = marked_windows([(0, 1, 2)] * 4)

    first, again, other = (content(make_triplets(windows, seed=seed)) for seed in (1, 1, 2))

    assert first == again
    assert not set(first) & set(other)


def test_each_batch_of_each_epoch_is_another():
    """A training that sees the same triplets again and again learns those."""
    drawn = content(make_triplets(marked_windows([(0, 1, 2)] * 4)), epochs=3)

    assert len(set(drawn)) == len(drawn) == 15


@pytest.mark.parametrize(("fresh", "least", "most"), [(True, 6, 9), (False, 3, 3)])
def test_keras_is_given_other_triplets_in_each_epoch(fresh, least, most):
    """It is Keras that says when an epoch ends, and must be heard."""
    seen = set()

    class Watched(Triplets):
        def __getitem__(self, index):
            batch = super().__getitem__(index)
            seen.add(b"".join(part.tobytes() for part in batch[0]))
            return batch

    windows = marked_windows([(0, 1, 2)] * 4)
    wide = Inputs(InputSpec((0,), (), (Level("mark", "mark"),)), SPEC)
    triplets = Watched(windows, wide, batch=8, batches=3, seed=1, fresh=fresh)
    parts = [keras.Input((4, 1)) for _ in range(3)]
    flat = keras.layers.Flatten()(keras.layers.Concatenate()(parts))
    model = keras.Model(parts, keras.layers.Dense(1)(flat))
    model.compile(loss="mse")

    model.fit(triplets, epochs=2, verbose=0)

    assert least <= len(seen) <= most  # Keras looks at some before the first epoch


def test_validation_sees_the_same_triplets_in_each_epoch():
    """Only then can one epoch's validation be compared with the next one's."""
    drawn = content(make_triplets(marked_windows([(0, 1, 2)] * 4), fresh=False), epochs=3)

    assert drawn[:5] == drawn[5:10] == drawn[10:]
    assert len(set(drawn)) == 5


def test_one_label_alone_makes_no_triplet():
    """The message says what was found, so that the operator can record the other."""
    windows = marked_windows([(0,), (0,)])

    with pytest.raises(ValueError, match=r"need two labels, these windows have \['blocked'\]"):
        make_triplets(windows)


def test_the_loads_of_windows_are_scaled_but_not_their_means():
    """A busier link has larger counters and the same response times."""
    spec = WindowSpec(("calls", "response_ms"), 4, 1000)
    links = [make_link([label] * 6, np.full((6, 2), 50, np.float32), name=label)
             for label in ("normal", "blocked")]  # fmt: skip
    windows = LabelledWindows(links, spec, tail=4)

    plain, loaded = (
        np.expm1(np.stack(make_triplets(windows, load_span=span, batch=500)[0][0]) * 1000.0)
        for span in (1.0, 4.0)
    )

    np.testing.assert_allclose(plain, 50, rtol=1e-3)
    np.testing.assert_allclose(loaded[..., 1], 50, rtol=1e-3)
    assert 12.4 < loaded[..., 0].min() < 14
    assert 180 < loaded[..., 0].max() < 201


def test_anchor_positive_and_negative_are_loaded_apart():
    """A triplet of one load teaches nothing of loads."""
    windows = marked_windows([(1,), (1,), (2,), (2,)])

    plain, loaded = (
        np.stack(make_triplets(windows, load_span=span)[0][0])[..., -1, 0] for span in (1.0, 4.0)
    )

    changed = ~np.isclose(plain, loaded)  # of part, triplet
    assert 0.3 < changed.mean() < 0.7
    assert all((one != two).any() for one, two in pairwise(changed))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_share_of_the_inputs_is_hidden_for_whole_windows(share):
    """An encoder that leans on one counter is lost when an exporter drops it."""
    spec = WindowSpec(tuple("abcdefgh"), 4, 1000)
    links = [make_link([label] * 6, np.full((6, 8), 50, np.float32), name=label)
             for label in ("normal", "blocked")]  # fmt: skip
    windows = LabelledWindows(links, spec, tail=4)

    parts, _ = make_triplets(windows, drop=share, batch=400)[0]

    hidden = np.stack(parts) == 0  # part, triplet, step, input
    assert (hidden == hidden[:, :, :1]).all()  # in all steps of a window, or in none
    assert hidden.mean() == pytest.approx(share, abs=0.03)
    by_input = hidden[:, :, 0].mean(axis=(0, 1))
    np.testing.assert_allclose(by_input, share, atol=0.06)
    seen = np.stack(parts)[~hidden]
    assert np.ptp(seen) == 0  # and nothing else is changed


def test_windows_are_never_stored():
    """Windows of a minute, one a second, would take sixty times the memory of the capture."""
    spec = WindowSpec(tuple("abcdefghijklmnop"), 60, 1000)
    rows = np.zeros((10_000, 16), np.float32)
    links = [make_link([label] * len(rows), rows, name=label) for label in ("normal", "blocked")]

    tracemalloc.start()
    triplets = make_triplets(LabelledWindows(links, spec, tail=3), batch=4)
    parts, _ = triplets[0]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [part.shape for part in parts] == [(4, 60, 16)] * 3
    assert most < 6 * 2 * rows.nbytes
