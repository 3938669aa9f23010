"""Pictures: what is drawn is what the data say, whatever labels and links are called."""

import importlib
import itertools
import math
import warnings
from dataclasses import replace

import matplotlib as mpl
import msgspec
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from detector.encoder import Encoder
from detector.oncall.strangeness import Calibration, Known, Tail
from tests.fakes import draft_bundle, make_bundle, make_capture
from tests.training.test_trace import make_trace
from training import watched
from training.plots import animation, style
from training.plots.confusion import confusion_figure
from training.plots.embedding import Cloud, cloud_at, embedding_figure, stages_figure
from training.plots.loss import loss_figure
from training.plots.projection import Projection
from training.plots.run import run_figure, spans
from training.trace import TraceError

HOSTILE = ("$\\frac{$", "a_b^c%&#", "\N{SNOWMAN}\u4e2d\u6587", "x" * 300, "two\nlines", "<b>")
DAY = [*["normal"] * 20, None, *["blocked"] * 20, *["normal"] * 20]


def artists(figure, gid):
    """Give all that is drawn under a name."""
    return figure.findobj(lambda artist: (artist.get_gid() or "").startswith(gid))


def texts(figure):
    """Give all texts of a figure."""
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def fit(trace, **more):
    """Give the projection that a training is drawn with."""
    return Projection.fit(trace.points[-1], [trace.points, trace.anchors], **more)


def cloud_of(labels, size=3, anchors=("normal", "blocked")):
    """Make a cloud with two windows of each label."""
    rng = np.random.default_rng(0)
    every = [label for label in labels for _ in range(2)]
    points = rng.random((len(every), size), np.float32)
    return Cloud(points, every, rng.random((len(anchors), size), np.float32), anchors)


def watch(bundle, encoder, folder, links):
    """Judge every link of a small capture."""
    capture = make_capture(folder / "capture.parquet", links)
    found = watched.unseen(bundle, [capture], ("*",))
    return [watched.watch(bundle, encoder, link) for link in found]


# Looks


def test_a_label_has_one_colour_in_every_picture(tmp_path, bundle, encoder):
    """Red is blocked on the first slide, and on the last."""
    trace = make_trace(labels=("normal", "blocked"))
    cloud = cloud_of(["blocked", "lossy"])
    drawn = watch(bundle, encoder, tmp_path, {"x/access": DAY})

    seen = [
        artists(stages_figure(trace, fit(trace)), "windows blocked")[0].get_facecolor()[0],
        artists(embedding_figure(cloud, Projection.fit(cloud.points), "t"), "anchor blocked")[
            0
        ].get_facecolor()[0],
        artists(run_figure(drawn), "distance blocked")[0].get_color(),
    ]

    assert {to_hex(colour) for colour in seen} == {style.GIVEN["blocked"].colour}


def test_no_two_labels_of_a_picture_look_alike():
    """As long as there are looks left; and after that it still draws."""
    labels = [*style.GIVEN, *(f"fault {number}" for number in range(len(style.FURTHER)))]

    found = style.looks(labels)

    assert len({look.colour for look in found.values()}) == len(labels)
    assert len({look.marker for look in found.values()}) == len(labels)
    assert len(style.looks([f"fault {number}" for number in range(50)])) == 50


def test_a_new_label_keeps_its_colour_when_others_come():
    """Alone, beside the shipped ones, and beside most others."""
    alone = style.looks(["congested"])["congested"]

    assert style.looks(["blocked", "congested", "normal"])["congested"] == alone
    assert alone not in style.GIVEN.values()


def test_the_process_keeps_its_own_settings():
    """Who imports this draws other figures too."""
    before = dict(mpl.rcParams)

    for name in ("style", "embedding", "run", "loss", "confusion", "animation"):
        importlib.reload(importlib.import_module(f"training.plots.{name}"))
    loss_figure(make_trace())

    assert dict(mpl.rcParams) == before


# The embedding


def test_three_numbers_are_drawn_as_they_are_in_the_unit_cube():
    """What a sigmoid gives lies in it, and one sees how much of it is used."""
    trace = make_trace(size=3)

    projection = fit(trace)
    figure = stages_figure(trace, projection)

    np.testing.assert_allclose(projection(trace.points[1]), trace.points[1])
    panels = figure.axes
    assert len(panels) == 3
    assert {axes.name for axes in panels} == {"3d"}
    assert len(artists(figure, "cube")) == 3 * 12
    assert panels[0].get_xlim() == panels[0].get_zlim() == (0, 1)


