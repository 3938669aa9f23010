"""Each label gets one reference window: the one that was given, or the most typical."""

import numpy as np
import pytest

from detector.capture import CaptureError
from detector.window import WindowSpec
from tests.training.captures import START_MS, make_link
from training.labelled import LabelledWindows
from training.reference import (
    MEDOID_WINDOWS,
    choose_anchors,
    describe,
    draw_anchors,
    find_anchors,
)

SPEC = WindowSpec(("level",), 4, 1000)


class Levels:
    """Embeds a window as its mean level, twice."""

    def embed(self, values):
        """Embed windows: (batch, 2)."""
        return values.mean(axis=(1, 2))[:, None].repeat(2, axis=1)


def make_windows(**levels):
    """Make one link for each label, its rows at these levels."""
    links = [
        make_link([label] * len(rows), np.array(rows, np.float32)[:, None], name=f"run/{label}")
        for label, rows in levels.items()
    ]
    return LabelledWindows(links, SPEC, tail=4)


def level(windows, place):
    """Give the mean level of one window."""
    return windows.cut(np.array([place])).mean()


def test_each_label_gets_one_anchor_in_the_labels_order():
    """The bundle lists labels and windows side by side."""
    windows = make_windows(normal=range(9), blocked=range(9), limited=range(9))

    chosen = choose_anchors(windows, Levels(), {}, kinds=False)

    assert [windows.labels[place] for place in chosen] == ["blocked", "limited", "normal"]


@pytest.mark.parametrize("seed", range(3))
def test_the_medoid_is_nearest_to_all_others_of_its_label(seed):
    """Neither an odd window nor an average that never happened may stand for a label."""
    rng = np.random.default_rng(seed)
    windows = make_windows(normal=rng.lognormal(0, 2, 60), blocked=rng.lognormal(3, 1, 40))

    chosen = choose_anchors(windows, Levels(), {}, kinds=False)

    points = Levels().embed(windows.cut(slice(None))).astype(float)
    for place in chosen:
        mine = np.flatnonzero(windows.labels == windows.labels[place])
        sums = [sum(np.linalg.norm(points[a] - points[b]) for b in mine) for a in mine]
        assert place == mine[np.argmin(sums)]


def test_one_wild_window_does_not_move_the_reference():
    """An average would be moved, and would be no window at all."""
    windows = make_windows(normal=[5.0] * 30 + [1e6] * 4, other=[1.0] * 9)

    _, chosen = sorted(choose_anchors(windows, Levels(), {}, kinds=False)[:1]) * 2

    assert level(windows, chosen) == 5


def test_of_very_many_windows_the_medoid_is_that_of_some_throughout():
    """All pairs of a day's windows would need more memory than there is."""
    rising = np.linspace(0, 1, 5 * MEDOID_WINDOWS)

    windows = make_windows(normal=rising, other=rising[:9])
    (place, _) = choose_anchors(windows, Levels(), {}, kinds=False)

    assert level(windows, place) == pytest.approx(0.5, abs=0.01)


def test_a_given_window_is_taken_and_the_others_are_still_medoids():
    """An operator knows the incident that everybody remembers, and wants that one."""
    windows = make_windows(normal=range(20), blocked=range(30))
    given = find_anchors(windows, {"normal": f"run/normal@{START_MS + 2000}"}, kinds=False)

    blocked, normal = choose_anchors(windows, Levels(), given, kinds=False)

    assert windows.place(normal).row == 2
    assert windows.place(normal).link.link == "run/normal"
    assert level(windows, blocked) == pytest.approx(14.5, abs=0.6)


def make_kinds():
    """Make windows of three faults: two mechanisms of one label, and one that was not noted."""
    rows = [("blocked", "cable", 10), ("blocked", "filter", 20), ("blocked", None, 30)]
    links = [
        make_link(
            [label] * 9,
            np.arange(9, dtype=np.float32)[:, None] + level,
            name=f"run{level}/core",
            kinds=[kind] * 9,
        )
        for label, kind, level in [*rows, ("normal", "normal", 0)]
    ]
    return LabelledWindows(links, SPEC, tail=4)


def test_each_kind_gets_an_anchor_where_kinds_are_told_apart():
    """A label of several mechanisms lies in several places, and one anchor can be in one."""
    windows = make_kinds()

    plain, fine = (choose_anchors(windows, Levels(), {}, kinds=kinds) for kinds in (False, True))

    assert [windows.labels[place] for place in plain] == ["blocked", "normal"]
    assert [windows.labels[place] for place in fine] == ["blocked"] * 3 + ["normal"]
    assert [windows.kinds[place] for place in fine] == [None, "cable", "filter", "normal"]
    # What a verdict says is the label all the same.
    anchors = [describe(windows, place, kinds=True) for place in fine]
    assert {anchor.label for anchor in anchors} == {"blocked", "normal"}
    assert anchors[0].name == "blocked/run30/core"
    assert anchors[1].name == "blocked/cable/run10/core"


