"""The pictures on the page agree with the numbers, and can be made out."""

import re

import pytest

from tests.training.report.pages import WHOLE, whole_page, x_of
from training.judging.study import ENCODER
from training.report.numbers import kinds, ordered
from training.report.page.sheet import DARK, DARK_RAMPS, LIGHT, LIGHT_RAMPS


@pytest.fixture
def page():
    """Give the page of the whole study, read."""
    return whole_page()


def contrast(one, other):
    """Give the contrast of two colours; WCAG 2.2, relative luminance."""

    def light(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((light(one), light(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_every_picture_says_in_words_what_it_shows(page):
    """Who can't see it hears it."""
    pictures = page.all("svg")

    assert len(pictures) == 3 + 3 + 3 + 3 + 12 + 6 + 2 + 1
    for attrs, _, place in pictures:
        assert attrs["role"] == "img"
        assert page.all("title", within=place)[0][1]
        assert page.all("desc", within=place)[0][1]


def test_the_encoder_is_first_and_stands_out_and_the_others_keep_their_look(page):
    """Colours and order that change from picture to picture mislead."""
    looks = {}
    for place in page.charts("Macro-F1"):
        rows = page.all("g", "row", within=place)
        assert "encoder" in rows[0][0]["class"].split()
        for attrs, text, at in rows:
            mark = page.all("path", "dot", within=at)[0][0]["d"]
            name = text.split(":")[0]
            looks.setdefault(name, set()).add((attrs["class"], mark))

    assert [*looks] == ordered(WHOLE.validations[0].methods)
    assert all(len(look) == 1 for look in looks.values())
    colours, marks = zip(*(look for seen in looks.values() for look in seen), strict=True)
    assert len({*colours}) == len({*marks}) == len(looks)


@pytest.mark.parametrize(
    ("chart", "number"), [("Macro-F1", "macro_f1"), ("The encoder's", "lead")]
)
def test_marks_stand_where_the_numbers_say(page, chart, number):
    """A picture that does not agree with its table is worse than none."""
    points, spans = [], []
    for place, validation in zip(page.charts(chart), WHOLE.validations, strict=True):
        judged = [validation.methods[name] for name in ordered(validation.methods)]
        estimates = [getattr(one, number) for one in judged if getattr(one, number)]
        rows = page.all("g", "row", within=place)
        for estimate, (_, _, at) in zip(estimates, rows, strict=True):
            x = x_of(page.all("path", "dot", within=at)[0][0])
            interval = page.all("line", "interval", within=at)[0][0]
            left, right = float(interval["x1"]), float(interval["x2"])
            assert left < x < right
            points.append((estimate.mean, x))
            spans += [(estimate.low, left), (estimate.high, right)]

    (low, start), (high, end) = min(points), max(points)
    for value, x in (*points, *spans):  # one scale for all validations, a straight one
        assert x == pytest.approx(start + (value - low) / (high - low) * (end - start), abs=0.05)


def test_an_open_mark_means_level(page):
    """Level is the one thing that must not be taken for a lead."""
    for place, validation in zip(page.charts("The encoder's"), WHOLE.validations, strict=True):
        zero = float(page.all("line", "zero", within=place)[0][0]["x1"])
        for _, text, at in page.all("g", "row", within=place):
            interval = page.all("line", "interval", within=at)[0][0]
            holds_0 = float(interval["x1"]) <= zero <= float(interval["x2"])
            assert bool(page.all("path", "hollow", within=at)) == holds_0
            assert ("level" in text) == holds_0
        assert validation.name


def test_delays_show_the_median_before_the_worst(page):
    """The filled mark is the usual wait, the open one the longest."""
    for place in page.charts("Delay of changes to lossy"):
        for _, _, at in page.all("g", "row", within=place):
            (dot,), (end,) = (page.all("path", name, within=at) for name in ("dot", "end"))
            assert x_of(dot[0]) < x_of(end[0])


def test_bars_are_as_long_as_their_numbers(page):
    """A bar that does not begin at 0 lies."""
    (place, *_) = page.charts("How lossy stands out")
    (row, *_) = page.all("g", "row", within=place)
    (one, *_) = WHOLE.validations[0].methods[ENCODER].rejections

    bars = [page.all("rect", name, within=row[2])[0][0] for name in ("bar", "second")]

    widths = [float(bar["width"]) for bar in bars]
    assert bars[0]["x"] == bars[1]["x"]
    assert widths[0] / widths[1] == pytest.approx(one.auroc / one.flagged, rel=0.01)


def test_the_kinds_are_sorted_by_what_the_encoder_misses(page):
    """The first line is where to work."""
    (place, *_) = page.charts("Recall of each kind")
    lines = page.all("g", "line", within=place)
    one = WHOLE.validations[0]

    names = [page.all("title", within=at)[0][1] for _, _, at in lines]

    assert names == kinds(one)
    shades = [
        int(re.search(r"q(\d)", page.all("g", "warm", within=at)[0][0]["class"])[1])
        for _, _, at in lines
    ]
    assert shades == sorted(shades, reverse=True)
    assert shades[0] > shades[-1]


def test_the_ceiling_is_marked_above_what_is_below_it(page):
    """How far a few windows are from all of them is the point of the picture."""
    (place, *_) = page.charts("Learning lossy")
    marks = [
        float(a["transform"].split()[1].rstrip(")"))
        for a, _, _ in page.all("path", "dot", within=place)
    ]
    (ceiling,) = page.all("line", "ceiling", within=place)

    about = [one for one in WHOLE.enrolments if one.unseen == "lossy"]
    assert len(marks) == len(about)
    assert all(float(ceiling[0]["y1"]) < y for y in marks)  # upwards is less
    recalls = [one.recall.mean for one in about]
    assert sorted(range(6), key=lambda at: recalls[at]) == sorted(
        range(6), key=lambda at: -marks[at]
    )


@pytest.mark.parametrize(("colours", "ramps"), [(LIGHT, LIGHT_RAMPS), (DARK, DARK_RAMPS)])
def test_all_writing_and_all_marks_can_be_made_out(colours, ramps):
    """Beamers and sunlight take half of the contrast away."""
    grounds = [colours[name] for name in ("page", "card", "band")]
    inks = [colours[name] for name in ("ink", "soft", *(f"m{place}" for place in range(8)))]

    assert all(contrast(ink, ground) >= 4.5 for ink in inks for ground in grounds)
    assert all(contrast(*shade) >= 4.5 for ramp in ramps.values() for shade in ramp)