def test_embeddings_of_length_one_are_drawn_around_the_unit_ball():
    """Nothing lies in the corners of a cube then."""
    trace = make_trace(size=3)
    points = trace.points / np.linalg.norm(trace.points, axis=-1, keepdims=True) * [-1, 1, 1]

    projection = Projection.fit(points[-1].astype(np.float32))

    assert projection.room == "ball"
    np.testing.assert_array_equal(projection.bounds, [[-1] * 3, [1] * 3])


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_other_embeddings_are_drawn_on_two_dimensions(size):
    """Even one number has a picture."""
    trace = make_trace(size=size, points=12)

    projection = fit(trace)
    figure = stages_figure(trace, projection)

    assert {axes.name for axes in figure.axes} == {"rectilinear"}
    places = np.concatenate([projection(points) for points in trace.points])
    assert (places >= projection.bounds[0]).all()
    assert (places <= projection.bounds[1]).all()


def test_a_large_embedding_is_seen_from_where_it_differs_most():
    """And the axes say how much of it is seen."""
    rng = np.random.default_rng(0)
    spread = np.array([0.1, 3, 0, 0, 1, 0])
    points = (rng.normal(size=(4000, 6)) * spread).astype(np.float32)

    projection = Projection.fit(points)
    shown = projection(points)

    assert projection.names[0] == "direction 1: 90 % of the variance"
    assert projection.names[1] == "direction 2: 10 % of the variance"
    np.testing.assert_allclose(shown.std(axis=0), [3, 1], rtol=0.05)
    np.testing.assert_allclose(projection(points[:1] + points[1:2] - points[:1]), shown[1:2])


def test_points_that_all_lie_in_one_place_are_drawn():
    """An encoder that collapsed is what one wants to see."""
    cloud = Cloud(np.ones((3, 5), np.float32), ["normal"] * 3, np.ones((1, 5), np.float32), ["a"])

    embedding_figure(cloud, Projection.fit(cloud.points), "collapsed").canvas.draw()


def test_every_window_and_anchor_is_drawn_once():
    """With its label's name and the number of its windows in the legend."""
    trace = make_trace(points=10)

    figure = stages_figure(trace, fit(trace))

    drawn = [len(artist.get_offsets()) for artist in artists(figure, "windows ")]
    assert drawn == [5, 5] * 3
    assert len(artists(figure, "anchor ")) == 2 * 3
    assert {"normal (5)", "blocked (5)"} <= set(texts(figure))
    assert texts(figure).count("blocked") == 3  # beside its star


def test_names_of_anchors_in_one_place_are_kept_apart():
    """Before learning all anchors lie together, and one on another can't be read."""
    labels = ("normal", "blocked", "capacity-limited", "lossy")
    anchors = np.full((4, 2), 0.5, np.float32)
    cloud = Cloud(anchors, labels, anchors, labels)

    figure = embedding_figure(cloud, Projection.fit(cloud.points), "together")

    figure.canvas.draw()
    boxes = [
        mpl.text.Text.get_window_extent(text).y0  # of the text, without its line
        for text in figure.findobj(mpl.text.Annotation)
        if text.get_text() in labels
    ]
    gaps = np.diff(sorted(boxes))
    assert len(boxes) == 4
    assert (gaps > 10).all()


def test_titles_say_the_epoch_and_its_losses():
    """And nothing of what wasn't measured."""
    trace = make_trace(epochs=3)

    said = texts(stages_figure(trace, fit(trace)))

    assert "Before learning" in said
    assert "Epoch 1 of 2   loss 0.550, validation 1.100" in said
    assert "Epoch 2 of 2   loss 0.100, validation 0.200" in said


@pytest.mark.parametrize(("epochs", "panels"), [(1, 1), (2, 2), (3, 3), (40, 3)])
def test_a_short_training_has_fewer_panels(epochs, panels):
    """No panel twice."""
    trace = make_trace(epochs=epochs)

    assert len(stages_figure(trace, fit(trace)).axes) == panels