def test_two_kinds_on_one_link_have_anchors_of_two_names():
    """A verdict names its anchor, and must not name two of them alike."""
    link = make_link(["blocked"] * 18, name="r1/core", kinds=["cable"] * 9 + ["filter"] * 9)
    windows = LabelledWindows([link], SPEC, tail=1)

    one, two = (describe(windows, place, kinds=True) for place in (0, len(windows) - 1))

    assert (one.kind, two.kind) == ("cable", "filter")
    assert one.name != two.name


def test_an_anchor_can_be_given_for_a_kind():
    """It is named as the class is: LABEL/KIND."""
    windows = make_kinds()
    given = {"blocked/filter": f"run20/core@{START_MS + 1000}"}

    found = find_anchors(windows, given, kinds=True)
    chosen = choose_anchors(windows, Levels(), found, kinds=True)

    assert windows.place(chosen[2]).row == 1
    assert windows.kinds[chosen[2]] == "filter"
    with pytest.raises(CaptureError, match="'blocked/filter', a label without a window"):
        find_anchors(windows, given, kinds=False)
    with pytest.raises(CaptureError, match="no window of 'blocked/cable' is at"):
        find_anchors(windows, {"blocked/cable": given["blocked/filter"]}, kinds=True)


@pytest.mark.parametrize("long", [90, 20 * MEDOID_WINDOWS])
def test_each_run_has_as_much_of_a_say_in_the_reference(long):
    """Three short runs that agree outvote a long one, be there few windows or many."""
    links = [make_link(["normal"] * long, np.full((long, 1), 50.0), name="long/a")]
    links += [make_link(["normal"] * 9, np.full((9, 1), 1.0), name=f"short{n}/a")
              for n in range(3)]  # fmt: skip
    links += [make_link(["other"] * 9, name="other/a")]
    windows = LabelledWindows(links, SPEC, tail=4)

    (place, _) = choose_anchors(windows, Levels(), {}, kinds=False)

    assert level(windows, place) == 1


def test_drawn_anchors_are_any_window_of_each_class():
    """Someone who has one example of a fault has not chosen it among a thousand."""
    windows = make_kinds()

    drawn = [
        draw_anchors(windows, np.random.default_rng(seed), kinds=True) for seed in (*range(60), 0)
    ]

    for places in drawn:
        assert [windows.kinds[place] for place in places] == [None, "cable", "filter", "normal"]
    assert drawn[0] == drawn[-1]
    normal = np.flatnonzero(windows.labels == "normal")
    assert {places[-1] for places in drawn} == set(normal.tolist())
    plain = draw_anchors(windows, np.random.default_rng(0), kinds=False)
    assert [windows.labels[place] for place in plain] == ["blocked", "normal"]


@pytest.mark.parametrize(
    ("label", "where", "why"),
    [
        ("unheard", f"run/normal@{START_MS}", "'unheard', a label without a window"),
        ("normal", f"run/normal@{START_MS + 1}", "no window of 'normal' is at 'run/normal@"),
        ("normal", f"run/normal@{START_MS + 17_000}", "no window of 'normal' is at"),
        ("normal", f"normal@{START_MS}", "no window of 'normal' is at 'normal@1700000000000'"),
        ("normal", f"run/blocked@{START_MS}", "no window of 'normal' is at 'run/blocked@"),
        ("normal", "run/normal", "no window of 'normal' is at 'run/normal'; give LINK@START_MS"),
    ],
)
def test_a_window_that_is_not_there_is_refused(label, where, why):
    """The message says which, and what to give."""
    windows = make_windows(normal=range(20), blocked=range(30))

    with pytest.raises(CaptureError, match=why):
        find_anchors(windows, {label: where}, kinds=False)


def test_an_anchor_tells_where_it_is_from():
    """An operator who doubts a verdict looks the reference up."""
    link = make_link(["blocked"] * 9, name="r1/core", kinds=["a filter"] * 9)

    anchor = describe(LabelledWindows([link], SPEC, tail=4), 3)

    assert (anchor.label, anchor.kind, anchor.link) == ("blocked", "a filter", "r1/core")
    assert anchor.name == "blocked/r1/core"
    assert anchor.start_ms == START_MS + 3000


def test_an_anchor_of_no_kind_has_its_labels_name():
    """Captures need no kinds, and a reason that reads "like None" helps nobody."""
    link = make_link(["blocked"] * 9, kinds=[None] * 9)

    assert describe(LabelledWindows([link], SPEC, tail=4), 0).kind == "blocked"
