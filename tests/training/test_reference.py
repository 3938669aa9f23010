"""Each label gets one reference window: the one that was given, or the most typical."""

import numpy as np
import pytest

from detector.capture import CaptureError
from detector.window import WindowSpec
from tests.training.captures import START_MS, make_link
from training.labelled import LabelledWindows
from training.reference import MEDOID_WINDOWS, choose_anchors, describe, find_anchors

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

    chosen = choose_anchors(windows, Levels(), {})

    assert [windows.labels[place] for place in chosen] == ["blocked", "limited", "normal"]


@pytest.mark.parametrize("seed", range(3))
def test_the_medoid_is_nearest_to_all_others_of_its_label(seed):
    """Neither an odd window nor an average that never happened may stand for a label."""
    rng = np.random.default_rng(seed)
    windows = make_windows(normal=rng.lognormal(0, 2, 60), blocked=rng.lognormal(3, 1, 40))

    chosen = choose_anchors(windows, Levels(), {})

    points = Levels().embed(windows.cut(slice(None))).astype(float)
    for place in chosen:
        mine = np.flatnonzero(windows.labels == windows.labels[place])
        sums = [sum(np.linalg.norm(points[a] - points[b]) for b in mine) for a in mine]
        assert place == mine[np.argmin(sums)]


def test_one_wild_window_does_not_move_the_reference():
    """An average would be moved, and would be no window at all."""
    windows = make_windows(normal=[5.0] * 30 + [1e6] * 4, other=[1.0] * 9)

    _, chosen = sorted(choose_anchors(windows, Levels(), {})[:1]) * 2

    assert level(windows, chosen) == 5


def test_of_very_many_windows_the_medoid_is_that_of_some_throughout():
    """All pairs of a day's windows would need more memory than there is."""
    rising = np.linspace(0, 1, 5 * MEDOID_WINDOWS)

    windows = make_windows(normal=rising, other=rising[:9])
    (place, _) = choose_anchors(windows, Levels(), {})

    assert level(windows, place) == pytest.approx(0.5, abs=0.01)


def test_a_given_window_is_taken_and_the_others_are_still_medoids():
    """An operator knows the incident that everybody remembers, and wants that one."""
    windows = make_windows(normal=range(20), blocked=range(30))
    given = find_anchors(windows, {"normal": f"run/normal@{START_MS + 2000}"})

    blocked, normal = choose_anchors(windows, Levels(), given)

    assert windows.place(normal).row == 2
    assert windows.place(normal).link.link == "run/normal"
    assert level(windows, blocked) == pytest.approx(14.5, abs=0.6)


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
        find_anchors(windows, {label: where})


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