# Films


def test_a_film_passes_through_every_epoch_and_only_between_neighbours():
    """Epochs are what was measured, the rest is the way from one to the next."""
    trace = make_trace(epochs=4)

    moments = animation.moments(trace)

    assert len(moments) == 3 * animation.BETWEEN + 1
    assert moments == sorted(moments)
    assert {0.0, 1.0, 2.0, 3.0} <= set(moments)
    for epoch in range(4):
        np.testing.assert_array_equal(cloud_at(trace, epoch).points, trace.points[epoch])
    halfway = (trace.points[1] + trace.points[2]) / 2
    np.testing.assert_allclose(cloud_at(trace, 1.5).points, halfway, rtol=1e-5)


@pytest.mark.parametrize("epochs", [1, 2, 13, 100, 241, 242, 247, 1000])
def test_a_film_of_many_epochs_is_no_longer_than_one_can_watch(epochs):
    """It ends with the last epoch, however many there are."""
    moments = animation.moments(make_trace(epochs=epochs, points=2, size=2))

    assert len(moments) <= animation.MOST + 1
    assert moments[0] == 0
    assert moments[-1] == epochs - 1
    near = [moment for moment in moments if abs(moment - round(moment)) < 1e-6]
    assert near == [round(moment) for moment in near]


def test_a_film_is_a_gif_with_as_many_frames_as_promised(tmp_path):
    """It plays for ever, stays on its first and last frame, and tells of its progress."""
    trace = make_trace(epochs=2, size=2)
    frames = animation.training_frames(trace, fit(trace))
    told = []

    animation.save(frames, tmp_path / "film.gif", lambda *done: told.append(done))

    assert len(frames) == animation.BETWEEN + 1
    assert told == [(place + 1, len(frames)) for place in range(len(frames))]
    with Image.open(tmp_path / "film.gif") as film:
        assert film.format == "GIF"
        assert film.n_frames == len(frames)
        assert film.info["loop"] == 0
        times = []
        for place in range(film.n_frames):
            film.seek(place)
            times.append(film.info["duration"])
    assert times[0] == times[-1] == animation.STAY_MS
    assert set(times[1:-1]) == {animation.DELAY_MS}


def test_a_film_of_one_epoch_is_one_frame(tmp_path):
    """Nothing was learnt yet, and that can be seen."""
    trace = make_trace(epochs=1, size=2)

    frames = animation.training_frames(trace, fit(trace))
    animation.save(frames, tmp_path / "film.gif", lambda *_: None)

    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == len(frames) == 1


def test_three_dimensions_turn_slowly():
    """Depth can only be seen in motion; at the end it goes on for a while."""
    trace = make_trace(epochs=2)

    frames = animation.training_frames(trace, fit(trace))
    angles = [frames[place].axes[0].azim for place in (0, 1, len(frames) - 1)]

    assert len(frames) == animation.BETWEEN + 1 + animation.TURNING
    assert angles[1] - angles[0] == pytest.approx(animation.DEGREES)
    assert angles[2] > angles[1]


def test_a_turn_is_a_whole_one_around_three_dimensions():
    """So that it can be played for ever."""
    cloud = cloud_of(["normal", "blocked"], size=6)

    frames = animation.turning_frames(cloud, Projection.fit(cloud.points, turning=True), "t")
    first, second = (frames[place].axes[0] for place in (0, 1))

    assert first.name == "3d"
    assert (second.azim - first.azim) * len(frames) == pytest.approx(360)


# Loss


def test_losses_are_drawn_by_epoch_as_they_were_measured():
    """Epoch 0 was before learning, and has none."""
    trace = make_trace(epochs=4)

    figure = loss_figure(trace)

    for name, values in (
        ("loss", trace.loss),
        ("validation loss", trace.validation_loss),
        ("active", trace.active),
    ):
        (line,) = [line for line in artists(figure, name) if line.get_gid() == name]
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), values[1:])
    assert len(figure.axes) == 2
    assert "validation loss; lowest 0.200 in epoch 3" in texts(figure)


