"""Traces: what a training looked like comes back from disk as it was, and nothing else does."""

import contextlib
import io
import zipfile
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import make_spec
from tests.training.captures import make_link
from training.labelled import LabelledWindows
from training.trace import Trace, TraceError, Tracer

NAN = float("nan")


def make_trace(epochs=3, points=6, size=3, labels=("normal", "blocked"), seed=0):
    """Make a trace with one anchor for each label; before learning nothing was measured."""
    rng = np.random.default_rng(seed)
    places = rng.random((epochs, points, size), np.float32)
    losses = np.linspace(1, 0.1, epochs)
    losses[0] = NAN
    return Trace(
        points=places,
        labels=np.array([labels[place % len(labels)] for place in range(points)]),
        anchors=places[:, : len(labels)],
        anchor_labels=np.array(labels),
        loss=losses,
        validation_loss=losses * 2,
        active=losses / 2,
    )


def same(one, other):
    """Tell whether two traces hold the same."""
    for part in fields(Trace):
        mine, its = getattr(one, part.name), getattr(other, part.name)
        np.testing.assert_array_equal(mine, its)
        assert mine.dtype == its.dtype
    return True


@pytest.mark.parametrize("labels", [("normal", "blocked"), ("$x^2$", "näher_\N{SNOWMAN}" * 30)])
def test_a_trace_comes_back_as_it_was(tmp_path, labels):
    """What is drawn next week is what was recorded today."""
    trace = make_trace(labels=labels)

    trace.save(tmp_path / "trace.npz")

    assert same(Trace.load(tmp_path / "trace.npz"), trace)
    assert [file.name for file in tmp_path.iterdir()] == ["trace.npz"]


def test_the_same_trace_is_the_same_file(tmp_path):
    """Same captures, same seed, same bytes; and an older file gives way."""
    for name in "ab":
        (tmp_path / name).write_text("older")
        make_trace().save(tmp_path / name)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_trace_that_cannot_be_written_leaves_nothing(tmp_path):
    """No half of a file, and none beside it."""
    (tmp_path / "taken").mkdir()

    with pytest.raises(OSError, match="taken"):
        make_trace().save(tmp_path / "taken")

    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def packed(**arrays):
    """Give the bytes of an .npz file."""
    data = io.BytesIO()
    np.savez(data, **arrays)
    return data.getvalue()


def parts(**changes):
    """Give the arrays of a trace, with changes."""
    return {part.name: getattr(make_trace(), part.name) for part in fields(Trace)} | changes


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no .npz file"),
        (b"epoch,loss\n1,0.5\n", "no .npz file"),
        (packed(points=np.zeros((1, 1, 1))), "lacks 'labels'"),
        (packed(**parts(labels=np.array(["a"] * 6, object))), "allow_pickle"),
        (packed(**parts(labels=np.arange(6))), "labels is int64"),
        (packed(**parts(loss=np.zeros(4))), r"loss has the shape \(4,\)"),
        (packed(**parts(labels=np.array(["a"]))), "labels has the shape"),
        (packed(**parts(points=np.zeros((3, 0, 3)), labels=np.array([], str))), "no point"),
        (packed(**parts(points=np.full((3, 6, 3), NAN))), "not finite"),
        (packed(**parts())[:-30], "no .npz file"),
    ],
)
def test_any_other_file_is_a_trace_error(tmp_path, data, why):
    """The message names the file and what is wrong with it."""
    (tmp_path / "odd.npz").write_bytes(data)

    with pytest.raises(TraceError, match=why) as caught:
        Trace.load(tmp_path / "odd.npz")

    assert "odd.npz" in str(caught.value)


def test_a_file_that_is_not_there_is_a_trace_error(tmp_path):
    """A folder is none either."""
    for path in (tmp_path / "nowhere.npz", tmp_path):
        with pytest.raises(TraceError, match="not readable"):
            Trace.load(path)


@given(st.data())
def test_damage_is_a_trace_error_or_no_damage(tmp_path_factory, data):
    """Whatever a disk does to a file, there is no other error."""
    path = tmp_path_factory.mktemp("damage") / "trace.npz"
    make_trace(points=2).save(path)
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)

    with contextlib.suppress(TraceError):
        assert Trace.load(path).points.shape == (3, 2, 3)


def test_a_zip_of_something_else_is_a_trace_error(tmp_path):
    """A capture's archive, say."""
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as file:
        file.writestr("points.npy", "nothing")

    with pytest.raises(TraceError, match=r"some.npz"):
        Trace.load(tmp_path / "some.npz")