def test_what_was_not_measured_has_no_panel_and_no_line():
    """An empty panel would look like a fault."""
    trace = make_trace()
    nothing = np.full(trace.epochs, math.nan)
    bare = replace(trace, validation_loss=nothing, active=nothing)

    figure = loss_figure(bare)

    assert len(figure.axes) == 1
    assert not artists(figure, "validation loss")
    with pytest.raises(TraceError, match="neither losses"):
        loss_figure(replace(bare, loss=nothing))


# Runs


def test_a_link_is_drawn_with_its_distances_at_the_ends_of_its_windows(tmp_path, bundle, encoder):
    """A point of a line is what was known at that moment, and no sooner."""
    (link,) = watch(bundle, encoder, tmp_path, {"x/access": DAY})

    figure = run_figure([link])

    (line,) = artists(figure, "distance blocked")
    np.testing.assert_allclose(line.get_xdata(), (np.arange(len(DAY) - 3) + 4) / 60)
    place = link.labels.index("blocked")
    np.testing.assert_array_equal(line.get_ydata(), link.distances[:, place])
    (strong,) = artists(figure, "nearest blocked")
    drawn = ~np.isnan(strong.get_ydata())
    np.testing.assert_array_equal(drawn, link.distances.argmin(axis=1) == place)
    assert drawn.any()
    assert len(figure.axes) == 2
    assert "x/access" in texts(figure)


def test_truth_and_state_lie_where_they_were_true(tmp_path, bundle, encoder):
    """The rows' labels behind, a hatch where none is known, the steady state beneath."""
    (link,) = watch(bundle, encoder, tmp_path, {"x/access": DAY})

    figure = run_figure([link])

    truth = [
        (round(patch.get_x() * 60), round(patch.get_width() * 60), bool(patch.get_hatch()))
        for patch in artists(figure, "truth")
    ]
    assert truth == [(0, 20, False), (20, 1, True), (21, 20, False), (41, 20, False)]
    patches = artists(figure, "state")
    state = [to_hex(patch.get_facecolor()) for patch in patches]
    # On its way to blocked, and back, the small encoder takes the link for limited.
    passed = ("normal", "capacity-limited", "blocked", "capacity-limited", "normal")
    assert state == [style.GIVEN[label].colour for label in passed]
    assert patches[0].get_x() * 60 == pytest.approx(5)  # the second window's end
    place = link.state.index("blocked")
    assert patches[2].get_x() == pytest.approx(link.minutes[place])


def test_changes_are_those_that_evaluate_counts(tmp_path, bundle, encoder):
    """A picture that says something else than the table would be worse than none."""
    links = {"x/access": DAY, "y/access": [*["normal"] * 20, "blocked", *["normal"] * 20]}
    found, missed = watch(bundle, encoder, tmp_path, links)

    assert found.found_minutes == [20 / 60, 41 / 60]
    assert found.missed_minutes == []
    # Capacity-limited, before it said blocked and before it said normal.
    assert found.false_minutes == [23 / 60, 44 / 60]
    # Over before there was evidence enough, so neither its beginning nor its end was told.
    assert missed.missed_minutes == [20 / 60, 21 / 60]
    assert missed.found_minutes == missed.false_minutes == []
    (mark,) = artists(run_figure([missed]), "missed")
    assert mark.get_xdata().tolist() == missed.missed_minutes


def test_a_false_change_is_marked_when_it_was_reported(tmp_path, bundle, encoder):
    """That is what an engineer would have been woken by."""
    capture = make_capture(tmp_path / "c.parquet", {"x/access": DAY})
    (link,) = watched.unseen(bundle, [capture], ("*",))
    calm = replace(link, labels=np.full(len(DAY), "normal", object))

    drawn = watched.watch(bundle, encoder, calm)

    ill = ("capacity-limited", "blocked")
    changes = [
        place
        for place, (before, now) in enumerate(itertools.pairwise(drawn.state), 1)
        if now != before and now in ill
    ]
    assert [drawn.state[place] for place in changes] == [*ill, ill[0]]
    assert drawn.false_minutes == drawn.minutes[changes].tolist()
    (mark,) = artists(run_figure([drawn]), "false")
    assert list(mark.get_xdata()) == drawn.false_minutes


def test_a_label_without_an_anchor_is_shown_but_not_judged(tmp_path, bundle, encoder):
    """What the bundle has no name for can't be missed."""
    capture = make_capture(tmp_path / "c.parquet", {"x/access": DAY})
    (link,) = watched.unseen(bundle, [capture], ("*",))
    odd = replace(link, labels=np.where(link.labels == "blocked", "odd", link.labels))

    drawn = watched.watch(bundle, encoder, odd)

    assert drawn.missed_minutes == drawn.found_minutes == []
    assert "odd" in texts(run_figure([drawn]))


def test_a_state_without_an_anchor_is_drawn_and_explained(tmp_path, bundle, encoder):
    """What the daemon calls unknown is in the strip, and the reader has to know what that is."""
    (link,) = watch(bundle, encoder, tmp_path, {"x/access": DAY})
    odd = replace(link, state=["unknown" if state == "blocked" else state for state in link.state])

    plain, figure = run_figure([link]), run_figure([odd])

    drawn = {to_hex(patch.get_facecolor()) for patch in artists(figure, "state")}
    (key,) = (
        handle
        for legend in figure.legends
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True)
        if text.get_text() == "unknown"
    )
    assert to_hex(key.get_facecolor()) in drawn
    assert "unknown" not in texts(plain)


def test_a_bundle_that_knows_the_unknown_is_drawn_as_the_daemon_judges(tmp_path, encoder):
    """With a bundle from `anchorwatch train`, not only with those that lack everything new."""
    draft = draft_bundle()
    points = draft.anchor_embeddings[[label == "normal" for label in draft.labels]]
    calibration = Calibration(0.02, Tail(1.0, 1, 168.0, 1.0), {}, neighbours=1)
    manifest = msgspec.structs.replace(draft.manifest, known=calibration)
    knowing = replace(draft, manifest=manifest, known=Known(points, calibration))

    (link,) = watch(knowing, encoder, tmp_path, {"x/access": DAY})

    assert "unknown" in link.state
    assert "unknown" in texts(run_figure([link]))


def test_no_line_is_drawn_where_nothing_was_observed(tmp_path, bundle, encoder):
    """A straight line over a gap looks like a measurement."""
    capture = make_capture(tmp_path / "c.parquet", {"x/access": DAY})
    (link,) = watched.unseen(bundle, [capture], ("*",))
    link.values[20:40] = np.nan

    drawn = watched.watch(bundle, encoder, link)
    (line,) = artists(run_figure([drawn]), "distance normal")

    assert np.isnan(line.get_ydata()).sum() == 1
    assert (np.diff(drawn.minutes) > 10 / 60).sum() == 1


def test_links_without_labels_or_windows_are_drawn(tmp_path, bundle, encoder):
    """On the day it matters nobody has labelled anything yet."""
    bare, short = watch(
        bundle, encoder, tmp_path, {"bare/access": [None] * 30, "short/access": [None, None]}
    )

    figure = run_figure([bare, short])
    figure.canvas.draw()

    assert len(bare.minutes) == 27
    assert len(short.minutes) == 0
    assert len(figure.axes) == 4
    assert "no window can be judged" in texts(figure)
    assert all(patch.get_hatch() for patch in artists(figure, "truth"))


def test_spans_join_what_is_the_same_and_touches():
    """A gap parts them, and so does another label."""
    times = np.array([0.0, 1, 2, 5, 6])

    found = [(s.label, s.start, s.end) for s in spans(["a", "a", "b", "b", "b"], times, 1.0)]

    assert found == [("a", 0, 2), ("b", 2, 3), ("b", 5, 7)]


# Confusion


def test_rows_of_a_confusion_are_shares_with_their_counts():
    """1 of 4 is 25 %, whatever the other labels have."""
    counts = {"normal": {"normal": 3, "blocked": 1}, "blocked": {"normal": 0, "blocked": 200}}

    figure = confusion_figure(counts, "title")

    (image,) = figure.axes[0].get_images()
    np.testing.assert_allclose(image.get_array(), [[0.75, 0.25], [0, 1]])
    assert {"75.0 %\n3", "25.0 %\n1", "100.0 %\n200", "0.0 %\n0", "title"} <= set(texts(figure))
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["normal", "blocked"]