def test_the_tracer_follows_the_same_windows_from_epoch_to_epoch():
    """A point is one window in every frame, or the film would show nothing."""
    values = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
    labels = np.array(["normal"] * 3 + ["blocked"] * 3, object)
    tracer = Tracer(values, labels)

    tracer.record(lambda windows: windows[:, 0])
    tracer.record(lambda windows: -windows[:, 1], loss=0.5, validation_loss=0.7, active=0.25)
    trace = tracer.trace()

    np.testing.assert_array_equal(trace.points, [values[:, 0], -values[:, 1]])
    assert trace.labels.tolist() == list(labels)
    assert trace.epochs == 2
    np.testing.assert_array_equal(trace.loss, [NAN, 0.5])
    np.testing.assert_array_equal(trace.validation_loss, [NAN, 0.7])
    np.testing.assert_array_equal(trace.active, [NAN, 0.25])


def test_an_anchor_is_the_medoid_of_its_label_in_each_epoch():
    """It is a window that happened, the one that is nearest to all others of its label."""
    rng = np.random.default_rng(0)
    values = rng.random((40, 1, 3)).astype(np.float32)
    labels = np.array(["normal", "blocked"] * 20)
    tracer = Tracer(values, labels)

    tracer.record(lambda windows: windows[:, 0])
    tracer.record(lambda windows: windows[:, 0] ** 4)
    trace = tracer.trace()

    assert trace.anchor_labels.tolist() == ["blocked", "normal"]
    for points, anchors in zip(trace.points, trace.anchors, strict=True):
        for label, anchor in zip(trace.anchor_labels, anchors, strict=True):
            mine = points[labels == label]
            sums = [sum(np.linalg.norm(p - q) for q in mine) for p in mine]
            np.testing.assert_array_equal(anchor, mine[int(np.argmin(sums))])


def test_a_trace_of_nothing_is_refused():
    """Nothing recorded, no windows, or not as many labels."""
    with pytest.raises(TraceError, match="nothing was recorded"):
        Tracer(np.zeros((1, 1, 1), np.float32), np.array(["normal"])).trace()
    for windows, labels in ((0, 0), (2, 3)):
        with pytest.raises(ValueError, match="windows but"):
            Tracer(np.zeros((windows, 1, 1), np.float32), np.array(["a"] * labels))


def test_an_encoder_that_burst_is_a_trace_error():
    """NaN has no place in a picture."""
    tracer = Tracer(np.zeros((1, 1, 1), np.float32), np.array(["normal"]))
    tracer.record(lambda windows: windows[:, 0] * NAN)

    with pytest.raises(TraceError, match="not finite"):
        tracer.trace()


def test_a_trace_checks_itself_when_it_is_made():
    """No picture has to."""
    with pytest.raises(TraceError, match="anchors has the shape"):
        replace(make_trace(), anchors=np.zeros((3, 1, 3), np.float32))


def make_windows():
    """Make many normal windows of two runs, one of them long, and few blocked ones."""
    spec = make_spec(features=("one",), steps=2, optional=())
    links = [
        make_link(["normal"] * 101, name="long/access"),
        make_link(["normal"] * 21 + ["blocked"] * 6, name="short/access"),
        make_link(["blocked"] * 31, name="other/access"),
    ]
    return LabelledWindows(links, spec, tail=2)


def test_a_sample_is_even_over_labels_and_over_runs():
    """One long quiet run would else be all that the picture shows."""
    windows = make_windows()

    places = windows.evenly(16, seed=1)

    drawn = Counter(zip(windows.labels[places], windows.runs[places], strict=True))
    assert drawn == {
        ("normal", "long"): 4,
        ("normal", "short"): 4,
        ("blocked", "short"): 4,
        ("blocked", "other"): 4,
    }


def test_where_a_run_has_too_few_the_others_give_more():
    """A picture has as many windows as were asked for, as long as there are any."""
    windows = make_windows()

    places = windows.evenly(80, seed=1)
    drawn = Counter(zip(windows.labels[places], windows.runs[places], strict=True))

    assert len(places) == 80
    assert drawn["blocked", "short"] == 5
    assert drawn["blocked", "other"] == 30
    assert abs(drawn["normal", "long"] - drawn["normal", "short"]) <= 25
    assert drawn["normal", "short"] == 20
    assert len(windows.evenly(10_000, seed=1)) == len(windows)


def test_a_sample_is_the_same_for_the_same_seed():
    """And another for another; in order, each window once."""
    windows = make_windows()

    one, again, other = (windows.evenly(20, seed) for seed in (1, 1, 2))

    assert one.tolist() == again.tolist() == sorted(set(one))
    assert one.tolist() != other.tolist()