def test_confusion_counts_windows_of_one_label_throughout(tmp_path, bundle, encoder):
    """Labels without an anchor can't be said rightly or wrongly."""
    capture = make_capture(tmp_path / "c.parquet", {"x/access": DAY, "y/access": DAY})
    known, odd = watched.unseen(bundle, [capture], ())
    odd = replace(odd, labels=np.full(len(DAY), "odd", object))

    counts = watched.confusion(bundle, encoder, [known, odd])

    assert sorted(counts) == ["blocked", "normal"]
    assert sum(counts["blocked"].values()) == 17
    assert sum(counts["normal"].values()) == 2 * 17
    assert counts["blocked"]["blocked"] > 12


# Texts and files


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_hostile_names_are_drawn_as_they_are(tmp_path, kind):
    """A $ begins a formula in matplotlib, and half a formula ends it."""
    labels = [label for label in HOSTILE if label != "two\nlines"]
    trace = make_trace(labels=labels, points=12, size=2)
    counts = {label: dict.fromkeys(HOSTILE, 1) for label in HOSTILE}
    many = watched.Watched(
        name="$^$" + "w_" * 200,
        step_minutes=0.1,
        labels=tuple(sorted(HOSTILE)),
        minutes=np.arange(1, 7) / 10,
        distances=np.ones((6, len(HOSTILE)), np.float32),
        state=[None, *HOSTILE[:5]],
        truth=list(HOSTILE),
        found_minutes=[],
        missed_minutes=[0.2],
        false_minutes=[],
    )
    figures = [
        stages_figure(trace, fit(trace)),
        confusion_figure(counts, "$ _ ^$"),
        run_figure([many]),
    ]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number, figure in enumerate(figures):
            style.save(figure, tmp_path / f"{number}.{kind}")

    assert len(list(tmp_path.iterdir())) == 3
    assert "$\\frac{$" in texts(figures[0])
    assert all("\n" not in text for text in texts(figures[2]))


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_picture_is_the_same_file(tmp_path, kind):
    """No date, no random id: what changed in a picture changed in the data."""
    trace = make_trace(size=2)

    for name in "ab":
        style.save(loss_figure(trace), tmp_path / f"{name}.{kind}")
        style.save(stages_figure(trace, fit(trace)), tmp_path / f"{name}2.{kind}")

    for name in ("", "2"):
        one, other = ((tmp_path / f"{which}{name}.{kind}").read_bytes() for which in "ab")
        assert one == other
    assert b"dc:date" not in (tmp_path / f"a.{kind}").read_bytes()


def test_windows_without_a_label_are_drawn_grey_where_there_are_no_others(tmp_path, bundle):
    """Shapes can be seen without knowing what they are."""
    encoder = _MeanEncoder()
    bare = make_capture(tmp_path / "bare.parquet", {"x/a": [None] * 20})
    mixed = make_capture(tmp_path / "mixed.parquet", {"x/a": DAY})
    spec = bundle.manifest.window

    unlabelled, labelled = (
        watched.embed(encoder, watched.unseen(bundle, [capture], ()), spec, 12, 0)
        for capture in (bare, mixed)
    )

    assert unlabelled.labels == [""] * 12
    assert sorted(set(labelled.labels)) == ["blocked", "normal"]
    assert len(labelled.labels) == 12
    cloud = Cloud(unlabelled.points, unlabelled.labels, unlabelled.points[:1], ["normal"])
    figure = embedding_figure(cloud, Projection.fit(cloud.points), "t")
    assert "no label (12)" in texts(figure)
    (drawn,) = artists(figure, "windows ")[-1:]
    assert to_hex(drawn.get_facecolor()[0]) == style.GIVEN[""].colour


class _MeanEncoder(Encoder):
    """Embeds a window as the means of its first two features."""

    def __init__(self):
        pass

    def embed(self, values):
        return values[:, :, :2].mean(axis=1)


def test_a_bundle_with_many_anchors_of_one_label_is_drawn(tmp_path):
    """Each has its star."""
    bundle = make_bundle(tmp_path / "bundle")
    points = bundle.anchor_embeddings
    cloud = Cloud(points, bundle.labels, points, bundle.labels)

    figure = embedding_figure(cloud, Projection.fit(points), "anchors")

    assert len(artists(figure, "anchor ")) == 6
    assert texts(figure).count("blocked") == 2
